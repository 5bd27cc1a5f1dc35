"""Repair of a forecast after training, from labelled elements the fit has not seen.

In: ``mean``, ``std``, ``target`` of a calibration part (for few-shot repair: k labelled elements of
the shifted condition). Out: a map of mean and std with ``apply``, or conformal interval ends
``(m,)`` of a test part.

=====================  =====================================================================
``std_scaling``        errors have the predicted std up to one factor
``few_shot``           the shifted mean is affine in the predicted one, the std off by a factor
``isotonic_std``       the error variance rises with the predicted one, in any shape
``split_cp``           |residual|; coverage >= level for exchangeable elements
``norm_cp``            |residual| / std; the same, widths follow the predicted std
``mondrian_cp``        the same within every bin, elements exchangeable within the bin
``weighted_cp``        coverage under a covariate shift with *known* density ratio
=====================  =====================================================================

The first three restore what their assumption allows. The others are conformal: coverage is
guaranteed, over calibration part and one test element together, not for a subset and not given this
calibration part. Where it cannot support the level, ends are infinite. Nothing holds under a
concept shift: the errors themselves then have another law. Rows of one group are not independent:
pass one row per group (``one_per_group``).

Examples
--------
>>> std_scaling([0, 0], [1, 1], [3, -1]).scale == 5**0.5
True
>>> calibration = (np.zeros(9), np.full(9, 2.0), np.arange(2.0, 20.0, 2.0))  # mean, std, target
>>> norm_cp(calibration, mean=[0.0], std=[0.5], level=0.8)  # the 8th smallest |z| of 9 is 8
Interval(lower=array([-4.]), upper=array([4.]))
>>> weighted_quantile([1.0, 2.0, 3.0], [1, 1, 2], [1.0, 2.0], level=0.6).tolist()
[3.0, 3.0]
>>> n_eff([1, 1, 1, 1]), n_eff([1, 0, 0, 0])
(4.0, 1.0)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from lib import arrays
from lib.arrays import FloatArray, as_forecast, as_labels, as_nonnegative, as_std, as_vector

_ROUNDING = 1e-9  # (n + 1) * level may miss a whole number by rounding
_FLOOR = 0.01  # least variance, in mean squared errors: the lowest bin's errors may happen to be 0
Calibration = tuple[ArrayLike, ArrayLike, ArrayLike]  # mean, std, target


class Affine(NamedTuple):
    """mean -> offset + gain * mean, std -> scale * std."""

    gain: float
    offset: float
    scale: float

    def apply(self, mean: ArrayLike, std: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """The repaired mean and std, each ``(m,)``."""
        mean = as_vector("mean", mean)
        return self.offset + self.gain * mean, self.scale * as_std("std", std, len(mean))


def _affine(forecast: tuple[FloatArray, ...], gain: float, offset: float, free: int) -> Affine:
    """With the factor that makes squared residuals sum to their ``free`` degrees of freedom."""
    mean, std, target = forecast
    if free < 1:
        least = len(mean) - free + 1
        raise ValueError(f"target has {len(mean)} labelled elements; {least} or more would do")
    z = (target - offset - gain * mean) / std
    scale = float(np.sqrt(np.sum(z * z) / free))
    if scale <= 1e-12 * float(np.max(np.abs(target / std), initial=1e-300)):
        raise ValueError("residuals are all 0; more, or noisier, labelled elements would do")
    return Affine(gain, offset, scale)


def std_scaling(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> Affine:
    """One factor on the std: c^2 = mean z^2, the maximum-likelihood choice.

    ZMS on the calibration part becomes exactly 1. Ranking by std, and so every selective metric, is
    unchanged. A ``ValueError`` names no elements, or residuals that are all 0. Source: Levi et al.
    2019; Laves et al. 2020.
    """
    forecast = as_forecast(mean, std, target)
    return _affine(forecast, 1.0, 0.0, len(forecast[0]))


def few_shot(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> Affine:
    """Offset, gain and factor from k labelled elements ``(k,)``, weighted by 1 / std^2.

    The factor divides by k - 2, so that it is right on average for small k; its own error still
    makes Gaussian 90 % intervals hold .82 at k = 10, .86 at 20, .89 at 50 (simulated). A gain and
    offset are what a change of batch or assay does; a rewired program stays unrepaired.

    A ``ValueError``: k < 3, a perfect fit (std would be 0), or a constant mean.

    Examples
    --------
    >>> repaired = few_shot([0, 1, 2, 3], [1, 1, 1, 1], [1.1, 2.9, 5.1, 6.9])
    >>> round(repaired.gain, 6), round(repaired.offset, 6)  # slope 9.8 / 5
    (1.96, 1.06)
    """
    mean, std, target = forecast = as_forecast(mean, std, target)
    gain, offset = 1.0, 0.0
    if len(mean) > 2:
        if np.ptp(mean) == 0:
            raise ValueError("mean is constant; predictions that differ would do")
        weight = std**-2 / np.sum(std**-2)
        x, y = weight @ mean, weight @ target
        gain = float(weight @ ((mean - x) * (target - y)) / (weight @ (mean - x) ** 2))
        offset = float(y - gain * x)
    return _affine(forecast, gain, offset, len(mean) - 2)


class StdMap(NamedTuple):
    """A rising map of std, linear between knots and flat beyond them."""

    knots: FloatArray
    values: FloatArray

    def apply(self, mean: ArrayLike, std: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """The mean unchanged and the repaired std, each ``(m,)``."""
        mean = as_vector("mean", mean)
        return mean, np.interp(as_std("std", std, len(mean)), self.knots, self.values)


def isotonic_std(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> StdMap:
    """Isotonic regression of squared error on std: for a factor that varies with std.

    Repairs ``ence``. Flat pieces turn different std into ties, so ranking can only lose; they fit
    the noise too: 90 % intervals hold .87 after 100 elements, .89 after 1,000 (simulated). The
    least variance is a hundredth of the mean squared error. A ``ValueError`` names residuals that
    are all 0, or none.

    Examples
    --------
    >>> repaired = isotonic_std([0] * 4, [1, 2, 3, 4], [1, 3, 1, 4])
    >>> repaired.apply([0.0], [2.5])[1].round(6).tolist()  # errors 9 and 1 pool to 5
    [2.236068]
    """
    mean, std, target = as_forecast(mean, std, target)
    error = (target - mean) ** 2
    if not np.any(error):
        raise ValueError("residuals are all 0 or none given; elements with errors would do")
    fit = IsotonicRegression(y_min=_FLOOR * float(error.mean())).fit(std, error)
    return StdMap(np.asarray(fit.X_thresholds_), np.sqrt(fit.y_thresholds_))


class Interval(NamedTuple):
    """Ends of one interval per test element, each ``(m,)``; infinite ends are allowed."""

    lower: FloatArray
    upper: FloatArray


def conformal_quantile(scores: ArrayLike, level: float) -> float:
    """The ceil((n + 1) * level)-th smallest score; infinite when that exceeds n.

    Source: Lei et al. 2018; Vovk, Gammerman & Shafer 2005.
    """
    scores = np.sort(as_vector("scores", scores))
    n = len(scores)
    rank = int(np.ceil((n + 1) * arrays.as_level(level) - _ROUNDING))
    return float(scores[rank - 1]) if rank <= n else float("inf")


def weighted_quantile(
    scores: ArrayLike, weights: ArrayLike, test_weights: ArrayLike, level: float
) -> FloatArray:
    """Quantile of weighted scores ``(n,)`` with the test element's own mass at infinity, ``(m,)``.

    Weights are the density ratio dQ/dP, at least 0, of any scale. Infinite where the calibration
    part holds less than ``level`` of the mass. Equal weights give ``conformal_quantile``. Source:
    Tibshirani et al. 2019 (1904.06019), equation 9.
    """
    scores = as_vector("scores", scores)
    weights = as_nonnegative("weights", weights, len(scores))
    own = as_nonnegative("test_weights", test_weights, np.size(test_weights))
    order = np.argsort(scores, kind="stable")
    mass = np.cumsum(weights[order])
    needed = arrays.as_level(level) * ((mass[-1] if len(mass) else 0.0) + own)
    position = np.searchsorted(mass, needed * (1 - _ROUNDING), side="left")
    position = np.where(needed > 0, np.minimum(position, len(scores)), len(scores))
    return np.append(scores[order], np.inf)[position]


def n_eff(weights: ArrayLike) -> float:
    """Effective sample size of weights, (sum w)^2 / sum w^2; 0 where there is no weight."""
    weights = as_vector("weights", weights)
    square = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / square if square > 0 else 0.0


def one_per_group(groups: ArrayLike, rng: np.random.Generator) -> arrays.IntArray:
    """Row numbers with one row drawn from each group: exchangeable when the groups are."""
    codes, _ = arrays.group_codes(groups)
    shuffled = rng.permutation(len(codes))
    _, first = np.unique(codes[shuffled], return_index=True)
    return np.sort(shuffled[first])


def split_cp(
    calibration: tuple[ArrayLike, ArrayLike], mean: ArrayLike, level: float = 0.9
) -> Interval:
    """Split conformal: mean +- the quantile of |residual| over ``calibration = (mean, target)``.

    Coverage in [level, level + 1 / (n + 1)) without ties. One width for all. Source: Lei et al.
    2018.
    """
    fitted, target = calibration
    known = fitted, np.ones(np.shape(fitted)), target
    return norm_cp(known, mean, np.ones(np.shape(mean)), level)


def _normalised(calibration: Calibration) -> FloatArray:
    mean, std, target = as_forecast(*calibration)
    return np.abs(target - mean) / std


def _around(mean: ArrayLike, std: ArrayLike, scale: FloatArray | float) -> Interval:
    mean = as_vector("mean", mean)
    half = as_std("std", std, len(mean)) * scale
    return Interval(mean - half, mean + half)


def norm_cp(
    calibration: Calibration, mean: ArrayLike, std: ArrayLike, level: float = 0.9
) -> Interval:
    """Normalised conformal: mean +- q std, q from |z| of ``calibration = (mean, std, target)``.

    Source: Papadopoulos et al. 2008.
    """
    return _around(mean, std, conformal_quantile(_normalised(calibration), level))


def mondrian_cp(
    calibration: Calibration,
    calibration_bins: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    bins: ArrayLike,
    level: float = 0.9,
) -> Interval:
    """Normalised conformal within bins (of GC, species): coverage holds in each of them.

    Bins must not depend on the targets. A test bin that the calibration part fills too little gets
    infinite intervals.
    """
    scores = _normalised(calibration)
    mean = as_vector("mean", mean)
    known = as_labels("calibration_bins", calibration_bins, len(scores))
    wanted = as_labels("bins", bins, len(mean))
    scale = np.empty(len(mean))
    for label in np.unique(wanted):
        scale[wanted == label] = conformal_quantile(scores[known == label], level)
    return _around(mean, std, scale)


def density_ratio(reference: ArrayLike, new: ArrayLike, *at: ArrayLike) -> list[FloatArray]:
    """Estimated density ratio new / reference of a covariate, at the values of each ``at``.

    Logistic regression on the covariate and its square: exact in form for an exponential tilt and
    for two Gaussians, in units of its mean over the reference. Outside the reference's support no
    ratio exists, and the value may be huge: intervals weighted by it are then infinite, as they
    should be. Check its ``n_eff``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ratio, = density_ratio(rng.normal(0, 1, 5000), rng.normal(1, 1, 5000), [0.5])
    >>> bool(0.8 < ratio[0] < 1.25)  # exp(x - 1/2) is 1 at one half
    True
    """
    left, right = as_vector("reference", reference), as_vector("new", new)
    spread = left.std() if np.ptp(left) > 0 else 1.0

    def design(values: FloatArray) -> FloatArray:
        scaled = (values - left.mean()) / spread
        return np.column_stack([scaled, scaled**2])

    labels = np.repeat([0, 1], [len(left), len(right)])
    both = np.concatenate([design(left), design(right)])
    fitted = LogisticRegression(C=1e3, max_iter=2000).fit(both, labels)
    offset = np.log(len(left) / len(right))
    scale, *ratios = (
        np.exp(np.clip(fitted.decision_function(design(values)) + offset, -700, 700))
        for values in (left, *(as_vector("at", values) for values in at))
    )
    return [ratio / scale.mean() for ratio in ratios]


def weighted_cp(
    calibration: Calibration,
    weights: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    test_weights: ArrayLike,
    level: float = 0.9,
) -> Interval:
    """Normalised conformal weighted by a density ratio test / calibration.

    Exact for a covariate shift whose ratio is known (a simulated tilt). With an estimated ratio
    (``density_ratio``) coverage is as good as the estimate; under a concept shift there is none.
    Print ``n_eff(weights)`` and the share of infinite intervals beside it. Source: Tibshirani et
    al. 2019 (1904.06019); Jonkers 2024 (2404.15018).
    """
    scale = weighted_quantile(_normalised(calibration), weights, test_weights, level)
    return _around(mean, std, scale)

"""Repair of a forecast after training, from labelled elements the fit has not seen.

In: ``mean``, ``std``, ``target`` of a calibration part (for few-shot repair: k labelled elements of
the shifted condition). Out: a small frozen map with ``apply`` or ``interval``. None of them carries
a finite-sample guarantee (``lib.repair.conformal`` does): each restores what its assumption allows.

=====================  =====================================================================
``std_scaling``        errors have the predicted std up to one factor
``few_shot``           the shifted mean is affine in the predicted one, the std off by a factor
``isotonic_std``       the error variance rises with the predicted one, in any shape
``isotonic_quantile``  the PIT has one law for all elements, of any shape
=====================  =====================================================================

Rows of one group are not independent: pass one row per group
(``lib.repair.conformal.one_per_group``).
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri
from sklearn.isotonic import IsotonicRegression

from lib.arrays import FloatArray, as_forecast, as_level, as_std, as_vector
from lib.repair.conformal import Interval, warn_infinite

Kind = Literal["scale", "offset", "affine"]
_PARAMETERS: dict[str, int] = {"scale": 0, "offset": 1, "affine": 2}


class Affine(NamedTuple):
    """mean -> offset + gain * mean, std -> scale * std."""

    gain: float
    offset: float
    scale: float

    def apply(self, mean: ArrayLike, std: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """The repaired mean and std, each ``(m,)``."""
        mean = as_vector("mean", mean)
        return self.offset + self.gain * mean, self.scale * as_std("std", std, len(mean))


def std_scaling(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> Affine:
    """One factor on the std: c^2 = mean z^2, the maximum-likelihood choice.

    ZMS on the calibration part becomes exactly 1. Ranking by std, and so every selective metric, is
    unchanged. Source: Levi et al. 2019; Laves et al. 2020.

    Raises
    ------
    ValueError
        No elements, or residuals that are all 0.

    Examples
    --------
    >>> std_scaling([0, 0], [1, 1], [3, -1]).scale == 5**0.5
    True
    """
    return few_shot(mean, std, target, kind="scale")


def few_shot(mean: ArrayLike, std: ArrayLike, target: ArrayLike, kind: Kind = "affine") -> Affine:
    """Offset, gain and factor from k labelled elements, weighted by 1 / std^2.

    ``scale`` leaves the mean, ``offset`` adds a constant, ``affine`` also a gain. The factor
    divides by k less the fitted parameters, so that it is right on average for small k; its own
    error still makes Gaussian intervals undercover for k < 20 or so. A gain and offset are what a
    change of batch or assay does; a rewired program is not affine and stays unrepaired.

    Parameters
    ----------
    mean, std, target : (k,) arrays
    kind : {"scale", "offset", "affine"}

    Raises
    ------
    ValueError
        k not above the number of parameters, an unknown kind, a perfect fit (std would be 0), or a
        constant mean for ``affine``.

    Examples
    --------
    >>> repaired = few_shot([0, 1, 2, 3], [1, 1, 1, 1], [1.1, 2.9, 5.1, 6.9])
    >>> round(repaired.gain, 6), round(repaired.offset, 6)  # slope 9.8 / 5
    (1.96, 1.06)
    """
    mean, std, target = as_forecast(mean, std, target)
    if kind not in _PARAMETERS:
        raise ValueError(f"kind is {kind!r}; one of {sorted(_PARAMETERS)} would do")
    free = len(mean) - _PARAMETERS[kind]
    if free < 1:
        raise ValueError(
            f"target has {len(mean)} labelled elements; {kind!r} needs {_PARAMETERS[kind] + 1}"
        )
    gain, offset = 1.0, 0.0
    if kind != "scale":
        weight = std**-2 / np.sum(std**-2)
        x, y = weight @ mean, weight @ target
        if kind == "affine":
            if np.ptp(mean) == 0:
                raise ValueError("mean is constant; kind 'offset' would do")
            gain = float(weight @ ((mean - x) * (target - y)) / (weight @ (mean - x) ** 2))
        offset = float(y - gain * x)
    z = (target - offset - gain * mean) / std
    scale = float(np.sqrt(np.sum(z * z) / free))
    if scale <= 1e-12 * float(np.max(np.abs(target / std), initial=1e-300)):
        raise ValueError("residuals are all 0; more, or noisier, labelled elements would do")
    return Affine(gain, offset, scale)


class StdMap(NamedTuple):
    """A rising map of std, linear between knots and flat beyond them."""

    knots: FloatArray
    values: FloatArray

    def apply(self, mean: ArrayLike, std: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """The mean unchanged and the repaired std, each ``(m,)``."""
        mean = as_vector("mean", mean)
        return mean, np.interp(as_std("std", std, len(mean)), self.knots, self.values)


def isotonic_std(mean: ArrayLike, std: ArrayLike, target: ArrayLike, floor: float = 0.01) -> StdMap:
    """Isotonic regression of squared error on std: for a factor that varies with std.

    Repairs ``ence``. Flat pieces turn different std into ties, so ranking can only lose. Beyond the
    calibration range the map is flat. ``floor`` times the mean squared error is the least variance,
    for lowest bins whose errors happen to be 0.

    Raises
    ------
    ValueError
        No elements, residuals that are all 0, or a floor not above 0.

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
    if not floor > 0:
        raise ValueError(f"floor is {floor}; a share above 0 would do")
    fit = IsotonicRegression(y_min=floor * float(error.mean())).fit(std, error)
    return StdMap(
        np.asarray(fit.X_thresholds_, float), np.sqrt(np.asarray(fit.y_thresholds_, float))
    )


class QuantileMap(NamedTuple):
    """Sorted calibration PIT: nominal probability i / (n + 1) lies at ``ordered[i - 1]``."""

    ordered: FloatArray

    def _nominal(self) -> FloatArray:
        return np.arange(len(self.ordered) + 2) / (len(self.ordered) + 1)

    def pit(self, mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> FloatArray:
        """Recalibrated PIT ``(m,)``: uniform where the PIT has the law of the calibration part."""
        mean, std, target = as_forecast(mean, std, target)
        raw = ndtr((target - mean) / std)
        return np.interp(raw, np.concatenate([[0.0], self.ordered, [1.0]]), self._nominal())

    def quantile(self, mean: ArrayLike, std: ArrayLike, probability: float) -> FloatArray:
        """Recalibrated quantile ``(m,)``; infinite beyond the outermost calibration PIT."""
        mean = as_vector("mean", mean)
        std = as_std("std", std, len(mean))
        share = as_level(probability, "probability")
        n = len(self.ordered)
        if not 1 <= share * (n + 1) * (1 + 1e-12) <= n * (1 + 1e-9):
            side = -np.inf if share < 0.5 else np.inf
            warn_infinite(1.0, f"{n} calibration elements cannot place the quantile {share:g}")
            return np.full(len(mean), side)
        position = np.interp(share, self._nominal()[1:-1], self.ordered)
        return mean + std * ndtri(position)

    def interval(self, mean: ArrayLike, std: ArrayLike, level: float = 0.9) -> Interval:
        """Central recalibrated interval."""
        tail = (1 - as_level(level)) / 2
        return Interval(self.quantile(mean, std, tail), self.quantile(mean, std, 1 - tail))


def isotonic_quantile(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> QuantileMap:
    """Recalibrated quantiles from the distribution of the calibration PIT.

    The empirical distribution is the isotonic regression of the observed on the expected
    proportion, taken at every element rather than on a grid. Repairs bias in units of std, scale
    and tails, the same for all elements. Source: Kuleshov, Fenner & Ermon, ICML 2018.

    Raises
    ------
    ValueError
        No elements.

    Examples
    --------
    >>> repaired = isotonic_quantile([0] * 3, [1] * 3, [-1.0, 0.5, 2.0])
    >>> repaired.quantile([10.0], [2.0], 0.5).round(9).tolist()
    [11.0]
    """
    mean, std, target = as_forecast(mean, std, target)
    if not len(mean):
        raise ValueError("target has no elements; at least one would do")
    return QuantileMap(np.sort(ndtr((target - mean) / std)))

"""Conformal intervals: coverage from exchangeability alone, and what is left of it under shift.

In: nonconformity scores of a calibration part ``(n,)`` and forecasts of a test part ``(m,)``. Out:
interval ends ``(m,)``, infinite (with an ``InfiniteIntervalWarning``) where the calibration part
cannot support the level, never silently finite. All guarantees are marginal: over calibration part
and one test element together, not for a subset and not given this calibration part.

======================  ====================================================================
``split_cp``            |residual|; coverage >= level for exchangeable elements
``norm_cp``             |residual| / std; the same, widths follow the predicted std
``cqr``                 quantile forecasts; the same, widths follow the quantiles
``mondrian_cp``         the same within every bin, elements exchangeable within the bin
``weighted_cp``         coverage under a covariate shift with *known* density ratio
``group_cp``            coverage for an element of a new group, groups exchangeable
======================  ====================================================================

None of them holds under a concept shift: the scores themselves then have another law.
"""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lib.arrays import (
    FloatArray,
    IntArray,
    as_forecast,
    as_labels,
    as_level,
    as_points,
    as_std,
    as_vector,
    group_codes,
)

_ROUNDING = 1e-9  # (n + 1) * level may miss a whole number by rounding


class InfiniteIntervalWarning(UserWarning):
    """Too little calibration mass for the level: some intervals are infinite."""


class Interval(NamedTuple):
    """Ends of one interval per test element, each ``(m,)``; infinite ends are allowed."""

    lower: FloatArray
    upper: FloatArray


class IntervalReport(NamedTuple):
    """How intervals did; widths are means over the finite ones, NaN where none is."""

    coverage: float
    width: float
    infinite: float
    n: int


def interval_report(interval: Interval, target: ArrayLike) -> IntervalReport:
    """Coverage, mean finite width and share of infinite intervals.

    Infinite intervals cover: read ``infinite`` before ``coverage``. NaN for m = 0.

    Examples
    --------
    >>> interval_report(Interval(np.array([0.0, -np.inf]), np.array([1.0, np.inf])), [2, 2])
    IntervalReport(coverage=0.5, width=1.0, infinite=0.5, n=2)
    """
    target = as_vector("target", target, len(interval.lower))
    if not len(target):
        return IntervalReport(float("nan"), float("nan"), float("nan"), 0)
    inside = (interval.lower <= target) & (target <= interval.upper)
    finite = np.isfinite(interval.lower) & np.isfinite(interval.upper)
    width = (interval.upper - interval.lower)[finite]
    return IntervalReport(
        float(inside.mean()),
        float(width.mean()) if len(width) else float("nan"),
        float(1 - finite.mean()),
        len(target),
    )


def warn_infinite(share: float, reason: str) -> None:
    """Warn that this share of the intervals is infinite, if it is above 0."""
    if share > 0:
        warnings.warn(
            f"{share:.1%} of the intervals are infinite: {reason}",
            InfiniteIntervalWarning,
            stacklevel=3,
        )


def conformal_quantile(scores: ArrayLike, level: float) -> float:
    """The ceil((n + 1) * level)-th smallest score; infinite when that exceeds n.

    Source: Lei et al. 2018; Vovk, Gammerman & Shafer 2005.

    Examples
    --------
    >>> conformal_quantile(np.arange(1.0, 20.0), 0.9)  # ceil(20 * .9) = 18
    18.0
    """
    scores = np.sort(as_vector("scores", scores))
    n = len(scores)
    rank = int(np.ceil((n + 1) * as_level(level) - _ROUNDING))
    if rank > n:
        least = int(np.ceil(level / (1 - level) - _ROUNDING))
        warn_infinite(1.0, f"{n} calibration scores, level {level} needs {least}")
        return float("inf")
    return float(scores[rank - 1])


def weighted_quantile(
    scores: ArrayLike, weights: ArrayLike, test_weights: ArrayLike, level: float
) -> FloatArray:
    """Quantile of the weighted scores with the test element's own mass at infinity, ``(m,)``.

    Parameters
    ----------
    scores, weights : (n,) arrays
        Scores and density ratio dQ/dP (at least 0, any scale) of the calibration part.
    test_weights : (m,) array
        The density ratio at the test elements.
    level : float

    Returns
    -------
    (m,) array
        Infinite where the calibration part holds less than ``level`` of the mass. Equal weights
        give ``conformal_quantile``. Source: Tibshirani et al. 2019 (1904.06019), equation 9.

    Examples
    --------
    >>> weighted_quantile([1.0, 2.0, 3.0], [1, 1, 2], [1.0, 2.0], level=0.6).tolist()
    [3.0, 3.0]
    """
    scores = as_vector("scores", scores)
    weights = as_vector("weights", weights, len(scores))
    own = as_vector("test_weights", test_weights)
    for name, values in (("weights", weights), ("test_weights", own)):
        if len(values) and values.min() < 0:
            row = int(np.argmin(values))
            raise ValueError(f"{name} is {values[row]} in row {row}; at least 0 would do")
    order = np.argsort(scores, kind="stable")
    mass = np.cumsum(weights[order])
    total = mass[-1] if len(mass) else 0.0
    needed = as_level(level) * (total + own)
    position = np.searchsorted(mass, needed * (1 - _ROUNDING), side="left")
    found = np.append(scores[order], np.inf)[np.minimum(position, len(scores))]
    warn_infinite(
        float(np.isinf(found).mean()) if len(found) else 0.0,
        f"the calibration mass around these elements is too small for level {level}",
    )
    return found


def n_eff(weights: ArrayLike) -> float:
    """Effective sample size of weights, (sum w)^2 / sum w^2; 0 where there is no weight.

    Examples
    --------
    >>> n_eff([1, 1, 1, 1]), n_eff([1, 0, 0, 0])
    (4.0, 1.0)
    """
    weights = as_vector("weights", weights)
    square = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / square if square > 0 else 0.0


def one_per_group(groups: ArrayLike, rng: np.random.Generator) -> IntArray:
    """Row numbers with one row drawn from each group: exchangeable when the groups are.

    Examples
    --------
    >>> len(one_per_group(["a", "a", "b"], np.random.default_rng(0)))
    2
    """
    codes, n_groups = group_codes(groups)
    shuffled = rng.permutation(len(codes))
    _, first = np.unique(codes[shuffled], return_index=True)
    return np.sort(shuffled[first]) if n_groups else np.empty(0, np.int64)


def hierarchical_quantile(scores: ArrayLike, groups: ArrayLike, level: float) -> float:
    """Quantile with every group weighing the same and one further group at infinity.

    Uses all rows where ``one_per_group`` uses one of each. Coverage holds for an element of a new
    group, groups exchangeable and elements exchangeable within a group; it is infinite when
    level > K / (K + 1) for K groups. Source: Lee, Barber & Willett 2023 (2306.06342).

    Examples
    --------
    >>> hierarchical_quantile([1.0, 2.0, 9.0], [0, 0, 1], level=0.5)  # masses 1/6, 1/6, 1/3, 1/3
    9.0
    """
    codes, n_groups = group_codes(groups)
    share = 1 / np.bincount(codes, minlength=n_groups)[codes] if n_groups else np.empty(0)
    return float(weighted_quantile(scores, share, [1.0], level)[0])


def split_cp(
    calibration: tuple[ArrayLike, ArrayLike], mean: ArrayLike, level: float = 0.9
) -> Interval:
    """Split conformal: mean +- the quantile of |residual| over ``calibration = (mean, target)``.

    Coverage in [level, level + 1 / (n + 1)) without ties. One width for all. Source: Lei et al.
    2018.

    Examples
    --------
    >>> interval = split_cp((np.zeros(19), np.arange(1.0, 20.0)), [5.0], level=0.9)
    >>> interval.lower.tolist(), interval.upper.tolist()
    ([-13.0], [23.0])
    """
    fitted, target = as_points(*calibration)
    mean = as_vector("mean", mean)
    half = conformal_quantile(np.abs(target - fitted), level)
    return Interval(mean - half, mean + half)


def _normalised(calibration: tuple[ArrayLike, ArrayLike, ArrayLike]) -> FloatArray:
    mean, std, target = as_forecast(*calibration)
    return np.abs(target - mean) / std


def _around(mean: ArrayLike, std: ArrayLike, scale: FloatArray | float) -> Interval:
    mean = as_vector("mean", mean)
    half = as_std("std", std, len(mean)) * scale
    return Interval(mean - half, mean + half)


def norm_cp(
    calibration: tuple[ArrayLike, ArrayLike, ArrayLike],
    mean: ArrayLike,
    std: ArrayLike,
    level: float = 0.9,
) -> Interval:
    """Normalised conformal: mean +- q std, q from |z| of ``calibration = (mean, std, target)``.

    Source: Papadopoulos et al. 2008.

    Examples
    --------
    >>> calibration = (np.zeros(9), np.full(9, 2.0), np.arange(2.0, 20.0, 2.0))
    >>> norm_cp(calibration, [0.0], [0.5], level=0.8).upper.tolist()  # q = 8
    [4.0]
    """
    return _around(mean, std, conformal_quantile(_normalised(calibration), level))


def cqr(
    calibration: tuple[ArrayLike, ArrayLike, ArrayLike],
    lower: ArrayLike,
    upper: ArrayLike,
    level: float = 0.9,
) -> Interval:
    """Conformalised quantile regression on ``calibration = (lower, upper, target)``.

    The score max(lower - y, y - upper) is negative inside; a negative quantile narrows intervals.
    Where that would cross the ends, both become their middle, which keeps the guarantee. Source:
    Romano, Patterson & Candes 2019.

    Examples
    --------
    >>> calibration = (np.zeros(9), np.ones(9), np.linspace(1.1, 1.9, 9))
    >>> cqr(calibration, [0.0], [1.0], level=0.8).upper.round(9).tolist()
    [1.8]
    """
    low = as_vector("calibration lower", calibration[0])
    high = as_vector("calibration upper", calibration[1], len(low))
    target = as_vector("calibration target", calibration[2], len(low))
    move = conformal_quantile(np.maximum(low - target, target - high), level)
    lower = as_vector("lower", lower)
    upper = as_vector("upper", upper, len(lower))
    middle = (lower + upper) / 2
    return Interval(np.minimum(lower - move, middle), np.maximum(upper + move, middle))


def mondrian_cp(
    calibration: tuple[ArrayLike, ArrayLike, ArrayLike],
    calibration_bins: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    bins: ArrayLike,
    level: float = 0.9,
) -> Interval:
    """Normalised conformal within bins (of GC, species): coverage holds in each of them.

    Bins must not depend on the targets. A test bin that the calibration part fills too little gets
    infinite intervals.

    Examples
    --------
    >>> errors = np.concatenate([np.arange(1.0, 10), np.arange(10.0, 100, 10)])
    >>> calibration = (np.zeros(18), np.ones(18), errors)
    >>> mondrian_cp(calibration, np.repeat([0, 1], 9), [0, 0], [1, 1], [0, 1], 0.8).upper.tolist()
    [8.0, 80.0]
    """
    scores = _normalised(calibration)
    mean = as_vector("mean", mean)
    known = as_labels("calibration_bins", calibration_bins, len(scores))
    wanted = as_labels("bins", bins, len(mean))
    scale = np.empty(len(mean))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InfiniteIntervalWarning)
        for label in np.unique(wanted):
            scale[wanted == label] = conformal_quantile(scores[known == label], level)
    short = np.unique(wanted[np.isinf(scale)]).tolist()
    warn_infinite(
        float(np.isinf(scale).mean()) if len(scale) else 0.0,
        f"too few calibration scores for level {level} in bins {short}",
    )
    return _around(mean, std, scale)


def weighted_cp(
    calibration: tuple[ArrayLike, ArrayLike, ArrayLike],
    weights: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    test_weights: ArrayLike,
    level: float = 0.9,
) -> Interval:
    """Normalised conformal weighted by a density ratio test / calibration.

    Exact for a covariate shift whose ratio is known (a simulated tilt). With an estimated ratio
    (``lib.repair.detection.density_ratio``) coverage is as good as the estimate; under a concept
    shift there is none. Print ``n_eff(weights)`` and the share of infinite intervals beside it.
    Source: Tibshirani et al. 2019 (1904.06019); Jonkers 2024 (2404.15018).

    Examples
    --------
    >>> calibration = (np.zeros(4), np.ones(4), [1.0, 2.0, 3.0, 4.0])
    >>> weighted_cp(calibration, [0, 0, 1, 1], [0.0], [1.0], [1.0], level=0.5).upper.tolist()
    [4.0]
    """
    return _around(
        mean, std, weighted_quantile(_normalised(calibration), weights, test_weights, level)
    )


def group_cp(
    calibration: tuple[ArrayLike, ArrayLike, ArrayLike],
    groups: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    level: float = 0.9,
) -> Interval:
    """Normalised conformal for calibration rows that come in groups (``hierarchical_quantile``).

    Examples
    --------
    >>> calibration = (np.zeros(4), np.ones(4), [1.0, 2.0, 3.0, 4.0])
    >>> group_cp(calibration, [0, 0, 1, 2], [0.0], [1.0], level=0.7).upper.tolist()
    [4.0]
    """
    return _around(mean, std, hierarchical_quantile(_normalised(calibration), groups, level))

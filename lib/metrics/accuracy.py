"""How well the predicted mean matches the target; the predicted std plays no part.

In: ``mean`` and ``target``, vectors ``(n,)`` in one unit. Out: a float. With fewer elements than a
metric needs, or with a constant side where it divides by a spread, the value is NaN, never an
error: a conditional table may hold empty bins.
"""

import numpy as np
from numpy.typing import ArrayLike

from lib.arrays import FloatArray, as_points, as_vector, ranks


def _correlation(left: FloatArray, right: FloatArray) -> float:
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    left, right = left - left.mean(), right - right.mean()
    return float(np.clip(left @ right / np.sqrt((left @ left) * (right @ right)), -1, 1))


def pearson_r(mean: ArrayLike, target: ArrayLike) -> float:
    """Linear correlation of prediction and target.

    Higher is better, in [-1, 1]; NaN for n < 2 or a constant side. Blind to gain and offset, and it
    falls when a subset has less spread, so print ``sd_target`` beside it.

    Examples
    --------
    >>> round(pearson_r([1, 2, 3], [1.5, 3, 2]), 12)  # 0.5 / sqrt(2 * 7 / 6)
    0.327326835354
    """
    return _correlation(*as_points(mean, target))


def spearman_r(mean: ArrayLike, target: ArrayLike) -> float:
    """Pearson correlation of the ranks, ties sharing their average rank.

    Higher is better, in [-1, 1]; NaN for n < 2 or a constant side. Does not see whether distances
    are right, only their order.

    Examples
    --------
    >>> round(spearman_r([1, 2, 3], [1, 4, 9]), 12)
    1.0
    """
    mean, target = as_points(mean, target)
    return _correlation(ranks(mean), ranks(target))


def rmse(mean: ArrayLike, target: ArrayLike) -> float:
    """Root mean squared error, in the unit of the target.

    Lower is better, at least 0; NaN for n = 0. Does not tell a worse mean from larger noise.

    Examples
    --------
    >>> rmse([0, 0], [3, 4]) == 12.5**0.5
    True
    """
    mean, target = as_points(mean, target)
    return float(np.sqrt(np.mean((mean - target) ** 2))) if len(mean) else float("nan")


def mae(mean: ArrayLike, target: ArrayLike) -> float:
    """Mean absolute error, in the unit of the target.

    Lower is better, at least 0; NaN for n = 0. Less moved by single large errors than ``rmse``.

    Examples
    --------
    >>> mae([0, 0], [3, -4])
    3.5
    """
    mean, target = as_points(mean, target)
    return float(np.mean(np.abs(mean - target))) if len(mean) else float("nan")


def bias(mean: ArrayLike, target: ArrayLike) -> float:
    """Mean of prediction minus target, in the unit of the target.

    Best at 0, any sign; NaN for n = 0. Errors of opposite sign cancel: 0 says nothing of their
    size.

    Examples
    --------
    >>> bias([1, 2], [0, 0])
    1.5
    """
    mean, target = as_points(mean, target)
    return float(np.mean(mean - target)) if len(mean) else float("nan")


def r2_cod(mean: ArrayLike, target: ArrayLike) -> float:
    """Coefficient of determination, 1 - SSE / SST.

    Higher is better, in (-inf, 1]; 0 is the mean of *these* targets; NaN for n < 2 or constant
    targets. Not the squared correlation: that is ``r2_pearson``, which forgives gain and offset.

    Examples
    --------
    >>> r2_cod([1, 2, 4], [1, 2, 3])  # 1 - 1/2
    0.5
    """
    mean, target = as_points(mean, target)
    if len(target) < 2 or np.ptp(target) == 0:
        return float("nan")
    spread = np.sum((target - target.mean()) ** 2)
    return float(1 - np.sum((target - mean) ** 2) / spread)


def r2_pearson(mean: ArrayLike, target: ArrayLike) -> float:
    """Squared Pearson correlation.

    Higher is better, in [0, 1]; NaN where ``pearson_r`` is. A perfectly reversed prediction scores
    1.

    Examples
    --------
    >>> r2_pearson([1, 2, 3], [30, 20, 10])
    1.0
    """
    return pearson_r(mean, target) ** 2


def sd_target(target: ArrayLike) -> float:
    """Sample standard deviation of the targets (divisor n - 1), in their unit.

    A property of the data, neither good nor bad; NaN for n < 2. It stands beside every correlation.

    Examples
    --------
    >>> sd_target([1, 2, 3])
    1.0
    """
    target = as_vector("target", target)
    return float(np.std(target, ddof=1)) if len(target) > 1 else float("nan")

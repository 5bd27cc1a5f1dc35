"""Central intervals of a Gaussian forecast: how often they hold the target, and how wide they are.

In: ``mean``, ``std``, ``target``, vectors ``(n,)``, and a nominal ``level`` inside (0, 1). Out: a
float; NaN for n = 0. Sources: Kuleshov, Fenner & Ermon, ICML 2018; Greenman et al. 2025.
"""

from numpy.typing import ArrayLike
from scipy.special import ndtr

from lib.arrays import FloatArray, as_forecast, as_level, as_std, as_vector
from lib.metrics import _elements


def interval(mean: ArrayLike, std: ArrayLike, level: float = 0.9) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end of the central Gaussian interval, each ``(n,)``.

    Examples
    --------
    >>> lower, upper = interval([0.0], [1.0], level=0.9)
    >>> round(float(upper[0]), 6)
    1.644854
    """
    mean = as_vector("mean", mean)
    half = _elements.half_width(as_level(level)) * as_std("std", std, len(mean))
    return mean - half, mean + half


def picp(mean: ArrayLike, std: ArrayLike, target: ArrayLike, level: float = 0.9) -> float:
    """Share of targets inside their interval, ends included.

    Best at ``level``, in [0, 1]; NaN for n = 0. Wide intervals cover: print ``mpiw`` beside it.
    Right on average says nothing of any subset.

    Examples
    --------
    >>> picp([0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 2, 3], level=0.9)
    0.5
    """
    mean, std, target = as_forecast(mean, std, target)
    inside = _elements.covered((target - mean) / std, as_level(level))
    return float(inside.mean()) if len(inside) else float("nan")


def mpiw(std: ArrayLike, level: float = 0.9) -> float:
    """Mean width of the intervals, in the unit of the target.

    Lower is better at equal coverage, above 0; NaN for n = 0. Knows nothing of the target.

    Examples
    --------
    >>> round(mpiw([1, 3], level=0.9), 6)  # 2 * 1.644854 * 2
    6.579415
    """
    std = as_std("std", std)
    half = _elements.half_width(as_level(level))
    return float(2 * half * std.mean()) if len(std) else float("nan")


def coverage_gap(mean: ArrayLike, std: ArrayLike, target: ArrayLike, level: float = 0.9) -> float:
    """Coverage minus its nominal level: below 0 is overconfident.

    Best at 0, in [-level, 1 - level]; NaN for n = 0. Deviations of parts can cancel.

    Examples
    --------
    >>> round(coverage_gap([0, 0], [1, 1], [0, 3], level=0.9), 12)
    -0.4
    """
    return picp(mean, std, target, level) - level


def coverage_under_scale(scale: float, level: float = 0.9) -> float:
    """Coverage when predicted std is ``scale`` times the true one: 2 Phi(q scale) - 1.

    Examples
    --------
    >>> round(coverage_under_scale(0.5), 4), round(coverage_under_scale(2), 4)
    (0.5892, 0.999)
    """
    as_std("scale", [scale])
    return float(2 * ndtr(_elements.half_width(as_level(level)) * scale) - 1)

"""Proper scores of a Gaussian forecast: calibration and sharpness in one number.

In: ``mean``, ``std``, ``target``, vectors ``(n,)`` in one unit. Out: a float; NaN for n = 0.
Source of all but the last two: Gneiting & Raftery, JASA 102 (2007) 359-378.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from lib.arrays import FloatArray, as_count, as_forecast, as_level, as_std, as_vector
from lib.metrics import _elements


def _mean(values: FloatArray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def nll_gaussian(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Mean negative log density, in nats.

    Lower is better, unbounded; NaN for n = 0. One confident error can outweigh all else, and the
    value moves by log(c) when the unit changes by c: compare on one target only.

    Examples
    --------
    >>> round(nll_gaussian([1, 2, 3], [0.1, 0.5, 1], [1.5, 3, 2]), 12)
    4.920361108687
    """
    mean, std, target = as_forecast(mean, std, target)
    return _mean(_elements.nll((target - mean) / std, std))


def crps_gaussian(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Mean continuous ranked probability score, in the unit of the target (equation 21).

    Lower is better, above 0; NaN for n = 0. For std -> 0 it is the absolute error. It does not say
    whether error or width is at fault.

    Examples
    --------
    >>> round(crps_gaussian([1, 2, 3], [0.1, 0.5, 1], [1.5, 3, 2]), 10)
    0.5908061069
    """
    mean, std, target = as_forecast(mean, std, target)
    return _mean(_elements.crps((target - mean) / std, std))


def crps_skill(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, climatology: tuple[float, float]
) -> float:
    """CRPS skill over a constant Gaussian forecast: 1 - CRPS / CRPS of climatology.

    Higher is better, in (-inf, 1); 0 is the constant; NaN for n = 0. ``climatology`` is the mean
    and std of the *training* targets: with those of the test part a shift would be hidden. It
    stands beside every calibration value, because a constant forecast can be calibrated.

    Examples
    --------
    >>> crps_skill([0, 0], [1, 1], [1, -1], climatology=(0, 1))
    0.0
    """
    mean, std, target = as_forecast(mean, std, target)
    centre = as_vector("climatology mean", [climatology[0]])
    width = as_std("climatology std", [climatology[1]])
    reference = _mean(_elements.crps((target - centre) / width, np.broadcast_to(width, std.shape)))
    return 1 - _mean(_elements.crps((target - mean) / std, std)) / reference


def interval_score(mean: ArrayLike, std: ArrayLike, target: ArrayLike, level: float = 0.9) -> float:
    """Winkler score of the central interval: width plus 2 / (1 - level) per unit of a miss.

    Equation 43. Lower is better, above 0, in the unit of the target; NaN for n = 0. One level only:
    right in its tails does not mean right in the middle.

    Examples
    --------
    >>> round(interval_score([0], [1], [2], level=0.9), 12)  # 3.289707254 + 20 * 0.355146373
    10.392634714874
    """
    mean, std, target = as_forecast(mean, std, target)
    return _mean(_elements.interval_score((target - mean) / std, std, as_level(level)))


def _piecewise(z: FloatArray, knots: FloatArray, at_knots: FloatArray, slope: float) -> FloatArray:
    """A convex piecewise linear function of z, with slopes -/+ ``slope`` beyond the outer knots."""
    inside = np.interp(z, knots, at_knots)
    return inside + slope * (np.maximum(knots[0] - z, 0) + np.maximum(z - knots[-1], 0))


def check_score(mean: ArrayLike, std: ArrayLike, target: ArrayLike, levels: int = 99) -> float:
    """Pinball loss averaged over equally spaced quantiles from 0.01 to 0.99.

    Lower is better, above 0, in the unit of the target; NaN for n = 0. Twice its limit for many
    levels is the CRPS, so it adds nothing to that; kept because uncertainty-toolbox prints it.

    Examples
    --------
    >>> round(check_score([1, 2, 3], [0.1, 0.5, 1], [1.5, 3, 2]), 12)
    0.298014373238
    """
    mean, std, target = as_forecast(mean, std, target)
    probability = np.linspace(0.01, 0.99, as_count("levels", levels, 2))
    knots = ndtri(probability)
    gap = knots[:, None] - knots[None, :]
    # pinball loss of the quantile with probability p at distance d = z - knot: max(p d, (p - 1) d)
    at_knots = np.maximum(probability * gap, (probability - 1) * gap).mean(axis=1)
    return _mean(std * _piecewise((target - mean) / std, knots, at_knots, probability.mean()))


def interval_score_mean(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, levels: int = 99
) -> float:
    """Winkler score averaged over equally spaced levels from 0.01 to 0.99.

    Lower is better, above 0, in the unit of the target; NaN for n = 0. This is what
    uncertainty-toolbox calls the interval score; the widest levels dominate it.

    Examples
    --------
    >>> round(interval_score_mean([1, 2, 3], [0.1, 0.5, 1], [1.5, 3, 2]), 11)
    3.20755700862
    """
    mean, std, target = as_forecast(mean, std, target)
    alpha = 1 - np.linspace(0.01, 0.99, as_count("levels", levels, 2))
    half = ndtri(1 - alpha / 2)
    missed = 2 / alpha * np.maximum(half[:, None] - half[None, :], 0)
    at_knots = 2 * half.mean() + missed.mean(axis=1)
    z = np.abs(target - mean) / std
    beyond = np.mean(2 / alpha) * np.maximum(z - half[-1], 0)
    return _mean(std * (np.interp(z, half, at_knots) + beyond))

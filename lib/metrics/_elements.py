"""Per-element values behind the mean scores, from ``z = (target - mean) / std`` and ``std``.

In: checked vectors ``(n,)``. Out: vectors ``(n,)`` in the unit of the score. The public metrics
average them; the bootstrap sums them by group; both therefore share one formula.
"""

import numpy as np
from scipy.special import ndtr, ndtri

from lib.arrays import FloatArray

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
_INV_SQRT_2PI = 1 / np.sqrt(2 * np.pi)
_INV_SQRT_PI = 1 / np.sqrt(np.pi)


def half_width(level: float) -> float:
    """Half the width of the central Gaussian interval, in standard deviations."""
    return float(ndtri((1 + level) / 2))


def nll(z: FloatArray, std: FloatArray) -> FloatArray:
    """Negative log density of a Gaussian forecast, in nats."""
    return _HALF_LOG_2PI + np.log(std) + 0.5 * z * z


def crps(z: FloatArray, std: FloatArray, cdf: FloatArray | None = None) -> FloatArray:
    """Continuous ranked probability score of a Gaussian forecast; ``cdf`` is Phi(z) if known."""
    cdf = ndtr(z) if cdf is None else cdf
    density = _INV_SQRT_2PI * np.exp(-0.5 * z * z)
    return std * (z * (2 * cdf - 1) + 2 * density - _INV_SQRT_PI)


def interval_score(z: FloatArray, std: FloatArray, level: float) -> FloatArray:
    """Winkler score of the central interval at ``level``."""
    half = half_width(level)
    outside = np.maximum(np.abs(z) - half, 0)
    return 2 * std * (half + outside / (1 - level))


def covered(z: FloatArray, level: float) -> FloatArray:
    """1 where the central interval at ``level`` holds the target, its ends included, else 0."""
    return (np.abs(z) <= half_width(level)).astype(np.float64)

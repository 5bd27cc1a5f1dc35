"""Does the predicted std match the errors: over all levels, by its own size, and why not.

In: ``mean``, ``std``, ``target``, vectors ``(n,)`` in one unit; ``z = (target - mean) / std``. Out:
a float, or an array where said; too few elements give NaN. Bins hold equal counts (up to one) in
the order of ``std``, ties in row order; no more bins than elements allow. "ECE" is not used: its
definitions differ (Wibbeke 2025, arXiv 2508.17761). None of these has an interval: resampling
itself moves them away from perfect calibration. The null bands of ``lib.metrics.audit`` say how
large they are for a perfect forecaster.

* ``mace``, ``rmsce``: mean and root mean squared distance of observed from expected coverage of
  central intervals, over 100 even levels; in [0, 0.58], lower is better. Nothing of sharpness.
  ``miscal_area`` (AUCE), in [0, 0.5]: area between the joined curve and the diagonal. A std twice
  too small and one twice too large both give 0.2048: see ``picp``. Sources: Kuleshov, Fenner &
  Ermon, ICML 2018; Tran et al. 2020; Chung et al. 2021.
* ``ence``: mean over bins of abs(RMSE - RMV) / RMV, RMV the root mean predicted variance; at least
  0, lower is better. Of a perfect forecast it grows as sqrt(bins / n). Levi et al. 2019 (arXiv
  1905.11659); Pernot 2023.
* ``uce``: mean over elements of the bin's abs(MSE - mean variance), in squared units; at least 0,
  lower is better. The bins of largest std dominate. Laves et al. 2020.
* ``zve``: exp of the mean over bins of abs(log var z), best at 1; infinite when a bin has constant
  z, NaN for n < 2. As ``ence``, it grows with the number of bins. Pernot 2023.

Examples
--------
>>> z = np.array([5.0, 2.0, -1.0])
>>> {name: round(float(v), 9) for name, v in curve_distances(observed_shares(z)).items()}
{'mace': 0.373333333, 'rmsce': 0.416575748, 'miscal_area': 0.377104377}
>>> z, std = np.array([2.0, 1.0]), np.array([1.0, 2.0])
>>> found = binned_metrics(z, std, np.arange(2), bins=2)
>>> found["ence"], found["uce"]  # (1 + 0) / 2; (|4 - 1| + |4 - 4|) / 2
(0.5, 1.5)
>>> pit_ks([0], [1], [0]), round(zms_robust([0] * 3, [1] * 3, [0.1, 0.67448975, 50]), 6)
(0.5, 1.0)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from lib import arrays
from lib.arrays import FloatArray, IntArray, as_forecast, as_nonnegative
from lib.metrics.columns import Values

CHI2_MEDIAN = 0.45493642311957305  # median of a chi-squared variable with one degree of freedom
BINS = 20
POINTS = 100


def _z(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> FloatArray:
    mean, std, target = as_forecast(mean, std, target)
    return (target - mean) / std


def pit(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> FloatArray:
    """Probability integral transform Phi(z) of every element, ``(n,)``.

    Uniform when calibrated; a U shape is overconfident, a hump underconfident, a slope biased.
    Uniform over all does not mean uniform in any subset (Gneiting, Balabdaoui & Raftery 2007).
    """
    return ndtr(_z(mean, std, target))


def observed_shares(z: FloatArray, points: int = POINTS) -> FloatArray:
    """Share of targets that central intervals hold at even levels over [0, 1], ``(points,)``."""
    grid = np.linspace(0, 1, points)
    reached = np.searchsorted(ndtri((1 + grid) / 2), np.abs(z), side="left")
    with np.errstate(invalid="ignore"):
        return np.cumsum(np.bincount(reached, minlength=points)) / np.float64(len(z))


def area_between(expected: FloatArray, observed: FloatArray) -> FloatArray:
    """Area between a piecewise linear curve and the diagonal; the last axis of both is the grid."""
    gap = observed - expected
    left, right = np.abs(gap[..., :-1]), np.abs(gap[..., 1:])
    crossing = np.signbit(gap[..., :-1]) != np.signbit(gap[..., 1:])
    total = left + right
    halves = np.divide(left**2 + right**2, total, out=np.zeros_like(total), where=total > 0)
    return np.sum(np.diff(expected) * np.where(crossing, halves, total) / 2, axis=-1)


def curve_distances(observed: FloatArray) -> Values:
    """``mace``, ``rmsce`` and ``miscal_area`` of proportions whose last axis is the even grid."""
    expected = np.linspace(0, 1, observed.shape[-1])
    gap = np.abs(observed - expected)
    return {
        "mace": gap.mean(axis=-1),
        "rmsce": np.sqrt((gap**2).mean(axis=-1)),
        "miscal_area": area_between(expected, observed),
    }


def bin_starts(n: int, bins: int, least: int = 1) -> tuple[IntArray, FloatArray]:
    """First rows and sizes of equal-count bins of ``n`` elements, each of at least ``least``."""
    count = min(arrays.as_count("bins", bins), n // least)
    sizes = n // max(count, 1) + (np.arange(count) < n % max(count, 1)).astype(np.int64)
    return np.cumsum(sizes) - sizes, sizes.astype(np.float64)


def bin_distances(error: FloatArray, variance: FloatArray, n: int) -> Values:
    """``ence`` and ``uce`` from sums ``(bins, ...)`` of squared errors and predicted variances."""
    return {
        "ence": np.abs(np.sqrt(error / variance) - 1).mean(axis=0),
        "uce": np.abs(error - variance).sum(axis=0) / n,
    }


def zve_of(variances: FloatArray) -> FloatArray:
    """``zve`` from the variances of z ``(bins, ...)``."""
    with np.errstate(divide="ignore"):
        return np.exp(np.abs(np.log(np.maximum(variances, 0))).mean(axis=0))


def binned_metrics(
    z: FloatArray, std: FloatArray, order: IntArray, bins: int = BINS
) -> dict[str, float]:
    """``ence``, ``uce``, ``zve``; ``order`` is the stable order of ``std``."""
    n, z, std = len(z), z[order], std[order]
    if not n:
        return dict.fromkeys(("ence", "uce", "zve"), float("nan"))
    start, _ = bin_starts(n, bins)
    error, variance = (np.add.reduceat(values**2, start) for values in (std * z, std))
    found = bin_distances(error, variance, n) | {"zve": np.array(np.nan)}
    start, sizes = bin_starts(n, bins, least=2)
    if len(start):
        z -= np.repeat(np.add.reduceat(z, start) / sizes, sizes.astype(np.int64))
        found["zve"] = zve_of(np.add.reduceat(z * z, start) / (sizes - 1))
    return {name: float(value) for name, value in found.items()}


def pit_ks(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Largest distance between the distribution of the PIT and the uniform one.

    The Kolmogorov-Smirnov statistic. Lower is better, in [1 / 2n, 1]; NaN for n = 0. Of order 1 /
    sqrt(n) for a perfect forecast, and weak in the tails.
    """
    u = np.sort(pit(mean, std, target))
    below = np.arange(len(u)) / max(len(u), 1)
    apart = np.maximum(below + 1 / max(len(u), 1) - u, u - below)
    return float(apart.max()) if len(u) else float("nan")


def zms_robust(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Median of z squared over its value for a Gaussian, .4549.

    Best at 1, above it overconfident, at least 0; NaN for n = 0. Single large errors do not move
    it, so it misses tails; under heavy-tailed but right variance it falls below 1.
    """
    z = _z(mean, std, target)
    return float(np.median(z * z)) / CHI2_MEDIAN if len(z) else float("nan")


class ZmsDecomposition(NamedTuple):
    """Shares of the predicted variance: 0 is right, above 0 is too little predicted variance."""

    aleatoric: float
    bias: float
    missing: float


def zms_decomposition(
    mean: ArrayLike, std: ArrayLike, true_activity: ArrayLike, true_std: ArrayLike
) -> ZmsDecomposition:
    """Where the miscalibration of a single model comes from in a simulation: E[z^2] - 1 by cause.

    With true activity f and true noise sigma, exactly in expectation over fresh noise::

        E[z^2] - 1 = E[sigma^2 / std^2 - 1] + E[(f - mean)^2 / std^2]
                     wrong aleatoric          epistemic deficit

    The second term is split by the affine fit g of f on the mean, every element weighted by
    1 / std^2 as in the sum, so that no cross term is left: (g - mean)^2 is bias, the rest missing.
    All are ``(n,)``, n at least 1, in the unit of the target. For n < 3 the line fits through every
    point: all is bias. A std that is not above 0 and a negative ``true_std`` are a ``ValueError``.

    Examples
    --------
    >>> split = zms_decomposition([0, 1], [1, 1], [1, 2], [2**0.5, 2**0.5])
    >>> [round(part, 12) for part in split]  # sigma^2 = 2 for 1, and a constant bias of 1
    [1.0, 1.0, 0.0]
    """
    mean, std, f = as_forecast(mean, std, true_activity)
    variance = std**2
    weight = 1 / variance / np.sum(1 / variance)
    from_centre, rise = mean - weight @ mean, f - weight @ f
    slope = weight @ (from_centre * rise) / (weight @ from_centre**2) if np.ptp(mean) > 0 else 0.0
    line = weight @ f + slope * from_centre
    noise = as_nonnegative("true_std", true_std, len(mean)) ** 2
    bias = float(np.mean((line - mean) ** 2 / variance))
    deficit = float(np.mean((f - mean) ** 2 / variance))
    return ZmsDecomposition(float(np.mean((noise - variance) / variance)), bias, deficit - bias)

"""Does the predicted std match the errors: on average, by its own size, over all levels.

In: ``mean``, ``std``, ``target``, vectors ``(n,)`` in one unit; ``z = (target - mean) / std``. Out:
a float, or an array where said. Fewer elements than a metric needs: NaN. Bins hold equal counts (up
to one) in the order of ``std``, ties in row order; no more bins than elements allow. "ECE" is not
used: its definitions differ (Wibbeke 2025, arXiv 2508.17761).
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from lib.arrays import FloatArray, as_count, as_forecast, as_std, ranks, stable_order
from lib.metrics.accuracy import _correlation

CurveType = Literal["interval", "quantile"]
CHI2_MEDIAN = 0.45493642311957305  # median of a chi-squared variable with one degree of freedom


def _z(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> FloatArray:
    mean, std, target = as_forecast(mean, std, target)
    return (target - mean) / std


def pit(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> FloatArray:
    """Probability integral transform Phi(z) of every element, ``(n,)``.

    Uniform when calibrated; a U shape is overconfident, a hump underconfident, a slope biased.
    Uniform over all does not mean uniform in any subset (Gneiting, Balabdaoui & Raftery 2007).

    Examples
    --------
    >>> pit([0, 0], [1, 1], [0, 1.959963984540054]).round(6).tolist()
    [0.5, 0.975]
    """
    return ndtr(_z(mean, std, target))


def pit_ks(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Largest distance between the distribution of the PIT and the uniform one.

    The Kolmogorov-Smirnov statistic. Lower is better, in [1 / 2n, 1]; NaN for n = 0. Of order 1 /
    sqrt(n) for a perfect forecast, and weak in the tails.

    Examples
    --------
    >>> pit_ks([0], [1], [0])
    0.5
    """
    u = np.sort(pit(mean, std, target))
    if not len(u):
        return float("nan")
    steps = np.arange(len(u) + 1) / len(u)
    return float(max((steps[1:] - u).max(), (u - steps[:-1]).max()))


def calibration_curve(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    kind: CurveType = "interval",
    points: int = 100,
) -> tuple[FloatArray, FloatArray]:
    """Expected and observed proportions on an even grid over [0, 1], each ``(points,)``.

    ``interval``: share of targets in the central interval of that level. ``quantile``: share at or
    below that quantile. Observed above expected is underconfident for ``interval``. NaN for n = 0.
    Source: Kuleshov, Fenner & Ermon, ICML 2018.

    Examples
    --------
    >>> expected, observed = calibration_curve([0, 0], [1, 1], [0.1, 5], points=3)
    >>> observed.tolist()  # at levels 0, 0.5, 1
    [0.0, 0.5, 1.0]
    """
    u = pit(mean, std, target)
    if kind not in ("interval", "quantile"):
        raise ValueError(f"kind is {kind!r}; 'interval' or 'quantile' would do")
    expected = np.linspace(0, 1, as_count("points", points, 2))
    if not len(u):
        return expected, np.full(len(expected), np.nan)
    inner = np.abs(2 * u - 1) if kind == "interval" else u
    return expected, np.searchsorted(np.sort(inner), expected, side="right") / len(u)


def mace(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    kind: CurveType = "interval",
    points: int = 100,
) -> float:
    """Mean absolute distance of observed from expected proportions.

    Lower is better, in [0, 0.5]; NaN for n = 0. State the ``kind``: a std that is too small pulls
    the quantile curve symmetrically about one half and looks half as bad. Says nothing of
    sharpness. Source: Chung et al. 2021 (uncertainty-toolbox).

    Examples
    --------
    >>> round(mace([1, 2, 3], [0.1, 0.5, 1], [1.5, 3, 2]), 12)
    0.373333333333
    """
    expected, observed = calibration_curve(mean, std, target, kind, points)
    return float(np.mean(np.abs(observed - expected)))


def rmsce(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    kind: CurveType = "interval",
    points: int = 100,
) -> float:
    """Root mean squared distance of observed from expected proportions.

    Lower is better, in [0, 0.58]; NaN for n = 0. As ``mace``, weighting the worst levels more.

    Examples
    --------
    >>> round(rmsce([1, 2, 3], [0.1, 0.5, 1], [1.5, 3, 2]), 12)
    0.416575747656
    """
    expected, observed = calibration_curve(mean, std, target, kind, points)
    return float(np.sqrt(np.mean((observed - expected) ** 2)))


def area_between(expected: FloatArray, observed: FloatArray) -> FloatArray:
    """Area between a piecewise linear curve and the diagonal; the last axis of both is the grid."""
    gap = observed - expected
    left, right = np.abs(gap[..., :-1]), np.abs(gap[..., 1:])
    crossing = np.signbit(gap[..., :-1]) != np.signbit(gap[..., 1:])
    total = left + right
    halves = np.divide(left**2 + right**2, total, out=np.zeros_like(total), where=total > 0)
    return np.sum(np.diff(expected) * np.where(crossing, halves, total) / 2, axis=-1)


def miscal_area(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    kind: CurveType = "interval",
    points: int = 100,
) -> float:
    """Miscalibration area: between the linearly joined curve and the diagonal. Also called AUCE.

    Lower is better, in [0, 0.5]; NaN for n = 0. A std twice too small and one twice too large both
    give 0.2048 in the limit: print ``picp`` for the direction. Source: Tran et al. 2020.

    Examples
    --------
    >>> round(miscal_area([0, 0], [1, 1], [0.0, 0.0], points=2), 12)  # curve from (0, 1) to (1, 1)
    0.5
    """
    return float(area_between(*calibration_curve(mean, std, target, kind, points)))


def binned_by_std(std: FloatArray, bins: int, least: int = 1) -> list[np.ndarray]:
    """Row numbers of equal-count bins in the order of ``std``, each of at least ``least`` rows."""
    bins = min(as_count("bins", bins), len(std) // least)
    return np.array_split(stable_order(std), bins) if bins else []


def ence(mean: ArrayLike, std: ArrayLike, target: ArrayLike, bins: int = 20) -> float:
    """Expected normalised calibration error: mean over bins of |RMSE - RMV| / RMV.

    Lower is better, at least 0; NaN for n = 0. RMV is the root of the mean predicted variance. Its
    value for a perfect forecast grows as sqrt(bins / n): compare with the null band, never with 0.
    Source: Levi et al. 2019 (arXiv 1905.11659); Pernot 2023.

    Examples
    --------
    >>> ence([0, 0], [1, 2], [2, 2], bins=2)  # (|2 - 1| / 1 + |2 - 2| / 2) / 2
    0.5
    """
    mean, std, target = as_forecast(mean, std, target)
    error, variance = (target - mean) ** 2, std**2
    parts = [
        abs(np.sqrt(error[rows].mean() / variance[rows].mean()) - 1)
        for rows in binned_by_std(std, bins)
    ]
    return float(np.mean(parts)) if parts else float("nan")


def uce(mean: ArrayLike, std: ArrayLike, target: ArrayLike, bins: int = 20) -> float:
    """Uncertainty calibration error: mean over elements of the bin's |MSE - mean variance|.

    Lower is better, at least 0, in squared units of the target; NaN for n = 0. The bins of largest
    std dominate. Source: Laves et al. 2020.

    Examples
    --------
    >>> uce([0, 0], [1, 2], [2, 2], bins=2)  # (|4 - 1| + |4 - 4|) / 2
    1.5
    """
    mean, std, target = as_forecast(mean, std, target)
    error, variance = (target - mean) ** 2, std**2
    parts = [
        len(rows) * abs(error[rows].mean() - variance[rows].mean())
        for rows in binned_by_std(std, bins)
    ]
    return float(np.sum(parts) / len(std)) if parts else float("nan")


def zms(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Mean squared z: average calibration of the variance.

    Best at 1, above it overconfident, at least 0; NaN for n = 0. Mixes bias with wrong variance,
    and heavy tails move it: see ``zms_robust`` and ``zms_decomposition``. Source: Pernot 2024
    (2402.10043).

    Examples
    --------
    >>> zms([0, 0], [1, 2], [1, 4])  # (1 + 4) / 2
    2.5
    """
    z = _z(mean, std, target)
    return float(np.mean(z * z)) if len(z) else float("nan")


def zms_robust(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Median of z squared over its value for a Gaussian, .4549.

    Best at 1, above it overconfident, at least 0; NaN for n = 0. Single large errors do not move
    it, so it misses tails; under heavy-tailed but right variance it falls below 1.

    Examples
    --------
    >>> round(zms_robust([0, 0, 0], [1, 1, 1], [0.1, 0.6744897501960817, 50]), 12)
    1.0
    """
    z = _z(mean, std, target)
    return float(np.median(z * z) / CHI2_MEDIAN) if len(z) else float("nan")


def zvar(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Sample variance of z (divisor n - 1).

    Best at 1, at least 0; NaN for n < 2. Blind to a constant bias of z, which ``zms`` counts.
    Source: Pernot 2024 (2402.10043).

    Examples
    --------
    >>> zvar([0, 0], [1, 1], [5, 7])
    2.0
    """
    z = _z(mean, std, target)
    return float(np.var(z, ddof=1)) if len(z) > 1 else float("nan")


def zve(mean: ArrayLike, std: ArrayLike, target: ArrayLike, bins: int = 20) -> float:
    """Z-variance error: exp of the mean over bins of |log var z|.

    Best at 1, at least 1; NaN for n < 2; infinite when a bin has constant z. As ``ence``, its value
    for a perfect forecast grows with the number of bins. Source: Pernot 2023.

    Examples
    --------
    >>> zve([0, 0, 0, 0], [1, 1, 2, 2], [0, 2, 0, 4], bins=2)  # both bins have var z = 2
    2.0
    """
    z = _z(mean, std, target)
    variances = [
        np.var(z[rows], ddof=1) for rows in binned_by_std(as_std("std", std), bins, least=2)
    ]
    if not variances:
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(np.exp(np.mean(np.abs(np.log(variances)))))


def sharpness(std: ArrayLike) -> float:
    """Root mean predicted variance, in the unit of the target.

    Lower is better at equal calibration, above 0; NaN for n = 0. Knows nothing of the target.

    Examples
    --------
    >>> round(sharpness([0.1, 0.5, 1]), 12)
    0.648074069841
    """
    std = as_std("std", std)
    return float(np.sqrt(np.mean(std**2))) if len(std) else float("nan")


def dispersion_cv(std: ArrayLike) -> float:
    """Coefficient of variation of the predicted std (divisor n - 1).

    Neither good nor bad, at least 0; 0 for a constant std, which can say nothing about single
    elements; NaN for n < 2. Source: Levi et al. 2019.

    Examples
    --------
    >>> dispersion_cv([1, 3]) == 2**0.5 / 2
    True
    """
    std = as_std("std", std)
    return float(np.std(std, ddof=1) / np.mean(std)) if len(std) > 1 else float("nan")


def unc_error_spearman(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Rank correlation of absolute error and predicted std.

    Higher is better, in [-1, 1]; NaN for n < 2 or a constant side. Low even for a perfect forecast:
    print the oracle's value beside it. Source: Greenman et al. 2025.

    Examples
    --------
    >>> round(unc_error_spearman([0, 0, 0], [1, 2, 3], [0.1, -0.5, 0.9]), 12)
    1.0
    """
    mean, std, target = as_forecast(mean, std, target)
    return _correlation(ranks(np.abs(target - mean)), ranks(std))

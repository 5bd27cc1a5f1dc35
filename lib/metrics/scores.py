"""Accuracy of the mean, proper scores, intervals and width: metrics that are means of columns.

In: ``mean``, ``std``, ``target``, vectors ``(n,)`` in one unit; a nominal ``level`` inside (0, 1).
Out: a float. With fewer elements than a metric needs, or a constant side where it divides by a
spread, the value is NaN, never an error: a conditional table may hold empty bins. Bad input is a
``ValueError`` that names the argument and the row.

Examples
--------
>>> mean, std, target = [1, 2, 3], [0.1, 0.5, 1], [1.5, 3, 2]
>>> mae(mean, target) == 2.5 / 3, round(bias(mean, target), 9), rmse(mean, target) == 0.75**0.5
(True, -0.166666667, True)
>>> round(pearson_r(mean, target), 12), round(spearman_r(mean, target), 12)  # .5 / sqrt(2 * 7 / 6)
(0.327326835354, 0.5)
>>> r2_cod([1, 2, 4], [1, 2, 3]), round(r2_pearson([1, 2, 3], [30, 20, 10]), 12)
(0.5, 1.0)
>>> round(nll_gaussian(mean, std, target), 9), round(crps_gaussian(mean, std, target), 9)
(4.920361109, 0.590806107)
>>> picp([0] * 4, [1] * 4, [0, 1, 2, 3], level=0.9), round(coverage_gap([0, 0], [1, 1], [0, 3]), 9)
(0.5, -0.4)
>>> round(mpiw([1, 3], level=0.9), 6)  # 2 * 1.644854 * 2
6.579415
>>> round(interval_score([0], [1], [2], level=0.9), 6)  # 3.289707 + 20 * 0.355146
10.392635
>>> zms([0, 0], [1, 2], [1, 4]), zvar([0, 0], [1, 1], [5, 7]), dispersion_cv([1, 3]) == 0.5**0.5
(2.5, 2.0, True)
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from lib.arrays import FloatArray, as_forecast, as_level, as_points, as_std, as_vector, ranks
from lib.metrics.columns import METRICS, Columns, Metric, at_level, half_width, rank_correlation


def _value(
    metric: Metric, forecast: tuple[FloatArray, ...], climatology: tuple[float, float] | None = None
) -> float:
    mean, std, target = forecast
    columns, n = Columns((mean, std, target), climatology), len(mean)
    return float(metric.of(n, *(columns[k].mean() for k in metric.columns))) if n else float("nan")


def _of_points(name: str, mean: ArrayLike, target: ArrayLike) -> float:
    mean, target = as_points(mean, target)
    return _value(METRICS[name], (mean, np.ones_like(mean), target))


def _of_forecast(name: str, mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    return _value(METRICS[name], as_forecast(mean, std, target))


def _of_interval(
    name: str, mean: ArrayLike, std: ArrayLike, target: ArrayLike, level: float
) -> float:
    return _value(at_level(as_level(level))[name], as_forecast(mean, std, target))


def pearson_r(mean: ArrayLike, target: ArrayLike) -> float:
    """Linear correlation of prediction and target.

    Higher is better, in [-1, 1]; NaN for n < 2 or a constant side. Blind to gain and offset, and it
    falls when a subset has less spread, so print ``sd_target`` beside it.
    """
    return _of_points("pearson_r", mean, target)


def spearman_r(mean: ArrayLike, target: ArrayLike) -> float:
    """Pearson correlation of the ranks, ties sharing their average rank.

    Higher is better, in [-1, 1]; NaN for n < 2 or a constant side. Blind to distances.
    """
    mean, target = as_points(mean, target)
    return rank_correlation(ranks(mean), ranks(target))


def rmse(mean: ArrayLike, target: ArrayLike) -> float:
    """Root mean squared error, in the unit of the target.

    Lower is better, at least 0; NaN for n = 0. Does not tell a worse mean from larger noise.
    """
    return _of_points("rmse", mean, target)


def mae(mean: ArrayLike, target: ArrayLike) -> float:
    """Mean absolute error, in the unit of the target.

    Lower is better, at least 0; NaN for n = 0. Less moved by single large errors than ``rmse``.
    """
    return _of_points("mae", mean, target)


def bias(mean: ArrayLike, target: ArrayLike) -> float:
    """Mean of prediction minus target, in the unit of the target.

    Best at 0, any sign; NaN for n = 0. Errors of opposite sign cancel.
    """
    return _of_points("bias", mean, target)


def r2_cod(mean: ArrayLike, target: ArrayLike) -> float:
    """Coefficient of determination, 1 - SSE / SST.

    Higher is better, in (-inf, 1]; 0 is the mean of *these* targets; NaN for n < 2 or constant
    targets. Not the squared correlation: that is ``r2_pearson``, which forgives gain and offset.
    """
    return _of_points("r2_cod", mean, target)


def r2_pearson(mean: ArrayLike, target: ArrayLike) -> float:
    """Squared Pearson correlation, 1 for a perfectly reversed prediction too.

    Higher is better, in [0, 1]; NaN where ``pearson_r`` is.
    """
    return _of_points("r2_pearson", mean, target)


def sd_target(target: ArrayLike) -> float:
    """Sample standard deviation of the targets (divisor n - 1), in their unit.

    A property of the data, neither good nor bad; NaN for n < 2. It stands beside every correlation.
    """
    return _of_points("sd_target", target, target)


def nll_gaussian(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Mean negative log density, in nats.

    Lower is better, unbounded; NaN for n = 0. One confident error can outweigh all else, and the
    value moves by log(c) when the unit changes by c: compare on one target only. Source: Gneiting &
    Raftery, JASA 102 (2007) 359-378.
    """
    return _of_forecast("nll_gaussian", mean, std, target)


def crps_gaussian(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Mean continuous ranked probability score, in the unit of the target.

    Lower is better, above 0; NaN for n = 0. For std -> 0 it is the absolute error. It does not say
    whether error or width is at fault. Source: Gneiting & Raftery 2007, equation 21.
    """
    return _of_forecast("crps_gaussian", mean, std, target)


def crps_skill(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, climatology: tuple[float, float]
) -> float:
    """CRPS skill over a constant Gaussian forecast: 1 - CRPS / CRPS of climatology.

    Higher is better, in (-inf, 1); 0 is the constant; NaN for n = 0. ``climatology`` is the mean
    and std of the *training* targets: with those of the test part a shift would be hidden. It
    stands beside every calibration value, because a constant forecast can be calibrated.
    """
    forecast = as_forecast(mean, std, target)
    as_vector("climatology mean", [climatology[0]])
    as_std("climatology std", [climatology[1]])
    return _value(METRICS["crps_skill"], forecast, climatology)


def interval_score(mean: ArrayLike, std: ArrayLike, target: ArrayLike, level: float = 0.9) -> float:
    """Winkler score of the central interval: width plus 2 / (1 - level) per unit of a miss.

    Lower is better, above 0, in the unit of the target; NaN for n = 0. One level only: right in its
    tails does not mean right in the middle. Source: Gneiting & Raftery 2007, equation 43.
    """
    return _of_interval("interval_score", mean, std, target, level)


def interval(mean: ArrayLike, std: ArrayLike, level: float = 0.9) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end of the central Gaussian interval, each ``(n,)``."""
    mean = as_vector("mean", mean)
    half = half_width(as_level(level)) * as_std("std", std, len(mean))
    return mean - half, mean + half


def picp(mean: ArrayLike, std: ArrayLike, target: ArrayLike, level: float = 0.9) -> float:
    """Share of targets inside their central interval, ends included.

    Best at ``level``, in [0, 1]; NaN for n = 0. Wide intervals cover: print ``mpiw`` beside it.
    Right on average says nothing of any subset. Source: Kuleshov, Fenner & Ermon, ICML 2018.
    """
    return _of_interval("picp", mean, std, target, level)


def mpiw(std: ArrayLike, level: float = 0.9) -> float:
    """Mean width of the intervals, in the unit of the target.

    Lower is better at equal coverage, above 0; NaN for n = 0. Knows nothing of the target.
    """
    std = as_std("std", std)
    return _of_interval("mpiw", std, std, std, level)


def coverage_gap(mean: ArrayLike, std: ArrayLike, target: ArrayLike, level: float = 0.9) -> float:
    """Coverage minus its nominal level: below 0 is overconfident.

    Best at 0, in [-level, 1 - level]; NaN for n = 0. Deviations of parts can cancel. Source:
    Greenman et al. 2025.
    """
    return _of_interval("coverage_gap", mean, std, target, level)


def coverage_under_scale(scale: float, level: float = 0.9) -> float:
    """Coverage when predicted std is ``scale`` times the true one: 2 Phi(q scale) - 1."""
    as_std("scale", [scale])
    return float(2 * ndtr(half_width(as_level(level)) * scale) - 1)


def zms(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Mean squared z: average calibration of the variance.

    Best at 1, above it overconfident, at least 0; NaN for n = 0. Mixes bias with wrong variance,
    and heavy tails move it: see ``zms_robust`` and ``zms_decomposition``. Source: Pernot 2024
    (2402.10043).
    """
    return _of_forecast("zms", mean, std, target)


def zvar(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Sample variance of z (divisor n - 1), blind to a constant bias of z, which ``zms`` counts.

    Best at 1, at least 0; NaN for n < 2. Source: Pernot 2024 (2402.10043).
    """
    return _of_forecast("zvar", mean, std, target)


def sharpness(std: ArrayLike) -> float:
    """Root mean predicted variance, in the unit of the target, of which it knows nothing.

    Lower is better at equal calibration, above 0; NaN for n = 0. Source: Gneiting, Balabdaoui &
    Raftery 2007.
    """
    std = as_std("std", std)
    return _of_forecast("sharpness", std, std, std)


def dispersion_cv(std: ArrayLike) -> float:
    """Coefficient of variation of the predicted std (divisor n - 1).

    Neither good nor bad, at least 0; 0 for a constant std, which can say nothing about single
    elements; NaN for n < 2. Source: Levi et al. 2019.
    """
    std = as_std("std", std)
    return _of_forecast("dispersion_cv", std, std, std)


def unc_error_spearman(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Rank correlation of absolute error and predicted std.

    Higher is better, in [-1, 1]; NaN for n < 2 or a constant side. Low even for a perfect forecast:
    print the oracle's value beside it. Source: Greenman et al. 2025.
    """
    mean, std, target = as_forecast(mean, std, target)
    return rank_correlation(ranks(np.abs(target - mean)), ranks(std))

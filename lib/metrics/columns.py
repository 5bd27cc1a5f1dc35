"""What a metric is: columns of values per element, and a function of their means.

In: :class:`Columns`, a checked forecast. Out: for each metric of :func:`mean_metrics` the columns
it needs and what it makes of their means. The value of all elements, of a group and of a resampled
table (sums per group times weights, see ``resampling``) follow from it. To add a metric, add it to
``METRICS``, its columns to ``_COLUMNS`` and, if it is bounded, its scale to ``SCALE_OF``; those
that need an order of elements are in ``calibration`` and ``selective``. A metric is NaN where it
divides by a spread that is 0, or by n - 1 for n = 1.

Accuracy of the mean, in the unit of the target unless said:

* ``bias``: prediction minus target, best at 0. Errors of opposite sign cancel.
* ``mae``, ``rmse``: absolute and root squared error, lower is better. Neither tells a worse mean
  from larger noise; single large errors move ``mae`` less.
* ``pearson_r``, ``spearman_r``: correlation of values and of ranks (ties share theirs), in [-1, 1].
  Blind to gain and offset. They fall when a subset has less spread: see ``sd_target`` (n - 1).
* ``r2_cod``: 1 - SSE / SST, in (-inf, 1]; 0 is the mean of *these* targets. ``r2_pearson``, the
  squared correlation, forgives gain and offset.

Proper scores and intervals (Gneiting & Raftery, JASA 102 (2007) 359-378, equations 21 and 43):

* ``nll_gaussian``: negative log density in nats, lower is better. One confident error can outweigh
  all else; a change of unit by c moves it by log(c).
* ``crps_gaussian``: lower is better, above 0; for std -> 0 the absolute error. Does not say whether
  error or width is at fault.
* ``crps_skill``: 1 - CRPS / CRPS of climatology, in (-inf, 1), higher is better. Climatology is
  mean and std of the *training* targets: those of the test part would hide a shift. It stands
  beside every calibration value, because a constant forecast can be calibrated.
* ``interval_score``: width plus 2 / (1 - level) per unit of a miss, lower is better, above 0.
* ``picp``: share of targets inside the interval, ends included; best at its level. Wide intervals
  cover: see ``mpiw``, their mean width. ``coverage_gap``, picp less level: below 0 overconfident.

Width and its size against the errors (Pernot 2024, arXiv 2402.10043):

* ``zms``: mean squared z, best at 1, above it overconfident. Mixes bias with wrong variance, and
  heavy tails move it. ``zvar``, the variance of z (n - 1), is blind to a constant bias.
* ``sharpness``, ``dispersion_cv``: root mean variance, and coefficient of variation of std (n - 1).
  They know nothing of the target; a constant std, 0, says nothing about single elements.
* ``unc_error_spearman``: rank correlation of absolute error and std, in [-1, 1]. Low even for a
  perfect forecast: see the oracle's value.

Examples
--------
>>> mean, std, target = [1, 2, 3], [0.1, 0.5, 1], [1.5, 3, 2]
>>> metric("mae", mean, target) == 2.5 / 3, metric("rmse", mean, target) == 0.75**0.5
(True, True)
>>> round(metric("interval_score", [0], [2], [1], level=0.9), 6)  # 3.289707 + 20 * 0.355146
10.392635
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from lib.arrays import FloatArray, as_level, as_points, as_std, as_vector, ranks

LEVELS = (0.5, 0.8, 0.9, 0.95)
Triple = tuple[FloatArray, FloatArray, FloatArray]  # mean, std, target
Climatology = tuple[float, float]
Values = dict[str, FloatArray]
Key = str | tuple[str, float]  # of a column; a pair where it depends on a level

_NEGLIGIBLE = 1e-13  # a variance below this share of the mean square is rounding of a constant


def half_width(level: float) -> float:
    """Half the width of the central Gaussian interval, in standard deviations."""
    return float(ndtri((1 + level) / 2))


def interval(mean: ArrayLike, std: ArrayLike, level: float = 0.9) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end of the central Gaussian interval, each ``(n,)``."""
    mean = as_vector("mean", mean)
    half = half_width(as_level(level)) * as_std("std", std, len(mean))
    return mean - half, mean + half


def _crps(z: FloatArray, std: FloatArray) -> FloatArray:
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    return std * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))


class Columns:
    """A forecast ``(n,)`` and its columns by name, each computed when asked for."""

    def __init__(self, forecast: Triple, climatology: Climatology | None = None) -> None:
        self.mean, self.std, self.target = forecast
        self.law = (np.nan, np.nan) if climatology is None else climatology

    @cached_property
    def error(self) -> FloatArray:
        """Prediction minus target."""
        return self.mean - self.target

    @cached_property
    def z(self) -> FloatArray:
        """Target minus prediction in predicted standard deviations."""
        return -self.error / self.std

    def centred(self, name: str) -> FloatArray:
        """A vector about its mean; deviations of a constant are exactly 0."""
        values: FloatArray = getattr(self, name)
        return values - (values[:1] if (values == values[:1]).all() else values.mean())

    def __getitem__(self, key: Key) -> FloatArray:
        return _COLUMNS[key](self) if isinstance(key, str) else _AT_LEVEL[key[0]](self, key[1])


_COLUMNS: dict[str, Callable[[Columns], FloatArray]] = {
    "error": lambda c: c.error,
    "abs_error": lambda c: np.abs(c.error),
    "sq_error": lambda c: c.error * c.error,
    "m": lambda c: c.centred("mean"),
    "mm": lambda c: c.centred("mean") ** 2,
    "y": lambda c: c.centred("target"),
    "yy": lambda c: c.centred("target") ** 2,
    "ym": lambda c: c.centred("target") * c.centred("mean"),
    "std": lambda c: c.std,
    "variance": lambda c: c.std * c.std,
    "s": lambda c: c.centred("std"),
    "ss": lambda c: c.centred("std") ** 2,
    "z2": lambda c: c.z * c.z,
    "z": lambda c: c.centred("z"),
    "zz": lambda c: c.centred("z") ** 2,
    "nll": lambda c: 0.5 * np.log(2 * np.pi) + np.log(c.std) + 0.5 * c.z * c.z,
    "crps": lambda c: _crps(c.z, c.std),
    "crps_climatology": lambda c: _crps((c.target - c.law[0]) / c.law[1], np.asarray(c.law[1])),
    "spearman": lambda c: spearman_column(c.mean, c.target),
    "unc_error": lambda c: spearman_column(np.abs(c.error), c.std),
}
_AT_LEVEL: dict[str, Callable[[Columns, float], FloatArray]] = {
    "covered": lambda c, level: (np.abs(c.z) - half_width(level) <= 0).astype(np.float64),
    "misses": lambda c, level: c.std * np.maximum(np.abs(c.z) - half_width(level), 0),
}


class Metric(NamedTuple):
    """A metric: its columns, and its value from their number and means (of any one shape)."""

    columns: tuple[Key, ...]
    of: Callable[..., FloatArray] = lambda n, mean: mean


def _spread(mean: FloatArray, square: FloatArray) -> FloatArray:
    """Variance (divisor n) from the mean and the mean square; 0 for a constant."""
    raw = square - mean * mean
    return np.where(raw > _NEGLIGIBLE * square, raw, 0.0)


def _sample_variance(n: int, mean: FloatArray, square: FloatArray) -> FloatArray:
    return _spread(mean, square) * (n / (n - 1) if n > 1 else np.nan)


def _correlation(
    n: int, m: FloatArray, mm: FloatArray, y: FloatArray, yy: FloatArray, ym: FloatArray
) -> FloatArray:
    scale = np.sqrt(_spread(m, mm)) * np.sqrt(_spread(y, yy))
    return np.clip((ym - y * m) / np.where(scale > 0, scale, np.nan), -1, 1)


def _determination(n: int, error: FloatArray, y: FloatArray, yy: FloatArray) -> FloatArray:
    total = _spread(y, yy)
    return 1 - error / np.where(total > 0, total, np.nan)


_PAIR = ("m", "mm", "y", "yy", "ym")
_NO_STD = {"error", "abs_error", "sq_error", "spearman", *_PAIR}  # columns of metrics without one
METRICS: dict[str, Metric] = {
    "bias": Metric(("error",)),
    "mae": Metric(("abs_error",)),
    "rmse": Metric(("sq_error",), lambda n, mean: np.sqrt(mean)),
    "pearson_r": Metric(_PAIR, _correlation),
    "r2_pearson": Metric(_PAIR, lambda *given: _correlation(*given) ** 2),
    "r2_cod": Metric(("sq_error", "y", "yy"), _determination),
    "sd_target": Metric(("y", "yy"), lambda *given: np.sqrt(_sample_variance(*given))),
    "nll_gaussian": Metric(("nll",)),
    "crps_gaussian": Metric(("crps",)),
    "crps_skill": Metric(("crps", "crps_climatology"), lambda n, own, other: 1 - own / other),
    "zms": Metric(("z2",)),
    "zvar": Metric(("z", "zz"), _sample_variance),
    "sharpness": Metric(("variance",), lambda n, mean: np.sqrt(mean)),
    "dispersion_cv": Metric(
        ("std", "s", "ss"), lambda n, std, *given: np.sqrt(_sample_variance(n, *given)) / std
    ),
    "spearman_r": Metric(("spearman",), lambda n, mean: np.clip(mean, -1, 1)),
    "unc_error_spearman": Metric(("unc_error",), lambda n, mean: np.clip(mean, -1, 1)),
}


def at_level(level: float) -> dict[str, Metric]:
    """The metrics of the central interval at ``level``, by their names without it."""
    return {
        "picp": Metric((("covered", level),)),
        "mpiw": Metric(("std",), lambda n, std: 2 * half_width(level) * std),
        "coverage_gap": Metric((("covered", level),), lambda n, mean: mean - level),
        "interval_score": Metric(
            ("std", ("misses", level)),
            lambda n, std, misses: 2 * (half_width(level) * std + misses / (1 - level)),
        ),
    }


def mean_metrics(skill: bool) -> dict[str, Metric]:
    """Every metric that is a function of means, those at :data:`LEVELS` by names like ``picp_90``.

    ``skill`` where there is a climatology.
    """
    found = {name: m for name, m in METRICS.items() if skill or name != "crps_skill"}
    for level in LEVELS:
        found |= {f"{stem}_{round(100 * level)}": m for stem, m in at_level(level).items()}
    return found


def metric(
    name: str, mean: ArrayLike, target: ArrayLike, std: ArrayLike | None = None, level: float = 0.9
) -> float:
    """A metric of ``METRICS`` or :func:`at_level` of vectors ``(n,)``; NaN for n = 0.

    Bad values are a ``ValueError`` that names the argument and the row; so is an unknown name, or
    no ``std`` where the metric needs one.
    """
    mean, target = as_points(mean, target)
    known, n = METRICS | at_level(as_level(level)), len(mean)
    if name not in known:
        raise ValueError(f"metric {name!r} is not known; use one of {', '.join(known)}")
    found = known[name]
    if std is None and not _NO_STD.issuperset(found.columns):
        raise ValueError(f"std is missing; {name} needs it")
    std = np.ones_like(mean) if std is None else as_std("std", std, len(mean))
    columns = Columns((mean, std, target))
    return float(found.of(n, *(columns[k].mean() for k in found.columns))) if n else float("nan")


# Where the interval of a metric over folds is symmetric (lib.metrics.resampling.SCALES).
SCALE_OF: Mapping[str, str] = {
    **dict.fromkeys(("rmse", "mae", "sd_target", "crps_gaussian", "interval_score", "mpiw"), "log"),
    **dict.fromkeys(("zms", "zvar", "zms_robust", "sharpness", "aurc", "augrc", "risk"), "log"),
    **dict.fromkeys(("pearson_r", "spearman_r", "unc_error_spearman"), "fisher"),
    **dict.fromkeys(("picp", "r2_pearson", "infinite", "fixed_coverage"), "logit"),
}


def scale_of(name: str) -> str:
    """The scale of a metric by name, ``plain`` unless it is bounded."""
    stem, _, level = name.rpartition("_")
    return SCALE_OF.get(stem if level.isdigit() else name, "plain")


def needed(metrics: Iterable[Metric]) -> list[Key]:
    """The columns of these metrics, each once."""
    return list(dict.fromkeys(key for metric in metrics for key in metric.columns))


def values_of(metrics: Mapping[str, Metric], means: Mapping[Key, FloatArray], n: int) -> Values:
    """The metrics of ``n`` elements from their columns' means, in the shape of the means."""
    return {name: m.of(n, *(means[key] for key in m.columns)) for name, m in metrics.items()}


def rank_correlation(left: FloatArray, right: FloatArray) -> float:
    """Pearson correlation of ranks ``(n,)``, whose mean is (n + 1) / 2 exactly; NaN if constant."""
    middle = (len(left) + 1) / 2
    left, right = left - middle, right - middle
    scale = (left @ left) * (right @ right)
    return float(np.clip(left @ right / np.sqrt(scale), -1, 1)) if scale > 0 else float("nan")


def spearman_r(mean: ArrayLike, target: ArrayLike) -> float:
    """Pearson correlation of the ranks of two vectors ``(n,)``, ties sharing their average rank."""
    mean, target = as_points(mean, target)
    return rank_correlation(ranks(mean), ranks(target))


def spearman_column(left: FloatArray, right: FloatArray) -> FloatArray:
    """A column ``(n,)`` whose mean is Spearman's r and whose weighted means are its bootstrap.

    The value is r plus the influence of the row on r (ties and the ranks' own variation included),
    so resampling the column is the linearised bootstrap of r: equal to re-ranking every resample to
    first order in 1 / n, at the cost of one sort. NaN for n < 2 or a constant side.
    """
    n, of_left, of_right = len(left), ranks(left), ranks(right)
    r = rank_correlation(of_left, of_right)
    if np.isnan(r):
        return np.full(n, np.nan)

    def share_above(sorted_by: FloatArray, values: FloatArray) -> FloatArray:
        """For each row the mean of ``values`` over rows above it, ties with it counting half."""
        _, place, counts = np.unique(sorted_by, return_inverse=True, return_counts=True)
        sums = np.bincount(place, weights=values, minlength=len(counts))
        above = np.cumsum(sums[::-1])[::-1] - sums / 2
        return np.asarray(above[place] / n)

    f, g = (of_left - 0.5) / n, (of_right - 0.5) / n  # mid-distribution functions: mean 1/2
    fg, ff, gg = np.mean(f * g), np.mean(f * f), np.mean(g * g)
    var_f, var_g = ff - 0.25, gg - 0.25
    d_cov = f * g + share_above(left, g) + share_above(right, f) - 3 * fg
    d_f = f * f + 2 * share_above(left, f) - 3 * ff
    d_g = g * g + 2 * share_above(right, g) - 3 * gg
    return r + d_cov / np.sqrt(var_f * var_g) - r / 2 * (d_f / var_f + d_g / var_g)

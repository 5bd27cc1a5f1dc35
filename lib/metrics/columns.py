"""What a metric is: columns of values per element, and a function of the columns' means.

In: :class:`Columns`, a checked forecast. Out: for each metric of :func:`mean_metrics` the columns
it needs and what it makes of their means. The value of all elements, of a group, of a stream (sums
add up over chunks) and of a resampled table (sums per group times weights) all follow from it;
metrics that need the order of elements are in ``calibration`` and ``selective``.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from lib.arrays import FloatArray, ranks

LEVELS = (0.5, 0.8, 0.9, 0.95)
CONDITIONAL = ("rmse", "bias", "crps_gaussian", "zms", "picp_90", "mpiw_90")  # printed per bin
Forecast = tuple[FloatArray, FloatArray, FloatArray]  # mean, std, target
Climatology = tuple[float, float]
Values = dict[str, FloatArray]
Key = str | tuple[str, float]  # of a column; a pair where it depends on a level

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
_INV_SQRT_2PI = 1 / np.sqrt(2 * np.pi)
_INV_SQRT_PI = 1 / np.sqrt(np.pi)
_NEGLIGIBLE = 1e-13  # a variance below this share of the mean square is rounding of a constant
_GRID = np.linspace(0.01, 0.99, 99)  # levels and quantiles that uncertainty-toolbox averages over


def half_width(level: float) -> float:
    """Half the width of the central Gaussian interval, in standard deviations."""
    return float(ndtri((1 + level) / 2))


def crps(z: FloatArray, std: FloatArray) -> FloatArray:
    """Continuous ranked probability score of Gaussian forecasts, ``(n,)``."""
    density = _INV_SQRT_2PI * np.exp(-0.5 * z * z)
    return std * (z * (2 * ndtr(z) - 1) + 2 * density - _INV_SQRT_PI)


def covered(z: FloatArray, level: float) -> FloatArray:
    """1 where the central interval at ``level`` holds the target, its ends included, else 0."""
    return (np.abs(z) <= half_width(level)).astype(np.float64)


def _interval_score(columns: "Columns", level: float) -> FloatArray:
    half = half_width(level)
    outside = np.maximum(np.abs(columns.z) - half, 0)
    return 2 * columns.std * (half + outside / (1 - level))


def _check_score(columns: "Columns") -> FloatArray:
    """Mean pinball loss max(p d, (p - 1) d), d = z - knot: piecewise linear between the knots."""
    knots = ndtri(_GRID)
    gap = knots[:, None] - knots
    at_knots = np.maximum(_GRID * gap, (_GRID - 1) * gap).mean(axis=1)
    z = columns.z
    beyond = np.maximum(knots[0] - z, 0) + np.maximum(z - knots[-1], 0)
    return columns.std * (np.interp(z, knots, at_knots) + _GRID.mean() * beyond)


def _interval_score_mean(columns: "Columns") -> FloatArray:
    alpha = 1 - _GRID
    half = ndtri(1 - alpha / 2)
    missed = 2 / alpha * np.maximum(half[:, None] - half, 0)
    at_knots = 2 * half.mean() + missed.mean(axis=1)
    z = np.abs(columns.z)
    beyond = np.mean(2 / alpha) * np.maximum(z - half[-1], 0)
    return columns.std * (np.interp(z, half, at_knots) + beyond)


def centre_of(values: FloatArray) -> float:
    """The mean; for a constant its value, so that deviations are exactly 0."""
    if not len(values):
        return 0.0
    return float(values[0]) if np.ptp(values) == 0 else float(values.mean())


class Columns:
    """A forecast ``(n,)`` and its columns by name, each computed when asked for.

    ``centres`` of mean, std, target and z are those of the whole part when this is a chunk of it.
    """

    def __init__(
        self,
        forecast: Forecast,
        climatology: Climatology | None = None,
        centres: tuple[float, ...] | None = None,
    ) -> None:
        self.mean, self.std, self.target = forecast
        self.climatology = climatology
        self._given = centres

    @cached_property
    def error(self) -> FloatArray:
        """Prediction minus target."""
        return self.mean - self.target

    @cached_property
    def z(self) -> FloatArray:
        """Target minus prediction in predicted standard deviations."""
        return -self.error / self.std

    def centred(self, name: str) -> FloatArray:
        """A vector about its mean."""
        place = ("mean", "std", "target", "z").index(name)
        values: FloatArray = getattr(self, name)
        return values - (centre_of(values) if self._given is None else self._given[place])

    def __getitem__(self, key: Key) -> FloatArray:
        return _COLUMNS[key](self) if isinstance(key, str) else _AT_LEVEL[key[0]](self, key[1])


def _squared(name: str) -> Callable[[Columns], FloatArray]:
    return lambda c: c.centred(name) ** 2


def _climatology(columns: Columns) -> FloatArray:
    assert columns.climatology is not None
    centre, width = columns.climatology
    return crps((columns.target - centre) / width, np.broadcast_to(float(width), columns.std.shape))


_COLUMNS: dict[str, Callable[[Columns], FloatArray]] = {
    "error": lambda c: c.error,
    "abs_error": lambda c: np.abs(c.error),
    "sq_error": lambda c: c.error * c.error,
    "m": lambda c: c.centred("mean"),
    "mm": _squared("mean"),
    "y": lambda c: c.centred("target"),
    "yy": _squared("target"),
    "ym": lambda c: c.centred("target") * c.centred("mean"),
    "std": lambda c: c.std,
    "variance": lambda c: c.std * c.std,
    "s": lambda c: c.centred("std"),
    "ss": _squared("std"),
    "z2": lambda c: c.z * c.z,
    "z": lambda c: c.centred("z"),
    "zz": _squared("z"),
    "nll": lambda c: _HALF_LOG_2PI + np.log(c.std) + 0.5 * c.z * c.z,
    "crps": lambda c: crps(c.z, c.std),
    "crps_climatology": _climatology,
    "check_score": _check_score,
    "interval_score_mean": _interval_score_mean,
    "spearman": lambda c: spearman_column(c.mean, c.target),
    "unc_error": lambda c: spearman_column(np.abs(c.error), c.std),
}
_AT_LEVEL: dict[str, Callable[[Columns, float], FloatArray]] = {
    "covered": lambda c, level: covered(c.z, level),
    "interval_score": _interval_score,
}


class Metric(NamedTuple):
    """A metric: its columns, and its value from their number and means (of any one shape)."""

    columns: tuple[Key, ...]
    of: Callable[..., FloatArray]


def _same(n: int, mean: FloatArray) -> FloatArray:
    return mean


def _root(n: int, mean: FloatArray) -> FloatArray:
    return np.sqrt(mean)


def _unit(n: int, mean: FloatArray) -> FloatArray:
    return np.clip(mean, -1, 1)


def _spread(mean: FloatArray, square: FloatArray) -> FloatArray:
    """Variance (divisor n) from the mean and the mean square; 0 for a constant."""
    raw = square - mean * mean
    return np.where(raw > _NEGLIGIBLE * square, raw, 0.0)


def _sample_variance(n: int, mean: FloatArray, square: FloatArray) -> FloatArray:
    return _spread(mean, square) * (n / (n - 1) if n > 1 else np.nan)


def _correlation(
    n: int, m: FloatArray, mm: FloatArray, y: FloatArray, yy: FloatArray, ym: FloatArray
) -> FloatArray:
    scale = _spread(m, mm) * _spread(y, yy)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(scale > 0, (ym - y * m) / np.sqrt(scale), np.nan)
    return np.clip(r, -1, 1)


def _determination(n: int, error: FloatArray, y: FloatArray, yy: FloatArray) -> FloatArray:
    total = _spread(y, yy)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, 1 - error / total, np.nan)


_PAIR = ("m", "mm", "y", "yy", "ym")
METRICS: dict[str, Metric] = {
    "bias": Metric(("error",), _same),
    "mae": Metric(("abs_error",), _same),
    "rmse": Metric(("sq_error",), _root),
    "pearson_r": Metric(_PAIR, _correlation),
    "r2_pearson": Metric(_PAIR, lambda *given: _correlation(*given) ** 2),
    "r2_cod": Metric(("sq_error", "y", "yy"), _determination),
    "sd_target": Metric(("y", "yy"), lambda *given: np.sqrt(_sample_variance(*given))),
    "nll_gaussian": Metric(("nll",), _same),
    "crps_gaussian": Metric(("crps",), _same),
    "crps_skill": Metric(("crps", "crps_climatology"), lambda n, own, other: 1 - own / other),
    "check_score": Metric(("check_score",), _same),
    "interval_score_mean": Metric(("interval_score_mean",), _same),
    "zms": Metric(("z2",), _same),
    "zvar": Metric(("z", "zz"), _sample_variance),
    "sharpness": Metric(("variance",), _root),
    "dispersion_cv": Metric(
        ("std", "s", "ss"), lambda n, std, *given: np.sqrt(_sample_variance(n, *given)) / std
    ),
    "spearman_r": Metric(("spearman",), _unit),
    "unc_error_spearman": Metric(("unc_error",), _unit),
}


def at_level(level: float) -> dict[str, Metric]:
    """The metrics of the central interval at ``level``, by their names without it."""
    inside: Key = ("covered", level)
    return {
        "picp": Metric((inside,), _same),
        "mpiw": Metric(("std",), lambda n, std: 2 * half_width(level) * std),
        "coverage_gap": Metric((inside,), lambda n, mean: mean - level),
        "interval_score": Metric((("interval_score", level),), _same),
    }


def level_name(stem: str, level: float) -> str:
    """Metric name at a level in percent: ``picp_90``, ``picp_97.5``.

    Examples
    --------
    >>> level_name("picp", 0.9), level_name("picp", 0.975)
    ('picp_90', 'picp_97.5')
    """
    return f"{stem}_{round(100 * level, 6):g}"


def mean_metrics(levels: Iterable[float], skill: bool) -> dict[str, Metric]:
    """Every metric that is a function of means; ``skill`` where there is a climatology."""
    named = {
        level_name(stem, level): metric
        for level in levels
        for stem, metric in at_level(level).items()
    }
    return {k: m for k, m in METRICS.items() if skill or k != "crps_skill"} | named


def needed(metrics: Mapping[str, Metric]) -> list[Key]:
    """The columns of these metrics, each once."""
    return list(dict.fromkeys(key for metric in metrics.values() for key in metric.columns))


def values_of(metrics: Mapping[str, Metric], means: Mapping[Key, FloatArray], n: int) -> Values:
    """The metrics of ``n`` elements from their columns' means, in the shape of the means."""
    return {name: m.of(n, *(means[key] for key in m.columns)) for name, m in metrics.items()}


def value_of(metric: Metric, columns: Columns) -> float:
    """The metric of all elements; NaN where there are none."""
    n = len(columns.mean)
    return float(metric.of(n, *(columns[k].mean() for k in metric.columns))) if n else float("nan")


def rank_correlation(left: FloatArray, right: FloatArray) -> float:
    """Pearson correlation of ranks ``(n,)``, whose mean is (n + 1) / 2 exactly; NaN if constant."""
    middle = (len(left) + 1) / 2
    left, right = left - middle, right - middle
    scale = (left @ left) * (right @ right)
    return float(np.clip(left @ right / np.sqrt(scale), -1, 1)) if scale > 0 else float("nan")


def _share_above(inverse: np.ndarray, counts: np.ndarray, values: FloatArray) -> FloatArray:
    """For each row the mean of ``values`` over rows above it, rows tied with it counting half."""
    sums = np.bincount(inverse, weights=values, minlength=len(counts))
    above = np.cumsum(sums[::-1])[::-1] - sums / 2
    return above[inverse] / len(values)


def spearman_column(left: FloatArray, right: FloatArray) -> FloatArray:
    """A column ``(n,)`` whose mean is Spearman's r and whose weighted means are its bootstrap.

    The value is r plus the influence of the row on r (ties and the ranks' own variation included),
    so resampling the column is the linearised bootstrap of r: equal to re-ranking every resample to
    first order in 1 / n, at the cost of one sort. NaN for n < 2 or a constant side.

    Examples
    --------
    >>> x = np.array([1.0, 2, 3, 4])
    >>> round(float(spearman_column(x, np.array([1.0, 3, 2, 4])).mean()), 12)
    0.8
    """
    n, of_left, of_right = len(left), ranks(left), ranks(right)
    r = rank_correlation(of_left, of_right)
    if np.isnan(r):
        return np.full(n, np.nan)
    _, i, counts_i = np.unique(left, return_inverse=True, return_counts=True)
    _, j, counts_j = np.unique(right, return_inverse=True, return_counts=True)
    f, g = (of_left - 0.5) / n, (of_right - 0.5) / n  # mid-distribution functions: mean 1/2
    fg, ff, gg = np.mean(f * g), np.mean(f * f), np.mean(g * g)
    var_f, var_g = ff - 0.25, gg - 0.25
    d_cov = f * g + _share_above(i, counts_i, g) + _share_above(j, counts_j, f) - 3 * fg
    d_f = f * f + 2 * _share_above(i, counts_i, f) - 3 * ff
    d_g = g * g + 2 * _share_above(j, counts_j, g) - 3 * gg
    return r + d_cov / np.sqrt(var_f * var_g) - r / 2 * (d_f / var_f + d_g / var_g)

"""Metrics as functions of per-element means: one pass for the value, its bootstrap and any stream.

In: a forecast ``(mean, std, target)``. Out: named columns ``(n,)`` whose (weighted) means determine
every metric that ``metrics_from_means`` returns. Sums of the columns add up over groups and chunks,
so a bootstrap over groups is one matrix product.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtr

from lib.arrays import FloatArray
from lib.metrics import _elements

CONDITIONAL = ("rmse", "bias", "crps_gaussian", "zms", "picp_90", "mpiw_90")
NEGLIGIBLE = 1e-13  # a variance below this share of the mean square is rounding of a constant


def level_name(stem: str, level: float) -> str:
    """Metric name at a level in percent: ``picp_90``, ``picp_97.5``.

    Examples
    --------
    >>> level_name("picp", 0.9), level_name("picp", 0.975)
    ('picp_90', 'picp_97.5')
    """
    return f"{stem}_{round(100 * level, 6):g}"


def centre_of(values: FloatArray) -> float:
    """The mean; for a constant its value, so that deviations are exactly 0."""
    if not len(values):
        return 0.0
    return float(values[0]) if np.ptp(values) == 0 else float(values.mean())


def conditional_columns(
    mean: FloatArray, std: FloatArray, target: FloatArray, level: float = 0.9
) -> dict[str, FloatArray]:
    """The columns behind the metrics that are printed per bin, each ``(n,)``."""
    error = mean - target
    z = error / std
    return {
        "error": error,
        "sq_error": error * error,
        "crps": _elements.crps(z, std),
        "z2": z * z,
        "std": std,
        level_name("covered", level): _elements.covered(z, level),
    }


def overall_columns(
    mean: FloatArray,
    std: FloatArray,
    target: FloatArray,
    levels: Sequence[float],
    climatology: tuple[float, float] | None = None,
    centres: tuple[float, float, float] | None = None,
) -> dict[str, FloatArray]:
    """The columns behind the metrics of a whole part, each ``(n,)``.

    ``centres`` of mean, std and target are those of the whole part when this is a chunk of it.
    """
    error = mean - target
    z = -error / std
    if centres is None:
        centres = centre_of(mean), centre_of(std), centre_of(target)
    m, s, y = mean - centres[0], std - centres[1], target - centres[2]
    columns = {
        "error": error,
        "abs_error": np.abs(error),
        "sq_error": error * error,
        "y": y,
        "yy": y * y,
        "m": m,
        "mm": m * m,
        "ym": y * m,
        "z": z,
        "z2": z * z,
        "std": std,
        "variance": std * std,
        "s": s,
        "ss": s * s,
        "nll": _elements.nll(z, std),
        "crps": _elements.crps(z, std, ndtr(z)),
    }
    for level in levels:
        columns[level_name("covered", level)] = _elements.covered(z, level)
        columns[level_name("interval_score", level)] = _elements.interval_score(z, std, level)
    if climatology is not None:
        centre, width = climatology
        constant = np.full(len(target), float(width))
        columns["crps_climatology"] = _elements.crps((target - centre) / width, constant)
    return columns


def _variance(square: FloatArray, mean: FloatArray, n: int) -> FloatArray:
    """Sample variance (divisor n - 1) from the mean square and the mean; 0 for a constant."""
    raw = square - mean * mean
    return np.where(raw > NEGLIGIBLE * square, raw, 0.0) * (n / (n - 1) if n > 1 else np.nan)


def _association(means: Mapping[str, FloatArray], n: int) -> dict[str, FloatArray]:
    variance_y = _variance(means["yy"], means["y"], n)
    variance_m = _variance(means["mm"], means["m"], n)
    covariance = (means["ym"] - means["y"] * means["m"]) * (n / (n - 1) if n > 1 else np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(
            (variance_y > 0) & (variance_m > 0),
            covariance / np.sqrt(variance_y * variance_m),
            np.nan,
        )
        total = variance_y * (n - 1) / n
        r2_cod = np.where(variance_y > 0, 1 - means["sq_error"] / total, np.nan)
    r = np.clip(r, -1, 1)
    return {
        "pearson_r": r,
        "r2_cod": r2_cod,
        "r2_pearson": r * r,
        "sd_target": np.sqrt(variance_y),
    }


def metrics_from_means(
    means: Mapping[str, FloatArray], levels: Sequence[float], n: int
) -> dict[str, FloatArray]:
    """Every metric whose columns are present, elementwise over the shape of the means.

    Parameters
    ----------
    means : mapping of column name to float or array of any one shape
        Means of ``overall_columns`` or ``conditional_columns``.
    levels : sequence of float
        Levels of the intervals.
    n : int
        Elements behind the means; only the divisor n - 1 of sample variances needs it.

    Examples
    --------
    >>> metrics_from_means({"sq_error": np.array([4.0, 9.0])}, levels=(), n=5)["rmse"].tolist()
    [2.0, 3.0]
    """
    out: dict[str, FloatArray] = {}
    renamed = {
        "bias": "error",
        "mae": "abs_error",
        "nll_gaussian": "nll",
        "crps_gaussian": "crps",
        "zms": "z2",
    }
    out |= {metric: means[name] for metric, name in renamed.items() if name in means}
    if "sq_error" in means:
        out["rmse"] = np.sqrt(means["sq_error"])
    if "crps_climatology" in means:
        out["crps_skill"] = 1 - means["crps"] / means["crps_climatology"]
    if "ym" in means:
        out |= _association(means, n)
    if "variance" in means:
        out["zvar"] = _variance(means["z2"], means["z"], n)
        out["sharpness"] = np.sqrt(means["variance"])
        out["dispersion_cv"] = np.sqrt(_variance(means["ss"], means["s"], n)) / means["std"]
    for level in levels:
        half = _elements.half_width(level)
        inside = means[level_name("covered", level)]
        out[level_name("picp", level)] = inside
        out[level_name("mpiw", level)] = 2 * half * means["std"]
        score = level_name("interval_score", level)
        if score in means:
            out[level_name("coverage_gap", level)] = inside - level
            out[score] = means[score]
    return out


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
    n = len(left)
    if n < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return np.full(n, np.nan)
    _, i, counts_i = np.unique(left, return_inverse=True, return_counts=True)
    _, j, counts_j = np.unique(right, return_inverse=True, return_counts=True)
    # mid-distribution functions: their mean is 1/2 exactly
    f = ((np.cumsum(counts_i) - counts_i / 2) / n)[i]
    g = ((np.cumsum(counts_j) - counts_j / 2) / n)[j]
    fg, ff, gg = np.mean(f * g), np.mean(f * f), np.mean(g * g)
    var_f, var_g = ff - 0.25, gg - 0.25
    scale = np.sqrt(var_f * var_g)
    r = (fg - 0.25) / scale
    d_cov = f * g + _share_above(i, counts_i, g) + _share_above(j, counts_j, f) - 3 * fg
    d_f = f * f + 2 * _share_above(i, counts_i, f) - 3 * ff
    d_g = g * g + 2 * _share_above(j, counts_j, g) - 3 * gg
    return r + d_cov / scale - r / 2 * (d_f / var_f + d_g / var_g)

"""Everything about one forecast at once, fast and for any length.

In: ``mean``, ``std``, ``target``, vectors ``(n,)``, or a Parquet file of them. Out: all metrics as
one dict, or an ``Audit`` with metrics, curves, bins and null bands. Sums go through chunks that fit
the cache; whatever needs an order is sorted once. Memory: about 150 bytes per element at the peak.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pyarrow import parquet
from scipy.special import ndtr, ndtri

from lib.arrays import FloatArray, as_forecast, as_level, ranks, stable_order
from lib.metrics import bands, diagnosis
from lib.metrics.calibration import CHI2_MEDIAN, area_between
from lib.metrics.groups import quantile_bins
from lib.metrics.moments import centre_of, metrics_from_means, overall_columns
from lib.metrics.scoring import check_score, interval_score_mean
from lib.metrics.selective import (
    area_under_generalised_risk,
    area_under_risk,
    average_ties,
    relative_gain,
)

_CHUNK = 1 << 15  # rows whose columns stay in the second-level cache
_POINTS = 100
BINS = 20
LEVELS = (0.5, 0.8, 0.9, 0.95)


class Audit(NamedTuple):
    """Tables of one forecast; ``Audit.metrics`` has a row per metric with its null bands.

    Attributes
    ----------
    metrics : DataFrame
        ``metric, value, band_lower, band_upper`` (Gaussian null), ``shape_lower, shape_upper``
        (residual-shape null); NaN where a metric has no such band.
    pit, reliability, std_bins : DataFrame
        As ``lib.metrics.diagnosis`` gives them.
    coverage : DataFrame
        ``coverage_by`` of every covariate, named in ``by``.
    curve : DataFrame
        ``coverage, model, random, error_oracle`` at no more than 100 coverages.
    """

    metrics: pd.DataFrame
    pit: pd.DataFrame
    reliability: pd.DataFrame
    std_bins: pd.DataFrame
    coverage: pd.DataFrame
    curve: pd.DataFrame


def _chunked_means(
    mean: FloatArray,
    std: FloatArray,
    target: FloatArray,
    levels: Sequence[float],
    climatology: tuple[float, float] | None,
) -> dict[str, FloatArray]:
    centres = centre_of(mean), centre_of(std), centre_of(target)
    sums: dict[str, float] = {}
    for start in range(0, len(mean), _CHUNK):
        part = slice(start, start + _CHUNK)
        columns = overall_columns(mean[part], std[part], target[part], levels, climatology, centres)
        for name, values in columns.items():
            sums[name] = sums.get(name, 0.0) + float(values.sum())
    return {name: np.asarray(total / len(mean)) for name, total in sums.items()}


def _curve_values(z: FloatArray) -> dict[str, float]:
    """``pit_ks``, ``zms_robust`` and the distances of the calibration curve, from two sorts."""
    n = len(z)
    u = ndtr(np.sort(z))
    steps = np.arange(n + 1) / n
    distance = max((steps[1:] - u).max(), (u - steps[:-1]).max())
    size = np.sort(np.abs(z))
    grid = np.linspace(0, 1, _POINTS)
    observed = np.searchsorted(size, ndtri((1 + grid) / 2), side="right") / n
    gap = np.abs(observed - grid)
    median = (size[(n - 1) // 2] ** 2 + size[n // 2] ** 2) / 2
    return {
        "pit_ks": float(distance),
        "zms_robust": float(median / CHI2_MEDIAN),
        "mace": float(gap.mean()),
        "rmsce": float(np.sqrt((gap**2).mean())),
        "miscal_area": float(area_between(grid, observed)),
    }


def _bin_starts(n: int, bins: int, least: int) -> tuple[np.ndarray, FloatArray]:
    count = max(1, min(bins, n // least))
    sizes = np.full(count, n // count) + (np.arange(count) < n % count)
    return np.cumsum(sizes) - sizes, sizes.astype(np.float64)


def _binned_values(z: FloatArray, std: FloatArray, loss: FloatArray) -> dict[str, float]:
    """``ence``, ``uce`` and ``zve`` of elements already in the order of ``std``."""
    start, size = _bin_starts(len(std), BINS, 1)
    error = np.add.reduceat(loss, start) / size
    variance = np.add.reduceat(std * std, start) / size
    out = {
        "ence": float(np.mean(np.abs(np.sqrt(error / variance) - 1))),
        "uce": float(np.sum(size * np.abs(error - variance)) / len(std)),
        "zve": float("nan"),
    }
    if len(std) > 1:
        start, size = _bin_starts(len(std), BINS, 2)
        z = z - np.repeat(np.add.reduceat(z, start) / size, size.astype(np.int64))
        spread = np.add.reduceat(z * z, start) / (size - 1)
        with np.errstate(divide="ignore"):
            out["zve"] = float(np.exp(np.mean(np.abs(np.log(spread)))))
    return out


def _selective_values(ordered: FloatArray, best: FloatArray) -> dict[str, float]:
    mean = float(best.mean())
    risk, best_risk = area_under_risk(ordered), area_under_risk(best)
    area, best_area = area_under_generalised_risk(ordered), area_under_generalised_risk(best)
    return {
        "aurc": risk,
        "e_aurc": risk - best_risk,
        "augrc": area,
        "prr": relative_gain(mean / 2, area, best_area),
        "naurc": relative_gain(mean, risk, best_risk),
        "ause": (risk - best_risk) / mean if mean > 0 else float("nan"),
    }


def _rank_correlation(left: FloatArray, right: FloatArray) -> float:
    """Pearson correlation of rank vectors, whose mean is (n + 1) / 2 exactly."""
    middle = (len(left) + 1) / 2
    left, right = left - middle, right - middle
    scale = (left @ left) * (right @ right)
    return float(left @ right / np.sqrt(scale)) if scale > 0 else float("nan")


def all_metrics(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    *,
    levels: Sequence[float] = LEVELS,
    climatology: tuple[float, float] | None = None,
) -> dict[str, float]:
    """Every metric of a forecast, by name; equal to the single functions at their defaults.

    Parameters
    ----------
    mean, std, target : (n,) arrays, n >= 1
    levels : sequence of float
        Levels of ``picp_*``, ``mpiw_*``, ``coverage_gap_*`` and ``interval_score_*``.
    climatology : (mean, std), optional
        Of the training targets, for ``crps_skill``.

    Returns
    -------
    dict of str to float
        Selective metrics take squared error ranked by std.

    Raises
    ------
    ValueError
        No elements or bad values.

    Examples
    --------
    >>> values = all_metrics([1, 2, 3], [0.1, 0.5, 1], [1.5, 3, 2])
    >>> round(values["nll_gaussian"], 9), round(values["mace"], 9)
    (4.920361109, 0.373333333)
    """
    return _measure(*as_forecast(mean, std, target), levels, climatology).values


class _Measured(NamedTuple):
    values: dict[str, float]
    ordered: FloatArray  # squared errors from the most certain element on, ties averaged
    best: FloatArray  # squared errors, ascending


def _measure(
    mean: FloatArray,
    std: FloatArray,
    target: FloatArray,
    levels: Sequence[float],
    climatology: tuple[float, float] | None,
) -> _Measured:
    n = len(mean)
    if n == 0:
        raise ValueError("mean has no elements; at least one would do")
    checked = tuple(as_level(level, "levels") for level in levels)
    means = _chunked_means(mean, std, target, checked, climatology)
    out = {name: float(v) for name, v in metrics_from_means(means, checked, n).items()}
    out["spearman_r"] = _rank_correlation(ranks(mean), ranks(target))
    z = (target - mean) / std
    out |= _curve_values(z)
    order = stable_order(std)
    size = np.abs(target - mean)
    out["unc_error_spearman"] = _rank_correlation(ranks(size), ranks(std, order))
    loss = size * size
    sorted_std, sorted_loss = std[order], loss[order]
    out |= _binned_values(z[order], sorted_std, sorted_loss)
    ordered, best = average_ties(sorted_std, sorted_loss), np.sort(loss)
    out |= _selective_values(ordered, best)
    out["check_score"] = check_score(mean, std, target)
    out["interval_score_mean"] = interval_score_mean(mean, std, target)
    return _Measured(out, ordered, best)


def _curve(ordered: FloatArray, best: FloatArray) -> pd.DataFrame:
    """As ``reference_curves``, from losses already in order."""
    n = len(ordered)
    rows = np.unique(np.linspace(0, n - 1, min(_POINTS, n)).round().astype(np.int64))
    return pd.DataFrame(
        {
            "coverage": (rows + 1) / n,
            "model": np.cumsum(ordered)[rows] / (rows + 1),
            "random": best.mean(),
            "error_oracle": np.cumsum(best)[rows] / (rows + 1),
        }
    )


def _with_bands(values: dict[str, float], *null: pd.DataFrame) -> pd.DataFrame:
    table = pd.DataFrame({"metric": list(values), "value": list(values.values())})
    for prefix, band in zip(("band", "shape"), null, strict=True):
        renamed = band.rename(columns={"lower": f"{prefix}_lower", "upper": f"{prefix}_upper"})
        table = table.merge(renamed, on="metric", how="left")
    return table


def audit(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    rng: np.random.Generator,
    *,
    by: Mapping[str, ArrayLike] | None = None,
    climatology: tuple[float, float] | None = None,
    draws: int = 200,
) -> Audit:
    """All metrics with both null bands, and every diagnosis table, without a bootstrap.

    Parameters
    ----------
    mean, std, target : (n,) arrays, n >= 1
    rng : Generator
        Draws the null bands.
    by : mapping of name to (n,) labels, optional
        Further covariates of the coverage table, beside the deciles of predicted std and mean.
    climatology : (mean, std), optional
        Of the training targets.
    draws : int
        Draws of the null bands.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> result = audit(np.zeros(200), np.ones(200), 2 * rng.normal(size=200), rng)
    >>> row = result.metrics.set_index("metric").loc["zms"]
    >>> bool(row["value"] > row["band_upper"])  # std half as large as it should be
    True
    """
    mean, std, target = as_forecast(mean, std, target)
    measured = _measure(mean, std, target, LEVELS, climatology)
    gaussian = bands.gaussian_band(std, rng, draws=draws, levels=LEVELS)
    shape = bands.residual_band(mean, std, target, rng, draws=draws)
    labels = {"std_decile": quantile_bins(std), "mean_decile": quantile_bins(mean)}
    tables = [
        diagnosis.coverage_by(mean, std, target, column).assign(by=name)
        for name, column in {**labels, **(by if by is not None else {})}.items()
    ]
    return Audit(
        _with_bands(measured.values, gaussian, shape),
        diagnosis.pit_histogram(mean, std, target),
        diagnosis.reliability(mean, std, target),
        diagnosis.std_bins(mean, std, target),
        pd.concat(tables, ignore_index=True),
        _curve(measured.ordered, measured.best),
    )


def read_parquet(path: str | PathLike[str]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``(mean, std, target)`` of a Parquet predictions table, batch by batch: 24 bytes per row.

    Raises
    ------
    ValueError
        A column is missing; missing values come through as NaN and are named by the metrics.
    """
    file = parquet.ParquetFile(path)
    names = ("mean", "std", "target")
    missing = [name for name in names if name not in file.schema_arrow.names]
    if missing:
        raise ValueError(f"{path} lacks {missing}; it has {file.schema_arrow.names}")
    columns = {name: np.empty(file.metadata.num_rows) for name in names}
    start = 0
    for batch in file.iter_batches(batch_size=_CHUNK * 8, columns=list(names)):
        for name in names:
            values = batch.column(name).to_numpy(zero_copy_only=False)
            columns[name][start : start + batch.num_rows] = values
        start += batch.num_rows
    return columns["mean"], columns["std"], columns["target"]

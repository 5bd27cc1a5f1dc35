"""Everything about one forecast at once, fast and for any length.

In: ``mean``, ``std``, ``target``, vectors ``(n,)``. Out: all metrics as one dict, or the tables of
an audit: metrics beside their null bands, and where a forecast is off, ready to plot, without a
value of a single element. Bands of the tables are pointwise at 95 %: of 20 points one is expected
outside. Sums go through chunks that fit the cache; whatever needs an order is sorted once. Memory:
about 150 bytes per element at the peak.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binom

from lib.arrays import FloatArray, as_forecast, as_labels, ranks, stable_order
from lib.metrics.bands import BAND_LEVEL, gaussian_band, residual_band
from lib.metrics.calibration import (
    BINS,
    binned_metrics,
    calibration_curve,
    curve_metrics,
    ordered_metrics,
    pit,
)
from lib.metrics.columns import (
    LEVELS,
    Climatology,
    Columns,
    Forecast,
    Key,
    centre_of,
    covered,
    half_width,
    mean_metrics,
    needed,
    rank_correlation,
    values_of,
)
from lib.metrics.evaluate import MIN_BIN
from lib.metrics.groups import quantile_bins
from lib.metrics.selective import average_ties, ranking_values

_CHUNK = 1 << 15  # rows whose columns stay in the second-level cache
_RANKED = ("spearman_r", "unc_error_spearman")
_LEVEL = 0.9  # of the intervals whose coverage is told by subset


def _mean_values(
    forecast: Forecast, z: FloatArray, climatology: Climatology | None
) -> dict[str, float]:
    """The metrics of means, from sums of chunks."""
    metrics = mean_metrics(LEVELS, skill=climatology is not None)
    metrics = {name: metric for name, metric in metrics.items() if name not in _RANKED}
    keys, n = needed(metrics), len(z)
    centres = tuple(centre_of(values) for values in (*forecast, z))
    sums: dict[Key, float] = dict.fromkeys(keys, 0.0)
    for start in range(0, n, _CHUNK):
        mean, std, target = (values[start : start + _CHUNK] for values in forecast)
        columns = Columns((mean, std, target), climatology, centres)
        for key in keys:
            sums[key] += float(columns[key].sum())
    means = {key: np.asarray(total / n) for key, total in sums.items()}
    return {name: float(value) for name, value in values_of(metrics, means, n).items()}


def all_metrics(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    *,
    climatology: Climatology | None = None,
) -> dict[str, float]:
    """Every metric of a forecast, by name; equal to the single functions at their defaults.

    Parameters
    ----------
    mean, std, target : (n,) arrays, n >= 1
    climatology : (mean, std), optional
        Of the training targets, for ``crps_skill``.

    Returns
    -------
    dict of str to float
        ``picp_*``, ``mpiw_*``, ``coverage_gap_*``, ``interval_score_*`` at 50, 80, 90 and 95 %;
        selective metrics take squared error ranked by std.

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
    mean, std, target = as_forecast(mean, std, target)
    if not len(mean):
        raise ValueError("mean has no elements; at least one would do")
    z, order = (target - mean) / std, stable_order(std)
    out = _mean_values((mean, std, target), z, climatology)
    for metrics in (curve_metrics(z), binned_metrics(z, std, order=order), ordered_metrics(z)):
        out |= {name: float(value[0]) for name, value in metrics(np.ones((1, 1))).items()}
    del z
    out["spearman_r"] = rank_correlation(ranks(mean), ranks(target))
    size = np.abs(target - mean)
    out["unc_error_spearman"] = rank_correlation(ranks(size), ranks(std, order))
    loss = size * size
    return out | ranking_values(average_ties(std[order], loss[order]), np.sort(loss))


def _share_band(n: ArrayLike, share: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Where the share of ``n`` elements lies that each have their chance of ``share``."""
    tail, n = (1 - BAND_LEVEL) / 2, np.asarray(n, float)
    return binom.ppf(tail, n, share) / n, binom.ppf(1 - tail, n, share) / n


def pit_histogram(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, bins: int = BINS
) -> pd.DataFrame:
    """Density of the PIT in even bins with its binomial band; 1 everywhere when calibrated.

    Columns ``left, right, density, band_lower, band_upper``; no rows for n = 0. U: overconfident;
    hump: underconfident; slope: biased. Source: Gneiting, Balabdaoui & Raftery 2007.

    Examples
    --------
    >>> pit_histogram([0, 0, 0, 0], [1] * 4, [-2, -2, 0.1, 2], bins=2)["density"].tolist()
    [1.0, 1.0]
    """
    u = pit(mean, std, target)
    edges = np.linspace(0, 1, bins + 1)
    table = pd.DataFrame({"left": edges[:-1], "right": edges[1:]}).iloc[: bins if len(u) else 0]
    seen = np.bincount(np.minimum((u * bins).astype(np.int64), bins - 1), minlength=bins)
    n = max(len(u), 1)
    lower, upper = _share_band(n, 1 / bins)
    table["density"] = (seen / n * bins)[: len(table)]
    return table.assign(band_lower=lower * bins, band_upper=upper * bins)


def reliability(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, points: int = 21
) -> pd.DataFrame:
    """Observed against expected coverage at even levels, with its binomial band.

    Columns ``expected, observed, band_lower, band_upper``; no rows for n = 0. Observed below
    expected is overconfident.

    Examples
    --------
    >>> reliability([0, 0], [1, 1], [0.1, 5], points=3)["observed"].tolist()
    [0.0, 0.5, 1.0]
    """
    expected, observed = calibration_curve(mean, std, target, points=points)
    lower, upper = _share_band(max(np.size(mean), 1), expected)
    columns = {"expected": expected, "observed": observed}
    return pd.DataFrame(columns | {"band_lower": lower, "band_upper": upper}).dropna()


def coverage_by(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, labels: ArrayLike
) -> pd.DataFrame:
    """Coverage of 90 % intervals per subset: by predicted std, GC, activity decile, species, batch.

    Columns ``bin, n, coverage, mpiw, rmse, zms, band_lower, band_upper`` (the binomial band of
    ``coverage``). Subsets of fewer than 10 elements are dropped. Take deciles of the *predicted*
    activity: given the measured one, not even the true law covers at its level, because a high
    measurement is partly noise.

    Examples
    --------
    >>> table = coverage_by([0] * 20, [1] * 20, [0] * 10 + [9] * 10, np.repeat(["a", "b"], 10))
    >>> table["coverage"].tolist()
    [1.0, 0.0]
    """
    mean, std, target = as_forecast(mean, std, target)
    cells, unique = pd.factorize(as_labels("labels", labels, len(mean)), sort=True)
    z = (target - mean) / std
    columns = (np.ones_like(z), covered(z, _LEVEL), std, (target - mean) ** 2, z * z)
    sums = [np.bincount(cells, weights=column, minlength=len(unique)) for column in columns]
    kept = sums[0] >= MIN_BIN
    n, *means = (total[kept] for total in sums)
    inside, width, square, z2 = (total / n for total in means)
    lower, upper = _share_band(n, _LEVEL)
    return pd.DataFrame(
        {
            "bin": unique[kept],
            "n": n.astype(np.int64),
            "coverage": inside,
            "mpiw": 2 * half_width(_LEVEL) * width,
            "rmse": np.sqrt(square),
            "zms": z2,
            "band_lower": lower,
            "band_upper": upper,
        }
    )


def audit(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    rng: np.random.Generator,
    *,
    by: Mapping[str, ArrayLike] | None = None,
    climatology: Climatology | None = None,
) -> dict[str, pd.DataFrame]:
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

    Returns
    -------
    dict of str to DataFrame
        ``bands``: ``metric, value, band_lower, band_upper`` (Gaussian null), ``shape_lower,
        shape_upper`` (residual-shape null), NaN where a metric has no such band. ``pit`` and
        ``reliability``: as the functions above. ``coverage``: ``coverage_by`` of every covariate,
        named in ``by``.

    Raises
    ------
    ValueError
        No elements, bad values, or labels that do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> tables = audit(np.zeros(200), np.ones(200), 2 * rng.normal(size=200), rng)
    >>> row = tables["bands"].set_index("metric").loc["zms"]
    >>> bool(row["value"] > row["band_upper"])  # std half as large as it should be
    True
    """
    mean, std, target = forecast = as_forecast(mean, std, target)
    values = all_metrics(*forecast, climatology=climatology)
    bands = pd.DataFrame({"metric": list(values), "value": list(values.values())})
    nulls = {"band": gaussian_band(std, rng), "shape": residual_band(*forecast, rng)}
    for name, null in nulls.items():
        ends = {"lower": f"{name}_lower", "upper": f"{name}_upper"}
        bands = bands.merge(null.rename(columns=ends), on="metric", how="left")
    deciles = {"std_decile": quantile_bins(std), "mean_decile": quantile_bins(mean)}
    labels: dict[str, ArrayLike] = {**deciles, **({} if by is None else by)}
    coverage = [coverage_by(*forecast, cells).assign(by=name) for name, cells in labels.items()]
    return {
        "bands": bands,
        "pit": pit_histogram(*forecast),
        "reliability": reliability(*forecast),
        "coverage": pd.concat(coverage, ignore_index=True),
    }

"""One model on one part, as a tidy table: every metric with its interval and its oracle value.

In: a predictions table (``target, mean, std``, optional ``group``). Out: rows ``metric, by, bin,
value, lower, upper, n, oracle, variance``; ``by`` and ``bin`` are empty for the whole part.
Intervals are 95 % percentile intervals of a bootstrap over groups; ``variance`` is the variance of
the draws, which ``lib.statistics.combine_splits`` takes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from lib.bootstrap import (
    GroupCodes,
    bootstrap_totals,
    cell_totals,
    draw_variance,
    group_codes,
    group_totals,
    merge_groups,
    percentile_interval,
    weight_blocks,
)
from lib.metrics._check import FloatArray, IntArray, as_count, as_forecast, as_labels, as_level
from lib.metrics._order import factorise
from lib.metrics.groups import worst_group
from lib.metrics.moments import (
    conditional_columns,
    metrics_from_means,
    overall_columns,
    spearman_column,
)
from lib.metrics.resampling import (
    Weighted,
    binned_metrics,
    curve_metrics,
    ordered_metrics,
    selective_metrics,
)

MOST_GROUPS = 2000  # sets into which more groups are merged for the bootstrap
RESAMPLED_DRAWS = 200  # draws of metrics that need the order of elements, not only sums
FEWER_DRAWS = 100  # the same above MANY_ROWS
MANY_ROWS = 5000
MIN_BIN = 10  # smaller bins are dropped: no aggregate of fewer elements is published
BINNED_LEVEL = 0.9
COLUMNS = ["metric", "by", "bin", "value", "lower", "upper", "n", "oracle", "variance"]

Forecast = tuple[FloatArray, FloatArray, FloatArray]
Values = dict[str, FloatArray]


class _Bins(NamedTuple):
    labels: list[str]
    cells: IntArray  # (n,), -1 where the bin is too small
    sizes: IntArray


class _Setup(NamedTuple):
    groups: GroupCodes
    levels: tuple[float, ...]
    climatology: tuple[float, float] | None
    bins: dict[str, _Bins]


class _Totals(NamedTuple):
    """Sums per group of the whole part and of the bins of each covariate; column 0 counts rows."""

    names: list[str]
    overall: FloatArray
    binned_names: list[str]
    binned: list[sparse.csr_array]


class _Measured(NamedTuple):
    overall: Values  # metric -> (draws,)
    binned: dict[str, Values]  # covariate -> metric -> (n_bins, draws)


def _bins(name: str, labels: ArrayLike, n: int) -> _Bins:
    unique, inverse = factorise(as_labels(f"by[{name!r}]", labels, n))
    sizes = np.bincount(inverse, minlength=len(unique))
    kept = sizes >= MIN_BIN
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    return _Bins([str(label) for label in unique[kept]], number[inverse], sizes[kept])


def _totals(forecast: Forecast, setup: _Setup) -> _Totals:
    mean, std, target = forecast
    columns = overall_columns(*forecast, setup.levels, setup.climatology)
    columns["spearman"] = spearman_column(mean, target)
    columns["unc_error"] = spearman_column(np.abs(target - mean), std)
    stacked = np.column_stack([np.ones(len(mean)), *columns.values()])
    overall = group_totals(stacked, setup.groups)
    binned: list[sparse.csr_array] = []
    inner = conditional_columns(*forecast, BINNED_LEVEL)
    stacked = np.column_stack([np.ones(len(mean)), *inner.values()])
    for bins in setup.bins.values():
        binned.append(cell_totals(stacked, bins.cells, len(bins.labels), setup.groups))
    return _Totals(list(columns), overall, list(inner), binned)


def _means(names: Sequence[str], totals: FloatArray) -> Values:
    """Sums ``(K + 1, ...)``, the count first, as named means; NaN where nothing counts."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return dict(zip(names, totals[1:] / totals[0], strict=True))


def _measure(tables: _Totals, sums: Sequence[FloatArray], setup: _Setup) -> _Measured:
    """Metrics from the sums ``(K, draws)`` of each table in ``tables``."""
    n = len(setup.groups.codes)
    means = _means(tables.names, sums[0])
    overall = metrics_from_means(means, setup.levels, n)
    overall["spearman_r"] = np.clip(means["spearman"], -1, 1)
    overall["unc_error_spearman"] = np.clip(means["unc_error"], -1, 1)
    binned = {}
    for (name, bins), total in zip(setup.bins.items(), sums[1:], strict=True):
        cube = total.reshape(len(bins.labels), len(tables.binned_names) + 1, -1).swapaxes(0, 1)
        means = _means(tables.binned_names, cube)
        binned[name] = metrics_from_means(means, (BINNED_LEVEL,), n)
    return _Measured(overall, binned)


def _ordered(forecast: Forecast, groups: GroupCodes) -> list[Weighted]:
    mean, std, target = forecast
    z = (target - mean) / std
    return [
        curve_metrics(z, groups.codes, groups.n_groups),
        binned_metrics(z, std, groups.codes, groups.n_groups),
        ordered_metrics(z, groups.codes),
        selective_metrics((target - mean) ** 2, std, groups.codes),
    ]


def _apply(parts: Sequence[Weighted], weights: FloatArray) -> Values:
    return {name: values for part in parts for name, values in part(weights).items()}


def _point(tables: _Totals, ordered: Sequence[Weighted], setup: _Setup) -> _Measured:
    ones = np.ones((setup.groups.n_groups, 1))
    sums = [matrix @ ones for matrix in [tables.overall, *tables.binned]]
    measured = _measure(tables, sums, setup)
    measured.overall.update(_apply(ordered, ones))
    return measured


def _resample(
    parts: Sequence[Weighted], groups: GroupCodes, draws: int, rng: np.random.Generator
) -> Values:
    blocks = weight_blocks(groups.n_groups, draws, rng, rows=len(groups.codes))
    drawn = [_apply(parts, weights) for _, weights in blocks]
    return {name: np.concatenate([block[name] for block in drawn]) for name in drawn[0]}


def _frame(
    point: Values, drawn: Values, oracle: Values | None, by: str, bins: Sequence[str], n: IntArray
) -> pd.DataFrame:
    """Rows of one covariate: metrics x bins; values are ``(bins, 1)``, draws ``(bins, draws)``."""
    names = list(point)
    stacked = np.stack([drawn[name] for name in names])
    lower, upper = percentile_interval(stacked)
    known = None if oracle is None else np.stack([oracle[name] for name in names]).ravel()
    return pd.DataFrame(
        {
            "metric": np.repeat(np.array(names, dtype=object), len(bins)),
            "by": by,
            "bin": np.tile(np.array(bins, dtype=object), len(names)),
            "value": np.stack([point[name] for name in names]).ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "n": np.tile(n, len(names)),
            "oracle": np.nan if known is None else known,
            "variance": draw_variance(stacked).ravel(),
        }
    )


def _worst_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The worst bin of each metric again, as ``worst_group_<metric>``."""
    found = []
    for metric, part in rows.groupby("metric", sort=False):
        worst = worst_group(str(metric), dict(zip(part.index, part["value"], strict=True)))
        if worst is not None:
            found.append(worst)
    worst_rows = rows.loc[found].copy()
    worst_rows["metric"] = "worst_group_" + worst_rows["metric"]
    return worst_rows


def _read(predictions: pd.DataFrame) -> tuple[Forecast, GroupCodes]:
    missing = [name for name in ("target", "mean", "std") if name not in predictions]
    if missing:
        raise ValueError(
            f"predictions lacks {missing}; it has {list(predictions)}; a table with target, "
            "mean and std would do"
        )
    forecast = as_forecast(predictions["mean"], predictions["std"], predictions["target"])
    n = len(predictions)
    if n == 0:
        raise ValueError("predictions has no rows; at least one would do")
    if "group" not in predictions:
        return forecast, GroupCodes(np.arange(n), n)
    return forecast, group_codes(predictions["group"].to_numpy())


def _oracle(table: pd.DataFrame, target: FloatArray) -> Forecast:
    try:
        return as_forecast(table["mean"], table["std"], target)
    except (KeyError, ValueError) as error:
        raise ValueError(f"oracle: {error}; one row with mean and std per prediction") from error


def evaluate(
    predictions: pd.DataFrame,
    *,
    rng: np.random.Generator,
    climatology: tuple[float, float] | None = None,
    oracle: pd.DataFrame | None = None,
    levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95),
    draws: int = 1000,
    by: Mapping[str, ArrayLike] | None = None,
) -> pd.DataFrame:
    """All metrics of one model on one part, overall, per bin and for the worst bin.

    Parameters
    ----------
    predictions : DataFrame with n rows
        Columns ``target, mean, std`` (one unit) and optionally ``group``, of any type; without it
        every row is its own group.
    rng : Generator
        Draws the bootstrap.
    climatology : (mean, std), optional
        Of the *training* targets; without it there is no ``crps_skill``.
    oracle : DataFrame with n rows, optional
        ``mean`` and ``std`` of the measurement given the element: fills the column ``oracle`` with
        the same metric of that forecast. NaN without it.
    levels : sequence of float
        Levels of ``picp_*``, ``mpiw_*``, ``coverage_gap_*``, ``interval_score_*``.
    draws : int
        Bootstrap draws. More than 2,000 groups are first merged at random into 2,000 sets. Metrics
        that need the order of elements (``mace``, ``rmsce``, ``miscal_area``, ``ence``, ``uce``,
        ``zve``, ``pit_ks``, ``zms_robust``, ``aurc``, ``e_aurc``, ``augrc``, ``prr``, ``naurc``;
        squared error ranked by std) take at most 200, above 5,000 rows at most 100; ``spearman_r``
        and ``unc_error_spearman`` are linearised (``spearman_column``).
    by : mapping of name to (n,) labels, optional
        Covariates, such as ``{"gc_decile": quantile_bins(gc)}``. Bins of fewer than 10 elements are
        dropped.

    Returns
    -------
    DataFrame
        Columns ``COLUMNS``. Per bin: ``rmse, bias, crps_gaussian, zms, picp_90, mpiw_90``. The
        worst bin appears again as ``worst_group_<metric>`` with the interval of that bin, which is
        not corrected for having been picked. Distances from perfect calibration (``mace`` to
        ``pit_ks``) grow under resampling, so their intervals lie high: judge them against a null
        band.

    Raises
    ------
    ValueError
        A missing column, no rows, bad values, labels that do not fit.

    Examples
    --------
    >>> table = pd.DataFrame({"target": [0.0, 1.0, 3.0], "mean": [0.0, 2.0, 2.0], "std": 1.0})
    >>> scores = evaluate(table, rng=np.random.default_rng(0), draws=50).set_index("metric")
    >>> float(scores.loc["mae", "value"]) == 2 / 3, int(scores.loc["mae", "n"])
    (True, 3)
    """
    forecast, given_groups = _read(predictions)
    draws = as_count("draws", draws)
    n = len(given_groups.codes)
    groups = merge_groups(given_groups, MOST_GROUPS, rng)
    checked_levels = tuple(as_level(level, "levels") for level in levels)
    given = {} if by is None else {name: _bins(name, labels, n) for name, labels in by.items()}
    bins = {name: members for name, members in given.items() if members.labels}
    setup = _Setup(groups, checked_levels, climatology, bins)

    tables, ordered = _totals(forecast, setup), _ordered(forecast, groups)
    point = _point(tables, ordered, setup)
    sums = bootstrap_totals([tables.overall, *tables.binned], groups.n_groups, draws, rng)
    few = min(draws, RESAMPLED_DRAWS if n <= MANY_ROWS else FEWER_DRAWS)
    drawn = _measure(tables, sums, setup)
    resampled = _resample(ordered, groups, few, rng)
    truth = None
    if oracle is not None:
        best = _oracle(oracle, forecast[2])
        truth = _point(_totals(best, setup), _ordered(best, groups), setup)
    return _assemble(point, drawn, resampled, truth, setup)


def _assemble(
    point: _Measured, drawn: _Measured, resampled: Values, truth: _Measured | None, setup: _Setup
) -> pd.DataFrame:
    known = None if truth is None else truth.overall
    whole = np.array([len(setup.groups.codes)])
    frames = []
    for draws in ({k: v for k, v in drawn.overall.items() if k not in resampled}, resampled):
        values = {name: point.overall[name] for name in draws}
        frames.append(_frame(values, draws, known, "", [""], whole))
    for name, bins in setup.bins.items():
        known = None if truth is None else truth.binned[name]
        rows = _frame(point.binned[name], drawn.binned[name], known, name, bins.labels, bins.sizes)
        frames += [rows, _worst_rows(rows)]
    return pd.concat(frames, ignore_index=True)[COLUMNS]

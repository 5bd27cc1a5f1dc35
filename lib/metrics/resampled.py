"""Metrics of one forecast under resampled groups: the numbers behind ``lib.metrics.evaluate``.

In: a checked forecast and a ``Setup`` (groups, levels, bins). Out: ``Measured`` values, once for
the forecast itself and once for every bootstrap draw. Metrics that are functions of column means go
through sums per group and one matrix product; the others through weights on ordered elements.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from lib.arrays import FloatArray, GroupCodes, IntArray
from lib.metrics.bootstrap import bootstrap_totals, cell_totals, group_totals, weight_blocks
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

RESAMPLED_DRAWS = 200  # draws of metrics that need the order of elements, not only sums
FEWER_DRAWS = 100  # the same above MANY_ROWS
MANY_ROWS = 5000
BINNED_LEVEL = 0.9

Forecast = tuple[FloatArray, FloatArray, FloatArray]
Values = dict[str, FloatArray]


class Bins(NamedTuple):
    """Bins of one covariate, small ones left out."""

    labels: list[str]
    cells: IntArray  # (n,), -1 where the bin is too small
    sizes: IntArray


class Setup(NamedTuple):
    """What does not depend on the model: groups, levels, climatology and covariates."""

    groups: GroupCodes
    levels: tuple[float, ...]
    climatology: tuple[float, float] | None
    bins: dict[str, Bins]


class _Totals(NamedTuple):
    """Sums per group of the whole part and of the bins of each covariate; column 0 counts rows."""

    names: list[str]
    overall: FloatArray
    binned_names: list[str]
    binned: list[sparse.csr_array]


class Measured(NamedTuple):
    """Metrics of the whole part and of the bins; the last axis counts draws."""

    overall: Values  # metric -> (draws,)
    binned: dict[str, Values]  # covariate -> metric -> (n_bins, draws)


def _totals(forecast: Forecast, setup: Setup) -> _Totals:
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


def _measure(tables: _Totals, sums: Sequence[FloatArray], setup: Setup) -> Measured:
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
    return Measured(overall, binned)


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


def measure_point(forecast: Forecast, setup: Setup) -> Measured:
    """Every metric of the forecast itself, ``(1,)`` each and ``(n_bins, 1)`` per covariate."""
    return _point(_totals(forecast, setup), _ordered(forecast, setup.groups), setup)


def _point(tables: _Totals, ordered: Sequence[Weighted], setup: Setup) -> Measured:
    ones = np.ones((setup.groups.n_groups, 1))
    sums = [matrix @ ones for matrix in [tables.overall, *tables.binned]]
    measured = _measure(tables, sums, setup)
    measured.overall.update(_apply(ordered, ones))
    return measured


def measure_draws(
    forecast: Forecast, setup: Setup, draws: int, rng: np.random.Generator
) -> tuple[Measured, Measured]:
    """Point values, and their draws under resampled groups."""
    groups, n = setup.groups, len(forecast[0])
    tables, ordered = _totals(forecast, setup), _ordered(forecast, setup.groups)
    point = _point(tables, ordered, setup)
    sums = bootstrap_totals([tables.overall, *tables.binned], groups.n_groups, draws, rng)
    drawn = _measure(tables, sums, setup)
    few = min(draws, RESAMPLED_DRAWS if n <= MANY_ROWS else FEWER_DRAWS)
    blocks = [
        _apply(ordered, weights) for _, weights in weight_blocks(groups.n_groups, few, rng, rows=n)
    ]
    for name in blocks[0]:
        drawn.overall[name] = np.concatenate([block[name] for block in blocks])
    return point, drawn

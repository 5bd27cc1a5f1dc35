"""One model on one part, as a tidy table: every metric with its interval and its oracle value.

In: a predictions table (``target, mean, std``, optional ``group``). Out: rows ``metric, by, bin,
value, lower, upper, n, oracle, variance``; ``by`` and ``bin`` are empty for the whole part.
Intervals are 95 % percentile intervals of a bootstrap over groups; ``variance`` is the variance of
the draws, which ``lib.statistics.effects.combine_splits`` takes. Metrics of means go through sums
per group and one matrix product for all draws, the others through weights on ordered elements.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.arrays import (
    FloatArray,
    GroupCodes,
    IntArray,
    as_count,
    as_forecast,
    as_labels,
    group_codes,
    merge_groups,
)
from lib.metrics.bootstrap import (
    bootstrap_totals,
    cell_totals,
    draw_variance,
    group_totals,
    percentile_interval,
    weight_blocks,
)
from lib.metrics.calibration import binned_metrics, curve_metrics, ordered_metrics
from lib.metrics.columns import (
    CONDITIONAL,
    LEVELS,
    Climatology,
    Columns,
    Forecast,
    Key,
    Metric,
    Values,
    mean_metrics,
    needed,
    values_of,
)
from lib.metrics.groups import worst_group
from lib.metrics.selective import selective_metrics

MOST_GROUPS = 2000  # sets into which more groups are merged for the bootstrap
MIN_BIN = 10  # smaller bins are dropped: no aggregate of fewer elements is published
ORDERED_DRAWS = 200  # draws of metrics that need the order of elements, not only sums
FEWER_DRAWS = 100  # the same above MANY_ROWS
MANY_ROWS = 5000
COLUMNS = ["metric", "by", "bin", "value", "lower", "upper", "n", "oracle", "variance"]
# averages over levels of what each level's rows say, and e_aurc in another unit
_LEFT_OUT = ("check_score", "interval_score_mean", "ause")


class _Bins(NamedTuple):
    """Bins of one covariate, small ones left out."""

    labels: list[str]
    cells: IntArray  # (n,), -1 where the bin is too small
    sizes: IntArray


class _Setup(NamedTuple):
    """What does not depend on the model."""

    groups: GroupCodes
    metrics: dict[str, Metric]
    climatology: Climatology | None
    bins: dict[str, _Bins]


def _bins(name: str, labels: ArrayLike, n: int) -> _Bins:
    inverse, unique = pd.factorize(as_labels(f"by[{name!r}]", labels, n), sort=True)
    sizes = np.bincount(inverse, minlength=len(unique))
    kept = sizes >= MIN_BIN
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    return _Bins([str(label) for label in unique[kept]], number[inverse], sizes[kept])


def _set_up(
    groups: GroupCodes,
    climatology: Climatology | None,
    by: Mapping[str, ArrayLike] | None,
    rng: np.random.Generator,
) -> _Setup:
    given = {} if by is None else by
    bins = {name: _bins(name, labels, len(groups.codes)) for name, labels in given.items()}
    metrics = mean_metrics(LEVELS, skill=climatology is not None)
    metrics = {name: metric for name, metric in metrics.items() if name not in _LEFT_OUT}
    kept = {name: members for name, members in bins.items() if members.labels}
    return _Setup(merge_groups(groups, MOST_GROUPS, rng), metrics, climatology, kept)


def _stacked(columns: Columns, keys: Sequence[Key]) -> FloatArray:
    """Columns beside each other, ``(n, 1 + K)``; the first counts rows."""
    return np.column_stack([np.ones(len(columns.mean)), *(columns[key] for key in keys)])


def _from_sums(metrics: Mapping[str, Metric], sums: FloatArray, n: int) -> Values:
    """Metrics from sums ``(1 + K, ...)``, the count first; NaN where nothing counts."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = dict(zip(needed(metrics), sums[1:] / sums[0], strict=True))
        return values_of(metrics, means, n)


def _of_sums(
    forecast: Forecast, setup: _Setup, draws: int, rng: np.random.Generator
) -> list[Values]:
    """Metrics of means: of the whole part ``(1 + draws,)``, then per covariate, bins first."""
    columns = Columns(forecast, setup.climatology)
    inner = {name: setup.metrics[name] for name in CONDITIONAL}
    stacked = _stacked(columns, needed(inner))
    tables = [
        group_totals(_stacked(columns, needed(setup.metrics)), setup.groups),
        *(cell_totals(stacked, b.cells, len(b.labels), setup.groups) for b in setup.bins.values()),
    ]
    drawn = bootstrap_totals(tables, setup.groups.n_groups, draws, rng)
    sums = [np.column_stack([t.sum(axis=1), d]) for t, d in zip(tables, drawn, strict=True)]
    n = len(columns.mean)
    out = [_from_sums(setup.metrics, sums[0], n)]
    for bins, total in zip(setup.bins.values(), sums[1:], strict=True):
        cube = total.reshape(len(bins.labels), stacked.shape[1], -1).swapaxes(0, 1)
        out.append(_from_sums(inner, cube, n))
    return out


def _of_orders(
    forecast: Forecast, groups: GroupCodes, draws: int, rng: np.random.Generator
) -> Values:
    """Metrics that need the order of elements, ``(1 + draws,)``; NaN beyond their fewer draws."""
    mean, std, target = forecast
    z = (target - mean) / std
    weighted = (
        curve_metrics(z, groups),
        binned_metrics(z, std, groups),
        ordered_metrics(z, groups),
        selective_metrics((target - mean) ** 2, std, groups.codes),
    )
    few = min(draws, ORDERED_DRAWS if len(z) <= MANY_ROWS else FEWER_DRAWS)
    blocks = [np.ones((groups.n_groups, 1))]
    blocks = [*blocks, *(w for _, w in weight_blocks(groups.n_groups, few, rng, rows=len(z)))]
    found = [{k: v for of in weighted for k, v in of(block).items()} for block in blocks]
    nothing = np.full(draws - few, np.nan)
    return {
        name: np.concatenate([*(values[name] for values in found), nothing])
        for name in found[0]
        if name not in _LEFT_OUT
    }


def _measure(
    forecast: Forecast, setup: _Setup, draws: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, FloatArray]:
    """Keys ``metric, by, bin, n`` of each row, and its value before its draws."""
    whole, *binned = _of_sums(forecast, setup, draws, rng)
    whole |= _of_orders(forecast, setup.groups, draws, rng)
    everything = _Bins([""], np.empty(0, np.int64), np.array([len(forecast[0])]))
    keys, values = [], []
    for name, bins, found in zip(
        ["", *setup.bins], [everything, *setup.bins.values()], [whole, *binned], strict=True
    ):
        size = len(bins.labels)
        table = {
            "metric": np.repeat(np.array(list(found), dtype=object), size),
            "by": name,
            "bin": np.tile(np.array(bins.labels, dtype=object), len(found)),
            "n": np.tile(bins.sizes, len(found)),
        }
        keys.append(pd.DataFrame(table))
        values += [block.reshape(size, -1) for block in found.values()]
    return pd.concat(keys, ignore_index=True), np.concatenate(values)


def _intervals(values: FloatArray) -> dict[str, FloatArray]:
    lower, upper = percentile_interval(values[:, 1:])
    return {"value": values[:, 0], "lower": lower, "upper": upper}


def _worst_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The worst bin of each metric again, as ``worst_group_<metric>``."""
    found = [
        worst_group(str(metric), dict(zip(part.index, part["value"], strict=True)))
        for (_, metric), part in rows[rows["by"] != ""].groupby(["by", "metric"], sort=False)
    ]
    worst = rows.loc[[row for row in found if row is not None]]
    return worst.assign(metric="worst_group_" + worst["metric"].astype(str))


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
    climatology: Climatology | None = None,
    oracle: pd.DataFrame | None = None,
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
    forecast, groups = _read(predictions)
    setup = _set_up(groups, climatology, by, rng)
    rows, values = _measure(forecast, setup, as_count("draws", draws), rng)
    rows = rows.assign(**_intervals(values), variance=draw_variance(values[:, 1:]), oracle=np.nan)
    if oracle is not None:
        truth = _oracle(oracle, forecast[2])
        rows["oracle"] = _measure(truth, setup, 0, rng)[1][:, 0]
    return pd.concat([rows, _worst_rows(rows)], ignore_index=True)[COLUMNS]


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    rng: np.random.Generator,
    climatology: Climatology | None = None,
    draws: int = 1000,
    by: Mapping[str, ArrayLike] | None = None,
) -> pd.DataFrame:
    """Differences and ratios of two models' metrics on the same elements, resampled together.

    Both models see the same resampled groups, so what they share cancels: the interval is that of
    the difference, not of two independent values. Pool the differences of several splits with
    ``lib.statistics.effects.combine_splits``.

    Parameters
    ----------
    first, second : DataFrame with n rows
        As for ``evaluate``, with equal ``target`` and, where given, equal ``group``.
    rng, climatology, draws, by
        As for ``evaluate``.

    Returns
    -------
    DataFrame
        ``metric, by, bin, value, lower, upper, n, variance`` of first minus second and ``ratio,
        ratio_lower, ratio_upper`` of first over second (meant for metrics above 0).

    Raises
    ------
    ValueError
        Tables that are not of the same elements, or what ``evaluate`` refuses.

    Examples
    --------
    >>> truth = np.arange(40.0)
    >>> near = pd.DataFrame({"target": truth, "mean": truth + 1, "std": 1.0})
    >>> far = near.assign(mean=truth + 2)
    >>> table = compare(far, near, rng=np.random.default_rng(0), draws=50).set_index("metric")
    >>> float(table.loc["rmse", "value"]), float(table.loc["rmse", "ratio"])
    (1.0, 2.0)
    """
    (forecast, groups), (other, other_groups) = _read(first), _read(second)
    if not np.array_equal(forecast[2], other[2]):
        raise ValueError("first and second differ in target; the same elements in order would do")
    if not np.array_equal(groups.codes, other_groups.codes):
        raise ValueError("first and second differ in group; the same groups would do")
    setup = _set_up(groups, climatology, by, rng)
    seed = int(rng.integers(2**63))
    (rows, left), (_, right) = (
        _measure(each, setup, as_count("draws", draws), np.random.default_rng(seed))
        for each in (forecast, other)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        difference, ratio = left - right, left / right
    names = ("ratio", "ratio_lower", "ratio_upper")
    ratios = dict(zip(names, _intervals(ratio).values(), strict=True))
    variance = draw_variance(difference[:, 1:])
    return rows.assign(**_intervals(difference), variance=variance, **ratios)

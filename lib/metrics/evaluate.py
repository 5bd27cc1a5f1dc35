"""One model on one part, as a tidy table: every metric with its interval and its oracle value.

In: a predictions table (``target, mean, std``, optional ``group``). Out: rows ``metric, by, bin,
value, lower, upper, n, oracle, variance``; ``by`` and ``bin`` are empty for the whole part.
Intervals are 95 % percentile intervals of a bootstrap over groups; ``variance`` is the variance of
the draws, which ``lib.statistics.intervals.combine_splits`` takes.
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
    as_level,
    factorise,
    group_codes,
    merge_groups,
)
from lib.metrics.bootstrap import draw_variance, percentile_interval
from lib.metrics.groups import worst_group
from lib.metrics.resampled import (
    Bins,
    Forecast,
    Measured,
    Setup,
    Values,
    measure_draws,
    measure_point,
)

MOST_GROUPS = 2000  # sets into which more groups are merged for the bootstrap
MIN_BIN = 10  # smaller bins are dropped: no aggregate of fewer elements is published
COLUMNS = ["metric", "by", "bin", "value", "lower", "upper", "n", "oracle", "variance"]


def _bins(name: str, labels: ArrayLike, n: int) -> Bins:
    unique, inverse = factorise(as_labels(f"by[{name!r}]", labels, n))
    sizes = np.bincount(inverse, minlength=len(unique))
    kept = sizes >= MIN_BIN
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    return Bins([str(label) for label in unique[kept]], number[inverse], sizes[kept])


def _set_up(
    groups: GroupCodes,
    levels: Sequence[float],
    climatology: tuple[float, float] | None,
    by: Mapping[str, ArrayLike] | None,
    rng: np.random.Generator,
) -> Setup:
    n = len(groups.codes)
    checked = tuple(as_level(level, "levels") for level in levels)
    given = {} if by is None else {name: _bins(name, labels, n) for name, labels in by.items()}
    bins = {name: members for name, members in given.items() if members.labels}
    return Setup(merge_groups(groups, MOST_GROUPS, rng), checked, climatology, bins)


class _Part(NamedTuple):
    """Metrics of one covariate's bins (or of the whole part) that share a number of draws."""

    by: str
    bins: list[str]
    n: IntArray
    names: list[str]
    values: FloatArray  # (metrics, bins)
    draws: FloatArray  # (metrics, bins, draws)

    def subtract(self, other: "_Part") -> "_Part":
        with np.errstate(invalid="ignore"):
            return self._replace(values=self.values - other.values, draws=self.draws - other.draws)

    def divide(self, other: "_Part") -> "_Part":
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._replace(values=self.values / other.values, draws=self.draws / other.draws)


def _part(by: str, bins: list[str], n: IntArray, point: Values, drawn: Values) -> _Part:
    names = list(drawn)
    values = np.stack([point[name].reshape(len(bins)) for name in names])
    draws = np.stack([drawn[name].reshape(len(bins), -1) for name in names])
    return _Part(by, bins, n, names, values, draws)


def _parts(point: Measured, drawn: Measured, setup: Setup) -> list[_Part]:
    whole = np.array([len(setup.groups.codes)])
    by_count: dict[int, Values] = {}
    for name, values in drawn.overall.items():
        by_count.setdefault(values.shape[-1], {})[name] = values
    parts = [_part("", [""], whole, point.overall, values) for values in by_count.values()]
    for name, bins in setup.bins.items():
        parts.append(_part(name, bins.labels, bins.sizes, point.binned[name], drawn.binned[name]))
    return parts


def _frame(part: _Part, truth: Measured | None) -> pd.DataFrame:
    lower, upper = percentile_interval(part.draws)
    oracle = np.full(part.values.shape, np.nan)
    if truth is not None:
        known = truth.binned[part.by] if part.by else truth.overall
        oracle = np.stack([known[name].reshape(len(part.bins)) for name in part.names])
    return pd.DataFrame(
        {
            "metric": np.repeat(np.array(part.names, dtype=object), len(part.bins)),
            "by": part.by,
            "bin": np.tile(np.array(part.bins, dtype=object), len(part.names)),
            "value": part.values.ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "n": np.tile(part.n, len(part.names)),
            "oracle": oracle.ravel(),
            "variance": draw_variance(part.draws).ravel(),
        }
    )


def _worst_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The worst bin of each metric again, as ``worst_group_<metric>``; none for a whole part."""
    rows = rows[rows["by"] != ""]
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
    forecast, groups = _read(predictions)
    setup = _set_up(groups, levels, climatology, by, rng)
    point, drawn = measure_draws(forecast, setup, as_count("draws", draws), rng)
    truth = None
    if oracle is not None:
        best = _oracle(oracle, forecast[2])
        truth = measure_point(best, setup)
    frames = [_frame(part, truth) for part in _parts(point, drawn, setup)]
    rows = pd.concat([piece for frame in frames for piece in (frame, _worst_rows(frame))])
    return rows.reset_index(drop=True)[COLUMNS]


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    rng: np.random.Generator,
    climatology: tuple[float, float] | None = None,
    levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95),
    draws: int = 1000,
    by: Mapping[str, ArrayLike] | None = None,
) -> pd.DataFrame:
    """Differences and ratios of two models' metrics on the same elements, resampled together.

    Both models see the same resampled groups, so what they share cancels: the interval is that of
    the difference, not of two independent values. Pool the differences of several splits with
    ``lib.statistics.intervals.combine_splits``.

    Parameters
    ----------
    first, second : DataFrame with n rows
        As for ``evaluate``, with equal ``target`` and, where given, equal ``group``.
    rng, climatology, levels, draws, by
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
    setup = _set_up(groups, levels, climatology, by, rng)
    seed = int(rng.integers(2**63))
    runs = [
        measure_draws(each, setup, as_count("draws", draws), np.random.default_rng(seed))
        for each in (forecast, other)
    ]
    frames = []
    pairs = (_parts(*run, setup) for run in runs)
    for left, right in zip(*pairs, strict=True):
        frame, ratio = _frame(left.subtract(right), None), _frame(left.divide(right), None)
        for column in ("value", "lower", "upper"):
            frame["ratio" if column == "value" else f"ratio_{column}"] = ratio[column]
        frames.append(frame)
    columns = [name for name in COLUMNS if name != "oracle"]
    columns += ["ratio", "ratio_lower", "ratio_upper"]
    return pd.concat(frames, ignore_index=True)[columns]

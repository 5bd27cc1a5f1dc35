"""From values per replicate to effects with intervals: one schema, one engine.

In: long tables, one row per replicate (world, fold or split) and metric. Out: means over replicates
with their intervals, and one row per :class:`Effect`, paired by replicate where it has a reference.
Worlds are independent and get Student's t; splits overlap and get the correction of
:func:`lib.statistics.intervals.combine_splits`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from lib.statistics.intervals import combine_splits, paired_contrast

LEVELS: Final[Mapping[str, float]] = {"": 0.95, "_90": 0.9}
ENDS: Final = ("value", "lower", "upper", "lower_90", "upper_90")

# What becomes of a metric (left) and its reference (right); ``ratio`` is averaged as a logarithm.
CHANGES: Final[Mapping[str, Callable[[pd.Series, pd.Series], pd.Series]]] = {
    "ratio": lambda left, right: np.log(left) - np.log(right),
    "rise": lambda left, right: left - right,
    "drop": lambda left, right: right - left,
    # Share of a squared error that is taken away.
    "closed": lambda left, right: 1 - (left / right) ** 2,
}


class Effect(NamedTuple):
    """An effect by name: of which metric, and ``value`` or which of :data:`CHANGES`."""

    name: str
    metric: str
    how: str = "value"


def effect(name: str, values: pd.Series, *, log: bool = False, **keys: Any) -> dict[str, Any]:
    """Mean over replicates with its 95 and 90 % intervals and sign-flip p; empty without values.

    Parameters
    ----------
    name : str
    values : (replicates,) Series
        One value each; NaN where a replicate has none. Logarithms with ``log``.
    log : bool
        Give value and ends as ratios.
    **keys
        Further columns of the row.

    Returns
    -------
    dict
        ``effect``, the keys, :data:`ENDS`, ``n`` (replicates), ``df`` and ``p``.

    Examples
    --------
    >>> row = effect("gain", pd.Series([1.0, 2.0, 3.0]), model="cnn")
    >>> row["model"], row["value"], round(row["upper"], 3), row["n"]
    ('cnn', 2.0, 4.484, 3)
    """
    known = values.dropna()
    if known.empty:
        return {}
    rng = np.random.default_rng(0)
    wide, narrow = (paired_contrast(known, level, rng) for level in LEVELS.values())
    found = dict(zip(ENDS, (*wide[:3], *narrow[1:3]), strict=True))
    if log:
        found = {end: float(np.exp(value)) for end, value in found.items()}
    return {"effect": name, **keys, **found, "n": len(known), "df": wide.df, "p": wide.p}


def by_metric(rows: pd.DataFrame, replicate: str = "replicate") -> pd.DataFrame:
    """Replicates by metric; each pair once."""
    return rows.pivot(index=replicate, columns="metric", values="value")


def against(
    left: pd.DataFrame,
    right: pd.DataFrame | None,
    wanted: Iterable[Effect],
    *,
    replicate: str = "replicate",
    **keys: Any,
) -> Iterator[dict[str, Any]]:
    """The wanted effects of one condition, paired by replicate with another where they need one.

    Examples
    --------
    >>> rows = pd.DataFrame({"replicate": [0, 1], "metric": "rmse", "value": [2.0, 8.0]})
    >>> half = rows.assign(value=1.0)
    >>> [row] = against(rows, half, [Effect("rmse_ratio", "rmse", "ratio")])
    >>> round(row["value"], 9)  # geometric mean of 2 and 8
    4.0
    """
    own = by_metric(left, replicate)
    other = None if right is None else by_metric(right, replicate)
    for name, metric, how in wanted:
        if how == "value":
            row = effect(name, own[metric], **keys)
        elif other is not None:
            change = CHANGES[how](own[metric], other[metric])
            row = effect(name, change, log=how == "ratio", **keys)
        else:
            continue
        if row:
            yield row


def over_replicates(
    table: pd.DataFrame,
    keys: Sequence[str],
    *,
    averaged: Sequence[str] = (),
    count: str = "worlds",
) -> pd.DataFrame:
    """Mean of ``value`` over independent replicates, 95 % t interval; none for a single one.

    Parameters
    ----------
    table : DataFrame
        ``keys``, ``value``, one row per replicate.
    keys, averaged : sequence of str
        Columns that tell rows apart, missing values included; numbers of which the mean is kept.
    count : str
        What the column with the number of replicates is called.

    Returns
    -------
    DataFrame
        ``keys, value, lower, upper``, the count and ``averaged``, in order of appearance.

    Examples
    --------
    >>> table = pd.DataFrame({"metric": "rmse", "value": [1.0, 2.0, 3.0]})
    >>> over_replicates(table, ["metric"]).round(2).to_dict("list")
    {'metric': ['rmse'], 'value': [2.0], 'lower': [-0.48], 'upper': [4.48], 'worlds': [3]}
    """
    groups = table.groupby(list(keys), sort=False, dropna=False)
    found = groups["value"].agg(value="mean", spread="std", size="count")
    freedom = np.maximum(found["size"] - 1, 1)
    half = student_t.ppf(0.975, freedom) * found["spread"] / np.sqrt(found["size"])
    made = pd.DataFrame(
        {"value": found["value"], "lower": found["value"] - half, "upper": found["value"] + half}
    )
    made[count] = found["size"]
    return made.join(groups[list(averaged)].mean() if averaged else []).reset_index()


def over_splits(
    table: pd.DataFrame, keys: Sequence[str], *, averaged: Sequence[str] = (), narrow: bool = False
) -> pd.DataFrame:
    """Mean of ``value`` over overlapping splits with its 95 % interval, with ``narrow`` also 90 %.

    Where a bootstrap has no variance (too few elements) there is no interval. Where a key ``scale``
    is ``ratio``, ``value`` is a logarithm and what comes out is not.

    Parameters
    ----------
    table : DataFrame
        ``keys``, ``value``, its bootstrap ``variance`` in each split, and the sizes ``n`` and
        ``n_train`` of the judged and the training part.
    keys, averaged : sequence of str
        As for :func:`over_replicates`.

    Returns
    -------
    DataFrame
        ``keys, value, lower, upper, n`` (mean size, rounded), ``splits`` and ``averaged``.

    Examples
    --------
    >>> table = pd.DataFrame({"metric": "rmse", "value": [1.0, 3.0], "variance": 0.5})
    >>> over_splits(table.assign(n=1, n_train=2), ["metric"])[["value", "splits"]].iloc[0].tolist()
    [2.0, 2.0]
    """
    rows = []
    levels = LEVELS if narrow else {"": LEVELS[""]}
    for key, part in table.groupby(list(keys), sort=False, dropna=False):
        row: dict[str, Any] = dict(zip(keys, key, strict=True))
        sizes = part["n"].mean(), part["n_train"].mean()
        found = {"value": float(part["value"].mean())}
        for ending, level in levels.items():
            found |= {f"lower{ending}": np.nan, f"upper{ending}": np.nan}
            if np.isfinite(part["variance"]).all():
                pooled = combine_splits(part["value"], part["variance"], *sizes, level)
                found["value"] = pooled.value
                found |= {f"lower{ending}": pooled.lower, f"upper{ending}": pooled.upper}
        if row.get("scale") == "ratio":
            found = {name: float(np.exp(value)) for name, value in found.items()}
        row |= found | {"n": round(sizes[0]), "splits": len(part)}
        rows.append(row | {name: part[name].mean() for name in averaged})
    return pd.DataFrame(rows)

"""From forecasts on the parts of repeated splits to tidy rows with intervals.

In: :class:`Scored`, one forecast on one part of one split. Out: rows per split, rows pooled over
splits (:func:`~lib.statistics.effects.over_splits`), and contrasts paired by split.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from lib.metrics.evaluate import evaluate
from lib.statistics.effects import over_splits
from lib.study.units import cores

# Keys that tell repeats apart; a combined row has them empty.
REPEATS: Final = ("split_seed", "seed")
# Numbers of a row that are averaged over repeats; the measured severity differs between splits.
_AVERAGED: Final = ("value", "variance", "oracle", "n", "n_train", "severity")


class Scored(NamedTuple):
    """One forecast to score, by a model that was trained on ``n_train`` elements."""

    keys: Mapping[str, Hashable]  # columns of its rows
    forecast: pd.DataFrame  # target, mean, std, group; where known also true_mean, true_std
    n_train: int
    climatology: tuple[float, float]  # mean and std of the training targets; skill is against it
    by: Mapping[str, NDArray[Any]] | None = None  # labels of elements for conditional rows


def score(item: Scored, draws: int, seed: int) -> pd.DataFrame:
    """Rows of one forecast, keys included; the bootstrap is seeded by ``seed`` alone."""
    oracle = None
    if "true_mean" in item.forecast:
        oracle = item.forecast[["true_mean", "true_std"]].set_axis(["mean", "std"], axis=1)
    sides: dict[str, Any] = {"climatology": item.climatology, "oracle": oracle, "by": item.by}
    rows = evaluate(item.forecast, **sides, draws=draws, rng=np.random.default_rng(seed))
    keys: dict[str, Any] = dict(item.keys)
    return rows.assign(**keys, n_train=item.n_train)


def side_by_side(
    function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]], workers: int | None
) -> list[Any]:
    """``function`` of each job's arguments, in order, on so many processes (all cores: None)."""
    parallel = Parallel(n_jobs=cores() if workers is None else workers)
    return list(parallel(delayed(function)(*job) for job in jobs))


def score_all(items: Sequence[Scored | None], draws: int, workers: int | None) -> pd.DataFrame:
    """:func:`score` of every forecast, stacked; an item's place seeds its bootstrap."""
    jobs = ((item, draws, place) for place, item in enumerate(items) if item is not None)
    return pd.concat(side_by_side(score, jobs, workers), ignore_index=True)


def _seed_means(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Average the fits of one split, so that splits are the repeats."""
    numeric = dict.fromkeys([name for name in _AVERAGED if name in rows], "mean")
    grouped = rows.groupby([*keys, "split_seed"], dropna=False, sort=False)
    return grouped.agg(numeric).reset_index()


def combine(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of :func:`score` over splits: one per key without :data:`REPEATS`.

    ``n`` is the mean size of the part, ``splits`` the number of splits. For one split the interval
    is the bootstrap's percentiles, which say more than its variance does.
    """
    values = {*_AVERAGED, "lower", "upper", *REPEATS}
    keys = [column for column in rows.columns if column not in values]
    # A correlation with a constant forecast is undefined: no row is better than an empty one.
    rows = rows[np.isfinite(rows["value"])]
    averaged = [name for name in ("oracle", "severity") if name in rows]
    table = over_splits(_seed_means(rows, keys), keys, averaged=averaged)
    if "severity" in table:
        table["severity"] = table["severity"].round(4)
    if rows["split_seed"].nunique() == 1:
        ends = rows.groupby(keys, dropna=False, sort=False)[["lower", "upper"]].mean()
        table = table.drop(columns=["lower", "upper"]).merge(ends.reset_index(), on=keys)
    return table


def contrast(
    left: pd.DataFrame, right: pd.DataFrame, scales: Mapping[str, str], *, match: Sequence[str]
) -> pd.DataFrame:
    """Differences or ratios (as ``scales`` says by metric) of two conditions, paired by split.

    Sides are rows of :func:`score` and share the keys ``match``; ratios are pooled as logarithms.
    """
    keys = [*match, "metric"]
    whole = (side[side["metric"].isin(list(scales)) & (side["by"] == "")] for side in (left, right))
    one, other = (_seed_means(side, keys) for side in whole)
    both = one.merge(other, on=[*keys, "split_seed"], suffixes=("", "_right"))
    both["scale"] = both["metric"].map(dict(scales))
    ratio = both["scale"] == "ratio"
    for side in ("", "_right"):
        value, variance = both[f"value{side}"], both[f"variance{side}"]
        both[f"variance{side}"] = variance.where(~ratio, variance / value**2)
        both[f"value{side}"] = value.where(~ratio, np.log(value.where(ratio)))
    both["value"] -= both["value_right"]
    both["variance"] += both["variance_right"]
    return over_splits(both, [*keys, "scale"])

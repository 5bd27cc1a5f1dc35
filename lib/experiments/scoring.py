"""From forecasts on the parts of repeated splits to tidy rows with intervals.

In: :class:`Scored`, one model's forecast on one part of one split, with the keys of its rows. Out:
rows per split, rows pooled over splits (bootstrap over groups within a split, Nadeau–Bengio
correction between splits), and contrasts of two conditions paired by split.
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
    """One forecast to score, by a model that was trained on ``n_train`` elements.

    ``keys`` are columns of its rows; ``forecast`` has ``target, mean, std, group``, of simulated
    elements also ``true_mean, true_std``; ``climatology`` is mean and std of the training targets,
    the forecast that skill is against; ``by`` labels elements for conditional rows.
    """

    keys: Mapping[str, Hashable]
    forecast: pd.DataFrame
    n_train: int
    climatology: tuple[float, float]
    by: Mapping[str, NDArray[Any]] | None = None


def score(item: Scored, draws: int, seed: int) -> pd.DataFrame:
    """Rows of one forecast, keys included; the bootstrap is seeded by ``seed`` alone."""
    oracle = None
    if "true_mean" in item.forecast:
        oracle = item.forecast[["true_mean", "true_std"]].set_axis(["mean", "std"], axis=1)
    rows = evaluate(
        item.forecast,
        climatology=item.climatology,
        oracle=oracle,
        draws=draws,
        rng=np.random.default_rng(seed),
        by=item.by,
    )
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
    """Differences or ratios of two conditions, rows of :func:`score`, paired by split.

    ``scales`` says which by metric; ratios are formed and pooled as logarithms. ``match`` are the
    keys that both sides share, such as ``data, model, uncertainty``.
    """
    keys = [*match, "metric"]
    sides = [
        _seed_means(side[side["metric"].isin(list(scales)) & (side["by"] == "")], keys)
        for side in (left, right)
    ]
    both = sides[0].merge(sides[1], on=[*keys, "split_seed"], suffixes=("", "_right"))
    both["scale"] = both["metric"].map(dict(scales))
    ratio = both["scale"] == "ratio"
    for side in ("", "_right"):
        value, variance = both[f"value{side}"], both[f"variance{side}"]
        both[f"variance{side}"] = variance.where(~ratio, variance / value**2)
        both[f"value{side}"] = value.where(~ratio, np.log(value.where(ratio)))
    both["value"] -= both["value_right"]
    both["variance"] += both["variance_right"]
    return over_splits(both, [*keys, "scale"])

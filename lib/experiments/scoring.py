"""From forecasts on the parts of repeated splits to tidy rows with intervals.

In: :class:`Scored`, one model's forecast on one part of one split, with the keys of its rows. Out:
rows per split and rows combined over splits (bootstrap over groups within a split, Nadeau–Bengio
correction between splits), and contrasts between two conditions paired by split.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.data.dataset import FloatArray, IndexArray
from lib.metrics.evaluate import evaluate
from lib.statistics.intervals import combine_splits

# Keys that tell repeats apart; a combined row has them empty.
REPEATS = ("split_seed", "seed")
# Numbers of a row that are averaged over repeats; the measured severity differs between splits.
_AVERAGED = ("value", "variance", "oracle", "n", "n_train", "severity")


class Interval(NamedTuple):
    """A value with its interval; NaN ends where there is none."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, eq=False)
class Scored:
    """One forecast to score.

    Attributes
    ----------
    keys : mapping of str to value
        Columns of its rows: ``data, split, shift, … , model, uncertainty, split_seed, seed``.
    mean, std, target : (n,) float arrays
    group : (n,) int array
    n_train : int
        Elements the model was trained on.
    climatology : (float, float)
        Mean and standard deviation of the training targets: the forecast that skill is against.
    by : mapping of str to (n,) array
        Labels for conditional rows.
    oracle : (mean, std) or None
        The true forecast, where the assay is simulated.
    """

    keys: Mapping[str, Hashable]
    mean: FloatArray
    std: FloatArray
    target: FloatArray
    group: IndexArray
    n_train: int
    climatology: tuple[float, float]
    by: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    oracle: tuple[FloatArray, FloatArray] | None = None


def score(item: Scored, draws: int, seed: int) -> pd.DataFrame:
    """Rows of one forecast, keys included; the bootstrap is seeded by ``seed`` alone."""
    table = pd.DataFrame(
        {"target": item.target, "mean": item.mean, "std": item.std, "group": item.group}
    )
    oracle = None
    if item.oracle is not None:
        oracle = pd.DataFrame({"mean": item.oracle[0], "std": item.oracle[1]})
    rows = evaluate(
        table,
        climatology=item.climatology,
        oracle=oracle,
        draws=draws,
        rng=np.random.default_rng(seed),
        by=item.by,
    )
    keys: dict[str, Any] = dict(item.keys)
    return rows.assign(**keys, n_train=item.n_train)


def _groups(rows: pd.DataFrame, keys: Sequence[str]) -> Any:
    return rows.groupby(list(keys), dropna=False, sort=False)


def _seed_means(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Average the fits of one split, so that splits are the repeats."""
    numeric = dict.fromkeys([name for name in _AVERAGED if name in rows], "mean")
    return _groups(rows, [*keys, "split_seed"]).agg(numeric).reset_index()


def _pool(values: pd.Series, variances: pd.Series, part: pd.DataFrame) -> Interval:
    """Pool over splits; without an interval where the bootstrap has none (too few elements)."""
    if not np.isfinite(variances).all():
        return Interval(float(values.mean()), np.nan, np.nan)
    pooled = combine_splits(values, variances, part["n"].mean(), part["n_train"].mean())
    return Interval(pooled.value, pooled.lower, pooled.upper)


def combine(rows: pd.DataFrame) -> pd.DataFrame:
    """Combine the rows of single splits over splits.

    Parameters
    ----------
    rows : DataFrame
        Of :func:`score`, stacked; ``split_seed`` names the split, ``seed`` the fit within it.

    Returns
    -------
    DataFrame
        One row per key without :data:`REPEATS`; ``n`` is the mean size of the part, ``splits`` the
        number of splits. For one split the interval is the bootstrap's.
    """
    values = {*_AVERAGED, "lower", "upper", *REPEATS}
    keys = [column for column in rows.columns if column not in values]
    single = rows["split_seed"].nunique() == 1
    # A correlation with a constant forecast is undefined: no row is better than an empty one.
    rows = rows[np.isfinite(rows["value"])]
    combined = []
    for key, part in _groups(_seed_means(rows, keys), keys):
        pooled = _pool(part["value"], part["variance"], part)
        row = dict(zip(keys, key, strict=True)) | pooled._asdict()
        row |= {"n": round(part["n"].mean()), "oracle": part["oracle"].mean(), "splits": len(part)}
        if "severity" in part:
            row["severity"] = round(part["severity"].mean(), 4)
        combined.append(row)
    table = pd.DataFrame(combined)
    if single:
        # With one split the bootstrap's percentiles say more than its variance does.
        percentiles = _groups(rows, keys).agg({"lower": "mean", "upper": "mean"}).reset_index()
        table = table.drop(columns=["lower", "upper"]).merge(percentiles, on=keys)
    return table


def contrast(
    left: pd.DataFrame,
    right: pd.DataFrame,
    metrics: Sequence[str],
    *,
    scale: str,
    match: Sequence[str],
) -> pd.DataFrame:
    """Difference or ratio of two conditions, paired by split.

    Parameters
    ----------
    left, right : DataFrame
        Overall rows of :func:`score`.
    metrics : sequence of str
    scale : {"difference", "ratio"}
        Ratios are formed and pooled on the log scale.
    match : sequence of str
        Keys that both sides share, such as ``data, model, uncertainty``.

    Returns
    -------
    DataFrame
        ``match``, ``metric, scale, value, lower, upper, n, splits``.
    """
    keys = [*match, "metric"]
    sides = [
        _seed_means(side[side["metric"].isin(metrics) & (side["by"] == "")], keys)
        for side in (left, right)
    ]
    both = sides[0].merge(sides[1], on=[*keys, "split_seed"], suffixes=("", "_right"))
    if scale == "ratio":
        effect = np.log(both["value"]) - np.log(both["value_right"])
        variance = both["variance"] / both["value"] ** 2
        variance += both["variance_right"] / both["value_right"] ** 2
    else:
        effect = both["value"] - both["value_right"]
        variance = both["variance"] + both["variance_right"]
    back: Callable[[float], float] = np.exp if scale == "ratio" else float
    rows = []
    for key, part in _groups(both.assign(effect=effect, spread=variance), keys):
        pooled = _pool(part["effect"], part["spread"], part)
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"scale": scale, "value": back(pooled.value)}
            | {"lower": back(pooled.lower), "upper": back(pooled.upper)}
            | {"n": round(part["n"].mean()), "splits": len(part)}
        )
    return pd.DataFrame(rows)

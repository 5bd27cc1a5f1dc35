"""From forecasts on parts of measured assays to tidy rows and contrasts with intervals.

In: :class:`Scored`, one forecast on one part. Out: :class:`Measured`, its rows, and its values
under the weights that all forecasts of a data set are resampled by, so that :func:`contrast` of two
takes out what they share. Networks differ between seeds: :func:`refits` measures by how much, and
that, over the number of networks averaged, is added to a variance before an interval is made.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from lib.arrays import FloatArray, as_forecast
from lib.metrics.columns import scale_of
from lib.metrics.evaluate import measure, over_folds, with_ends
from lib.metrics.resampling import Resampling, ends, fold_variance
from lib.study.units import cores

# Of which contrasts are made: errors and widths as ratios, the others as differences.
CONTRASTED: Final = dict.fromkeys(("rmse", "crps_gaussian", "zms", "aurc", "mpiw_90"), "ratio")
CONTRASTED.update(dict.fromkeys(("nll_gaussian", "picp_90", "pearson_r"), "difference"))
_RATIO = np.array([scale == "ratio" for scale in CONTRASTED.values()])
NETWORKS: Final = ("cnn", "bilstm", "transformer")


class Scored(NamedTuple):
    """One forecast to score."""

    keys: Mapping[str, Hashable]  # columns of its rows
    forecast: pd.DataFrame  # target, mean, std; where known also true_mean, true_std
    plan: Resampling | None  # of its rows; without one there are no intervals
    climatology: tuple[float, float] | None  # of the training targets; skill is against it
    by: Mapping[str, NDArray[Any]] | None = None  # labels of elements for conditional rows
    members: int = 0  # networks that it averages; 0 where refitting changes nothing


class Measured(NamedTuple):
    """Rows of one forecast, and the values ``(K, 1 + folds + draws)`` of contrasted metrics."""

    keys: Mapping[str, Hashable]
    rows: pd.DataFrame
    drawn: FloatArray
    folds: int
    df: int
    members: int = 0


def score(item: Scored, draws: int) -> Measured:
    """Every metric of a forecast; equal sets of one plan get equal weights."""
    plan = item.plan
    if plan is None:
        plan, draws = Resampling(np.zeros(len(item.forecast), np.int64), 1), 0
    weights = plan.weights(draws, np.random.default_rng(plan.n_sets))
    forecast = as_forecast(*(item.forecast[name] for name in ("mean", "std", "target")))
    rows, values = measure(forecast, plan, weights, item.climatology, item.by)
    names = rows["metric"].tolist()  # those of the whole part stand first
    drawn = values[[names.index(metric) for metric in CONTRASTED]]
    rows = with_ends(rows, values, plan).assign(oracle=np.nan, members=item.members)
    if "true_mean" in item.forecast:
        truth = (item.forecast["true_mean"], item.forecast["true_std"], forecast[2])
        told = measure(as_forecast(*truth), plan, weights[:, :1], item.climatology, item.by)
        rows["oracle"] = told[1][:, 0]
    named: dict[str, Any] = dict(item.keys)
    return Measured(item.keys, rows.assign(**named), drawn, plan.folds, plan.df, item.members)


def side_by_side(
    function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]], workers: int | None
) -> list[Any]:
    """``function`` of each job's arguments, in order, on so many processes (all cores: None)."""
    parallel = Parallel(n_jobs=cores() if workers is None else workers)
    return list(parallel(delayed(function)(*job) for job in jobs))


def score_all(items: Iterable[Scored], draws: int, workers: int | None) -> list[Measured]:
    """:func:`score` of every forecast, in order."""
    return side_by_side(score, ((item, draws) for item in items), workers)


def refits(measured: Sequence[Measured]) -> pd.Series:
    """Variance between seeds of a metric of one network in distribution, by data and metric.

    Of positive metrics it is that of the logarithm, so that a larger error varies more. Empty with
    one seed.
    """
    wanted = {"uncertainty": "single", "split": "test", "condition": ""}
    own = [
        each.rows[each.rows["by"] == ""]
        for each in measured
        if wanted.items() <= each.keys.items() and each.keys["seed"] is not None
    ]
    if not own:
        return pd.Series(dtype=float)
    rows = pd.concat(own)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = rows["metric"].map(scale_of) == "log"
        rows["value"] = np.where(relative, np.log(rows["value"]), rows["value"])
    by = rows.groupby(["data", "model", "metric"])["value"]
    found = by.var().groupby(["data", "metric"]).mean()
    return found[np.isfinite(found)]


def rows_of(measured: Sequence[Measured], between: pd.Series) -> pd.DataFrame:
    """All rows, those of networks with what refitting adds.

    The mean over seeds of a network's forecasts, each scored alone, has an empty ``seed``.
    ``folds`` counts those with rows, or effective groups where these are fewer.
    """
    rows = pd.concat([each.rows for each in measured], ignore_index=True)
    numbers = ["value", "lower", "upper", "variance", "oracle"]
    seeded = rows[rows["seed"].notna()].astype({"seed": int})
    keys = [name for name in rows if name not in (*numbers, "seed", "members")]
    same = seeded.groupby(keys, dropna=False, sort=False)
    means = same[numbers].mean().assign(members=same["members"].sum()).reset_index()
    rows = pd.concat([rows, means], ignore_index=True)
    index = pd.MultiIndex.from_frame(rows[["data", "metric"]])
    extra = np.nan_to_num(between.reindex(index).to_numpy(float)) / np.maximum(rows["members"], 1)
    extra *= np.where(rows["metric"].map(scale_of) == "log", rows["value"] ** 2, 1.0)
    folded = (rows["df"] > 0) & (rows["members"] > 0) & (extra > 0)
    own = rows[folded]
    moved = over_folds(own.assign(variance=own["variance"] + extra[folded]))
    rows.loc[folded, ["lower", "upper", "variance"]] = moved[["lower", "upper", "variance"]]
    rows["folds"] = (rows.pop("df") // 1 + 1).where(lambda n: n > 0).astype("Int64")
    return rows[np.isfinite(rows["value"])].drop(columns=["groups", "members"])


def contrast(left: Measured, right: Measured, between: pd.Series, **keys: Any) -> pd.DataFrame:
    """Each contrasted metric of one forecast over, or less, that of another of the same data.

    Refits of both sides count, also where the networks are the same: these may differ in how they
    fare on either part.

    Columns ``metric, scale, value, lower, upper``, keys, ``n`` elements, ``folds`` and ``df``.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        one, other = (
            np.where(_RATIO[:, None], np.log(side.drawn), side.drawn) for side in (left, right)
        )
    value = one[:, 0] - other[:, 0]
    if left.folds == right.folds:
        variance, df = fold_variance(one - other, left.folds), min(left.df, right.df)
    else:  # a leaky split shares no fold with what it is held against
        variance = fold_variance(one, left.folds) + fold_variance(other, right.folds)
        df = max(left.df, right.df)
    extra = np.array([between.get((left.keys["data"], metric), 0.0) for metric in CONTRASTED])
    variance = variance + sum(extra / side.members for side in (left, right) if side.members)
    with np.errstate(over="ignore"):
        limits = [np.where(_RATIO, np.exp(at), at) for at in (value, *ends(value, variance, df))]
    n, folds = int(left.rows["n"].iloc[0]), max(left.folds, right.folds)
    names: dict[str, Any] = {"metric": list(CONTRASTED), "scale": list(CONTRASTED.values())}
    names |= dict(zip(("value", "lower", "upper"), limits, strict=True)) | keys
    table = pd.DataFrame(names | {"n": n, "folds": folds, "df": df})
    return table[np.isfinite(table["value"])]


def joined(contrasts: Sequence[pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    """Tables of :func:`contrast` as one; where there are none, their columns."""
    if not contrasts:
        limits = ("value", "lower", "upper")
        return pd.DataFrame(columns=["metric", "scale", *limits, *keys, "n", "folds", "df"])
    return pd.concat(contrasts, ignore_index=True)

"""What ranking by uncertainty is worth on a table of forecasts: anew, and by a fixed threshold.

In: a table of forecasts (:mod:`lib.data.predictions`; of simulated elements also ``noise_free,
true_mean, true_std``) and scores of its rows, of which the highest are set aside first. Out: tables
of one world or one part (:func:`rank`), and of all together (:func:`all_tables`).

Loss is squared error, against the measurement and, where it is known, the noise-free activity.
Intervals are Student's t over worlds, and of a measured part those of its resampling
(:mod:`lib.metrics.resampling`). Ratios are logarithms until the end; a ratio of two PRR, which may
be negative, gets Fieller's interval.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import FloatArray, IndexArray
from lib.metrics import selective
from lib.metrics.columns import scale_of
from lib.metrics.evaluate import MIN_BIN, with_ends
from lib.metrics.resampling import Resampling
from lib.statistics.effects import Estimate, paired_contrast, ratio_of_means

STD = "std"
TRIVIAL = ("mean", "mean_distance", "gc_distance")  # these know nothing of uncertainty
HALF = 0.5  # coverage at which elements are ranked
HALF_RULE = "coverage_50"  # the rule that is compared with trivial scores
FIXED = {HALF_RULE: 0.5, "coverage_80": 0.8}  # coverages that thresholds are fixed at
RISK_TARGET = 0.85  # share of the full risk that what is kept should not pass
COVERAGES = tuple(round(0.05 * step, 2) for step in range(1, 21))  # of curves
MOST_DRAWS = 200  # as evaluate draws for metrics that need the order of elements
AREAS = ("aurc", "e_aurc", "augrc", "prr")
# Effects by name, with the rule they are read at; of these the claims are judged.
_FIXED = ("risk_ratio_fixed", "risk_over_trivial_fixed", "risk_over_target", "fixed_coverage")
EFFECTS = {"risk_ratio_50": "", "risk_over_trivial": "", **dict.fromkeys(_FIXED, HALF_RULE)}
LOGS = EFFECTS.keys() - {"fixed_coverage"}
PART = ("data", "split", "shift", "family", "condition", "cell", "model", "uncertainty")
POINT = (*PART, "metric", "score", "target", "rule")
EFFECT_COLUMNS = (
    *("effect", "data", "shift", "severity", "condition", "model", *Estimate._fields, "n"),
    *("target", "score", "cell", "noise", "uncertainty", "groups"),
)
Drawn = tuple[IndexArray, FloatArray]  # each row's set; weights (sets, 1 + folds + draws)


class Rule(NamedTuple):
    """A threshold on ``std``: elements up to it stay, and their risk should not pass ``target``.

    Both are one number, or one per element (:func:`of_folds`).
    """

    name: str
    threshold: FloatArray | float
    target: FloatArray | float


def scores_of(forecast: pd.DataFrame, home: pd.DataFrame) -> pd.DataFrame:
    """Everything that ranks the rows: the forecast's own std and its parts, distances, the mean.

    Those whose column is missing are left out. Distances are from ``home``, elements in
    distribution; 0 where these are constant.
    """
    found = {STD: forecast["std"], "mean": forecast["mean"]}
    for name in ("std_epistemic", "std_aleatoric"):
        if name in forecast:
            found[name.removeprefix("std_")] = forecast[name]
    for column, known in (("mean", "target"), ("gc", "gc")):
        if column in forecast:
            spread = home[known].std(ddof=0) if np.ptp(home[known]) > 0 else np.inf
            found[f"{column}_distance"] = (forecast[column] - home[known].mean()).abs() / spread
    return pd.DataFrame(found)


def make_rules(held: pd.DataFrame) -> list[Rule]:
    """Thresholds that keep shares of a calibration part and promise a share of its full risk."""
    target = RISK_TARGET * float(((held["target"] - held["mean"]) ** 2).mean())
    std = held["std"].to_numpy()
    return [Rule(name, selective.threshold_at(std, share), target) for name, share in FIXED.items()]


def of_folds(rules: Sequence[Sequence[Rule]], fold: IndexArray) -> list[Rule]:
    """Rules of all folds as one: each element's (n,) are those of the fold that tests it."""
    return [
        Rule(same[0].name, *(np.array(each)[fold] for each in list(zip(*same, strict=True))[1:]))
        for same in zip(*rules, strict=True)
    ]


def _losses(forecast: pd.DataFrame) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """What the forecast is held against, by name, and its losses."""
    for name, column in (("measured", "target"), ("noise_free", "noise_free")):
        if column in forecast:
            known = forecast[column].to_numpy()
            yield name, known, (known - forecast["mean"].to_numpy()) ** 2


def _kept(score: FloatArray, rows: FloatArray, coverage: FloatArray | float) -> Any:
    """Order of the elements and the weights ``(n, draws)``, in it, of those kept in each draw."""
    order = np.argsort(score, kind="stable")
    weights = rows[order]
    before = np.cumsum(weights, axis=0) - weights
    return order, weights * (before < coverage * weights.sum(axis=0) - 1e-9)


def _mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean in each draw; NaN where nothing is kept."""
    return np.asarray((values @ weights) / weights.sum(axis=0))


def ranked_risk(
    loss: FloatArray, score: FloatArray, rows: FloatArray, coverage: FloatArray | float
) -> FloatArray:
    """Risk of the most certain ``coverage`` under weights ``rows`` (n, draws); ties averaged.

    With weights of one it is that point of :func:`lib.metrics.selective.risk_coverage`.
    """
    order, kept = _kept(score, rows, coverage)
    return _mean(selective.average_ties(score[order], loss[order]), kept)


def _r2(known: FloatArray, loss: FloatArray, weights: FloatArray) -> FloatArray:
    spread = _mean(known**2, weights) - _mean(known, weights) ** 2
    return np.asarray(1 - _mean(loss, weights) / spread)


def _points(
    forecast: pd.DataFrame, scores: Mapping[str, FloatArray], rules: Sequence[Rule], drawn: Drawn
) -> tuple[pd.DataFrame, FloatArray]:
    """Metrics by name, and their values under each column of weights; ratios as logarithms."""
    codes, weights = drawn
    rows, found, target = weights[codes], [], ""
    values = []

    def put(metric: str, value: FloatArray, score: str = "", rule: str = "") -> None:
        found.append((metric, score, target, rule))
        values.append(value)

    for target, known, loss in _losses(forecast):
        full, half, best = _mean(loss, rows), {}, selective.areas(loss, loss, *drawn)
        put("risk", full)
        put("r2", _r2(known, loss, rows))
        for name, score in scores.items():
            own = selective.ranking_values(selective.areas(loss, score, *drawn), best)
            for metric in AREAS:
                put(metric, own[metric], name)
            order, kept = _kept(score, rows, HALF)
            half[name] = _mean(selective.average_ties(score[order], loss[order]), kept)
            put("risk_50", half[name], name)
            put("r2_50", _r2(known[order], loss[order], kept), name)
            put("risk_ratio_50", np.log(half[name] / full), name)
            if name in TRIVIAL:
                put("risk_over_trivial", np.log(half[STD] / half[name]), name)
        for rule in rules:
            kept = rows * (scores[STD] <= rule.threshold)[:, None]
            risk, coverage = _mean(loss, kept), kept.sum(axis=0) / rows.sum(axis=0)
            if rule.name == HALF_RULE:
                put("risk_ratio_fixed", np.log(risk / full), STD, rule.name)
                for name in (name for name in TRIVIAL if name in scores):
                    other = ranked_risk(loss, scores[name], rows, coverage)
                    put("risk_over_trivial_fixed", np.log(risk / other), name, rule.name)
            if target == "measured":  # risk targets are set against measurements
                promised = _mean(np.broadcast_to(rule.target, len(loss)), kept)
                put("fixed_coverage", coverage, STD, rule.name)
                put("risk_over_target", np.log(risk / promised), STD, rule.name)
        if "true_std" in forecast:  # PRR against the order by the true standard deviation
            ranked = (selective.rankings(loss, by) for by in (scores[STD], forecast["true_std"]))
            gains = [values["augrc"] for values in ranked]
            put("prr_sigma", np.array([selective.relative_gain(loss.mean() / 2, *gains)]), STD)
    if "true_std" in forecast:
        noise, target = float((forecast["true_std"] ** 2).mean()), ""
        put("noise_share", np.array([noise / (noise + forecast["noise_free"].var(ddof=0))]))
    table = pd.DataFrame(found, columns=list(POINT[-4:]))
    return table, np.stack([np.broadcast_to(value, weights.shape[1]) for value in values])


def _curves(forecast: pd.DataFrame, scores: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Risk over full risk at :data:`COVERAGES` by each score, the losses and the true std.

    Points of fewer than ten elements are left out.
    """
    n = len(forecast)
    shares = [c for c in COVERAGES if c * n >= MIN_BIN]
    rows = [int(np.ceil(c * n - 1e-9)) - 1 for c in shares]
    known = {"sigma_oracle": forecast["true_std"].to_numpy()} if "true_std" in forecast else {}
    tables = []
    for target, _, loss in _losses(forecast):
        for name, score in {**scores, "error_oracle": loss, **known}.items():
            risk = selective.risk_coverage(loss, score)[rows] / loss.mean()
            table = pd.DataFrame({"coverage": shares, "risk": risk})
            tables.append(table.assign(target=target, curve=name))
    return pd.concat(tables, ignore_index=True)


def _resampled(points: pd.DataFrame, values: FloatArray, plan: Resampling) -> pd.DataFrame:
    """Points with intervals: where a threshold keeps nothing that is the whole line."""
    points = with_ends(points, values, plan).drop(columns="variance")
    unknown = points[["lower", "upper"]].isna().any(axis=1)
    points.loc[unknown, ["lower", "upper"]] = -np.inf, np.inf
    return points


def rank(
    forecast: pd.DataFrame,
    scores: pd.DataFrame,
    rules: Sequence[Rule],
    keys: Mapping[str, Any],
    plan: Resampling | None = None,
    draws: int = 0,
) -> dict[str, pd.DataFrame]:
    """Everything about one part: ``points``, one value per metric, and ``curves``.

    ``keys`` are columns of every row: :data:`PART`, ``severity``, and of a world ``replicate``,
    because values of worlds are pooled. A measured part has a ``plan`` of its rows, of which at
    most :data:`MOST_DRAWS` are drawn; ``units`` are worlds, or its folds, and ``groups`` those of
    which a threshold keeps an element.
    """
    ranking = {str(name): scores[name].to_numpy(float) for name in scores}
    units, own = 1, Resampling(np.zeros(len(forecast), np.int64), 1)
    if plan is not None:
        units, own = max(plan.folds, 1), plan
    drawn = own.codes, own.weights(min(draws, MOST_DRAWS), np.random.default_rng(0))
    with np.errstate(invalid="ignore", divide="ignore"):  # where nothing is kept
        points, values = _points(forecast, ranking, rules, drawn)
        points = points.assign(value=values[:, 0], resampled=plan is not None)
        points["groups"] = np.nan
        if plan is not None:
            kept = {rule.name: ranking[STD] <= rule.threshold for rule in rules}
            groups = {name: len(np.unique(own.codes[rows])) for name, rows in kept.items()}
            points = _resampled(points.assign(groups=points["rule"].map(groups)), values, plan)
    tables = {"points": points, "curves": _curves(forecast, ranking)}
    more = {**keys, "n": len(forecast), "units": units}
    return {name: table.assign(**more) for name, table in tables.items()}


def over_worlds(values: pd.Series, metric: str) -> Estimate:
    """A metric over independent worlds.

    Where a threshold keeps nothing there is no risk, and the interval is the whole line.
    """
    finite = np.isfinite(values)
    if not finite.all():
        return Estimate(values[finite].mean(), -np.inf, np.inf)
    return Estimate(*paired_contrast(values, scale=scale_of(metric))[:3])


def _means(table: pd.DataFrame, keys: Sequence[str], *values: str) -> pd.DataFrame:
    """Means over worlds, and ``units``, the number of these."""
    groups = table.groupby(list(keys), sort=False, dropna=False)
    found = groups[[*values, "severity", "n"]].mean().join(groups["units"].sum())
    return found.reset_index().round({"severity": 4, "n": 0}).astype({"n": int})


def pooled(points: pd.DataFrame) -> pd.DataFrame:
    """One row per :data:`POINT`, of worlds over all of them; logarithms are turned back."""
    measured = points["resampled"]
    simulated = points[~measured]
    groups = simulated.groupby(list(POINT), sort=False, dropna=False)
    found = [over_worlds(own, str(at[len(PART)])) for at, own in groups["value"]]
    over = pd.DataFrame(found, None, Estimate._fields)
    tables = [_means(simulated, POINT).join(over), points[measured]]
    table = pd.concat([each for each in tables if len(each)], ignore_index=True)
    logs = table["metric"].isin(LOGS)
    ends = [*Estimate._fields]
    table.loc[logs, ends] = np.exp(table.loc[logs, ends])
    return table.reindex(columns=[*POINT, *ends, "severity", "n", "units", "groups"])


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """No ends where they are the whole line."""
    none = np.isinf(rows["upper"]) | rows["value"].isna()
    ends = {end: rows[end].mask(none) for end in ("lower", "upper")}
    return rows.assign(**ends).drop(columns="target")


def tidy_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows for the tidy results: ranked metrics, ``by`` score; ``_f`` is against the truth."""
    rows = table[table["rule"] == ""]
    metric = rows["metric"] + np.where(rows["target"] == "noise_free", "_f", "")
    by = np.where(rows["score"] == "", "", "score")
    rows = rows.assign(metric=metric, by=by, prior="none", oracle=np.nan)
    return _shown(rows.drop(columns=["rule", "cell", "units", "groups"])).rename(
        columns={"score": "bin"}
    )


def _prr_ratios(points: pd.DataFrame) -> pd.DataFrame:
    """PRR under every noise condition over that in distribution, paired by world."""
    rows = points[~points["resampled"] & points["metric"].isin(["prr", "prr_sigma"])]
    if rows.empty:
        return rows
    pair = ["metric", "score", "target", "replicate"]
    home = rows.loc[rows["shift"] == "", [*pair, "value"]]
    noisy = rows[rows["shift"] == "noise"].merge(home, on=pair, suffixes=("", "_home"))
    found = []
    for (metric, *_), part in noisy.groupby(["metric", "score", "target", "cell"], sort=False):
        values = part["value"], part["value_home"]
        if np.isfinite(values).all():
            named = {"effect": f"{metric}_ratio", "n": len(part)}
            found.append(part.iloc[0].to_dict() | ratio_of_means(*values)._asdict() | named)
    return pd.DataFrame(found)


def effects(table: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """What the claims are judged on, one row per effect, part, target and score.

    Of effects "over trivial" ``score`` is the trivial one. ``n`` counts worlds or folds.
    """
    rows = table[table["split"].isin(["test", "shifted", "matched"])]
    chosen = rows[rows["metric"].map(EFFECTS) == rows["rule"]].assign(effect=rows["metric"])
    found = chosen.drop(columns="n").rename(columns={"units": "n"})
    found = pd.concat([found, _prr_ratios(points)], ignore_index=True)
    found["shift"] = found["shift"].replace("", "none")
    found["noise"] = np.where(found["data"] == "simulation", "heteroscedastic", "as measured")
    return found.reindex(columns=list(EFFECT_COLUMNS))


def all_tables(
    ranked: Iterable[Mapping[str, pd.DataFrame]],
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Tidy rows, and the tables ``effects``, ``audit`` and ``curves``."""
    both = [(part["points"], part["curves"]) for part in ranked]
    points, curves = (pd.concat(parts, ignore_index=True) for parts in zip(*both, strict=True))
    table, curves = pooled(points), curves[curves["split"] != "inside"]
    fixed = table["metric"].isin(["fixed_coverage", "risk_over_target"])
    return tidy_rows(table), {
        "effects": effects(table, points),
        "audit": _shown(table[fixed]).reset_index(drop=True),
        "curves": _means(curves, [*PART, "target", "curve", "coverage"], "risk"),
    }

"""What ranking by uncertainty is worth on a table of forecasts: anew, and by a fixed threshold.

In: a table of forecasts (:mod:`lib.data.predictions`; of simulated elements also ``noise_free,
true_mean, true_std``) and scores of its rows, of which the highest are set aside first. Out: long
tables of values, each with its bootstrap variance over groups where elements are resampled. Loss is
squared error, against the measurement (``measured``) and, where the truth is known, against the
noise-free activity (``noise_free``). Ratios are kept as logarithms, named in :data:`LOGS`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import FloatArray, IndexArray, group_codes, merge_groups
from lib.metrics.columns import draw_variance, weight_blocks
from lib.metrics.evaluate import MIN_BIN, MOST_GROUPS
from lib.metrics.selective import (
    augrc,
    average_ties,
    crc_threshold,
    ltt_threshold,
    relative_gain,
    retained_profile,
    risk_coverage,
    selective_metrics,
    threshold_at,
)
from lib.repair.detection import centre_distance
from lib.repair.recalibration import one_per_group

STD = "std"
TRIVIAL = ("mean", "mean_distance", "gc_distance")  # these know nothing of uncertainty
HALF = 0.5  # coverage at which elements are ranked, and at which the first rule is fixed
COVERAGES = tuple(round(0.05 * step, 2) for step in range(1, 21))
FIXED = (0.5, 0.8)  # coverages that thresholds are fixed at, in distribution
HALF_RULE = "coverage_50"  # the rule that is compared with trivial scores
CERTIFIED = tuple(round(0.05 * step, 2) for step in range(10, 21))  # coverages that are tested
CLIP = 4.0  # controlled losses end here, in variances of the training activity
CRC_SHARE = 0.5  # of the loss in distribution may remain under conformal risk control
MOST_DRAWS = 200  # as evaluate draws for metrics that need the order of elements
AREAS = ("aurc", "e_aurc", "augrc", "prr")
LOGS = frozenset(
    {
        *("risk_ratio_50", "risk_over_trivial"),
        *("risk_ratio_fixed", "risk_over_trivial_fixed", "risk_over_target"),
    }
)
Value = tuple[str, FloatArray, dict[str, Any]]  # metric, its value and draws (1 + draws,), keys


class Rule(NamedTuple):
    """A threshold on ``std`` that was fixed in distribution.

    ``name`` is ``coverage_50``, ``coverage_80``, ``ltt`` or ``crc``. Elements of at most
    ``threshold`` are kept (-inf keeps none), and their risk should not pass ``target``. Losses
    above ``bound`` count as it, since risk control needs a bound. ``generalised``: rejected
    elements count as a loss of 0 instead of not at all.
    """

    name: str
    threshold: float
    target: float
    bound: float = float("inf")
    generalised: bool = False


class Ranked(NamedTuple):
    """Tables of one part: ``points`` (one value per metric), ``curves`` and ``rejected``."""

    points: pd.DataFrame
    curves: pd.DataFrame
    rejected: pd.DataFrame


def scores_of(forecast: pd.DataFrame, home: pd.DataFrame) -> pd.DataFrame:
    """Everything that ranks the rows: the forecast's own std and its parts, distances, the mean.

    Those that need a column the table lacks (``std_epistemic``, ``embedding_distance``, ``gc``) are
    left out. Distances are measured from ``home``, the ``target`` and ``gc`` of elements in
    distribution; where these are constant so is the distance.
    """
    found = {STD: forecast["std"], "mean": forecast["mean"]}
    for name in ("std_epistemic", "std_aleatoric", "embedding_distance"):
        if name in forecast:
            found[name.removeprefix("std_")] = forecast[name]
    for column, known in (("mean", "target"), ("gc", "gc")):
        if column in forecast:
            spread = np.ptp(home[known]) > 0
            distance = centre_distance(home[known], forecast[column]) if spread else 0.0
            found[f"{column}_distance"] = pd.Series(distance, forecast.index)
    return pd.DataFrame(found)


def make_rules(
    held: pd.DataFrame, spread: float, risk_target: float, rng: np.random.Generator
) -> tuple[Rule, ...]:
    """Thresholds from a calibration part in distribution.

    ``coverage_50`` and ``coverage_80`` keep a share of it. ``ltt`` keeps as much as can be
    certified, at 90 % confidence, to have a risk of at most ``risk_target`` of the full risk;
    ``crc`` keeps as much as leaves, in expectation, :data:`CRC_SHARE` of the loss. These two take
    one element per group, and half of those set targets and thresholds to test, so that the other
    half is fresh.

    ``spread`` is the standard deviation of the training activity, ``risk_target`` a share of the
    full risk.
    """
    loss = ((held["target"] - held["mean"]) ** 2).to_numpy()
    std = held["std"].to_numpy()
    target = risk_target * float(loss.mean())
    rules = [Rule(f"coverage_{round(100 * c)}", threshold_at(std, c), target) for c in FIXED]
    bound = CLIP * spread**2
    clipped = np.minimum(loss, bound)
    first, second = np.array_split(rng.permutation(one_per_group(held["group"], rng)), 2)
    full = float(clipped[first].mean())
    tested = [threshold_at(std[first], c) for c in CERTIFIED]
    certified = ltt_threshold(clipped[second], std[second], risk_target * full, tested, bound)
    kept = crc_threshold(clipped[second], std[second], CRC_SHARE * full, bound)
    return (
        *rules,
        Rule("ltt", certified, risk_target * full, bound),
        Rule("crc", kept, CRC_SHARE * full, bound, generalised=True),
    )


def _resampling(
    group: pd.Series, draws: int, rng: np.random.Generator
) -> tuple[IndexArray, FloatArray]:
    """Each row's group and the groups' weights, of which the first column is the sample itself."""
    if not draws:
        return np.zeros(len(group), np.int64), np.ones((1, 1))
    groups = merge_groups(group_codes(group), MOST_GROUPS, rng)
    blocks = weight_blocks(groups.n_groups, min(draws, MOST_DRAWS), rng)
    return groups.codes, np.concatenate([np.ones((groups.n_groups, 1)), *blocks], axis=1)


def _targets(forecast: pd.DataFrame) -> dict[str, FloatArray]:
    """What the forecast is held against."""
    columns = {"measured": "target", "noise_free": "noise_free"}
    return {name: forecast[c].to_numpy() for name, c in columns.items() if c in forecast}


def _kept(score: FloatArray, rows: FloatArray, coverage: FloatArray | float) -> Any:
    """Order of the elements and the weights ``(n, draws)``, in it, of those kept in each draw."""
    order = np.argsort(score, kind="stable")
    weights = rows[order]
    before = np.cumsum(weights, axis=0) - weights
    return order, weights * (before < coverage * weights.sum(axis=0) - 1e-9)


def _mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean in each draw; NaN where nothing is kept."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((values @ weights) / weights.sum(axis=0))


def _log_ratio(upper: FloatArray, lower: FloatArray | float) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(upper) - np.log(lower)


def ranked_risk(
    loss: FloatArray, score: FloatArray, rows: FloatArray, coverage: FloatArray | float
) -> FloatArray:
    """Risk of the most certain ``coverage`` under weights ``rows`` (n, draws); ties averaged.

    With weights of one it is that point of :func:`lib.metrics.selective.risk_coverage`.
    """
    order, kept = _kept(score, rows, coverage)
    return _mean(average_ties(score[order], loss[order]), kept)


def _r2(target: FloatArray, loss: FloatArray, weights: FloatArray) -> FloatArray:
    spread = _mean(target**2, weights) - _mean(target, weights) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - _mean(loss, weights) / spread)


def _oracle_areas(forecast: pd.DataFrame) -> dict[str, float]:
    """Areas of the true forecast against the measurement, for the forecast's own std."""
    if "true_std" not in forecast:
        return {}
    loss = ((forecast["target"] - forecast["true_mean"]) ** 2).to_numpy()
    areas = selective_metrics(loss, forecast["true_std"].to_numpy(), np.zeros(len(loss), np.int64))
    return {name: float(values[0]) for name, values in areas(np.ones((1, 1))).items()}


def _anew(
    known: FloatArray,
    loss: FloatArray,
    scores: dict[str, FloatArray],
    oracle: dict[str, float],
    drawn: tuple[IndexArray, FloatArray],
) -> Iterator[Value]:
    """Values of ranking the elements anew."""
    codes, weights = drawn
    rows = weights[codes]
    full, half = _mean(loss, rows), {}
    yield "risk", full, {}
    yield "r2", _r2(known, loss, rows), {}
    for name, score in scores.items():
        own = {"score": name}
        areas = selective_metrics(loss, score, codes)(weights)
        for metric in AREAS:
            best = oracle.get(metric, np.nan) if name == STD else np.nan
            yield metric, areas[metric], own | {"oracle": best}
        half[name] = ranked_risk(loss, score, rows, HALF)
        order, kept = _kept(score, rows, HALF)
        yield "risk_50", half[name], own
        yield "r2_50", _r2(known[order], loss[order], kept), own
        yield "risk_ratio_50", _log_ratio(half[name], full), own
    for name in (name for name in TRIVIAL if name in scores):
        yield "risk_over_trivial", _log_ratio(half[STD], half[name]), {"score": name}


def _fixed(
    loss: FloatArray, scores: dict[str, FloatArray], rule: Rule, rows: FloatArray, measured: bool
) -> Iterator[Value]:
    """Values of a threshold that was fixed in distribution."""
    inside = scores[STD] <= rule.threshold
    kept = rows * inside[:, None]
    coverage = kept.sum(axis=0) / rows.sum(axis=0)
    risk, own = _mean(loss, kept), {"score": STD, "rule": rule.name}
    if rule.name == HALF_RULE:
        yield "risk_ratio_fixed", _log_ratio(risk, _mean(loss, rows)), own
        for name in (name for name in TRIVIAL if name in scores):
            other = ranked_risk(loss, scores[name], rows, coverage)
            yield "risk_over_trivial_fixed", _log_ratio(risk, other), own | {"score": name}
    if measured:  # risk targets are set against measurements, and coverage has no target
        yield "fixed_coverage", coverage, own
        clipped = np.minimum(loss, rule.bound)
        judged = _mean(clipped * inside, rows) if rule.generalised else _mean(clipped, kept)
        yield "risk_over_target", _log_ratio(judged, rule.target), own
        yield "violated", (judged > rule.target).astype(float), own


def _of_truth(forecast: pd.DataFrame) -> Iterator[Value]:
    """The share of noise, and PRR against the order by the true standard deviation."""
    noise = float((forecast["true_std"] ** 2).mean())
    share = noise / (noise + float(forecast["noise_free"].var(ddof=0)))
    yield "noise_share", np.array([share]), {}
    for target, known in _targets(forecast).items():
        loss = ((known - forecast["mean"]) ** 2).to_numpy()
        gains = augrc(loss, forecast["std"]), augrc(loss, forecast["true_std"])
        value = relative_gain(float(loss.mean()) / 2, *gains)
        yield "prr_sigma", np.array([value]), {"score": STD, "target": target}


def _values(
    forecast: pd.DataFrame,
    scores: dict[str, FloatArray],
    rules: Sequence[Rule],
    drawn: tuple[IndexArray, FloatArray],
) -> Iterator[Value]:
    oracle = _oracle_areas(forecast)
    for target, known in _targets(forecast).items():
        measured = target == "measured"
        loss = (known - forecast["mean"].to_numpy()) ** 2
        found = [*_anew(known, loss, scores, oracle if measured else {}, drawn)]
        for rule in rules:
            found += _fixed(loss, scores, rule, drawn[1][drawn[0]], measured)
        yield from ((metric, values, {"target": target} | own) for metric, values, own in found)
    if "true_std" in forecast:
        yield from _of_truth(forecast)


def _points(values: Iterator[Value]) -> pd.DataFrame:
    """A row per value, with the variance of its draws."""
    empty = {"score": "", "target": "", "rule": "", "oracle": np.nan}
    rows = []
    for metric, found, own in values:
        variance = float(draw_variance(found[1:])) if len(found) > 1 else np.nan
        rows.append({"metric": metric} | empty | own | {"value": found[0], "variance": variance})
    return pd.DataFrame(rows)


def _curves(forecast: pd.DataFrame, scores: dict[str, FloatArray]) -> pd.DataFrame:
    """Risk over full risk at :data:`COVERAGES`, for each score and the reference orders.

    ``error_oracle`` sorts by the losses themselves, ``sigma_oracle`` by the true standard
    deviation. Points of fewer than ten elements are left out.
    """
    n = len(forecast)
    shares = [c for c in COVERAGES if c * n >= MIN_BIN]
    rows = [int(np.ceil(c * n - 1e-9)) - 1 for c in shares]
    known = {"sigma_oracle": forecast["true_std"].to_numpy()} if "true_std" in forecast else {}
    tables = []
    for target, values in _targets(forecast).items():
        loss = (values - forecast["mean"].to_numpy()) ** 2
        for name, score in (scores | {"error_oracle": loss} | known).items():
            risk = risk_coverage(loss, score)[rows] / loss.mean()
            table = pd.DataFrame({"coverage": shares, "risk": risk})
            tables.append(table.assign(target=target, curve=name))
    return pd.concat(tables, ignore_index=True)


def _rejected(forecast: pd.DataFrame) -> pd.DataFrame:
    """Means of what the predicted std keeps and rejects at a coverage of one half."""
    named = {
        **{"target": "measured activity", "mean": "predicted activity", "gc": "GC"},
        **{"noise_free": "noise-free activity", "true_std": "true std"},
    }
    columns = {text: forecast[name] for name, text in named.items() if name in forecast}
    return retained_profile(forecast["std"], HALF, columns).assign(score=STD)


def rank(
    forecast: pd.DataFrame,
    scores: pd.DataFrame,
    rules: Sequence[Rule],
    keys: Mapping[str, Any],
    draws: int = 0,
    seed: int = 0,
) -> Ranked:
    """Everything about one part; the bootstrap is seeded by ``seed`` alone.

    ``keys`` are columns of every row: ``data, split, shift, family, severity, condition, cell,
    model, uncertainty, n_train`` and ``replicate`` (the world or split). ``draws`` of the bootstrap
    are at most :data:`MOST_DRAWS`; none for a world, of which there are many.
    """
    ranking = {str(name): scores[name].to_numpy(float) for name in scores}
    drawn = _resampling(forecast["group"], draws, np.random.default_rng(seed))
    points = _points(_values(forecast, ranking, rules, drawn))
    tables = points.assign(resampled=draws > 0), _curves(forecast, ranking), _rejected(forecast)
    return Ranked(*(table.assign(**keys, n=len(forecast)) for table in tables))

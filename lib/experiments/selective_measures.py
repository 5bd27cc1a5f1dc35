"""What selective prediction is worth on one part: ranked anew there, and by a fixed threshold.

In: :class:`Part`, a forecast with its scores. Out: :class:`Judged`, long tables of values, each
with its bootstrap variance over groups where elements are resampled. Ratios are kept as logarithms,
named in :data:`LOGS`. Loss is squared error, against the measurement (``measured``) and, where the
truth is known, against the noise-free activity (``noise_free``).
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import group_codes, merge_groups, stable_order
from lib.data.dataset import FloatArray, IndexArray, Truth
from lib.experiments.selective_scores import STD, TRIVIAL
from lib.metrics.bootstrap import draw_variance, weight_blocks
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
from lib.repair.conformal import one_per_group

HALF = 0.5  # coverage at which elements are ranked, and at which the first rule is fixed
COVERAGES = tuple(round(0.05 * step, 2) for step in range(1, 21))
FIXED = (0.5, 0.8)  # coverages that thresholds are fixed at, in distribution
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


class Rule(NamedTuple):
    """A threshold on ``std`` that was fixed in distribution.

    Attributes
    ----------
    name : str
        ``coverage_50``, ``coverage_80``, ``ltt`` or ``crc``.
    threshold : float
        Elements of at most this std are kept; -inf keeps none.
    target : float
        What the risk should not pass.
    bound : float
        Losses above it count as it, since risk control needs a bound; inf for none.
    generalised : bool
        Rejected elements count as a loss of 0 instead of not at all.
    """

    name: str
    threshold: float
    target: float
    bound: float = float("inf")
    generalised: bool = False


@dataclass(frozen=True, eq=False)
class Part:
    """A forecast on the elements it is judged on.

    Attributes
    ----------
    keys : mapping of str to value
        Columns of its rows: ``data, split, shift, family, severity, condition, cell, model,
        uncertainty``.
    unit : int
        The world or split it belongs to.
    mean, target, gc : (n,) float arrays
    group : (n,) int array
    scores : mapping of str to (n,) array
    rules : tuple of Rule
    n_train : int
    truth : Truth or None
    resampled : bool
        Whether elements are resampled; not so for a world, of which there are many.
    """

    keys: Mapping[str, Hashable]
    unit: int
    mean: FloatArray
    target: FloatArray
    gc: FloatArray
    group: IndexArray
    scores: Mapping[str, FloatArray]
    rules: tuple[Rule, ...]
    n_train: int
    truth: Truth | None
    resampled: bool

    @property
    def targets(self) -> dict[str, FloatArray]:
        """What the forecast is held against."""
        known = {} if self.truth is None else {"noise_free": self.truth.activity}
        return {"measured": self.target} | known


class Judged(NamedTuple):
    """Tables of one part: ``points`` (one value per metric), ``curves`` and ``rejected``."""

    points: pd.DataFrame
    curves: pd.DataFrame
    rejected: pd.DataFrame


def make_rules(
    loss: FloatArray,
    std: FloatArray,
    group: IndexArray,
    spread: float,
    risk_target: float,
    rng: np.random.Generator,
) -> tuple[Rule, ...]:
    """Thresholds from a calibration part in distribution.

    ``coverage_50`` and ``coverage_80`` keep a share of it. ``ltt`` keeps as much as can be
    certified, at 90 % confidence, to have a risk of at most ``risk_target`` of the full risk;
    ``crc`` keeps as much as leaves, in expectation, :data:`CRC_SHARE` of the loss. These two take
    one element per group, and half of those set targets and thresholds to test, so that the other
    half is fresh.

    Parameters
    ----------
    loss, std : (n,) float arrays
    group : (n,) int array
    spread : float
        Standard deviation of the training activity.
    risk_target : float
        Share of the full risk.
    rng : Generator
    """
    target = risk_target * float(loss.mean())
    rules = [Rule(f"coverage_{round(100 * c)}", threshold_at(std, c), target) for c in FIXED]
    bound = CLIP * spread**2
    clipped = np.minimum(loss, bound)
    first, second = np.array_split(rng.permutation(one_per_group(group, rng)), 2)
    full = float(clipped[first].mean())
    tested = [threshold_at(std[first], c) for c in CERTIFIED]
    certified = ltt_threshold(clipped[second], std[second], risk_target * full, tested, bound)
    kept = crc_threshold(clipped[second], std[second], CRC_SHARE * full, bound)
    return (
        *rules,
        Rule("ltt", certified, risk_target * full, bound),
        Rule("crc", kept, CRC_SHARE * full, bound, generalised=True),
    )


class _Draws(NamedTuple):
    """Weights of the bootstrap; the first column is the sample itself."""

    codes: IndexArray  # (n,)
    weights: FloatArray  # (groups, 1 + draws)

    @property
    def rows(self) -> FloatArray:
        """Weights by element, (n, 1 + draws)."""
        return self.weights[self.codes]


def _draw(part: Part, draws: int, rng: np.random.Generator) -> _Draws:
    if not part.resampled:
        return _Draws(np.zeros(len(part.mean), np.int64), np.ones((1, 1)))
    groups = merge_groups(group_codes(part.group), MOST_GROUPS, rng)
    blocks = [block for _, block in weight_blocks(groups.n_groups, min(draws, MOST_DRAWS), rng)]
    return _Draws(groups.codes, np.concatenate([np.ones((groups.n_groups, 1)), *blocks], axis=1))


class _Points:
    """Collects values with their variances."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, metric: str, values: FloatArray, **keys: Any) -> None:
        """``values`` (1 + draws,): the value, then its draws."""
        variance = float(draw_variance(values[1:])) if len(values) > 1 else float("nan")
        row = {"metric": metric, "score": "", "target": "", "rule": "", "oracle": float("nan")}
        self.rows.append(row | keys | {"value": float(values[0]), "variance": variance})


def _kept(score: FloatArray, rows: FloatArray, coverage: FloatArray | float) -> Any:
    """Order of the elements and the weights ``(n, draws)``, in it, of those kept in each draw."""
    order = stable_order(score)
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

    With weights of one it is :func:`lib.metrics.selective.risk_at`.
    """
    order, kept = _kept(score, rows, coverage)
    return _mean(average_ties(score[order], loss[order]), kept)


def _r2(target: FloatArray, loss: FloatArray, weights: FloatArray) -> FloatArray:
    spread = _mean(target**2, weights) - _mean(target, weights) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - _mean(loss, weights) / spread)


def _oracle_areas(part: Part) -> dict[str, float]:
    """Areas of the true forecast against the measurement."""
    if part.truth is None:
        return {}
    loss, one = (part.target - part.truth.mean) ** 2, np.ones((1, 1))
    areas = selective_metrics(loss, part.truth.std, np.zeros(len(loss), np.int64))(one)
    return {name: float(values[0]) for name, values in areas.items()}


def _ranked(points: _Points, part: Part, target: str, drawn: _Draws) -> None:
    """Values of ranking the elements anew on this part."""
    known, rows = part.targets[target], drawn.rows
    loss = (known - part.mean) ** 2
    full = _mean(loss, rows)
    points.add("risk", full, target=target)
    points.add("r2", _r2(known, loss, rows), target=target)
    oracle = _oracle_areas(part) if target == "measured" else {}
    half = {}
    for name, score in part.scores.items():
        keys = {"score": name, "target": target}
        areas = selective_metrics(loss, score, drawn.codes)(drawn.weights)
        for metric in AREAS:
            best = oracle.get(metric, float("nan")) if name == STD else float("nan")
            points.add(metric, areas[metric], **keys, oracle=best)
        half[name] = ranked_risk(loss, score, rows, HALF)
        order, kept = _kept(score, rows, HALF)
        points.add("risk_50", half[name], **keys)
        points.add("r2_50", _r2(known[order], loss[order], kept), **keys)
        points.add("risk_ratio_50", _log_ratio(half[name], full), **keys)
    for name in TRIVIAL:
        ratio = _log_ratio(half[STD], half[name])
        points.add("risk_over_trivial", ratio, score=name, target=target)


def _fixed(points: _Points, part: Part, rule: Rule, target: str, drawn: _Draws) -> None:
    """Values of a threshold that was fixed in distribution."""
    known, rows, std = part.targets[target], drawn.rows, part.scores[STD]
    loss = (known - part.mean) ** 2
    inside = std <= rule.threshold
    kept = rows * inside[:, None]
    coverage = kept.sum(axis=0) / rows.sum(axis=0)
    risk, keys = _mean(loss, kept), {"score": STD, "target": target, "rule": rule.name}
    points.add("fixed_risk", risk, **keys)
    points.add("risk_ratio_fixed", _log_ratio(risk, _mean(loss, rows)), **keys)
    for name in TRIVIAL:
        other = ranked_risk(loss, part.scores[name], rows, coverage)
        ratio = _log_ratio(risk, other)
        points.add("risk_over_trivial_fixed", ratio, **(keys | {"score": name}))
    if target != "measured":
        return  # risk targets are set against measurements, and coverage has no target
    points.add("fixed_coverage", coverage, **keys)
    clipped = np.minimum(loss, rule.bound)
    judged = _mean(clipped * inside, rows) if rule.generalised else _mean(clipped, kept)
    points.add("risk_over_target", _log_ratio(judged, rule.target), **keys)
    points.add("violated", (judged > rule.target).astype(float), **keys)


def _truth_points(points: _Points, part: Part, truth: Truth) -> None:
    """The share of noise, and PRR against the order by the true standard deviation."""
    noise = float((truth.std**2).mean())
    share = noise / (noise + float(truth.activity.var()))
    points.add("noise_share", np.array([share]))
    for target, known in part.targets.items():
        loss = (known - part.mean) ** 2
        gains = augrc(loss, part.scores[STD]), augrc(loss, truth.std)
        value = relative_gain(float(loss.mean()) / 2, *gains)
        points.add("prr_sigma", np.array([value]), score=STD, target=target)


def curves(part: Part) -> pd.DataFrame:
    """Risk over full risk at :data:`COVERAGES`, for each score and the reference orders.

    ``error_oracle`` sorts by the losses themselves, ``sigma_oracle`` by the true standard
    deviation. Points of fewer than ten elements are left out.
    """
    n = len(part.mean)
    shares = [c for c in COVERAGES if c * n >= MIN_BIN]
    rows = [int(np.ceil(c * n - 1e-9)) - 1 for c in shares]
    tables = []
    for target, known in part.targets.items():
        loss = (known - part.mean) ** 2
        orders = dict(part.scores) | {"error_oracle": loss}
        if part.truth is not None:
            orders["sigma_oracle"] = part.truth.std
        for name, score in orders.items():
            risk = risk_coverage(loss, score).risk[rows] / loss.mean()
            table = pd.DataFrame({"coverage": shares, "risk": risk})
            tables.append(table.assign(target=target, curve=name))
    return pd.concat(tables, ignore_index=True)


def rejected(part: Part) -> pd.DataFrame:
    """Means of what each score keeps and rejects at a coverage of one half."""
    columns = {"measured activity": part.target, "predicted activity": part.mean, "GC": part.gc}
    if part.truth is not None:
        columns |= {"noise-free activity": part.truth.activity, "true std": part.truth.std}
    profiles = [
        retained_profile(score, HALF, columns).assign(score=name)
        for name, score in part.scores.items()
    ]
    return pd.concat(profiles, ignore_index=True)


def judge(part: Part, draws: int, seed: int) -> Judged:
    """Everything about one part; the bootstrap is seeded by ``seed`` alone.

    Parameters
    ----------
    part : Part
    draws : int
        At most :data:`MOST_DRAWS` are taken, and none unless the part is resampled.
    seed : int

    Returns
    -------
    Judged
        Every table with the part's keys, ``unit``, ``resampled``, ``n`` and ``n_train``.
    """
    drawn = _draw(part, draws, np.random.default_rng(seed))
    points = _Points()
    for target in part.targets:
        _ranked(points, part, target, drawn)
        for rule in part.rules:
            _fixed(points, part, rule, target, drawn)
    if part.truth is not None and not part.resampled:
        _truth_points(points, part, part.truth)
    n = len(part.mean)
    more = {"unit": part.unit, "resampled": part.resampled, "n": n, "n_train": part.n_train}
    keys: dict[str, Any] = dict(part.keys) | more
    tables = (pd.DataFrame(points.rows), curves(part), rejected(part))
    return Judged(*(table.assign(**keys) for table in tables))

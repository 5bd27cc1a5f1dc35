"""Repairs of a table of forecasts, judged on another.

In: tables of forecasts (:mod:`lib.data.predictions`): ``held``, calibration elements with one row
per group, and ``asked``, the elements asked about. A repair is learned from the calibration part
(no label of the asked part is seen) or from k labels of the asked part, and judged on the rest.
Out: values by :class:`Key`, one per element (NaN where it says nothing) or one for all, and tables
of their means.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import FloatArray
from lib.metrics import columns
from lib.metrics.evaluate import MIN_BIN, with_ends
from lib.metrics.resampling import Resampling, totals
from lib.repair import recalibration
from lib.repair.recalibration import Interval, one_per_group

LEVEL = 0.9
PART = ["data", "split", "shift", "family", "condition"]
COSTS = ("picp_90", "mpiw_90", "interval_score_90")  # of :func:`elements` at 90 %
KNOWN, ESTIMATED = "known weights", "estimated weights"

Weights = tuple[FloatArray, FloatArray]  # density ratio at calibration elements, at the asked ones


class Key(NamedTuple):
    """What a value is of; ``variant`` tells apart repairs of one name."""

    uncertainty: str
    variant: str
    metric: str


Values = dict[Key, FloatArray | float]


class Repaired(NamedTuple):
    """A repaired forecast: its 90 % interval; ``n_eff`` of its weights, if it has some."""

    uncertainty: str
    variant: str
    interval: Interval
    n_eff: float = float("nan")


class Budget(NamedTuple):
    """Sizes k of the labelled sample, samples per size, how far from nominal is restored."""

    labels: tuple[int, ...]
    repeats: int
    tolerance: float


def triple(table: pd.DataFrame) -> columns.Triple:
    """Mean, std and target, as repairs take them."""
    mean, std, target = (table[name].to_numpy() for name in ("mean", "std", "target"))
    return mean, std, target


def gaussian(name: str, mean: FloatArray, std: FloatArray) -> Repaired:
    """A repair that gives another Gaussian forecast."""
    return Repaired(name, "", Interval(*columns.interval(mean, std, LEVEL)))


def calibrated(
    held: pd.DataFrame, asked: pd.DataFrame, bins: int, known: Weights | None = None
) -> Iterator[Repaired]:
    """The forecast without repair, and under every repair learned from the calibration part.

    Without a column ``gc`` there is no repair by GC bins, of which there are ``bins``, or weights.
    ``known`` is the density ratio, where it is known.
    """
    own = triple(held)
    mean, std, _ = triple(asked)
    yield gaussian("single", mean, std)
    yield gaussian("std_scaling", *recalibration.std_scaling(*own).apply(mean, std))
    yield gaussian("isotonic", *recalibration.isotonic_std(*own).apply(mean, std))
    yield Repaired("split_cp", "", recalibration.split_cp((own[0], own[2]), mean, LEVEL))
    yield Repaired("norm_cp", "", recalibration.norm_cp(own, mean, std, LEVEL))
    if "gc" not in held:
        return
    gc = held["gc"], asked["gc"]
    edges = np.quantile(gc[0], np.linspace(0, 1, bins + 1)[1:-1])  # equal counts in calibration
    left, right = (np.searchsorted(edges, side, side="right") for side in gc)
    within = recalibration.mondrian_cp(own, left, mean, std, right, LEVEL)
    yield Repaired("mondrian_cp", "", within)
    estimated = recalibration.density_ratio(*gc, *gc)
    for variant, weights in ((ESTIMATED, estimated), (KNOWN, known)):
        if weights is not None:
            at, asks = weights
            interval = recalibration.weighted_cp(own, at, mean, std, asks, LEVEL)
            yield Repaired("weighted_cp", variant, interval, recalibration.n_eff(at))


def by_fold(parts: Iterable[Iterable[Repaired]]) -> Iterator[Repaired]:
    """The same repairs of every fold as one, of what the folds test one after the other.

    ``n_eff`` is a mean over folds.
    """
    for same in zip(*parts, strict=True):
        interval = Interval(*np.hstack([repair.interval for repair in same]))
        n_eff = float(np.mean([repair.n_eff for repair in same]))
        yield same[0]._replace(interval=interval, n_eff=n_eff)


def elements(interval: Interval, target: FloatArray) -> columns.Triple:
    """Per element: 1 where the 90 % interval holds the target, its width, its interval score.

    The score is width + 2 / (1 - .9) per unit of a miss (Gneiting & Raftery 2007, equation 43);
    width and score of an infinite interval are infinite.

    Examples
    --------
    >>> found = elements(Interval(np.zeros(2), np.ones(2)), np.array([1.0, 3.0]))
    >>> [values.round(9).tolist() for values in found]  # a miss by 2 costs 20 * 2
    [[1.0, 0.0], [1.0, 1.0], [1.0, 41.0]]
    """
    lower, upper = interval
    covered = ((lower <= target) & (target <= upper)).astype(float)
    width = upper - lower
    missed = np.maximum(lower - target, 0) + np.maximum(target - upper, 0)
    return covered, width, width + 2 / (1 - LEVEL) * missed


def judged(repairs: Iterable[Repaired], asked: pd.DataFrame) -> Values:
    """Each repair on the asked elements: coverage, its costs, and effective sizes of weights."""
    target, found = asked["target"].to_numpy(), Values()
    for repair in repairs:
        covered, width, score = elements(repair.interval, target)
        finite = np.isfinite(width)
        # A mean over the finite ones alone would reward giving up.
        score = score if finite.all() else np.full(len(score), np.nan)
        own = covered, np.where(finite, width, np.nan), score, 1.0 - finite
        named = zip((*COSTS, "infinite_90"), own, strict=True)
        found |= {Key(*repair[:2], metric): values for metric, values in named}
        if np.isfinite(repair.n_eff):
            found[Key(*repair[:2], "n_eff")] = repair.n_eff
    return found


def from_labels(known: pd.DataFrame, rest: pd.DataFrame) -> Iterator[tuple[str, Interval]]:
    """Repairs learned from labels of the asked part itself."""
    mean, std, _ = triple(rest)
    repaired = recalibration.few_shot(*triple(known)).apply(mean, std)
    yield "few_shot", Interval(*columns.interval(*repaired, LEVEL))
    yield "norm_cp", recalibration.norm_cp(triple(known), mean, std, LEVEL)


def labelled(asked: pd.DataFrame, budget: Budget, rng: np.random.Generator) -> Values:
    """Repairs from k labels of the asked part: mean per element over draws it was judged in.

    One element each of k groups is labelled; relatives of a labelled element are not judged. A
    larger k adds to the elements of a smaller one, and is left out where fewer than 2 k groups are
    there. A column ``cohort`` tells new conditions apart, each repaired by labels of its own;
    without it all rows are one. ``within_tolerance`` is the share of draws that restore coverage.
    """
    apart = asked["cohort"] if "cohort" in asked else np.zeros(len(asked))
    cohorts = [*asked.groupby(apart).indices.values()]
    asked = asked[["mean", "std", "target", "group"]]
    sums: dict[tuple[str, str], FloatArray] = {}
    hits: dict[tuple[str, str], list[bool]] = {}
    for _ in range(budget.repeats):
        for rows in cohorts:
            own, group = asked.iloc[rows], asked["group"].to_numpy()[rows]
            order = rng.permutation(one_per_group(group, rng))
            for k in (k for k in budget.labels if 2 * k <= len(order)):
                rest = np.flatnonzero(~np.isin(group, group[order[:k]]))
                part = own.iloc[rest]
                for name, interval in from_labels(own.iloc[order[:k]], part):
                    found = elements(interval, part["target"].to_numpy())
                    total = sums.setdefault((name, f"k={k}"), np.zeros((4, len(asked))))
                    total[:, rows[rest]] += [*found, np.ones(len(rest))]
                    gap = abs(found[0].mean() - LEVEL)
                    hits.setdefault((name, f"k={k}"), []).append(bool(gap <= budget.tolerance))
    means = Values()
    for key, (*summed, times) in sums.items():
        with np.errstate(invalid="ignore"):
            judged_in = zip(COSTS, summed / times, strict=True)
        means |= {Key(*key, metric): values for metric, values in judged_in}
        means[Key(*key, "within_tolerance")] = float(np.mean(hits[key]))
    return means


def averages(found: Values, plan: Resampling | None = None, draws: int = 0) -> pd.DataFrame:
    """Means over the elements that have a value, one row per key, of at least ten elements.

    With a ``plan`` of the elements, ``lower``, ``upper`` and ``variance`` are those of its
    resampling. A value for all elements gets no interval.
    """
    vectors = {key: values for key, values in found.items() if np.ndim(values)}
    matrix = np.column_stack(list(vectors.values()))
    known = np.isfinite(matrix)
    filled, count = np.where(known, matrix, 0), known.sum(axis=0)
    table = pd.DataFrame(list(vectors), columns=list(Key._fields)).assign(n=count)
    own = Resampling(np.zeros(len(matrix), np.int64), 1) if plan is None else plan
    weights = own.weights(0 if plan is None else draws, np.random.default_rng(0))
    sums = totals(np.hstack([filled, known.astype(float)]), own.codes, own.n_sets)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.divide(*np.split(sums @ weights, 2))
        table = with_ends(table, means, own)
    if plan is None:
        table = table.drop(columns=["lower", "upper", "variance"])
    single = [(*key, value) for key, value in found.items() if key not in vectors]
    alone = pd.DataFrame(single, columns=[*Key._fields, "value"]).assign(n=len(matrix))
    table = pd.concat([table, alone], ignore_index=True) if single else table
    table = table[(table["n"] >= MIN_BIN) & np.isfinite(table["value"])].reset_index(drop=True)
    return table.assign(by="", bin="")


def enough(restored: pd.Series) -> float:
    """The smallest k from which on coverage is restored at every k tried; NaN if it never is.

    Examples
    --------
    >>> tried = [(True, True, True), (True, False, True), (True, True, False)]
    >>> [enough(pd.Series(restored, index=[10, 20, 50])) for restored in tried]
    [10.0, 50.0, nan]
    """
    kept = restored.sort_index(ascending=False).cummin()
    return float(kept.index[kept].min()) if kept.any() else float("nan")

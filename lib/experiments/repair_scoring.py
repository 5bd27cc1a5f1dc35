"""Repairs of one forecast, judged on one part: arrays in, values by repair and metric out.

In: :class:`Part`, a forecast of calibration elements and of the elements asked about, with their
targets. Out: values by :class:`Key`. Nothing here knows whether elements are simulated or real; a
repair is ``calibrated`` (learned from the calibration part, no label of the asked part is seen) or
``labelled`` (learned from k labels of the asked part, judged on the rest of it).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import group_codes, merge_groups
from lib.data.dataset import FloatArray, IndexArray
from lib.metrics.bootstrap import bootstrap_totals, draw_variance, group_totals, percentile_interval
from lib.metrics.evaluate import MIN_BIN, MOST_GROUPS
from lib.metrics.scores import interval as gaussian_interval
from lib.repair.conformal import (
    InfiniteIntervalWarning,
    Interval,
    group_cp,
    mondrian_cp,
    n_eff,
    norm_cp,
    one_per_group,
    split_cp,
    weighted_cp,
)
from lib.repair.detection import density_ratio
from lib.repair.recalibration import few_shot, isotonic_std, std_scaling

LEVELS = (0.5, 0.8, 0.9, 0.95)
LEVEL = 0.9
# Conditional coverage is printed of these: without repair, and what GC bins or weights change.
BY_GC = ("single", "norm_cp", "mondrian_cp", "weighted_cp")
KNOWN, ESTIMATED = "known weights", "estimated weights"


class Part(NamedTuple):
    """A forecast of n elements with their targets; all ``(n,)``."""

    mean: FloatArray
    std: FloatArray
    target: FloatArray
    gc: FloatArray
    group: IndexArray

    def take(self, rows: IndexArray) -> "Part":
        """The rows ``rows``, in that order."""
        mean, std, target, gc, group = self
        return Part(mean[rows], std[rows], target[rows], gc[rows], group[rows])

    @property
    def labelled(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, std and target, as conformal repairs take them."""
        return self.mean, self.std, self.target


class Key(NamedTuple):
    """What a value is of; ``variant`` tells apart repairs of one name (weights, labels)."""

    uncertainty: str
    variant: str
    metric: str
    by: str = ""
    bin: str = ""


class Repaired(NamedTuple):
    """A repaired forecast: its interval at any level; ``n_eff`` of its weights, if it has some."""

    uncertainty: str
    variant: str
    interval: Callable[[float], Interval]
    n_eff: float = float("nan")


Weights = tuple[FloatArray, FloatArray]  # density ratio at calibration elements, at the asked ones
Columns = dict[Key, FloatArray]


def gc_bins(held: Part, asked: Part, bins: int) -> tuple[IndexArray, IndexArray]:
    """GC bin of each calibration and asked element; equal counts in the calibration part."""
    edges = np.quantile(held.gc, np.linspace(0, 1, bins + 1)[1:-1])
    found = [np.searchsorted(edges, part.gc, side="right") for part in (held, asked)]
    return found[0], found[1]


def _gaussian(mean: FloatArray, std: FloatArray) -> Callable[[float], Interval]:
    return lambda level: Interval(*gaussian_interval(mean, std, level))


def calibrated(
    held: Part, asked: Part, bins: int, known: Weights | None = None, relatives: Part | None = None
) -> Iterator[Repaired]:
    """The forecast without repair, and under every repair learned from the calibration part.

    Parameters
    ----------
    held, asked : Part
        ``held`` has one row per group.
    bins : int
        GC bins of the Mondrian repair.
    known : pair of arrays, optional
        The density ratio, where it is known.
    relatives : Part, optional
        The calibration part with all rows of its groups, for the group-wise repair.
    """
    mean, std = asked.mean, asked.std
    yield Repaired("single", "", _gaussian(mean, std))
    yield Repaired("std_scaling", "", _gaussian(*std_scaling(*held.labelled).apply(mean, std)))
    yield Repaired("isotonic", "", _gaussian(*isotonic_std(*held.labelled).apply(mean, std)))
    points = (held.mean, held.target)
    yield Repaired("split_cp", "", lambda level: split_cp(points, mean, level))
    yield Repaired("norm_cp", "", lambda level: norm_cp(held.labelled, mean, std, level))
    inside, wanted = gc_bins(held, asked, bins)
    yield Repaired(
        "mondrian_cp",
        "",
        lambda level: mondrian_cp(held.labelled, inside, mean, std, wanted, level),
    )
    # Uncapped: outside the calibration part's range the honest interval is infinite.
    ratios = density_ratio(held.gc, asked.gc, held.gc, asked.gc, cap=np.inf)
    given = {ESTIMATED: (ratios[0], ratios[1])} | ({} if known is None else {KNOWN: known})
    for variant, (at_held, at_asked) in given.items():

        def weighted(level: float, w: FloatArray = at_held, own: FloatArray = at_asked) -> Interval:
            return weighted_cp(held.labelled, w, mean, std, own, level)

        yield Repaired("weighted_cp", variant, weighted, n_eff(at_held))
    if relatives is not None:
        every = relatives
        yield Repaired(
            "group_cp",
            "",
            lambda level: group_cp(every.labelled, every.group, mean, std, level),
        )


def elements(interval: Interval, target: FloatArray, level: float) -> tuple[FloatArray, ...]:
    """Per element: 1 where the interval holds the target, its width, its interval score.

    The score is width + 2 / (1 - level) per unit of a miss (Gneiting & Raftery 2007, equation 43);
    width and score of an infinite interval are infinite.

    Examples
    --------
    >>> found = elements(Interval(np.zeros(2), np.ones(2)), np.array([1.0, 3.0]), 0.9)
    >>> [values.round(9).tolist() for values in found]  # a miss by 2 costs 20 * 2
    [[1.0, 0.0], [1.0, 1.0], [1.0, 41.0]]
    """
    lower, upper = interval
    covered = ((lower <= target) & (target <= upper)).astype(float)
    width = upper - lower
    missed = np.maximum(lower - target, 0) + np.maximum(target - upper, 0)
    return covered, width, width + 2 / (1 - level) * missed


def _columns(repair: Repaired, asked: Part) -> Iterator[tuple[str, FloatArray]]:
    for level in LEVELS:
        interval = repair.interval(level)
        covered, width, score = elements(interval, asked.target, level)
        yield f"picp_{round(100 * level)}", covered
        if level == LEVEL:
            finite = np.isfinite(width)
            yield "mpiw_90", np.where(finite, width, np.nan)
            yield "infinite_90", 1.0 - finite
            # A mean over the finite ones alone would reward giving up.
            yield "interval_score_90", score if finite.all() else np.full(len(score), np.nan)


def calibrated_columns(
    repairs: Iterator[Repaired], asked: Part, decile: IndexArray
) -> tuple[Columns, dict[Key, float]]:
    """Per-element values of each repair, also by GC decile, and the effective sizes of weights.

    Elements that a value is not of are NaN.
    """
    columns: Columns = {}
    single: dict[Key, float] = {}
    with warnings.catch_warnings():
        # The share of infinite intervals is a column of its own.
        warnings.simplefilter("ignore", InfiniteIntervalWarning)
        for repair in repairs:
            name = repair[:2]
            for metric, values in _columns(repair, asked):
                columns[Key(*name, metric)] = values
            if repair.uncertainty in BY_GC:
                covered = columns[Key(*name, "picp_90")]
                for cell in range(decile.max() + 1):
                    key = Key(*name, "picp_90", "gc_decile", f"{cell + 1:02d}")
                    columns[key] = np.where(decile == cell, covered, np.nan)
            if np.isfinite(repair.n_eff):
                single[Key(*name, "n_eff")] = repair.n_eff
    return columns, single


def oracle_values(truth: tuple[FloatArray, FloatArray], asked: Part) -> dict[str, float]:
    """The same metrics for the true mean and standard deviation of the asked elements."""
    repair = Repaired("oracle", "", _gaussian(*truth))
    return {metric: float(values.mean()) for metric, values in _columns(repair, asked)}


def from_labels(known: Part, rest: Part) -> Iterator[tuple[str, Interval]]:
    """Repairs learned from labels of the asked part itself."""
    mean, std = few_shot(*known.labelled).apply(rest.mean, rest.std)
    yield "few_shot", Interval(*gaussian_interval(mean, std, LEVEL))
    yield "norm_cp", norm_cp(known.labelled, rest.mean, rest.std, LEVEL)


def labelled_columns(
    asked: Part,
    cohorts: Sequence[IndexArray],
    labels: Sequence[int],
    repeats: int,
    tolerance: float,
    rng: np.random.Generator,
    repairs: Callable[[Part, Part], Iterator[tuple[str, Interval]]] = from_labels,
) -> tuple[Columns, dict[Key, float]]:
    """Repairs from k labels of the asked part: mean per element over draws it was judged in.

    Parameters
    ----------
    asked : Part
    cohorts : sequence of (m,) row arrays
        New conditions, each repaired by k labels of its own; k is left out where fewer than 2 k
        groups are there.
    labels : sequence of int
        k: one element each of k groups; relatives of a labelled element are not judged.
    repeats : int
        Draws of labels; a larger k adds to the elements of a smaller one.
    tolerance : float
    repairs : callable
        Named intervals of the elements to judge, from the labelled ones.

    Returns
    -------
    columns, single
        ``single`` holds ``within_tolerance``: the share of draws whose coverage lies within
        ``tolerance`` of nominal.
    """
    sums: dict[tuple[str, int], FloatArray] = {}
    hits: dict[tuple[str, int], list[bool]] = {}
    for _ in range(repeats):
        for rows in cohorts:
            own = asked.take(rows)
            order = rng.permutation(one_per_group(own.group, rng))
            for k in (k for k in labels if 2 * k <= len(order)):
                drawn = order[:k]
                rest = np.flatnonzero(~np.isin(own.group, own.group[drawn]))
                judged = own.take(rest)
                for name, interval in repairs(own.take(drawn), judged):
                    found = elements(interval, judged.target, LEVEL)
                    total = sums.setdefault((name, k), np.zeros((4, len(asked.mean))))
                    total[:, rows[rest]] += [*found, np.ones(len(rest))]
                    gap = abs(found[0].mean() - LEVEL)
                    hits.setdefault((name, k), []).append(bool(gap <= tolerance))
    columns: Columns = {}
    with np.errstate(invalid="ignore"):
        for (name, k), (covered, width, score, times) in sums.items():
            values = {"picp_90": covered, "mpiw_90": width, "interval_score_90": score}
            for metric, total in values.items():
                columns[Key(name, f"k={k}", metric)] = total / times
    single = {
        Key(name, f"k={k}", "within_tolerance"): float(np.mean(hit))
        for (name, k), hit in hits.items()
    }
    return columns, single


def averages(
    columns: Columns,
    single: Mapping[Key, float],
    group: IndexArray | None = None,
    draws: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Means of the columns over the elements that have a value, one row per key.

    Parameters
    ----------
    columns : dict of Key to (n,) array
    single : mapping of Key to float
        Values that are no means over elements; they get no interval here.
    group : (n,) int array, optional
        With it, ``lower``, ``upper`` and ``variance`` are those of a bootstrap over groups.
    draws, seed : int
        Of that bootstrap.
    """
    matrix = np.column_stack(list(columns.values()))
    known = np.isfinite(matrix)
    count = known.sum(axis=0)
    filled = np.where(known, matrix, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        table = pd.DataFrame(list(columns), columns=list(Key._fields)).assign(
            value=filled.sum(axis=0) / count, n=count
        )
    table[["lower", "upper", "variance"]] = np.nan
    if group is not None:
        rng = np.random.default_rng(seed)
        groups = merge_groups(group_codes(group), MOST_GROUPS, rng)
        totals = [group_totals(part, groups) for part in (filled, known.astype(float))]
        top, bottom = bootstrap_totals(totals, groups.n_groups, draws, rng)
        with np.errstate(invalid="ignore", divide="ignore"):
            resampled = top / bottom
        table["lower"], table["upper"] = percentile_interval(resampled)
        table["variance"] = draw_variance(resampled)
    alone = pd.DataFrame(
        [(*key, value, len(matrix)) for key, value in single.items()],
        columns=[*Key._fields, "value", "n"],
    )
    table = pd.concat([table, alone], ignore_index=True) if len(alone) else table
    return table[(table["n"] >= MIN_BIN) & np.isfinite(table["value"])].reset_index(drop=True)

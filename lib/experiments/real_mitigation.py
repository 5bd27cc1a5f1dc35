"""What a repair buys under each real shift: no label, labels of controls, or a few of its own.

In: fitted networks and their shifted parts. Out: coverage, width and interval score per split by
repair, in the form of :func:`lib.experiments.repairs.averages`. ``centring`` moves the
forecast so that its mean is that of the measurements it is judged on, an oracle and an upper bound
for any repair of the level; ``anchored`` maps it by the line through
labels that the new condition shares with the old one; ``few_shot`` (line and std), ``std_scaling``
(std alone) and ``norm_cp`` with ``k=`` learn from so many labelled elements.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from lib.data.predictions import of_elements
from lib.experiments.real_assays import Assays
from lib.experiments.real_parts import Asked, is_choice
from lib.experiments.real_scoring import Fitted
from lib.experiments.real_severity import batch_pair, genotype_pairs
from lib.experiments.repairs import (
    LEVEL,
    Budget,
    Repaired,
    averages,
    calibrated,
    from_labels,
    gaussian,
    judged,
    labelled,
    triple,
)
from lib.metrics.scores import interval as gaussian_interval
from lib.repair.conformal import Interval
from lib.repair.recalibration import std_scaling
from lib.statistics.paired import PairedAssay, line_between

REPAIRED = frozenset(
    {
        *("genotype", "promoter", "assay", "batch", "depth", "noise"),
        *("design", "species", "gc_high", "gc_low", "placebo"),
    }
)
SHOWN = ("single", "std_scaling", "weighted_cp", "centring", "anchored", "few_shot", "norm_cp")
METRICS = ("picp_90", "mpiw_90", "interval_score_90", "within_tolerance")
TOLERANCE = 0.03  # of coverage, within which it counts as restored
GC_BINS = 5
Line = tuple[float, float]  # intercept and slope


def _line(pair: PairedAssay, anchors: bool) -> Line | None:
    """Intercept and slope from a reference condition into another; None where they cannot be had.

    Parameters
    ----------
    pair : PairedAssay
    anchors : bool
        Whether the line goes through the anchors, or through all elements.
    """
    found = line_between(pair, pair.anchors if anchors else ~pair.anchors)
    return found if np.isfinite(found).all() and found[1] > 0 else None


def anchor_line(assays: Assays, fitted: Fitted, asked: Asked) -> Line | None:
    """The line of a part's condition on the old one, from labels it shares with it.

    A batch: labels of other origins than those judged. A genotype or promoter: the scrambled
    elements.
    """
    if not worth_repairing(asked):
        return None
    if asked.shift == "batch":
        table = fitted.network.data.metadata
        judged = set(table["origin"].iloc[asked.rows])
        return _line(batch_pair(assays, asked.condition, without=judged), anchors=False)
    if asked.shift in ("genotype", "promoter"):
        condition = asked.condition.split(",")[0]
        for keys, pair in genotype_pairs(assays):
            if (keys["shift"], keys["condition"]) == (asked.shift, condition):
                return _line(pair, anchors=True) if pair.anchors.any() else None
    return None


def _moved(part: pd.DataFrame, line: Line | None, fitted: Fitted) -> Iterator[Repaired]:
    """Repairs of the mean; the std is first scaled as the calibration part in distribution asks."""
    mean, std, target = triple(part)
    std = fitted.scale * std
    yield gaussian("centring", mean + (target.mean() - mean.mean()), std)
    if line is not None:
        intercept, slope = line
        yield gaussian("anchored", intercept + slope * mean, slope * std)


def _from_labels(known: pd.DataFrame, rest: pd.DataFrame) -> Iterator[tuple[str, Interval]]:
    """As :func:`from_labels`, and the std alone scaled."""
    yield from from_labels(known, rest)
    mean, std, _ = triple(rest)
    repaired = std_scaling(*triple(known)).scale * std
    yield "std_scaling", Interval(*gaussian_interval(mean, repaired, LEVEL))


def repairs(
    fitted: Fitted,
    asked: Asked,
    line: Line | None,
    labels: Sequence[int],
    repeats: int,
    draws: int,
) -> pd.DataFrame:
    """Values of every repair on one shifted part.

    Parameters
    ----------
    fitted : Fitted
    asked : Asked
    line : (float, float) or None
        Of :func:`anchor_line`.
    labels : sequence of int
        Sizes of the label budget.
    repeats : int
        Draws of labels.
    draws : int
        Of the bootstrap over groups.

    Returns
    -------
    DataFrame
        Columns of :class:`lib.experiments.repairs.Key`, ``value, n, lower, upper, variance``
        and the part's keys.
    """
    data, own = fitted.network.data, fitted.own
    rows, found = fitted.calibration, fitted.of(asked)
    every = of_elements(data, own.mean, own.std)
    part = pd.DataFrame(
        {
            "mean": found.mean[asked.rows],
            "std": found.std[asked.rows],
            "target": asked.target,
            "gc": asked.gc,
            "group": asked.group,
        }
    )
    repaired = chain(calibrated(every.iloc[rows], part, GC_BINS), _moved(part, line, fitted))
    wanted = (repair for repair in repaired if repair.uncertainty in SHOWN)
    seed = fitted.network.split.seed
    rng = np.random.default_rng([seed, 3])
    budget = Budget(tuple(labels), repeats, TOLERANCE)
    known = judged(wanted, part) | labelled(part, budget, rng, repairs=_from_labels)
    table = averages(known, part["group"], draws, seed)
    table = table[table["metric"].isin(METRICS) & (table["by"] == "")]
    train = len(fitted.network.split["train"])
    return table.assign(**asked.keys, split_seed=seed, n_train=train, oracle=np.nan)


def worth_repairing(asked: Asked) -> bool:
    """Whether a part goes through the repairs: shifted, and of a promoter only the wild type."""
    plain = asked.shift != "promoter" or " " not in asked.condition.split(",")[0]
    wanted = asked.split == "shifted" and asked.shift in REPAIRED
    return wanted and plain and not is_choice(asked.condition)

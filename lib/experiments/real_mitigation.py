"""What a repair buys under each real shift: no label, labels of controls, or a few of its own.

In: fitted networks and their shifted parts. Out: coverage, width and interval score per split by
repair, in the form of :func:`lib.experiments.repair_scoring.averages`. ``centring`` moves the
forecast so that its mean is that of the measurements it is judged on, an oracle and an upper bound
for any repair of the level; ``anchored`` maps it by the line through
labels that the new condition shares with the old one; ``few_shot`` (line and std), ``std_scaling``
(std alone) and ``norm_cp`` with ``k=`` learn from so many labelled elements.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from lib.data.dataset import FloatArray
from lib.experiments.real_assays import Assays
from lib.experiments.real_parts import Asked, is_choice
from lib.experiments.real_scoring import Fitted
from lib.experiments.real_severity import batch_pair, genotype_pairs
from lib.experiments.repair_scoring import (
    LEVEL,
    Part,
    Repaired,
    averages,
    calibrated,
    calibrated_columns,
    from_labels,
    gc_bins,
    labelled_columns,
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


def _gaussian(name: str, mean: FloatArray, std: FloatArray) -> Repaired:
    return Repaired(name, "", lambda level: Interval(*gaussian_interval(mean, std, level)))


def _moved(part: Part, line: Line | None, fitted: Fitted) -> Iterator[Repaired]:
    """Repairs of the mean; the std is first scaled as the calibration part in distribution asks."""
    std = fitted.scale * part.std
    shift = part.target.mean() - part.mean.mean()
    yield _gaussian("centring", part.mean + shift, std)
    if line is not None:
        intercept, slope = line
        yield _gaussian("anchored", intercept + slope * part.mean, slope * std)


def _from_labels(known: Part, rest: Part) -> Iterator[tuple[str, Interval]]:
    """As :func:`from_labels`, and the std alone scaled."""
    yield from from_labels(known, rest)
    std = std_scaling(*known.labelled).scale * rest.std
    yield "std_scaling", Interval(*gaussian_interval(rest.mean, std, LEVEL))


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
        Columns of :class:`lib.experiments.repair_scoring.Key`, ``value, n, lower, upper, variance``
        and the part's keys.
    """
    data, own = fitted.network.data, fitted.own
    held_rows, found = fitted.calibration, fitted.of(asked)
    held = Part(
        own.mean[held_rows],
        own.std[held_rows],
        data.activity[held_rows],
        data.gc[held_rows],
        data.group[held_rows],
    )
    part = Part(found.mean[asked.rows], found.std[asked.rows], asked.target, asked.gc, asked.group)
    every = chain(calibrated(held, part, GC_BINS), _moved(part, line, fitted))
    wanted = (repair for repair in every if repair.uncertainty in SHOWN)
    columns, single = calibrated_columns(wanted, part, gc_bins(held, part, GC_BINS)[1])
    seed = fitted.network.split.seed
    rng = np.random.default_rng([seed, 3])
    rows = [np.arange(len(asked.rows))]
    labelled = labelled_columns(part, rows, labels, repeats, TOLERANCE, rng, _from_labels)
    table = averages(columns | labelled[0], single | labelled[1], part.group, draws, seed)
    table = table[table["metric"].isin(METRICS) & (table["by"] == "")]
    train = len(fitted.network.split["train"])
    return table.assign(**asked.keys, split_seed=seed, n_train=train, oracle=np.nan)


def worth_repairing(asked: Asked) -> bool:
    """Whether a part goes through the repairs: shifted, and of a promoter only the wild type."""
    plain = asked.shift != "promoter" or " " not in asked.condition.split(",")[0]
    wanted = asked.split == "shifted" and asked.shift in REPAIRED
    return wanted and plain and not is_choice(asked.condition)

"""Descriptive tables of the GC experiment: aggregates of at least ten elements.

In: data sets, arms and forecasts. Out: tidy tables that the notebook draws and the book publishes.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.data.dataset import SequenceDataset
from lib.data.leakage import leak_report
from lib.data.relatives import strand_pairs
from lib.experiments.assays import AssayArm, FittedArm
from lib.experiments.scoring import contrast
from lib.metrics.bootstrap import group_bootstrap_weights
from lib.metrics.evaluate import MIN_BIN

SCALES = dict.fromkeys(("rmse", "crps_gaussian", "zms", "mpiw_90"), "ratio")
SCALES |= dict.fromkeys(("nll_gaussian", "picp_90", "pearson_r"), "difference")
HISTOGRAM_BINS = 25


def gc_deciles(data: SequenceDataset) -> NDArray[np.str_]:
    """Label of the data set's GC decile each element lies in, such as ``0.475-0.505``."""
    edges = np.unique(np.quantile(data.gc, np.linspace(0, 1, 11)))
    index = np.clip(np.searchsorted(edges, data.gc, side="right") - 1, 0, len(edges) - 2)
    labels = [f"{low:.3f}-{high:.3f}" for low, high in pairwise(edges)]
    return np.array(labels)[index]


def reliability(data: SequenceDataset, draws: int) -> pd.DataFrame:
    """Correlation of the two orientations of an element, with its interval over leak groups.

    It is a lower bound on the share of variance that a strand-blind model could explain: what one
    orientation truly does more than the other counts as noise. Its root bounds a model's r.
    """
    forward, reverse = strand_pairs(data.codes)
    if len(forward) < MIN_BIN:
        return pd.DataFrame()
    drawn, groups = group_bootstrap_weights(data.group[forward], draws, np.random.default_rng(0))
    count = groups.n_groups
    a, b = data.activity[forward], data.activity[reverse]
    moments = np.stack([np.ones_like(a), a + b, a * a + b * b, a * b])
    totals = np.stack([np.bincount(groups.codes, row, minlength=count) for row in moments])
    n, total, square, product = totals @ np.column_stack([np.ones(count), drawn.T])
    # Symmetric in the two orientations, since which is called forward carries no meaning.
    r = (product / n - (total / (2 * n)) ** 2) / (square / (2 * n) - (total / (2 * n)) ** 2)
    both = np.stack([r, np.sqrt(np.maximum(r, 0))])
    low, high = np.quantile(both[:, 1:], [0.025, 0.975], axis=1)
    columns = {"value": both[:, 0], "lower": low, "upper": high}
    return pd.DataFrame({"measure": ["reliability", "best_pearson_r"]} | columns)


def assay_table(data: Sequence[SequenceDataset], draws: int) -> pd.DataFrame:
    """One row per data set and measure: size, groups, repairs, activity, GC, reliability."""
    tables = []
    for assay in data:
        sizes = np.unique(assay.group, return_counts=True)[1]
        facts: dict[str, float] = {
            "elements": len(assay),
            "length": assay.codes.shape[1],
            "leak_groups": len(sizes),
            "largest_group": int(sizes.max()),
            "sd_activity": float(assay.activity.std()),
            "r_gc_activity": float(np.corrcoef(assay.gc, assay.activity)[0, 1]),
        }
        facts |= {f"gc_{q:02d}": float(np.quantile(assay.gc, q / 100)) for q in (5, 25, 50, 75, 95)}
        facts |= {f"repaired_{name}": count for name, count in assay.repairs.items()}
        known = pd.DataFrame({"measure": list(facts), "value": list(facts.values())})
        both = pd.concat([known, reliability(assay, draws)], ignore_index=True)
        tables.append(both.assign(data=assay.name))
    table = pd.concat(tables, ignore_index=True)
    return table.reindex(columns=["data", "measure", "value", "lower", "upper"])


def leaks(arms: Sequence[AssayArm], k: int) -> pd.DataFrame:
    """Leak reports of the arms' splits, see :func:`lib.data.leakage.leak_report`."""
    reports = [
        leak_report(arm.data.codes, arm.data.group, arm.split, k).assign(data=arm.data.name)
        for arm in arms
    ]
    return pd.concat(reports, ignore_index=True).drop_duplicates()


def gc_histogram(arms: Sequence[AssayArm]) -> pd.DataFrame:
    """Share of each part's elements per GC bin; bins of fewer than ten elements are left out."""
    tables = []
    for data, part in ((arm.data, part) for arm in arms for part in arm.parts):
        edges = np.linspace(data.gc.min(), data.gc.max(), HISTOGRAM_BINS + 1)
        counts = np.histogram(data.gc[part.rows], edges)[0]
        table = pd.DataFrame({"left": edges[:-1], "right": edges[1:], "count": counts})
        table["share"] = table["count"] / len(part.rows)
        keys = {"split": part.split, "shift": part.shift, "condition": part.condition}
        table = table.assign(data=data.name, **keys)
        tables.append(table[table["count"] >= MIN_BIN])
    return pd.concat(tables, ignore_index=True)


def predicted_measured(fitted: Sequence[FittedArm]) -> pd.DataFrame:
    """Mean measured activity by decile of the predicted mean, test parts of all splits together."""
    tables = []
    for fit, part in ((one, part) for one in fitted for part in one.arm.parts):
        data, found = fit.arm.data, fit.forecast
        columns = {"predicted": found.mean, "variance": found.std**2, "measured": data.activity}
        table = pd.DataFrame({name: values[part.rows] for name, values in columns.items()})
        label = f"{part.shift} {part.condition}, {part.split}" if part.shift else part.split
        tables.append(table.assign(data=data.name, part=label))
    every = pd.concat(tables, ignore_index=True)
    by_part = every.groupby(["data", "part"], sort=False)["predicted"]
    every["decile"] = by_part.transform(pd.qcut, 10, labels=False, duplicates="drop")
    table = every.groupby(["data", "part", "decile"], sort=False).agg(
        predicted=("predicted", "mean"),
        measured=("measured", "mean"),
        measured_sd=("measured", "std"),
        predicted_sd=("variance", lambda variance: float(np.sqrt(variance.mean()))),
        n=("measured", "size"),
    )
    return table[table["n"] >= MIN_BIN].reset_index().drop(columns="decile")


def contrasts(scores: pd.DataFrame) -> pd.DataFrame:
    """What each shift changes: shifted against inside, against matched, tilt and leak against test.

    Errors and widths as ratios, coverage, correlation and NLL as differences.
    """
    label = (scores["shift"] + " " + scores["condition"]).str.strip()
    label = label.where(scores["split"] != "random_leaky", "leak")
    named = scores.assign(shift=label)
    like_test = scores["shift"].isin(["", "gc_tilt"])  # compared with the test part
    test = named[label == ""].drop(columns="shift")
    sides = {"test": test.merge(pd.DataFrame({"shift": label[like_test].unique()}), how="cross")}
    sides |= {name: named[scores["split"] == name] for name in ("inside", "matched")}
    judged = named[(label != "") & ~scores["split"].isin(["inside", "matched"])]
    match = ["data", "model", "uncertainty", "shift"]
    tables = [
        contrast(judged, side, SCALES, match=match).assign(against=name)
        for name, side in sides.items()
        if len(side)
    ]
    return pd.concat(tables, ignore_index=True)

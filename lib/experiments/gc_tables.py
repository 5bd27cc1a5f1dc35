"""Descriptive tables of the GC experiment: aggregates of at least ten elements.

In: data sets, arms and forecasts. Out: tidy tables that the notebook draws and the book publishes.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.assays.plant import TISSUES, reference_predictions
from lib.data.dataset import FloatArray, IndexArray, SequenceDataset
from lib.data.leakage import leak_report
from lib.data.splits import Split
from lib.experiments.gc_arms import Arm
from lib.experiments.scoring import contrast
from lib.metrics.bootstrap import group_bootstrap_weights
from lib.metrics.evaluate import MIN_BIN
from lib.models.baselines import constant_sigma
from lib.sequences import reverse_complement

HISTOGRAM_BINS = 25
SCALES = dict.fromkeys(("rmse", "crps_gaussian", "zms", "mpiw_90"), "ratio")
SCALES |= dict.fromkeys(("nll_gaussian", "picp_90", "pearson_r"), "difference")


def gc_deciles(data: SequenceDataset) -> NDArray[np.str_]:
    """Label of the data set's GC decile each element lies in, such as ``0.475-0.505``."""
    edges = np.unique(np.quantile(data.gc, np.linspace(0, 1, 11)))
    index = np.clip(np.searchsorted(edges, data.gc, side="right") - 1, 0, len(edges) - 2)
    labels = [f"{low:.3f}-{high:.3f}" for low, high in pairwise(edges)]
    return np.array(labels)[index]


def reference_forecasts(
    data: SequenceDataset, held: IndexArray
) -> Iterator[tuple[dict[str, Any], FloatArray, FloatArray]]:
    """The plant authors' own predictions, where there are any; σ is their error on ``held``."""
    tissue = data.name.removeprefix("plant_")
    if data.name.startswith("plant_") and tissue in TISSUES:
        reference = constant_sigma(reference_predictions(tissue).mean, data.activity, held)
        keys = {"model": "authors_cnn", "prior": "none", "uncertainty": "constant_sigma"}
        yield keys, reference.mean, reference.std


def strand_pairs(data: SequenceDataset) -> tuple[IndexArray, IndexArray]:
    """Rows of elements measured in both orientations: forward and reverse, (m,) each.

    Returns
    -------
    forward, reverse : (m,) int64 arrays
        Row ``forward[i]`` is the reverse complement of row ``reverse[i]``; each row at most
        once.
    """
    first: dict[bytes, int] = {}
    pairs = []
    flipped = reverse_complement(data.codes)
    for row in range(len(data)):
        partner = first.pop(flipped[row].tobytes(), None)
        if partner is None:
            first[data.codes[row].tobytes()] = row
        else:
            pairs.append((partner, row))
    index = np.array(pairs, np.int64).reshape(-1, 2)
    return index[:, 0], index[:, 1]


def reliability(data: SequenceDataset, draws: int) -> dict[str, tuple[float, float, float]]:
    """Correlation of the two orientations of an element, with its interval over leak groups.

    It is a lower bound on the share of variance that a strand-blind model could explain: what one
    orientation truly does more than the other counts as noise. Its root bounds a model's r.
    """
    forward, reverse = strand_pairs(data)
    if len(forward) < MIN_BIN:
        return {}
    rng = np.random.default_rng(0)
    drawn, groups = group_bootstrap_weights(data.group[forward], draws, rng)
    count = groups.n_groups
    a, b = data.activity[forward], data.activity[reverse]
    moments = np.stack([np.ones_like(a), a + b, a * a + b * b, a * b])
    totals = np.stack([np.bincount(groups.codes, row, minlength=count) for row in moments])
    n, total, square, product = totals @ np.column_stack([np.ones(count), drawn.T])
    # Symmetric in the two orientations, since which is called forward carries no meaning.
    r = (product / n - (total / (2 * n)) ** 2) / (square / (2 * n) - (total / (2 * n)) ** 2)

    def summary(values: FloatArray) -> tuple[float, float, float]:
        low, high = np.quantile(values[1:], [0.025, 0.975])
        return float(values[0]), float(low), float(high)

    return {"reliability": summary(r), "best_pearson_r": summary(np.sqrt(np.maximum(r, 0)))}


def assays(data: Sequence[SequenceDataset], draws: int) -> pd.DataFrame:
    """One row per data set and measure: size, groups, repairs, activity, GC, reliability."""
    rows: list[dict[str, Any]] = []
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
        rows += [{"data": assay.name, "measure": k, "value": v} for k, v in facts.items()]
        for name, (value, low, high) in reliability(assay, draws).items():
            row = {"data": assay.name, "measure": name, "value": value}
            rows.append(row | {"lower": low, "upper": high})
    return pd.DataFrame(rows, columns=["data", "measure", "value", "lower", "upper"])


def leaks(arms: Sequence[tuple[SequenceDataset, Split]], k: int) -> pd.DataFrame:
    """Leak reports of the arms' splits, see :func:`lib.data.leakage.leak_report`."""
    reports = [
        leak_report(data.codes, data.group, split, k).assign(data=data.name) for data, split in arms
    ]
    return pd.concat(reports, ignore_index=True).drop_duplicates()


def _label(keys: Any) -> str:
    """How figures call a part: its arm, and which side of it."""
    if not keys["shift"]:
        return str(keys["split"])
    return f"{keys['shift']} {keys['condition']}, {keys['split']}"


def gc_histogram(arms: Sequence[tuple[SequenceDataset, Arm]]) -> pd.DataFrame:
    """Share of each part's elements per GC bin; bins of fewer than ten elements are left out."""
    tables = []
    for data, arm in arms:
        edges = np.linspace(data.gc.min(), data.gc.max(), HISTOGRAM_BINS + 1)
        for part in arm.parts:
            counts = np.histogram(data.gc[part.rows], edges)[0]
            table = pd.DataFrame({"left": edges[:-1], "right": edges[1:], "count": counts})
            table["share"] = table["count"] / len(part.rows)
            keys: dict[str, Any] = {k: part.keys[k] for k in ("split", "shift", "condition")}
            table = table.assign(data=data.name, **keys, part=_label(part.keys))
            tables.append(table[table["count"] >= MIN_BIN])
    return pd.concat(tables, ignore_index=True)


def predicted_measured(
    arms: Sequence[tuple[SequenceDataset, Arm, FloatArray, FloatArray]],
) -> pd.DataFrame:
    """Mean measured activity by decile of the predicted mean, test parts of all splits together."""
    pooled: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for data, arm, mean, std in arms:
        for part in arm.parts:
            rows = part.rows
            columns = {"predicted": mean[rows], "std": std[rows], "measured": data.activity[rows]}
            table = pd.DataFrame(columns)
            pooled.setdefault((data.name, _label(part.keys)), []).append(table)
    rows_out = []
    for (name, label), tables in pooled.items():
        table = pd.concat(tables, ignore_index=True)
        bins = pd.qcut(table["predicted"], 10, labels=False, duplicates="drop")
        for _, decile in table.groupby(bins):
            if len(decile) >= MIN_BIN:
                summary = {
                    "predicted": decile["predicted"].mean(),
                    "measured": decile["measured"].mean(),
                    "measured_sd": decile["measured"].std(),
                    "predicted_sd": float(np.sqrt((decile["std"] ** 2).mean())),
                }
                rows_out.append({"data": name, "part": label} | summary | {"n": len(decile)})
    return pd.DataFrame(rows_out)


def contrasts(scored: pd.DataFrame) -> pd.DataFrame:
    """What each shift changes: shifted against inside, against matched, tilt and leak against test.

    Errors and widths as ratios, coverage, correlation and NLL as differences.
    """
    shared = ["data", "model", "uncertainty"]
    test = scored[(scored["split"] == "test") & (scored["condition"] == "")]
    pairs = [
        (scored[scored["split"] == "random_leaky"], test, "leak", "test"),
        (scored[scored["condition"] == "one strand"], test, "one strand", "test"),
    ]
    for (shift, condition), part in scored[scored["shift"] != ""].groupby(["shift", "condition"]):
        sides = {name: part[part["split"] == name] for name in ("inside", "shifted", "matched")}
        against = {"test": test} if shift == "gc_tilt" else sides
        pairs += [
            (sides["shifted"], right, f"{shift} {condition}", name)
            for name, right in against.items()
            if name != "shifted" and len(right)
        ]
    tables = []
    for left, right, label, against_name in pairs:
        table = contrast(left, right, SCALES, match=shared)
        tables.append(table.assign(shift=label, against=against_name))
    return pd.concat(tables, ignore_index=True)

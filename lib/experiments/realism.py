"""Simulated assays beside a real one: what the simulator gets right, and what it does not.

In: worlds and, where its files can be had, WTC11. Out: tables ``realism``, ``histogram``,
``variance`` and ``learning``, each with a column ``data``. Aggregates of at least ten elements.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib import assays as mpra
from lib.arrays import FloatArray
from lib.data.dataset import SequenceDataset
from lib.data.leakage import strand_pairs
from lib.data.splits import Split, group_split
from lib.experiments.worlds import TEST_SEED, TRAIN_SEED, world_of
from lib.metrics.evaluate import MIN_BIN
from lib.metrics.scores import pearson_r
from lib.models.baselines import kmer_ridge
from lib.simulator import assay_codes, simulate
from lib.study.units import Placement, Result, Store, Unit, run_units

REAL = "wtc11"
SIMULATED = "simulation"
ELEMENTS = 6000  # simulated, about as many as WTC11 has of 200 nt
HISTOGRAM = np.linspace(-4.5, 4.5, 31)  # log2 RNA/DNA
SIZES = (250, 500, 1000, 2000, 4000)
DECILES = 10


def learning_unit(_: Mapping[str, Any], data: SequenceDataset, split: Split) -> Result:
    """Correlation of the 6-mer ridge with the test part, by size of the training part."""
    train = np.random.default_rng(0).permutation(split["train"])
    sizes = [size for size in SIZES if size < len(train)] + [len(train)]
    found = []
    for size in sizes:
        ridge = kmer_ridge(data.codes, data.activity, train[:size], split["validation"])
        test = split["test"]
        found.append(pearson_r(ridge.mean[test], data.activity[test]))
    return Result.of_tables({"learning": pd.DataFrame({"size": sizes, "pearson_r": found})})


def _pairs(world_seed: int) -> tuple[SequenceDataset, FloatArray, FloatArray]:
    """A simulated library, and two measurements of each of its elements."""
    world = world_of(world_seed)
    data = simulate(world, ELEMENTS, TRAIN_SEED)
    again = assay_codes(world, data.codes, TEST_SEED)
    return data, data.activity, again.activity


def _summary(data: SequenceDataset, first: FloatArray, second: FloatArray) -> pd.DataFrame:
    y = data.activity
    measures = {
        "mean": float(y.mean()),
        "sd": float(y.std()),
        "skewness": float(((y - y.mean()) ** 3).mean() / y.std() ** 3),
        "reliability": pearson_r(first, second),
        "r_gc_activity": pearson_r(data.gc, y),
        "gc_mean": float(data.gc.mean()),
        "gc_sd": float(data.gc.std()),
    }
    return pd.DataFrame({"measure": list(measures), "value": list(measures.values())})


def _histogram(values: FloatArray) -> pd.DataFrame:
    counts = np.histogram(values, HISTOGRAM)[0]
    table = pd.DataFrame({"left": HISTOGRAM[:-1], "right": HISTOGRAM[1:], "count": counts})
    table["share"] = table["count"] / len(values)
    return table[table["count"] >= MIN_BIN]


def _variance(first: FloatArray, second: FloatArray) -> pd.DataFrame:
    """Error variance of one measurement by decile of the mean of two."""
    middle, half = (first + second) / 2, (first - second) ** 2 / 2
    decile = pd.qcut(middle, DECILES, labels=False)
    table = pd.DataFrame({"decile": decile, "activity": middle, "error_variance": half})
    found = table.groupby("decile").agg(
        activity=("activity", "mean"),
        error_variance=("error_variance", "mean"),
        spread=("error_variance", "std"),
        n=("activity", "size"),
    )
    error = 1.96 * found["spread"] / np.sqrt(found["n"])
    found["lower"] = found["error_variance"] - error
    found["upper"] = found["error_variance"] + error
    return found.drop(columns="spread").reset_index()


def tables(
    worlds: Sequence[int], store: Store, where: Placement
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The four tables and the real assay's fingerprint; of the real one only where it is had."""
    assays = [(SIMULATED, world, *_pairs(world)) for world in worlds]
    marks = {}
    if mpra.available(REAL):
        real = mpra.load(REAL)
        forward, reverse = strand_pairs(real.codes)
        assays.append((REAL, -1, real, real.activity[forward], real.activity[reverse]))
        marks[REAL] = real.fingerprint
    units = [
        Unit(learning_unit, {}, {"data": data, "split": group_split(data.group, seed=0)})
        for _, _, data, _, _ in assays
    ]
    curves = run_units(units, store, where, "learning curves")
    parts: dict[str, list[pd.DataFrame]] = {}
    for (name, world, data, first, second), curve in zip(assays, curves, strict=True):
        found = {
            "realism": _summary(data, first, second),
            "histogram": _histogram(data.activity),
            "variance": _variance(first, second),
            "learning": curve.table("learning"),
        }
        for table, rows in found.items():
            parts.setdefault(table, []).append(rows.assign(data=name, world=world))
    return {table: pd.concat(rows, ignore_index=True) for table, rows in parts.items()}, marks

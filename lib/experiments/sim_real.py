"""Simulated assays beside a real one: what the simulator gets right, and what it does not.

In: worlds and, where its files can be had, WTC11. Out: tables ``realism``, ``histogram``,
``variance`` and ``learning``, each with a column ``data``. Aggregates of at least ten elements.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib import assays as mpra
from lib.data.dataset import FloatArray, SequenceDataset
from lib.data.splits import Split, group_split
from lib.experiments.gc_tables import strand_pairs
from lib.experiments.sim_arms import TEST_SEED, TRAIN_SEED, world_of
from lib.metrics.accuracy import pearson_r
from lib.metrics.evaluate import MIN_BIN
from lib.models.baselines import kmer_ridge
from lib.simulator import assay_codes, simulate
from lib.study.units import Placement, Result, Store, Unit, run_units

REAL = "wtc11"
SIMULATED = "simulation"
ELEMENTS = 6000  # simulated, about as many as WTC11 has of 200 nt
HISTOGRAM = np.linspace(-4.5, 4.5, 31)  # log2 RNA/DNA
SIZES = (250, 500, 1000, 2000, 4000)
DECILES = 10


def real_assay() -> SequenceDataset | None:
    """WTC11, or None where its files cannot be had."""
    return mpra.load(REAL) if mpra.available(REAL) else None


def fingerprints() -> dict[str, str]:
    """Of the real assay, for the manifest."""
    real = real_assay()
    return {} if real is None else {REAL: real.fingerprint}


def learning_unit(_: Mapping[str, Any], data: SequenceDataset, split: Split) -> Result:
    """Correlation of the 6-mer ridge with the test part, by size of the training part."""
    train = np.random.default_rng(0).permutation(split["train"])
    sizes = [size for size in SIZES if size < len(train)] + [len(train)]
    found = []
    for size in sizes:
        ridge = kmer_ridge(data.codes, data.activity, train[:size], split["validation"])
        test = split["test"]
        found.append(pearson_r(ridge.mean[test], data.activity[test]))
    return Result({"size": np.array(sizes), "pearson_r": np.array(found)})


def _pairs(world_seed: int) -> tuple[SequenceDataset, FloatArray, FloatArray]:
    """A simulated library, and two measurements of each of its elements."""
    world = world_of(world_seed)
    data = simulate(world, ELEMENTS, TRAIN_SEED)
    again = assay_codes(world, data.codes, TEST_SEED)
    return data, data.activity, again.activity


def _summary(data: SequenceDataset, first: FloatArray, second: FloatArray) -> dict[str, float]:
    y = data.activity
    return {
        "mean": float(y.mean()),
        "sd": float(y.std()),
        "skewness": float(((y - y.mean()) ** 3).mean() / y.std() ** 3),
        "reliability": pearson_r(first, second),
        "r_gc_activity": pearson_r(data.gc, y),
        "gc_mean": float(data.gc.mean()),
        "gc_sd": float(data.gc.std()),
    }


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


def tables(worlds: Sequence[int], store: Store, where: Placement) -> dict[str, pd.DataFrame]:
    """The four tables; of the real assay only where it can be had."""
    assays = [(SIMULATED, world, *_pairs(world)) for world in worlds]
    real = real_assay()
    if real is not None:
        forward, reverse = strand_pairs(real)
        assays.append((REAL, -1, real, real.activity[forward], real.activity[reverse]))
    units = [
        Unit(learning_unit, {}, {"data": data, "split": group_split(data.group, seed=0)})
        for _, _, data, _, _ in assays
    ]
    curves = run_units(units, store, where, "learning curves")
    parts: dict[str, list[pd.DataFrame]] = {
        name: [] for name in ("realism", "variance", "learning")
    }
    shares = []
    for (name, world, data, first, second), curve in zip(assays, curves, strict=True):
        summary = _summary(data, first, second)
        keys: dict[str, Any] = {"data": name, "world": world}
        parts["realism"].append(
            pd.DataFrame({"measure": list(summary), "value": list(summary.values())}).assign(**keys)
        )
        parts["variance"].append(_variance(first, second).assign(**keys))
        parts["learning"].append(
            pd.DataFrame({name: curve.arrays[name] for name in ("size", "pearson_r")}).assign(
                **keys
            )
        )
        shares.append(_histogram(data.activity).assign(**keys))
    found = {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}
    return found | {"histogram": pd.concat(shares, ignore_index=True)}

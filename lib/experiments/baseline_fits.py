"""The baselines of an experiment as one stored unit.

In: a data set and a split. Out: a forecast of every row by each baseline. Apart from
:mod:`lib.experiments.fits` so that a change here leaves fitted networks valid.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lib.data.dataset import FloatArray, IndexArray, SequenceDataset
from lib.data.splits import Split
from lib.models.baselines import (
    BaselinePrediction,
    feature_ridge,
    gc_ridge,
    kmer_ridge,
    memoriser,
    training_mean,
)
from lib.study.units import Result, Unit

BASELINES = ("mean", "gc_ridge", "kmer_ridge", "memoriser")
# Of a simulated assay: its data sets carry the true occupancies as features.
SIMULATED_BASELINES = ("mean", "gc_ridge", "kmer_ridge", "occupancy_linear")

Maker = Callable[[SequenceDataset, IndexArray, IndexArray], BaselinePrediction]


def _occupancy_linear(
    data: SequenceDataset, train: IndexArray, validation: IndexArray
) -> BaselinePrediction:
    if data.features is None:
        raise ValueError("occupancy_linear needs a data set with occupancies as features")
    return feature_ridge(data.features.astype(float), data.activity, train, validation)


def _kmer_ridge(
    data: SequenceDataset, train: IndexArray, validation: IndexArray
) -> BaselinePrediction:
    return kmer_ridge(data.codes, data.activity, train, validation, oriented=data.oriented)


def _memoriser(
    data: SequenceDataset, train: IndexArray, validation: IndexArray
) -> BaselinePrediction:
    return memoriser(data.codes, data.activity, train, validation, oriented=data.oriented)


_MAKERS: Mapping[str, Maker] = {
    "mean": lambda data, train, _: training_mean(data.activity, train),
    "gc_ridge": lambda data, *parts: gc_ridge(data.codes, data.activity, *parts),
    "kmer_ridge": _kmer_ridge,
    "memoriser": _memoriser,
    "occupancy_linear": _occupancy_linear,
}


def baseline_unit(config: Mapping[str, Any], data: SequenceDataset, split: Split) -> Result:
    """Arrays ``<baseline>.mean`` and ``<baseline>.std``, (n,) each, for each of ``names``."""
    arrays: dict[str, FloatArray] = {}
    for name in config["names"]:
        made = _MAKERS[name](data, split["train"], split["validation"])
        arrays |= {f"{name}.mean": made.mean, f"{name}.std": made.std}
    return Result(arrays)


def baselines(data: SequenceDataset, split: Split, names: tuple[str, ...] = BASELINES) -> Unit:
    """The unit that fits baselines on a split."""
    return Unit(baseline_unit, {"names": list(names)}, {"data": data, "split": split})


def baseline_forecast(result: Result, name: str) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of one baseline, (n,) each."""
    return result.arrays[f"{name}.mean"], result.arrays[f"{name}.std"]

"""The baselines of every real experiment as one stored unit.

In: a data set and a split. Out: a forecast of every row by each of :data:`BASELINES`. Apart from
:mod:`lib.experiments.fits` so that a change here leaves fitted networks valid.
"""

from collections.abc import Mapping
from typing import Any

from lib.baselines import BaselinePrediction, gc_ridge, kmer_ridge, memoriser, training_mean
from lib.datasets import FloatArray, SequenceDataset
from lib.splits import Split
from lib.units import Result, Unit

BASELINES = ("mean", "gc_ridge", "kmer_ridge", "memoriser")


def baseline_unit(_: Mapping[str, Any], data: SequenceDataset, split: Split) -> Result:
    """Arrays ``<baseline>.mean`` and ``<baseline>.std``, (n,) each."""
    parts = (split["train"], split["validation"])
    made: dict[str, BaselinePrediction] = {
        "mean": training_mean(data.activity, split["train"]),
        "gc_ridge": gc_ridge(data.codes, data.activity, *parts),
        "kmer_ridge": kmer_ridge(data.codes, data.activity, *parts, oriented=data.oriented),
        "memoriser": memoriser(data.codes, data.activity, *parts, oriented=data.oriented),
    }
    return Result(
        {
            f"{name}.{kind}": getattr(made[name], kind)
            for name in BASELINES
            for kind in ("mean", "std")
        }
    )


def baselines(data: SequenceDataset, split: Split) -> Unit:
    """The unit that fits all baselines on a split."""
    return Unit(baseline_unit, {}, {"data": data, "split": split})


def baseline_forecast(result: Result, name: str) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of one baseline, (n,) each."""
    return result.arrays[f"{name}.mean"], result.arrays[f"{name}.std"]

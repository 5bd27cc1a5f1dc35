"""Other networks, and other sources of uncertainty, on the splits of the GC experiment.

In: the fits of the group arm. Out: forecasts with the keys of their rows: other architectures,
other β of the loss, passes with dropout, and one network distilled from the ensemble.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lib.data.dataset import SequenceDataset
from lib.data.splits import Split
from lib.experiments.fits import fitting, predicting
from lib.experiments.tuning import tuned
from lib.models import model_path
from lib.study.units import Result, Stored, Unit
from lib.training.config import FitConfig
from lib.training.distillation import distil
from lib.training.fitted import FittedModel, predict

DROPOUT_SEED = 0


class Variants(NamedTuple):
    """What stands beside the network of an arm.

    Attributes
    ----------
    models : tuple of str
        Other architectures, with the book's settings for them.
    betas : tuple of float
        Other β of the loss (:func:`lib.models.heads.beta_nll`).
    dropout_samples : int
        Passes with dropout of the first fit; 0 for none.
    distilled : bool
        A network that learns the ensemble's forecast.
    """

    models: tuple[str, ...] = ()
    betas: tuple[float, ...] = ()
    dropout_samples: int = 0
    distilled: bool = False


class Job(NamedTuple):
    """One fit of an arm and the keys of its rows."""

    arm: int
    keys: Mapping[str, Any]
    unit: Unit


def other_fits(
    wanted: Variants, base: FitConfig, data: SequenceDataset, split: Split, arm: int
) -> Iterator[Job]:
    """Fits of other architectures and losses on the split of a group arm, one each."""
    shared = base.model_dump(
        include={"epochs", "batch_size", "beta", "max_shift", "device", "seed"}
    )
    for model in wanted.models:
        config = tuned(model, reverse_complement=base.reverse_complement, **shared)
        yield Job(arm, {"model": model, "uncertainty": "single"}, fitting(config, data, split))
    for beta in wanted.betas:
        config = base.model_copy(update={"beta": beta})
        keys = {"model": base.model, "uncertainty": f"beta_{beta:g}"}
        yield Job(arm, keys, fitting(config, data, split))


def dropout_unit(
    config: Mapping[str, Any], model: Stored, data: SequenceDataset, split: Split
) -> Result:
    """Forecast with dropout at work; the rows of the training part are NaN."""
    fitted = FittedModel.from_arrays(model.result.arrays, model.result.meta)
    asked = np.setdiff1d(np.arange(len(data)), split["train"])
    mean, std = np.full((2, len(data)), np.nan)
    mean[asked], std[asked] = predict(
        fitted,
        data.codes[asked],
        mc_dropout_samples=config["samples"],
        seed=DROPOUT_SEED,
        device=config["device"],
    )
    return Result({"mean": mean, "std": std})


def distil_unit(
    config: Mapping[str, Any], data: SequenceDataset, split: Split, **teachers: Stored
) -> Result:
    """Fit one network to the forecasts of others on the training part and mutated copies of it."""
    held = split["validation"]
    student = distil(
        [
            FittedModel.from_arrays(stored.result.arrays, stored.result.meta)
            for _, stored in sorted(teachers.items())
        ],
        data.codes[split["train"]],
        config=FitConfig(**config),
        validation=(data.codes[held], data.activity[held]),
    )
    return Result(*student.to_arrays())


def dropout_job(wanted: Variants, arm: int, fit: Unit, result: Result, base: FitConfig) -> Job:
    """Passes with dropout of one finished fit."""
    config = {"samples": wanted.dropout_samples, "device": base.device}
    unit = Unit(dropout_unit, config, {"model": Stored(result, fit.key), **fit.data}, fit.modules)
    return Job(arm, {"model": base.model, "uncertainty": "mc_dropout"}, unit)


def distil_job(arm: int, fits: Sequence[tuple[Unit, Result]], base: FitConfig) -> Job:
    """A student of the finished fits of one split."""
    data = dict(fits[0][0].data) | {
        f"teacher_{index}": Stored(result, fit.key) for index, (fit, result) in enumerate(fits)
    }
    unit = Unit(distil_unit, base.model_dump(mode="json"), data, (model_path(base.model)[0],))
    return Job(arm, {"model": base.model, "uncertainty": "distilled"}, unit)


def predicting_student(job: Job, result: Result) -> Unit:
    """The unit that forecasts with a finished student."""
    data = {name: job.unit.data[name] for name in ("data", "split")}
    return predicting(replace(job.unit, data=data), result)

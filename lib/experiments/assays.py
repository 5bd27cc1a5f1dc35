"""The protocol of experiments on measured assays: fit arms fold by fold, forecast, score parts.

In: assays and a :class:`Design`. Out: :class:`FittedArm`, an arm (:mod:`lib.experiments.arms`) with
stored fits and their forecasts, and forecasts of parts that :mod:`lib.experiments.scoring` scores.
A forecast of an arm is ``(2, splits, n)``: mean and std by each split's network, NaN on what that
has seen; of these :meth:`~lib.experiments.arms.AssayArm.stitched` takes the split that tests a row.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lib import assays as mpra
from lib.arrays import BoolArray, FloatArray, IndexArray
from lib.data.dataset import SequenceDataset
from lib.data.folds import FOLDS
from lib.data.predictions import of_elements
from lib.data.splits import Split
from lib.experiments.arms import AssayArm, AssayPart, build_arms
from lib.experiments.scoring import NETWORKS, Scored
from lib.models import MODELS, model_path
from lib.models.baselines import constant_sigma
from lib.repair.recalibration import one_per_group, std_scaling
from lib.simulator import standin
from lib.study.config import ExperimentConfig, Numbers
from lib.study.units import Fit, Placement, Result, Store, Unit, run_fits, run_units
from lib.training import fit as units
from lib.training.config import FitConfig
from lib.training.fitted import EnsemblePrediction, combine

STANDIN: Final = "standin"
GC_DATA: Final = ("wtc11", "plant_leaf")


class AssayConfig(ExperimentConfig):
    """Assays by name, comma-separated, or ``standin``; see :func:`load_assays`.

    ``folds`` of grouped cross-validation, dealt by ``split_seed``; of each assay at most about
    ``elements``, in whole families.
    """

    dataset: str = "default"
    elements: int | None = Field(default=None, ge=300)
    folds: int = Field(default=FOLDS, ge=3, le=20)
    split_seed: int = Field(default=0, ge=0)
    standin_size: int = Field(default=6000, ge=200, le=1_000_000)


class GCShiftConfig(AssayConfig):
    """The network of an experiment on assays, and how far GC is shifted (:func:`build_arms`)."""

    model: str = "cnn"
    gc_quantile: float = Field(default=0.8, gt=0, lt=1)
    gc_tilts: Numbers = (0.5, 1.0, 1.5)


SUBSET: Final = {"folds": 3, "elements": 1200, "draws": 100}  # of the quick profile


def some_groups(group: IndexArray, most: int) -> BoolArray:
    """Elements of whole leak groups at random, at most about ``most`` in all, (n,).

    Of groups that are no more than a hundredth of that: none dominates a part.
    """
    labels, sizes = np.unique(group, return_counts=True)
    order = np.random.default_rng(0).permutation(np.flatnonzero(sizes * 100 <= most))
    return np.isin(group, labels[order[np.cumsum(sizes[order]) <= most]])


def load_assays(
    dataset: str, standin_size: int, default: Sequence[str], elements: int | None
) -> list[SequenceDataset]:
    """Assays by name, comma-separated; ``standin`` is a simulated one, others may be cut short.

    ``default`` takes the given names, or the stand-in where their files cannot be had; a name that
    is asked for and cannot be had is an error.
    """
    names: Sequence[str] = [name.strip() for name in dataset.split(",")]
    if names == ["default"]:
        names = default if all(map(mpra.available, default)) else (STANDIN,)
    for name in {*names} - {STANDIN, *mpra.names()}:  # said before the others are read
        mpra.load(name)
    found = []
    for name in names:
        data = standin(n=standin_size, seed=0) if name == STANDIN else mpra.load(name)
        if elements is not None and name != STANDIN:
            data = data.take(np.flatnonzero(some_groups(data.group, elements)))
        found.append(data)
    return found


@dataclass(frozen=True)
class Design:
    """Which arms are made (see :func:`build_arms`), and which networks are fitted on each.

    ``fit`` holds for every network but for its seed and its strands; ``seeds`` are those of the
    group arm, the first of them stands on every other arm.
    """

    arms: tuple[str, ...]
    fit: FitConfig
    seeds: tuple[int, ...]
    folds: int = FOLDS
    split_seed: int = 0
    quantile: float = 0.8
    tilts: tuple[float, ...] = ()

    def build(self, data: Iterable[SequenceDataset]) -> list[AssayArm]:
        """Every arm of the assays, by assay."""
        given = self.folds, self.quantile, self.tilts, self.split_seed
        return [arm for assay in data for arm in build_arms(assay, self.arms, *given)]

    def settings(self, arm: AssayArm) -> list[FitConfig]:
        """Of the networks of an arm."""
        seeds = self.seeds if arm.main else self.seeds[:1]
        own = {"reverse_complement": arm.both_strands}
        return [self.fit.model_copy(update=own | {"seed": seed}) for seed in seeds]


def of_networks(config: ExperimentConfig, model: str = "cnn") -> dict[str, Any]:
    """Settings that fits of a run share: where, how exact, and how wide a network of ours is."""
    options = {"channels": config.channels} if config.channels and model in MODELS else {}
    return {"device": config.device, "precision": config.precision, "model_options": options}


def fitting(config: FitConfig, data: SequenceDataset, split: Split) -> Unit:
    """The unit that fits ``config``; of all networks the one it names counts by its source.

    In float32 unless told otherwise: other rounding acts like another seed.
    """
    given, modules = {"data": data, "split": split}, (model_path(config.model)[0],)
    wanted = "float32" if config.precision == "auto" else config.precision
    settings = config.model_copy(update={"precision": wanted}).model_dump(mode="json")
    return Unit(units.fit_unit, settings, given, modules)


def forecasting(fit: Fit, dropout: int = 0) -> Unit:
    """The unit that forecasts what a fit has not seen, by so many passes with dropout if any."""
    unit = fit.unit
    given = {"model": fit.model, **unit.data}
    if dropout:
        config = {"samples": dropout, "device": unit.config["device"]}
        return Unit(units.dropout_unit, config, given, unit.modules)
    return Unit(units.predict_unit, {}, given, unit.modules)


def together(members: Sequence[FloatArray]) -> EnsemblePrediction:
    """Forecasts ``(2, splits, n)`` as one; NaN on rows that a member has seen."""
    means, stds = np.stack(members, axis=1)  # (m, splits, n)
    unseen = np.isfinite(means).all(axis=0)
    found = np.full((4, *unseen.shape), np.nan)
    found[:, unseen] = combine(means[:, unseen], stds[:, unseen])
    return EnsemblePrediction(*found)


@dataclass(frozen=True, eq=False)
class FittedArm:
    """An arm with its networks, one per split for each seed, and their forecasts."""

    arm: AssayArm
    fits: tuple[tuple[Fit, ...], ...]
    members: tuple[FloatArray, ...]

    @property
    def uncertainty(self) -> str:
        """What the column of that name says of :attr:`forecast`."""
        return "ensemble" if len(self.members) > 1 else "single"

    @cached_property
    def forecast(self) -> EnsemblePrediction:
        """The members as one, (splits, n) each."""
        return together(self.members)


Forecaster = tuple[AssayArm, Callable[[Split], Unit]]  # an arm, and the unit of each split


def _by_split(results: Iterator[Result], arm: AssayArm) -> FloatArray:
    """The next results, one per split of an arm, as one forecast ``(2, splits, n)``."""
    own = [next(results).arrays for _ in arm.splits]
    return np.stack([[arrays[name] for arrays in own] for name in ("mean", "std")])


def run_arms(
    asked: Sequence[Forecaster], store: Store, where: Placement, label: str
) -> list[FloatArray]:
    """Of each arm the forecast that a unit makes of each of its splits."""
    made = [unit(split) for arm, unit in asked for split in arm.splits]
    results = iter(run_units(made, store, where, label))
    return [_by_split(results, arm) for arm, _ in asked]


def fit_arms(
    arms: Sequence[AssayArm],
    settings: Callable[[AssayArm], Sequence[FitConfig]],
    store: Store,
    where: Placement,
) -> list[FittedArm]:
    """Every arm with its networks and forecasts.

    A large family is left out once, with the first seed: that fit stands for all seeds.
    """
    asked = [(arm, config) for arm in arms for config in settings(arm)]

    def unit(arm: AssayArm, config: FitConfig, split: Split) -> Unit:
        first = {"seed": settings(arm)[0].seed} if split.name == "family" else {}
        return fitting(config.model_copy(update=first), arm.data, split)

    units = [unit(*each, split) for each in asked for split in each[0].splits]
    fits = run_fits(units, store, where)
    results = iter(run_units([forecasting(fit) for fit in fits], store, where, "forecasts"))
    left = iter(fits)
    made: dict[AssayArm, tuple[list[tuple[Fit, ...]], list[FloatArray]]] = {}
    for arm, _ in asked:
        own, members = made.setdefault(arm, ([], []))
        own.append(tuple(next(left) for _ in arm.splits))
        members.append(_by_split(results, arm))
    return [FittedArm(arm, tuple(own), tuple(known)) for arm, (own, known) in made.items()]


def calibration_rows(arm: AssayArm, split: Split) -> IndexArray:
    """Calibration rows, one per group: relatives are not independent evidence of the scale."""
    held = split["calibration"]
    return held[one_per_group(arm.data.group[held], np.random.default_rng(split.seed))]


def scaled(arm: AssayArm, forecast: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The forecast with its std scaled, and with a constant one, by each calibration part."""
    target, by_scale, constant = arm.data.activity, forecast.copy(), forecast.copy()
    for place, split in enumerate(arm.splits):
        mean, std = forecast[:, place]
        drawn = calibration_rows(arm, split)
        by_scale[1, place] *= std_scaling(mean[drawn], std[drawn], target[drawn]).scale
        constant[1, place] = constant_sigma(mean, target, split["calibration"]).std
    return by_scale, constant


def scored(
    arm: AssayArm,
    part: AssayPart,
    forecast: FloatArray,
    by: Mapping[str, NDArray[Any]] | None = None,
    members: int | None = None,
    **keys: Hashable,
) -> Scored:
    """A forecast of an arm on one of its parts; ``by`` labels all rows of the data.

    ``members`` is the number of networks it averages; by default one where its model is a network.
    """
    data, rows = arm.data, part.rows
    table = of_elements(data, *arm.stitched(forecast), truth=True).iloc[rows]
    known = np.concatenate([data.activity[split["train"]] for split in arm.splits])
    labels = {name: labels[rows] for name, labels in (by or {}).items()}
    plan = arm.plan.take(rows) if part.sampled else None
    own = {"data": data.name, **part.keys, "seed": None}
    members = int(keys.get("model") in NETWORKS) if members is None else members
    return Scored(own | keys, table, plan, (known.mean(), known.std()), labels, members)

"""The protocol of experiments on measured assays: fit these arms, forecast, score these parts.

In: assays and a :class:`Design`. Out: :class:`AssayArm`, a split with the parts on which its
networks are judged; :class:`FittedArm`, the same with stored fits and their forecasts; and
forecasts of single parts, which :mod:`lib.experiments.scoring` scores.

A part's ``split`` is ``test`` for the in-distribution part of whole groups at random, ``inside``
for that of a hold-out arm, ``shifted`` for what was held out, and ``matched`` for the same kind of
elements judged by a network that was trained on all kinds, on as many elements.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from lib import assays as mpra
from lib.arrays import FloatArray, IndexArray
from lib.data import splits
from lib.data.dataset import SequenceDataset
from lib.data.predictions import of_elements
from lib.data.splits import Split
from lib.experiments.scoring import Scored
from lib.models import model_path
from lib.models.baselines import constant_sigma
from lib.repair.recalibration import one_per_group, std_scaling
from lib.simulator import standin
from lib.study.config import ExperimentConfig, Numbers, Seeds
from lib.study.units import Fit, Placement, Result, Store, Stored, Unit, run_fits, run_units
from lib.training import fit as units
from lib.training.config import FitConfig
from lib.training.fit import Forecast
from lib.training.fitted import EnsemblePrediction, combine

STANDIN: Final = "standin"
GC_DATA: Final = ("wtc11", "plant_leaf")
ARMS: Final = ("group", "tilt", "tail", "placebo", "species", "leaky", "strand")
SPECIES_COLUMN: Final = "sp"
BASELINES: Final = ("mean", "gc_ridge", "kmer_ridge", "memoriser")
REPEATED: Final = {"split_seeds": (0, 1, 2, 3, 4), "seeds": (0, 1, 2, 3, 4)}


class AssayConfig(ExperimentConfig):
    """Assays by name, comma-separated, or ``standin``; see :func:`load_assays`."""

    dataset: str = "default"
    split_seeds: Seeds = (0,)
    standin_size: int = Field(default=6000, ge=200, le=1_000_000)


class GCShiftConfig(AssayConfig):
    """The network of an experiment on assays, and how far GC is shifted (:func:`build_arms`)."""

    model: str = "cnn"
    gc_quantile: float = Field(default=0.8, gt=0, lt=1)
    gc_tilts: Numbers = (0.5, 1.0, 1.5)


def load_assays(
    dataset: str, standin_size: int, default: Sequence[str] = GC_DATA
) -> list[SequenceDataset]:
    """Assays by name, comma-separated; ``standin`` is a simulated one.

    ``default`` takes the given names, or the stand-in where their files cannot be had; a name that
    is asked for and cannot be had is an error.
    """
    names: Sequence[str] = [name.strip() for name in dataset.split(",")]
    if names == ["default"]:
        names = default if all(map(mpra.available, default)) else (STANDIN,)
    return [
        standin(n=standin_size, seed=0) if name == STANDIN else mpra.load(name) for name in names
    ]


class AssayPart(NamedTuple):
    """Rows on which an arm is judged, with what its result rows say of them."""

    split: str
    shift: str  # empty in distribution
    condition: str
    rows: IndexArray
    severity: float = 0.0  # the measured shift of the mean GC, in standard deviations

    @property
    def keys(self) -> dict[str, Hashable]:
        """Columns of its rows."""
        family = "covariate" if self.shift else ""
        named = {"split": self.split, "shift": self.shift, "family": family}
        return named | {"severity": round(self.severity, 4), "condition": self.condition}


@dataclass(frozen=True, eq=False)
class AssayArm:
    """One split of an assay and where its networks are judged; ``kind`` is of :data:`ARMS`."""

    data: SequenceDataset
    split: Split
    parts: tuple[AssayPart, ...]
    kind: str

    @property
    def main(self) -> bool:
        """Whether it is the group arm, which gets the full ensemble."""
        return self.kind == "group"

    @property
    def both_strands(self) -> bool:
        """Whether its networks train on and average over both strands."""
        return not self.data.oriented and self.kind != "strand"

    @property
    def calibration(self) -> IndexArray:
        """Calibration rows, one per group: relatives are not independent evidence of the scale."""
        held = self.split["calibration"]
        return held[one_per_group(self.data.group[held], np.random.default_rng(self.split.seed))]


def _held_out(
    data: SequenceDataset, held: Split, shift: str, condition: str, mixed: Split, chosen: IndexArray
) -> tuple[AssayPart, AssayPart, AssayPart]:
    """Inside, shifted and matched parts; ``chosen`` are all rows of the held-out kind."""
    gc, train = data.gc, held["train"]
    severity = float((gc[held["shifted"]].mean() - gc[train].mean()) / gc[train].std())
    unseen = np.concatenate([mixed["test"], mixed["shifted"]])
    return (
        AssayPart("inside", shift, condition, held["test"]),
        AssayPart("shifted", shift, condition, held["shifted"], severity),
        AssayPart("matched", shift, condition, np.intersect1d(unseen, chosen), severity),
    )


def _tail_arms(
    data: SequenceDataset, quantile: float, seed: int, tails: Sequence[str]
) -> Iterator[AssayArm]:
    """Both tails held out, and random groups held out in their place, which are matched."""
    placebo = splits.placebo_split(data.group, 1 - quantile, seed)
    chosen = placebo["shifted"]
    *parts, _ = _held_out(data, placebo, "placebo", "random groups", placebo, chosen)
    by_group = splits.group_mean(data.gc, data.group)
    for tail in tails:
        split = splits.gc_tail_split(data.gc, data.group, quantile, tail, seed)
        gc = by_group[split["shifted"]]
        edge = f"GC ≥ {gc.min():.3f}" if tail == "high" else f"GC ≤ {gc.max():.3f}"
        *own, matched = _held_out(data, split, f"gc_{tail}", edge, placebo, split["shifted"])
        parts.append(matched)
        yield AssayArm(data, split, tuple(own), "tail")
    yield AssayArm(data, placebo, tuple(parts), "placebo")


def _species_arms(data: SequenceDataset, seed: int) -> Iterator[AssayArm]:
    labels = data.metadata[SPECIES_COLUMN].to_numpy(str)
    for species in sorted(set(labels)):
        held = splits.leave_one_out_split(labels, species, data.group, seed)
        share = 1 - sum(len(held[part]) for part in held.parts if part != "shifted") / len(data)
        mixed = splits.placebo_split(data.group, share, seed)
        mixed = Split(f"placebo_{species}", seed, mixed.parts)
        chosen = np.flatnonzero(labels == species)
        *own, matched = _held_out(data, held, "species", species, mixed, chosen)
        yield AssayArm(data, held, tuple(own), "species")
        yield AssayArm(data, mixed, (matched,), "placebo")


def build_arms(
    data: SequenceDataset,
    wanted: Sequence[str],
    quantile: float,
    tilts: Sequence[float],
    seed: int,
) -> list[AssayArm]:
    """The wanted arms (out of :data:`ARMS`) that an assay allows, of one split seed.

    ``tilt`` resamples the test part of ``group`` by ``tilts``, in its standard deviations of GC,
    and costs no fit; ``tail`` keeps a share ``quantile`` inside and brings ``placebo`` with it.
    """
    arms, split = [], splits.group_split(data.group, seed)
    test = split["test"]
    if {"group", "tilt"} & set(wanted):
        parts = [AssayPart("test", "", "", test)]
        for tilt in tilts if "tilt" in wanted else ():
            rng = np.random.default_rng([seed, round(1000 * abs(tilt)), int(tilt < 0)])
            rows, moved = splits.gc_tilt(data.gc[test], data.group[test], tilt, rng)
            parts.append(AssayPart("shifted", "gc_tilt", f"{tilt:+g} SD", test[rows], moved))
        arms.append(AssayArm(data, split, tuple(parts), "group"))
    if {"tail", "placebo"} & set(wanted):
        arms += _tail_arms(data, quantile, seed, ("high", "low") if "tail" in wanted else ())
    if "species" in wanted and SPECIES_COLUMN in data.metadata:
        arms += _species_arms(data, seed)
    if "leaky" in wanted:
        leaky = splits.random_leaky_split(len(data), seed)
        part = AssayPart("random_leaky", "", "", leaky["test"])
        arms.append(AssayArm(data, leaky, (part,), "leaky"))
    if "strand" in wanted and not data.oriented:
        arms.append(AssayArm(data, split, (AssayPart("test", "", "one strand", test),), "strand"))
    return arms


@dataclass(frozen=True)
class Design:
    """Which splits are made (see :func:`build_arms`), and which networks are fitted on each.

    ``fit`` holds for every network but for its seed and its strands; ``seeds`` are those of the
    group arm, the first of them stands on every other arm.
    """

    arms: tuple[str, ...]
    split_seeds: tuple[int, ...]
    fit: FitConfig
    seeds: tuple[int, ...]
    quantile: float = 0.8
    tilts: tuple[float, ...] = ()

    def build(self, data: Iterable[SequenceDataset]) -> list[AssayArm]:
        """Every arm of the assays, by assay, then by split seed."""
        return [
            arm
            for assay in data
            for seed in self.split_seeds
            for arm in build_arms(assay, self.arms, self.quantile, self.tilts, seed)
        ]

    def settings(self, arm: AssayArm) -> list[FitConfig]:
        """Of the networks of an arm."""
        seeds = self.seeds if arm.main else self.seeds[:1]
        own = {"reverse_complement": arm.both_strands}
        return [self.fit.model_copy(update=own | {"seed": seed}) for seed in seeds]


def fitting(config: FitConfig, data: SequenceDataset, split: Split) -> Unit:
    """The unit that fits ``config``; of all networks the one it names counts by its source."""
    given, modules = {"data": data, "split": split}, (model_path(config.model)[0],)
    return Unit(units.fit_unit, config.model_dump(mode="json"), given, modules)


def forecasting(fit: Fit, dropout: int = 0) -> Unit:
    """The unit that forecasts what a fit has not seen, by so many passes with dropout if any."""
    unit = fit.unit
    given = {"model": Stored(fit.model, unit.key), **unit.data}
    if dropout:
        config = {"samples": dropout, "device": unit.config["device"]}
        return Unit(units.dropout_unit, config, given, unit.modules)
    return Unit(units.predict_unit, {}, given, unit.modules)


def forecasts(asked: Iterable[Unit], store: Store, where: Placement) -> list[Forecast]:
    """What forecasting units give: mean and standard deviation, NaN on rows seen in training."""
    results = run_units([*asked], store, where, "forecasts")
    return [(result.arrays["mean"], result.arrays["std"]) for result in results]


def baselines(data: SequenceDataset, split: Split) -> Unit:
    """The unit that fits :data:`BASELINES` on a split."""
    return Unit(units.baseline_unit, {}, {"data": data, "split": split})


def baseline_forecast(result: Result, name: str) -> Forecast:
    """Mean and standard deviation of one baseline, (n,) each."""
    return result.arrays[f"{name}.mean"], result.arrays[f"{name}.std"]


def together(members: Sequence[Forecast]) -> EnsemblePrediction:
    """Forecasts of the same rows as one; NaN on rows that a member has seen."""
    means, stds = (np.stack(values) for values in zip(*members, strict=True))
    unseen = np.isfinite(means).all(axis=0)
    found = np.full((4, means.shape[1]), np.nan)
    found[:, unseen] = combine(means[:, unseen], stds[:, unseen])
    return EnsemblePrediction(*found)


@dataclass(frozen=True, eq=False)
class FittedArm:
    """An arm with its networks, and each one's forecast of all rows of the arm's data."""

    arm: AssayArm
    fits: tuple[Fit, ...]
    members: tuple[Forecast, ...]

    @property
    def uncertainty(self) -> str:
        """What the column of that name says of :attr:`forecast`."""
        return "ensemble" if len(self.members) > 1 else "single"

    @cached_property
    def forecast(self) -> EnsemblePrediction:
        """The members as one."""
        return together(self.members)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The same as a table of forecasts; an ensemble's tells the two parts of its std."""
        own, more = self.forecast, {}
        if len(self.members) > 1:
            more = {"std_aleatoric": own.std_aleatoric, "std_epistemic": own.std_epistemic}
        return of_elements(self.arm.data, own.mean, own.std).assign(**more)


def fit_each(
    asked: Sequence[tuple[AssayArm, FitConfig]], store: Store, where: Placement, label: str = "fits"
) -> tuple[list[Fit], list[Forecast], dict[str, int]]:
    """Networks of arms and their forecasts, and how many fits there are and were computed."""
    fits = [fitting(settings, arm.data, arm.split) for arm, settings in asked]
    found, counts = run_fits(fits, store, where, label)
    return found, forecasts(map(forecasting, found), store, where), counts


def fit_arms(
    arms: Sequence[AssayArm], design: Design, store: Store, where: Placement
) -> tuple[list[FittedArm], dict[str, int]]:
    """Every arm with its networks and forecasts, and how many fits there are and were computed."""
    asked = [(arm, settings) for arm in arms for settings in design.settings(arm)]
    fits, members, counts = fit_each(asked, store, where)
    made: dict[AssayArm, tuple[list[Fit], list[Forecast]]] = {arm: ([], []) for arm in arms}
    for (arm, _), fit, member in zip(asked, fits, members, strict=True):
        made[arm][0].append(fit)
        made[arm][1].append(member)
    return [FittedArm(arm, tuple(own), tuple(known)) for arm, (own, known) in made.items()], counts


def scales(arm: AssayArm, mean: FloatArray, std: FloatArray) -> tuple[float, float]:
    """Factor on the standard deviation, and a constant one, both from the calibration part."""
    drawn, target = arm.calibration, arm.data.activity
    constant = constant_sigma(mean, target, arm.split["calibration"]).std[0]
    return std_scaling(mean[drawn], std[drawn], target[drawn]).scale, float(constant)


def scored(
    arm: AssayArm,
    part: AssayPart,
    mean: FloatArray,
    std: FloatArray,
    by: Mapping[str, NDArray[Any]] | None = None,
    **keys: Hashable,
) -> Scored:
    """A forecast of an arm's data on one of its parts; ``by`` labels all rows of the data."""
    data, known = arm.data, arm.data.activity[arm.split["train"]]
    own = {"data": data.name, "split_seed": arm.split.seed, **part.keys, "seed": None}
    table = of_elements(data, mean, std, truth=True).iloc[part.rows]
    labels = {name: labels[part.rows] for name, labels in (by or {}).items()}
    return Scored(own | keys, table, len(known), (known.mean(), known.std()), labels)

"""The protocol of experiments in simulated worlds: what is trained, where and how it is judged.

In: :class:`Arm`, a network of a world, and :class:`Condition`, a shift at a severity. Out: units
that fit arms, and :func:`judging`, the one unit that judges a fit: it takes measures, module-level
functions ``(judge, condition) -> {table name: DataFrame}``, and returns their tables, a row naming
its condition. One test seed serves all conditions of a world, so that concept and technical shifts
leave the sequences as they are and differences are paired element by element.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field

from lib.data.dataset import SequenceDataset
from lib.data.splits import Split
from lib.experiments.assays import fitting, of_networks
from lib.models import MODELS
from lib.simulator import SHIFTS, Shift, World, draw_world, simulate
from lib.simulator.severity import severity_for
from lib.study.config import ExperimentConfig, Names, Numbers, known
from lib.study.units import Fit, Placement, Result, Store, Unit, run_fits, run_units
from lib.training.config import FitConfig, enough_epochs, tuned
from lib.training.fit import Forecast, network_of
from lib.training.fitted import FittedModel, predict

MAIN_MODEL: Final = "cnn"  # that claims speak of
TRAIN_SEED, TEST_SEED = 1, 2


@dataclass(frozen=True)
class Condition:
    """A shift, as of :class:`lib.simulator.Shift`, at a severity; in distribution without one.

    ``distance`` above 0 is the measured d that a concept shift reaches, its dial found per world;
    ``part`` says of what, see :class:`lib.simulator.severity.Distance`.
    """

    shift: str = ""
    severity: float = 0.0
    option: str = ""
    distance: float = 0.0
    part: str = "total"

    @property
    def family(self) -> str:
        """``covariate``, ``concept``, ``technical``, or empty in distribution."""
        return SHIFTS[self.shift].family if self.shift else ""

    @property
    def name(self) -> str:
        """The option, or the distance aimed at."""
        part = "" if self.part == "total" else f" {self.part}"
        return f"d={self.distance:g}{part}" if self.distance else self.option

    @property
    def cell(self) -> str:
        """The condition in one word, such as ``gc 0.5`` or ``effect_rewiring d=0.5``."""
        side = " low" if self.option == "low" else ""
        at = self.name if self.distance else f"{self.severity:g}"
        return f"{self.shift}{side} {at}" if self.shift else ""

    @property
    def dose(self) -> float:
        """The distance aimed at, or where the shift's dial stands, in its own unit."""
        if self.distance or not self.shift:
            return self.distance
        return round(Shift(self.shift, self.severity).quantity, 6)

    @property
    def sequences(self) -> "Condition":
        """The condition that its sequences are those of."""
        return self if self.family == "covariate" and self.severity > 0 else Condition()

    def shifts(self, world: World) -> tuple[Shift, ...]:
        return (Shift(self.shift, self.dial(world), self.option),) if self.shift else ()

    def dial(self, world: World) -> float:
        at = self.shift, self.distance, self.option, self.part
        return severity_for(world, *at) if self.distance else self.severity


REWIRING = Condition("effect_rewiring", distance=0.5)  # at which claims on rewiring are judged
NOISY = Condition("noise", 1.0)


def conditions(
    shifts: Sequence[str],
    severities: Sequence[float],
    gc_options: Sequence[str] = ("",),
    fixed: Sequence[Condition] = (),
) -> list[Condition]:
    """In distribution, shifts at every severity, the GC shift in each option, and fixed ones.

    Of the ``fixed`` those whose shift is among ``shifts``; each condition stands once.
    """
    found = [Condition()]
    for name in shifts:
        options = gc_options if name == "gc" else ("",)
        found += [Condition(name, at, option) for option in options for at in severities]
    return list(dict.fromkeys([*found, *(at for at in fixed if at.shift in shifts)]))


@dataclass(frozen=True)
class Arm:
    """A network with the law and the size of its training sample."""

    world_seed: int
    model: str
    size: int
    law: Condition = Condition()
    prior: str = "none"  # what it knows beforehand, see lib.experiments.priors
    misspecified: bool = False  # whether a DNA-shape term acts that no motif explains

    @property
    def world(self) -> World:
        return world_of(self.world_seed, self.misspecified)

    def keys(self, condition: Condition) -> dict[str, Any]:
        """Columns that name its rows; ``split`` is ``matched`` under the law it was trained on."""
        split = "matched" if condition == self.law else "shifted"
        return {
            "data": "simulation_misspecified" if self.misspecified else "simulation",
            "split": "test" if condition == Condition() else split,
            "shift": condition.shift,
            "family": condition.family,
            "severity": condition.severity,
            "condition": condition.name,
            "cell": condition.cell,
            "dial": condition.dial(self.world),
            "model": self.model,
            "prior": self.prior,
            "n_train": self.size,
            "replicate": self.world_seed,
        }


class Sizes(NamedTuple):
    """Elements per part of a training sample, and of a test sample."""

    train: int
    validation: int
    calibration: int
    test: int


def between(start: float, top: float) -> AfterValidator:
    """Doses above ``start``, which is always run, and at most ``top``, in order."""

    def check(doses: tuple[float, ...]) -> tuple[float, ...]:
        for dose in doses:
            if not start < dose <= top:
                raise ValueError(f"{dose:g} is not in ({start:g}, {top:g}]; its start always runs")
        return tuple(sorted(set(doses)))

    return AfterValidator(check)


ShiftNames = Annotated[Names, known("shift", SHIFTS)]
ModelNames = Annotated[Names, known("model", MODELS)]
Dials = Annotated[Numbers, between(0, 1)]


class WorldConfig(ExperimentConfig):
    """Elements per part of a world."""

    n_train: int = Field(default=30_000, ge=100, le=10_000_000)
    n_validation: int = Field(default=1_000, ge=50, le=1_000_000)
    n_calibration: int = Field(default=3_000, ge=50, le=1_000_000)
    n_test: int = Field(default=5_000, ge=200, le=1_000_000)
    epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)

    @property
    def parts(self) -> Sizes:
        return Sizes(self.n_train, self.n_validation, self.n_calibration, self.n_test)


# Elements and epochs of the small profiles.
SMOKE: Final = {
    **{"n_train": 600, "n_validation": 200, "n_calibration": 200, "n_test": 600},
    **{"world_seeds": (0, 1), "epochs": 1, "draws": 100},
}
QUICK: Final = {
    **{"n_train": 1000, "n_validation": 400, "n_calibration": 400, "n_test": 1000},
    **{"world_seeds": (0, 1), "epochs": 6, "draws": 100},
}


@lru_cache(maxsize=4)
def world_of(seed: int, misspecified: bool = False) -> World:
    """The world of a seed; drawing one takes a while, so the last few are kept."""
    return draw_world(seed, misspecified=misspecified)


@lru_cache(maxsize=4)
def _training_sample(seed: int, misspecified: bool, law: Condition, n: int) -> SequenceDataset:
    world = world_of(seed, misspecified)
    return simulate(world, n, TRAIN_SEED, shift=law.shifts(world))


def training_data(arm: Arm, sizes: Sizes) -> tuple[SequenceDataset, Split]:
    """Sample of the arm's training law, cut into train, validation and calibration.

    A smaller arm trains on the first elements of the same sample and shares the other parts.
    """
    counts = sizes[:3]
    data = _training_sample(arm.world_seed, arm.misspecified, arm.law, sum(counts))
    train, validation, calibration = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    parts = {"train": train[: arm.size], "validation": validation, "calibration": calibration}
    return data, Split("simulated", arm.world_seed, parts)


# As many as the conditions that one network with a prior is judged under.
@lru_cache(maxsize=48)
def test_data(
    world_seed: int, condition: Condition, n: int, misspecified: bool = False
) -> SequenceDataset:
    """Test sample of a world under a condition."""
    world = world_of(world_seed, misspecified)
    return simulate(world, n, TEST_SEED, shift=condition.shifts(world))


def fit_arm(arm: Arm, config: Any) -> Unit:
    """The unit that fits an arm: ``config`` is that of an experiment in worlds."""
    epochs = enough_epochs(config.epochs, arm.size, config.parts.train)
    own = {"epochs": epochs, "seed": arm.world_seed}
    settings = tuned(arm.model, **own, **of_networks(config, arm.model))
    return fitting(settings, *training_data(arm, config.parts))


class Judge:
    """What a measure is given: fitted networks by name in their world, as :func:`judging` was."""

    def __init__(self, config: Mapping[str, Any], stored: Mapping[str, Result]) -> None:
        arm = config["arm"]
        self.arm = Arm(**arm | {"law": Condition(**arm["law"])})
        self.sizes = Sizes(**config["sizes"])
        self.settings: dict[str, Any] = config["settings"]
        self.stored = stored
        self._kept: dict[Hashable, Any] = {}

    def kept(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` gave when it was asked for by this key first."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def network(self, name: str = "model") -> FittedModel:
        """A fitted network by the name it was given under."""
        return self.kept(("network", name), lambda: network_of(self.stored[name]))

    @cached_property
    def training(self) -> tuple[SequenceDataset, Split]:
        return training_data(self.arm, self.sizes)

    def part(self, name: str) -> SequenceDataset:
        """``train``, ``validation`` or ``calibration``."""
        data, split = self.training
        return self.kept(("part", name), lambda: data.take(split[name]))

    @cached_property
    def climatology(self) -> tuple[float, float]:
        """Mean and standard deviation of the training targets."""
        known = self.part("train").activity
        return float(known.mean()), float(known.std())

    def test(self, condition: Condition) -> SequenceDataset:
        return test_data(self.arm.world_seed, condition, self.sizes.test, self.arm.misspecified)

    def forecast(self, data: SequenceDataset) -> Forecast:
        """The network's mean and standard deviation; equal sequences are forecast once."""
        key, model = ("forecast", data.codes.tobytes()), self.network()
        return self.kept(key, lambda: predict(model, data.codes, device=model.config.device))


Measure = Callable[[Judge, Condition], Mapping[str, pd.DataFrame]]


def judge_unit(config: Mapping[str, Any], **stored: Result) -> Result:
    """Tables of all measures under all conditions; their own columns go before :meth:`Arm.keys`."""
    judge = Judge(config, stored)
    measures = [getattr(import_module(module), name) for module, name in config["measures"]]
    found: dict[str, list[pd.DataFrame]] = {}
    for condition in (Condition(**fields) for fields in config["conditions"]):
        keys = judge.arm.keys(condition)
        for measure in measures:
            for name, table in measure(judge, condition).items():
                more = {key: value for key, value in keys.items() if key not in table}
                found.setdefault(name, []).append(table.assign(**more))
    return Result.of_tables({name: pd.concat(parts) for name, parts in found.items()})


def judging(
    arm: Arm,
    conditions: Sequence[Condition],
    sizes: Sizes,
    measures: Sequence[Measure],
    fits: Mapping[str, Fit] | None = None,
    **settings: Any,
) -> Unit:
    """The unit that judges finished fits of a world under every condition.

    Of ``fits`` the arm's own is ``model``; ``settings`` are plain values that measures need.
    """
    config = {
        "arm": asdict(arm),
        "conditions": [asdict(condition) for condition in conditions],
        "sizes": sizes._asdict(),
        "measures": [(measure.__module__, measure.__qualname__) for measure in measures],
        "settings": settings,
    }
    given = {name: result for name, (_, result) in (fits or {}).items()}
    modules = dict.fromkeys(measure.__module__ for measure in measures)
    modules |= dict.fromkeys(name for unit, _ in (fits or {}).values() for name in unit.modules)
    return Unit(judge_unit, config, given, tuple(modules))


def run_judging(units: Sequence[Unit], store: Store, where: Placement) -> dict[str, pd.DataFrame]:
    """The tables of judging units by name, those of all worlds together."""
    found: dict[str, list[pd.DataFrame]] = {}
    for result in run_units(units, store, where, "judged"):
        for name in result.meta["tables"]:
            found.setdefault(name, []).append(result.table(name))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def judge_arms(
    plan: Sequence[tuple[Arm, Sequence[Condition]]],
    measure: Measure,
    config: Any,
    store: Store,
    fit: Callable[[Arm, Any], Unit] = fit_arm,
    **settings: Any,
) -> dict[str, pd.DataFrame]:
    """Fit every arm and judge it under its conditions: tables by name."""
    fits = run_fits([fit(arm, config) for arm, _ in plan], store, config.where)
    given = zip(plan, ({"model": each} for each in fits), strict=True)
    jobs = [judging(*job, config.parts, [measure], own, **settings) for job, own in given]
    return run_judging(jobs, store, config.where)

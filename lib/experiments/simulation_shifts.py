"""What do graded shifts with known truth do to accuracy, calibration and coverage?

In: :class:`Config`. Out: :class:`Tables`. A world is the unit of replication: one network per world
and architecture, trained in distribution, is judged under every shift at every severity, beside the
oracle and the baselines. Some networks are trained on the shifted law instead (``matched``): they
say how much of an error is harder data rather than the shift.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from lib.experiments import sim_effects, sim_real, sim_tables
from lib.experiments.fits import fitting
from lib.experiments.sim_arms import Arm, Condition, training_data
from lib.experiments.sim_units import judging, judging_baselines, measuring
from lib.experiments.tuning import tuned
from lib.experiments.world_config import TestedWorldConfig
from lib.simulator import SHIFTS, dial_table
from lib.simulator.anchors import digest
from lib.study.config import Names, Numbers, Seeds, known_names
from lib.study.found import Tables
from lib.study.units import Result, Store, Unit, missing_units, run_units

MAIN_MODEL = "cnn"
# Arms of the gc shift beside the natural one.
GC_OPTIONS = ("", "low", "neutral")
GC_BLIND = "term_off"
REWIRING_DISTANCE = 0.5  # at which the claims on rewiring are judged
MILD = Condition("gc", 0.25)  # half an in-distribution s.d. of GC
NOISY = Condition("noise", 1.0)


class Config(TestedWorldConfig):
    """Parameters of notebook 01.

    Attributes
    ----------
    shifts : tuple of str
        Names of :data:`lib.simulator.SHIFTS`, or ``all``.
    severities : tuple of float
        Points of each shift's dial, above 0 and at most 1.
    models : tuple of str
        Names of :data:`lib.models.MODELS`.
    world_seeds : tuple of int
        Worlds of the CNN.
    other_worlds : int
        Of these, how many for each other architecture.
    matched : tuple of str
        Shifts whose law at severity 1 a CNN is trained on.
    matched_worlds : int
        Worlds of those, of the mild GC shift and of the world blind to GC.
    noise_worlds : int
        Worlds in which a CNN is trained at the noise share of severity 1.
    sizes : tuple of int
        Smaller training samples, for the learning curve.
    """

    experiment: ClassVar[str] = "simulation_shifts"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "models": (MAIN_MODEL,),
            "severities": (1.0,),
            "world_seeds": (0, 1),
            "other_worlds": 1,
            "matched": (),
            "matched_worlds": 1,
            "noise_worlds": 1,
            "n_train": 600,
            "n_validation": 200,
            "n_calibration": 200,
            "n_test": 600,
            "sizes": (300,),
            "epochs": 1,
            "draws": 100,
        },
        "quick": {
            "models": (MAIN_MODEL,),
            "severities": (0.5, 1.0),
            "world_seeds": (0, 1, 2),
            "other_worlds": 1,
            "matched": (),
            "matched_worlds": 1,
            "noise_worlds": 1,
            "n_train": 4000,
            "n_validation": 500,
            "n_calibration": 500,
            "n_test": 2000,
            "sizes": (1000,),
            "epochs": 5,
        },
        "full": {},
    }

    shifts: Names = ("all",)
    severities: Numbers = (0.25, 0.5, 0.75, 1.0)
    models: Names = ("cnn", "bilstm", "transformer")
    world_seeds: Seeds = tuple(range(10))
    other_worlds: int = Field(default=5, ge=1)
    matched: tuple[str, ...] = ("gc", "motif_density")
    matched_worlds: int = Field(default=3, ge=0)
    noise_worlds: int = Field(default=10, ge=0)
    sizes: tuple[int, ...] = (3_000, 10_000)

    @field_validator("matched")
    @classmethod
    def _known_matched(cls, matched: tuple[str, ...]) -> tuple[str, ...]:
        return known_names("shift", matched, tuple(SHIFTS)) if matched else ()


class Judged(NamedTuple):
    """An arm, the conditions it was judged under and the metrics found."""

    arm: Arm
    conditions: list[Condition]
    result: Result


def shifted_conditions(config: Config) -> list[Condition]:
    """Every shift at every severity, and rewiring at its fixed distance."""
    found = []
    for name in config.shifts:
        options = GC_OPTIONS if name == "gc" else ("",)
        found += [Condition(name, s, option) for option in options for s in config.severities]
    if "effect_rewiring" in config.shifts:
        found.append(Condition("effect_rewiring", distance=REWIRING_DISTANCE))
    if "gc" in config.shifts and MILD not in found:
        found.append(MILD)
    return found


def plan(config: Config) -> list[tuple[Arm, list[Condition]]]:
    """Every network to train, with the conditions it is judged under."""
    worlds = config.world_seeds
    shifted = shifted_conditions(config)
    everywhere = [Condition(), *shifted]
    # A small sample's network answers for what needs no other sequences than the ID test sample.
    still = [condition for condition in everywhere if not condition.moves_sequences]
    natural = [condition for condition in everywhere if not condition.option]
    arms = []
    for model in config.models:
        main = model == MAIN_MODEL
        arms += [
            (Arm(world, model, config.n_train), everywhere if main else natural)
            for world in (worlds if main else worlds[: config.other_worlds])
        ]
        if not main:  # on their learning curve only
            arms += [
                (Arm(world, model, n), [Condition()])
                for n in config.sizes
                for world in worlds[: config.other_worlds]
            ]
    if MAIN_MODEL not in config.models:
        return arms
    arms += [(Arm(world, MAIN_MODEL, n), still) for n in config.sizes for world in worlds]
    laws = [(Condition(name, 1.0), config.matched_worlds) for name in config.matched]
    if "gc" in config.shifts:
        laws.append((MILD, config.matched_worlds))
    if "noise" in config.shifts:
        laws.append((NOISY, config.noise_worlds))
    for law, count in laws:
        if law.shift in config.shifts:
            arms += [(Arm(w, MAIN_MODEL, config.n_train, law), [law]) for w in worlds[:count]]
    if "gc" in config.shifts:
        blind = [Condition("gc", s, GC_BLIND) for s in (0.0, *config.severities)]
        for world in worlds[: config.matched_worlds]:
            arms.append((Arm(world, MAIN_MODEL, config.n_train, blind[0]), blind))
    return arms


def _fit_all(config: Config, arms: list[Arm], store: Store) -> tuple[list[Unit], list[Result], int]:
    units = []
    for arm in arms:
        data, split = training_data(arm, config.parts)
        settings = tuned(arm.model, epochs=config.epochs, device=config.device, seed=arm.world_seed)
        units.append(fitting(settings, data, split))
    missing = missing_units(units, store)
    return units, run_units(units, store, config.where, "fits"), missing


def judge_all(config: Config, store: Store) -> tuple[list[Judged], list[Judged], dict[str, int]]:
    """Networks and baselines with their metrics, and how many fits there are and were computed."""
    arms = plan(config)
    units, fits, missing = _fit_all(config, [arm for arm, _ in arms], store)
    jobs = [
        judging(arm, conditions, config.parts, unit, result)
        for (arm, conditions), unit, result in zip(arms, units, fits, strict=True)
    ]
    plain = [c for c in [Condition(), *shifted_conditions(config)] if not c.option]
    simple = [(Arm(world, "baselines", config.n_train), plain) for world in config.world_seeds]
    jobs += [judging_baselines(arm, conditions, config.parts) for arm, conditions in simple]
    results = run_units(jobs, store, config.where, "judged")
    judged = [Judged(*job, found) for job, found in zip([*arms, *simple], results, strict=True)]
    counts = {"fits": len(units), "fits_computed": missing}
    return judged[: len(arms)], judged[len(arms) :], counts


def measure_all(config: Config, store: Store) -> pd.DataFrame:
    """Measured severity of every condition in every world."""
    conditions = shifted_conditions(config)
    if "gc" in config.shifts:
        conditions += [Condition("gc", s, GC_BLIND) for s in config.severities]
    units = [measuring(world, conditions) for world in config.world_seeds]
    found = run_units(units, store, config.where, "severities")
    return sim_tables.severities(
        config.world_seeds, conditions, np.stack([result.arrays["values"] for result in found])
    )


def run(config: Config, store: Store) -> Tables:
    """Fit, forecast, score.

    Parameters
    ----------
    config : Config
    store : Store
        Where finished units lie; a killed run resumes from it.

    Returns
    -------
    Tables
        With ``effects``, ``severities``, ``dials``, ``coverage_by``, ``fits`` and, of simulated
        beside real, ``realism``, ``histogram``, ``variance``, ``learning``.
    """
    networks, simple, counts = judge_all(config, store)
    measured = measure_all(config, store)
    values = sim_tables.long_values(networks, simple, config.n_test)
    rows = sim_tables.combined(values, measured, config.n_train, MAIN_MODEL)
    tables = {
        "effects": sim_effects.effects(values, config.n_train, config.draws),
        "severities": sim_tables.severity_means(measured),
        "dials": dial_table(),
        "coverage_by": sim_tables.coverage_by(networks, MAIN_MODEL, config.n_train),
        "fits": sim_effects.fits(values),
    } | sim_real.tables(config.world_seeds, store, config.where)
    data = {"anchors": digest()} | sim_real.fingerprints()
    return Tables.of(config, rows, tables, data=data, counts=counts)

"""Do networks find the sites that made the activity, and do their scores warn of failure?

In: :class:`Config`. Out: :class:`Tables`. The networks are those of the experiments on simulated
shifts and on GC shift; nothing is trained that those have trained before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pandas as pd
from pydantic import Field

from lib import assays as mpra
from lib.data.dataset import SequenceDataset
from lib.data.splits import Split
from lib.experiments import mpra_gc_ood, simulation_shifts
from lib.experiments.assays import GC_DATA, STANDIN, build_arms, load_assays
from lib.experiments.fits import fitting
from lib.experiments.prior_assays import Told, fitting_told
from lib.experiments.recovery_assays import (
    Motifs,
    known_motifs,
    looking,
    members_agreeing,
    motif_rows,
    profile_rows,
)
from lib.experiments.recovery_tables import (
    agreements,
    areas,
    effects,
    pooled_motifs,
    probes,
    tidy,
)
from lib.experiments.recovery_worlds import (
    EXAMPLES,
    MEASURES,
    SIGNS,
    agreeing,
    example_table,
    finding_sites,
    probing,
)
from lib.experiments.sim_arms import Arm, Condition, Sizes, training_data
from lib.experiments.tuning import tuned
from lib.experiments.world_config import WorldConfig
from lib.motifs.pwm import PWM
from lib.simulator.anchors import digest
from lib.study.config import Names, Seeds
from lib.study.found import Tables
from lib.study.units import Result, Store, Unit, missing_units, run_units
from lib.training.config import FitConfig

MAIN_MODEL = simulation_shifts.MAIN_MODEL
# Of the retina libraries the networks without a prior of the experiment on priors are read.
RETINA = "retina_libraries"
DEFAULT_DATA = (*GC_DATA, RETINA)
BEST_AREA = 0.6  # what the best score should reach in distribution


class Config(WorldConfig):
    """Parameters of notebook 07.

    Attributes
    ----------
    models : tuple of str
        Names of :data:`lib.models.MODELS`.
    world_seeds : tuple of int
        Worlds of the CNN.
    other_worlds : int
        Of these, how many for each other architecture.
    shifts : tuple of str
        Names of :data:`lib.simulator.SHIFTS`, or ``all``, at their highest severity.
    n_train, n_validation, n_calibration, epochs
        Of the networks, as in notebook 01.
    n_elements : int
        Elements whose positions are scored.
    n_probe : int
        Elements that a linear probe is fitted on.
    n_agreement : int
        Elements on which networks are compared.
    dataset : str
        Assays, comma-separated; ``default`` takes WTC11, plant leaf and the retina libraries, or
        the stand-in.
    split_seeds, seeds, assay_epochs
        Of the networks, as in notebook 02; of the retina libraries, those of notebook 03.
    standin_size : int
    """

    experiment: ClassVar[str] = "motif_recovery"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "models": (MAIN_MODEL,),
            "world_seeds": (0, 1),
            "other_worlds": 1,
            "shifts": ("gc", "effect_rewiring"),
            "n_train": 600,
            "n_validation": 200,
            "n_calibration": 200,
            "epochs": 1,
            "n_elements": 12,
            "n_probe": 200,
            "n_agreement": 50,
            "dataset": STANDIN,
            "standin_size": 600,
            "split_seeds": (0,),
            "seeds": (0, 1),
            "assay_epochs": 1,
            "draws": 100,
        },
        "quick": {
            "models": (MAIN_MODEL,),
            "world_seeds": (0, 1, 2),
            "other_worlds": 1,
            "shifts": ("gc", "motif_density", "effect_rewiring", "cell_type"),
            "n_train": 4000,
            "n_validation": 500,
            "n_calibration": 500,
            "epochs": 5,
            "n_elements": 16,
            "n_probe": 1000,
            "n_agreement": 300,
            "dataset": "quick",
            "split_seeds": (0,),
            "seeds": (0, 1),
            "assay_epochs": 5,
            "draws": 200,
        },
        "full": {},
    }

    models: Names = ("cnn", "bilstm", "transformer")
    world_seeds: Seeds = tuple(range(10))
    other_worlds: int = Field(default=5, ge=1)
    shifts: Names = ("all",)
    n_elements: int = Field(default=128, ge=EXAMPLES, le=100_000)
    n_probe: int = Field(default=3_000, ge=100, le=100_000)
    n_agreement: int = Field(default=2_000, ge=20, le=100_000)
    dataset: str = "default"
    split_seeds: Seeds = (0, 1, 2, 3, 4)
    seeds: Seeds = (0, 1, 2, 3, 4)
    assay_epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)
    standin_size: int = Field(default=6000, ge=200, le=1_000_000)

    @property
    def parts(self) -> Sizes:
        """Elements per part of a world; nothing here is judged on a test part of that size."""
        return Sizes(self.n_train, self.n_validation, self.n_calibration, self.n_elements)


def conditions(config: Config) -> list[Condition]:
    """In distribution and every shift at its highest severity, GC both ways."""
    found = [Condition(), *(Condition(name, 1.0) for name in config.shifts)]
    return [*found, Condition("gc", 1.0, "low")] if "gc" in config.shifts else found


def world_arms(config: Config) -> list[Arm]:
    """The networks of the simulated worlds."""
    return [
        Arm(world, model, config.n_train)
        for model in config.models
        for world in config.world_seeds[: None if model == MAIN_MODEL else config.other_worlds]
    ]


def fit_worlds(config: Config) -> list[Unit]:
    """The units that fit them: those of notebook 01."""
    return [
        fitting(
            tuned(arm.model, epochs=config.epochs, device=config.device, seed=arm.world_seed),
            *training_data(arm, config.parts),
        )
        for arm in world_arms(config)
    ]


def load_data(config: Config) -> list[SequenceDataset]:
    """The assays that a config names."""
    names = tuple(name.strip() for name in config.dataset.split(","))
    if names in (("default",), ("quick",)):
        names = DEFAULT_DATA if names == ("default",) else GC_DATA
        names = names if all(map(mpra.available, names)) else (STANDIN,)
    return load_assays(",".join(names), config.standin_size)


def fit_assay(config: Config, data: SequenceDataset, split_seed: int) -> tuple[Split, list[Unit]]:
    """The group split of a seed and the units that fit its networks: those of notebook 02 or 03."""
    given = mpra_gc_ood.Config.create(
        profile="full", epochs=config.assay_epochs, device=config.device
    )
    (arm,) = build_arms(data, ("group",), given.gc_quantile, (), split_seed)
    if data.name == RETINA:
        plain = Told(arm, "none")
        return arm.split, [fitting_told(plain, config.assay_epochs, config.device)]
    settings = replace(given.design, seeds=config.seeds).settings(arm)
    return arm.split, [fitting(own, data, arm.split) for own in settings]


def judge_worlds(config: Config, store: Store) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Every measure in every world, the examples, and how many fits there are and were run."""
    arms, fits, at = world_arms(config), fit_worlds(config), conditions(config)
    missing = missing_units(fits, store)
    fitted = run_units(fits, store, config.where, "fits")
    jobs = list(zip(arms, fits, fitted, strict=True))
    sites = run_units(
        [finding_sites(arm, at, config.n_elements, unit, found) for arm, unit, found in jobs],
        store,
        config.where,
        "sites",
    )
    probed = run_units(
        [probing(arm, config.n_probe, unit, found) for arm, unit, found in jobs],
        store,
        config.where,
        "probes",
    )
    by_world: dict[int, dict[str, tuple[Unit, Result]]] = {}
    for arm, unit, result in jobs:
        by_world.setdefault(arm.world_seed, {})[arm.model] = (unit, result)
    several = {world: found for world, found in by_world.items() if len(found) > 1}
    agreed = run_units(
        [agreeing(world, at, config.n_agreement, found) for world, found in several.items()],
        store,
        config.where,
        "agreement",
    )
    values = [areas(arms, at, sites), probes(arms, probed)]
    if several:
        values.append(agreements(list(several), at, agreed))
    first = next(place for place, arm in enumerate(arms) if arm.model == config.models[0])
    examples = example_table(
        arms[first].world_seed, config.n_elements, sites[first].arrays["examples"]
    )
    counts = {"fits": len(fits), "fits_computed": missing}
    return pd.concat(values, ignore_index=True), examples, counts


def judge_assays(
    config: Config, store: Store, data: Sequence[SequenceDataset]
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame, dict[str, int]]:
    """Known motifs pooled over splits, agreement within ensembles, and how many fits."""
    jobs = [(assay, *fit_assay(config, assay, s)) for assay in data for s in config.split_seeds]
    fits = [unit for _, _, units in jobs for unit in units]
    missing = missing_units(fits, store)
    done = iter(run_units(fits, store, config.where, "assay fits"))
    fitted = [[(unit, next(done)) for unit in units] for _, _, units in jobs]
    sets: dict[str, tuple[PWM, ...]] = {assay.name: known_motifs(assay.name) for assay in data}
    looked = run_units(
        [
            looking(assay, split, *members[0], Motifs(sets[assay.name]), config.draws)
            for (assay, split, _), members in zip(jobs, fitted, strict=True)
        ],
        store,
        config.where,
        "known motifs",
    )
    tables = [
        motif_rows(assay.name, sets[assay.name], split.seed, result)
        for (assay, split, _), result in zip(jobs, looked, strict=True)
    ]
    pairs = [job for job in zip(jobs, fitted, strict=True) if len(job[1]) > 1]
    agreed = run_units(
        [members_agreeing(assay, split, members) for (assay, split, _), members in pairs],
        store,
        config.where,
        "agreement",
    )
    rows = [
        {"data": assay.name, "split": "test", "split_seed": split.seed, "model": MAIN_MODEL}
        | {"method": "gradient_input", "metric": metric, "value": float(value)}
        | {"n": len(split["test"]), "n_train": len(split["train"])}
        for ((assay, split, _), _), result in zip(pairs, agreed, strict=True)
        for metric, value in zip(SIGNS, result.arrays["values"], strict=True)
    ]
    share = {assay.name: (len(split["test"]), len(split["train"])) for assay, split, _ in jobs}
    shown = [
        profile_rows(
            assay.name,
            sets[assay.name],
            [found for (own, _, _), found in zip(jobs, looked, strict=True) if own is assay],
        )
        for assay in data
    ]
    known = {
        "known_motifs": pooled_motifs(pd.concat(tables, ignore_index=True), share),
        "known_profiles": pd.concat(shown, ignore_index=True),
    }
    counts = {"fits": len(fits), "fits_computed": missing}
    return known, pd.DataFrame(rows), counts


def run(config: Config, store: Store) -> Tables:
    """Score finished networks.

    Parameters
    ----------
    config : Config
    store : Store
        Where finished units lie; a killed run resumes from it.

    Returns
    -------
    Tables
        With ``effects`` (areas and probes as contrasts over worlds), ``examples`` (simulated
        elements, position by position), ``known_motifs`` and ``known_profiles`` (assays). The rows
        are areas by method in the column ``method``, probes by motif, agreement between networks.
    """
    values, examples, counts = judge_worlds(config, store)
    data = load_data(config)
    known, agreed, assay_counts = judge_assays(config, store, data)
    sizes = dict.fromkeys(MEASURES, config.n_elements) | {"r2_probe": config.n_probe}
    rows = tidy(
        values,
        agreed,
        sizes | {"r2_probe_untrained": config.n_probe} | dict.fromkeys(SIGNS, config.n_agreement),
    )
    tables = {"effects": effects(values), "examples": examples} | known
    counts = {name: counts[name] + assay_counts[name] for name in counts}
    marks = {"anchors": digest()} | {assay.name: assay.fingerprint for assay in data}
    return Tables.of(config, rows, tables, data=marks, counts=counts, standin=STANDIN in marks)

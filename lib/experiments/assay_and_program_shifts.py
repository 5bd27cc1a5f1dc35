"""Do shifts of assay and program on real cells do what their simulated twins do?

In: :class:`Config`. Out: :class:`lib.study.config.Tables`: what every real shift does to a
network's errors and intervals, through what, what a few labels repair, and what the simulator said
beforehand that a shift of its severity would do.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from lib import assays as mpra
from lib.assays import retina
from lib.data.folds import FOLDS
from lib.experiments import forecasters
from lib.experiments.assays import GC_DATA, STANDIN, Design, fit_arms, of_networks
from lib.experiments.mpra_gc_ood import Config as GCConfig
from lib.experiments.repairs import Budget
from lib.experiments.scoring import refits, rows_of, side_by_side
from lib.experiments.twins import assays as real
from lib.experiments.twins import pairs, tables
from lib.experiments.twins.networks import ARMS, GC_ARMS, MODEL, Network, gc_networks, networks
from lib.study.config import ExperimentConfig, Names, Seeds, Tables, known, repository_root
from lib.study.units import Store
from lib.training.config import FitConfig

_SMALL = ("rho WT", "rho Rhom", "hsp68 WT", "1")


class Config(ExperimentConfig):
    """Parameters of notebook 05, whose first cell says what each is."""

    experiment: ClassVar[str] = "assay_and_program_shifts"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **{"dataset": STANDIN, "arm": ("retina", "batch", "genotype"), "targets": _SMALL},
            **{"elements": 400, "folds": 3, "epochs": 1, "draws": 100},
            **{"labels": (10,), "repeats": 2},
        },
        "quick": {
            **{"libraries": ("1", "4", "9a"), "arm": ("retina", "batch", "genotype", "plant")},
            **{"targets": _SMALL, "elements": 1500, "folds": 3, "epochs": 3, "draws": 100},
            **{"labels": (20, 100), "repeats": 5},
        },
        "full": {"targets": ("rho WT", "rho Rhom", "rho Ehom", "hsp68 WT", "5")},
    }

    dataset: Literal["default", "real", "standin"] = "default"
    libraries: Names = retina.LIBRARIES
    arm: Annotated[Names, known("arm", ARMS)] = ("all",)
    targets: Names = ("all",)
    elements: int | None = Field(default=None, ge=300)
    folds: int = Field(default=FOLDS, ge=3, le=20)
    split_seed: int = Field(default=0, ge=0)
    seeds: Seeds = (0,)
    epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)
    labels: Seeds = (20, 50, 100, 200, 500)
    repeats: int = Field(default=20, ge=1, le=1000)


def load_assays(config: Config) -> real.Assays:
    """The assays a config names; real ones that cannot be had are an error where asked for."""
    if config.dataset == STANDIN or (
        config.dataset == "default" and not all(map(mpra.available, real.NEEDED))
    ):
        return real.standin_assays(config.elements or 2000)
    found = real.load_real(config.libraries)
    return found if config.elements is None else real.subsample(found, config.elements)


def planned(config: Config, assays: real.Assays) -> list[tuple[list[Network], Design]]:
    """Networks with how they are fitted: our own, and on real data those of notebook 02."""
    fit = FitConfig(model=MODEL, epochs=config.epochs, **of_networks(config))
    targets = () if "all" in config.targets else config.targets
    shared = {"folds", "split_seed", "epochs", "device", "precision", "channels"}
    dealt = config.model_dump(include=shared)
    own = networks(assays, config.arm, config.folds, config.split_seed, targets)
    found = [(own, Design(config.arm, fit, config.seeds))]
    if "gc" in config.arm and not assays.standin:
        gc = GCConfig.create(profile="full", **dealt).design
        design = replace(gc, arms=GC_ARMS, seeds=gc.seeds[:1])
        found.append((gc_networks([mpra.load(name) for name in GC_DATA], design), design))
    return found


def run(config: Config, store: Store) -> Tables:
    """Decompose, fit, score, and hold the sealed forecasts against the scores.

    Tables: ``decomposition``, ``sealed``, ``effects``, ``twins``, ``order``, ``ladder``, ``noise``,
    ``mitigation``.
    """
    assays = load_assays(config)
    decomposition = pairs.decompositions(assays, config.draws)
    done = [
        fit_arms(own, design.settings, store, config.where)
        for own, design in planned(config, assays)
    ]
    # Judging needs no fits, and passes between processes what it is given.
    fitted = [replace(one, fits=()) for own in done for one in own]
    beside = [
        one.arm for one in fitted if isinstance(one.arm, Network) and tables.has_baselines(one.arm)
    ]
    simple = forecasters.baselines(beside, store, config.where)
    arms = [arm for arm in beside if arm.main or arm.kind == "genotype"]  # of wild type
    known = forecasters.kernels(arms, forecasters.KERNELS, store, config.where)
    for one in (one for one in fitted if one.arm in known):
        own = {MODEL: np.stack(one.forecast[:2]), **known[one.arm]}
        simple[one.arm] |= known[one.arm] | forecasters.combined(one.arm, own)
    budget = Budget(config.labels, config.repeats, tables.TOLERANCE)
    jobs = [(one, simple.get(one.arm, {}), budget, config.draws) for one in fitted]
    judged = side_by_side(tables.judge, jobs, config.workers)
    measured = [each for one in judged for each in one.measured]
    between = refits(measured)
    # What the simulator said of each real shift beforehand; nothing of a stand-in.
    path = repository_root() / "results" / Config.experiment / "sealed.csv"
    sealed = pd.read_csv(path, dtype={"condition": str}, keep_default_na=False)
    sealed = sealed[:0] if assays.standin else sealed
    effects = tables.effects(measured, between)
    twins = tables.score_sealed(sealed, tables.observed(effects))
    made = {
        "decomposition": decomposition,
        "sealed": sealed,
        "effects": effects,
        "twins": twins,
        "order": tables.sealed_summary(twins, np.random.default_rng(0)),
    }
    made |= {
        name: tables.told([each.tables[name] for each in judged], keys)
        for name, keys in tables.TOLD.items()
    }
    rows = tables.publishable(rows_of(measured, between), sealed)
    if assays.standin:
        rows = tables.as_standin(rows)
        made = {name: tables.as_standin(table) for name, table in made.items()}
    return Tables(rows, made, assays.fingerprints)

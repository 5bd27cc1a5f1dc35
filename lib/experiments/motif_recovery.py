"""Do networks find the sites that made the activity, and do their scores warn of failure?

In: :class:`Config`. Out: :class:`~lib.study.config.Tables`. The networks are those of the
experiments on simulated shifts and on GC shift; nothing is trained that those have trained before.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from lib.data.dataset import SequenceDataset, Stored
from lib.experiments import assays, mpra_gc_ood, recovery
from lib.experiments.assays import GC_DATA, STANDIN, AssayArm, Design
from lib.experiments.priors import Told, fitting_told
from lib.experiments.simulation_shifts import MAIN_MODEL
from lib.experiments.worlds import (
    QUICK,
    SMOKE,
    Arm,
    Condition,
    ModelNames,
    ShiftNames,
    WorldConfig,
    fit_arm,
    judging,
    run_judging,
)
from lib.simulator.assay import digest
from lib.statistics.effects import Effect, against, over_replicates, over_splits
from lib.study.config import Seeds, Tables
from lib.study.units import Fit, Store, Unit, run_fits
from lib.training.attribution import SCORERS
from lib.training.config import FitConfig

# Of the retina libraries the networks without a prior of the experiment on priors are read.
RETINA = "retina_libraries"
BEST_AREA = 0.6  # what the best score should reach in distribution
EFFECTS = (
    Effect("auprc_sites", "auprc_sites"),
    Effect("auprc_change", "auprc_sites", "rise"),
)
Found = tuple[dict[str, pd.DataFrame], dict[str, int]]  # tables, and how many fits they took


class Config(WorldConfig):
    """Parameters of notebook 07, which says what each of them is.

    The parts and ``epochs`` of a world are those of notebook 01, ``split_seeds``, ``seeds`` and
    ``assay_epochs`` those of notebook 02; shifts stand at their highest severity. ``dataset`` names
    assays; ``default`` takes WTC11, plant leaf and, but for quick runs, the retina libraries.
    """

    experiment: ClassVar[str] = "motif_recovery"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **SMOKE,
            **{"models": (MAIN_MODEL,), "other_worlds": 1, "shifts": ("gc", "effect_rewiring")},
            **{"n_test": 12, "n_agreement": 50, "assay_epochs": 1},
            **{"dataset": STANDIN, "standin_size": 600, "split_seeds": (0,), "seeds": (0, 1)},
        },
        "quick": {
            **QUICK,
            **{"models": (MAIN_MODEL,), "other_worlds": 1, "draws": 200},
            "shifts": ("gc", "motif_density", "effect_rewiring", "cell_type"),
            **{"n_test": 16, "n_agreement": 300, "assay_epochs": 5},
            **{"split_seeds": (0,), "seeds": (0, 1)},
        },
        "full": {},
    }

    models: ModelNames = ("cnn", "bilstm", "transformer")
    world_seeds: Seeds = tuple(range(10))
    other_worlds: int = Field(default=5, ge=1)
    shifts: ShiftNames = ("all",)
    n_test: int = Field(default=128, ge=recovery.EXAMPLES, le=100_000)
    n_agreement: int = Field(default=2_000, ge=20, le=100_000)
    dataset: str = "default"
    split_seeds: Seeds = (0, 1, 2, 3, 4)
    seeds: Seeds = (0, 1, 2, 3, 4)
    assay_epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)
    standin_size: int = Field(default=6000, ge=200, le=1_000_000)

    @property
    def design(self) -> Design:
        """The group splits and networks of an assay: those of notebook 02."""
        shared = {"split_seeds", "seeds", "device"}
        given = self.model_dump(include=shared) | {"epochs": self.assay_epochs}
        return mpra_gc_ood.Config.create(profile="full", arm=["group"], **given).design


def conditions(config: Config) -> list[Condition]:
    """In distribution and every shift at its highest severity, GC both ways."""
    found = [Condition(), *(Condition(name, 1.0) for name in config.shifts)]
    return [*found, Condition("gc", 1.0, "low")] if "gc" in config.shifts else found


def world_arms(config: Config) -> list[Arm]:
    """The networks of the simulated worlds: those of notebook 01."""
    return [
        Arm(world, model, config.n_train)
        for model in config.models
        for world in config.world_seeds[: None if model == MAIN_MODEL else config.other_worlds]
    ]


def assay_fits(config: Config, arm: AssayArm) -> list[Unit]:
    """The units that fit an arm's networks; of the retina the one that knows no prior."""
    if arm.data.name == RETINA:
        return [fitting_told(Told(arm, "none"), config.assay_epochs, config.device)]
    return [assays.fitting(each, arm.data, arm.split) for each in config.design.settings(arm)]


def judge_worlds(config: Config, store: Store) -> Found:
    """Tables of every simulated network."""
    arms, at = world_arms(config), conditions(config)
    fits, counts = run_fits([fit_arm(arm, config) for arm in arms], store, config.where)
    by_world: dict[int, dict[str, Fit]] = {world: {} for world in config.world_seeds}
    jobs = []
    for arm, fit in zip(arms, fits, strict=True):
        jobs.append(judging(arm, at, config.parts, (recovery.areas,), {"model": fit}))
        by_world[arm.world_seed][arm.model] = fit
    size = {"n_agreement": config.n_agreement}
    jobs += [
        judging(Arm(world, "all", 0), at, config.parts, (recovery.agreements,), own, **size)
        for world, own in by_world.items()
        if len(own) > 1
    ]
    return run_judging(jobs, store, config.where, "worlds"), counts


def judge_assays(config: Config, store: Store, data: Sequence[SequenceDataset]) -> Found:
    """Known motifs of each split, and agreement within ensembles."""
    arms = config.design.build(data)
    units = [(arm, unit) for arm in arms for unit in assay_fits(config, arm)]
    fits, counts = run_fits([unit for _, unit in units], store, config.where)
    jobs = []
    for arm in arms:
        own = [fit for (one, _), fit in zip(units, fits, strict=True) if one is arm]
        given: dict[str, Any] = {"data": arm.data, "split": arm.split}
        given |= {f"member_{i:02d}": Stored(f.model, f.unit.key) for i, f in enumerate(own)}
        draws = {"draws": config.draws}
        jobs.append(Unit(recovery.assay_unit, draws, given, own[0].unit.modules))
    return run_judging(jobs, store, config.where, "assays"), counts


def known_motif_table(table: pd.DataFrame) -> pd.DataFrame:
    """Enrichment of each motif over splits, as a ratio with its interval; ``n`` elements hit."""
    known = table[np.isfinite(table["value"]) & np.isfinite(table["variance"])]
    sizes = known.groupby("data")[["n_test", "n_train"]].transform("last")
    known = known.assign(n=sizes["n_test"], n_train=sizes["n_train"], scale="ratio")
    found = over_splits(known, ["data", "motif", "scale"], averaged=["hits"])
    return found.assign(n=found["hits"].round().astype(int)).drop(columns=["scale", "hits"])


def effects(areas: pd.DataFrame) -> pd.DataFrame:
    """Areas, and their change against those in distribution."""
    keys = ["model", "method", "shift", "condition"]
    rows: list[dict[str, Any]] = []
    home = dict(list(areas[areas["shift"] == ""].groupby(["model", "method"])))
    for given, part in areas.groupby(keys, sort=False):
        named: dict[str, Any] = dict(zip(keys, given, strict=True))
        rows += against(part, home[given[:2]] if given[2] else None, EFFECTS, **named)
    found = pd.DataFrame(rows).rename(columns={"n": "worlds"}).drop(columns="df")
    return found.assign(data="simulation")


def tidy_worlds(tables: Mapping[str, pd.DataFrame], config: Config) -> pd.DataFrame:
    """Means over worlds with their intervals; ``bin`` is the method of an area."""
    areas = tables["areas"]
    parts = [areas.assign(by="method", bin=areas["method"], n=config.n_test)]
    if "agreements" in tables:
        parts.append(tables["agreements"].assign(by="", bin="", n=config.n_agreement))
    keys = ["data", "split", "shift", "family", "severity", "condition", "model"]
    return over_replicates(pd.concat(parts), [*keys, "metric", "by", "bin", "n"])


def tidy_assays(agreed: pd.DataFrame) -> pd.DataFrame:
    """Agreement within the ensembles of an assay over its splits."""
    # No bootstrap: what splits differ by is all there is, and one split has no interval.
    alone = agreed.groupby(["data", "metric"])["value"].transform("size") == 1
    table = agreed.assign(variance=np.where(alone, np.nan, 0.0), n=agreed["n_test"])
    keys = {"split": "test", "shift": "", "family": "", "condition": "", "model": MAIN_MODEL}
    return over_splits(table, ["data", "metric"]).assign(**keys, by="", bin="")


def run(config: Config, store: Store) -> Tables:
    """Score finished networks.

    Tables: ``effects`` (areas as contrasts over worlds), ``examples`` (simulated elements, position
    by position), ``known_motifs`` (assays). The rows are areas by method in the column ``bin``, and
    agreement between networks.
    """
    worlds, counts = judge_worlds(config, store)
    default = GC_DATA if config.profile == "quick" else (*GC_DATA, RETINA)
    data = assays.load_assays(config.dataset, config.standin_size, default)
    found, more = judge_assays(config, store, data)
    rows = [tidy_worlds(worlds, config)]
    if "agreements" in found:
        rows.append(tidy_assays(found["agreements"]))
    shown = worlds["examples"]
    shown = shown[shown["model"] == config.models[0]]
    shown = shown[shown["replicate"] == config.world_seeds[0]]
    tables = {
        "effects": effects(worlds["areas"]),
        "examples": shown[["position", *SCORERS, "element", "code", "motif"]],
    }
    if "known_motifs" in found:
        tables["known_motifs"] = known_motif_table(found["known_motifs"])
    table = pd.concat(rows, ignore_index=True)
    table = table.assign(prior="none", uncertainty="single", seed=None, oracle=np.nan)
    counts = {name: counts[name] + more[name] for name in counts}
    marks = {"anchors": digest()} | {assay.name: assay.fingerprint for assay in data}
    return Tables.of(config, table, tables, data=marks, counts=counts, standin=STANDIN in marks)

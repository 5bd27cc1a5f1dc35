"""Do structural priors help a network, in distribution and under shift, more than a placebo does?

In: :class:`Config`. Out: :class:`Tables`. In simulated worlds a small CNN is given motif-derived
features, in three ways, beside placebos of the same width; on real assays a CNN is given GC
content. Worlds and splits pair every prior with its placebo.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from lib.experiments import prior_effects
from lib.experiments.assays import STANDIN, build_arms, load_assays
from lib.experiments.prior_assays import Told, fitting_told, score_told, told_arms
from lib.experiments.priors import OPTIONS, PRIORS, fit_prior, linear_metrics, network_metrics
from lib.experiments.worlds import (
    REWIRING,
    Arm,
    Condition,
    TestedWorldConfig,
    judging,
    run_judging,
)
from lib.simulator.anchors import digest
from lib.statistics.effects import over_replicates
from lib.study.config import Names, Numbers, Seeds, Tables, known_names
from lib.study.units import Store, run_fits

MAIN_MODEL = "reference_cnn"
DEFAULT_DATA = ("wtc11", "plant_leaf", "retina_libraries")
TAIL_DATA = ("wtc11", "plant_leaf", STANDIN)  # the arms that hold something out
# The five shifts of C7 at the severity at which it is judged.
PRIMARY = (
    Condition("gc", 0.5),
    Condition("motif_density", 0.5),
    Condition("pwm_perturbation", 0.5),
    Condition("cell_type", 0.5),
    REWIRING,
)
# Of the main network in every world, the other priors in the first few; of the others these alone.
CORE_PRIORS = ("none", "motif_true", "motif_decoy", "permuted", "gc")
COMPARED = ("none", "motif_decoy", "permuted")  # noise ladder and learning curves
LINEAR_MODEL = "feature_ridge"
LINEAR_PRIORS = ("motif_true", "motif_decoy", "gc", "kmer")
PUBLISHED = ("rmse", "rmse_f", "r2_f", "crps_gaussian", "zms", "picp_90", "mpiw_90")


class Config(TestedWorldConfig):
    """Parameters of notebook 03.

    Attributes
    ----------
    priors : tuple of str
        Names of :data:`lib.experiments.priors.PRIORS`, or ``all``.
    shifts : tuple of str
        Names of :data:`lib.simulator.SHIFTS`, or ``all``.
    severities : tuple of float
        Points of each shift's dial.
    models : tuple of str
        ``reference_cnn`` for the whole grid, the others for :data:`CORE_PRIORS`.
    world_seeds : tuple of int
        Worlds of :data:`CORE_PRIORS`.
    other_worlds : int
        Of these, how many for everything else.
    other_train : int
        Training elements of the other architectures.
    sizes : tuple of int
        Smaller training samples, for the learning curve.
    noise : tuple of float
        Severities of ``noise`` at which networks are trained too; C8 is judged at 1.
    epochs, assay_epochs : int
        Of a network in a world and on an assay.
    dataset : str
        Assays, comma-separated; ``default`` takes WTC11, plant leaf and the retina libraries, or
        the stand-in assay where their files cannot be had.
    assay_priors, held_out_priors : tuple of str
        On the group arm; on the arms that hold a GC tail or a species out.
    split_seeds : tuple of int
    gc_quantile : float
    gc_tilts : tuple of float
    standin_size : int
    """

    experiment: ClassVar[str] = "structural_priors"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "priors": ("none", "motif_decoy", "permuted", "gc"),
            "shifts": ("gc", "effect_rewiring"),
            "severities": (0.5,),
            "models": (MAIN_MODEL,),
            "world_seeds": (0, 1),
            "other_worlds": 1,
            "n_train": 400,
            "n_validation": 100,
            "n_calibration": 100,
            "n_test": 300,
            "other_train": 200,
            "sizes": (),
            "noise": (1.0,),
            "epochs": 1,
            "dataset": STANDIN,
            "assay_epochs": 1,
            "standin_size": 600,
            "split_seeds": (0,),
            "draws": 100,
        },
        "quick": {
            "priors": ("none", "motif_true", "motif_decoy", "permuted", "gc"),
            "shifts": ("gc", "motif_density", "pwm_perturbation", "cell_type", "effect_rewiring"),
            "severities": (0.5,),
            "models": (MAIN_MODEL,),
            "world_seeds": (0, 1, 2),
            "other_worlds": 1,
            "n_train": 1200,
            "n_validation": 200,
            "n_calibration": 200,
            "n_test": 600,
            "sizes": (),
            "noise": (1.0,),
            "epochs": 3,
            "dataset": "quick",
            "assay_epochs": 2,
            "standin_size": 1500,
            "assay_priors": ("none", "gc", "permuted"),
            "split_seeds": (0,),
            "draws": 200,
        },
        "full": {},
    }

    priors: Names = ("all",)
    shifts: Names = ("all",)
    severities: Numbers = (0.5, 1.0)
    models: Names = (MAIN_MODEL, "bilstm", "transformer")
    world_seeds: Seeds = tuple(range(10))
    other_worlds: int = Field(default=5, ge=1)
    n_train: int = Field(default=8_000, ge=100, le=1_000_000)
    n_validation: int = Field(default=1_000, ge=50, le=1_000_000)
    n_calibration: int = Field(default=1_000, ge=50, le=1_000_000)
    other_train: int = Field(default=4_000, ge=100, le=1_000_000)
    sizes: tuple[int, ...] = (500, 2_000)
    noise: tuple[float, ...] = (0.5, 1.0)
    epochs: int = Field(default=15, ge=1, le=10_000)
    dataset: str = "default"
    assay_priors: Names = ("none", "gc", "permuted", "gc_windowed", "kmer")
    held_out_priors: Names = ("gc", "permuted")
    assay_epochs: int = Field(default=20, ge=1, le=10_000)
    split_seeds: Seeds = (0, 1, 2, 3, 4)
    gc_quantile: float = Field(default=0.8, gt=0, lt=1)
    gc_tilts: Numbers = (-0.5, 0.5, 1.0)
    standin_size: int = Field(default=6000, ge=200, le=1_000_000)

    @field_validator("priors", "assay_priors", "held_out_priors")
    @classmethod
    def _known_priors(cls, priors: tuple[str, ...]) -> tuple[str, ...]:
        return known_names("prior", priors, PRIORS)

    @field_validator("models")
    @classmethod
    def _known_models(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        return known_names("model", models, tuple(OPTIONS))


def all_conditions(config: Config) -> list[Condition]:
    """In distribution, every shift at every severity, GC downwards, and the five of C7."""
    found = [Condition()]
    found += [Condition(name, s) for name in config.shifts for s in config.severities]
    if "gc" in config.shifts:
        found += [Condition("gc", s, "low") for s in config.severities]
    primary = [condition for condition in PRIMARY if condition.shift in config.shifts]
    return list(dict.fromkeys([*found, *primary]))


def few_conditions(config: Config) -> list[Condition]:
    """In distribution and the five shifts of C7."""
    return [Condition(), *(at for at in PRIMARY if at.shift in config.shifts)]


def plan(config: Config) -> list[tuple[Arm, list[Condition]]]:
    """Every network of the simulated worlds, with the conditions it is judged under."""
    every, few, size = all_conditions(config), few_conditions(config), config.n_train
    worlds, some = config.world_seeds, config.world_seeds[: config.other_worlds]
    compared, core = (
        [prior for prior in priors if prior in config.priors] for priors in (COMPARED, CORE_PRIORS)
    )
    jobs = []
    if MAIN_MODEL in config.models:
        for prior in config.priors:
            own = worlds if prior in CORE_PRIORS else some
            jobs += [(Arm(w, MAIN_MODEL, size, prior=prior), every) for w in own]
        for prior in compared:
            jobs += [
                (Arm(w, MAIN_MODEL, n, prior=prior), few) for n in config.sizes for w in worlds
            ]
            for noise in config.noise:
                law, own = Condition("noise", noise), worlds if noise == 1 else some
                jobs += [(Arm(w, MAIN_MODEL, size, law, prior), [law]) for w in own]
        told: list[tuple[str, dict[str, Any]]] = [
            *((prior, {"misspecified": True}) for prior in core if prior != "gc"),
            *((prior, {"entry": "residual"}) for prior in core if prior != "none"),
            *((prior, {"entry": "filters"}) for prior in core if prior not in ("none", "gc")),
        ]
        for prior, how in told:
            jobs += [(Arm(w, MAIN_MODEL, size, prior=prior, **how), few) for w in some]
    for model in config.models:
        if model != MAIN_MODEL:
            few_elements = config.other_train
            jobs += [(Arm(w, model, few_elements, prior=p), few) for p in core for w in some]
    # World by world, so that a worker that holds a world's samples judges all of its networks.
    return sorted(jobs, key=lambda job: job[0].world_seed)


def assay_plan(config: Config) -> list[Told]:
    """Every network on an assay, the stand-in where the default ones cannot be had."""
    default = DEFAULT_DATA[:1] if config.dataset == "quick" else DEFAULT_DATA
    name = "default" if config.dataset == "quick" else config.dataset
    found: list[Told] = []
    for data in load_assays(name, config.standin_size, default):
        tails = data.name in TAIL_DATA
        kinds = ("group", "tilt", "tail", "species") if tails else ("group", "tilt")
        priors = config.assay_priors if tails else config.assay_priors[:3]
        for seed in config.split_seeds:
            arms = build_arms(data, kinds, config.gc_quantile, config.gc_tilts, seed)
            found += told_arms(arms, priors, config.held_out_priors, controls=tails)
    return found


def judge_worlds(config: Config, store: Store) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every metric of every network and linear model in every world, and how many fits were run."""
    jobs, given = plan(config), (config.parts, config.epochs, config.device)
    units = [fit_prior(arm, *given) for arm, _ in jobs]
    fits, counts = run_fits(units, store, config.where)
    judged = [
        judging(*job, config.parts, (network_metrics,), {"model": fit})
        for job, fit in zip(jobs, fits, strict=True)
    ]
    judged += [
        judging(
            Arm(world, LINEAR_MODEL, config.n_train, prior=prior),
            few_conditions(config),
            config.parts,
            (linear_metrics,),
        )
        for prior in LINEAR_PRIORS
        if prior in config.priors
        for world in config.world_seeds
    ]
    values = run_judging(judged, store, config.where)["values"]
    # Worlds turn the dial differently to reach one distance.
    return values.assign(severity=values.pop("dial").round(4), n=config.n_test), counts


def world_rows(values: pd.DataFrame) -> pd.DataFrame:
    """Means over worlds with their intervals, as tidy rows."""
    numbers = ["severity", "oracle", "n"]
    keys = [name for name in values.columns if name not in (*numbers, "value", "replicate")]
    rows = over_replicates(values[values["metric"].isin(PUBLISHED)], keys, averaged=numbers)
    return rows.round({"severity": 4}).astype({"n": int})


def run(config: Config, store: Store) -> Tables:
    """Fit, forecast, score; the rows' column ``entry`` says how a prior enters."""
    values, counts = judge_worlds(config, store)
    told = assay_plan(config)
    units = [fitting_told(one, config.assay_epochs, config.device) for one in told]
    fits, more = run_fits(units, store, config.where, "assay fits")
    assay_rows, assay_effects = score_told(told, fits, store, config.where, config.draws)
    rows = pd.concat([world_rows(values), assay_rows], ignore_index=True).assign(seed=None)
    # A prior beside the embedding is the usual row; another way in is named like a bin.
    usual, linear = rows["entry"] == "late", rows["model"] == LINEAR_MODEL
    rows["by"], rows["bin"] = np.where(usual, "", "entry"), rows["entry"].where(~usual, "")
    rows.loc[linear, "by"], rows.loc[linear, "bin"] = "features", rows.loc[linear, "prior"]
    rows.loc[linear, "prior"] = "prior_only"
    cells = [at.cell for at in PRIMARY if at.shift in config.shifts]
    tables = {
        "effects": prior_effects.effects(values, config.n_train, cells),
        "assay_effects": assay_effects,
    }
    names = {one.arm.data.name: one.arm.data.fingerprint for one in told}
    counts = {name: counts[name] + more[name] for name in counts}
    data = {"anchors": digest()} | names
    return Tables.of(config, rows, tables, data=data, counts=counts, standin=STANDIN in names)

"""Do structural priors help a network, in distribution and under shift, more than a placebo does?

In: :class:`Config`. Out: :class:`Tables`. In simulated worlds the book's CNN is given motif-derived
features beside placebos of the same width, from training samples of several sizes; on real assays
a CNN is given GC content or motif scores. Worlds and folds pair every prior with its placebo.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from lib.experiments import mpra_gc_ood, priors, worlds
from lib.experiments.assays import GC_DATA, STANDIN, SUBSET, AssayConfig, load_assays
from lib.experiments.prior_effects import MAIN_MODEL, PLACEBOS, PRIOR, effects
from lib.experiments.priors import ASSAY_PRIORS, PRIORS, PUBLISHED, Told
from lib.experiments.worlds import NOISY, REWIRING, Arm, Condition
from lib.simulator.assay import digest
from lib.statistics.effects import over_replicates
from lib.study.config import Names, Numbers, Seeds, Tables, known
from lib.study.units import Store, run_fits

TAIL_DATA: Final = (*GC_DATA, STANDIN)  # the arms that hold something out
# The five shifts of C7 at the severity at which it is judged.
PRIMARY: Final = (
    *(Condition(name, 0.5) for name in ("gc", "motif_density", "pwm_perturbation", "cell_type")),
    REWIRING,
)
TOLD: Final = ("none", PRIOR)  # of learning curves
COMPARED: Final = (*TOLD, "permuted")  # where noise dominates training
CORE: Final = (*TOLD, *PLACEBOS)
HELD_OUT: Final = ASSAY_PRIORS[:3]  # told on arms that hold a GC tail out


class Config(AssayConfig, worlds.WorldConfig):
    """Parameters of notebook 03."""

    experiment: ClassVar[str] = "structural_priors"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **{"severities": (0.5,), "shaped_worlds": 1},
            **{"n_train": 400, "n_validation": 100, "n_calibration": 100, "n_test": 300},
            **{"main_train": 400, "sizes": (100, 200)},
            **{"world_seeds": (0, 1), "epochs": 1, "draws": 100},
            **{"dataset": STANDIN, "standin_size": 600, "assay_epochs": 1, "folds": 3},
            "priors": ("none", "motif_decoy", "permuted", "gc"),
            "shifts": ("gc", "effect_rewiring"),
        },
        "quick": {
            **worlds.QUICK,
            **{"severities": (0.5,), "main_train": 1000, "sizes": (400,)},
            "priors": ("none", PRIOR, "permuted"),
            **SUBSET,
            **{"standin_size": 1500, "assay_epochs": 6},
            "shifts": (*(at.shift for at in PRIMARY), "noise"),
        },
    }

    priors: Annotated[Names, known("prior", PRIORS)] = CORE
    shifts: worlds.ShiftNames = ("all",)
    severities: worlds.Dials = (0.5, 1.0)
    world_seeds: Seeds = tuple(range(100, 110))
    shaped_worlds: int = Field(default=0, ge=0)  # of these, how many have a DNA-shape term too
    # Of the sample of notebook 01, whose networks without a prior serve here too.
    main_train: int = Field(default=8_000, ge=100, le=1_000_000)  # the first of them
    sizes: tuple[int, ...] = (500, 2_000)  # fewer, for the learning curve
    entry: Literal["late", "narrow", "residual"] = "residual"  # of features into a network
    side_dropout: float = Field(default=0.3, ge=0, lt=1)  # of the features
    side_rate: float | None = Field(default=None, gt=0)  # learning rate with them, if not its own
    assay_priors: Annotated[Names, known("prior", ASSAY_PRIORS)] = ASSAY_PRIORS
    assay_epochs: int = Field(default=20, ge=1, le=10_000)
    gc_quantile: float = Field(default=0.8, gt=0, lt=1)
    gc_tilts: Numbers = (-0.5, 0.5, 1.0)

    @property
    def assays(self) -> mpra_gc_ood.Config:
        """The settings of notebook 02: networks told nothing, or of motifs, are its first ones."""
        return mpra_gc_ood.Config.like(self, epochs=self.assay_epochs)

    @model_validator(mode="after")
    def _within_the_sample(self) -> Self:
        largest = max(self.main_train, *self.sizes, 0)
        if largest > self.n_train:
            raise ValueError(
                f"main_train and sizes go up to {largest}, n_train is {self.n_train}: networks "
                "train on the first elements of one sample, so raise n_train or lower them"
            )
        return self


def few_conditions(config: Config) -> list[Condition]:
    """In distribution and the five shifts of C7."""
    return worlds.conditions(config.shifts, (), fixed=PRIMARY)


def plan(config: Config) -> list[tuple[Arm, list[Condition]]]:
    """Every network of the simulated worlds, with the conditions it is judged under."""
    fixed = (*PRIMARY, NOISY)
    every = worlds.conditions(config.shifts, config.severities, ("", "low"), fixed)
    few, size = few_conditions(config), config.main_train
    others = [n for n in dict.fromkeys(config.sizes) if n != size]
    told, compared = ([p for p in names if p in config.priors] for names in (TOLD, COMPARED))
    jobs: list[tuple[Arm, list[Condition]]] = []
    for w in config.world_seeds:
        jobs += [(Arm(w, MAIN_MODEL, size, prior=prior), every) for prior in config.priors]
        jobs += [(Arm(w, MAIN_MODEL, n, prior=prior), few) for prior in told for n in others]
        if config.n_train > size:  # notebook 01's; on the no-prior line it is the far end
            jobs.append((Arm(w, MAIN_MODEL, config.n_train), few))
        jobs += [(Arm(w, MAIN_MODEL, size, NOISY, prior), [NOISY]) for prior in compared]
        if w in config.world_seeds[: config.shaped_worlds]:
            jobs += [(Arm(w, MAIN_MODEL, size, Condition(), p, True), few) for p in told]
    # World by world: a worker that holds a world's samples judges all of its networks.
    return jobs


def judge_worlds(config: Config, store: Store) -> pd.DataFrame:
    """Every metric of every network in every world."""
    asked = plan(config), priors.network_metrics, config, store, priors.fit_prior
    values = worlds.judge_arms(*asked)["values"]
    # Worlds turn the dial differently to reach one distance.
    return values.assign(severity=values.pop("dial").round(4), n=config.n_test)


def assay_plan(config: Config) -> Iterator[Told]:
    """Every prior on every arm of an assay, the stand-in where the default ones cannot be had.

    Large families train and are not left out: that shift is another experiment's.
    """
    default = GC_DATA[:1] if config.profile == "quick" else GC_DATA
    for data in load_assays(config.dataset, config.standin_size, default, config.elements):
        kinds = ("group", "tilt", *(("tail",) if data.name in TAIL_DATA else ()))
        asked = tuple(kind for kind in kinds if kind in config.assays.arm)
        for arm in replace(config.assays.design, arms=asked).build([data]):
            if arm.kind != "placebo":  # random groups held out serve other experiments
                headline = arm.headline
                told = (prior for prior in config.assay_priors if arm.main or prior in HELD_OUT)
                yield from (Told(headline, prior) for prior in told)


def run(config: Config, store: Store) -> Tables:
    """Fit, forecast, score."""
    values = judge_worlds(config, store)
    told = list(assay_plan(config))
    settings, given = config.assays.design.settings, (store, config.where)
    units = [unit for one in told for unit in one.fitting(settings(one.arm)[0], *given)]
    fits = run_fits(units, store, config.where, "assay fits")
    assay_rows, assay_effects = priors.score_told(told, fits, store, config.where, config.draws)
    numbers = ["severity", "oracle", "n"]
    keys = [name for name in values.columns if name not in (*numbers, "value", "replicate")]
    means = over_replicates(values[values["metric"].isin(PUBLISHED)], keys, averaged=numbers)
    means = means.round({"severity": 4}).astype({"n": int})
    rows = pd.concat([means, assay_rows], ignore_index=True).assign(seed=None, by="", bin="")
    cells = [at.cell for at in few_conditions(config)[1:]]
    tables = {"effects": effects(values, config.main_train, cells), "assay_effects": assay_effects}
    names = {one.arm.data.name: one.arm.data.fingerprint for one in told}
    data = {"anchors": digest()} | names
    return Tables.of(config, rows, tables, data=data)

"""Do structural priors help a network, in distribution and under shift, more than a placebo does?

In: :class:`Config`. Out: :class:`Tables`. In simulated worlds a small CNN is given motif-derived
features beside a placebo of the same width; on real assays a CNN is given GC content or motif
scores. Worlds and folds pair every prior with its placebo.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Final

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field

from lib.experiments import priors, worlds
from lib.experiments.arms import build_arms
from lib.experiments.assays import DEFAULT_DATA, STANDIN, AssayConfig, load_assays
from lib.experiments.priors import (
    AGAINST,
    ASSAY_PRIORS,
    CROSSED,
    OPTIONS,
    PRIORS,
    PUBLISHED,
    Told,
)
from lib.experiments.worlds import NOISY, REWIRING, Arm, Condition
from lib.simulator.assay import digest
from lib.statistics.effects import CHANGES, Effect, against, effect, over_replicates
from lib.study.config import Names, Numbers, Seeds, Tables, known_names
from lib.study.units import Store, run_fits

MAIN_MODEL: Final = "reference_cnn"
TAIL_DATA: Final = ("wtc11", "plant_leaf", STANDIN)  # the arms that hold something out
# The five shifts of C7 at the severity at which it is judged.
PRIMARY: Final = (
    *(Condition(name, 0.5) for name in ("gc", "motif_density", "pwm_perturbation", "cell_type")),
    REWIRING,
)
# Of the main network in every world, the other priors in the first few; of the others these alone.
CORE_PRIORS: Final = ("none", "motif_true", "motif_decoy", "permuted", "gc")
COMPARED: Final = ("none", "motif_decoy", "permuted")  # under noise and in learning curves
# Besides priors late: of the group arm of assays with tails.
CONTROLS: Final = (("gc", "residual"), ("gc", "residualised"), ("permuted", "residualised"))
CHANGED: Final = (Effect("rmse_f_ratio", "rmse_f", "ratio"),)
PLACE: Final = ("split", "shift", "family", "condition", "cell")
LITTLE: Final[Mapping[str, Any]] = {
    **{"models": (MAIN_MODEL,), "severities": (0.5,), "other_worlds": 1, "sizes": ()},
}

PriorNames = Annotated[Names, AfterValidator(partial(known_names, "prior", known=PRIORS))]
_assay_priors = AfterValidator(partial(known_names, "prior", known=ASSAY_PRIORS))
AssayPriors = Annotated[Names, _assay_priors]
_models = AfterValidator(partial(known_names, "model", known=tuple(OPTIONS)))


class Config(AssayConfig, worlds.WorldConfig):
    """Parameters of notebook 03."""

    experiment: ClassVar[str] = "structural_priors"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **LITTLE,
            **{"n_train": 400, "n_validation": 100, "n_calibration": 100, "n_test": 300},
            **{"world_seeds": (0, 1), "other_train": 200, "epochs": 1, "draws": 100},
            **{"dataset": STANDIN, "standin_size": 600, "assay_epochs": 1, "folds": 3},
            "priors": ("none", "motif_decoy", "permuted", "gc"),
            "shifts": ("gc", "effect_rewiring"),
        },
        "quick": {
            **LITTLE,
            **{"n_train": 1200, "n_validation": 200, "n_calibration": 200, "n_test": 600},
            **{"world_seeds": (0, 1, 2), "epochs": 3, "draws": 200},
            **{"standin_size": 1500, "assay_epochs": 2, "folds": 3},
            "priors": CORE_PRIORS,
            "shifts": tuple(at.shift for at in PRIMARY),
            "assay_priors": CROSSED,
        },
        "full": {},
    }

    priors: PriorNames = ("all",)
    shifts: worlds.ShiftNames = ("all",)
    severities: worlds.Dials = (0.5, 1.0)
    models: Annotated[Names, _models] = (MAIN_MODEL, "bilstm", "transformer")
    world_seeds: Seeds = tuple(range(10))  # of CORE_PRIORS, which alone the other models get
    other_worlds: int = Field(default=5, ge=1)  # of these, how many for everything else
    n_train: int = Field(default=8_000, ge=100, le=1_000_000)
    n_validation: int = Field(default=1_000, ge=50, le=1_000_000)
    n_calibration: int = Field(default=1_000, ge=50, le=1_000_000)
    other_train: int = Field(default=4_000, ge=100, le=1_000_000)  # of the other architectures
    sizes: tuple[int, ...] = (500, 2_000)  # smaller training samples, for the learning curve
    epochs: int = Field(default=15, ge=1, le=10_000)
    assay_priors: AssayPriors = ("all",)
    held_out_priors: AssayPriors = (
        "gc",
        "permuted",
    )  # on arms that hold a GC tail or a species out
    assay_epochs: int = Field(default=20, ge=1, le=10_000)
    gc_quantile: float = Field(default=0.8, gt=0, lt=1)
    gc_tilts: Numbers = (-0.5, 0.5, 1.0)


def few_conditions(config: Config) -> list[Condition]:
    """In distribution and the five shifts of C7."""
    return worlds.conditions(config.shifts, (), fixed=PRIMARY)


def plan(config: Config) -> list[tuple[Arm, list[Condition]]]:
    """Every network of the simulated worlds, with the conditions it is judged under."""
    every = worlds.conditions(config.shifts, config.severities, ("", "low"), PRIMARY)
    few, size = few_conditions(config), config.n_train
    seeds, some = config.world_seeds, config.world_seeds[: config.other_worlds]
    compared = [prior for prior in COMPARED if prior in config.priors]
    core = [prior for prior in CORE_PRIORS if prior in config.priors]
    jobs: list[tuple[Arm, list[Condition]]] = []
    for model in [name for name in config.models if name != MAIN_MODEL]:
        n = config.other_train
        jobs += [(Arm(w, model, n, prior=prior), few) for prior in core for w in some]
    if (model := MAIN_MODEL) in config.models:
        for prior in config.priors:
            own = seeds if prior in CORE_PRIORS else some
            jobs += [(Arm(w, model, size, prior=prior), every) for w in own]
        for prior in compared:
            jobs += [(Arm(w, model, n, prior=prior), few) for n in config.sizes for w in seeds]
            jobs += [(Arm(w, model, size, NOISY, prior), [NOISY]) for w in seeds]
        motifs = [prior for prior in core if prior != "gc"]
        jobs += [(Arm(w, model, size, Condition(), p, True), few) for p in motifs for w in some]
    # World by world, so that a worker that holds a world's samples judges all of its networks.
    return sorted(jobs, key=lambda job: job[0].world_seed)


def judge_worlds(config: Config, store: Store) -> pd.DataFrame:
    """Every metric of every network in every world."""
    asked = plan(config), priors.network_metrics, config, store, priors.fit_prior
    tables = worlds.judge_arms(*asked)
    values = tables["values"].assign(entry="late")
    # Worlds turn the dial differently to reach one distance.
    return values.assign(severity=values.pop("dial").round(4), n=config.n_test)


def prior_effects(values: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Every prior against the placebo and against none, for each network and condition."""
    columns = ["data", "model", "entry", "n_train", *PLACE]
    for given, rows in values.groupby(columns, sort=False, dropna=False):
        keys: dict[str, Any] = dict(zip(columns, given, strict=True))
        keys["severity"] = round(float(rows["severity"].mean()), 4)
        parts = dict(iter(rows.groupby("prior")))
        for reference in AGAINST:
            for prior, part in parts.items():
                if prior != reference and reference in parts:
                    keys |= {"prior": prior, "against": reference}
                    yield from against(part, parts[reference], CHANGED, **keys)


def line_effects(errors: pd.DataFrame, n_train: int) -> Iterator[dict[str, Any]]:
    """Shifted error over that on a line through a world's no-prior networks of all training sizes.

    The line is of log RMSE against f, shifted on in distribution. Below 1 a prior gives robustness
    beyond accuracy.
    """
    rows = errors[errors["split"] != "matched"]
    places = rows.drop_duplicates("cell").set_index("cell", drop=False)[list(PLACE)]
    index = ["replicate", "prior", "n_train"]
    wide = rows.pivot(index=index, columns="cell", values="value")
    points = wide.apply(np.log).reset_index()
    if points.loc[points["prior"] == "none", "n_train"].nunique() < 3:
        return
    full = (points["n_train"] == n_train) & (points["prior"] != "none")
    for cell in places.index.drop(""):
        above = pd.concat([_above_line(part, cell) for _, part in points.groupby("replicate")])
        for prior, values in above[full].groupby(points["prior"][full]):
            keys = {"prior": prior, "against": "line", "n_train": n_train, **places.loc[cell]}
            yield effect("rmse_f_over_line", values, log=True, **keys)


def _above_line(points: pd.DataFrame, cell: str) -> pd.Series:
    """How far one world's networks lie above the line of those without a prior, if it has one."""
    plain = points.loc[points["prior"] == "none", ["", cell]].dropna()
    line = np.polyfit(plain[""], plain[cell], 1) if len(plain) > 1 else [np.nan]
    return (points[cell] - np.polyval(line, points[""])).round(12)


def noise_effects(
    errors: pd.DataFrame, n_train: int, cells: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Gain of a prior where noise dominates less half its mean gain under the genomic ``cells``.

    Gains are shares of the squared error against f; networks under noise were trained at it.
    """
    noisy = (errors["split"] == "matched") & (errors["severity"] == 1)
    genomic = (errors["split"] == "shifted") & errors["cell"].isin(cells)
    rows = errors.assign(cell=errors["cell"].mask(noisy, "trained"))
    rows = rows[(noisy | genomic) & (rows["n_train"] == n_train)]
    wide = rows.pivot(index=["cell", "replicate"], columns="prior", values="value")
    known = "motif_decoy" in wide and cells and {"trained", *cells} <= set(rows["cell"])
    for reference in (prior for prior in AGAINST if known and prior in wide):
        closed = CHANGES["closed"](wide["motif_decoy"], wide[reference]).unstack("cell")
        under = closed[list(cells)].mean(axis=1, skipna=False)
        gains = {
            "gain_at_noise": closed["trained"],
            "gain_under_shifts": under,
            "gain_at_noise_beyond_half": closed["trained"] - under / 2,
        }
        keys: dict[str, Any] = {"against": reference, "prior": "motif_decoy", "n_train": n_train}
        for name, gain in gains.items():
            yield effect(name, gain, **keys, shift="noise", condition="trained")


def effects(values: pd.DataFrame, n_train: int, cells: Sequence[str]) -> pd.DataFrame:
    """All contrasts over worlds; ``cells`` are the genomic shifts of C7 and C8."""
    main = {"data": "simulation", "model": MAIN_MODEL, "entry": "late"}
    errors = values[(values["metric"] == "rmse_f") & (values["data"] == main["data"])]
    errors = errors[errors["model"] == MAIN_MODEL]
    of_errors = [*line_effects(errors, n_train), *noise_effects(errors, n_train, cells)]
    rows = [*prior_effects(values), *(main | row for row in of_errors if row)]
    return pd.DataFrame(rows).rename(columns={"n": "worlds"}).drop(columns="df")


def assay_plan(config: Config) -> Iterator[Told]:
    """Every prior on every arm of an assay, the stand-in where the default ones cannot be had.

    Large families train and are not left out: that shift is another experiment's.
    """
    default = DEFAULT_DATA[:1] if config.profile == "quick" else DEFAULT_DATA
    for data in load_assays(config.dataset, config.standin_size, default):
        tails = data.name in TAIL_DATA
        kinds = ("group", "tilt", *(("tail", "species") if tails else ()))
        given = config.folds, config.gc_quantile, config.gc_tilts, config.split_seed
        every = [prior for prior in config.assay_priors if tails or prior in CROSSED]
        for arm in build_arms(data, kinds, *given):
            if arm.kind == "placebo":  # random groups held out serve other experiments
                continue
            own = every if arm.main else config.held_out_priors
            arm = arm.headline
            yield from (Told(arm, prior) for prior in own)
            if tails and arm.main and {"gc", "permuted"} <= set(own):
                yield from (Told(arm, *control) for control in CONTROLS)


def run(config: Config, store: Store) -> Tables:
    """Fit, forecast, score; the rows' column ``entry`` says how a prior enters."""
    values = judge_worlds(config, store)
    told = list(assay_plan(config))
    given = config.assay_epochs, config.device, store, config.where
    units = [unit for one in told for unit in one.fitting(*given)]
    fits = run_fits(units, store, config.where, "assay fits")
    assay_rows, assay_effects = priors.score_told(told, fits, store, config.where, config.draws)
    numbers = ["severity", "oracle", "n"]
    keys = [name for name in values.columns if name not in (*numbers, "value", "replicate")]
    means = over_replicates(values[values["metric"].isin(PUBLISHED)], keys, averaged=numbers)
    means = means.round({"severity": 4}).astype({"n": int})
    rows = pd.concat([means, assay_rows], ignore_index=True).assign(seed=None)
    # A prior beside the embedding is the usual row; another way in is named like a bin.
    usual = rows["entry"] == "late"
    rows["by"], rows["bin"] = np.where(usual, "", "entry"), rows["entry"].where(~usual, "")
    cells = [at.cell for at in few_conditions(config)[1:]]
    tables = {"effects": effects(values, config.n_train, cells), "assay_effects": assay_effects}
    names = {one.arm.data.name: one.arm.data.fingerprint for one in told}
    data = {"anchors": digest()} | names
    return Tables.of(config, rows, tables, data=data)

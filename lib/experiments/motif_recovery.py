"""Do networks find the sites that made the activity, and do their scores warn of failure?

In: :class:`Config`. Out: :class:`~lib.study.config.Tables`. The networks are those of the
experiments on simulated shifts and on GC shift. In a world scores are held against the sites that
act; on an assay, known motifs against the same matrices with their positions in random order, which
hold as much information and no biology.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from lib.arrays import BoolArray, FloatArray
from lib.data.dataset import SequenceDataset
from lib.experiments import assays, mpra_gc_ood, worlds
from lib.experiments.arms import AssayArm
from lib.experiments.assays import GC_DATA, STANDIN, AssayConfig, Design
from lib.experiments.motif_measures import judged_arm, scores_unit, signs, warning_signs
from lib.experiments.priors import Told
from lib.experiments.simulation_shifts import MAIN_MODEL
from lib.experiments.worlds import QUICK, SMOKE, Arm, Condition, Judge
from lib.motifs.binding import scan, score_threshold
from lib.sequences import Codes
from lib.simulator.assay import Assay, digest
from lib.simulator.sample import known_truth, planted_sites
from lib.simulator.shifts import ACTIVE, apply
from lib.statistics.effects import Effect, against, over_replicates
from lib.study.config import Seeds, Tables
from lib.study.units import Store, Unit, run_fits, run_units
from lib.training import attribution
from lib.training.attribution import SCORERS, cover, gradient_input
from lib.training.config import FitConfig

CHANCE_P_VALUE: Final = 1e-4  # at which a window passes for a site
EXAMPLES: Final = 2  # elements whose scores are shown position by position
# Of the retina libraries the networks without a prior of the experiment on priors are read.
RETINA: Final = "retina_libraries"
BEST_AREA: Final = 0.6  # what the best score should reach in distribution
EFFECTS = Effect("auprc_sites", "auprc_sites"), Effect("auprc_change", "auprc_sites", "rise")
FEW: Final = {"models": (MAIN_MODEL,), "other_worlds": 1}
Found = dict[str, pd.DataFrame]  # tables by name


class Config(AssayConfig, worlds.WorldConfig):
    """Parameters of notebook 07; but for quick runs the default assays hold the retina's."""

    experiment: ClassVar[str] = "motif_recovery"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **(SMOKE | FEW),
            **{"n_test": 12, "n_agreement": 50, "shifts": ("gc", "effect_rewiring")},
            **{"dataset": STANDIN, "standin_size": 600, "assay_epochs": 1, "folds": 3},
        },
        "quick": {
            **(QUICK | FEW),
            **{"n_test": 16, "n_agreement": 300, "assay_epochs": 5, "folds": 3, "draws": 200},
            "shifts": ("gc", "motif_density", "effect_rewiring", "cell_type"),
        },
        "full": {"seeds": (0, 1, 2)},
    }

    models: worlds.ModelNames = ("cnn", "bilstm", "transformer")
    world_seeds: Seeds = tuple(range(10))
    other_worlds: int = Field(default=5, ge=1)
    shifts: worlds.ShiftNames = ("all",)
    n_test: int = Field(default=128, ge=EXAMPLES, le=100_000)
    n_agreement: int = Field(default=2_000, ge=20, le=100_000)
    seeds: Seeds = (0, 1)
    assay_epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)

    @property
    def design(self) -> Design:
        """The folds and networks of an assay: those of notebook 02."""
        given = self.model_dump(include={"folds", "split_seed", "seeds", "device"})
        given |= {"epochs": self.assay_epochs, "arm": ["group"]}
        return mpra_gc_ood.Config.create(profile="full", **given).design


class Sites(NamedTuple):
    """Where the truth lies, (n, L) each; ``table`` lists the sites."""

    codes: Codes
    sites: BoolArray  # planted, of a motif that acts
    masked: BoolArray  # there by chance, or planted of a motif that does not act
    table: pd.DataFrame


@lru_cache(maxsize=16)
def true_sites(world_seed: int, condition: Condition, n: int) -> Sites:
    """Sites with an effect in the first ``n`` test elements of a world under a condition."""
    world = worlds.world_of(world_seed)
    shifts = condition.shifts(world)
    program = apply(shifts, world, Assay()).program
    codes = worlds.test_data(world_seed, condition, n).codes
    planted = planted_sites(world, n, worlds.TEST_SEED, shift=shifts)
    acts = np.abs(program.coefficients[: len(program.motifs)]) >= ACTIVE
    motifs = [pwm for pwm, active in zip(program.motifs, acts, strict=True) if active]
    acting = planted["motif"].isin([pwm.name for pwm in motifs])
    hits = scan(codes, motifs, np.array([score_threshold(pwm, CHANCE_P_VALUE) for pwm in motifs]))
    width = np.array([pwm.width for pwm in motifs])[hits["motif"]]
    tables = planted[acting], planted[~acting], hits.assign(end=hits["start"] + width)
    sites, idle, chance = (
        cover(codes.shape, table["element"], table["start"], table["end"]) for table in tables
    )
    return Sites(codes, sites, (idle | chance) & ~sites, planted[acting])


def areas(judge: Judge, condition: Condition) -> dict[str, pd.DataFrame]:
    """Area of each method and its base; at home ``examples``, scores position by position."""
    truth = true_sites(judge.arm.world_seed, condition, judge.sizes.test)
    scores: dict[str, FloatArray] = judge.kept(
        ("scores", condition.sequences),
        lambda: {name: score(judge.network(), truth.codes) for name, score in SCORERS.items()},
    )
    found = {
        name: attribution.auprc_sites(score, truth.sites, truth.masked)
        for name, score in scores.items()
    }
    wide = pd.DataFrame(found, index=pd.Index(["auprc_sites", "auprc_base"], name="metric"))
    tables = {"areas": wide.reset_index().melt("metric", var_name="method")}
    shown = []
    for element, codes in enumerate(truth.codes[:EXAMPLES]):
        motif = np.full(len(codes), "", object)
        for site in truth.table[truth.table["element"] == element].itertuples():
            motif[site.start : site.end] = str(site.motif)
        columns = {"position": np.arange(len(codes)), "code": codes, "motif": motif}
        columns |= {name: score[element] for name, score in scores.items()}
        shown.append(pd.DataFrame(columns).assign(element=element))
    return tables | ({"examples": pd.concat(shown)} if condition == Condition() else {})


def agreements(judge: Judge, condition: Condition) -> dict[str, pd.DataFrame]:
    """Means of :func:`warning_signs` of the networks of a world."""
    test = worlds.test_data(judge.arm.world_seed, condition, judge.settings["n_agreement"])
    networks = [judge.network(name) for name in sorted(judge.stored)]
    scores = [gradient_input(network, test.codes) for network in networks]
    found = signs(networks, scores, test.codes, known_truth(test).activity)
    known = np.isfinite(found["agreed"])
    means = warning_signs(**{name: values[known] for name, values in found.items()}).mean()
    return {"agreements": means.rename("value").rename_axis("metric").reset_index()}


def conditions(config: Config) -> list[Condition]:
    """In distribution and every shift at its highest severity, GC both ways."""
    return worlds.conditions(config.shifts, (1.0,), ("", "low"))


def world_arms(config: Config) -> list[Arm]:
    """The networks of the simulated worlds: those of notebook 01."""
    return [
        Arm(world, model, config.n_train)
        for model in config.models
        for world in config.world_seeds[: None if model == MAIN_MODEL else config.other_worlds]
    ]


def assay_fits(config: Config, arm: AssayArm, store: Store) -> list[list[Unit]]:
    """The units that fit an arm's networks, by member and split; of the retina without a prior."""
    if arm.data.name == RETINA:
        given = config.assay_epochs, config.device, store, config.where
        return [Told(arm, "none").fitting(*given)]
    settings = config.design.settings(arm)
    return [[assays.fitting(own, arm.data, split) for split in arm.splits] for own in settings]


def judge_worlds(config: Config, store: Store) -> Found:
    """Tables of every simulated network."""
    arms, at = world_arms(config), conditions(config)
    fits = run_fits([worlds.fit_arm(arm, config) for arm in arms], store, config.where)
    both, sizes = list(zip(arms, fits, strict=True)), config.parts
    jobs = [worlds.judging(arm, at, sizes, (areas,), {"model": fit}) for arm, fit in both]
    for world in config.world_seeds:
        own = {arm.model: fit for arm, fit in both if arm.world_seed == world}
        given = Arm(world, "all", 0), at, sizes, (agreements,), own
        if len(own) > 1:
            jobs.append(worlds.judging(*given, n_agreement=config.n_agreement))
    return worlds.run_judging(jobs, store, config.where, "worlds")


def judge_assays(config: Config, store: Store, data: Sequence[SequenceDataset]) -> Found:
    """Known motifs, and agreement within ensembles, of the elements that the folds test."""
    arms = [replace(arm, splits=arm.splits[: arm.plan.folds]) for arm in config.design.build(data)]
    units = [assay_fits(config, arm, store) for arm in arms]
    asked = [unit for own in units for member in own for unit in member]
    fits, jobs = iter(run_fits(asked, store, config.where)), []
    for arm, own in zip(arms, units, strict=True):
        made = [[next(fits).model for _ in member] for member in own]
        for split, models in zip(arm.splits, zip(*made, strict=True), strict=True):
            given: dict[str, Any] = {"data": arm.data, "split": split}
            given |= {f"member_{i:02d}": model for i, model in enumerate(models)}
            jobs.append(Unit(scores_unit, {}, given, own[0][0].modules))
    results = iter(run_units(jobs, store, config.where, "assays"))
    tables: dict[str, list[pd.DataFrame]] = {"known_motifs": [], "agreements": []}
    for arm in arms:
        for name, table in judged_arm(arm, [next(results) for _ in arm.splits], config.draws):
            tables[name].append(table.assign(data=arm.data.name))
    return {name: pd.concat(found, ignore_index=True) for name, found in tables.items() if found}


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


def run(config: Config, store: Store) -> Tables:
    """Tables: ``effects`` (areas as contrasts), ``examples`` (simulated), ``known_motifs``."""
    judged = judge_worlds(config, store)
    default = GC_DATA if config.profile == "quick" else (*GC_DATA, RETINA)
    data = assays.load_assays(config.dataset, config.standin_size, default)
    found = judge_assays(config, store, data)
    rows = [tidy_worlds(judged, config)]
    if "agreements" in found:
        keys = {"split": "test", "shift": "", "family": "", "condition": "", "model": MAIN_MODEL}
        rows.append(found["agreements"].drop(columns="variance").assign(**keys, by="", bin=""))
    shown = judged["examples"]
    shown = shown[shown["model"] == config.models[0]]
    shown = shown[shown["replicate"] == config.world_seeds[0]]
    tables = {
        "effects": effects(judged["areas"]),
        "examples": shown[["position", *SCORERS, "element", "code", "motif"]],
    }
    if "known_motifs" in found:
        tables["known_motifs"] = found["known_motifs"]
    table = pd.concat(rows, ignore_index=True)
    table = table.assign(prior="none", uncertainty="single", seed=None, oracle=np.nan)
    marks = {"anchors": digest()} | {assay.name: assay.fingerprint for assay in data}
    return Tables.of(config, table, tables, data=marks)

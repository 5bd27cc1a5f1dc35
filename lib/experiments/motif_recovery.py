"""Do networks find the sites that made the activity, also under shift?

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
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from lib.arrays import BoolArray, FloatArray
from lib.assays.sources import fetch
from lib.data.dataset import Result, SequenceDataset
from lib.data.splits import Split
from lib.experiments import assays, mpra_gc_ood, worlds
from lib.experiments.arms import AssayArm
from lib.metrics.resampling import Resampling, totals
from lib.motifs.binding import scan, score_threshold
from lib.motifs.pwm import PWM, jaspar, make_pwm, read_meme
from lib.sequences import Codes
from lib.simulator.assay import Assay, digest
from lib.simulator.programs import MOTIFS
from lib.simulator.sample import planted_sites
from lib.simulator.shifts import ACTIVE, apply
from lib.statistics.effects import Effect, Estimate, against, over_replicates
from lib.statistics.paired import estimate
from lib.study.config import Seeds, Tables
from lib.study.units import Store, Unit, run_units
from lib.training.attribution import SCORERS, auprc_sites, cover, gradient_input
from lib.training.config import FitConfig
from lib.training.fit import network_of

CHANCE_P_VALUE: Final = 1e-4  # at which a window passes for a site
SITE_P_VALUE: Final = 1e-3  # the same on assays: core promoters are short, few windows reach 1e-4
SHUFFLES: Final = 5
LEAST_SITES: Final = 10  # below it nothing is printed
EXAMPLES: Final = 2  # elements whose scores are shown position by position
KNOWN_MOTIFS: Final[Mapping[str, tuple[str, str]]] = {
    "plant_leaf": ("plant", "data/misc/CPEs.meme"),
}
EFFECTS = Effect("auprc_sites", "auprc_sites"), Effect("auprc_change", "auprc_sites", "rise")
FEW: Final = {"models": (worlds.MAIN_MODEL,), "other_worlds": 1}
Found = dict[str, pd.DataFrame]  # tables by name


class Config(assays.AssayConfig, worlds.WorldConfig):
    """Parameters of notebook 07."""

    experiment: ClassVar[str] = "motif_recovery"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **(worlds.SMOKE | FEW),
            **{"n_test": 12, "shifts": ("gc", "effect_rewiring")},
            **{"dataset": assays.STANDIN, "standin_size": 600, "folds": 3, "assay_epochs": 1},
        },
        "quick": {
            **(worlds.QUICK | FEW),
            **assays.SUBSET,
            **{"n_test": 8, "assay_epochs": 6},
            "shifts": ("gc", "motif_density", "effect_rewiring", "cell_type"),
        },
    }

    models: worlds.ModelNames = ("cnn", "bilstm", "transformer")
    world_seeds: Seeds = tuple(range(100, 110))
    other_worlds: int = Field(default=5, ge=1)
    shifts: worlds.ShiftNames = ("all",)
    n_test: int = Field(default=64, ge=EXAMPLES, le=100_000)
    assay_epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)

    @property
    def design(self) -> assays.Design:
        """The folds and networks of an assay: the first ones of notebook 02."""
        own: dict[str, Any] = {"epochs": self.assay_epochs, "arm": ("group",), "seeds": (0,)}
        return mpra_gc_ood.Config.like(self, **own).design


class Sites(NamedTuple):
    """Where the truth lies, (n, L) each; ``table`` lists the sites."""

    codes: Codes
    sites: BoolArray  # planted, of a motif that acts
    masked: BoolArray  # there by chance, or planted of a motif that does not act
    table: pd.DataFrame


@lru_cache(maxsize=16)
def true_sites(world_seed: int, condition: worlds.Condition, n: int) -> Sites:
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


def _names(sites: Sites, element: int) -> NDArray[np.object_]:
    """Motif of the planted site at each position of an element that acts, or empty, (L,)."""
    names = np.full(sites.codes.shape[1], "", object)
    for site in sites.table[sites.table["element"] == element].itertuples():
        names[site.start : site.end] = str(site.motif)
    return names


def areas(judge: worlds.Judge, condition: worlds.Condition) -> dict[str, pd.DataFrame]:
    """Area of each method and its base; at home ``examples``, scores position by position.

    Their ``motif`` acts at home, ``rewired`` after rewiring, which leaves letters and scores.
    """
    truth = true_sites(judge.arm.world_seed, condition, judge.sizes.test)
    scores: dict[str, FloatArray] = judge.kept(
        ("scores", condition.sequences),
        lambda: {name: score(judge.network(), truth.codes) for name, score in SCORERS.items()},
    )
    found = {name: auprc_sites(score, truth.sites, truth.masked) for name, score in scores.items()}
    wide = pd.DataFrame(found, index=pd.Index(["auprc_sites", "auprc_base"], name="metric"))
    tables = {"areas": wide.reset_index().melt("metric", var_name="method")}
    if condition != worlds.Condition():
        return tables
    after = true_sites(judge.arm.world_seed, worlds.REWIRING, judge.sizes.test)
    shown = []
    for element, codes in enumerate(truth.codes[:EXAMPLES]):
        columns = {"position": np.arange(len(codes)), "code": codes}
        columns |= {"motif": _names(truth, element), "rewired": _names(after, element)}
        columns |= {name: score[element] for name, score in scores.items()}
        shown.append(pd.DataFrame(columns).assign(element=element))
    return tables | {"examples": pd.concat(shown)}


def _cover(data: SequenceDataset, pwm: PWM) -> BoolArray:
    """Positions in windows that reach the threshold, on the forward strand where it matters."""
    hits = scan(data.codes, [pwm], score_threshold(pwm, SITE_P_VALUE))
    hits = hits[hits["strand"] > 0] if data.oriented else hits
    return cover(data.codes.shape, hits["element"], hits["start"], hits["start"] + pwm.width)


def enrichment(
    scores: FloatArray, hits: ArrayLike, control: ArrayLike, plan: Resampling, weights: FloatArray
) -> FloatArray:
    """Mean |score| at hits over that at control hits, as a logarithm, under weights of sets.

    ``hits`` and ``control`` (n, L) say how often a position counts.
    """
    sides = [part for where in (hits, control) for part in (np.abs(scores) * where, where)]
    columns = np.stack([np.sum(part, axis=1) for part in sides], axis=1).astype(float)
    sums = totals(columns, plan.codes, plan.n_sets) @ weights
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(sums[0] / sums[1]) - np.log(sums[2] / sums[3]))


def known_motifs(arm: AssayArm, scores: FloatArray, draws: int) -> pd.DataFrame:
    """:func:`enrichment` of motifs with at least :data:`LEAST_SITES` sites, as a ratio.

    ``scores`` (n, L) are those of the network that tests each row. The motifs are known to matter
    in the assay; where nobody published any, the simulator's. ``n`` elements hold a site.
    """
    rng, rows, named = np.random.default_rng(0), [], KNOWN_MOTIFS.get(arm.data.name)
    tested = arm.parts[0].rows
    test, plan = arm.data.take(tested), arm.plan.take(tested)
    weights = plan.weights(draws, np.random.default_rng(0))
    for pwm in read_meme(fetch(*named)) if named else jaspar(MOTIFS):
        own = _cover(test, pwm)
        orders = [rng.permutation(pwm.width) for _ in range(SHUFFLES)]
        mixed = [make_pwm(pwm.name, pwm.probabilities[:, order]) for order in orders]
        control = np.sum([_cover(test, other) for other in mixed], axis=0)
        found = int(own.any(axis=1).sum())
        if min(found, (control > 0).any(axis=1).sum()) >= LEAST_SITES:
            log_ratio = enrichment(scores[tested], own, control, plan, weights)
            row = dict(zip(Estimate._fields, np.exp(estimate(log_ratio, plan)), strict=True))
            rows.append({"data": arm.data.name, "motif": pwm.name, **row, "n": found})
    table = pd.DataFrame(rows)
    return table[np.isfinite(table["upper"])] if rows else table


def assay_unit(_: Mapping[str, Any], data: SequenceDataset, split: Split, model: Result) -> Result:
    """Scores ``(n, L)`` of a network on what the split tests; NaN elsewhere."""
    scores = np.full(data.codes.shape, np.nan, np.float32)
    codes = data.codes[split["test"]]
    scores[split["test"]] = gradient_input(network_of(model), codes)
    return Result({"scores": scores})


def world_arms(config: Config) -> list[worlds.Arm]:
    """The networks of the simulated worlds: those of notebook 01."""
    return [
        worlds.Arm(world, model, config.n_train)
        for model in config.models
        for world in config.world_seeds[
            : None if model == worlds.MAIN_MODEL else config.other_worlds
        ]
    ]


def judge_assays(config: Config, store: Store, data: Sequence[SequenceDataset]) -> pd.DataFrame:
    """Known motifs of each assay."""
    arms = [replace(arm, splits=arm.splits[: arm.plan.folds]) for arm in config.design.build(data)]
    fitted = assays.fit_arms(arms, config.design.settings, store, config.where)
    jobs = [
        Unit(assay_unit, {}, {"model": fit.model, **fit.unit.data}, fit.unit.modules)
        for one in fitted
        for fit in one.fits[0]
    ]
    results, known = iter(run_units(jobs, store, config.where, "assays")), []
    for arm in (one.arm for one in fitted):
        own = [next(results).arrays["scores"] for _ in arm.splits]
        known.append(known_motifs(arm, np.nansum(own, axis=0), config.draws))
    return pd.concat(known, ignore_index=True)


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


def run(config: Config, store: Store) -> Tables:
    """Tables: ``effects`` (areas as contrasts), ``examples`` (simulated), ``known_motifs``."""
    # In distribution and every shift at its highest severity, GC both ways.
    at = worlds.conditions(config.shifts, (1.0,), ("", "low"))
    plan = [(arm, at) for arm in world_arms(config)]
    judged = worlds.judge_arms(plan, areas, config, store)
    data = assays.load_assays(config.dataset, config.standin_size, assays.GC_DATA, config.elements)
    known = judge_assays(config, store, data)
    keys = ["data", "split", "shift", "family", "severity", "condition", "model", "metric", "bin"]
    found = judged["areas"].assign(bin=judged["areas"]["method"])
    table = over_replicates(found, keys).assign(by="method", n=config.n_test)
    shown = judged["examples"]
    shown = shown[shown["model"] == config.models[0]]
    shown = shown[shown["replicate"] == config.world_seeds[0]]
    tables = {
        "effects": effects(judged["areas"]),
        "examples": shown[["position", *SCORERS, "element", "code", "motif", "rewired"]],
    }
    if len(known):
        tables["known_motifs"] = known
    table = table.assign(prior="none", uncertainty="single", seed=None, oracle=np.nan)
    marks = {"anchors": digest()} | {assay.name: assay.fingerprint for assay in data}
    return Tables(table, tables, marks)

"""What do graded shifts with known truth do to accuracy, calibration and coverage?

In: :class:`Config`. Out: :class:`Tables`. A world is the unit of replication: one network per world
and architecture, trained in distribution, is judged under every shift at every severity, beside the
oracle and the baselines. Some networks are trained on the shifted law instead (``matched``): they
say how much of an error is harder data rather than the shift.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pandas as pd
from pydantic import Field, field_validator
from scipy.stats import norm

from lib.experiments import realism
from lib.experiments.shift_effects import effects, fit_table
from lib.experiments.world_measures import baseline_metrics, coverage_by, severity, treated_metrics
from lib.experiments.worlds import (
    NOISY,
    REWIRING,
    SIMULATED_BASELINES,
    Arm,
    Condition,
    TestedWorldConfig,
    fit_arm,
    judging,
    run_judging,
)
from lib.metrics.evaluate import MIN_BIN
from lib.motifs.pwm import jaspar
from lib.simulator import SHIFTS, dial_table
from lib.simulator.anchors import digest
from lib.simulator.programs import MOTIFS
from lib.simulator.shifts import perturbed
from lib.statistics.effects import over_replicates
from lib.study.config import Names, Numbers, Seeds, Tables, known_names
from lib.study.units import Store, run_fits

MAIN_MODEL = "cnn"
# Arms of the gc shift beside the natural one.
GC_OPTIONS = ("", "low", "neutral")
GC_BLIND = "term_off"
MILD = Condition("gc", 0.25)  # half an in-distribution s.d. of GC
SHOWN_MOTIFS = 3

KEYS = (
    *("data", "split", "shift", "family", "severity", "condition"),
    *("model", "uncertainty", "n_train"),
)
# What is published of treated forecasts, of baselines and smaller samples, and of every world.
TREATED_METRICS = ("picp_50", "picp_80", "picp_90", "picp_95", "mpiw_90", "zms", "crps_gaussian")
FEW_METRICS = (
    *("rmse", "rmse_f", "r2_f", "pearson_r", "crps_gaussian", "nll_gaussian", "zms"),
    *("picp_90", "mpiw_90"),
)
WORLD_METRICS = ("rmse", "zms", "picp_90")


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


def shifted_conditions(config: Config) -> list[Condition]:
    """Every shift at every severity, and rewiring at its fixed distance."""
    found = []
    for name in config.shifts:
        options = GC_OPTIONS if name == "gc" else ("",)
        found += [Condition(name, s, option) for option in options for s in config.severities]
    found += [at for at in (REWIRING, MILD) if at.shift in config.shifts]
    return list(dict.fromkeys(found))


def plan(config: Config) -> list[tuple[Arm, list[Condition]]]:
    """Every network to train, with the conditions it is judged under."""
    worlds, size = config.world_seeds, config.n_train
    everywhere = [Condition(), *shifted_conditions(config)]
    natural = [condition for condition in everywhere if not condition.option]
    # A small sample's network answers for what needs no other sequences than the ID test sample.
    still = [condition for condition in everywhere if not condition.moves_sequences]
    arms = []
    for model in config.models:
        main = model == MAIN_MODEL
        own = worlds if main else worlds[: config.other_worlds]
        arms += [(Arm(w, model, size), everywhere if main else natural) for w in own]
        curve = still if main else [Condition()]
        arms += [(Arm(w, model, n), curve) for n in config.sizes for w in own]
    if MAIN_MODEL not in config.models:
        return arms
    laws = [(Condition(name, 1.0), config.matched_worlds) for name in config.matched]
    laws += [(MILD, config.matched_worlds), (NOISY, config.noise_worlds)]
    for law, count in laws:
        if law.shift in config.shifts:
            arms += [(Arm(w, MAIN_MODEL, size, law), [law]) for w in worlds[:count]]
    if "gc" in config.shifts:
        blind = [Condition("gc", s, GC_BLIND) for s in (0.0, *config.severities)]
        arms += [
            (Arm(w, MAIN_MODEL, size, blind[0]), blind) for w in worlds[: config.matched_worlds]
        ]
    return arms


def judge_all(config: Config, store: Store) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """Tables of networks and baselines, and how many fits there are and were computed."""
    arms = plan(config)
    fits, counts = run_fits([fit_arm(arm, config) for arm, _ in arms], store, config.where)
    jobs = []
    for (arm, conditions), fit in zip(arms, fits, strict=True):
        usual = (arm.model, arm.size, arm.law) == (MAIN_MODEL, config.n_train, Condition())
        measures = (treated_metrics, coverage_by) if usual else (treated_metrics,)
        jobs.append(judging(arm, conditions, config.parts, measures, {"model": fit}))
    plain = [c for c in [Condition(), *shifted_conditions(config)] if not c.option]
    jobs += [
        judging(Arm(world, "", config.n_train), plain, config.parts, (baseline_metrics,))
        for world in config.world_seeds
    ]
    return run_judging(jobs, store, config.where), counts


def severities(config: Config, store: Store) -> pd.DataFrame:
    """Measured severity of every condition, averaged over worlds."""
    conditions = shifted_conditions(config)
    if "gc" in config.shifts:
        conditions += [Condition("gc", s, GC_BLIND) for s in config.severities]
    units = [
        judging(Arm(world, "", 0), conditions, config.parts, (severity,))
        for world in config.world_seeds
    ]
    table = run_judging(units, store, config.where, "severities")["severities"]
    keys = ["shift", "family", "severity", "condition"]
    measured = table.columns[: table.columns.get_loc("data")]  # what is measured comes first
    found: pd.DataFrame = table.groupby(keys, sort=False)[list(measured)].mean().reset_index()
    return found


def tidy_rows(values: pd.DataFrame, measured: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Means over worlds, and three metrics of the main network in each world."""
    values = values.assign(n=config.n_test)
    full = values["n_train"] == config.n_train
    baseline = values["model"].isin(SIMULATED_BASELINES)
    own, main = values["uncertainty"] == "single", values["model"] == MAIN_MODEL
    few, some, treated = (
        values["metric"].isin(names) for names in (FEW_METRICS, WORLD_METRICS, TREATED_METRICS)
    )
    shown = values[(own & (few | (full & ~baseline))) | (full & main & treated)]
    rows = over_replicates(shown, [*KEYS, "metric"], averaged=["oracle", "dial", "n"])
    worlds = values[main & own & some & full].rename(columns={"replicate": "seed"})
    table = pd.concat([rows, worlds.drop(columns=["prior", "entry", "cell"])], ignore_index=True)
    where = ["shift", "severity", "condition"]
    names = {"measured": "severity_measured"}
    table = table.merge(measured[[*where, "measured"]].rename(columns=names), "left", on=where)
    table["severity"] = table.pop("dial").round(4)
    return table.assign(prior="none", by="", bin="", n=table["n"].astype(int))


def coverage_table(table: pd.DataFrame) -> pd.DataFrame:
    """Coverage by decile of GC and of f, means over worlds; never of fewer than ten elements."""
    keys = ["split", "shift", "severity", "condition", "by", "bin"]
    found = over_replicates(table[table["elements"] >= MIN_BIN], keys, averaged=["elements"])
    return found.round({"elements": 0})


def noise_arithmetic(rows: pd.DataFrame) -> pd.DataFrame:
    """The CNN's coverage where noise is raised at test only, beside what arithmetic expects."""
    keep = rows["seed"].isna() & (rows["shift"] == "noise") & (rows["split"] == "shifted")
    keep &= (rows["model"] == MAIN_MODEL) & (rows["uncertainty"] == "single")
    own = rows[keep & (rows["n_train"] == rows["n_train"].max())]
    widths = own[own["metric"] == "mpiw_90"].set_index("severity")
    covered = own[own["metric"] == "picp_90"]
    k = covered["severity"].map(widths["value"] / widths["oracle"])
    return covered.assign(arithmetic=2 * norm.cdf(norm.ppf(0.95) * k) - 1)


def perturbed_motifs(world_seed: int) -> pd.DataFrame:
    """Motifs as PWM perturbation leaves them in a world, position by position."""
    parts = []
    for place, pwm in enumerate(jaspar(MOTIFS)[:SHOWN_MOTIFS]):
        for strength in (0.0, 0.5, 1.0):
            odds = perturbed(pwm, strength, world_seed, place).probabilities.T
            part = pd.DataFrame(odds, columns=list("ACGT"))
            parts.append(part.assign(motif=pwm.name, severity=strength))
    return pd.concat(parts, ignore_index=True)


def derive(rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables that follow from the rows: ``noise_arithmetic``, ``perturbed_motifs``."""
    return {
        "noise_arithmetic": noise_arithmetic(rows),
        "perturbed_motifs": perturbed_motifs(int(rows["seed"].min())),
    }


def run(config: Config, store: Store) -> Tables:
    """Fit, forecast, score; a killed run resumes from the store."""
    judged, counts = judge_all(config, store)
    measured, values = severities(config, store), judged["values"]
    tables = {
        "effects": effects(values, config.n_train, config.draws),
        "severities": measured,
        "dials": dial_table(),
        "coverage_by": coverage_table(judged["coverage_by"]),
        "fits": fit_table(values),
    }
    beside, marks = realism.tables(config.world_seeds, store, config.where)
    rows = tidy_rows(values, measured, config)
    return Tables.of(
        config, rows, tables | beside, data={"anchors": digest()} | marks, counts=counts
    )

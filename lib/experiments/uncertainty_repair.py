"""Which repair of the uncertainty works under which shift?

In: :class:`Config`. Out: :class:`Tables`. Networks of notebook 01 (one per simulated world, trained
in distribution) and of notebook 02 (the GC arms of real assays) are repaired after training, from
calibration elements in distribution or from a few labels of the shifted condition, and judged under
every shift; on assays so is the leading forecaster, and each fold repairs from its own calibration
part what it tests.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from lib.arrays import FloatArray
from lib.data.dataset import SequenceDataset
from lib.data.predictions import of_elements
from lib.experiments import assays, forecasters, mpra_gc_ood, repairs, worlds
from lib.experiments.arms import AssayArm
from lib.experiments.scoring import side_by_side
from lib.simulator.assay import Assay, digest
from lib.simulator.shifts import apply, gc_weights
from lib.statistics.effects import over_replicates
from lib.study.config import Seeds, Tables
from lib.study.units import Store

JUDGED_SHIFTS = (
    *("gc", "motif_density", "effect_rewiring", "cell_type", "pwm_perturbation"),
    *("batch", "depth", "noise"),
)
MOST_DRAWS = 0.9  # share of label draws that must restore coverage


class Config(assays.GCShiftConfig, worlds.WorldConfig):
    """Parameters of notebook 06; those of real assays are as in notebook 02.

    ``labels`` are sizes of the labelled sample of a shifted condition, which restores coverage
    within ``tolerance`` of nominal.
    """

    experiment: ClassVar[str] = "uncertainty_repair"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **worlds.SMOKE,
            **{"shifts": ("gc", "effect_rewiring", "batch"), "severities": (1.0,)},
            **{"world_seeds": (0,), "dataset": assays.STANDIN, "standin_size": 600, "folds": 3},
            **{"gc_bins": 5, "labels": (10, 20, 50), "label_draws": 3},
        },
        "quick": {
            **worlds.QUICK,
            **assays.SUBSET,
            **{"severities": (0.5, 1.0), "gc_bins": 5, "label_draws": 5},
        },
    }

    shifts: worlds.ShiftNames = JUDGED_SHIFTS
    severities: worlds.Dials = (0.25, 0.5, 0.75, 1.0)
    world_seeds: Seeds = tuple(range(100, 110))
    gc_bins: int = Field(default=10, ge=2, le=100)
    labels: Seeds = (10, 20, 50, 100, 200, 500, 1000)
    label_draws: int = Field(default=20, ge=1, le=10_000)
    tolerance: float = Field(default=0.03, gt=0, lt=0.5)

    @field_validator("labels")
    @classmethod
    def _enough(cls, labels: tuple[int, ...]) -> tuple[int, ...]:
        if min(labels) < 10:
            raise ValueError("a 90 % conformal interval needs 9 labels; give sizes of at least 10")
        return tuple(sorted(labels))

    @property
    def settings(self) -> dict[str, Any]:
        """What every part is judged with."""
        return self.model_dump(include={"gc_bins", "labels", "label_draws", "tolerance"})

    @property
    def assays(self) -> mpra_gc_ood.Config:
        """The settings under which notebook 02 fits the same arms; one network of each is taken."""
        usual = mpra_gc_ood.Config.create(profile=self.profile).seeds[:1]
        arms = ("group", "tilt", "tail", "placebo")
        return mpra_gc_ood.Config.like(self, seeds=usual, arm=arms)


def known_weights(
    condition: worlds.Condition, world_seed: int, held: SequenceDataset, test: SequenceDataset
) -> repairs.Weights | None:
    """Density ratio of the sequences at calibration and asked elements; None where not known.

    One everywhere where a shift leaves the law of sequences as it is.
    """
    if condition.sequences == worlds.Condition():
        return np.ones(len(held)), np.ones(len(test))
    if condition.shift != "gc" or condition.option not in ("", "natural", "low"):
        return None
    world = worlds.world_of(world_seed)
    shifted = apply(condition.shifts(world), world, Assay()).sequence
    at_held, at_test = (gc_weights(d.metadata["gc_law"].to_numpy(), shifted) for d in (held, test))
    return at_held, at_test


def repaired(
    learned: Iterable[repairs.Repaired],
    asked: pd.DataFrame,
    settings: Mapping[str, Any],
    rng: np.random.Generator,
) -> repairs.Values:
    """Repairs learned in distribution, and those from labels of what is asked about."""
    budget = repairs.Budget(settings["labels"], settings["label_draws"], settings["tolerance"])
    return repairs.judged(learned, asked) | repairs.labelled(asked, budget, rng)


def repair_world(judge: worlds.Judge, condition: worlds.Condition) -> dict[str, pd.DataFrame]:
    """The measure of a world: ``values`` with those of the oracle.

    ``dial`` is the severity, but empty where worlds turn it differently to reach one distance.
    """
    settings, seed = judge.settings, judge.arm.world_seed
    data, test = judge.part("calibration"), judge.test(condition)
    held, asked = (  # simulated elements have no relatives
        of_elements(d, *judge.forecast(d), truth=True).assign(group=np.arange(len(d)))
        for d in (data, test)
    )
    if condition.shift == "batch":  # every unseen batch is a new condition of its own
        asked["cohort"] = test.metadata["batch"].to_numpy()
    known = known_weights(condition, seed, data, test)
    rng = np.random.default_rng([seed, 1])
    learned = repairs.calibrated(held, asked, settings["gc_bins"], known)
    values = repairs.averages(repaired(learned, asked, settings, rng))
    truth = repairs.gaussian("oracle", *asked[["true_mean", "true_std"]].to_numpy().T)
    best = repairs.averages(repairs.judged([truth], asked)).set_index("metric")["value"]
    dial = round(condition.dial(judge.arm.world), 4)
    keys = {"severity": dial, "dial": np.nan if condition.distance else dial}
    return {"values": values.assign(**keys, oracle=values["metric"].map(best))}


def repair_arm(arm: AssayArm, model: str, forecast: FloatArray, config: Config) -> pd.DataFrame:
    """Values of a forecast ``(2, splits, n)`` on each part of an arm whose groups are a sample."""
    folds = [of_elements(arm.data, *known) for known in forecast.transpose(1, 0, 2)]
    every, tables = of_elements(arm.data, *arm.stitched(forecast)), []
    judged = (part for part in arm.parts if part.split in ("test", "shifted") and part.sampled)
    for place, part in enumerate(judged):
        rows = part.rows[np.argsort(arm.tested[part.rows], kind="stable")]
        learned, asked = [], every.iloc[rows]
        for fold in np.unique(arm.tested[rows]):
            held = folds[fold].iloc[assays.calibration_rows(arm, arm.splits[fold])]
            own = asked[arm.tested[rows] == fold]
            learned.append(repairs.calibrated(held, own, config.gc_bins))
        rng = np.random.default_rng([arm.splits[0].seed, place])
        found = repaired(repairs.by_fold(learned), asked, config.settings, rng)
        table = repairs.averages(found, arm.plan.take(rows), config.draws)
        tables.append(table.assign(data=arm.data.name, model=model, oracle=np.nan, **part.keys))
    return pd.concat(tables)


def combined(simulated: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Rows of both, those of worlds with their t intervals.

    ``condition`` names the variant of a repair too.
    """
    keys = [*repairs.PART, "dial", "uncertainty", "variant", "metric", "by", "bin"]
    means = over_replicates(simulated, ["model", *keys], averaged=["severity", "oracle", "n"])
    means = means.drop(columns="dial").round({"severity": 4, "n": 0}).astype({"n": int})
    rows = pd.concat([means, measured.drop(columns="variance")], ignore_index=True)
    named = (rows["condition"] + ", " + rows["variant"]).str.removeprefix(", ")
    return rows.assign(part=rows["condition"], condition=named.str.removesuffix(", "))


def label_budget(rows: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """Labels of a shifted condition that bring 90 % coverage back to within ``tolerance``.

    ``on_average``: mean coverage over label draws lies within it, 0 where it does so unrepaired;
    ``in_most_draws``: so does a single draw, in at least :data:`MOST_DRAWS` of them. Both are the
    smallest size from which on this holds at every size tried, empty where it never does. The
    interval score stands before repair and with most labels, its oracle beside.
    """
    keys, found = ["data", "model", "split", "shift", "family", "part", "severity"], []
    for key, part in rows.groupby(keys, sort=False):
        own = part[part["uncertainty"] == "few_shot"]
        if own.empty:  # no size of sample could be drawn
            continue
        sizes = own.assign(k=own["variant"].str[2:].astype(int))
        by_size = sizes.pivot(index="k", columns="metric", values="value")
        single = part[part["uncertainty"] == "single"].set_index("metric")
        before = single["value"]
        fine = abs(before["picp_90"] - repairs.LEVEL) <= tolerance
        restored = (by_size["picp_90"] - repairs.LEVEL).abs() <= tolerance
        budget = {
            "uncertainty": "few_shot",
            "coverage_before": before["picp_90"],
            "on_average": 0.0 if fine else repairs.enough(restored),
            "in_most_draws": repairs.enough(by_size["within_tolerance"] >= MOST_DRAWS),
            "most_labels": by_size.index.max(),
            "score_before": before["interval_score_90"],
            "score_after": by_size["interval_score_90"].iloc[-1],
            "score_oracle": single.loc["interval_score_90", "oracle"],
        }
        found.append(dict(zip(keys, key, strict=True)) | budget)
    return pd.DataFrame(found)


def run(config: Config, store: Store) -> Tables:
    """Fit, repair, judge: the table ``label_budget``.

    The rows' column ``variant`` tells apart repairs of one name.
    """
    data, design = mpra_gc_ood.load_data(config.assays), config.assays.design
    at = worlds.conditions(config.shifts, config.severities, fixed=[worlds.REWIRING])
    plan = [(worlds.Arm(seed, config.model, config.n_train), at) for seed in config.world_seeds]
    simulated = worlds.judge_arms(plan, repair_world, config, store, **config.settings)
    given = design.settings, store, config.where
    fitted, jobs = assays.fit_arms(design.build(data), *given), []
    beside = forecasters.members([one.arm for one in fitted], *given, elements=config.elements)
    for arm, own in ((one.arm, {config.model: one.members[0]}) for one in fitted):
        own["leading"] = forecasters.combined(arm, own | beside[arm])["leading"]
        jobs += [(arm, *each, config) for each in own.items()]
    measured = pd.concat(side_by_side(repair_arm, jobs, config.workers), ignore_index=True)
    rows = combined(simulated["values"].assign(model=config.model), measured).assign(prior="none")
    marks = {"anchors": digest()} | {assay.name: assay.fingerprint for assay in data}
    return Tables(rows, {"label_budget": label_budget(rows, config.tolerance)}, marks)

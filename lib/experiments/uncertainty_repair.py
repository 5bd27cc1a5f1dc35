"""Which repair of the uncertainty works under which shift?

In: :class:`Config`. Out: :class:`Tables`. Networks of notebook 01 (one per simulated world, trained
in distribution) and of notebook 02 (the GC arms of real assays) are repaired after training, from
calibration elements in distribution or from a few labels of the shifted condition, and judged under
every shift. Without labels, tests and scores on the sequences try to see the shift.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from lib.arrays import IndexArray
from lib.data.dataset import SequenceDataset
from lib.data.predictions import of_elements
from lib.experiments import repair_tables, repairs
from lib.experiments.assays import STANDIN, AssayConfig, FittedArm, fit_arms
from lib.experiments.mpra_gc_ood import Config as GCConfig
from lib.experiments.mpra_gc_ood import load_data
from lib.experiments.repair_tables import FROM_WEIGHTS
from lib.experiments.scoring import side_by_side
from lib.experiments.worlds import (
    QUICK,
    REWIRING,
    SMOKE,
    Arm,
    Condition,
    Dials,
    Judge,
    ShiftNames,
    WorldConfig,
    fit_arm,
    judging,
    run_judging,
    world_of,
)
from lib.metrics.evaluate import DECILES
from lib.repair.recalibration import one_per_group
from lib.simulator.assay import Assay, digest
from lib.simulator.shifts import apply, gc_weights
from lib.study.config import Numbers, Seeds, Tables
from lib.study.units import Store, run_fits
from lib.training.fit import network_of

JUDGED_SHIFTS = (
    *("gc", "motif_density", "effect_rewiring", "cell_type", "pwm_perturbation"),
    *("batch", "depth", "noise"),
)


class Config(AssayConfig, WorldConfig):
    """Parameters of notebook 06; those of real assays are as in notebook 02.

    ``labels`` are the sizes of the labelled sample of a shifted condition; coverage within
    ``tolerance`` of nominal counts as restored; tests take ``detection_size`` elements per side.
    """

    experiment: ClassVar[str] = "uncertainty_repair"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **SMOKE,
            **{"shifts": ("gc", "effect_rewiring", "batch"), "severities": (1.0,)},
            **{"world_seeds": (0,), "dataset": STANDIN, "standin_size": 600, "split_seeds": (0,)},
            **{"gc_bins": 5, "labels": (10, 20, 50), "label_draws": 3},
            **{"detection_size": 50, "permutations": 100},
        },
        "quick": {
            **QUICK,
            **{"severities": (0.5, 1.0), "split_seeds": (0,), "gc_bins": 5, "label_draws": 5},
            **{"detection_size": 200, "permutations": 200, "draws": 200},
        },
        "full": {"split_seeds": (0, 1, 2, 3, 4)},
    }

    shifts: ShiftNames = JUDGED_SHIFTS
    severities: Dials = (0.25, 0.5, 0.75, 1.0)
    model: str = "cnn"
    world_seeds: Seeds = tuple(range(10))
    gc_quantile: float = Field(default=0.8, gt=0, lt=1)
    gc_tilts: Numbers = (0.5, 1.0, 1.5)
    gc_bins: int = Field(default=10, ge=2, le=100)
    labels: tuple[int, ...] = (10, 20, 50, 100, 200, 500, 1000)
    label_draws: int = Field(default=20, ge=1, le=10_000)
    tolerance: float = Field(default=0.03, gt=0, lt=0.5)
    detection_size: int = Field(default=1000, ge=20, le=100_000)
    permutations: int = Field(default=500, ge=20, le=100_000)

    @field_validator("labels", mode="before")
    @classmethod
    def _from_text(cls, labels: Any) -> Any:
        return labels.strip("()[] ").split(",") if isinstance(labels, str) else labels

    @field_validator("labels")
    @classmethod
    def _enough(cls, labels: tuple[int, ...]) -> tuple[int, ...]:
        if not labels or min(labels) < 10:
            raise ValueError("a 90 % conformal interval needs 9 labels; give sizes of at least 10")
        return tuple(sorted(set(labels)))

    @property
    def settings(self) -> dict[str, Any]:
        """What every part is judged with."""
        named = {"gc_bins", "labels", "label_draws", "tolerance", "detection_size", "permutations"}
        return self.model_dump(include=named)

    @property
    def assays(self) -> GCConfig:
        """The settings under which notebook 02 fits the same arms; one network of each is taken."""
        shared = {"profile", "dataset", "gc_quantile", "gc_tilts", "split_seeds", "model", "epochs"}
        given = self.model_dump(include={*shared, "standin_size", "device"})
        usual = GCConfig.create(profile=self.profile).seeds[:1]
        return GCConfig.create(**given, seeds=usual, arm=("group", "tilt", "tail", "placebo"))


def known_weights(
    condition: Condition, world_seed: int, held: SequenceDataset, test: SequenceDataset
) -> repairs.Weights | None:
    """Density ratio of the sequences at calibration and asked elements; None where not known.

    One everywhere where a shift leaves the law of sequences as it is.
    """
    if condition.sequences == Condition():
        return np.ones(len(held)), np.ones(len(test))
    if condition.shift != "gc" or condition.option not in ("", "natural", "low"):
        return None
    world = world_of(world_seed)
    shifted = apply(condition.shifts(world), world, Assay()).sequence
    at_held, at_test = (gc_weights(d.metadata["gc_law"].to_numpy(), shifted) for d in (held, test))
    return at_held, at_test


def repaired(
    held: pd.DataFrame,
    asked: pd.DataFrame,
    settings: Mapping[str, Any],
    rng: np.random.Generator,
    known: repairs.Weights | None = None,
    cohorts: Sequence[IndexArray] | None = None,
) -> repairs.Values:
    """Every repair, learned in distribution and from labels."""
    learned = repairs.calibrated(held, asked, settings["gc_bins"], known)
    found = repairs.judged(learned, asked, repairs.gc_bins(held, asked, DECILES))
    budget = repairs.Budget(settings["labels"], settings["label_draws"], settings["tolerance"])
    return found | repairs.labelled(asked, budget, rng, cohorts)


def repair_world(judge: Judge, condition: Condition) -> dict[str, pd.DataFrame]:
    """The measure of a world: ``values`` with those of the oracle, and ``detection``.

    ``severity`` is where the dial stands; ``dial`` is so too, but empty where worlds turn it
    differently to reach one distance.
    """
    settings, seed = judge.settings, judge.arm.world_seed
    data, test = judge.part("calibration"), judge.test(condition)
    held, asked = (  # simulated elements have no relatives
        of_elements(d, *judge.forecast(d), truth=True).assign(group=np.arange(len(d)))
        for d in (data, test)
    )
    known = known_weights(condition, seed, data, test)
    # Every unseen batch is a new condition of its own.
    batch = test.metadata["batch"].to_numpy() if condition.shift == "batch" else np.zeros(len(test))
    cohorts = [np.flatnonzero(batch == label) for label in np.unique(batch)]
    rng = np.random.default_rng([seed, 1])
    found = repaired(held, asked, settings, rng, known, cohorts)
    if known is not None:
        own = known[1] / (known[0].sum() + known[1])
        found[repairs.Key("weighted_cp", repairs.KNOWN, FROM_WEIGHTS)] = float(own.mean())
    values = repairs.averages(found)
    oracle = values["metric"].map(repairs.oracle_values(asked)).where(values["by"] == "")

    def tests() -> pd.DataFrame:
        network, most = judge.network(), settings["detection_size"]
        first = np.arange(min(len(held), 2 * most))
        others = np.arange(min(len(asked), most))
        reference = repairs.seen(network, data.codes[first], held.iloc[first], first)
        new = repairs.seen(network, test.codes[others], asked.iloc[others], len(first) + others)
        return repairs.detect(reference, new, settings, seed)

    detection = judge.kept(("detection", test.codes.tobytes()), tests)
    same = np.array_equal(test.codes, judge.test(Condition()).codes)
    dial = round(condition.dial(judge.arm.world), 4)
    keys = {"severity": dial, "dial": np.nan if condition.distance else dial}
    return {
        "values": values.assign(**keys, oracle=oracle.astype(float)),
        "detection": detection.assign(**keys, same_sequences=float(same)),
    }


def _alone(group: IndexArray, rows: IndexArray, most: int, rng: np.random.Generator) -> IndexArray:
    """At most ``most`` of the rows, one per group and none twice.

    Tests need sides alike in everything but the shift. A tilted part holds copies; an element
    stands in with a chance that grows with its copies, so what is tested is tilted a little less.
    """
    distinct, copies = np.unique(rows, return_counts=True)
    alone = one_per_group(group[distinct], rng)
    chance = copies[alone] / copies[alone].sum()
    return distinct[rng.choice(alone, min(most, len(alone)), replace=False, p=chance)]


def repair_arm(
    fitted: FittedArm, settings: Mapping[str, Any], draws: int
) -> dict[str, pd.DataFrame]:
    """``values`` and ``detection`` on each part of an arm, by its first network."""
    data, split, drawn = fitted.arm.data, fitted.arm.split, fitted.arm.calibration
    rng, most = np.random.default_rng([split.seed, 2]), settings["detection_size"]
    every, network = of_elements(data, *fitted.members[0]), network_of(fitted.fits[0][1])
    held = every.iloc[drawn]

    def seen_of(rows: IndexArray, most: int) -> pd.DataFrame:
        own = _alone(data.group, rows, most, rng)
        return repairs.seen(network, data.codes[own], every.iloc[own], data.group[own])

    reference = seen_of(drawn, 2 * most)
    values, detection = [], []
    for part in (part for part in fitted.arm.parts if part.split in ("test", "shifted")):
        keys: dict[str, Any] = {"data": data.name, "split_seed": split.seed, **part.keys}
        keys["n_train"] = len(split["train"])
        asked = every.iloc[part.rows]
        found = repaired(held, asked, settings, rng)
        table = repairs.averages(found, asked["group"], draws, split.seed)
        values.append(table.assign(**keys, oracle=np.nan))
        tests = repairs.detect(reference, seen_of(part.rows, most), settings, split.seed)
        detection.append(tests.assign(**keys))
    return {"values": pd.concat(values), "detection": pd.concat(detection)}


def conditions(config: Config) -> list[Condition]:
    """In distribution, every shift at every severity, and rewiring at its fixed distance."""
    found = [Condition()]
    found += [Condition(name, severity) for name in config.shifts for severity in config.severities]
    if REWIRING.shift in config.shifts:
        found.append(REWIRING)
    return found


def repaired_worlds(config: Config, store: Store) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """``values`` and ``detection`` of all worlds, and how many fits there are and were computed."""
    arms = [Arm(seed, config.model, config.n_train) for seed in config.world_seeds]
    fits, counts = run_fits(
        [fit_arm(arm, config) for arm in arms], store, config.where, "fits of worlds"
    )
    asked, settings = conditions(config), config.settings
    jobs = [
        judging(arm, asked, config.parts, [repair_world], {"model": fit}, **settings)
        for arm, fit in zip(arms, fits, strict=True)
    ]
    return run_judging(jobs, store, config.where, "repaired worlds"), counts


def repaired_assays(
    config: Config, store: Store, data: list[SequenceDataset]
) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """The same of all splits of the assays."""
    design = config.assays.design
    fitted, counts = fit_arms(design.build(data), design, store, config.where)
    jobs = ((one, config.settings, config.draws) for one in fitted)
    tables = side_by_side(repair_arm, jobs, config.workers)
    return {n: pd.concat([t[n] for t in tables], ignore_index=True) for n in tables[0]}, counts


def run(config: Config, store: Store) -> Tables:
    """Fit, repair, judge: tables ``weighted``, ``concept``, ``label_budget`` and ``detection``.

    The rows' column ``variant`` tells apart repairs of one name.
    """
    data = load_data(config.assays)
    worlds, world_fits = repaired_worlds(config, store)
    assays, assay_fits = repaired_assays(config, store, data)
    rows = repair_tables.combined(worlds["values"], assays["values"])
    rows = rows.assign(model=config.model, prior="none")
    tables = {
        "weighted": repair_tables.weighted(worlds["values"]),
        "concept": repair_tables.concept(worlds["values"]),
        "label_budget": repair_tables.label_budget(rows, config.tolerance),
        "detection": repair_tables.detection(worlds["detection"], assays["detection"]),
    }
    counts = {name: world_fits[name] + assay_fits[name] for name in world_fits}
    marks = {"anchors": digest()} | {assay.name: assay.fingerprint for assay in data}
    return Tables.of(config, rows, tables, data=marks, counts=counts, standin=STANDIN in marks)

"""Which repair of the uncertainty works under which shift?

In: :class:`Config`. Out: :class:`Tables`. Networks of notebook 01 (one per simulated world, trained
in distribution) and of notebook 02 (the GC arms of real assays) are repaired after training, from
calibration elements in distribution or from a few labels of the shifted condition, and judged under
every shift. Without labels, tests and scores on the sequences try to see the shift.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pandas as pd
from pydantic import Field, field_validator

from lib.data.dataset import SequenceDataset
from lib.experiments import repair_tables
from lib.experiments.assays import STANDIN, fit_arms, fitting
from lib.experiments.mpra_gc_ood import Config as GCConfig
from lib.experiments.mpra_gc_ood import load_data
from lib.experiments.repair_measures import Settings, repair_arm, repair_world
from lib.experiments.repairs import LEVEL
from lib.experiments.scoring import side_by_side
from lib.experiments.worlds import (
    REWIRING,
    Arm,
    Condition,
    Dials,
    ShiftNames,
    TestedWorldConfig,
    fit_arm,
    judging,
    run_judging,
    training_data,
)
from lib.simulator.anchors import digest
from lib.study.config import Numbers, Seeds, Tables
from lib.study.units import Store, run_fits
from lib.training.config import tuned

JUDGED_SHIFTS = (
    *("gc", "motif_density", "effect_rewiring", "cell_type", "pwm_perturbation"),
    *("batch", "depth", "noise"),
)


class Config(TestedWorldConfig):
    """Parameters of notebook 06.

    Attributes
    ----------
    shifts : tuple of str
        Names of :data:`lib.simulator.SHIFTS`.
    severities : tuple of float
        Points of each shift's dial, above 0 and at most 1.
    model : str
        Network of the simulated worlds and of the assays.
    world_seeds : tuple of int
        Simulated worlds.
    quantile_worlds : int
        Of these, in how many a network with two quantiles is fitted too.
    n_train, n_validation, n_calibration, n_test : int
        Simulated elements per part.
    epochs : int
    dataset, gc_quantile, gc_tilts, split_seeds
        As for :class:`lib.experiments.mpra_gc_ood.Config`.
    standin_size : int
        Elements of the stand-in assay.
    gc_bins : int
        Bins of the Mondrian repair.
    labels : tuple of int
        Sizes of the labelled sample of a shifted condition.
    label_draws : int
        Such samples per size.
    tolerance : float
        How far from nominal coverage still counts as restored.
    detection_size : int
        Elements per side of a test.
    permutations : int
    """

    experiment: ClassVar[str] = "uncertainty_repair"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "shifts": ("gc", "effect_rewiring", "batch"),
            "severities": (1.0,),
            "world_seeds": (0,),
            "n_train": 600,
            "n_validation": 200,
            "n_calibration": 200,
            "n_test": 600,
            "epochs": 1,
            "dataset": STANDIN,
            "standin_size": 600,
            "split_seeds": (0,),
            "gc_bins": 5,
            "labels": (10, 20, 50),
            "label_draws": 3,
            "detection_size": 50,
            "permutations": 100,
            "draws": 100,
        },
        "quick": {
            "severities": (0.5, 1.0),
            "world_seeds": (0, 1, 2),
            "quantile_worlds": 1,
            "n_train": 4000,
            "n_validation": 500,
            "n_calibration": 500,
            "n_test": 2000,
            "epochs": 5,
            "split_seeds": (0,),
            "gc_bins": 5,
            "label_draws": 5,
            "detection_size": 200,
            "permutations": 200,
            "draws": 200,
        },
        "full": {"split_seeds": (0, 1, 2, 3, 4)},
    }

    shifts: ShiftNames = JUDGED_SHIFTS
    severities: Dials = (0.25, 0.5, 0.75, 1.0)
    model: str = "cnn"
    world_seeds: Seeds = tuple(range(10))
    quantile_worlds: int = Field(default=5, ge=0, le=1000)
    dataset: str = "default"
    gc_quantile: float = Field(default=0.8, gt=0, lt=1)
    gc_tilts: Numbers = (0.5, 1.0, 1.5)
    split_seeds: Seeds = (0,)
    standin_size: int = Field(default=6000, ge=200, le=1_000_000)
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
    def settings(self) -> Settings:
        """What every part is judged with."""
        return Settings(*(getattr(self, name) for name in Settings._fields))

    @property
    def assays(self) -> GCConfig:
        """The settings under which notebook 02 fits the same arms; one network of each is taken."""
        shared = {"profile", "dataset", "gc_quantile", "gc_tilts", "split_seeds", "model", "epochs"}
        given = self.model_dump(include={*shared, "standin_size", "device"})
        usual = GCConfig.create(profile=self.profile).seeds[:1]
        return GCConfig.create(**given, seeds=usual, arm=("group", "tilt", "tail", "placebo"))


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
    units = [fit_arm(arm, config) for arm in arms]
    for arm in arms[: config.quantile_worlds]:
        own = {"epochs": config.epochs, "device": config.device, "seed": arm.world_seed}
        two = tuned(arm.model, interval_level=LEVEL, **own)
        units.append(fitting(two, *training_data(arm, config.parts)))
    fits, counts = run_fits(units, store, config.where, "fits of worlds")
    jobs = []
    for index, arm in enumerate(arms):
        named = {"model": fits[index]}
        if index < config.quantile_worlds:
            named["quantiles"] = fits[len(arms) + index]
        asked = conditions(config)
        settings = config.settings._asdict()
        jobs.append(judging(arm, asked, config.parts, [repair_world], named, **settings))
    return run_judging(jobs, store, config.where, "repaired worlds"), counts


def repaired_assays(
    config: Config, store: Store, data: list[SequenceDataset]
) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """The same of all splits of the assays."""
    design = config.assays.design
    fitted, counts = fit_arms(design.build(data), design, store, config.where)
    main = [one for one in fitted if one.arm.main]
    ends = {"interval_level": LEVEL}
    units = [
        fitting(design.settings(one.arm)[0].model_copy(update=ends), one.arm.data, one.arm.split)
        for one in main
    ]
    pairs, more = run_fits(units, store, config.where, "fits of two quantiles")
    found = {id(one): result for one, (_, result) in zip(main, pairs, strict=True)}
    jobs = ((one, found.get(id(one)), config.settings, config.draws) for one in fitted)
    tables = side_by_side(repair_arm, jobs, config.workers)
    stacked = {n: pd.concat([t[n] for t in tables], ignore_index=True) for n in tables[0]}
    return stacked, {name: counts[name] + more[name] for name in counts}


def run(config: Config, store: Store) -> Tables:
    """Fit, repair, judge.

    Parameters
    ----------
    config : Config
    store : Store
        Where finished fits lie; those of notebooks 01 and 02 are reused.

    Returns
    -------
    Tables
        With ``weighted``, ``concept``, ``label_budget``, ``detection``. The rows' column
        ``variant`` tells apart repairs of one name.
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

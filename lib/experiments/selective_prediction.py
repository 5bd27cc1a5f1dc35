"""Does setting the least certain elements aside leave less risk, in distribution and under shift?

In: :class:`Config`. Out: :class:`Tables`. Simulated worlds use the networks of notebook 01, real
assays those of notebook 02, so that a run after these two costs no fit; beside them stand the other
forecasters. On an assay every fold fixes its own thresholds, from its calibration part.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from lib.arrays import FloatArray
from lib.data.predictions import of_elements
from lib.experiments import mpra_gc_ood, worlds
from lib.experiments.arms import AssayArm
from lib.experiments.assays import STANDIN, SUBSET, FittedArm, GCShiftConfig, fit_arms
from lib.experiments.forecasters import combined, members
from lib.experiments.ranking import Rule, all_tables, make_rules, of_folds, rank, scores_of
from lib.experiments.scoring import side_by_side
from lib.simulator.assay import digest
from lib.study.config import Seeds, Tables
from lib.study.units import Store
from lib.training.config import FitConfig

# Forecasters of real assays that are ranked under shift too; in distribution all are.
BESIDE = ("leading", "motif_kernel")


class Config(GCShiftConfig, worlds.WorldConfig):
    """Parameters of notebook 04.

    In ``noise_worlds`` of the worlds a network is trained where noise dominates; ``severities`` are
    those of GC and of noise at test. Those of real assays are as in notebook 02.
    """

    experiment: ClassVar[str] = "selective_prediction"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **worlds.SMOKE,
            **{"severities": (1.0,), "noise_worlds": 1, "assay_epochs": 1},
            **{"dataset": STANDIN, "standin_size": 600, "folds": 3},
        },
        "quick": {
            **worlds.QUICK,
            **SUBSET,
            **{"severities": (0.5, 1.0), "noise_worlds": 1, "assay_epochs": 6},
        },
    }

    world_seeds: Seeds = tuple(range(100, 120))
    noise_worlds: int = Field(default=10, ge=1)
    severities: worlds.Dials = (0.25, 0.5, 0.75, 1.0)
    seeds: Seeds = (0, 1)
    assay_epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)

    @property
    def assays(self) -> mpra_gc_ood.Config:
        """The parameters of notebook 02 whose fits are used."""
        own = {"arm": ("group", "tilt", "tail"), "epochs": self.assay_epochs}
        return mpra_gc_ood.Config.like(self, **own)


def world_arms(config: Config) -> list[tuple[worlds.Arm, list[worlds.Condition]]]:
    """Networks of the simulated worlds, each with the conditions it is judged under."""
    # Of the GC shift both sides, richer and poorer.
    every = worlds.conditions(("gc", "noise"), config.severities, ("", "low"))
    size = config.n_train
    arms = [(worlds.Arm(w, config.model, size), every) for w in config.world_seeds]
    noisy = config.world_seeds[: config.noise_worlds]
    return arms + [(worlds.Arm(w, config.model, size, worlds.NOISY), [worlds.NOISY]) for w in noisy]


def world_keys(arm: worlds.Arm, condition: worlds.Condition) -> dict[str, Any]:
    """Columns of the rows of a network under a condition."""
    keys = arm.keys(condition) | {"cell": "simulation", "uncertainty": "single"}
    point = f"{condition.severity:g}"
    if keys["split"] == "matched":
        keys["condition"] = point = "trained"
    if condition.shift:
        side = ("_low" if condition.option else "_high") if condition.shift == "gc" else ""
        keys["cell"] = f"simulation {condition.shift}{side} {point}"
    return keys


def rank_world(judge: worlds.Judge, condition: worlds.Condition) -> dict[str, pd.DataFrame]:
    """The measure of a world: elements are not resampled, the world is the unit."""
    train, held, test = judge.part("train"), judge.part("calibration"), judge.test(condition)
    rules = make_rules(of_elements(held, *judge.forecast(held)))
    forecast = of_elements(test, *judge.forecast(test), truth=True)
    scores = scores_of(forecast, pd.DataFrame({"target": train.activity, "gc": train.gc}))
    return rank(forecast, scores, rules, world_keys(judge.arm, condition))


def _cell(data: str, keys: Mapping[str, Any]) -> str:
    """How effects name a part of a real assay."""
    exact = keys["condition"] if keys["shift"] == "gc_tilt" else ""
    inside = "inside" if keys["split"] == "inside" else ""
    return " ".join(word for word in (data, keys["shift"], exact, inside) if word)


def _by_fold(
    arm: AssayArm, forecast: FloatArray
) -> tuple[pd.DataFrame, pd.DataFrame, list[list[Rule]]]:
    """What each fold forecasts of the rows it tests, their scores, and the rules of all folds."""
    tables, scores, rules = [], [], []
    for place, split in enumerate(arm.splits[: arm.plan.folds]):
        parts = zip(("std_aleatoric", "std_epistemic"), forecast[2:, place], strict=False)
        known = of_elements(arm.data, *forecast[:2, place]).assign(**dict(parts))
        tables.append(known[arm.tested == place])
        scores.append(scores_of(tables[-1], known.iloc[split["train"]]))
        rules.append(make_rules(known.iloc[split["calibration"]]))
    return pd.concat(tables), pd.concat(scores), rules


def _rank_jobs(
    config: Config, fitted: FittedArm, others: Mapping[str, FloatArray]
) -> Iterator[tuple[Any, ...]]:
    """What :func:`rank` is given for each forecaster and part of an arm."""
    arm, own = fitted.arm, np.stack(fitted.forecast)
    network = own if len(fitted.members) > 1 else own[:2]
    given = {config.model: network, **others, **combined(arm, {config.model: own[:2], **others})}
    for model, forecast in given.items():
        table, scores, rules = _by_fold(arm, forecast)
        kind = fitted.uncertainty if model == config.model else "single"
        keys = {"data": arm.data.name, "model": model, "uncertainty": kind}
        for part in arm.parts:
            if not part.sampled or part.split == "matched":
                continue  # these stand in notebook 02
            if part.shift and model not in (config.model, *BESIDE):
                continue  # the leaderboard is of elements in distribution
            rows, cell = part.rows, {"cell": _cell(arm.data.name, part.keys)}
            fixed, plan = of_folds(rules, arm.tested[rows]), arm.plan.take(rows)
            named = keys | part.keys | cell
            yield table.loc[rows], scores.loc[rows], fixed, named, plan, config.draws


def run(config: Config, store: Store) -> Tables:
    """Fit what no earlier notebook has fitted, forecast, rank and audit.

    Tables: ``effects``, ``audit``, ``curves``; the rows' column ``bin`` is the score.
    """
    data, design = mpra_gc_ood.load_data(config.assays), config.assays.design
    simulated = worlds.judge_arms(world_arms(config), rank_world, config, store)
    arms = design.build(data)
    fitted = fit_arms(arms, design.settings, store, config.where)
    others = members(arms, design.settings, store, config.where, elements=config.elements)
    jobs = (job for one in fitted for job in _rank_jobs(config, one, others[one.arm]))
    rows, tables = all_tables([simulated, *side_by_side(rank, jobs, config.workers)])
    marks = {"anchors": digest()} | {assay.name: assay.fingerprint for assay in data}
    return Tables(rows, tables, marks)

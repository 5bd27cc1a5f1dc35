"""Does setting the least certain elements aside leave less risk, in distribution and under shift?

In: :class:`Config`. Out: :class:`Tables`. Simulated worlds use the networks of notebook 01, real
assays those of notebook 02, so that a run after these two costs no fit.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pandas as pd
from pydantic import Field

from lib.data.predictions import of_elements
from lib.experiments import mpra_gc_ood, worlds
from lib.experiments.assays import REPEATED, STANDIN, FittedArm, GCShiftConfig, fit_arms
from lib.experiments.ranking import all_tables, make_rules, rank, scores_of
from lib.experiments.scoring import side_by_side
from lib.experiments.worlds import NOISY, QUICK, SMOKE, Arm, Condition, Judge
from lib.simulator.assay import digest
from lib.study.config import Seeds, Tables
from lib.study.units import Store
from lib.training.config import FitConfig


class Config(GCShiftConfig, worlds.WorldConfig):
    """Parameters of notebook 04.

    In ``noise_worlds`` of the worlds a network is trained where noise dominates; ``severities`` are
    those of GC and of noise at test; what is kept should not pass the share ``risk_target`` of the
    full risk in distribution. Those of real assays are as in notebook 02.
    """

    experiment: ClassVar[str] = "selective_prediction"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **SMOKE,
            **{"severities": (1.0,), "noise_worlds": 1, "seeds": (0, 1), "assay_epochs": 1},
            **{"dataset": STANDIN, "standin_size": 600},
        },
        "quick": {
            **QUICK,
            **{"severities": (0.5, 1.0), "noise_worlds": 1, "seeds": (0, 1), "assay_epochs": 5},
        },
        "full": REPEATED,
    }

    world_seeds: Seeds = tuple(range(10))
    noise_worlds: int = Field(default=10, ge=1)
    severities: worlds.Dials = (0.25, 0.5, 0.75, 1.0)
    seeds: Seeds = (0, 1)
    assay_epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)
    risk_target: float = Field(default=0.85, gt=0, lt=1)

    @property
    def assays(self) -> mpra_gc_ood.Config:
        """The parameters of notebook 02 whose fits are used."""
        own = {"arm": ("group", "tilt", "tail"), "epochs": self.assay_epochs}
        return mpra_gc_ood.Config.like(self, **own)


def world_arms(config: Config) -> list[tuple[Arm, list[Condition]]]:
    """Networks of the simulated worlds, each with the conditions it is judged under."""
    # Of the GC shift both sides, richer and poorer.
    every = worlds.conditions(("gc", "noise"), config.severities, ("", "low"))
    size = config.n_train
    arms = [(Arm(w, config.model, size), every) for w in config.world_seeds]
    noisy = config.world_seeds[: config.noise_worlds]
    return arms + [(Arm(w, config.model, size, NOISY), [NOISY]) for w in noisy]


def world_keys(arm: Arm, condition: Condition) -> dict[str, Any]:
    """Columns of the rows of a network under a condition."""
    keys = arm.keys(condition) | {"cell": "simulation", "uncertainty": "single"}
    point = f"{condition.severity:g}"
    if keys["split"] == "matched":
        keys["condition"] = point = "trained"
    if condition.shift:
        side = ("_low" if condition.option else "_high") if condition.shift == "gc" else ""
        keys["cell"] = f"simulation {condition.shift}{side} {point}"
    return keys


def rank_world(judge: Judge, condition: Condition) -> dict[str, pd.DataFrame]:
    """The measure of a world: elements are not resampled, the world is the unit."""
    train, held, test = judge.part("train"), judge.part("calibration"), judge.test(condition)
    rules = make_rules(of_elements(held, *judge.forecast(held)), judge.settings["risk_target"])

    forecast = of_elements(test, *judge.forecast(test), truth=True)
    scores = scores_of(forecast, pd.DataFrame({"target": train.activity, "gc": train.gc}))
    return rank(forecast, scores, rules, world_keys(judge.arm, condition))


def _cell(data: str, keys: Mapping[str, Any]) -> str:
    """How effects name a part of a real assay."""
    exact = keys["condition"] if keys["shift"] == "gc_tilt" else ""
    inside = "inside" if keys["split"] == "inside" else ""
    return " ".join(word for word in (data, keys["shift"], exact, inside) if word)


def _rank_jobs(config: Config, fitted: FittedArm) -> Iterator[tuple[Any, ...]]:
    """What :func:`rank` is given for each part of an arm, the draws apart."""
    data, split, every = fitted.arm.data, fitted.arm.split, fitted.table
    home = every.iloc[split["train"]]
    rules = make_rules(every.iloc[split["calibration"]], config.risk_target)
    keys: dict[str, Any] = {"data": data.name, "model": config.model, "replicate": split.seed}
    keys |= {"uncertainty": fitted.uncertainty, "n_train": len(home)}
    for part in fitted.arm.parts:
        if part.split != "matched":  # these stand in notebook 02
            forecast = every.iloc[part.rows]
            named = keys | part.keys | {"cell": _cell(data.name, part.keys)}
            yield forecast, scores_of(forecast, home), rules, named


def run(config: Config, store: Store) -> Tables:
    """Fit what no earlier notebook has fitted, forecast, rank and audit.

    Tables: ``effects``, ``audit``, ``curves``; the rows' column ``bin`` is the score.
    """
    data, design = mpra_gc_ood.load_data(config.assays), config.assays.design
    asked = world_arms(config), rank_world, config, store
    simulated = worlds.judge_arms(*asked, risk_target=config.risk_target)
    fitted = fit_arms(design.build(data), design, store, config.where)
    jobs = enumerate(job for one in fitted for job in _rank_jobs(config, one))
    seeded = ((*job, config.draws, place) for place, job in jobs)
    rows, tables = all_tables([simulated, *side_by_side(rank, seeded, config.workers)])
    marks = {"anchors": digest()} | {assay.name: assay.fingerprint for assay in data}
    return Tables.of(config, rows, tables, data=marks)

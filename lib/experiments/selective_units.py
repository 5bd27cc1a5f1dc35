"""Judging a network of a simulated world under every condition, as a stored unit.

In: an :class:`lib.experiments.sim_arms.Arm`, its fit and the conditions. Out: the tables of
:class:`lib.experiments.selective_measures.Judged`. Elements of a world are not resampled: the world
is the unit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from lib.data.dataset import FloatArray, SequenceDataset
from lib.experiments.selective_measures import Judged, Part, Rule, judge, make_rules
from lib.experiments.selective_scores import (
    Forecast,
    embedding_distance,
    reference_rows,
    scored,
)
from lib.experiments.sim_arms import Arm, Condition, Sizes, test_data, training_data
from lib.study.units import Result, Stored, Unit
from lib.training.fitted import FittedModel, predict


def condition_keys(arm: Arm, condition: Condition) -> dict[str, Any]:
    """Columns of the rows of a network under a condition."""
    trained = arm.law == condition and condition.severity > 0
    shifted = condition.severity > 0
    option = "trained" if trained else condition.name
    cell = "simulation"
    if shifted:
        side = {"gc": "_low" if condition.option == "low" else "_high"}.get(condition.shift, "")
        point = "trained" if trained else f"{condition.severity:g}"
        cell = f"simulation {condition.shift}{side} {point}"
    return {
        "data": "simulation",
        "split": "matched" if trained else "shifted" if shifted else "test",
        "shift": condition.shift,
        "family": condition.family,
        "severity": condition.severity,
        "condition": option,
        "cell": cell,
        "model": arm.model,
        "uncertainty": "single",
    }


class _Forecaster:
    """Forecast and embedding distance; a sample whose sequences were just seen costs nothing."""

    def __init__(self, model: FittedModel, train: SequenceDataset, seed: int, k: int) -> None:
        self.model, self.neighbours = model, k
        self.reference = train.codes[reference_rows(np.arange(len(train)), seed)]
        self.seen: dict[bytes, tuple[Forecast, FloatArray]] = {}

    def __call__(self, data: SequenceDataset) -> tuple[Forecast, FloatArray]:
        key = data.codes.tobytes()
        if key not in self.seen:
            distance = embedding_distance(self.model, self.reference, data.codes, self.neighbours)
            self.seen[key] = predict(self.model, data.codes), distance
        return self.seen[key]


def _rules(
    forecast: Forecast, held: SequenceDataset, spread: float, target: float, seed: int
) -> tuple[Rule, ...]:
    loss = (held.activity - forecast[0]) ** 2
    rng = np.random.default_rng([seed, 1])
    return make_rules(loss, forecast[1], held.group, spread, target, rng)


def judge_unit(config: Mapping[str, Any], model: Stored) -> Result:
    """Tables of a network under each condition, as lists by column in the description."""
    given = dict(config["arm"])
    arm = Arm(**given | {"law": Condition(**given["law"])})
    sizes, seed = Sizes(**config["sizes"]), arm.world_seed
    data, split = training_data(arm, sizes)
    train, held = data.take(split["train"]), data.take(split["calibration"])
    network = FittedModel.from_arrays(model.result.arrays, model.result.meta)
    forecaster = _Forecaster(network, train, seed, config["neighbours"])
    rules = _rules(
        predict(network, held.codes), held, train.activity.std(), config["risk_target"], seed
    )
    judged = []
    for fields in config["conditions"]:
        condition = Condition(**fields)
        test = test_data(seed, condition, sizes.test)
        forecast, distance = forecaster(test)
        mean, scores = scored([forecast], test.gc, distance, (train.activity, train.gc))
        part = Part(
            keys=condition_keys(arm, condition),
            unit=seed,
            mean=mean,
            target=test.activity,
            gc=test.gc,
            group=test.group,
            scores=scores,
            rules=rules,
            n_train=len(train),
            truth=test.truth,
            resampled=False,
        )
        judged.append(judge(part, 0, 0))
    tables = (pd.concat(parts, ignore_index=True) for parts in zip(*judged, strict=True))
    columns = [table.to_dict("list") for table in tables]
    return Result({"world": np.array([seed])}, dict(zip(Judged._fields, columns, strict=True)))


def judging(
    arm: Arm,
    conditions: Sequence[Condition],
    sizes: Sizes,
    settings: Mapping[str, float],
    fit: Unit,
    result: Result,
) -> Unit:
    """The unit that judges a finished fit; ``settings`` are ``neighbours`` and ``risk_target``."""
    config = dict(settings) | {
        "arm": asdict(arm),
        "conditions": [asdict(condition) for condition in conditions],
        "sizes": asdict(sizes),
    }
    return Unit(judge_unit, config, {"model": Stored(result, fit.key)}, fit.modules)


def judged_tables(result: Result) -> Judged:
    """The tables that :func:`judge_unit` stored."""
    return Judged(*(pd.DataFrame(result.meta[name]) for name in Judged._fields))

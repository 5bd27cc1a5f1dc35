"""Repairs and detection in one simulated world, under every condition: a stored unit.

In: a finished network of a world and conditions. Out: a result that :func:`read` turns into two
tables, values by condition and :class:`lib.experiments.repair_scoring.Key`, and by condition and
detector. Closed forms of coverage stand among the values of the repair they are about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from lib.data.dataset import FloatArray, IndexArray, SequenceDataset
from lib.experiments.repair_detection import Seen, detect
from lib.experiments.repair_quantiles import QuantileNetwork, quantile_columns
from lib.experiments.repair_scoring import (
    KNOWN,
    LEVEL,
    Columns,
    Key,
    Part,
    Weights,
    averages,
    calibrated,
    calibrated_columns,
    gc_bins,
    labelled_columns,
    oracle_values,
)
from lib.experiments.sim_arms import Arm, Condition, Sizes, test_data, training_data, world_of
from lib.metrics.scores import coverage_under_scale
from lib.repair.conformal import conformal_quantile
from lib.simulator.assay import Assay
from lib.simulator.sample import known_truth
from lib.simulator.severity import distance
from lib.simulator.shifts import apply, gc_weights
from lib.study.units import Result, Stored, Unit
from lib.training.fitted import FittedModel, embed, predict

DECILES = 10
# Closed forms of the coverage of ``norm_cp`` and what they are made of.
CLOSED = ("coverage_from_truth", "coverage_gaussian", "coverage_from_distance", "distance")
FROM_WEIGHTS = "own_mass"  # mean weight of the asked element itself: room above nominal


def known_weights(
    condition: Condition, world_seed: int, held: SequenceDataset, test: SequenceDataset
) -> Weights | None:
    """Density ratio of the sequences at calibration and asked elements; None where not known.

    One everywhere where a shift leaves the law of sequences as it is.
    """
    if not condition.moves_sequences:
        return np.ones(len(held)), np.ones(len(test))
    if condition.shift != "gc" or condition.option not in ("", "natural", "low"):
        return None
    world = world_of(world_seed)
    shifted = apply(condition.shifts(world), world, Assay()).sequence
    at_held, at_test = (gc_weights(d.metadata["gc_law"].to_numpy(), shifted) for d in (held, test))
    return at_held, at_test


def closed_forms(
    held: Part, asked: Part, truth: tuple[FloatArray, FloatArray], moved: tuple[float, float]
) -> dict[str, float]:
    """Coverage that normalised conformal intervals must have once the law of scores has moved.

    Parameters
    ----------
    held, asked : Part
    truth : (mean, std), (n,) each
        Of the asked elements' measurement.
    moved : (d, E[(new f - old f)^2])
        Measured distance of a concept shift at fixed sequence, relative and absolute; NaN for
        other shifts.

    Returns
    -------
    dict
        ``coverage_from_truth``: exact for Gaussian measurements, the mean over elements of
        P(|y - mean| <= q s). ``coverage_gaussian``: 2 Phi(q / sqrt(E z^2)) - 1, as if z were
        Gaussian. ``coverage_from_distance``: the same with E z^2 forecast from calibration
        elements and the distance alone, E z^2 + E[(new f - old f)^2] E[1 / s^2], as if the change
        were unrelated to the network's error.
    """
    score = np.abs(held.target - held.mean) / held.std
    q = conformal_quantile(score, LEVEL)
    mean, std = truth
    ends = [(asked.mean + side * q * asked.std - mean) / std for side in (-1, 1)]
    found = {"coverage_from_truth": float(np.mean(ndtr(ends[1]) - ndtr(ends[0])))}
    gaussian = q / ndtri((1 + LEVEL) / 2)
    zms = float(np.mean(((asked.target - asked.mean) / asked.std) ** 2))
    found["coverage_gaussian"] = coverage_under_scale(gaussian / zms**0.5, LEVEL)
    relative, absolute = moved
    if np.isfinite(relative):
        forecast = np.mean(score**2) + absolute * np.mean(asked.std**-2)
        found["coverage_from_distance"] = coverage_under_scale(gaussian / forecast**0.5, LEVEL)
        found["distance"] = relative
    return found


class _Network:
    """One network's forecasts; a sample whose sequences it has just seen costs nothing."""

    def __init__(self, stored: Stored, most: int) -> None:
        self.model = FittedModel.from_arrays(stored.result.arrays, stored.result.meta)
        self.most = most
        self.forecasts: dict[bytes, tuple[FloatArray, FloatArray]] = {}
        self.found: dict[bytes, pd.DataFrame] = {}

    def part(self, data: SequenceDataset) -> Part:
        key = data.codes.tobytes()
        if key not in self.forecasts:
            self.forecasts[key] = predict(self.model, data.codes)
        rows = np.arange(len(data))  # simulated elements have no relatives
        return Part(*self.forecasts[key], data.activity, data.gc, rows)

    def seen(self, data: SequenceDataset, part: Part, most: int, first: int = 0) -> Seen:
        rows = slice(0, most)
        number = first + np.arange(min(most, len(data)))
        return Seen(
            part.gc[rows], embed(self.model, data.codes[rows]), part.std[rows], number.astype(int)
        )

    def detect(
        self, held: Seen, data: SequenceDataset, part: Part, permutations: int, seed: int
    ) -> pd.DataFrame:
        """Tests of the sequences alone: computed once for each set of sequences."""
        key = data.codes.tobytes()
        if key not in self.found:
            new = self.seen(data, part, self.most, first=len(held.gc))
            self.found[key] = detect(held, new, self.most, permutations, seed)
        return self.found[key]


def _cohorts(condition: Condition, test: SequenceDataset) -> list[IndexArray]:
    """Rows of each new condition: every unseen batch is one of its own."""
    if condition.shift != "batch":
        return [np.arange(len(test))]
    batch = test.metadata["batch"].to_numpy()
    return [np.flatnonzero(batch == label) for label in np.unique(batch)]


class Settings(NamedTuple):
    """What a world is judged with, see :class:`lib.experiments.uncertainty_repair.Config`."""

    gc_bins: int
    labels: tuple[int, ...]
    repeats: int
    tolerance: float
    detection_size: int
    permutations: int


def _judge(
    condition: Condition, seed: int, held: tuple[Part, SequenceDataset], test: SequenceDataset,
    asked: Part, home: SequenceDataset, settings: Settings, more: Columns,
) -> pd.DataFrame:  # fmt: skip
    part, data = held
    truth = known_truth(test)
    known = known_weights(condition, seed, data, test)
    decile = gc_bins(part, asked, DECILES)[1]
    repairs = calibrated(part, asked, settings.gc_bins, known)
    columns, single = calibrated_columns(repairs, asked, decile)
    from_labels = labelled_columns(
        asked,
        _cohorts(condition, test),
        settings.labels,
        settings.repeats,
        settings.tolerance,
        np.random.default_rng([seed, 1]),
    )
    moved = (np.nan, np.nan)
    if condition.family == "concept":
        old = known_truth(home).activity
        d = distance(old, truth.activity).total
        moved = (d, d * float(old.var()))
    forms = closed_forms(part, asked, (truth.mean, truth.std), moved)
    single |= {Key("norm_cp", "", name): value for name, value in forms.items()}
    if known is not None:
        own = known[1] / (known[0].sum() + known[1])
        single[Key("weighted_cp", KNOWN, FROM_WEIGHTS)] = float(own.mean())
    table = averages(columns | more | from_labels[0], single | from_labels[1])
    oracle = oracle_values((truth.mean, truth.std), asked)
    whole = table["by"] == ""
    return table.assign(oracle=table["metric"].map(oracle).where(whole).astype(float))


def repair_unit(
    config: Mapping[str, Any], model: Stored, quantiles: Stored | None = None
) -> Result:
    """Every condition of a world: values, their oracle values, and detection."""
    arm, conditions, sizes, settings = _read(config)
    seed = arm.world_seed
    data, split = training_data(arm, sizes)
    calibration = data.take(split["calibration"])
    network = _Network(model, settings.detection_size)
    held = network.part(calibration)
    seen = network.seen(calibration, held, 2 * settings.detection_size)
    home = test_data(seed, Condition(), sizes.test)
    pair = None if quantiles is None else QuantileNetwork(quantiles.result)
    values, detection = [], []
    for index, condition in enumerate(conditions):
        test = test_data(seed, condition, sizes.test)
        asked = network.part(test)
        more: Columns = {}
        if pair is not None:
            ends = pair.ends(calibration), pair.ends(test)
            more = quantile_columns(ends[0], held.target, ends[1], asked.target)
        table = _judge(condition, seed, (held, calibration), test, asked, home, settings, more)
        values.append(table.drop(columns=["lower", "upper", "variance"]).assign(condition=index))
        found = network.detect(seen, test, asked, settings.permutations, seed)
        same = bool(np.array_equal(test.codes, home.codes))
        detection.append(found.assign(condition=index, same_sequences=float(same)))
    dial = np.array([condition.dial(world_of(seed)) for condition in conditions])
    return _pack(pd.concat(values), pd.concat(detection), dial)


_TEXT = {"values": list(Key._fields), "detection": ["detector", "quantity"]}
_NUMBERS = {
    "values": ["condition", "value", "n", "oracle"],
    "detection": ["condition", "value", "n", "same_sequences"],
}


def _pack(values: pd.DataFrame, detection: pd.DataFrame, dial: FloatArray) -> Result:
    tables = {"values": values, "detection": detection}
    arrays = {
        f"{name}.{column}": tables[name][column].to_numpy(float)
        for name, columns in _NUMBERS.items()
        for column in columns
    }
    meta = {name: tables[name][columns].to_dict("list") for name, columns in _TEXT.items()}
    return Result(arrays | {"dial": dial}, meta)


def read(
    result: Result, conditions: Sequence[Condition], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Values and detection of one world, with the columns that name a condition.

    ``condition`` is the option of a shift, or the distance aimed at; ``severity`` its dial.
    """
    named = pd.DataFrame(
        {
            "shift": [c.shift for c in conditions],
            "family": [c.family for c in conditions],
            "severity": result.arrays["dial"].round(4),
            "condition": [c.name for c in conditions],
        }
    )
    found = []
    for name, columns in _TEXT.items():
        table = pd.DataFrame({column: result.meta[name][column] for column in columns})
        for column in _NUMBERS[name]:
            table[column] = result.arrays[f"{name}.{column}"]
        where = named.iloc[table.pop("condition").astype(int)].reset_index(drop=True)
        found.append(pd.concat([where, table], axis=1).assign(world=seed))
    return found[0], found[1]


def _read(config: Mapping[str, Any]) -> tuple[Arm, list[Condition], Sizes, Settings]:
    arm = dict(config["arm"])
    law = Condition(**arm.pop("law"))
    conditions = [Condition(**fields) for fields in config["conditions"]]
    settings = Settings(**config["settings"])
    settings = settings._replace(labels=tuple(settings.labels))
    return Arm(**arm, law=law), conditions, Sizes(**config["sizes"]), settings


def repairing(
    arm: Arm,
    conditions: Sequence[Condition],
    sizes: Sizes,
    settings: Settings,
    fit: Unit,
    result: Result,
    quantiles: tuple[Unit, Result] | None = None,
) -> Unit:
    """The unit that judges every repair of a finished fit in its world.

    ``quantiles`` is the finished fit of a network with two quantiles in the same world.
    """
    config = {
        "arm": asdict(arm),
        "conditions": [asdict(condition) for condition in conditions],
        "sizes": asdict(sizes),
        "settings": settings._asdict() | {"labels": list(settings.labels)},
    }
    data = {"model": Stored(result, fit.key)}
    if quantiles is not None:
        data["quantiles"] = Stored(quantiles[1], quantiles[0].key)
    return Unit(repair_unit, config, data, fit.modules)

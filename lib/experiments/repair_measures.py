"""Repairs and detection of one network: in its simulated world, or on the parts of an assay's arm.

In: a judge (:class:`lib.experiments.worlds.Judge`) and a condition, or a fitted arm
(:class:`lib.experiments.assays.FittedArm`). Out: two tables, values by part and
:class:`lib.experiments.repairs.Key`, and by part and detector. Closed forms of coverage stand among
the values of the repair they are about. Calibration elements are one per leak group; the group-wise
repair takes all of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from lib.arrays import IndexArray
from lib.data.dataset import SequenceDataset
from lib.data.predictions import of_elements
from lib.experiments.assays import FittedArm
from lib.experiments.repairs import (
    KNOWN,
    LEVEL,
    Budget,
    Key,
    Weights,
    averages,
    calibrated,
    gc_bins,
    judged,
    labelled,
    oracle_values,
    quantiles,
    triple,
)
from lib.experiments.worlds import Condition, Judge, world_of
from lib.metrics.evaluate import DECILES
from lib.metrics.scores import coverage_under_scale
from lib.repair.detection import (
    ROC,
    ShiftTest,
    Sides,
    centre_distance,
    domain_classifier_test,
    knn_distance,
    mean_distance_test,
    mmd_test,
    shift_table,
)
from lib.repair.recalibration import Interval, conformal_quantile, one_per_group
from lib.sequences import Codes
from lib.simulator.assay import Assay
from lib.simulator.sample import known_truth
from lib.simulator.severity import distance
from lib.simulator.shifts import apply, gc_weights
from lib.study.units import Result
from lib.training.fitted import FittedModel, embed, predict_interval
from lib.training.units import network_of

NEIGHBOURS = 10
EMBEDDING = "embedding "  # how columns of an embedding begin
JUDGED = ("test", "shifted")  # parts of an arm
# Closed forms of the coverage of ``norm_cp`` and what they are made of.
CLOSED = ("coverage_from_truth", "coverage_gaussian", "coverage_from_distance", "distance")
FROM_WEIGHTS = "own_mass"  # mean weight of the asked element itself: room above nominal


class Settings(NamedTuple):
    """What a network is judged with, see :class:`lib.experiments.uncertainty_repair.Config`."""

    gc_bins: int
    labels: tuple[int, ...]
    label_draws: int
    tolerance: float
    detection_size: int
    permutations: int

    @property
    def budget(self) -> Budget:
        """Of repairs by labels."""
        return Budget(tuple(self.labels), self.label_draws, self.tolerance)


def seen(
    network: FittedModel, codes: Codes, forecast: pd.DataFrame, group: IndexArray
) -> pd.DataFrame:
    """What is known of elements before anything is measured: ``gc, std, group`` and embedding."""
    table = pd.DataFrame(embed(network, codes)).add_prefix(EMBEDDING)
    return table.assign(gc=forecast["gc"].to_numpy(), std=forecast["std"].to_numpy(), group=group)


def detect(held: pd.DataFrame, new: pd.DataFrame, settings: Settings, seed: int) -> pd.DataFrame:
    """Tests of held against new elements, and how well scores tell the two apart.

    Targets never enter, so a shift that leaves sequences as they are leaves every value as it is.
    A half of ``held`` is the reference of tests and scores, the other the in-distribution side of
    ``auroc``. Columns ``detector, quantity, value, n``: ``statistic`` and ``p`` of a test,
    ``auroc`` of a score.
    """
    rng, most = np.random.default_rng(seed), settings.detection_size
    order = rng.permutation(len(held))
    half = min(len(order) // 2, most)
    reference, inside = (
        held.iloc[np.sort(rows)] for rows in (order[:half], order[half : 2 * half])
    )
    size = min(len(new), most)
    asked = new.iloc[np.sort(rng.choice(len(new), size, replace=False))]
    place = [name for name in held if str(name).startswith(EMBEDDING)]
    gc, embedding = ((reference[one], asked[one]) for one in ("gc", place))
    tests: list[tuple[str, str, Callable[..., ShiftTest], Sides]] = [
        ("classifier on GC", "statistic", domain_classifier_test, gc),
        ("classifier on embedding", "statistic", domain_classifier_test, embedding),
        ("MMD of embedding", "statistic", mmd_test, embedding),
        ("mean embedding", "statistic", mean_distance_test, embedding),
    ]
    near = min(NEIGHBOURS, half)

    def scores(side: pd.DataFrame) -> dict[str, ArrayLike]:
        return {
            "GC distance": centre_distance(reference["gc"], side["gc"]),
            "embedding distance": knn_distance(reference[place], side[place], near),
            "predicted std": side["std"],
        }

    pairs = zip(scores(inside).items(), scores(asked).values(), strict=True)
    groups = reference["group"], asked["group"]
    told = {name: (left, right) for (name, left), right in pairs}
    table = shift_table(tests, told, rng, groups, settings.permutations)
    first = table.rename(columns={"seen": "detector", "detector": "quantity", "statistic": "value"})
    first["quantity"] = first["quantity"].replace(ROC, "auroc")
    p = first.dropna(subset="p").assign(quantity="p", value=first["p"])
    return pd.concat([first, p], ignore_index=True).drop(columns="p").assign(n=size)


def known_weights(
    condition: Condition, world_seed: int, held: SequenceDataset, test: SequenceDataset
) -> Weights | None:
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


def closed_forms(
    held: pd.DataFrame, asked: pd.DataFrame, moved: tuple[float, float] | None = None
) -> dict[str, float]:
    """Coverage that normalised conformal intervals must have once the law of scores has moved.

    ``coverage_from_truth``: exact for Gaussian measurements, the mean over elements of
    P(|y - mean| <= q s). ``coverage_gaussian``: 2 Phi(q / sqrt(E z^2)) - 1, as if z were Gaussian.
    ``coverage_from_distance``: the same with E z^2 forecast from calibration elements and the
    distance alone, E z^2 + E[(new f - old f)^2] E[1 / s^2], as if the change were unrelated to the
    network's error. ``moved`` is the distance of a concept shift at fixed sequence, d and
    E[(new f - old f)^2].
    """
    mean, std, target = triple(held)
    score = np.abs(target - mean) / std
    q = conformal_quantile(score, LEVEL)
    mean, std, target = triple(asked)
    truth = asked["true_mean"].to_numpy(), asked["true_std"].to_numpy()
    low, high = (ndtr((mean + side * q * std - truth[0]) / truth[1]) for side in (-1, 1))
    gaussian = q / ndtri((1 + LEVEL) / 2)
    zms = float(np.mean(((target - mean) / std) ** 2))
    found = {
        "coverage_from_truth": float(np.mean(high - low)),
        "coverage_gaussian": coverage_under_scale(gaussian / zms**0.5, LEVEL),
    }
    if moved is not None:
        forecast = np.mean(score**2) + moved[1] * np.mean(std**-2)
        found["coverage_from_distance"] = coverage_under_scale(gaussian / forecast**0.5, LEVEL)
        found["distance"] = moved[0]
    return found


def _moved(judge: Judge, condition: Condition) -> tuple[float, float] | None:
    """How far a concept shift moves the activity of the same sequences, relative and absolute."""
    if condition.family != "concept":
        return None
    old, new = (known_truth(judge.test(c)).activity for c in (Condition(), condition))
    d = distance(old, new).total
    return d, d * float(old.var())


def _cohorts(condition: Condition, test: SequenceDataset) -> list[IndexArray] | None:
    """Rows of each new condition: every unseen batch is one of its own."""
    if condition.shift != "batch":
        return None
    batch = test.metadata["batch"].to_numpy()
    return [np.flatnonzero(batch == label) for label in np.unique(batch)]


def _forecast(judge: Judge, data: SequenceDataset) -> pd.DataFrame:
    """Simulated elements have no relatives."""
    forecast = of_elements(data, *judge.forecast(data), truth=True)
    return forecast.assign(group=np.arange(len(data)))


def repair_world(judge: Judge, condition: Condition) -> dict[str, pd.DataFrame]:
    """The measure of a world: ``values`` with those of the oracle, and ``detection``.

    ``severity`` is where the dial stands; ``dial`` is so too, but empty where worlds turn it
    differently to reach one distance.
    """
    settings, seed = Settings(**judge.settings), judge.arm.world_seed
    data, test = judge.part("calibration"), judge.test(condition)
    held, asked = _forecast(judge, data), _forecast(judge, test)
    known = known_weights(condition, seed, data, test)
    repairs = calibrated(held, asked, settings.gc_bins, known)
    found = judged(repairs, asked, gc_bins(held, asked, DECILES))
    if "quantiles" in judge.stored:
        ends = [_ends(judge, each) for each in (data, test)]
        found |= judged(quantiles(ends[0], held["target"].to_numpy(), ends[1]), asked)
    rng = np.random.default_rng([seed, 1])
    found |= labelled(asked, settings.budget, rng, _cohorts(condition, test))
    for name, value in closed_forms(held, asked, _moved(judge, condition)).items():
        found.single[Key("norm_cp", "", name)] = value
    if known is not None:
        own = known[1] / (known[0].sum() + known[1])
        found.single[Key("weighted_cp", KNOWN, FROM_WEIGHTS)] = float(own.mean())
    values = averages(found)
    oracle = values["metric"].map(oracle_values(asked)).where(values["by"] == "")

    def tests() -> pd.DataFrame:
        network, most = judge.network(), settings.detection_size
        first = np.arange(min(len(held), 2 * most))
        others = np.arange(min(len(asked), most))
        reference = seen(network, data.codes[first], held.iloc[first], first)
        new = seen(network, test.codes[others], asked.iloc[others], len(first) + others)
        return detect(reference, new, settings, seed)

    detection = judge.kept(("detection", test.codes.tobytes()), tests)
    same = np.array_equal(test.codes, judge.test(Condition()).codes)
    dial = round(condition.dial(judge.arm.world), 4)
    keys = {"severity": dial, "dial": np.nan if condition.distance else dial}
    return {
        "values": values.assign(**keys, oracle=oracle.astype(float)),
        "detection": detection.assign(**keys, same_sequences=float(same)),
    }


def _ends(judge: Judge, data: SequenceDataset) -> Interval:
    """The interval that the network with two quantiles forecasts of each element."""
    network = judge.network("quantiles")
    key = "quantiles", data.codes.tobytes()
    return judge.kept(key, lambda: Interval(*predict_interval(network, data.codes)))


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
    fitted: FittedArm, pair: Result | None, settings: Settings, draws: int
) -> dict[str, pd.DataFrame]:
    """``values`` and ``detection`` on each part of an arm, by its first network.

    ``pair`` is the fit of a network with two quantiles, where there is one.
    """
    data, split = fitted.arm.data, fitted.arm.split
    rng, drawn = np.random.default_rng([split.seed, 2]), fitted.arm.calibration
    every = of_elements(data, *fitted.members[0])
    held, relatives = every.iloc[drawn], every.iloc[split["calibration"]]
    network, most = network_of(fitted.fits[0][1]), settings.detection_size

    def seen_of(rows: IndexArray, most: int) -> pd.DataFrame:
        own = _alone(data.group, rows, most, rng)
        return seen(network, data.codes[own], every.iloc[own], data.group[own])

    reference = seen_of(drawn, 2 * most)
    tables: dict[str, list[pd.DataFrame]] = {"values": [], "detection": []}
    for part in fitted.arm.parts:
        if part.split not in JUDGED:
            continue
        asked = every.iloc[part.rows]
        repairs = calibrated(held, asked, settings.gc_bins, relatives=relatives)
        found = judged(repairs, asked, gc_bins(held, asked, DECILES))
        if pair is not None:
            two = network_of(pair)
            codes = data.codes[drawn], data.codes[part.rows]
            ends = [Interval(*predict_interval(two, each)) for each in codes]
            found |= judged(quantiles(ends[0], held["target"].to_numpy(), ends[1]), asked)
        found |= labelled(asked, settings.budget, rng)
        new = seen_of(part.rows, most)
        keys: dict[str, Any] = {"data": data.name, "split_seed": split.seed, **part.keys}
        keys["n_train"] = len(split["train"])
        values = averages(found, asked["group"], draws, split.seed)
        tables["values"].append(values.assign(**keys, oracle=np.nan))
        detection = detect(reference, new, settings, split.seed)
        tables["detection"].append(detection.assign(**keys))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}

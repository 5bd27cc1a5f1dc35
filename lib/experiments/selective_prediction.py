"""Does setting the least certain elements aside leave less risk, in distribution and under shift?

In: :class:`Config`. Out: :class:`Tables`. Simulated worlds use the networks of notebook 01, real
assays those of notebook 02, so that a run after these two costs no fit.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from lib.arrays import FloatArray, IndexArray
from lib.data.dataset import SequenceDataset
from lib.data.predictions import of_elements
from lib.experiments import mpra_gc_ood
from lib.experiments.assays import STANDIN, FittedArm, fit_arms
from lib.experiments.ranking import Ranked, make_rules, rank, scores_of
from lib.experiments.ranking_tables import all_tables
from lib.experiments.scoring import side_by_side
from lib.experiments.worlds import (
    NOISY,
    Arm,
    Condition,
    Dials,
    Judge,
    TestedWorldConfig,
    fit_arm,
    judging,
    run_judging,
)
from lib.repair.detection import knn_distance
from lib.sequences import Codes
from lib.simulator.anchors import digest
from lib.study.config import Numbers, Seeds, Tables
from lib.study.units import Result, Store, Stored, Unit, run_fits, run_units
from lib.training.config import FitConfig
from lib.training.fitted import FittedModel, embed
from lib.training.units import Elements, network_of

SIDES = ("", "low")  # of the GC shift: richer, poorer
JUDGED = ("test", "inside", "shifted")  # parts of the split arms; matched ones stand in notebook 02
REFERENCE = 2000  # training elements that the embedding distance is measured from


class Config(TestedWorldConfig):
    """Parameters of notebook 04.

    Attributes
    ----------
    model : str
        A name of :data:`lib.models.MODELS`, or a network of one's own with ``embed``.
    world_seeds : tuple of int
        Simulated worlds.
    noise_worlds : int
        Of these, in how many a network is trained where noise dominates.
    severities : tuple of float
        Points of the dials of the GC shift and of the noise at test.
    dataset, split_seeds, seeds, members, gc_quantile, gc_tilts, standin_size
        Of the real assays, see :class:`lib.experiments.mpra_gc_ood.Config`.
    assay_epochs : int
        Epochs on the real assays.
    risk_target : float in (0, 1)
        Share of the full risk in distribution that what is kept should not pass.
    neighbours : int
        Of the embedding distance.
    """

    experiment: ClassVar[str] = "selective_prediction"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "world_seeds": (0, 1),
            "noise_worlds": 1,
            "severities": (1.0,),
            "n_train": 600,
            "n_validation": 200,
            "n_calibration": 200,
            "n_test": 600,
            "epochs": 1,
            "dataset": STANDIN,
            "standin_size": 600,
            "seeds": (0, 1),
            "assay_epochs": 1,
            "draws": 100,
        },
        "quick": {
            "world_seeds": (0, 1, 2),
            "noise_worlds": 1,
            "severities": (0.5, 1.0),
            "n_train": 4000,
            "n_validation": 500,
            "n_calibration": 500,
            "n_test": 2000,
            "epochs": 5,
            "seeds": (0, 1),
            "assay_epochs": 5,
        },
        "full": {"split_seeds": (0, 1, 2, 3, 4), "seeds": (0, 1, 2, 3, 4)},
    }

    model: str = "cnn"
    world_seeds: Seeds = tuple(range(10))
    noise_worlds: int = Field(default=10, ge=1)
    severities: Dials = (0.25, 0.5, 0.75, 1.0)
    dataset: str = "default"
    split_seeds: Seeds = (0,)
    seeds: Seeds = (0, 1)
    members: int = Field(default=1, ge=1, le=100)
    gc_quantile: float = Field(default=0.8, gt=0, lt=1)
    gc_tilts: Numbers = (0.5, 1.0, 1.5)
    assay_epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)
    standin_size: int = Field(default=6000, ge=200, le=1_000_000)
    risk_target: float = Field(default=0.85, gt=0, lt=1)
    neighbours: int = Field(default=10, ge=1, le=1000)

    @property
    def assays(self) -> mpra_gc_ood.Config:
        """The parameters of notebook 02 whose fits are used."""
        shared = ("dataset", "split_seeds", "seeds", "members", "gc_quantile", "gc_tilts")
        more = ("profile", "model", "standin_size", "draws", "device")
        given = {name: getattr(self, name) for name in (*shared, *more)}
        arms = ("group", "tilt", "tail")
        return mpra_gc_ood.Config.create(**given, arm=arms, epochs=self.assay_epochs)


def reference_rows(train: IndexArray, seed: int) -> IndexArray:
    """At most :data:`REFERENCE` training rows, drawn by ``seed``."""
    if len(train) <= REFERENCE:
        return train
    return np.sort(np.random.default_rng(seed).choice(train, REFERENCE, replace=False))


def embedding_distance(
    model: FittedModel, reference: Codes, codes: Codes, neighbours: int
) -> FloatArray:
    """Mean distance to the nearest reference elements in the network's embedding, ``(n,)``.

    Each dimension is divided by its standard deviation over the reference. Source: Sun et al. 2022
    (2204.06507), there with vectors of unit length.
    """
    known, new = embed(model, reference), embed(model, codes)
    spread = known.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    return knn_distance(known / spread, new / spread, min(neighbours, len(known)))


def world_arms(config: Config) -> list[tuple[Arm, list[Condition]]]:
    """Networks of the simulated worlds, each with the conditions it is judged under."""
    shifted = [Condition("gc", s, side) for side in SIDES for s in config.severities]
    shifted += [Condition("noise", s) for s in config.severities]
    size = config.n_train
    arms = [(Arm(w, config.model, size), [Condition(), *shifted]) for w in config.world_seeds]
    noisy = config.world_seeds[: config.noise_worlds]
    return arms + [(Arm(w, config.model, size, NOISY), [NOISY]) for w in noisy]


def world_keys(arm: Arm, condition: Condition) -> dict[str, Any]:
    """Columns of the rows of a network under a condition."""
    keys = arm.keys(condition) | {"cell": "simulation", "uncertainty": "single"}
    if keys["split"] == "matched":
        keys["condition"] = "trained"
    if condition.shift:
        side = {"gc": "_low" if condition.option == "low" else "_high"}.get(condition.shift, "")
        point = "trained" if keys["split"] == "matched" else f"{condition.severity:g}"
        keys["cell"] = f"simulation {condition.shift}{side} {point}"
    return keys


def rank_world(judge: Judge, condition: Condition) -> dict[str, pd.DataFrame]:
    """The measure of a world: elements are not resampled, the world is the unit."""
    train, seed, asked = judge.part("train"), judge.arm.world_seed, judge.settings
    held, test = judge.part("calibration"), judge.test(condition)
    rules = judge.kept(
        "rules",
        lambda: make_rules(
            of_elements(held, *judge.forecast(held)),
            float(train.activity.std()),
            asked["risk_target"],
            np.random.default_rng([seed, 1]),
        ),
    )
    reference = train.codes[reference_rows(np.arange(len(train)), seed)]
    distance = judge.kept(
        ("distance", test.codes.tobytes()),
        lambda: embedding_distance(judge.network(), reference, test.codes, asked["neighbours"]),
    )
    forecast = of_elements(test, *judge.forecast(test), truth=True)
    forecast["embedding_distance"] = distance
    home = pd.DataFrame({"target": train.activity, "gc": train.gc})
    scores = scores_of(forecast, home)
    return rank(forecast, scores, rules, world_keys(judge.arm, condition))._asdict()


def rank_worlds(config: Config, store: Store) -> tuple[Ranked, dict[str, int]]:
    """Tables of every simulated network, and how many fits there are and were computed now."""
    arms = world_arms(config)
    fits, counts = run_fits([fit_arm(arm, config) for arm, _ in arms], store, config.where)
    asked = {"neighbours": config.neighbours, "risk_target": config.risk_target}
    units = [
        judging(arm, conditions, config.parts, [rank_world], {"model": fit}, **asked)
        for (arm, conditions), fit in zip(arms, fits, strict=True)
    ]
    return Ranked(**run_judging(units, store, config.where)), counts


def distance_unit(
    config: Mapping[str, Any], model: Stored, reference: Elements, elements: Elements
) -> Result:
    """Array ``distance``, (n,): :func:`embedding_distance` of ``elements``."""
    codes = reference.codes, elements.codes
    return Result({"distance": embedding_distance(network_of(model), *codes, **config)})


def _judged_rows(fitted: FittedArm) -> IndexArray:
    parts = [part.rows for part in fitted.arm.parts if part.split in JUDGED]
    return np.unique(np.concatenate(parts))


def _distances(
    config: Config, store: Store, fitted: Sequence[FittedArm]
) -> Iterator[tuple[FittedArm, FloatArray]]:
    """Each arm with the embedding distance of its judged rows (NaN elsewhere)."""
    units = []
    for one in fitted:
        codes, split, (fit, result) = one.arm.data.codes, one.arm.split, one.fits[0]
        given = {
            "model": Stored(result, fit.key),
            "reference": Elements(codes[reference_rows(split["train"], split.seed)]),
            "elements": Elements(codes[_judged_rows(one)]),
        }
        asked = {"neighbours": config.neighbours}
        units.append(Unit(distance_unit, asked, given, fit.modules))
    found = run_units(units, store, config.where, "distances")
    for one, result in zip(fitted, found, strict=True):
        distance = np.full(len(one.arm.data), np.nan)
        distance[_judged_rows(one)] = result.arrays["distance"]
        yield one, distance


def _cell(data: str, keys: Mapping[str, Any]) -> str:
    """How effects name a part of a real assay."""
    exact = keys["condition"] if keys["shift"] == "gc_tilt" else ""
    inside = "inside" if keys["split"] == "inside" else ""
    return " ".join(str(word) for word in (data, keys["shift"], exact, inside) if word)


def _rank_jobs(
    config: Config, fitted: FittedArm, distance: FloatArray
) -> Iterator[tuple[Any, ...]]:
    """What :func:`rank` is given for each part of an arm, the draws apart."""
    data, split = fitted.arm.data, fitted.arm.split
    every = fitted.table.assign(embedding_distance=distance)
    home, held = every.iloc[split["train"]], every.iloc[split["calibration"]]
    spread, rng = float(home["target"].std(ddof=0)), np.random.default_rng([split.seed, 1])
    rules = make_rules(held, spread, config.risk_target, rng)
    keys: dict[str, Any] = {"data": data.name, "model": config.model, "replicate": split.seed}
    keys |= {"uncertainty": fitted.uncertainty, "n_train": len(home)}
    for part in fitted.arm.parts:
        if part.split in JUDGED:
            forecast = every.iloc[part.rows]
            named = keys | part.keys | {"cell": _cell(data.name, part.keys)}
            yield forecast, scores_of(forecast, home), rules, named


def rank_assays(
    config: Config, store: Store, data: list[SequenceDataset]
) -> tuple[list[Ranked], dict[str, int]]:
    """Tables of every split arm, and how many fits there are and were computed now."""
    design = config.assays.design
    fitted, counts = fit_arms(design.build(data), design, store, config.where)
    jobs = [
        job
        for one, distance in _distances(config, store, fitted)
        for job in _rank_jobs(config, one, distance)
    ]
    seeded = ((*job, config.draws, place) for place, job in enumerate(jobs))
    return side_by_side(rank, seeded, config.workers), counts


def run(config: Config, store: Store) -> Tables:
    """Fit what no earlier notebook has fitted, forecast, rank and audit.

    Parameters
    ----------
    config : Config
    store : Store
        Where finished units lie; a killed run resumes from it.

    Returns
    -------
    Tables
        With ``effects``, ``audit``, ``curves``, ``rejected``. The rows' column ``bin`` names the
        score.
    """
    data = mpra_gc_ood.load_data(config.assays)
    worlds, world_counts = rank_worlds(config, store)
    assays, assay_counts = rank_assays(config, store, data)
    rows, tables = all_tables([worlds, *assays])
    counts = {name: world_counts[name] + assay_counts[name] for name in world_counts}
    marks = {"anchors": digest()} | {assay.name: assay.fingerprint for assay in data}
    standin = STANDIN in marks
    return Tables.of(config, rows, tables, data=marks, counts=counts, standin=standin)

"""Does setting the least certain elements aside leave less risk, in distribution and under shift?

In: :class:`Config`. Out: :class:`Tables`. Simulated worlds use the networks of notebook 01, real
assays those of notebook 02, so that a run after these two costs no fit.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from pydantic import Field

from lib.data.dataset import FloatArray, IndexArray, SequenceDataset
from lib.experiments import mpra_gc_ood
from lib.experiments.fits import fitting, forecast, predicting
from lib.experiments.gc_arms import Arm as SplitArm
from lib.experiments.gc_arms import build_arms
from lib.experiments.selective_measures import Judged, Part, judge, make_rules
from lib.experiments.selective_scores import Forecast, distancing, reference_rows, scored
from lib.experiments.selective_tables import all_tables
from lib.experiments.selective_units import judged_tables, judging
from lib.experiments.sim_arms import Arm, Condition, training_data
from lib.experiments.tuning import tuned
from lib.experiments.world_config import TestedWorldConfig
from lib.simulator.anchors import digest
from lib.study.config import Numbers, Seeds
from lib.study.found import Tables
from lib.study.units import Result, Store, Unit, cores, missing_units, run_units
from lib.training.config import FitConfig

NOISY = Condition("noise", 1.0)
SIDES = ("", "low")  # of the GC shift: richer, poorer
JUDGED = ("test", "inside", "shifted")  # parts of the split arms; matched ones stand in notebook 02


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
            "dataset": mpra_gc_ood.STANDIN,
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
    severities: Numbers = (0.25, 0.5, 0.75, 1.0)
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


def world_arms(config: Config) -> list[tuple[Arm, list[Condition]]]:
    """Networks of the simulated worlds, each with the conditions it is judged under."""
    shifted = [Condition("gc", s, side) for side in SIDES for s in config.severities]
    shifted += [Condition("noise", s) for s in config.severities]
    size = config.n_train
    arms = [(Arm(w, config.model, size), [Condition(), *shifted]) for w in config.world_seeds]
    noisy = config.world_seeds[: config.noise_worlds]
    return arms + [(Arm(w, config.model, size, NOISY), [NOISY]) for w in noisy]


def judge_worlds(config: Config, store: Store) -> tuple[list[Judged], dict[str, int]]:
    """Tables of every simulated network, and how many fits there are and were computed now."""
    arms = world_arms(config)
    fits = []
    for arm, _ in arms:
        settings = tuned(arm.model, epochs=config.epochs, device=config.device, seed=arm.world_seed)
        fits.append(fitting(settings, *training_data(arm, config.parts)))
    missing = missing_units(fits, store)
    fitted = run_units(fits, store, config.where, "fits")
    settings_used = {"neighbours": config.neighbours, "risk_target": config.risk_target}
    units = [
        judging(arm, conditions, config.parts, settings_used, unit, result)
        for (arm, conditions), unit, result in zip(arms, fits, fitted, strict=True)
    ]
    found = run_units(units, store, config.where, "judged")
    counts = {"fits": len(fits), "fits_computed": missing}
    return [judged_tables(result) for result in found], counts


class _Fitted(NamedTuple):
    """A split arm with its fits and their forecasts of unseen rows (NaN elsewhere)."""

    data: SequenceDataset
    arm: SplitArm
    first: tuple[Unit, Result]
    members: list[Forecast]


def _fit_assays(
    config: Config, store: Store, data: list[SequenceDataset]
) -> tuple[list[_Fitted], dict[str, int]]:
    given = config.assays
    arms = [
        (assay, arm)
        for assay in data
        for seed in given.split_seeds
        for arm in build_arms(assay, given.arm, given.gc_quantile, given.gc_tilts, seed)
    ]
    fits, owners = [], []
    for index, (assay, arm) in enumerate(arms):
        seeds = given.seeds if arm.main else given.seeds[: given.members]
        fits += [fitting(own, assay, arm.split) for own in given.design.settings(arm)]
        owners += [index] * len(seeds)
    missing = missing_units(fits, store)
    fitted = run_units(fits, store, config.where, "fits")
    wanted = [predicting(unit, result) for unit, result in zip(fits, fitted, strict=True)]
    forecasts = run_units(wanted, store, config.where, "forecasts")
    found = []
    for index, (assay, arm) in enumerate(arms):
        own = [place for place, owner in enumerate(owners) if owner == index]
        first = fits[own[0]], fitted[own[0]]
        found.append(_Fitted(assay, arm, first, [forecast(forecasts[place]) for place in own]))
    return found, {"fits": len(fits), "fits_computed": missing}


def _judged_rows(arm: SplitArm) -> IndexArray:
    return np.unique(np.concatenate([p.rows for p in arm.parts if p.keys["split"] in JUDGED]))


def _cell(data: str, keys: Mapping[str, Any]) -> str:
    """How effects name a part of a real assay."""
    exact = keys["condition"] if keys["shift"] == "gc_tilt" else ""
    inside = "inside" if keys["split"] == "inside" else ""
    return " ".join(str(word) for word in (data, keys["shift"], exact, inside) if word)


def _split_parts(fitted: _Fitted, distance: FloatArray, config: Config) -> Iterator[Part]:
    data, arm, _, members = fitted
    train, held = arm.split["train"], arm.split["calibration"]
    training = (data.activity[train], data.gc[train])

    def at(rows: Any, away: FloatArray) -> tuple[FloatArray, dict[str, FloatArray]]:
        seen = [(mean[rows], std[rows]) for mean, std in members]
        return scored(seen, data.gc[rows], away, training)

    mean, scores = at(held, np.zeros(len(held)))
    loss = (data.activity[held] - mean) ** 2
    rng = np.random.default_rng([arm.split.seed, 1])
    spread = float(training[0].std())
    rules = make_rules(loss, scores["std"], data.group[held], spread, config.risk_target, rng)
    named: dict[str, Any] = {"data": data.name, "model": config.model}
    named["uncertainty"] = "ensemble" if len(members) > 1 else "single"
    for part in arm.parts:
        if part.keys["split"] not in JUDGED:
            continue
        rows = part.rows
        mean, scores = at(rows, distance[rows])
        yield Part(
            keys=named | dict(part.keys) | {"cell": _cell(data.name, part.keys)},
            unit=arm.split.seed,
            mean=mean,
            target=data.activity[rows],
            gc=data.gc[rows],
            group=data.group[rows],
            scores=scores,
            rules=rules,
            n_train=len(train),
            truth=None,
            resampled=True,
        )


def judge_assays(
    config: Config, store: Store, data: list[SequenceDataset]
) -> tuple[list[Judged], dict[str, int]]:
    """Tables of every split arm, and how many fits there are and were computed now."""
    fitted, counts = _fit_assays(config, store, data)
    rows = [_judged_rows(one.arm) for one in fitted]
    units = []
    for one, own in zip(fitted, rows, strict=True):
        known = reference_rows(one.arm.split["train"], one.arm.split.seed)
        units.append(distancing(*one.first, one.data, (known, own), config.neighbours))
    found = run_units(units, store, config.where, "distances")
    parts = []
    for one, own, result in zip(fitted, rows, found, strict=True):
        distance = np.full(len(one.data), np.nan)
        distance[own] = result.arrays["distance"]
        parts += list(_split_parts(one, distance, config))
    parallel = Parallel(n_jobs=cores() if config.workers is None else config.workers)
    judged = parallel(delayed(judge)(part, config.draws, i) for i, part in enumerate(parts))
    return list(judged), counts


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
    worlds, world_counts = judge_worlds(config, store)
    assays, assay_counts = judge_assays(config, store, data)
    rows, tables = all_tables([*worlds, *assays])
    counts = {name: world_counts[name] + assay_counts[name] for name in world_counts}
    marks = {"anchors": digest()} | {assay.name: assay.fingerprint for assay in data}
    standin = mpra_gc_ood.STANDIN in marks
    return Tables.of(config, rows, tables, data=marks, counts=counts, standin=standin)

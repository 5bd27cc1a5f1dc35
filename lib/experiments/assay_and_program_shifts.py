"""Do shifts of assay and program on real cells do what their simulated twins do?

In: :class:`Config`. Out: :class:`Tables`: every real shift with its severity, what it does to a
network's errors and intervals, through what, what repairs it, and what the simulator said it would
do. ``python -m lib.experiments.assay_and_program_shifts`` seals the simulator's forecasts: severity
is measured from labels, counts and sequences, and no network's forecast is read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from pydantic import Field, field_validator

from lib import assays as mpra
from lib.assays import retina
from lib.experiments import (
    real_arms,
    real_asked,
    real_assays,
    real_censored,
    real_depth,
    real_measures,
    real_mitigation,
    real_parts,
    real_scoring,
    real_severity,
    real_tables,
    twins,
)
from lib.experiments.gc_arms import Arm
from lib.experiments.mpra_gc_ood import Config as GCConfig
from lib.experiments.real_assays import Assays
from lib.experiments.real_parts import Asked
from lib.experiments.real_scoring import Fitted
from lib.experiments.real_standin import standin_assays
from lib.experiments.twin_curves import Curves
from lib.study import results
from lib.study.config import ExperimentConfig, Names, Seeds, repository_root
from lib.study.found import Tables
from lib.study.units import Store, Unit, cores, missing_units
from lib.training.config import FitConfig

GC_DATA = ("wtc11", "plant_leaf")
STANDIN = "standin"
SEALED = "sealed"
FEWEST_GROUPS = 20  # a smaller part is not judged
_SMALL = ("rho WT", "rho Rhom", "hsp68 WT")


class Config(ExperimentConfig):
    """Parameters of notebook 05.

    Attributes
    ----------
    dataset : str
        ``real``, ``standin``, or ``default``: real where the files can be had.
    libraries : tuple of str
        Of the retina.
    arm : tuple of str
        Out of :data:`lib.experiments.real_arms.ARMS`, or ``all``.
    targets : tuple of str
        Networks trained on one genotype and promoter, such as ``rho WT``; ``all`` for each.
    elements : int or None
        At most about so many elements of each assay; None takes all.
    split_seeds : tuple of int
        Repeats of every split.
    seeds : tuple of int
        Members of the ensemble on the retina libraries.
    epochs : int
    labels : tuple of int
        Label budgets that repairs may spend.
    repeats : int
        Draws of the labelled elements.
    """

    experiment: ClassVar[str] = "assay_and_program_shifts"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "dataset": STANDIN,
            "elements": 400,
            "arm": ("retina", "batch", "genotype"),
            "targets": _SMALL,
            "epochs": 1,
            "draws": 100,
            "labels": (20,),
            "repeats": 2,
        },
        "quick": {
            "libraries": ("1", "4", "9a"),
            "arm": ("retina", "batch", "genotype", "plant"),
            "targets": _SMALL,
            "elements": 2500,
            "epochs": 3,
            "draws": 200,
            "labels": (20, 100),
            "repeats": 5,
        },
        "full": {"split_seeds": (0, 1, 2, 3, 4), "seeds": (0, 1, 2, 3, 4)},
    }

    dataset: str = "default"
    libraries: Names = retina.LIBRARIES
    arm: Names = ("all",)
    targets: Names = ("all",)
    elements: int | None = Field(default=None, ge=300)
    split_seeds: Seeds = (0,)
    seeds: Seeds = (0,)
    epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)
    labels: Seeds = (20, 50, 100, 200, 500)
    repeats: int = Field(default=20, ge=1, le=1000)

    @field_validator("dataset")
    @classmethod
    def _known_data(cls, dataset: str) -> str:
        if dataset not in ("default", "real", STANDIN):
            raise ValueError("use default, real or standin")
        return dataset

    @field_validator("arm")
    @classmethod
    def _known_arms(cls, arm: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(arm) - {*real_arms.ARMS, "all"})
        if unknown:
            known = ", ".join(real_arms.ARMS)
            raise ValueError(f"no arm {', '.join(unknown)}; use all, {known}")
        return real_arms.ARMS if "all" in arm else arm

    @property
    def plan(self) -> real_arms.Plan:
        """How much is fitted."""
        return real_arms.Plan(
            self.split_seeds,
            self.seeds,
            self.epochs,
            self.arm,
            () if "all" in self.targets else self.targets,
            self.device,
        )


def load_assays(config: Config) -> Assays:
    """The assays a config names.

    Raises
    ------
    lib.assays.DataUnavailable
        If real ones were asked for and cannot be had.
    """
    if config.dataset == STANDIN or (config.dataset == "default" and not real_assays.available()):
        return standin_assays(config.elements or 2000)
    found = real_assays.load_real(config.libraries)
    return found if config.elements is None else real_assays.subsample(found, config.elements)


def gc_networks(config: Config) -> list[tuple[real_arms.Network, Arm]]:
    """Networks of notebook 02 for GC shifts and species, where they are wanted."""
    if "gc" not in config.arm:
        return []
    gc = GCConfig.create(profile="full", epochs=config.epochs, device=config.device)
    data = [mpra.load(name) for name in GC_DATA]
    return real_arms.gc_networks(
        data, gc.design.fit, config.split_seeds, gc.gc_quantile, gc.gc_tilts
    )


def units(config: Config) -> list[Unit]:
    """Every fit of the experiment; those of notebook 02 are its own units."""
    own = real_arms.networks(load_assays(config), config.plan)
    return [network.unit for network in [*own, *(each for each, _ in gc_networks(config))]]


class Severe(NamedTuple):
    """Severities and the tables behind them."""

    severities: pd.DataFrame
    decomposition: pd.DataFrame
    site_pairs: pd.DataFrame
    depth: pd.DataFrame


def measure_severities(
    config: Config,
    assays: Assays,
    depths: real_assays.Depths,
    arms: list[tuple[real_arms.Network, Arm]],
) -> Severe:
    """How severe each shift is, before any forecast is looked at."""
    decomposition, sites = real_severity.decompositions(assays, config.draws)
    shares = real_severity.noise_shares(assays, depths)
    gc = pd.concat(
        [
            *([real_severity.gc_rows(arms)] if arms else []),
            real_parts.retina_gc_rows(assays, config.split_seeds),
        ],
        ignore_index=True,
    )
    table = real_severity.severities(assays, decomposition, shares, gc)
    return Severe(table, decomposition, sites, shares)


def _curves() -> Curves:
    """Dose-response curves of the simulator, from the published tables."""
    return twins.read_curves(repository_root() / "results")


def sealed_path() -> Path:
    """Where the sealed forecasts are kept."""
    return repository_root() / "results" / Config.experiment / f"{SEALED}.csv"


def seal(config: Config) -> pd.DataFrame:
    """The simulator's forecasts of every real shift, to be committed before networks are judged."""
    assays = load_assays(config)
    depths = real_assays.labels_at_depths(assays)
    severe = measure_severities(config, assays, depths, gc_networks(config))
    return twins.seal(severe.severities, _curves())


def _forecasts(
    config: Config, severities: pd.DataFrame, fitted: list[Fitted], standin: bool
) -> pd.DataFrame:
    """The simulator's forecasts on both axes.

    Those on the axis ``signal`` are the sealed ones in the full profile; below it, and on the axis
    ``predicted``, which needs the networks' own variance in distribution, they are made here.
    """
    known = real_tables.with_quality(severities, real_scoring.qualities(fitted))
    made = twins.seal(known, _curves())
    path = sealed_path()
    if config.profile != "full" or standin or not path.exists():
        return made
    sealed = pd.read_csv(path, dtype={"condition": str}, keep_default_na=False)
    return pd.concat([sealed, made[made["axis"] != "signal"]], ignore_index=True)


def _judge(
    assays: Assays,
    fitted: Fitted,
    asked: list[Asked],
    lines: list[real_mitigation.Line | None],
    config: Config,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Scores, noise, ladder and repairs of one network."""
    scored = [
        real_scoring.score_item(item, config.draws, seed + index)
        for part in asked
        for index, item in enumerate(real_scoring.scored_items(fitted, part))
    ]
    draws = min(config.draws, real_measures.MOST_DRAWS)
    noise = [row for part in asked for row in real_measures.noise_rows(fitted, part, draws)]
    ladder = real_measures.ladder_tables(assays, fitted, asked, draws)
    repaired = [
        real_mitigation.repairs(fitted, part, line, config.labels, config.repeats, draws)
        for part, line in zip(asked, lines, strict=True)
        if real_mitigation.worth_repairing(part)
    ]
    return (
        pd.concat(scored, ignore_index=True),
        pd.DataFrame(noise),
        pd.concat(ladder, ignore_index=True) if ladder else pd.DataFrame(),
        pd.concat(repaired, ignore_index=True) if repaired else pd.DataFrame(),
    )


def judge_all(
    assays: Assays,
    depths: real_assays.Depths,
    arms: list[tuple[real_arms.Network, Arm]],
    fitted: list[Fitted],
    config: Config,
) -> list[pd.DataFrame]:
    """:func:`_judge` of all networks, stacked: scores, noise, ladder, repairs."""
    shallow = {name: real_assays.at_depth_of(assays, name) for name in assays.noisy}
    arm_of = {id(network.split): arm for network, arm in arms}
    jobs = []
    for each in fitted:
        network = each.network
        arm = arm_of.get(id(network.split))
        if arm is not None:
            asked = list(real_parts.gc_parts(network, arm))
        else:
            asked = real_asked.asked_of(assays, network, depths, shallow)
        asked = [part for part in asked if len(np.unique(part.group)) >= FEWEST_GROUPS]
        if asked:
            lines = [real_mitigation.anchor_line(assays, each, part) for part in asked]
            jobs.append((each, asked, lines))
    light = assays._replace(counts={})  # workers get a copy each
    parallel = Parallel(n_jobs=cores() if config.workers is None else config.workers)
    found = list(
        parallel(
            delayed(_judge)(light, *job, config, 1000 * index) for index, job in enumerate(jobs)
        )
    )
    return [pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True)]


def run(config: Config, store: Store) -> Tables:
    """Measure severities, fit, forecast, score, and hold the sealed forecasts against the scores.

    Parameters
    ----------
    config : Config
    store : Store
        Where finished fits lie; a killed run resumes from it.

    Returns
    -------
    Tables
        With ``severities``, ``sealed``, ``twins``, ``scores``, ``order``, ``dose_response``,
        ``effects``, ``decomposition``, ``site_pairs``, ``censored``, ``ladder``, ``noise``,
        ``depth_check``, ``depth``, ``noise_libraries``, ``mitigation``.
    """
    assays = load_assays(config)
    depths = real_assays.labels_at_depths(assays)
    arms = [] if assays.standin else gc_networks(config)
    severe = measure_severities(config, assays, depths, arms)
    networks = [*real_arms.networks(assays, config.plan), *(network for network, _ in arms)]
    missing = missing_units([network.unit for network in networks], store)
    elements = assays.genotypes[real_arms.PROMOTER].dataset(real_arms.GENOTYPE)
    fitted = real_scoring.fit_all(networks, elements, store, config.where)
    sealed = _forecasts(config, severe.severities, fitted, assays.standin)
    scored, noise, ladder, repaired = judge_all(assays, depths, arms, fitted, config)
    scored = real_tables.with_severity(scored, severe.severities)
    effects = real_tables.effects(scored)
    observed = real_tables.observed(effects)
    tables = {
        "severities": severe.severities,
        "decomposition": severe.decomposition,
        "site_pairs": severe.site_pairs,
        "censored": real_censored.censored_lines(assays, config.draws),
        "depth": severe.depth,
        "depth_check": real_depth.depth_check(assays),
        "noise_libraries": real_depth.noise_libraries(assays),
        SEALED: sealed[sealed["axis"] == "signal"],
        "effects": effects,
        "ladder": real_tables.ladder(ladder),
        "noise": real_tables.noise(noise),
        "mitigation": real_tables.mitigation(repaired, scored),
        "twins": real_tables.twin_rows(sealed, effects),
    }
    scores = twins.score_sealed(sealed, observed.drop(columns=["lower", "upper"]))
    tables |= {
        "scores": scores,
        "order": twins.sealed_summary(scores, np.random.default_rng(0)),
        "dose_response": real_tables.dose_response(_curves(), tables["twins"]),
    }
    rows = real_tables.publishable(scored)
    if assays.standin:
        rows = real_tables.as_standin(rows)
        tables = {name: real_tables.as_standin(table) for name, table in tables.items()}
    counts = {"fits": len(networks), "fits_computed": missing}
    data = real_tables.fingerprints(assays)
    return Tables.of(config, rows, tables, data=data, counts=counts, standin=assays.standin)


def main() -> None:
    """Write the sealed forecasts of the full profile; refused where they already stand."""
    path = sealed_path()
    if path.exists():
        raise SystemExit(f"{path} stands already: sealed forecasts are not made twice")
    results.write_atomic(path, results.to_csv(seal(Config.create(profile="full"))))


if __name__ == "__main__":
    main()

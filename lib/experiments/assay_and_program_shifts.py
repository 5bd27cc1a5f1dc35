"""Do shifts of assay and program on real cells do what their simulated twins do?

In: :class:`Config`. Out: :class:`lib.study.config.Tables`: every real shift with its severity, what
it does to a network's errors and intervals, through what, what repairs it, and what the simulator
said it would do. Severity is measured from labels, counts and sequences; no network's forecast is
read for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from lib import assays as mpra
from lib.assays import retina
from lib.experiments.assays import GC_DATA, STANDIN
from lib.experiments.mpra_gc_ood import Config as GCConfig
from lib.experiments.repairs import Budget
from lib.experiments.scoring import side_by_side
from lib.experiments.twins import assays as real
from lib.experiments.twins import severity, tables
from lib.experiments.twins.assays import HOME, Assays
from lib.experiments.twins.curves import Curves, read_curves
from lib.experiments.twins.forecasts import score_sealed, seal, sealed_summary
from lib.experiments.twins.judging import (
    TOLERANCE,
    Fitted,
    anchor_line,
    fit_all,
    judge,
    worth_repairing,
)
from lib.experiments.twins.networks import ARMS, GC_ARMS, MODEL, Network, gc_networks, networks
from lib.experiments.twins.standin import standin_assays
from lib.study.config import ExperimentConfig, Names, Seeds, Tables, repository_root
from lib.study.units import Store
from lib.training.config import FitConfig

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
        Out of :data:`lib.experiments.twins.networks.ARMS`, or ``all``.
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
        unknown = sorted(set(arm) - {*ARMS, "all"})
        if unknown:
            known = ", ".join(ARMS)
            raise ValueError(f"no arm {', '.join(unknown)}; use all, {known}")
        return ARMS if "all" in arm else arm


def load_assays(config: Config) -> Assays:
    """The assays a config names.

    Raises
    ------
    lib.assays.DataUnavailable
        If real ones were asked for and cannot be had.
    """
    if config.dataset == STANDIN or (config.dataset == "default" and not real.available()):
        return standin_assays(config.elements or 2000)
    found = real.load_real(config.libraries)
    return found if config.elements is None else real.subsample(found, config.elements)


def planned(config: Config, assays: Assays) -> list[Network]:
    """Every network; those for GC shifts and species are notebook 02's own, on real data only."""
    fit = FitConfig(model=MODEL, epochs=config.epochs, device=config.device)
    targets = () if "all" in config.targets else config.targets
    own = networks(assays, fit, config.arm, config.split_seeds, config.seeds, targets)
    if assays.standin or "gc" not in config.arm:
        return own
    gc = GCConfig.create(profile="full", epochs=config.epochs, device=config.device).design
    design = replace(gc, arms=GC_ARMS, split_seeds=config.split_seeds)
    return own + gc_networks([mpra.load(name) for name in GC_DATA], design)


def curves() -> Curves:
    """Dose-response curves of the simulator, from the published tables."""
    return read_curves(repository_root() / "results")


def forecasts(config: Config, severities: pd.DataFrame, standin: bool) -> pd.DataFrame:
    """The simulator's forecasts: the sealed ones in the full profile, below it made here."""
    path = repository_root() / "results" / config.experiment / "sealed.csv"
    if config.profile != "full" or standin or not path.exists():
        return seal(severities, curves())
    return pd.read_csv(path, dtype={"condition": str}, keep_default_na=False)


def judge_all(assays: Assays, fitted: Sequence[Fitted], config: Config) -> dict[str, pd.DataFrame]:
    """Tables of :func:`lib.experiments.twins.judging.judge`, of all networks."""
    light = replace(assays, counts={})  # workers get a copy each
    budget = Budget(config.labels, config.repeats, TOLERANCE)
    jobs: list[tuple[Any, ...]] = []
    for each in fitted:
        asked = [p for p in each.network.asked if len(np.unique(p.group)) >= FEWEST_GROUPS]
        lines = [anchor_line(assays, each, p) if worth_repairing(p) else None for p in asked]
        if asked:
            jobs.append((light, each, asked, lines, budget, config.draws, 1000 * len(jobs)))
    found = side_by_side(judge, jobs, config.workers)
    parts = {name: [part for each in found for part in each[name]] for name in found[0]}
    return {
        name: pd.concat(own, ignore_index=True) if own else pd.DataFrame()
        for name, own in parts.items()
    }


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
        With ``severities``, ``decomposition``, ``site_pairs``, ``censored``, ``sealed``,
        ``effects``, ``twins``, ``order``, ``dose_response``, ``ladder``, ``noise``,
        ``mitigation``.
    """
    assays = load_assays(config)
    asked = planned(config, assays)
    decomposition = severity.decompositions(assays, config.draws)
    severities = severity.severities(assays, decomposition, asked)
    fitted, counts = fit_all(asked, assays.dataset(HOME), store, config.where)
    sealed = forecasts(config, severities, assays.standin)
    judged = judge_all(assays, fitted, config)
    scored = tables.with_severity(judged["scores"], severities)
    effects = tables.effects(scored)
    twins = score_sealed(sealed, tables.observed(effects))
    sites = decomposition["elements"] == severity.SITES
    found = {
        "severities": severities,
        "decomposition": decomposition[~sites],
        "site_pairs": decomposition[sites],
        "censored": severity.censored_lines(assays, config.draws),
        "sealed": sealed,
        "effects": effects,
        "twins": twins,
        "order": sealed_summary(twins, np.random.default_rng(0)),
        "dose_response": tables.dose_response(curves(), twins),
        "ladder": tables.pooled_splits(judged["ladder"], tables.LADDER),
        "noise": tables.pooled_splits(judged["noise"], tables.NOISE),
        "mitigation": tables.mitigation(judged["mitigation"], scored),
    }
    rows = tables.publishable(scored)
    if assays.standin:
        rows = tables.as_standin(rows)
        found = {name: tables.as_standin(table) for name, table in found.items()}
    marks, standin = assays.fingerprints, assays.standin
    return Tables.of(config, rows, found, data=marks, counts=counts, standin=standin)

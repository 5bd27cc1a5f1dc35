"""Does a network trained on a real assay stay accurate and calibrated when GC content shifts?

In: :class:`Config`. Out: :class:`Tables`. The arms are those of :mod:`lib.experiments.gc_arms`;
each is fitted on repeated group-wise splits, and every network stands beside the baselines.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from pydantic import Field, field_validator

from lib import assays as mpra
from lib.data.dataset import FloatArray, SequenceDataset
from lib.data.table import load_table
from lib.experiments import gc_tables
from lib.experiments.baseline_fits import BASELINES, baseline_forecast
from lib.experiments.gc_arms import ARMS, build_arms
from lib.experiments.gc_fits import Fitted, Plan, base_forecast, fit_all
from lib.experiments.gc_variants import Variants
from lib.experiments.scoring import Scored, combine, score
from lib.models.baselines import constant_sigma
from lib.repair.conformal import one_per_group
from lib.repair.recalibration import std_scaling
from lib.simulator import standin
from lib.study.config import (
    AnyNames,
    AnyNumbers,
    ExperimentConfig,
    Names,
    Numbers,
    ParameterError,
    Seeds,
)
from lib.study.found import Tables
from lib.study.units import Store, cores
from lib.training.config import FitConfig

DEFAULT_DATA = ("wtc11", "plant_leaf")
STANDIN = "standin"
# What is published of each forecast, and of these what is published of every single split too.
METRICS = (
    *("rmse", "mae", "bias", "pearson_r", "spearman_r", "r2_cod", "sd_target"),
    *("crps_gaussian", "crps_skill", "nll_gaussian", "interval_score_90"),
    *("zms", "zms_robust", "ence", "mace"),
    *(f"{name}_{level}" for name in ("picp", "mpiw") for level in (50, 80, 90, 95)),
)
SPLIT_METRICS = ("rmse", "pearson_r", "crps_gaussian", "zms", "picp_90")


class Config(ExperimentConfig):
    """Parameters of notebook 02.

    Attributes
    ----------
    dataset : str
        Names of :func:`lib.assays.names` or ``standin``, comma-separated. ``default`` takes WTC11 and
        plant leaf, or the stand-in assay where their files cannot be had.
    table : str or None
        A file of one's own instead; its columns are named by the parameters after it.
    arm : tuple of str
        Out of :data:`lib.experiments.gc_arms.ARMS`, or ``all``.
    gc_quantile : float in (0, 1)
        Share of the elements inside a tail split.
    gc_tilts : tuple of float
        Shifts of the mean GC of the test part, in its standard deviations.
    split_seeds : tuple of int
        Repeats of every split.
    seeds : tuple of int
        Fits of one split of the group arm: initialisation and batch order.
    members : int
        Of these, how many make the ensemble in each hold-out arm.
    leak_k : int
        Length of the shared word that makes two elements relatives.
    model, epochs, batch_size, learning_rate, beta, max_shift
        See :class:`lib.training.fit.FitConfig`.
    other_models : tuple of str
        Architectures fitted beside ``model`` on the group arm, once per split.
    other_betas : tuple of float
        Values of ``beta`` fitted beside the own one on the group arm, once per split.
    dropout_samples : int
        Passes with dropout of the first fit of the group arm; 0 for none.
    distilled : bool
        Whether one network learns the forecast of the group arm's ensemble.
    standin_size : int
        Elements of the stand-in assay.
    """

    experiment: ClassVar[str] = "mpra_gc_ood"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "dataset": STANDIN,
            "standin_size": 600,
            "split_seeds": (0,),
            "seeds": (0, 1),
            "members": 1,
            "epochs": 1,
            "other_models": ("bilstm",),
            "other_betas": (1.0,),
            "dropout_samples": 2,
            "distilled": True,
            "draws": 100,
        },
        "quick": {
            "arm": ("group", "tilt", "tail", "leaky"),
            "split_seeds": (0,),
            "seeds": (0, 1),
            "members": 1,
            "epochs": 5,
        },
        "full": {
            "split_seeds": (0, 1, 2, 3, 4),
            "seeds": (0, 1, 2, 3, 4),
            "members": 1,
            "other_models": ("bilstm", "transformer"),
            "other_betas": (0.0, 1.0),
            "dropout_samples": 30,
            "distilled": True,
        },
    }

    dataset: str = "default"
    table: str | None = None
    sequence_column: str = "sequence"
    activity_column: str = "activity"
    noise_column: str | None = None
    group_column: str | None = None
    weight_column: str | None = None
    oriented: bool = False
    arm: Names = ("all",)
    gc_quantile: float = Field(default=0.8, gt=0, lt=1)
    gc_tilts: Numbers = (0.5, 1.0, 1.5)
    split_seeds: Seeds = (0,)
    seeds: Seeds = (0, 1)
    members: int = Field(default=1, ge=1, le=100)
    leak_k: int = Field(default=20, ge=8, le=31)
    model: str = "cnn"
    epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)
    batch_size: int = Field(default=FitConfig().batch_size, ge=2, le=65_536)
    learning_rate: float = Field(default=FitConfig().learning_rate, gt=0, le=1)
    beta: float = Field(default=FitConfig().beta, ge=0, le=1)
    max_shift: int = Field(default=10, ge=0, le=100)
    other_models: AnyNames = ()
    other_betas: AnyNumbers = ()
    dropout_samples: int = Field(default=0, ge=0, le=1000)
    distilled: bool = False
    standin_size: int = Field(default=6000, ge=200, le=1_000_000)

    @field_validator("arm")
    @classmethod
    def _known_arms(cls, arm: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(arm) - {*ARMS, "all"})
        if unknown:
            raise ValueError(f"no arm {', '.join(unknown)}; use all, {', '.join(ARMS)}")
        return ARMS if "all" in arm else arm

    @field_validator("other_betas")
    @classmethod
    def _beta_range(cls, betas: tuple[float, ...]) -> tuple[float, ...]:
        outside = [beta for beta in betas if not 0 <= beta <= 1]
        if outside:
            raise ValueError(f"beta {outside[0]:g} is not in [0, 1]")
        return betas

    @property
    def variants(self) -> Variants:
        """What stands beside the network of an arm."""
        return Variants(self.other_models, self.other_betas, self.dropout_samples, self.distilled)

    def fit(self, seed: int, both_strands: bool) -> FitConfig:
        """The configuration of one fit."""
        return FitConfig(
            model=self.model,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            beta=self.beta,
            max_shift=self.max_shift,
            device=self.device,
            reverse_complement=both_strands,
            seed=seed,
        )


def load_data(config: Config) -> list[SequenceDataset]:
    """The assays a config names.

    Raises
    ------
    ParameterError
        If ``table`` and ``dataset`` are both given.
    ValueError
        For an unknown name or a bad table.
    lib.assays.DataUnavailable
        If a data set asked for by name cannot be had.
    """
    if config.table is not None:
        if config.dataset != "default":
            raise ParameterError("give either dataset or table, not both")
        columns = {
            name: getattr(config, name)
            for name in config.model_fields_set | set(Config.model_fields)
            if name.endswith("_column")
        }
        return [load_table(config.table, oriented=config.oriented, **columns)]
    names = tuple(name.strip() for name in config.dataset.split(","))
    if names == ("default",):
        names = DEFAULT_DATA if all(map(mpra.available, DEFAULT_DATA)) else (STANDIN,)
    return [
        standin(n=config.standin_size, seed=0) if name == STANDIN else mpra.load(name)
        for name in names
    ]


def _fit_all(
    config: Config, store: Store, data: list[SequenceDataset]
) -> tuple[list[Fitted], dict[str, int]]:
    """Every arm with its forecasts, and how many fits there are and were computed now."""
    arms = [
        (assay, arm)
        for assay in data
        for seed in config.split_seeds
        for arm in build_arms(assay, config.arm, config.gc_quantile, config.gc_tilts, seed)
    ]
    plan = Plan(config.fit, config.seeds, config.members, config.variants)
    return fit_all(arms, plan, store, config.where)


Forecasts = Iterator[tuple[dict[str, Any], FloatArray, FloatArray]]


def _forecasts(fitted: Fitted, config: Config) -> Forecasts:
    """Every forecast of an arm, with the keys that tell it apart."""
    data, arm, members, others, simple = fitted
    network = {"model": config.model, "prior": "none"}
    for seed, (mean, std) in zip(config.seeds, members, strict=False):
        yield network | {"uncertainty": "single", "seed": seed}, mean, std
    mean, std = base_forecast(fitted)
    if len(members) > 1:
        yield network | {"uncertainty": "ensemble"}, mean, std
    held = arm.split["calibration"]
    # One element per group: relatives are not independent evidence of the scale.
    drawn = held[one_per_group(data.group[held], np.random.default_rng(arm.split.seed))]
    repair = std_scaling(mean[drawn], std[drawn], data.activity[drawn])
    yield network | {"uncertainty": "std_scaling"}, mean, repair.scale * std
    constant = constant_sigma(mean, data.activity, held)
    yield network | {"uncertainty": "constant_sigma"}, constant.mean, constant.std
    for keys, mean, std in others:
        yield {"prior": "none", **keys}, mean, std
    if not arm.both_strands:
        return  # the baselines of the group arm's split stand there
    for name in BASELINES:
        yield (
            {"model": name, "prior": "none", "uncertainty": "single"},
            *baseline_forecast(simple, name),
        )
    if arm.main:
        yield from gc_tables.reference_forecasts(data, held)


def _items(fitted: Fitted, config: Config) -> Iterator[Scored]:
    data, arm = fitted.data, fitted.arm
    train = arm.split["train"]
    climate = (float(data.activity[train].mean()), float(data.activity[train].std()))
    deciles = gc_tables.gc_deciles(data)
    base = "ensemble" if len(fitted.members) > 1 else "single"
    for keys, mean, std in _forecasts(fitted, config):
        detailed = keys["model"] == config.model and keys["uncertainty"] == base
        for part in arm.parts:
            rows = part.rows
            yield Scored(
                {
                    "data": data.name,
                    "split_seed": arm.split.seed,
                    **part.keys,
                    "seed": None,
                    **keys,
                },
                mean[rows],
                std[rows],
                data.activity[rows],
                data.group[rows],
                len(train),
                climate,
                {"gc_decile": deciles[rows]} if detailed else {},
                None if data.truth is None else (data.truth.mean[rows], data.truth.std[rows]),
            )


def _publishable(scored: pd.DataFrame, model: str) -> pd.DataFrame:
    """Combined rows of all forecasts; of single splits and fits those of the network."""
    combined = combine(scored[scored["metric"].isin(METRICS) | (scored["by"] != "")])
    single = scored[scored["metric"].isin(SPLIT_METRICS) & (scored["by"] == "")]
    single = single[(single["model"] == model) & single["uncertainty"].isin(["single", "ensemble"])]
    return pd.concat([combined, single.drop(columns=["variance", "n_train"])], ignore_index=True)


def run(config: Config, store: Store) -> Tables:
    """Fit, forecast, score.

    Parameters
    ----------
    config : Config
    store : Store
        Where finished fits lie; a killed run resumes from it.

    Returns
    -------
    Tables
        With ``assays``, ``leaks``, ``gc_histogram``, ``predicted_measured``, ``contrasts``.
    """
    data = load_data(config)
    fitted, counts = _fit_all(config, store, data)
    items = [item for arm in fitted for item in _items(arm, config)]
    parallel = Parallel(n_jobs=cores() if config.workers is None else config.workers)
    scored = pd.concat(
        parallel(delayed(score)(item, config.draws, index) for index, item in enumerate(items)),
        ignore_index=True,
    )
    first = [arm for arm in fitted if arm.arm.split.seed == config.split_seeds[0]]
    rows = _publishable(scored, config.model)
    tables = {
        "assays": gc_tables.assays(data, config.draws),
        "leaks": gc_tables.leaks([(arm.data, arm.arm.split) for arm in first], config.leak_k),
        "gc_histogram": gc_tables.gc_histogram([(arm.data, arm.arm) for arm in first]),
        "predicted_measured": gc_tables.predicted_measured(
            [(arm.data, arm.arm, *base_forecast(arm)) for arm in fitted]
        ),
        "contrasts": gc_tables.contrasts(scored),
    }
    marks = {assay.name: assay.fingerprint for assay in data}
    return Tables.of(config, rows, tables, data=marks, counts=counts, standin=STANDIN in marks)

"""Does a network trained on a real assay stay accurate and calibrated when GC content shifts?

In: :class:`Config`. Out: :class:`~lib.study.found.Tables`. The arms are those of
:mod:`lib.experiments.assays`; each is fitted on repeated group-wise splits, and every network
stands beside the baselines.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from lib.assays.plant import TISSUES, reference_predictions
from lib.data.dataset import SequenceDataset
from lib.data.table import load_table
from lib.experiments.assays import (
    ARMS,
    BASELINES,
    STANDIN,
    AssayArm,
    Design,
    FittedArm,
    baseline_forecast,
    baselines,
    fit_arms,
    fitting,
    forecasting,
    forecasts,
    load_assays,
    scales,
    scored,
)
from lib.experiments.gc_tables import (
    assay_table,
    contrasts,
    gc_deciles,
    gc_histogram,
    leaks,
    predicted_measured,
)
from lib.experiments.scoring import Scored, combine, score_all
from lib.models.baselines import constant_sigma
from lib.study.config import (
    AnyNames,
    AnyNumbers,
    ExperimentConfig,
    Names,
    Numbers,
    ParameterError,
    Seeds,
    known_names,
)
from lib.study.found import Tables
from lib.study.units import Store, run_fits, run_units
from lib.training.config import FitConfig, tuned
from lib.training.units import Forecast

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
        Names of :func:`lib.assays.names` or ``standin``, comma-separated. ``default`` takes WTC11
        and plant leaf, or the stand-in assay where their files cannot be had.
    table : str or None
        A file of one's own instead; its columns are named by the parameters after it.
    arm : tuple of str
        Out of :data:`lib.experiments.assays.ARMS`, or ``all``.
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
        See :class:`lib.training.config.FitConfig`.
    other_models : tuple of str
        Architectures fitted beside ``model`` on the group arm, once per split.
    other_betas : tuple of float
        Values of ``beta`` fitted beside the own one on the group arm, once per split.
    dropout_samples : int
        Passes with dropout of the first fit of the group arm; 0 for none.
    standin_size : int
        Elements of the stand-in assay.
    """

    experiment: ClassVar[str] = "mpra_gc_ood"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "dataset": STANDIN,
            "standin_size": 600,
            "epochs": 1,
            "other_models": ("bilstm",),
            "other_betas": (1.0,),
            "dropout_samples": 2,
            "draws": 100,
        },
        "quick": {"arm": ("group", "tilt", "tail", "leaky"), "epochs": 5},
        "full": {
            "split_seeds": (0, 1, 2, 3, 4),
            "seeds": (0, 1, 2, 3, 4),
            "other_models": ("bilstm", "transformer"),
            "other_betas": (0.0, 1.0),
            "dropout_samples": 30,
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
    standin_size: int = Field(default=6000, ge=200, le=1_000_000)

    @field_validator("arm")
    @classmethod
    def _known_arms(cls, arm: tuple[str, ...]) -> tuple[str, ...]:
        return known_names("arm", arm, ARMS)

    @field_validator("other_betas")
    @classmethod
    def _beta_range(cls, betas: tuple[float, ...]) -> tuple[float, ...]:
        outside = [beta for beta in betas if not 0 <= beta <= 1]
        if outside:
            raise ValueError(f"beta {outside[0]:g} is not in [0, 1]")
        return betas

    @property
    def design(self) -> Design:
        """Which splits are made, and which networks are fitted on each."""
        shared = {"model", "epochs", "batch_size", "learning_rate", "beta", "max_shift", "device"}
        return Design(
            self.arm,
            self.split_seeds,
            FitConfig(**self.model_dump(include=shared)),
            self.seeds,
            self.members,
            self.gc_quantile,
            self.gc_tilts,
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
    if config.table is None:
        return load_assays(config.dataset, config.standin_size)
    if config.dataset != "default":
        raise ParameterError("give either dataset or table, not both")
    fields = [name for name in Config.model_fields if name.endswith("_column")]
    columns = config.model_dump(include={*fields, "oriented"})
    return [load_table(config.table, **columns)]


Named = tuple[dict[str, Any], Forecast] | None  # a forecast with the keys that tell it apart


def _variants(config: Config, arm: AssayArm) -> Iterator[tuple[dict[str, Any], FitConfig]]:
    """Other architectures and losses on the split of a group arm, one fit each."""
    base = config.design.settings(arm)[0]
    kept = {"epochs", "batch_size", "beta", "max_shift", "device", "seed", "reverse_complement"}
    shared = base.model_dump(include=kept)
    for model in config.other_models:
        yield {"model": model, "uncertainty": "single"}, tuned(model, **shared)
    for beta in config.other_betas:
        keys = {"model": base.model, "uncertainty": f"beta_{beta:g}"}
        yield keys, base.model_copy(update={"beta": beta})


def fit_others(
    config: Config, fitted: Sequence[FittedArm], store: Store
) -> tuple[list[list[Named]], dict[str, int]]:
    """Forecasts that stand beside each arm's own networks, and how many fits they take."""
    found: list[list[Named]] = [[] for _ in fitted]
    main = [place for place, one in enumerate(fitted) if one.arm.main]
    asked = [(i, *each) for i in main for each in _variants(config, fitted[i].arm)]
    units = [fitting(fit, fitted[i].arm.data, fitted[i].arm.split) for i, _, fit in asked]
    fits, counts = run_fits(units, store, config.where, "other fits")
    made = forecasts(map(forecasting, fits), store, config.where)
    for (place, keys, _), values in zip(asked, made, strict=True):
        found[place].append((keys, values))
    if config.dropout_samples:
        passes = [forecasting(fitted[i].fits[0], dropout=config.dropout_samples) for i in main]
        for place, made in zip(main, forecasts(passes, store, config.where), strict=True):
            keys = {"model": config.model, "uncertainty": "mc_dropout"}
            # A place is left free: places seed the bootstrap, and published intervals stay.
            found[place] += [None, (keys, made)]
    simple = [baselines(one.arm.data, one.arm.split) for one in fitted]
    results = run_units(simple, store, config.where, "baselines")
    for one, own, result in zip(fitted, found, results, strict=True):
        if one.arm.kind != "strand":  # those of the group arm are of the same split
            keyed = [{"model": name, "uncertainty": "single"} for name in BASELINES]
            own += [(keys, baseline_forecast(result, keys["model"])) for keys in keyed]
        if one.arm.main:
            own += _authors_forecast(one.arm)
    return found, counts


def _authors_forecast(arm: AssayArm) -> Iterator[Named]:
    """The plant authors' own predictions, where there are any; σ is their error in calibration."""
    tissue = arm.data.name.removeprefix("plant_")
    if arm.data.name != tissue and tissue in TISSUES:
        mean = reference_predictions(tissue).mean
        found = constant_sigma(mean, arm.data.activity, arm.split["calibration"])
        yield {"model": "authors_cnn", "uncertainty": "constant_sigma"}, (found.mean, found.std)


def _forecasts(fitted: FittedArm, others: Sequence[Named], config: Config) -> Iterator[Named]:
    """Every forecast of an arm."""
    network = {"model": config.model}
    for seed, values in zip(config.seeds, fitted.members, strict=False):
        yield network | {"uncertainty": "single", "seed": seed}, values
    mean, std = fitted.forecast[:2]
    if len(fitted.members) > 1:
        yield network | {"uncertainty": "ensemble"}, (mean, std)
    factor, constant = scales(fitted.arm, mean, std)
    yield network | {"uncertainty": "std_scaling"}, (mean, factor * std)
    yield network | {"uncertainty": "constant_sigma"}, (mean, np.full(len(mean), constant))
    yield from others


def scored_items(
    fitted: FittedArm, others: Sequence[Named], config: Config
) -> Iterator[Scored | None]:
    """Every forecast of an arm on each of its parts; the arm's own one by GC decile too."""
    deciles = {"gc_decile": gc_deciles(fitted.arm.data)}
    for named in _forecasts(fitted, others, config):
        if named is None:
            yield from [None] * len(fitted.arm.parts)
            continue
        keys, values = named
        own = (keys["model"], keys["uncertainty"]) == (config.model, fitted.uncertainty)
        for part in fitted.arm.parts:
            by = deciles if own else {}
            yield scored(fitted.arm, part, *values, by, prior="none", **keys)


def _publishable(scores: pd.DataFrame, model: str) -> pd.DataFrame:
    """Combined rows of all forecasts; of single splits and fits those of the network."""
    combined = combine(scores[scores["metric"].isin(METRICS) | (scores["by"] != "")])
    single = scores[scores["metric"].isin(SPLIT_METRICS) & (scores["by"] == "")]
    single = single[(single["model"] == model) & single["uncertainty"].isin(["single", "ensemble"])]
    return pd.concat([combined, single.drop(columns=["variance", "n_train"])], ignore_index=True)


def derive(rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Predicted beside measured activity, with shift and split, and the interval of the mean."""
    table = tables["predicted_measured"]
    half = 1.96 * table["measured_sd"] / table["n"] ** 0.5
    shift = table["part"].str.extract(r"^(\w+) ")[0].fillna("")
    split = table["part"].str.extract(r"(\w+)$")[0]
    ends = {"lower": table["measured"] - half, "upper": table["measured"] + half}
    return {"predicted_measured": table.assign(shift=shift, split=split, **ends)}


def run(config: Config, store: Store) -> Tables:
    """Fit, forecast, score.

    Tables: ``assays``, ``leaks``, ``gc_histogram``, ``predicted_measured``, ``contrasts``.
    """
    data = load_data(config)
    design = config.design
    fitted, own = fit_arms(design.build(data), design, store, config.where)
    others, more = fit_others(config, fitted, store)
    items = [
        item
        for one, found in zip(fitted, others, strict=True)
        for item in scored_items(one, found, config)
    ]
    scores = score_all(items, config.draws, config.workers)
    first = [one.arm for one in fitted if one.arm.split.seed == config.split_seeds[0]]
    tables = {
        "assays": assay_table(data, config.draws),
        "leaks": leaks(first, config.leak_k),
        "gc_histogram": gc_histogram(first),
        "predicted_measured": predicted_measured(fitted),
        "contrasts": contrasts(scores),
    }
    marks = {assay.name: assay.fingerprint for assay in data}
    counts = {name: own[name] + more[name] for name in own}
    rows = _publishable(scores, config.model)
    return Tables.of(config, rows, tables, data=marks, counts=counts, standin=STANDIN in marks)

"""Does a network trained on a real assay stay accurate and calibrated when GC content shifts?

In: :class:`Config`. Out: :class:`~lib.study.config.Tables`. The arms are those of
:mod:`lib.experiments.assays`; each is fitted on repeated group-wise splits, and every network
stands beside the baselines. No aggregate is of fewer than ten elements.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, Field

from lib.assays.tables import TISSUES, reference_predictions
from lib.data.dataset import SequenceDataset
from lib.data.leakage import leak_report, strand_pairs
from lib.data.table import load_table
from lib.experiments import assays
from lib.experiments.assays import REPEATED, STANDIN, AssayArm, Design, FittedArm, GCShiftConfig
from lib.experiments.scoring import Scored, combine, contrast, score_all
from lib.metrics.evaluate import MIN_BIN
from lib.models.baselines import constant_sigma
from lib.study.config import AnyNames, Names, ParameterError, Seeds, Tables, known_names
from lib.study.units import Store, run_units
from lib.training.config import FitConfig, tuned
from lib.training.fit import Forecast

# What is published of each forecast, and of these what is published of every single split too.
METRICS = (
    *("rmse", "mae", "bias", "pearson_r", "spearman_r", "r2_cod", "sd_target"),
    *("crps_gaussian", "crps_skill", "nll_gaussian", "interval_score_90"),
    *("zms", "zms_robust", "ence", "mace"),
    *(f"{name}_{level}" for name in ("picp", "mpiw") for level in (50, 80, 90, 95)),
)
SPLIT_METRICS = ("rmse", "pearson_r", "crps_gaussian", "zms", "picp_90")
SCALES = dict.fromkeys(("rmse", "crps_gaussian", "zms", "mpiw_90"), "ratio")
SCALES |= dict.fromkeys(("nll_gaussian", "picp_90", "pearson_r"), "difference")
HISTOGRAM_BINS = 25
ArmNames = Annotated[Names, AfterValidator(partial(known_names, "arm", known=assays.ARMS))]


class TrainingConfig(BaseModel):
    """An assay of one's own (see :mod:`lib.data.table`), and how its networks are trained."""

    table: str | None = None
    sequence_column: str = "sequence"
    activity_column: str = "activity"
    noise_column: str | None = None
    group_column: str | None = None
    weight_column: str | None = None
    oriented: bool = False
    seeds: Seeds = (0, 1)
    epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)
    batch_size: int = Field(default=FitConfig().batch_size, ge=2, le=65_536)
    learning_rate: float = Field(default=FitConfig().learning_rate, gt=0, le=1)


class Config(GCShiftConfig, TrainingConfig):
    """Parameters of notebook 02, which says what each of them is.

    ``dataset`` names assays (:func:`lib.assays.names`) or the stand-in, ``default`` takes WTC11 and
    plant leaf; or ``table`` is a file of one's own. ``seeds`` are the fits of one split of the
    group arm, the first of them stands in every other arm; other models are fitted once.
    """

    experiment: ClassVar[str] = "mpra_gc_ood"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **{"dataset": STANDIN, "standin_size": 600, "epochs": 1, "draws": 100},
            **{"other_models": ("bilstm",), "dropout_samples": 2},
        },
        "quick": {"arm": ("group", "tilt", "tail", "leaky"), "epochs": 5},
        "full": REPEATED | {"other_models": ("bilstm", "transformer"), "dropout_samples": 30},
    }

    arm: ArmNames = ("all",)
    beta: float = Field(default=FitConfig().beta, ge=0, le=1)
    max_shift: int = Field(default=10, ge=0, le=100)
    other_models: AnyNames = ()
    dropout_samples: int = Field(default=0, ge=0, le=1000)

    @classmethod
    def like(cls, other: BaseModel, **own: Any) -> Self:
        """The parameters that another experiment shares, and ``own``: the same fits serve both."""
        shared = set(cls.model_fields) & set(type(other).model_fields)
        return cls.create(**other.model_dump(include=shared) | own)

    @property
    def design(self) -> Design:
        """Which splits are made, and which networks are fitted on each."""
        shared = {"model", "epochs", "batch_size", "learning_rate", "beta", "max_shift", "device"}
        fit = FitConfig(**self.model_dump(include=shared))
        own = (self.seeds, self.gc_quantile, self.gc_tilts)
        return Design(self.arm, self.split_seeds, fit, *own)


def load_data(config: Config) -> list[SequenceDataset]:
    """The assays, or the table of one's own, that a config names; an error where it names both."""
    if config.table is None:
        return assays.load_assays(config.dataset, config.standin_size)
    if config.dataset != "default":
        raise ParameterError("give either dataset or table, not both")
    fields = [name for name in Config.model_fields if name.endswith("_column")]
    return [load_table(config.table, **config.model_dump(include={*fields, "oriented"}))]


Named = tuple[dict[str, Any], Forecast] | None  # a forecast with the keys that tell it apart


def fit_others(
    config: Config, fitted: Sequence[FittedArm], store: Store
) -> tuple[dict[AssayArm, list[Named]], dict[str, int]]:
    """Forecasts that stand beside each arm's own networks, and how many fits they take."""
    found: dict[AssayArm, list[Named]] = {one.arm: [] for one in fitted}
    main = [one for one in fitted if one.arm.main]
    kept = {"epochs", "batch_size", "beta", "max_shift", "device", "seed", "reverse_complement"}
    asked = [
        (one.arm, tuned(model, **config.design.settings(one.arm)[0].model_dump(include=kept)))
        for one in main
        for model in config.other_models
    ]
    _, made, counts = assays.fit_each(asked, store, config.where, "other fits")
    for (arm, settings), forecast in zip(asked, made, strict=True):
        found[arm].append(({"model": settings.model, "uncertainty": "single"}, forecast))
    if samples := config.dropout_samples:
        passes = [assays.forecasting(one.fits[0], samples) for one in main]
        keys = {"model": config.model, "uncertainty": "mc_dropout"}
        made = assays.forecasts(passes, store, config.where)
        for one, forecast in zip(main, made, strict=True):
            # Places seed the bootstrap; those of forecasts no longer made stay free, so that
            # published intervals stay.
            found[one.arm] += [*[None] * (len(config.other_models) + 1), (keys, forecast)]
    units = [assays.baselines(arm.data, arm.split) for arm in found]
    results = run_units(units, store, config.where, "baselines")
    for (arm, others), result in zip(found.items(), results, strict=True):
        for name in assays.BASELINES if arm.kind != "strand" else ():  # of the group arm's split
            keys = {"model": name, "uncertainty": "single"}
            others.append((keys, assays.baseline_forecast(result, name)))
        animal, _, tissue = arm.data.name.partition("plant_")
        if arm.main and not animal and tissue in TISSUES:
            # The authors' own predictions; sigma is their error in calibration.
            means = reference_predictions(tissue)
            own = constant_sigma(means, arm.data.activity, arm.split["calibration"])
            keys = {"model": "authors_cnn", "uncertainty": "constant_sigma"}
            others.append((keys, (own.mean, own.std)))
    return found, counts


def _forecasts(fitted: FittedArm, others: Sequence[Named], config: Config) -> Iterator[Named]:
    """Every forecast of an arm."""
    network = {"model": config.model}
    for seed, values in zip(config.seeds, fitted.members, strict=False):
        yield network | {"uncertainty": "single", "seed": seed}, values
    mean, std = fitted.forecast[:2]
    if len(fitted.members) > 1:
        yield network | {"uncertainty": "ensemble"}, (mean, std)
    factor, constant = assays.scales(fitted.arm, mean, std)
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
            yield assays.scored(fitted.arm, part, *values, by, prior="none", **keys)


def gc_deciles(data: SequenceDataset) -> NDArray[np.str_]:
    """Label of the data set's GC decile each element lies in, such as ``0.475-0.505``."""
    edges = np.unique(np.quantile(data.gc, np.linspace(0, 1, 11)))
    index = np.clip(np.searchsorted(edges, data.gc, side="right") - 1, 0, len(edges) - 2)
    return np.array([f"{low:.3f}-{high:.3f}" for low, high in pairwise(edges)])[index]


def reliability(data: SequenceDataset) -> dict[str, float]:
    """Correlation of the two orientations of an element, if there are ten such elements.

    A lower bound on the share of variance that a strand-blind model could explain; its root bounds
    a model's r.
    """
    forward, reverse = strand_pairs(data.codes)
    if len(forward) < MIN_BIN:
        return {}
    # Symmetric in the two orientations, since which is called forward carries no meaning.
    pairs = data.activity[np.array([[*forward, *reverse], [*reverse, *forward]])]
    r = float(np.corrcoef(pairs)[0, 1])
    return {"reliability": r, "best_pearson_r": max(r, 0) ** 0.5}


def assay_table(data: Sequence[SequenceDataset]) -> pd.DataFrame:
    """One row per data set and measure: size, groups, repairs, activity, GC, reliability."""
    rows = []
    for assay in data:
        facts: dict[str, float] = {
            "elements": len(assay),
            "length": assay.codes.shape[1],
            "leak_groups": len(np.unique(assay.group)),
            "largest_group": int(np.unique(assay.group, return_counts=True)[1].max()),
            "sd_activity": float(assay.activity.std()),
            "r_gc_activity": float(np.corrcoef(assay.gc, assay.activity)[0, 1]),
        }
        facts |= {f"gc_{q:02d}": float(np.quantile(assay.gc, q / 100)) for q in (5, 25, 50, 75, 95)}
        facts |= {f"repaired_{name}": count for name, count in assay.repairs.items()}
        facts |= reliability(assay)
        rows += [(assay.name, measure, value) for measure, value in facts.items()]
    return pd.DataFrame(rows, columns=["data", "measure", "value"])


def gc_histogram(arms: Sequence[AssayArm]) -> pd.DataFrame:
    """Share of each part's elements per GC bin."""
    tables = []
    for data, part in ((arm.data, part) for arm in arms for part in arm.parts):
        edges = np.linspace(data.gc.min(), data.gc.max(), HISTOGRAM_BINS + 1)
        counts = np.histogram(data.gc[part.rows], edges)[0]
        table = pd.DataFrame({"left": edges[:-1], "right": edges[1:], "count": counts})
        keys = {"split": part.split, "shift": part.shift, "condition": part.condition}
        table = table.assign(share=counts / len(part.rows), data=data.name, **keys)
        tables.append(table[counts >= MIN_BIN])
    return pd.concat(tables, ignore_index=True)


def contrasts(scores: pd.DataFrame) -> pd.DataFrame:
    """What each shift changes: shifted against inside, against matched, tilt and leak against test.

    Errors and widths as ratios, coverage, correlation and NLL as differences.
    """
    label = (scores["shift"] + " " + scores["condition"]).str.strip()
    label = label.where(scores["split"] != "random_leaky", "leak")
    named = scores.assign(shift=label)
    like_test = scores["shift"].isin(["", "gc_tilt"])  # compared with the test part
    test = named[label == ""].drop(columns="shift")
    sides = {"test": test.merge(pd.DataFrame({"shift": label[like_test].unique()}), how="cross")}
    sides |= {name: named[scores["split"] == name] for name in ("inside", "matched")}
    judged = named[(label != "") & ~scores["split"].isin(["inside", "matched"])]
    match = ["data", "model", "uncertainty", "shift"]
    tables = [
        contrast(judged, side, SCALES, match=match).assign(against=name)
        for name, side in sides.items()
        if len(side)
    ]
    return pd.concat(tables, ignore_index=True)


def run(config: Config, store: Store) -> Tables:
    """Tables: ``assays``, ``leaks``, ``gc_histogram``, ``contrasts``."""
    data, design = load_data(config), config.design
    fitted, own = assays.fit_arms(design.build(data), design, store, config.where)
    others, more = fit_others(config, fitted, store)
    items = [item for one in fitted for item in scored_items(one, others[one.arm], config)]
    scores = score_all(items, config.draws, config.workers)
    first = [one.arm for one in fitted if one.arm.split.seed == config.split_seeds[0]]
    leaks = [
        leak_report(arm.data.codes, arm.data.group, arm.split).assign(data=arm.data.name)
        for arm in first
        if arm.kind != "strand"
    ]
    tables = {
        "assays": assay_table(data),
        "leaks": pd.concat(leaks, ignore_index=True),
        "gc_histogram": gc_histogram(first),
        "contrasts": contrasts(scores),
    }
    marks = {assay.name: assay.fingerprint for assay in data}
    # Of single splits and fits only those of the network are published.
    whole = scores["by"] == ""
    shown = whole & scores["metric"].isin(SPLIT_METRICS) & scores["model"].eq(config.model)
    shown &= scores["uncertainty"].isin(["single", "ensemble"])
    single = scores[shown].drop(columns=["variance", "n_train"])
    combined = combine(scores[scores["metric"].isin(METRICS) | ~whole])
    rows = pd.concat([combined, single], ignore_index=True)
    return Tables.of(config, rows, tables, data=marks, counts=[own, more])

"""Does a network trained on a real assay stay accurate and calibrated when GC content shifts?

In: :class:`Config`. Out: :class:`~lib.study.config.Tables`. The arms are those of
:mod:`lib.experiments.arms`, each fitted on the folds of grouped cross-validation; beside the
networks stand kernels, networks told of motifs or of another tissue, their stack and baselines. No
aggregate is of fewer than ten elements.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from lib.arrays import FloatArray
from lib.data.dataset import SequenceDataset
from lib.data.leakage import leak_report
from lib.data.table import load_table
from lib.experiments import assays, forecasters
from lib.experiments.arms import ARMS, AssayArm, element_means, reliability
from lib.experiments.assays import GC_DATA, STANDIN, Design, FittedArm, GCShiftConfig
from lib.experiments.scoring import Measured, Scored, contrast, joined, refits, rows_of, score_all
from lib.models import model_path
from lib.study.config import Names, ParameterError, Seeds, Tables, known
from lib.study.units import Store
from lib.training.config import FitConfig

# What is published of each forecast.
METRICS = (
    *("rmse", "mae", "bias", "pearson_r", "spearman_r", "r2_cod", "sd_target"),
    *("crps_gaussian", "crps_skill", "nll_gaussian", "interval_score_90"),
    *("zms", "zms_robust", "ence", "mace"),
    *(f"{name}_{level}" for name in ("picp", "mpiw") for level in (50, 80, 90, 95)),
)
OWN = ("ensemble", "single")  # what the network is best used as
# Settings of fits that hold for networks of all kinds.
SHARED = ("epochs", "batch_size", "beta", "max_shift")
ArmNames = Annotated[Names, known("arm", ARMS)]


class TrainingConfig(BaseModel):
    """An assay of one's own (see :mod:`lib.data.table`), and how its networks are trained."""

    table: str | None = None
    sequence_column: str = "sequence"
    activity_column: str = "activity"
    noise_column: str | None = None
    group_column: str | None = None
    weight_column: str | None = None
    oriented: bool = False
    trim_prefix: str = ""
    trim_suffix: str = ""
    keep_shared_ends: bool = False
    seeds: Seeds = (0, 1)
    epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)
    batch_size: int = Field(default=FitConfig().batch_size, ge=2, le=65_536)
    learning_rate: float = Field(default=FitConfig().learning_rate, gt=0, le=1)


FITTING = ("seeds", "epochs", "batch_size", "learning_rate")
OF_TABLE = tuple(name for name in TrainingConfig.model_fields if name not in ("table", *FITTING))


class Config(GCShiftConfig, TrainingConfig):
    """Parameters of notebook 02, which says what each of them is.

    ``dataset`` names assays (:func:`lib.assays.names`) or the stand-in, ``default`` takes WTC11 and
    plant leaf; or ``table`` is a file of one's own. ``seeds`` are the fits of each fold of the
    group arm, the first of them stands in every other arm.
    """

    experiment: ClassVar[str] = "mpra_gc_ood"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **{"dataset": STANDIN, "standin_size": 600, "epochs": 1, "draws": 100},
            **{"folds": 3, "dropout_samples": 2},
        },
        "quick": assays.SUBSET | {"arm": ("group", "tilt"), "epochs": 6},
        "full": {"dropout_samples": 30},
    }

    arm: ArmNames = ("all",)
    beta: float = Field(default=FitConfig().beta, ge=0, le=1)
    max_shift: int = Field(default=10, ge=0, le=100)
    dropout_samples: int = Field(default=0, ge=0, le=1000)

    @classmethod
    def like(cls, other: BaseModel, **own: Any) -> Self:
        """The parameters that another experiment shares, and ``own``: the same fits serve both.

        Of ``arm`` those that the profile has.
        """
        shared = set(cls.model_fields) & set(type(other).model_fields)
        usual = cls.create(profile=other.profile).arm  # type: ignore[attr-defined]
        own["arm"] = tuple(arm for arm in own.get("arm", usual) if arm in usual)
        return cls.create(**other.model_dump(include=shared) | own)

    @property
    def design(self) -> Design:
        """Which splits are made, and which networks are fitted on each."""
        model_path(self.model)  # an unknown one is said before data are read
        shared = {"model", "learning_rate", *SHARED}
        fit = FitConfig(**self.model_dump(include=shared), **assays.of_networks(self, self.model))
        own = self.folds, self.split_seed, self.gc_quantile, self.gc_tilts
        return Design(self.arm, fit, self.seeds, *own)


def load_data(config: Config) -> list[SequenceDataset]:
    """The assays, or the table of one's own, that a config names; an error where it names both."""
    given = config.model_dump(include={*OF_TABLE})
    if config.table is None:
        for name, value in given.items():
            if value != TrainingConfig.model_fields[name].default:
                raise ParameterError(f"{name} is of a table of one's own; give table, or leave it")
        return assays.load_assays(config.dataset, config.standin_size, GC_DATA, config.elements)
    if config.dataset != "default":
        raise ParameterError("give either dataset or table, not both")
    return [load_table(config.table, **given)]


class Named(NamedTuple):
    """A forecast of an arm, with the keys that tell it apart and how many networks it averages."""

    keys: dict[str, Any]
    forecast: FloatArray
    members: int = 0


def beside(
    config: Config, fitted: Sequence[FittedArm], store: Store
) -> dict[AssayArm, list[Named]]:
    """Forecasts that stand beside each arm's own networks."""
    found: dict[AssayArm, list[Named]] = {one.arm: [] for one in fitted}
    main = [one for one in fitted if one.arm.main]
    if samples := config.dropout_samples:
        left = iter([fit for one in main for fit in one.fits[0]])
        asked = [(one.arm, lambda _: assays.forecasting(next(left), samples)) for one in main]
        dropped = assays.run_arms(asked, store, config.where, "dropout")
        keys = {"model": config.model, "uncertainty": "mc_dropout"}
        for one, forecast in zip(main, dropped, strict=True):
            found[one.arm].append(Named(keys, forecast, 1))
    parts = {one.arm: {part.shift for part in one.arm.parts} for one in fitted}
    folded = [one for one in fitted if one.arm.plan.folds and "species" not in parts[one.arm]]
    told = {"model": config.model, "prior": forecasters.MOTIF_PRIOR}
    given = config.design.settings, store, config.where
    stacked = forecasters.members([one.arm for one in folded], *given, elements=config.elements)
    for one in folded:
        members = {config.model: np.stack(one.forecast[:2]), **stacked[one.arm]}
        every = stacked[one.arm] | forecasters.combined(one.arm, members)
        for name, forecast in every.items():
            keys = told if name == forecasters.MOTIF_NETWORK else {"model": name}
            networks = int(name in (forecasters.MOTIF_NETWORK, forecasters.JOINT))
            scaled = assays.scaled(one.arm, forecast)[0]
            for uncertainty, each in (("single", forecast), ("std_scaling", scaled)):
                found[one.arm].append(Named(keys | {"uncertainty": uncertainty}, each, networks))
    simple = forecasters.baselines([one.arm for one in fitted], store, config.where)
    for arm, every in simple.items():
        for name, forecast in every.items():
            own = "constant_sigma" if name == "authors_cnn" else "single"
            found[arm].append(Named({"model": name, "uncertainty": own}, forecast))
    return found


def _forecasts(fitted: FittedArm, others: Sequence[Named], config: Config) -> Iterator[Named]:
    """Every forecast of an arm; a network that stands alone names no seed."""
    network, members = {"model": config.model}, len(fitted.members)
    together = np.stack(fitted.forecast[:2])
    yield Named(network | {"uncertainty": fitted.uncertainty}, together, members)
    if members > 1:
        for seed, forecast in zip(config.seeds, fitted.members, strict=True):
            yield Named(network | {"uncertainty": "single", "seed": seed}, forecast, 1)
    scaled = assays.scaled(fitted.arm, together)
    for name, repaired in zip(("std_scaling", "constant_sigma"), scaled, strict=True):
        yield Named(network | {"uncertainty": name}, repaired, members)
    yield from others


def scored_items(fitted: FittedArm, others: Sequence[Named], config: Config) -> Iterator[Scored]:
    """Every forecast of an arm on each of its parts; the arm's own one by GC decile too."""
    deciles = {"gc_decile": gc_deciles(fitted.arm.data)}
    for keys, forecast, members in _forecasts(fitted, others, config):
        own = _used(keys, fitted, config) and keys["model"] == config.model
        for part in fitted.arm.parts:
            by = deciles if own and part.sampled else {}
            yield assays.scored(fitted.arm, part, forecast, by, members, **{"prior": "none"} | keys)


def _used(keys: Mapping[str, Any], fitted: FittedArm, config: Config) -> bool:
    """Whether keys are of the network as it is best used, or of what stands beside it."""
    others = (*forecasters.KERNELS, *forecasters.BASELINES, "stack", "leading")
    used = {**dict.fromkeys(others, "single"), config.model: fitted.uncertainty}
    return used.get(keys["model"]) == keys["uncertainty"] and "prior" not in keys


def mean_items(fitted: FittedArm, others: Sequence[Named], config: Config) -> Iterator[Scored]:
    """Forecasts of the mean of an element's two orientations: of both, the std scaled to it."""
    made = element_means(fitted.arm) if fitted.arm.main else None
    if made is None:
        return
    (arm, pairs), kind = made, {"prior": "none", "uncertainty": "std_scaling"}
    for keys, forecast, members in _forecasts(fitted, others, config):
        if _used(keys, fitted, config):
            mean, std = forecast[:, : len(arm.splits), pairs]  # (splits, 2, m) each
            both = np.stack([mean.mean(axis=1), np.sqrt((std**2).mean(axis=1))])
            repaired = assays.scaled(arm, both)[0]
            yield assays.scored(arm, arm.parts[0], repaired, None, members, **{**keys, **kind})


def gc_deciles(data: SequenceDataset) -> NDArray[np.str_]:
    """Label of the data set's GC decile each element lies in, such as ``0.475-0.505``."""
    edges = np.unique(np.quantile(data.gc, np.linspace(0, 1, 11)))
    index = np.clip(np.searchsorted(edges, data.gc, side="right") - 1, 0, max(len(edges) - 2, 0))
    # The last edge stands twice for a data set of one GC content.
    return np.array([f"{a:.3f}-{b:.3f}" for a, b in pairwise([*edges, edges[-1]])])[index]


def assay_table(arms: Sequence[AssayArm]) -> pd.DataFrame:
    """One row per data set and measure: size, folds, repairs, activity, GC, reliability."""
    rows = []
    by_folds = sorted(arms, key=lambda arm: arm.plan.folds)  # of a leaky one there are none
    for arm in {arm.data.name: arm for arm in by_folds}.values():
        assay, untested = arm.data, arm.plan.codes < 0
        facts: dict[str, float] = {
            "elements": len(assay),
            "length": assay.codes.shape[1],
            "folds": arm.plan.folds,
            "large_families": len(np.unique(assay.group[untested])),
            "share_in_large_families": float(untested.mean()),
            "sd_activity": float(assay.activity.std()),
            "r_gc_activity": float(np.corrcoef(assay.gc, assay.activity)[0, 1]),
        }
        facts |= {f"gc_{q:02d}": float(np.quantile(assay.gc, q / 100)) for q in (5, 25, 50, 75, 95)}
        facts |= {f"repaired_{name}": count for name, count in assay.repairs.items()}
        facts |= reliability(assay)
        rows += [(assay.name, measure, value) for measure, value in facts.items()]
    return pd.DataFrame(rows, columns=["data", "measure", "value"])


def _held_against(key: tuple[Any, ...], config: Config) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """What a forecast on a part is held against, by name; of the keys the first that is there."""
    data, model, prior, uncertainty, seed, split, shift, condition = key
    forecast, test, known = key[:4], ("test", "", ""), (None, config.seeds[0])
    if seed is not None:
        return []
    if key[5:] == test:
        if (model, prior) == (config.model, "none") or uncertainty == "std_scaling":
            return []
        return [(config.model, [(data, config.model, "none", u, None, *test) for u in OWN])]
    if split in ("test", "inside", "matched"):
        return []
    if shift in ("", "gc_tilt"):
        return [("test", [(*forecast, each, *test) for each in known])]
    sides = ("inside", "matched")
    return [(side, [(*forecast, each, side, shift, condition) for each in known]) for side in sides]


def contrasts(measured: Sequence[Measured], between: pd.Series, config: Config) -> pd.DataFrame:
    """What each shift changes, and in distribution every forecaster against the network.

    Of shifts: shifted against inside and matched; tilts and a leak against test. A network that
    stands alone is held against that of the first seed. Errors and widths as ratios, coverage,
    correlation and NLL as differences.
    """
    names = ("data", "model", "prior", "uncertainty", "seed", "split", "shift", "condition")
    parts = {tuple(each.keys[name] for name in names): each for each in measured}
    tables = []
    for key, one in parts.items():
        *_, split, shift, condition = key
        label = "leak" if split == "random_leaky" else f"{shift} {condition}".strip()
        keys = dict(zip(names[:4], key, strict=False)) | {"shift": label}
        for against, asked in _held_against(key, config):
            found = [parts[other] for other in asked if other in parts]
            if found:
                tables.append(contrast(one, found[0], between, **keys, against=against))
    return joined(tables, (*names[:4], "shift", "against"))


def run(config: Config, store: Store) -> Tables:
    """Tables: ``assays``, ``leaks``, ``contrasts``."""
    design, data = config.design, load_data(config)
    arms = design.build(data)
    fitted = assays.fit_arms(arms, design.settings, store, config.where)
    others = beside(config, fitted, store)
    each = [(one, others[one.arm], config) for one in fitted]
    items = [item for one in each for item in (*scored_items(*one), *mean_items(*one))]
    measured = score_all(items, config.draws, config.workers)
    between = refits(measured)
    leaks = []
    for arm in arms:
        keys = {"data": arm.data.name, "arm": arm.kind, "shift": arm.parts[0].shift}
        report = leak_report(arm.data.codes, arm.data.group, arm.splits[0])
        leaks.append(report.assign(**keys))
    tables = {
        "assays": assay_table(arms),
        "leaks": pd.concat(leaks, ignore_index=True),
        "contrasts": contrasts(measured, between, config),
    }
    marks = {assay.name: assay.fingerprint for assay in data}
    rows = rows_of(measured, between)
    rows = rows[rows["metric"].isin(METRICS) | (rows["by"] != "")].drop(columns="variance")
    return Tables(rows, tables, marks)

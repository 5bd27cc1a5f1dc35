"""Networks with composition priors on real assays: arms, fits, scores and paired contrasts.

In: an assay and a ``split_seed``. Out: units that fit each prior on the splits of
:mod:`lib.experiments.gc_arms`, tidy rows and contrasts of two priors on the same elements, pooled
over splits.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from lib import assays as mpra
from lib.data.dataset import FloatArray, SequenceDataset
from lib.data.splits import Split
from lib.experiments.fits import fitting, forecast, predicting
from lib.experiments.gc_arms import Part, build_arms
from lib.experiments.priors import prior_features
from lib.experiments.scoring import Scored, combine, score
from lib.metrics.evaluate import compare
from lib.models.baselines import gc_ridge
from lib.motifs.priors import permuted_rows
from lib.simulator import standin
from lib.statistics.effects import over_splits
from lib.study.units import Fit, Placement, Result, Store, Unit, cores, run_units
from lib.training.config import FitConfig

ASSAY_MODEL: Final = "cnn"
ASSAY_OPTIONS: Final[Mapping[str, Any]] = {"channels": 16}
STANDIN: Final = "standin"
PLACEBO_OF: Final = "gc"
# In the group arm of assays with tails: a network of what a ridge on GC leaves ("residual"), and
# priors beside the embedding of such a network ("residualised").
CONTROLS: Final = (("gc", "residual"), ("gc", "residualised"), ("permuted", "residualised"))
METRICS: Final = (
    *("rmse", "bias", "pearson_r", "r2_cod", "sd_target", "crps_gaussian", "crps_skill"),
    *("nll_gaussian", "zms", "zms_robust", "picp_50", "picp_80", "picp_90", "picp_95", "mpiw_90"),
)
CONTRASTED: Final = ("rmse", "crps_gaussian", "nll_gaussian", "picp_90", "zms")
RATIOS: Final = frozenset({"rmse", "crps_gaussian", "zms"})


@dataclass(frozen=True, eq=False)
class AssayArm:
    """A split of an assay with a prior and the parts on which it is judged.

    Attributes
    ----------
    data : SequenceDataset
    split : Split
    parts : tuple of Part
    prior, entry : str
    """

    data: SequenceDataset
    split: Split
    parts: tuple[Part, ...]
    prior: str
    entry: str = "late"


@lru_cache(maxsize=4)
def load_assay(name: str, standin_size: int) -> SequenceDataset:
    """An assay by name; ``standin`` is a simulated one."""
    return standin(n=standin_size, seed=0) if name == STANDIN else mpra.load(name)


def assay_arms(
    data: SequenceDataset,
    arms: Sequence[str],
    priors: Sequence[str],
    held_out_priors: Sequence[str],
    quantile: float,
    tilts: Sequence[float],
    split_seed: int,
) -> list[AssayArm]:
    """Every split of one seed with every prior.

    Parameters
    ----------
    data : SequenceDataset
    arms : sequence of str
        Of :data:`lib.experiments.gc_arms.ARMS`: ``group``, ``tilt``, ``tail``, ``species``.
    priors, held_out_priors : sequence of str
        Of the group arm, and of the arms that hold a tail or a species out.
    quantile, tilts, split_seed
        As for :func:`lib.experiments.gc_arms.build_arms`.
    """
    found = []
    for arm in build_arms(data, arms, quantile, tilts, split_seed):
        if arm.split.name.startswith("placebo"):
            continue  # it serves other experiments
        own = priors if arm.main else held_out_priors
        found += [AssayArm(data, arm.split, arm.parts, prior) for prior in own]
        if arm.main and "tail" in arms and {"gc", "permuted"} <= set(own):
            found += [AssayArm(data, arm.split, arm.parts, *control) for control in CONTROLS]
    return found


def arm_data(arm: AssayArm) -> tuple[SequenceDataset, FloatArray]:
    """What an arm's network is fitted on, and the offset (n,) to add to its forecasts."""
    data, split = arm.data, arm.split
    offset = np.zeros(len(data))
    if arm.entry != "late":
        offset = gc_ridge(data.codes, data.activity, split["train"], split["validation"]).mean
    features = None
    if arm.prior != "none" and arm.entry != "residual":
        source = PLACEBO_OF if arm.prior == "permuted" else arm.prior
        features = prior_features(source, data.codes)
        if arm.prior == "permuted":
            rng = np.random.default_rng([split.seed, 501])
            features = permuted_rows(features, list(split.parts.values()), rng)
    return replace(data, activity=data.activity - offset, features=features), offset


def fitting_assay(arm: AssayArm, epochs: int, device: str) -> Unit:
    """The unit that fits an arm."""
    settings = FitConfig(
        model=ASSAY_MODEL,
        model_options=dict(ASSAY_OPTIONS),
        epochs=epochs,
        device=device,
        reverse_complement=not arm.data.oriented,
        seed=arm.split.seed,
    )
    return fitting(settings, arm_data(arm)[0], arm.split)


def arm_forecast(arm: AssayArm, result: Result) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation in the activity's unit; NaN on rows that were seen."""
    mean, std = forecast(result)
    return mean + arm_data(arm)[1], std


def scored_items(
    arm: AssayArm, mean: FloatArray, std: FloatArray, model: str = ASSAY_MODEL
) -> Iterator[Scored]:
    """An arm's forecast on each of its parts."""
    data = arm.data
    known = data.activity[arm.split["train"]]
    for part in arm.parts:
        rows = part.rows
        keys: dict[str, Hashable] = {
            "data": data.name,
            "split_seed": arm.split.seed,
            **part.keys,
            "model": model,
            "prior": arm.prior,
            "entry": arm.entry,
            "uncertainty": "single",
            "seed": None,
        }
        yield Scored(
            keys,
            mean[rows],
            std[rows],
            data.activity[rows],
            data.group[rows],
            len(known),
            (float(known.mean()), float(known.std())),
        )


def paired(one: Scored, other: Scored, draws: int, seed: int) -> pd.DataFrame:
    """Contrast of two priors on the same elements of one split: effect and its variance.

    Errors on the log scale; ``seed`` alone seeds the bootstrap over groups.
    """
    tables = [
        pd.DataFrame(
            {"target": item.target, "mean": item.mean, "std": item.std, "group": item.group}
        )
        for item in (one, other)
    ]
    rng = np.random.default_rng(seed)
    found = compare(*tables, rng=rng, draws=draws, climatology=one.climatology)
    found = found[found["metric"].isin(CONTRASTED) & (found["by"] == "")].copy()
    log = found["metric"].isin(RATIOS)
    spread = (np.log(found["ratio_upper"]) - np.log(found["ratio_lower"])) / (2 * 1.96)
    found["variance"] = np.where(log, spread**2, found["variance"])
    found["value"] = np.where(log, np.log(found["ratio"]), found["value"])
    keys: dict[str, Any] = {
        name: one.keys[name] for name in ("data", "split", "shift", "condition", "split_seed")
    }
    columns = ["metric", "value", "variance", "n"]
    return found[columns].assign(**keys, n_train=one.n_train)


def pooled(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Contrasts of single splits pooled over splits, errors as ratios.

    Intervals are those of :func:`lib.statistics.intervals.combine_splits`, at 95 and at 90 %.
    """
    scale = contrasts["metric"].isin(RATIOS).map({True: "ratio", False: "difference"})
    keys = ["data", "split", "shift", "condition", "prior", "against", "entry", "metric", "scale"]
    return over_splits(contrasts.assign(scale=scale), keys, narrow=True).drop(columns="scale")


def _contrast_pairs(items: Sequence[Scored]) -> Iterator[tuple[Scored, Scored, str]]:
    """Each prior's forecast with that of the placebo and of none, on the same part and split."""
    by_part: dict[tuple[Any, ...], dict[tuple[Any, Any], Scored]] = {}
    for item in items:
        part = tuple(item.keys[k] for k in ("data", "split_seed", "split", "shift", "condition"))
        by_part.setdefault(part, {})[item.keys["prior"], item.keys["entry"]] = item
    for found in by_part.values():
        for (prior, entry), item in found.items():
            for against in ("permuted", "none"):
                # A network of what GC leaves, without features, is compared with the plain one.
                other = found.get((against, "late" if entry == "residual" else entry))
                if other is not None and prior != against:
                    yield item, other, against


def score_arms(
    arms: Sequence[AssayArm], fits: Sequence[Fit], store: Store, where: Placement, draws: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tidy rows, and contrasts of priors pooled over splits; ``fits`` are the arms'."""
    wanted = [predicting(unit, result) for unit, result in fits]
    forecasts = run_units(wanted, store, where, "forecasts")
    items = [
        item
        for arm, result in zip(arms, forecasts, strict=True)
        for item in scored_items(arm, *arm_forecast(arm, result))
    ]
    parallel = Parallel(n_jobs=cores() if where.workers is None else where.workers)
    scored = parallel(delayed(score)(item, draws, i) for i, item in enumerate(items))
    rows = pd.concat(scored, ignore_index=True)
    rows = combine(rows[rows["metric"].isin(METRICS)])
    pairs = list(_contrast_pairs(items))
    tables = parallel(
        delayed(paired)(one, other, draws, i) for i, (one, other, _) in enumerate(pairs)
    )
    contrasts = pd.concat(
        [
            table.assign(prior=one.keys["prior"], entry=one.keys["entry"], against=against)
            for table, (one, _, against) in zip(tables, pairs, strict=True)
        ],
        ignore_index=True,
    )
    return rows, pooled(contrasts)

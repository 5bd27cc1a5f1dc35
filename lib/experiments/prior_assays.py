"""Networks told of composition on real assays, scored, and paired with their placebo.

In: arms of :mod:`lib.experiments.assays`. Out: :class:`Told`, an arm with a prior; units that fit
it; tidy rows, and contrasts of two priors on the same elements, pooled over splits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import FloatArray
from lib.data.dataset import SequenceDataset
from lib.experiments.assays import AssayArm, fitting, forecasting, forecasts, scored
from lib.experiments.priors import prior_features
from lib.experiments.scoring import Scored, combine, score_all, side_by_side
from lib.metrics.evaluate import compare
from lib.models.baselines import gc_ridge
from lib.motifs.priors import permuted_rows
from lib.statistics.effects import over_splits
from lib.study.units import Fit, Placement, Store, Unit
from lib.training.config import FitConfig

ASSAY_MODEL: Final = "cnn"
PLACEBO_OF: Final = "gc"
# In the group arm of assays with tails: a network of what a ridge on GC leaves ("residual"), and
# priors beside the embedding of such a network ("residualised").
CONTROLS: Final = (("gc", "residual"), ("gc", "residualised"), ("permuted", "residualised"))
METRICS: Final = (
    *("rmse", "bias", "pearson_r", "r2_cod", "sd_target", "crps_gaussian", "crps_skill"),
    *("nll_gaussian", "zms", "zms_robust", "picp_50", "picp_80", "picp_90", "picp_95", "mpiw_90"),
)
SCALES: Final = {
    **dict.fromkeys(("rmse", "crps_gaussian", "zms"), "ratio"),
    **dict.fromkeys(("nll_gaussian", "picp_90"), "difference"),
}
PART: Final = ("data", "split_seed", "split", "shift", "condition")


class Told(NamedTuple):
    """An arm whose network is told a prior; ``entry`` is ``late`` or of :data:`CONTROLS`."""

    arm: AssayArm
    prior: str
    entry: str = "late"


def told_arms(
    arms: Sequence[AssayArm], priors: Sequence[str], held_out: Sequence[str], controls: bool
) -> Iterator[Told]:
    """Every arm with its priors: ``priors`` on the group arm, ``held_out`` on the others."""
    for arm in arms:
        if arm.kind != "placebo":  # random groups held out serve other experiments
            own = priors if arm.main else held_out
            yield from (Told(arm, prior) for prior in own)
            if controls and arm.main and {"gc", "permuted"} <= set(own):
                yield from (Told(arm, *control) for control in CONTROLS)


def offset(told: Told) -> FloatArray:
    """What is taken out of the target and added to forecasts, (n,): what a ridge on GC tells."""
    data, split = told.arm.data, told.arm.split
    if told.entry == "late":
        return np.zeros(len(data))
    return gc_ridge(data.codes, data.activity, split["train"], split["validation"]).mean


def told_data(told: Told) -> SequenceDataset:
    """What the network is fitted on."""
    data, split, features = told.arm.data, told.arm.split, None
    if told.prior == "permuted":
        rng = np.random.default_rng([split.seed, 501])
        parts = list(split.parts.values())
        features = permuted_rows(prior_features(PLACEBO_OF, data.codes), parts, rng)
    elif told.prior != "none" and told.entry != "residual":
        features = prior_features(told.prior, data.codes)
    return replace(data, activity=data.activity - offset(told), features=features)


def fitting_told(told: Told, epochs: int, device: str) -> Unit:
    """The unit that fits an arm with its prior."""
    settings = FitConfig(
        model=ASSAY_MODEL,
        model_options={"channels": 16},
        epochs=epochs,
        device=device,
        reverse_complement=told.arm.both_strands,
        seed=told.arm.split.seed,
    )
    return fitting(settings, told_data(told), told.arm.split)


def paired(one: Scored, other: Scored, draws: int, seed: int) -> pd.DataFrame:
    """Contrast of two priors on the same elements of one split: effect and its variance.

    Errors on the log scale; ``seed`` alone seeds the bootstrap over groups.
    """
    found = compare(
        one.forecast,
        other.forecast,
        rng=np.random.default_rng(seed),
        draws=draws,
        climatology=one.climatology,
    )
    found = found[found["metric"].isin(SCALES) & (found["by"] == "")]
    scale = found["metric"].map(SCALES)
    log = scale == "ratio"
    spread = (np.log(found["ratio_upper"]) - np.log(found["ratio_lower"])) / (2 * 1.96)
    keys: dict[str, Any] = {name: one.keys[name] for name in PART}
    return found[["metric", "n"]].assign(
        scale=scale,
        value=found["value"].where(~log, np.log(found["ratio"])),
        variance=found["variance"].where(~log, spread**2),
        n_train=one.n_train,
        **keys,
    )


def pooled(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Contrasts of single splits pooled over splits, errors as ratios."""
    keys = ["data", "split", "shift", "condition", "prior", "against", "entry", "metric", "scale"]
    return over_splits(contrasts, keys, narrow=True).drop(columns="scale")


def _pairs(items: Sequence[Scored]) -> Iterator[tuple[Scored, Scored, dict[str, Any]]]:
    """Each prior's forecast with that of the placebo and of none, on the same part and split."""
    by_part: dict[tuple[Any, ...], dict[tuple[Any, Any], Scored]] = {}
    for item in items:
        part = tuple(item.keys[name] for name in PART)
        by_part.setdefault(part, {})[item.keys["prior"], item.keys["entry"]] = item
    for found in by_part.values():
        for (prior, entry), item in found.items():
            for against in ("permuted", "none"):
                # A network of what GC leaves, without features, is compared with the plain one.
                other = found.get((against, "late" if entry == "residual" else entry))
                if other is not None and prior != against:
                    yield item, other, {"prior": prior, "entry": entry, "against": against}


def score_told(
    told: Sequence[Told], fits: Sequence[Fit], store: Store, where: Placement, draws: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tidy rows, and contrasts of priors pooled over splits; ``fits`` are those of ``told``."""
    items = []
    found = forecasts(map(forecasting, fits), store, where)
    for one, (mean, std) in zip(told, found, strict=True):
        moved = mean + offset(one)
        keys: dict[str, Any] = {"model": ASSAY_MODEL, "uncertainty": "single"}
        keys |= {"prior": one.prior, "entry": one.entry}
        items += [scored(one.arm, part, moved, std, **keys) for part in one.arm.parts]
    rows = score_all(items, draws, where.workers)
    pairs = list(_pairs(items))
    jobs = [(one, other, draws, place) for place, (one, other, _) in enumerate(pairs)]
    tables = side_by_side(paired, jobs, where.workers)
    named = [table.assign(**keys) for table, (_, _, keys) in zip(tables, pairs, strict=True)]
    contrasts = pd.concat(named, ignore_index=True)
    return combine(rows[rows["metric"].isin(METRICS)]), pooled(contrasts)

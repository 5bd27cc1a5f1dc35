"""Repairs and detection on real assays: the GC arms of notebook 02 with its fits.

In: assays and the settings of notebook 02. Out: values per split by part and
:class:`lib.experiments.repair_scoring.Key`, and by part and detector. Calibration elements are one
per leak group; the group-wise repair takes all of them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from lib.data.dataset import FloatArray, IndexArray, SequenceDataset
from lib.experiments.fits import fitting, forecast, predicting
from lib.experiments.gc_arms import Arm, build_arms
from lib.experiments.gc_arms import Part as ArmPart
from lib.experiments.mpra_gc_ood import Config as GCConfig
from lib.experiments.repair_detection import Seen, detect
from lib.experiments.repair_quantiles import QuantileNetwork, quantile_columns
from lib.experiments.repair_scoring import (
    LEVEL,
    Part,
    averages,
    calibrated,
    calibrated_columns,
    gc_bins,
    labelled_columns,
)
from lib.experiments.repair_worlds import DECILES, Settings
from lib.repair.conformal import one_per_group
from lib.study.units import Result, Store, cores, missing_units, run_units
from lib.training.fitted import FittedModel, embed

ARMS = ("group", "tilt", "tail", "placebo")
JUDGED = ("test", "shifted")


class Fitted(NamedTuple):
    """An arm with its one network and that network's forecast of the assay's unseen rows.

    ``quantiles`` is the network with two quantiles, on the group arm.
    """

    data: SequenceDataset
    arm: Arm
    model: Result
    mean: FloatArray
    std: FloatArray
    quantiles: Result | None = None


def fit_arms(
    config: GCConfig, data: Sequence[SequenceDataset], store: Store
) -> tuple[list[Fitted], dict[str, int]]:
    """The first network of each arm as notebook 02 fits it, and how many were computed now."""
    arms = [
        (assay, arm)
        for assay in data
        for seed in config.split_seeds
        for arm in build_arms(assay, ARMS, config.gc_quantile, config.gc_tilts, seed)
    ]
    units, pairs = [], {}
    for index, (assay, arm) in enumerate(arms):
        settings = config.design.settings(arm)[0]
        units.append(fitting(settings, assay, arm.split))
        if arm.main:
            ends = settings.model_copy(update={"interval_level": LEVEL})
            pairs[index] = fitting(ends, assay, arm.split)
    jobs = [*units, *pairs.values()]
    missing = missing_units(jobs, store)
    models = run_units(jobs, store, config.where, "fits of assays")
    quantiles = dict(zip(pairs, models[len(units) :], strict=True))
    asked = [predicting(unit, model) for unit, model in zip(units, models, strict=False)]
    found = run_units(asked, store, config.where, "forecasts")
    fitted = [
        Fitted(assay, arm, models[index], *forecast(result), quantiles.get(index))
        for index, ((assay, arm), result) in enumerate(zip(arms, found, strict=True))
    ]
    return fitted, {"fits": len(jobs), "fits_computed": missing}


def _seen(fitted: Fitted, rows: IndexArray, most: int, rng: np.random.Generator) -> Seen:
    """What is known, targets apart, of at most ``most`` elements: one per group and none twice.

    Tests need sides alike in everything but the shift. A tilted part holds copies; an element
    stands in with a chance that grows with its copies, so what is tested is tilted a little less.
    """
    distinct, copies = np.unique(rows, return_counts=True)
    alone = one_per_group(fitted.data.group[distinct], rng)
    chance = copies[alone] / copies[alone].sum()
    drawn = distinct[rng.choice(alone, min(most, len(alone)), replace=False, p=chance)]
    data = fitted.data
    model = FittedModel.from_arrays(fitted.model.arrays, fitted.model.meta)
    embedding = embed(model, data.codes[drawn])
    return Seen(data.gc[drawn], embedding, fitted.std[drawn], data.group[drawn])


def _part(fitted: Fitted, rows: IndexArray) -> Part:
    data = fitted.data
    every = Part(fitted.mean, fitted.std, data.activity, data.gc, data.group)
    return every.take(rows)


def _keys(fitted: Fitted, part: ArmPart) -> dict[str, Any]:
    split = fitted.arm.split
    train = len(split["train"])
    return {"data": fitted.data.name, "split_seed": split.seed, **part.keys, "n_train": train}


def judge(fitted: Fitted, settings: Settings, draws: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Values of every repair, and of every detector, on each part of one arm."""
    split = fitted.arm.split
    rng = np.random.default_rng([split.seed, 2])
    everyone = split["calibration"]
    drawn = everyone[one_per_group(fitted.data.group[everyone], np.random.default_rng(split.seed))]
    held, relatives = _part(fitted, drawn), _part(fitted, everyone)
    reference = _seen(fitted, drawn, 2 * settings.detection_size, rng)
    values, detection = [], []
    for part in fitted.arm.parts:
        if part.keys["split"] not in JUDGED:
            continue
        asked = _part(fitted, part.rows)
        repairs = calibrated(held, asked, settings.gc_bins, relatives=relatives)
        columns, single = calibrated_columns(repairs, asked, gc_bins(held, asked, DECILES)[1])
        if fitted.quantiles is not None:
            pair = QuantileNetwork(fitted.quantiles)
            ends = [pair.ends(fitted.data.take(rows)) for rows in (drawn, part.rows)]
            columns |= quantile_columns(ends[0], held.target, ends[1], asked.target)
        labelled = labelled_columns(
            asked,
            [np.arange(len(part.rows))],
            settings.labels,
            settings.repeats,
            settings.tolerance,
            rng,
        )
        table = averages(
            columns | labelled[0], single | labelled[1], asked.group, draws, split.seed
        )
        keys = _keys(fitted, part)
        values.append(table.assign(**keys, oracle=np.nan))
        new = _seen(fitted, part.rows, settings.detection_size, rng)
        size, permutations = settings.detection_size, settings.permutations
        found = detect(reference, new, size, permutations, split.seed)
        detection.append(found.assign(**keys))
    return pd.concat(values, ignore_index=True), pd.concat(detection, ignore_index=True)


def judge_all(
    fitted: Sequence[Fitted], settings: Settings, draws: int, workers: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """:func:`judge` of all arms, stacked."""
    parallel = Parallel(n_jobs=cores() if workers is None else workers)
    found = list(parallel(delayed(judge)(arm, settings, draws) for arm in fitted))
    values, detection = (
        pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True)
    )
    return values, detection

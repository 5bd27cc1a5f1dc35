"""The ensembles that come with the package: made from the fits of notebook 02, measured by them.

In: :class:`Config`, which names assays and a split of notebook 02; fits that are not stored yet are
computed. Out: ensembles for :mod:`lib.published`, and :class:`~lib.study.found.Tables`, in
which the forecasts of the published files stand beside those of notebook 02.
:mod:`lib.experiments.export_ensembles` writes both.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from lib import assays as mpra
from lib import published
from lib.data.dataset import FloatArray, SequenceDataset
from lib.data.splits import Split, group_split
from lib.experiments import mpra_gc_ood
from lib.experiments.assays import GC_DATA, build_arms
from lib.experiments.fits import fitting, forecast, predicting
from lib.metrics.evaluate import evaluate
from lib.published import Ensemble
from lib.study.config import ExperimentConfig, Names, Profile
from lib.study.found import Tables
from lib.study.units import Store, run_units
from lib.training.ensembles import combine
from lib.training.fitted import FittedModel

METRICS = ("rmse", "pearson_r", "crps_gaussian", "zms", "picp_90")
LICENCE = (
    "MIT, as the code. The measurements that the networks learned from are not in this file; "
    "please cite their authors, whom the book's page on data names."
)
INPUT = {
    "wtc11": "elements of 200 nt without the adapters, in either orientation",
    "plant_leaf": "core promoters of 170 nt, in the direction of their gene",
}


class Config(ExperimentConfig):
    """Parameters of the export.

    Attributes
    ----------
    assays : tuple of str
        Names of :func:`lib.assays.names` that notebook 02 takes.
    split_seed : int
        Of the group split whose test part the files are measured on.
    """

    experiment: ClassVar[str] = "published_ensembles"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"full": {}}

    profile: Profile = "full"
    assays: Names = GC_DATA
    split_seed: int = 0


class Source(NamedTuple):
    """What notebook 02 made of an assay on one split.

    Attributes
    ----------
    data : SequenceDataset
    split : Split
    members : list of FittedModel
    mean, std : (n,) float arrays
        Forecast of the members as one, of the test part.
    """

    data: SequenceDataset
    split: Split
    members: list[FittedModel]
    mean: FloatArray
    std: FloatArray


def source(name: str, config: Config, store: Store) -> Source:
    """The finished fits of the group arm of notebook 02, and their forecast of the test part."""
    asked = mpra_gc_ood.Config.create(profile="full", dataset=name)
    data = mpra.load(name)
    split = group_split(data.group, config.split_seed)
    (arm,) = build_arms(data, ("group",), 0.8, (), config.split_seed)
    fits = [fitting(own, data, split) for own in asked.design.settings(arm)]
    done = run_units(fits, store, config.where, "fits")
    asks = [predicting(fit, result) for fit, result in zip(fits, done, strict=True)]
    found = [forecast(result) for result in run_units(asks, store, config.where, "forecasts")]
    means, stds = (np.stack(values)[:, split["test"]] for values in zip(*found, strict=True))
    together = combine(means, stds)
    members = [FittedModel.from_arrays(result.arrays, result.meta) for result in done]
    return Source(data, split, members, together.mean, together.std)


def ensemble(name: str, made: Source) -> Ensemble:
    """What is published of an assay."""
    about = {
        "unit": made.data.unit,
        "input": INPUT[name],
        "split_seed": made.split.seed,
        "data_fingerprint": made.data.fingerprint,
        "licence": LICENCE,
    }
    return Ensemble(name, made.members, about)


def in_float32(given: Ensemble) -> Ensemble:
    """The ensemble as a machine without bfloat16 computes it."""
    return replace(
        given,
        members=[
            replace(member, config=member.config.model_copy(update={"precision": "float32"}))
            for member in given.members
        ],
    )


def measured(made: Source, mean: FloatArray, std: FloatArray, draws: int) -> pd.DataFrame:
    """Scores of a forecast of the test part, and how far it is from that of notebook 02.

    ``difference`` is the largest difference of two means, ``difference_std`` that of two standard
    deviations, in per cent of the standard deviation that notebook 02 predicts.
    """
    test = made.split["test"]
    columns = {"target": made.data.activity[test], "mean": mean, "std": std}
    table = pd.DataFrame(columns | {"group": made.data.group[test]})
    rows = evaluate(table, draws=draws, rng=np.random.default_rng(0))
    rows = rows[rows["metric"].isin(METRICS)].drop(columns="variance")
    apart = {"difference": mean - made.mean, "difference_std": std - made.std}
    more = [
        {"metric": metric, "value": 100 * np.max(np.abs(gap) / made.std), "n": len(test)}
        for metric, gap in apart.items()
    ]
    return pd.concat([rows, pd.DataFrame(more)], ignore_index=True)


def compare(given: Ensemble, made: Source, draws: int) -> pd.DataFrame:
    """Rows of notebook 02's forecast and of the file's, in this machine's precision and in float32.

    Returns
    -------
    DataFrame
        Tidy; ``condition`` is ``notebook 02``, ``file`` or ``file in float32``.
    """
    codes = made.data.codes[made.split["test"]]
    forecasts = {"notebook 02": (made.mean, made.std)}
    for condition, asked in (("file", given), ("file in float32", in_float32(given))):
        found = asked.predict(codes)
        forecasts[condition] = found.mean, found.std
    keys: dict[str, Any] = {"data": made.data.name, "split": "test", "severity": 0.0}
    keys |= {"model": "cnn", "prior": "none", "uncertainty": "ensemble"}
    keys["split_seed"] = made.split.seed
    tables = [
        measured(made, mean, std, draws).assign(**keys, condition=condition)
        for condition, (mean, std) in forecasts.items()
    ]
    return pd.concat(tables, ignore_index=True)


def path_of(name: str) -> Path:
    """Where the file of an assay lies."""
    return published.FOLDER / f"{name}{published.ENDING}"


def contents(name: str) -> dict[str, Any]:
    """Size, hash and shape of a published file."""
    raw, given = path_of(name).read_bytes(), published.load(name)
    parameters = sum(values.size for values in given.members[0].state.values())
    return {
        "data": name,
        "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "members": len(given.members),
        "parameters": parameters,
        "length": given.length,
        "split_seed": given.about["split_seed"],
    }


def run(config: Config, store: Store) -> Tables:
    """Measure the published files against the fits they came from; writes nothing.

    Raises
    ------
    ValueError
        If an assay has no file yet.
    """
    made = {name: source(name, config, store) for name in config.assays}
    rows = [compare(published.load(name), made[name], config.draws) for name in made]
    return Tables.of(
        config,
        pd.concat(rows, ignore_index=True),
        {"files": pd.DataFrame([contents(name) for name in made])},
        data={name: one.data.fingerprint for name, one in made.items()},
        counts={"fits": sum(len(one.members) for one in made.values())},
    )

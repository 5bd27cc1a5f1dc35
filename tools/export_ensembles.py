"""Writes the ensembles that come with the package, and the tables that say how good they are.

In: the finished fits of notebook 02 on its first fold; those that are not stored yet are computed.
Out: files for :mod:`lib.published`, and ``results/published_ensembles*``, in which the forecasts of
the files stand beside those of notebook 02. Command line: ``python -m tools.export_ensembles``.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from lib import published
from lib.arrays import FloatArray
from lib.experiments import mpra_gc_ood
from lib.experiments.arms import AssayArm
from lib.experiments.assays import GC_DATA, fit_arms
from lib.metrics.evaluate import evaluate
from lib.published import Ensemble
from lib.study import results
from lib.study.config import ExperimentConfig, Names, Profile, repository_root
from lib.study.report import publish_tables
from lib.study.results import default_store
from lib.study.units import Store, module_hashes
from lib.training.fit import network_of
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
UNIT = {"wtc11": "log2 RNA/DNA", "plant_leaf": "log2 enrichment"}


class Config(ExperimentConfig):
    """Which assays of notebook 02, and the deal of folds on whose first one files are measured."""

    experiment: ClassVar[str] = "published_ensembles"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"full": {}}

    profile: Profile = "full"
    assays: Names = GC_DATA
    split_seed: int = 0


class Source(NamedTuple):
    """What notebook 02 made of an assay on its first fold.

    Attributes
    ----------
    arm : AssayArm
        With that fold's split alone.
    members : list of FittedModel
    mean, std : (n,) float arrays
        Forecast of the members as one, of the test part.
    """

    arm: AssayArm
    members: list[FittedModel]
    mean: FloatArray
    std: FloatArray


def source(name: str, config: Config, store: Store) -> Source:
    """The finished fits of the group arm of notebook 02, and their forecast of the test part."""
    own = {"dataset": name, "arm": ["group"], "split_seed": config.split_seed}
    asked = mpra_gc_ood.Config.create(profile="full", **own)
    (arm,) = asked.design.build(mpra_gc_ood.load_data(asked))
    arm = replace(arm, splits=arm.splits[:1])
    (fitted,) = fit_arms([arm], asked.design.settings, store, config.where)
    mean, std = (values[0, arm.splits[0]["test"]] for values in fitted.forecast[:2])
    return Source(arm, [network_of(fit.model) for (fit,) in fitted.fits], mean, std)


def ensemble(made: Source) -> Ensemble:
    """What is published of an assay."""
    data = made.arm.data
    about = {
        "unit": UNIT[data.name],
        "input": INPUT[data.name],
        "split_seed": made.arm.splits[0].seed,
        "data_fingerprint": data.fingerprint,
        "licence": LICENCE,
    }
    return Ensemble(data.name, made.members, about)


def measured(made: Source, mean: FloatArray, std: FloatArray, draws: int) -> pd.DataFrame:
    """Scores of a forecast of the test part, and how far it is from that of notebook 02.

    ``difference`` is the largest difference of two means, ``difference_std`` that of two standard
    deviations, in per cent of the standard deviation that notebook 02 predicts.
    """
    data, test = made.arm.data, made.arm.splits[0]["test"]
    columns = {"target": data.activity[test], "mean": mean, "std": std, "group": data.group[test]}
    rows = evaluate(pd.DataFrame(columns), draws=draws, rng=np.random.default_rng(0))
    rows = rows[rows["metric"].isin(METRICS)].drop(columns="variance")
    apart = {"difference": mean - made.mean, "difference_std": std - made.std}
    more = [
        {"metric": metric, "value": 100 * np.max(np.abs(gap) / made.std), "n": len(test)}
        for metric, gap in apart.items()
    ]
    return pd.concat([rows, pd.DataFrame(more)], ignore_index=True)


def compare(given: Ensemble, made: Source, draws: int) -> pd.DataFrame:
    """Rows of notebook 02's forecast and of the file's; ``condition`` says which."""
    codes = made.arm.data.codes[made.arm.splits[0]["test"]]
    forecasts = {"notebook 02": (made.mean, made.std)}
    found = given.predict(codes)
    forecasts["file"] = found.mean, found.std
    keys: dict[str, Any] = {"data": made.arm.data.name, "split": "test", "severity": 0.0}
    keys |= {"model": "cnn", "prior": "none", "uncertainty": "ensemble"}
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


def main() -> None:
    """Write the files, measure them and publish the tables."""
    config = Config.create(run_folder="runs/full/results")
    root = repository_root()
    made = {name: source(name, config, default_store()) for name in config.assays}
    for name, one in made.items():
        published.write(ensemble(one), path_of(name))
        print(f"wrote {path_of(name).relative_to(root)}")
    rows = [compare(published.load(name), one, config.draws) for name, one in made.items()]
    found = pd.concat(rows, ignore_index=True)
    found = found.assign(experiment=config.experiment, profile=config.profile)
    files = {"files": pd.DataFrame([contents(name) for name in made])}
    entry = {
        "data": {name: one.arm.data.fingerprint for name, one in made.items()},
        "config": config.parameters,
        "config_hash": config.hash,
        "sources": module_hashes(mpra_gc_ood.__name__),
    }
    results.write(config.folder, config.experiment, found, files, entry)
    publish_tables(config.folder, root / "results", config.experiment)
    results.record_files(root, config.experiment)


if __name__ == "__main__":
    main()

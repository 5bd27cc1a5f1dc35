"""The same trials for every architecture: four learning rates on two tasks.

Out: ``book/tuning_rates.csv``, of validation parts of WTC11 and a world of no published figure.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from lib import assays as mpra
from lib.data.dataset import SequenceDataset
from lib.data.folds import fold_split, group_folds
from lib.data.splits import Split
from lib.experiments.assays import fitting
from lib.experiments.worlds import Arm, Sizes, training_data
from lib.study.config import repository_root
from lib.study.results import default_store, to_csv, write_atomic
from lib.study.units import HERE, Fit, Store, Unit, run_fits
from lib.training.config import tuned

MODELS = ("cnn", "bilstm", "transformer")
RATES = (0.002, 0.004, 0.008, 0.016)
APART = 100  # split seed and world seed; published ones are below ten
SIZES = Sizes(train=8_000, validation=1_000, calibration=1_000, test=1_000)


class Trial(NamedTuple):
    """One fit and the columns of its row."""

    data: str
    model: str
    rate: float
    unit: Unit


def tasks() -> Iterator[tuple[SequenceDataset, Split]]:
    """The data sets and their parts."""
    assay = mpra.load("wtc11")
    yield assay, fold_split(group_folds(assay.group, APART), assay.group, 0, APART)
    yield training_data(Arm(APART, MODELS[0], SIZES.train), SIZES)


def trials() -> list[Trial]:
    """Every fit: the settings of the book but for the learning rate."""
    return [
        Trial(data.name, model, rate, fitting(tuned(model, learning_rate=rate), data, split))
        for data, split in tasks()
        for model in MODELS
        for rate in RATES
    ]


def validated(fit: Fit) -> dict[str, float]:
    """How long a fit took, and its validation scores at the epoch that was kept."""
    history, best = fit.model.meta["history"], fit.model.meta["best_epoch"]
    kept = history[best - 1]  # epochs count from 1
    return {"epochs": len(history), "best_epoch": best} | {k: kept[k] for k in ("nll", "pearson_r")}


def record(store: Store) -> pd.DataFrame:
    """A row per trial: validation NLL (in SDs of training targets) and r at the kept epoch."""
    made = trials()
    fits = run_fits([trial.unit for trial in made], store, HERE)
    return pd.DataFrame(
        {"data": trial.data, "model": trial.model, "learning_rate": trial.rate}
        | {"in_use": trial.rate == tuned(trial.model).learning_rate}
        | validated(fit)
        for trial, fit in zip(made, fits, strict=True)
    )


if __name__ == "__main__":
    target = repository_root() / "book" / "tuning_rates.csv"
    made = record(default_store()).rename(columns=lambda name: name.replace("_", " "))
    write_atomic(target, to_csv(made))
    print(f"wrote {target}")

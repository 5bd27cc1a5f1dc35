"""Accuracy: the same fits in another arithmetic, which must not cost any.

The book's CNN on 2,000 elements of a simulated world that no published figure rests on, and on a
fold of WTC11 where it is at hand; a seed sets initialisation and batch order of both sides. Float32
in the memory layout that this machine takes against the plain one, and bfloat16 where the processor
has it against float32; where there is a graphics processor, both precisions there against float32
on the processor. Recorded are the correlations with the noise-free activity (of WTC11 the
measured one) of elements not seen, their standard deviation between seeds, within which the two
must agree, and of the difference its mean and standard error.
"""

import os
import sys
from collections.abc import Iterator
from unittest import mock

import numpy as np
import torch
from joblib import Parallel, delayed
from record import here, on_gpu, record, row, trained_in

from lib import assays
from lib.data.dataset import SequenceDataset
from lib.data.folds import FOLDS, group_folds
from lib.experiments.worlds import Arm, Condition, Sizes, test_data, training_data
from lib.simulator.sample import known_truth
from lib.training.config import LAYOUTS, FitConfig
from lib.training.fit import fit
from lib.training.fitted import predict

APART = 60  # world seed, of those that rules were developed on
SEEDS = 5
SIZES = Sizes(train=2_000, validation=500, calibration=500, test=5_000)


Parts = tuple[SequenceDataset, SequenceDataset, SequenceDataset, np.ndarray]


def parts(data: str) -> Parts:
    """Training and validation part, elements not seen, and what these are held against."""
    if data == "simulation":
        drawn, split = training_data(Arm(APART, "cnn", SIZES.train), SIZES)
        fresh = test_data(APART, Condition(), SIZES.test)
        known = known_truth(fresh).activity
    else:
        drawn = assays.load(data)
        fold = group_folds(drawn.group, seed=0, count=FOLDS).fold
        fresh = drawn.take(np.flatnonzero(fold == 0))
        known = fresh.activity
        rest = np.random.default_rng(0).permutation(np.flatnonzero(fold > 1))[: SIZES.train]
        split = {"train": rest, "validation": np.flatnonzero(fold == 1)}
    return drawn.take(split["train"]), drawn.take(split["validation"]), fresh, known


def correlation(
    given: Parts, way: tuple[str, str, str], seed: int, epochs: int = FitConfig().epochs
) -> float:
    """Of one fit's forecast with what is known of elements not seen."""
    train, held, fresh, known = given
    precision, layout, device = way
    config = FitConfig(precision=precision, seed=seed, epochs=epochs, device=device)
    validation = (held.codes, held.activity)
    with mock.patch("lib.training.config._layout", lambda: layout):
        model = fit(train.codes, train.activity, config=config, validation=validation)
        return float(np.corrcoef(predict(model, fresh.codes, device=device)[0], known)[0, 1])


def ways() -> dict[str, tuple[str, str, str]]:
    """Precision, layout and device of each way; the last is what others are held against."""
    plain, last = sorted(LAYOUTS, reverse=True)
    usual = {"plain": ("float32", plain, "cpu")}
    if torch.cuda.is_available():
        return {name: (name, plain, "cuda") for name in ("bfloat16", "float32")} | usual
    found = {"channels_last": ("float32", last, "cpu")} | usual
    return ({"bfloat16": ("bfloat16", last, "cpu")} if trained_in() == "bfloat16" else {}) | found


def rows(data: str, epochs: int) -> Iterator[dict]:
    """Accuracy of each way, and how far it is from the last."""
    jobs = [(way, seed) for seed in range(SEEDS) for way in ways()]
    given = parts(data)
    fits = (delayed(correlation)(given, ways()[way], seed, epochs) for way, seed in jobs)
    found = dict(zip(jobs, Parallel(n_jobs=os.cpu_count())(fits), strict=True))
    by = {way: np.array([found[way, seed] for seed in range(SEEDS)]) for way in ways()}
    *others, usual = by
    for way, rs in by.items():
        spread, dtype = float(rs.std(ddof=1)), ways()[way][0]
        name = f"accuracy_{data}_{way}"
        yield row(name, "r", float(rs.mean()), SEEDS, spread=spread, dtype=dtype)
    for way in others:
        apart = by[way] - by[usual]
        error = float(apart.std(ddof=1) / np.sqrt(SEEDS))
        name = f"accuracy_{data}_{way}_less_{usual}"
        yield row(name, "r", float(apart.mean()), SEEDS, spread=error, dtype=ways()[way][0])


def main() -> None:
    """Fit and record; ``--small`` makes one fit of one epoch each and records nothing."""
    data = ["simulation", *(["wtc11"] if assays.available("wtc11") else [])]
    if "--small" in sys.argv[1:]:
        print([correlation(parts(d), ways()[way], 0, 1) for d in data for way in ways()])
        return
    for name in data:
        found = [*rows(name, FitConfig().epochs)]
        if torch.cuda.is_available():  # the processor's own accuracies are of machines without one
            own = here(f"accuracy_{name}_plain")
            found = [on_gpu(row) for row in found if row["name"] != own]
        record(found)


if __name__ == "__main__":
    main()

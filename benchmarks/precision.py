"""Accuracy: networks trained in bfloat16 against the same fits in float32.

The book's CNN in a simulated world that no published figure rests on; a seed sets initialisation
and batch order of both. Correlation with the noise-free activity of fresh elements, and its
standard deviation between seeds, within which the two must agree; of the difference of the two, its
mean and standard error.
"""

import sys

import numpy as np
from joblib import Parallel, delayed
from record import record, row

from lib.experiments.worlds import Arm, Condition, Sizes, test_data, training_data
from lib.simulator.sample import known_truth
from lib.training.config import FitConfig
from lib.training.fit import fit
from lib.training.fitted import predict

APART = 100  # world seed; published ones are below ten
SEEDS = 5
SIZES = Sizes(train=8_000, validation=1_000, calibration=1_000, test=5_000)
PRECISIONS = ("bfloat16", "float32")


def correlation(precision: str, seed: int, epochs: int = FitConfig().epochs) -> float:
    """Of one fit's forecast with the noise-free activity."""
    data, split = training_data(Arm(APART, "cnn", SIZES.train), SIZES)
    train, held = split["train"], split["validation"]
    model = fit(
        data.codes[train],
        data.activity[train],
        config=FitConfig(precision=precision, seed=seed, epochs=epochs, device="cpu"),
        validation=(data.codes[held], data.activity[held]),
    )
    fresh = test_data(APART, Condition(), SIZES.test)
    activity = known_truth(fresh).activity
    return float(np.corrcoef(predict(model, fresh.codes)[0], activity)[0, 1])


def main() -> None:
    """Fit and record; ``--small`` makes fits of one epoch and records nothing."""
    if "--small" in sys.argv[1:]:
        print({precision: correlation(precision, 0, 1) for precision in PRECISIONS})
        return
    jobs = [(precision, seed) for seed in range(SEEDS) for precision in PRECISIONS]
    found = Parallel(n_jobs=2)(delayed(correlation)(*job) for job in jobs)
    by = {p: [r for (own, _), r in zip(jobs, found, strict=True) if own == p] for p in PRECISIONS}
    apart = np.subtract(by["bfloat16"], by["float32"])
    error = float(apart.std(ddof=1) / np.sqrt(SEEDS))
    record(
        [
            *(
                row(
                    f"accuracy_{p}",
                    "r",
                    float(np.mean(rs)),
                    SEEDS,
                    spread=float(np.std(rs, ddof=1)),
                )
                for p, rs in by.items()
            ),
            row("accuracy_difference", "r", float(apart.mean()), SEEDS, spread=error),
        ]
    )


if __name__ == "__main__":
    main()

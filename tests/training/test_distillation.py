"""A student forecasts what its teachers say together."""

import numpy as np
import pytest

from lib.training.config import FitConfig
from lib.training.distillation import distil
from lib.training.ensembles import combine
from lib.training.fit import fit
from lib.training.fitted import predict

SMALL = {"channels": 8, "kernels": (5, 5), "pools": (2, 2), "hidden": 8, "dropout": 0.0}


def _config(seed: int, epochs: int) -> FitConfig:
    return FitConfig(model_options=SMALL, epochs=epochs, batch_size=32, max_shift=3, seed=seed)


def test_the_student_agrees_with_its_teachers_in_mean_and_std() -> None:
    """GC content moves the mean by several standard deviations, and the noise with it."""
    rng = np.random.default_rng(0)
    # GC from .2 to .8, so that there is much to learn.
    share = rng.uniform(0.2, 0.8, 900)
    strong = rng.random((900, 40)) < share[:, None]
    codes = np.where(strong, rng.integers(1, 3, (900, 40)), 3 * rng.integers(0, 2, (900, 40)))
    codes = codes.astype(np.uint8)
    gc = strong.mean(1)
    target = 5 * gc + rng.normal(0, 0.1 + gc, 900)
    teachers = [fit(codes[:600], target[:600], config=_config(seed, 8)) for seed in range(2)]
    student = distil(teachers, codes[:600], config=_config(9, 15), copies=1)
    unseen = codes[600:]
    means, stds = zip(*(predict(teacher, unseen) for teacher in teachers), strict=True)
    together = combine(means, stds)
    mean, std = predict(student, unseen)
    assert np.corrcoef(mean, together.mean)[0, 1] > 0.97
    assert np.corrcoef(std, together.std)[0, 1] > 0.9
    assert np.mean(std / together.std) == pytest.approx(1, abs=0.15)


def test_an_ensemble_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="teachers is empty"):
        distil([], np.zeros((2, 9), np.uint8), config=FitConfig())

"""One network that learns to give the forecast of an ensemble, at the cost of one member."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from lib.sequences import Codes
from lib.training.config import FitConfig
from lib.training.ensembles import combine
from lib.training.fit import fit
from lib.training.fitted import FittedModel, predict

MUTATED = 0.05  # share of the letters drawn anew in a mutated copy


def _mutated(codes: Codes, rng: np.random.Generator) -> Codes:
    drawn = rng.integers(0, 4, codes.shape, dtype=np.uint8)
    return np.where(rng.random(codes.shape) < MUTATED, drawn, codes)


def distil(
    teachers: Sequence[FittedModel],
    codes: Codes,
    *,
    config: FitConfig,
    validation: tuple[Codes, ArrayLike] | None = None,
    copies: int = 1,
) -> FittedModel:
    """Fit one network to the forecasts of an ensemble: its mean and its total standard deviation.

    The student forecasts at a member's cost. It never sees a measured activity but those of the
    validation part, by which it is stopped.

    Parameters
    ----------
    teachers : sequence of FittedModel
        Gaussian heads, without side features.
    codes : (n, L) uint8 array
        Sequences to learn on; labels are not needed, so unmeasured ones serve too.
    config : FitConfig
        Of the student.
    validation : (codes, target), optional
        As for :func:`lib.training.fit.fit`.
    copies : int
        Mutated copies of every sequence that the teachers label as well: they show the student
        where the members disagree.

    Raises
    ------
    ValueError
        Without teachers, and as :func:`lib.training.fit.predict` and :func:`lib.training.fit.fit`.

    References
    ----------
    Zhou et al. 2024, "Uncertainty-aware genomic deep learning with knowledge distillation".
    """
    if not teachers:
        raise ValueError("teachers is empty; an ensemble needs at least one fitted network")
    rng = np.random.default_rng(config.seed)
    rows = np.concatenate([codes, *(_mutated(codes, rng) for _ in range(copies))])
    means, stds = zip(*(predict(teacher, rows) for teacher in teachers), strict=True)
    together = combine(means, stds)
    return fit(rows, together.mean, target_std=together.std, config=config, validation=validation)

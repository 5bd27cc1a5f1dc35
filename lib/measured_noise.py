"""What the measured noise of an assay explains of a forecast's errors.

In: forecast, measured target and the standard error of each measurement. Out: reliability and the
correlation it allows, the split of the squared error, and predicted against measured noise.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lib.paired import DRAWS, Estimate


class NoiseAccount(NamedTuple):
    """How much of a forecast's error the assay itself explains.

    Attributes
    ----------
    reliability : Estimate
        Var f / Var y.
    pearson_r, pearson_r_ceiling, pearson_r_deattenuated : Estimate
        Of forecast and measurement; sqrt(reliability); their ratio. It may pass 1: not clipped.
    mse, noise, model : Estimate
        E[(y - mean)^2] = mean std_noise^2 + E[(f - mean)^2], in the squared unit.
    noise_share : Estimate
        noise / mse.
    """

    reliability: Estimate
    pearson_r: Estimate
    pearson_r_ceiling: Estimate
    pearson_r_deattenuated: Estimate
    mse: Estimate
    noise: Estimate
    model: Estimate
    noise_share: Estimate


class AleatoricCheck(NamedTuple):
    """Predicted aleatoric against measured noise.

    Attributes
    ----------
    variance_ratio : Estimate
        mean std_aleatoric^2 / mean std_noise^2; at least 1 for a forecast that allows for the noise.
    share_below : Estimate
        Elements whose predicted aleatoric std is below the measured one.
    spearman_r : float
        Of the two: does the forecast know which elements are noisy?
    """

    variance_ratio: Estimate
    share_below: Estimate
    spearman_r: float


def noise_account(
    mean: ArrayLike,
    target: ArrayLike,
    std_noise: ArrayLike,
    groups: ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
) -> NoiseAccount:
    """Reliability, deattenuated correlation and the split of the squared error."""
    raise NotImplementedError


def aleatoric_check(
    std_aleatoric: ArrayLike,
    std_noise: ArrayLike,
    groups: ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
) -> AleatoricCheck:
    """Is the predicted aleatoric std at least the measured one?"""
    raise NotImplementedError

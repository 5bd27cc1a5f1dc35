"""What the measured noise of an assay explains of a forecast's errors.

In: forecast, measured target and the standard error of each measurement. Out: reliability and the
correlation it allows, the split of the squared error, and predicted against measured noise.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lib.arrays import FloatArray, as_labels, as_std, as_vector, group_codes
from lib.metrics.accuracy import spearman_r
from lib.metrics.bootstrap import group_totals
from lib.statistics.paired_moments import (
    DRAWS,
    FEWEST,
    Estimate,
    estimate,
    resampled_sets,
    standard_errors,
)


class NoiseAccount(NamedTuple):
    """How much of a forecast's error the assay itself explains.

    Attributes
    ----------
    reliability : Estimate
        Var f / Var y.
    pearson_r, pearson_r_ceiling, pearson_r_deattenuated : Estimate
        Of forecast and measurement; sqrt(reliability); their ratio. It may pass 1: not clipped.
    mse, noise, model : Estimate
        E[(y - mean)^2] = E std_noise^2 + E[(f - mean)^2], in the squared unit.
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
        E std_aleatoric^2 / E std_noise^2; at least 1 for a forecast that allows for the noise.
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
    """Reliability, deattenuated correlation and the split of the squared error.

    Every draw of the bootstrap over groups recomputes the reliability, so the deattenuated
    correlation carries its interval. The noise is taken as independent of the forecast.

    Parameters
    ----------
    mean, target, std_noise : (n,) arrays
        Forecast, measurement and the standard error of the measurement, in one unit.
    groups : (n,) labels
    rng : Generator
    draws : int

    Raises
    ------
    ValueError
        Lengths that differ, values not finite, a negative standard error, fewer than 10 elements,
        a target that varies no more than its noise.

    Examples
    --------
    >>> target = np.tile([-2.0, 2.0], 10)  # variance 4, of which noise 1: reliability 3/4
    >>> rng = np.random.default_rng(0)
    >>> account = noise_account(target / 2, target, np.ones(20), np.arange(20), rng, draws=9)
    >>> [round(part.value, 12) for part in (account.reliability, account.mse, account.model)]
    [0.75, 1.0, 0.0]
    """
    target = as_vector("target", target)
    n = len(target)
    mean, noise = as_vector("mean", mean, n), standard_errors("std_noise", std_noise, n)
    columns = [np.ones(n), mean, target, mean**2, target**2, mean * target, noise**2]
    m, y, mm, yy, my, variance = _resampled_means(columns, groups, rng, draws)
    var_m, var_y, cov = mm - m * m, yy - y * y, my - m * y
    reliability = np.where(var_y > variance, 1 - variance / var_y, np.nan)
    if not np.isfinite(reliability[0]):
        raise ValueError(
            f"target has variance {var_y[0]:.4g} and measured noise {variance[0]:.4g}: nothing "
            "beyond noise to explain; smaller std_noise would do"
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where(var_m > 0, cov / np.sqrt(var_m * var_y), np.nan)
    ceiling, mse = np.sqrt(reliability), mm - 2 * my + yy
    return NoiseAccount(
        reliability=estimate(reliability),
        pearson_r=estimate(r),
        pearson_r_ceiling=estimate(ceiling),
        pearson_r_deattenuated=estimate(r / ceiling),
        mse=estimate(mse),
        noise=estimate(variance),
        model=estimate(mse - variance),
        noise_share=estimate(variance / mse),
    )


def aleatoric_check(
    std_aleatoric: ArrayLike,
    std_noise: ArrayLike,
    groups: ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
) -> AleatoricCheck:
    """Is the predicted aleatoric std at least the measured one?

    A measured standard error is itself a noisy estimate: over elements that are all forecast right,
    about half of the measured values lie above the true one. The ratio of mean variances does not
    suffer from that.

    Parameters
    ----------
    std_aleatoric, std_noise : (n,) arrays
        In one unit; predicted above 0, measured at least 0.
    groups : (n,) labels
    rng : Generator
    draws : int

    Raises
    ------
    ValueError
        As :func:`noise_account`, and where all measured values are 0.

    Examples
    --------
    >>> predicted, measured = np.full(20, 2.0), np.tile([1.0, 3.0], 10)
    >>> check = aleatoric_check(
    ...     predicted, measured, np.arange(20), np.random.default_rng(0), draws=9
    ... )
    >>> check.variance_ratio.value, check.share_below.value  # 4 over (1 + 9) / 2
    (0.8, 0.5)
    """
    predicted = as_std("std_aleatoric", std_aleatoric)
    n = len(predicted)
    noise = standard_errors("std_noise", std_noise, n)
    if n and not noise.max() > 0:
        raise ValueError("std_noise is 0 in all rows; there is no measured noise to compare with")
    columns = [np.ones(n), predicted**2, noise**2, (predicted < noise).astype(float)]
    own, measured, below = _resampled_means(columns, groups, rng, draws)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = estimate(own / measured)
    return AleatoricCheck(ratio, estimate(below), spearman_r(predicted, noise))


def _resampled_means(
    columns: list[FloatArray], groups: ArrayLike, rng: np.random.Generator, draws: int
) -> FloatArray:
    """Means ``(K - 1, draws + 1)`` of columns after the first, which counts; the sample first."""
    n = len(columns[0])
    numbering = group_codes(as_labels("groups", groups, n))
    if n < FEWEST or numbering.n_groups < FEWEST:
        raise ValueError(
            f"there are {n} elements in {numbering.n_groups} groups; at least {FEWEST} of both "
            "would do"
        )
    sets, weights = resampled_sets(numbering, rng, draws)
    sums = group_totals(np.column_stack(columns), sets) @ weights.T
    return sums[1:] / sums[0]

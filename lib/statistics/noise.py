"""Measured noise: what it explains of a forecast's errors, and a line under a limit of detection.

In: forecast, measured target and the standard error of each measurement. Out: reliability and the
correlation it allows, the split of the squared error, and predicted against measured noise; or the
line of greatest likelihood where some targets are only known to lie at or below their value.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import log_ndtr

from lib.arrays import FloatArray, as_labels, as_std, as_vector, group_codes
from lib.metrics.columns import group_totals
from lib.statistics import paired
from lib.statistics.paired import DRAWS, FEWEST, estimate


def noise_account(
    mean: ArrayLike,
    std_aleatoric: ArrayLike,
    target: ArrayLike,
    std_noise: ArrayLike,
    groups: ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """What the measured noise explains, and whether the predicted aleatoric std allows for it.

    The noise is taken as independent of the forecast. A measured standard error is itself a noisy
    estimate: over elements that are all forecast right, about half of the measured values lie above
    the true one. The ratio of mean variances does not suffer from that.

    Parameters
    ----------
    mean, std_aleatoric, target, std_noise : (n,) arrays
        Forecast and its aleatoric part, measurement and its standard error, in one unit.
    groups : (n,) labels
    rng : Generator
    draws : int

    Returns
    -------
    DataFrame
        ``quantity, value, lower, upper, n``. Quantities: ``reliability``, Var f / Var y;
        ``pearson_r`` of forecast and measurement, ``pearson_r_ceiling``, the root of the
        reliability, and their ratio ``pearson_r_deattenuated``, which may pass 1; ``mse`` =
        ``noise`` + ``model``, and ``noise_share`` = noise / mse; ``variance_ratio``,
        E std_aleatoric^2 / E std_noise^2, at least 1 for a forecast that allows for the noise;
        ``share_below``, of elements whose predicted aleatoric std is below the measured one.

    Raises
    ------
    ValueError
        Lengths that differ, values not finite, a negative standard error, fewer than 10 elements
        or groups, a target that varies no more than its noise, no noise at all.

    Examples
    --------
    >>> target = np.tile([-2.0, 2.0], 10)  # variance 4, of which noise 1: reliability 3/4
    >>> one, rng = np.ones(20), np.random.default_rng(0)
    >>> table = noise_account(target / 2, 2 * one, target, one, np.arange(20), rng, draws=9)
    >>> values = table.set_index("quantity")["value"]
    >>> values[["reliability", "mse", "model", "variance_ratio"]].round(12).tolist()
    [0.75, 1.0, 0.0, 4.0]
    """
    target = as_vector("target", target)
    n = len(target)
    mean, noise = as_vector("mean", mean, n), paired.standard_errors("std_noise", std_noise, n)
    predicted = as_std("std_aleatoric", std_aleatoric, n)
    numbering = group_codes(as_labels("groups", groups, n))
    if n < FEWEST or numbering.n_groups < FEWEST:
        raise ValueError(
            f"there are {n} elements in {numbering.n_groups} groups; at least {FEWEST} of both "
            "would do"
        )
    if not noise.max() > 0:
        raise ValueError("std_noise is 0 in all rows; there is no measured noise to compare with")
    columns = [np.ones(n), mean, target, mean**2, target**2, mean * target, noise**2]
    columns += [predicted**2, (predicted < noise).astype(float)]
    sets, weights = paired.resampled_sets(numbering, rng, draws)
    sums = group_totals(np.column_stack(columns), sets) @ weights.T
    m, y, mm, yy, my, variance, own, below = sums[1:] / sums[0]
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
    values = {
        "reliability": reliability,
        **{"pearson_r": r, "pearson_r_ceiling": ceiling, "pearson_r_deattenuated": r / ceiling},
        **{"mse": mse, "noise": variance, "model": mse - variance, "noise_share": variance / mse},
        **{"variance_ratio": own / variance, "share_below": below},
    }
    return paired.estimates_table({name: estimate(drawn) for name, drawn in values.items()}, n)


class CensoredLine(NamedTuple):
    """A line with Gaussian residuals of standard deviation ``std``."""

    intercept: float
    slope: float
    std: float


def censored_line(
    x: ArrayLike, y: ArrayLike, censored: ArrayLike, weight: ArrayLike | None = None
) -> CensoredLine:
    """Line of ``y`` on ``x`` by maximum likelihood, left-censored targets included (Tobin 1958).

    Parameters
    ----------
    x, y : (n,) arrays
    censored : (n,) bool array
        True where the target is at most ``y``.
    weight : (n,) array, optional
        How often each element counts, at least 0.

    Raises
    ------
    ValueError
        For lengths that differ, values that are not finite, fewer than 10 uncensored elements, a
        constant ``x`` among them, or no residual.

    Examples
    --------
    >>> x, y = np.arange(12.0), 2 * np.arange(12.0) + np.tile([-1.0, 1.0], 6)
    >>> line = censored_line(x, y, np.zeros(12, bool))  # least squares: nothing is censored
    >>> bool(abs(line.slope - np.polyfit(x, y, 1)[0]) < 1e-5)
    True
    """
    x = as_vector("x", x)
    y = as_vector("y", y, len(x))
    below = np.asarray(censored, bool)
    if below.shape != x.shape:
        raise ValueError(f"censored has shape {below.shape}; x has {len(x)} elements")
    times = np.ones(len(x)) if weight is None else as_vector("weight", weight, len(x))
    if (times < 0).any():
        raise ValueError("weight must be at least 0")
    known = ~below & (times > 0)
    if known.sum() < FEWEST:
        raise ValueError(f"{known.sum()} uncensored elements; at least {FEWEST} are needed")
    centre, spread = float(x[known].mean()), float(x[known].std())
    if not spread > 0:
        raise ValueError("x is constant among the uncensored elements; no slope can be had")
    design = np.stack([np.ones(len(x)), (x - centre) / spread], 1)  # (n, 2)
    root = np.sqrt(times[known])
    start = np.linalg.lstsq(design[known] * root[:, None], y[known] * root, rcond=None)[0]
    residual = y[known] - design[known] @ start
    std = float(np.sqrt(times[known] @ residual**2 / times[known].sum()))
    if not std > 1e-12 * max(1.0, float(np.abs(y).max())):
        raise ValueError("y lies on a line without residual; there is nothing to estimate")

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        z = (y - design @ theta[:2]) / np.exp(theta[2])  # (n,)
        tail = log_ndtr(z)
        value = np.where(below, -tail, 0.5 * z**2 + theta[2])
        ratio = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - tail)  # φ(z) / Φ(z)
        slope = times * np.where(below, -ratio, z)  # d value / d z
        gradient = np.append(
            -(design.T @ slope) / np.exp(theta[2]), -(slope @ z) + times[~below].sum()
        )
        return float(times @ value), gradient

    found = minimize(loss, np.append(start, np.log(std)), jac=True, method="L-BFGS-B").x
    slope = float(found[1] / spread)
    return CensoredLine(float(found[0] - slope * centre), slope, float(np.exp(found[2])))

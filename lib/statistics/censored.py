"""Regression on measurements that have a limit of detection.

In: a regressor and a target ``(n,)``, and which targets are only known to lie at or below their
value. Out: the line and the residual standard deviation of greatest likelihood.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import log_ndtr

from lib.arrays import FloatArray, as_vector

FEWEST = 10  # uncensored elements


class CensoredLine(NamedTuple):
    """A line with Gaussian residuals.

    Attributes
    ----------
    intercept, slope : float
    std : float
        Of the residuals.
    """

    intercept: float
    slope: float
    std: float


def censored_line(
    x: ArrayLike, y: ArrayLike, censored: ArrayLike, weight: ArrayLike | None = None
) -> CensoredLine:
    """Line of ``y`` on ``x`` by maximum likelihood, left-censored targets included.

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
        For lengths that differ, values that are not finite, fewer than :data:`FEWEST` uncensored
        elements, a constant ``x`` among them, or no residual.

    Examples
    --------
    Without censored targets it is least squares:

    >>> x = np.arange(12.0)
    >>> line = censored_line(x, 2 * x + 1 + np.tile([-1.0, 1.0], 6), np.zeros(12, bool))
    >>> slope, intercept = np.polyfit(x, 2 * x + 1 + np.tile([-1.0, 1.0], 6), 1)
    >>> bool(abs(line.slope - slope) < 1e-5 and abs(line.intercept - intercept) < 1e-5)
    True

    References
    ----------
    Tobin 1958, "Estimation of relationships for limited dependent variables".
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
    u = (x - centre) / spread
    design = np.stack([np.ones(len(u)), u], 1)  # (n, 2)
    root = np.sqrt(times[known])
    start = np.linalg.lstsq(design[known] * root[:, None], y[known] * root, rcond=None)[0]
    residual = y[known] - design[known] @ start
    std = float(np.sqrt(times[known] @ residual**2 / times[known].sum()))
    if not std > 1e-12 * max(1.0, float(np.abs(y).max())):
        raise ValueError("y lies on a line without residual; there is nothing to estimate")

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        scale = np.exp(theta[2])
        z = (y - design @ theta[:2]) / scale  # (n,)
        tail = log_ndtr(z)
        value = np.where(below, -tail, 0.5 * z**2 + theta[2])
        ratio = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - tail)  # φ(z) / Φ(z)
        slope = times * np.where(below, -ratio, z)  # d value / d z
        gradient = np.append(-(design.T @ slope) / scale, -(slope @ z) + times[~below].sum())
        return float(times @ value), gradient

    found = minimize(loss, np.append(start, np.log(std)), jac=True, method="L-BFGS-B").x
    slope = float(found[1] / spread)
    return CensoredLine(float(found[0] - slope * centre), slope, float(np.exp(found[2])))

"""Several forecasts of the same elements as one, with its variance in two parts.

In: means and standard deviations ``(m, n)`` of m members (separate fits, or passes with dropout).
Out: one mean and standard deviation per element, and what share of it the members agree on.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lib.arrays import FloatArray


class EnsemblePrediction(NamedTuple):
    """The members as one Gaussian.

    Attributes
    ----------
    mean : (n,) float64 array
    std : (n,) float64 array
        Root of the sum of the two variances below.
    std_aleatoric : (n,) float64 array
        Root mean variance of the members: the noise they expect.
    std_epistemic : (n,) float64 array
        Standard deviation of the members' means (over m, not m - 1): how far they disagree.
    """

    mean: FloatArray
    std: FloatArray
    std_aleatoric: FloatArray
    std_epistemic: FloatArray


def _check(name: str, values: ArrayLike) -> FloatArray:
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or len(array) == 0:
        raise ValueError(f"{name} has shape {array.shape}; it must be (members, elements)")
    if not np.isfinite(array).all():
        member, row = (int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} of member {member} is not finite in row {row}")
    return array


def combine(means: ArrayLike, stds: ArrayLike) -> EnsemblePrediction:
    """One forecast from many: the equal mixture of the members, matched in mean and variance.

    Parameters
    ----------
    means, stds : (m, n) arrays
        One row per member, in one unit.

    Returns
    -------
    EnsemblePrediction
        With one member, ``std_epistemic`` is 0.

    Raises
    ------
    ValueError
        For other shapes, values that are not finite, or a standard deviation of 0 or less.

    Examples
    --------
    >>> both = combine([[0.0], [2.0]], [[1.0], [1.0]])
    >>> both.mean.tolist(), both.std_epistemic.tolist(), (both.std**2).round(12).tolist()
    ([1.0], [1.0], [2.0])

    References
    ----------
    Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation using deep
    ensembles", section 2.4.
    """
    centres, widths = _check("means", means), _check("stds", stds)
    if centres.shape != widths.shape:
        raise ValueError(f"means has shape {centres.shape}, stds {widths.shape}; they must agree")
    if not (widths > 0).all():
        member, row = (int(i) for i in np.argwhere(widths <= 0)[0])
        raise ValueError(f"std of member {member} in row {row} is {widths[member, row]}, not > 0")
    aleatoric = (widths**2).mean(0)  # (n,)
    epistemic = centres.var(0)  # (n,)
    return EnsemblePrediction(
        centres.mean(0), np.sqrt(aleatoric + epistemic), np.sqrt(aleatoric), np.sqrt(epistemic)
    )

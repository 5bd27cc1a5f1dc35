"""Where miscalibration comes from, for simulated data: the split of E[z^2] - 1.

In: the predicted mean with both parts of its variance, and the truth of the simulator. Out: the
terms of the sum. With s^2 = a^2 + e^2 (aleatoric, epistemic), true activity f and true noise sigma,

    E[z^2] - 1 = E[(sigma^2 - a^2) / s^2]  +  E[((f - mean)^2 - e^2) / s^2]
                 wrong aleatoric              epistemic deficit

exactly in expectation over fresh noise. The second term is split by the affine fit g of f on the
mean: (g - mean)^2 is bias, the rest is missing epistemic variance.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lib.arrays import FloatArray, as_std, as_vector


class ZmsDecomposition(NamedTuple):
    """``excess`` = ``aleatoric`` + ``epistemic``; ``epistemic`` = ``bias`` + ``missing``.

    All are shares of the predicted variance: 0 is right, above 0 is too little predicted variance.
    """

    excess: float
    aleatoric: float
    epistemic: float
    bias: float
    missing: float


def _affine_fit(x: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    """Values of the weighted least-squares line of ``y`` on ``x``; a level for constant x."""
    weight = weight / weight.sum()
    x_centre, y_centre = weight @ x, weight @ y
    spread = weight @ (x - x_centre) ** 2
    slope = weight @ ((x - x_centre) * (y - y_centre)) / spread if np.ptp(x) > 0 else 0.0
    return y_centre + slope * (x - x_centre)


def zms_decomposition(
    mean: ArrayLike,
    std_aleatoric: ArrayLike,
    std_epistemic: ArrayLike,
    true_activity: ArrayLike,
    true_std: ArrayLike,
) -> ZmsDecomposition:
    """Split expected ZMS - 1 into wrong aleatoric, bias and missing epistemic variance.

    The affine fit weights every element by 1 / s^2, as the sum does: then the cross term of
    (f - mean)^2 = (f - g)^2 + (g - mean)^2 + 2 (f - g)(g - mean) vanishes and the split is exact.

    Parameters
    ----------
    mean, std_aleatoric, std_epistemic : (n,) arrays, in the unit of the target
        A single model has ``std_epistemic`` 0 everywhere.
    true_activity, true_std : (n,) arrays
        Noise-free activity f and the true noise sigma (0 allowed).

    Returns
    -------
    ZmsDecomposition
        NaN throughout for n = 0. For n < 3 the line fits through every point: all is bias.

    Raises
    ------
    ValueError
        Lengths that differ, values not finite, negative parts, or both parts 0 in a row.

    Examples
    --------
    >>> split = zms_decomposition([0, 1], [1, 1], [0, 0], [1, 2], [2**0.5, 2**0.5])
    >>> [round(part, 12) for part in split]  # sigma^2 = 2 for 1, and a constant bias of 1
    [2.0, 1.0, 1.0, 1.0, 0.0]
    """
    mean = as_vector("mean", mean)
    n = len(mean)
    aleatoric = as_vector("std_aleatoric", std_aleatoric, n)
    epistemic = as_vector("std_epistemic", std_epistemic, n)
    activity = as_vector("true_activity", true_activity, n)
    sigma = as_vector("true_std", true_std, n)
    parts = {"std_aleatoric": aleatoric, "std_epistemic": epistemic, "true_std": sigma}
    for name, values in parts.items():
        if n and values.min() < 0:
            row = int(np.argmin(values))
            raise ValueError(f"{name} is {values[row]} in row {row}; at least 0 would do")
    variance = (
        as_std("std_aleatoric and std_epistemic together", np.hypot(aleatoric, epistemic)) ** 2
    )
    if n == 0:
        return ZmsDecomposition(*(5 * [float("nan")]))
    line = _affine_fit(mean, activity, 1 / variance)
    wrong_aleatoric = float(np.mean((sigma**2 - aleatoric**2) / variance))
    bias = float(np.mean((line - mean) ** 2 / variance))
    deficit = float(np.mean(((activity - mean) ** 2 - epistemic**2) / variance))
    return ZmsDecomposition(
        wrong_aleatoric + deficit, wrong_aleatoric, deficit, bias, deficit - bias
    )

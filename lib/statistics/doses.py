"""At which dose does a response reach a margin: in one curve, and over independent replicates.

In: doses ``(n,)``, in any order, and responses. Out: a dose, 0 where the margin is reached without
one and infinite where it is never reached; nothing is extrapolated. Curves are made monotone by
least squares (isotonic regression) and read by linear interpolation.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression
from scipy.stats import quantile_test

from lib.arrays import FloatArray, as_level, as_vector
from lib.statistics.effects import paired_contrast


class Crossing(NamedTuple):
    """The dose over replicates, its interval, and how both were found.

    ``how`` is ``t`` (geometric mean, Student's t on log doses) where every replicate crosses, else
    ``order`` (median, interval by order statistics); ``n`` counts replicates, ``never`` those that
    do not cross and ``early`` those beyond the margin without a dose.
    """

    value: float
    lower: float
    upper: float
    n: int
    never: int
    early: int
    how: Literal["t", "order"]


def _curve(doses: ArrayLike, values: ArrayLike) -> tuple[FloatArray, FloatArray]:
    doses = as_vector("doses", doses)
    values = as_vector("values", values, len(doses))
    order = np.argsort(doses)
    return doses[order], values[order]


def crossing(doses: ArrayLike, values: ArrayLike, margin: float) -> float:
    """The smallest dose at which a response that grows with the dose reaches ``margin``.

    Doses are at least two, distinct and none below 0.

    Examples
    --------
    >>> crossing([0, 1, 2], [0.0, 1.0, 3.0], 2.0)
    1.5
    >>> crossing([0, 1, 2], [0.0, 1.0, 3.0], 4.0)
    inf
    """
    at, response = _curve(doses, values)
    fitted = isotonic_regression(response).x
    if fitted[0] >= margin:
        return 0.0
    if fitted[-1] < margin:
        return float("inf")
    after = int(np.argmax(fitted >= margin))
    share = (margin - fitted[after - 1]) / (fitted[after] - fitted[after - 1])
    return float(at[after - 1] + share * (at[after] - at[after - 1]))


def leaving(doses: ArrayLike, values: ArrayLike, low: float, high: float) -> float:
    """The smallest dose at which a response leaves ``low`` to ``high``, at either end.

    0 where it lies outside at the smallest dose.

    Examples
    --------
    >>> leaving([0, 1, 2], [1.0, 1.0, 0.5], 0.75, 1.25)
    1.5
    """
    _, response = _curve(doses, values)
    if not low < response[0] < high:
        return 0.0
    return min(crossing(doses, values, high), crossing(doses, np.negative(values), -low))


def over_replicates(crossings: Sequence[float] | FloatArray, level: float = 0.95) -> Crossing:
    """A crossing dose over independent replicates, ``(n,)`` doses of :func:`crossing`.

    With a censored replicate the interval runs between the k-th smallest and the k-th largest, k
    the largest at which a share ``level`` of samples hold the median; it is infinite for n < 6 at
    .95. Such an interval holds at any distribution of doses. With one replicate it is the whole
    line.
    """
    found = np.sort(np.asarray(crossings, dtype=np.float64))
    n, never, early = len(found), int(np.isinf(found).sum()), int((found == 0).sum())
    if never + early == 0:
        contrast = paired_contrast(np.log(found), as_level(level))
        value, lower, upper = (float(end) for end in np.exp(contrast[:3]))
        return Crossing(value, lower, upper, n, never, early, "t")
    low, high = quantile_test(found, p=0.5).confidence_interval(as_level(level))
    ends = float(np.fmax(low, 0)), float("inf" if np.isnan(high) else high)
    return Crossing(float(np.median(found)), *ends, n, never, early, "order")

"""Where a curve reaches a level, per replicate, and over replicates of which some never do.

In: a dose (or the logarithm of one) and what was measured at it. Out: the dose of the crossing,
infinite where there is none within the doses measured; nothing is extrapolated.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binom
from sklearn.isotonic import IsotonicRegression

from lib.arrays import as_vector
from lib.statistics.effects import ENDS, LEVELS, effect


def crossing(dose: ArrayLike, value: ArrayLike, level: float) -> float:
    """The first dose at which the rising isotonic fit of ``(n,)`` values reaches ``level``.

    Linear between doses, which ascend; ``-inf`` if the first one is there, ``inf`` if none is.

    >>> crossing([0, 1, 2], [0.0, 4.0, 2.0], 1.5), crossing([0, 1], [0.0, 1.0], 2.0)
    (0.5, inf)
    """
    doses = as_vector("dose", dose)
    fitted = IsotonicRegression().fit_transform(doses, as_vector("value", value, len(doses)))
    if not (fitted >= level).any():
        return np.inf
    after = int(np.argmax(fitted >= level))
    if after == 0:
        return -np.inf
    share = (level - fitted[after - 1]) / (fitted[after] - fitted[after - 1])
    return float(doses[after - 1] + share * (doses[after] - doses[after - 1]))


def crossing_effect(name: str, logs: pd.Series, **keys: Any) -> dict[str, Any]:
    """Over replicates: where curves cross a level, from the logarithms of their doses.

    If all do, mean and t interval as of :func:`lib.statistics.effects.effect`. If some do not, the
    median (the lower one of an even number) and the order statistics that hold it; from 0 to
    infinity below six replicates, which hold it at no 95 %.

    >>> row = crossing_effect("ends", pd.Series(np.log([2.0, 3.0, 4.0, 5.0, 6.0, np.inf])))
    >>> [round(float(row[end]), 9) for end in ("value", "lower", "upper")]
    [4.0, 2.0, inf]
    """
    known = np.sort(logs.dropna().to_numpy(float))
    if np.isfinite(known).all():
        return effect(name, logs, log=True, **keys)
    n = len(known)
    found = [known[(n - 1) // 2]]
    for level in LEVELS.values():
        outside = int(binom.ppf((1 - level) / 2, n, 0.5))  # ranks left out at either end
        if binom.cdf(outside, n, 0.5) > (1 - level) / 2:
            outside -= 1
        found += [known[outside], known[-1 - outside]] if outside >= 0 else [-np.inf, np.inf]
    ends = dict(zip(ENDS, np.exp(found).tolist(), strict=True))
    return {"effect": name, **keys, **ends, "n": n, "df": n - 1, "p": np.nan}

"""Superseded by :func:`lib.statistics.effects.over_replicates`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student_t


def intervals(table: pd.DataFrame, keys: Sequence[str], value: str = "value") -> pd.DataFrame:
    """Mean over worlds with its 95 and 90 % t intervals; none for a single world.

    Returns
    -------
    DataFrame
        ``keys``, ``value, lower, upper, lower_90, upper_90, worlds``.
    """
    groups = table.groupby(list(keys), sort=False, dropna=False)[value]
    found = groups.agg(value="mean", spread="std", worlds="count").reset_index()
    error = found["spread"] / np.sqrt(found["worlds"])
    freedom = np.maximum(found["worlds"] - 1, 1)
    for level, ending in ((0.95, ""), (0.9, "_90")):
        half = student_t.ppf((1 + level) / 2, freedom) * error
        found[f"lower{ending}"] = found["value"] - half
        found[f"upper{ending}"] = found["value"] + half
    return found.drop(columns="spread")

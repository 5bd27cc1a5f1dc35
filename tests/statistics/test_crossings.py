"""Where curves reach a level: worked by hand, and over replicates of which some never do."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from lib.statistics.crossings import crossing, crossing_effect

ENDS = ["value", "lower", "upper"]


@pytest.mark.parametrize(
    ("values", "level", "dose"),
    [
        ([0.0, 1.0, 3.0], 2.0, 1.5),
        ([0.0, 1.0, 3.0], 1.0, 1.0),  # exactly at a dose
        ([0.0, 3.0, 1.0], 1.0, 0.5),  # pooled to 0, 2, 2
        ([2.0, 0.0, 3.0], 1.0, -np.inf),  # pooled to 1, 1, 3
        ([0.0, 1.0, 3.0], 3.1, np.inf),
    ],
)
def test_a_level_is_reached_on_the_rising_fit(values, level, dose):
    assert crossing([0, 1, 2], values, level) == pytest.approx(dose)


def test_where_all_cross_the_mean_is_geometric():
    logs = np.log([1.0, 2.0, 4.0])
    row = crossing_effect("x", pd.Series(logs), against="none")
    ends = logs.mean(), *ttest_1samp(logs, 0).confidence_interval(0.95)
    assert [row[end] for end in ENDS] == pytest.approx(np.exp(ends))
    assert row["effect"] == "x" and row["against"] == "none" and row["n"] == 3


def test_where_some_do_not_order_statistics_hold_the_median():
    # Of ten the 2nd and the 9th: P(X <= 1) = 11/1024 < .025 for X ~ B(10, 1/2), P(X <= 2) is not.
    doses = pd.Series(np.log([*range(1, 10), np.inf]))
    assert [crossing_effect("x", doses)[end] for end in ENDS] == pytest.approx([5, 2, 9])
    never = crossing_effect("x", pd.Series([np.inf] * 10 + [np.nan]))
    assert [never[end] for end in (*ENDS, "n")] == [np.inf, np.inf, np.inf, 10]
    few = crossing_effect("x", pd.Series([-np.inf, 0.0, np.inf]))
    assert [few[end] for end in ENDS] == [1.0, 0.0, np.inf]

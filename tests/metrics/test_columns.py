"""Columns whose means are metrics."""

import numpy as np
import pytest
from scipy import stats

from lib.metrics.columns import spearman_column


@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_spearman_column_averages_to_spearman(decimals):
    left, noise = np.random.default_rng(1).normal(size=(2, 300))
    left, right = np.round(left, decimals), np.round(left + noise, decimals)
    expected = stats.spearmanr(left, right).statistic
    assert spearman_column(left, right).mean() == pytest.approx(expected, abs=1e-12)
    assert np.isnan(spearman_column(left, np.zeros(300))).all()

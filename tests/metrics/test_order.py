"""Orders, ranks and label numbering against numpy and scipy, ties and odd types included."""

import numpy as np
import pytest
from scipy import stats

from lib.metrics._order import factorise, ranks, stable_order
from lib.metrics.moments import level_name, spearman_column


@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_order_and_ranks(decimals):
    values = np.round(np.random.default_rng(0).normal(size=500), decimals)
    assert (stable_order(values) == np.argsort(values, kind="stable")).all()
    assert (ranks(values) == stats.rankdata(values)).all()


@pytest.mark.parametrize(
    "labels",
    [
        np.array([3, -2, 3, 0]),
        np.array([0, 10**12]),
        np.array([250, 1, 250], dtype=np.uint8),
        np.array([2**63, 2**63 + 1], dtype=np.uint64),
        np.arange(-100, 101, 2, dtype=np.int8),
        np.array([1.5, -1.0, 1.5]),
        np.array(["b", "a", "b"]),
        np.array([True, False]),
        np.array([], dtype=np.int64),
    ],
)
def test_numbering_is_that_of_unique(labels):
    distinct, codes = factorise(labels)
    expected, inverse = np.unique(labels, return_inverse=True)
    assert distinct.tolist() == expected.tolist()
    assert codes.tolist() == inverse.tolist()


@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_spearman_column_averages_to_spearman(decimals):
    left, noise = np.random.default_rng(1).normal(size=(2, 300))
    left, right = np.round(left, decimals), np.round(left + noise, decimals)
    expected = stats.spearmanr(left, right).statistic
    assert spearman_column(left, right).mean() == pytest.approx(expected, abs=1e-12)
    assert np.isnan(spearman_column(left, np.zeros(300))).all()


def test_level_names():
    names = [level_name("picp", level) for level in (0.5, 0.9, 0.95, 0.975, 0.999)]
    assert names == ["picp_50", "picp_90", "picp_95", "picp_97.5", "picp_99.9"]

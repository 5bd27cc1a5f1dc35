"""Columns whose means are metrics, and the bootstrap over groups: weights, sums, coverage."""

import numpy as np
import pytest
from scipy import stats

from lib.arrays import group_codes
from lib.metrics.columns import (
    bootstrap_totals,
    draw_variance,
    group_totals,
    percentile_interval,
    spearman_column,
    weight_blocks,
)


@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_spearman_column_averages_to_spearman(decimals):
    left, noise = np.random.default_rng(1).normal(size=(2, 300))
    left, right = np.round(left, decimals), np.round(left + noise, decimals)
    expected = stats.spearmanr(left, right).statistic
    assert spearman_column(left, right).mean() == pytest.approx(expected, abs=1e-12)
    assert np.isnan(spearman_column(left, np.zeros(300))).all()


def test_weights_are_multinomial():
    weights = np.hstack(list(weight_blocks(50, 4000, np.random.default_rng(0))))
    assert weights.shape == (50, 4000)
    assert (weights.sum(axis=0) == 50).all()
    # multinomial: mean 1, variance 1 - 1/50, covariance -1/50
    assert weights.mean(axis=1) == pytest.approx(np.ones(50), abs=0.08)
    assert weights.var() == pytest.approx(0.98, abs=0.02)
    assert np.cov(weights[0], weights[1])[0, 1] == pytest.approx(-0.02, abs=0.05)


def test_blocks_cover_all_draws(monkeypatch):
    monkeypatch.setattr("lib.metrics.columns._BLOCK_CELLS", 70)
    blocks = list(weight_blocks(10, 25, np.random.default_rng(0)))
    assert [block.shape for block in blocks] == [(10, 7), (10, 7), (10, 7), (10, 4)]


def test_totals_equal_repeating_the_rows():
    columns = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    groups = group_codes([0, 1, 0])
    assert group_totals(columns, groups).tolist() == [[5, 2], [50, 20]]
    sums = bootstrap_totals(group_totals(columns, groups), 6, np.random.default_rng(3))
    weights = np.hstack(list(weight_blocks(2, 6, np.random.default_rng(3))))
    for draw in range(6):
        repeated = np.repeat(columns, weights[groups.codes, draw].astype(int), axis=0)
        assert sums[:, draw] == pytest.approx(repeated.sum(axis=0))


def test_percentiles_leave_nan_out():
    values = np.array([[np.nan, 3, 1, 2], [np.nan] * 4])
    np.testing.assert_allclose(percentile_interval(values, 0.5), [[1.5, np.nan], [2.5, np.nan]])
    np.testing.assert_allclose(draw_variance(values), [1, np.nan])
    draws = np.random.default_rng(0).normal(size=(7, 333))
    expected = np.quantile(draws, [0.025, 0.975], axis=1)
    np.testing.assert_allclose(percentile_interval(draws), expected)


@pytest.mark.slow
def test_group_interval_covers_where_a_row_interval_does_not():
    rng = np.random.default_rng(2)
    repeats, hits = 400, {"group": 0, "row": 0}
    labels = np.repeat(np.arange(100), 5)
    for _ in range(repeats):
        values = rng.normal(size=100)[labels] + 0.3 * rng.normal(size=500)
        for kind, group in (("group", labels), ("row", np.arange(500))):
            table = group_totals(np.column_stack([np.ones(500), values]), group_codes(group))
            count, total = bootstrap_totals(table, 400, rng)
            lower, upper = percentile_interval(total / count)
            hits[kind] += int(lower <= 0 <= upper)
    # binomial s.e. at .95 over 400: .011; percentile intervals of 100 groups run slightly narrow
    assert abs(hits["group"] / repeats - 0.945) < 0.033
    assert hits["row"] / repeats < 0.75

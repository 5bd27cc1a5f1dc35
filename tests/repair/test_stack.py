"""Weights from independent errors, the choice of a forecaster, and what neither may see."""

import numpy as np
import pytest

from lib.metrics.columns import metric
from lib.repair.stack import crps, leading, stack, weights

N = 4000
ROWS = np.arange(2000)
GROUP = np.arange(N) // 2


def forecasts(*spread):
    """A target, and forecasters with independent errors of these s.d."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=N)
    mean = target + np.array(spread)[:, None] * rng.normal(size=(len(spread), N))
    return mean, np.tile(np.array(spread)[:, None], N), target


def test_weights_are_those_of_inverse_variances_and_scores_those_of_the_metrics():
    mean, _, target = forecasts(0.5, 1.0)
    assert weights(mean, target) == pytest.approx([0.8, 0.2], abs=0.03)  # 1 / .25 to 1 / 1
    rng = np.random.default_rng(1)
    target, error = rng.normal(size=(2, N))
    found = weights(np.stack([target + 0.3 * error, target + 0.9 * error]), target)
    assert found == pytest.approx([1, 0], abs=1e-6)
    assert weights(np.stack([error, -error]), np.zeros(N)).sum() == pytest.approx(1)
    mean, std, target = forecasts(0.5)
    scaled = std[0] * np.sqrt(np.mean(((target - mean[0]) / std[0]) ** 2))
    expected = metric("crps_gaussian", mean[0], target, scaled)
    assert crps(mean[0], 3 * std[0], target) == pytest.approx(expected)


def test_a_stack_leads_where_errors_are_independent_and_the_best_alone_where_not():
    mean, std, target = forecasts(0.5, 0.6)
    both = leading(mean, std, target, ROWS, GROUP)
    assert (both.weight > 0.2).all() and both.weight.sum() == pytest.approx(1)
    assert np.array_equal(both.mean, stack(mean, std, target, ROWS, GROUP).mean)
    mean[1] = mean[0] + 2
    alone = leading(mean, std, target, ROWS, GROUP)
    assert alone.weight.tolist() == [1, 0] and np.array_equal(alone.mean, mean[0])


def test_only_the_rows_are_seen_and_of_few_groups_the_best_leads():
    mean, std, target = forecasts(0.5, 0.6)
    blind = np.where(np.arange(N) < 2000, target, np.nan)
    for combine in (stack, leading):
        one, other = (combine(mean, std, y, ROWS, GROUP) for y in (target, blind))
        assert np.array_equal(one.mean, other.mean) and np.array_equal(one.std, other.std)
        assert combine(mean, std, target, np.arange(198), GROUP).weight.tolist() == [1, 0]
        assert combine(mean, std, target, np.arange(200), GROUP).weight[1] > 0

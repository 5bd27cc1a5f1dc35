"""Bins and worst groups."""

import numpy as np
import pytest

from lib.metrics.groups import id_ood_gap, orientation, quantile_bins, worst_group


def test_orientation_of_levels():
    assert orientation("picp_95") == 0.95
    assert orientation("mpiw_90") == "lower"
    assert orientation("interval_score_80") == "lower"
    assert orientation("coverage_gap_90") == 0
    assert orientation("no_such_metric") is None
    assert orientation("picp") is None


@pytest.mark.parametrize(
    ("metric", "values", "worst"),
    [
        ("rmse", {"a": 1.0, "b": 2.0}, "b"),
        ("pearson_r", {"a": 0.1, "b": 0.9}, "a"),
        ("bias", {"a": -0.3, "b": 0.2}, "a"),
        ("picp_90", {"a": 0.99, "b": 0.85}, "a"),  # .09 above is farther than .05 below
        ("zms", {"a": 0.4, "b": 2.0}, "a"),  # 1/.4 = 2.5 > 2
        ("zms", {"a": 0.0, "b": 50.0}, "a"),
        ("rmse", {"a": np.nan, "b": 0.5}, "b"),
        ("rmse", {"a": np.nan}, None),
        ("rmse", {}, None),
        ("sd_target", {"a": 1.0}, None),
        ("rmse", {"a": 1.0, "b": 1.0}, "a"),
    ],
)
def test_worst(metric, values, worst):
    assert worst_group(metric, values) == worst


def test_bins_are_even_and_ties_stay_together():
    rng = np.random.default_rng(0)
    values = rng.permutation(1000)
    assert np.bincount(quantile_bins(values, 10)).tolist() == [100] * 10
    tied = np.repeat([1.0, 2.0], [90, 10])
    bins = quantile_bins(tied, 10)
    assert len(np.unique(bins[:90])) == 1
    assert len(np.unique(bins[90:])) == 1
    assert quantile_bins([], 3).tolist() == []
    assert quantile_bins([7.0], 4).tolist() == [0]
    with pytest.raises(ValueError, match="bins is 0"):
        quantile_bins([1, 2], 0)


@pytest.mark.parametrize(
    ("metric", "inside", "outside", "expected"),
    [
        ("rmse", 2.0, 3.0, (1.0, 0.5)),
        ("pearson_r", 0.8, 0.6, (0.2, 0.25)),
        ("crps_skill", -0.5, 0.5, (-1.0, -2.0)),
        ("bias", -0.1, 0.3, (0.2, 2.0)),
        ("picp_90", 0.9, 0.7, (0.2, np.nan)),
        ("zms", 1.5, 0.5, (0.0, 0.0)),
    ],
)
def test_gap(metric, inside, outside, expected):
    assert id_ood_gap(metric, inside, outside) == pytest.approx(expected, nan_ok=True)


def test_gap_needs_an_orientation():
    with pytest.raises(ValueError, match="'sd_target' has no orientation"):
        id_ood_gap("sd_target", 1, 2)

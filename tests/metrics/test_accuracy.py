"""Accuracy metrics: hand-worked cases, agreement with scipy and scikit-learn, edges."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from lib.metrics import accuracy

MEAN, TARGET = [1.0, 2.0, 3.0], [1.5, 3.0, 2.0]


def test_hand_worked():
    # errors (mean - target): -0.5, -1, 1; squares .25, 1, 1
    assert accuracy.rmse(MEAN, TARGET) == pytest.approx((2.25 / 3) ** 0.5, abs=1e-15)
    assert accuracy.mae(MEAN, TARGET) == pytest.approx(2.5 / 3, abs=1e-15)
    assert accuracy.bias(MEAN, TARGET) == pytest.approx(-0.5 / 3, abs=1e-15)
    # targets about their mean 13/6: -4/6, 5/6, -1/6; SST = (16 + 25 + 1) / 36 = 7/6
    assert accuracy.r2_cod(MEAN, TARGET) == pytest.approx(1 - 2.25 / (7 / 6), abs=1e-15)
    # covariance sum: (-1)(-4/6) + 0 + (1)(-1/6) = 1/2; r = .5 / sqrt(2 * 7/6)
    assert accuracy.pearson_r(MEAN, TARGET) == pytest.approx(0.5 / (14 / 6) ** 0.5, abs=1e-15)
    assert accuracy.r2_pearson(MEAN, TARGET) == pytest.approx(0.25 / (14 / 6), abs=1e-15)
    # ranks of the targets 1, 3, 2: r = 1 - 6 (0 + 1 + 1) / (3 * 8) = .5
    assert accuracy.spearman_r(MEAN, TARGET) == pytest.approx(0.5, abs=1e-15)
    assert accuracy.sd_target(TARGET) == pytest.approx((7 / 12) ** 0.5, abs=1e-15)


def test_agrees_with_scipy_and_sklearn():
    rng = np.random.default_rng(0)
    for _ in range(100):
        n = int(rng.integers(2, 60))
        mean, target = np.round(rng.normal(size=(2, n)), 1)  # rounding makes ties
        if np.ptp(mean) == 0 or np.ptp(target) == 0:
            continue
        expected = {
            "rmse": root_mean_squared_error(target, mean),
            "mae": mean_absolute_error(target, mean),
            "r2_cod": r2_score(target, mean),
            "pearson_r": stats.pearsonr(mean, target).statistic if n > 2 else None,
            "spearman_r": stats.spearmanr(mean, target).statistic,
        }
        for name, value in expected.items():
            if value is not None:
                assert getattr(accuracy, name)(mean, target) == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize(
    "name", ["pearson_r", "spearman_r", "r2_pearson", "r2_cod", "rmse", "mae", "bias"]
)
def test_empty_is_nan(name):
    assert np.isnan(getattr(accuracy, name)([], []))


@pytest.mark.parametrize("name", ["pearson_r", "spearman_r", "r2_pearson", "r2_cod"])
def test_association_needs_two_elements_and_spread(name):
    metric = getattr(accuracy, name)
    assert np.isnan(metric([1.0], [2.0]))
    assert np.isnan(metric([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]))


def test_constant_prediction():
    assert np.isnan(accuracy.pearson_r([0.1, 0.1, 0.1], [1, 2, 4]))
    # SST = 14/3 about 7/3; SSE about 0.1 is larger
    sse = 0.9**2 + 1.9**2 + 3.9**2
    assert accuracy.r2_cod([0.1] * 3, [1, 2, 4]) == pytest.approx(1 - sse / (14 / 3))
    assert accuracy.rmse([2.0], [5.0]) == 3.0
    assert np.isnan(accuracy.sd_target([1.0]))


@pytest.mark.parametrize(
    ("mean", "target", "message"),
    [
        ([1, 2], [1], "target has 1 rows"),
        ([1, np.nan], [1, 2], "mean is nan in row 1"),
        ([1, 2], [np.inf, 2], "target is inf in row 0"),
        ([[1, 2]], [1, 2], r"mean has shape \(1, 2\)"),
    ],
)
def test_bad_input_is_named(mean, target, message):
    for name in ("pearson_r", "spearman_r", "rmse", "mae", "bias", "r2_cod", "r2_pearson"):
        with pytest.raises(ValueError, match=message):
            getattr(accuracy, name)(mean, target)

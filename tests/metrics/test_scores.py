"""Accuracy, proper scores, intervals: hand-worked cases, peers, definitions by integral, edges."""

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from lib.metrics import calibration, scores

CASE = ([1.0, 2.0, 3.0], [0.1, 0.5, 1.0], [1.5, 3.0, 2.0])
MEAN, TARGET = [1.0, 2.0, 3.0], [1.5, 3.0, 2.0]


def test_hand_worked():
    # errors (mean - target): -0.5, -1, 1; squares .25, 1, 1
    assert scores.rmse(MEAN, TARGET) == pytest.approx((2.25 / 3) ** 0.5, abs=1e-15)
    assert scores.mae(MEAN, TARGET) == pytest.approx(2.5 / 3, abs=1e-15)
    assert scores.bias(MEAN, TARGET) == pytest.approx(-0.5 / 3, abs=1e-15)
    # targets about their mean 13/6: -4/6, 5/6, -1/6; SST = (16 + 25 + 1) / 36 = 7/6
    assert scores.r2_cod(MEAN, TARGET) == pytest.approx(1 - 2.25 / (7 / 6), abs=1e-15)
    # covariance sum: (-1)(-4/6) + 0 + (1)(-1/6) = 1/2; r = .5 / sqrt(2 * 7/6)
    assert scores.pearson_r(MEAN, TARGET) == pytest.approx(0.5 / (14 / 6) ** 0.5, abs=1e-15)
    assert scores.r2_pearson(MEAN, TARGET) == pytest.approx(0.25 / (14 / 6), abs=1e-15)
    # ranks of the targets 1, 3, 2: r = 1 - 6 (0 + 1 + 1) / (3 * 8) = .5
    assert scores.spearman_r(MEAN, TARGET) == pytest.approx(0.5, abs=1e-15)
    assert scores.sd_target(TARGET) == pytest.approx((7 / 12) ** 0.5, abs=1e-15)


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
                assert getattr(scores, name)(mean, target) == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize("name", ["pearson_r", "spearman_r", "r2_pearson", "r2_cod"])
def test_association_needs_two_elements_and_spread(name):
    metric = getattr(scores, name)
    assert np.isnan(metric([1.0], [2.0]))
    assert np.isnan(metric([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]))


def test_reference_scores():
    # z = 5, 2, -1: NLL = log(2 pi)/2 + (log .1 + log .5)/3 + (25 + 4 + 1)/6
    by_hand = 0.5 * np.log(2 * np.pi) + np.log(0.05) / 3 + 5
    assert scores.nll_gaussian(*CASE) == pytest.approx(by_hand, abs=1e-12)
    assert scores.nll_gaussian(*CASE) == pytest.approx(4.920361108686675, abs=1e-12)
    assert scores.crps_gaussian(*CASE) == pytest.approx(0.59080610693, abs=1e-10)
    # uncertainty-toolbox averages interval scores over 99 levels
    levels = np.linspace(0.01, 0.99, 99)
    mean_score = np.mean([scores.interval_score(*CASE, level) for level in levels])
    assert mean_score == pytest.approx(3.20755700861995, abs=1e-12)


def test_crps_is_the_integral_of_its_definition():
    mean, std, target = 0.3, 0.7, 1.1

    def integrand(x: float) -> float:
        return (stats.norm.cdf(x, mean, std) - (x >= target)) ** 2

    pieces = [(-8, target), (target, 8)]
    by_definition = sum(integrate.quad(integrand, *piece)[0] for piece in pieces)
    assert scores.crps_gaussian([mean], [std], [target]) == pytest.approx(by_definition, abs=1e-8)


def test_truth_scores_best():
    rng = np.random.default_rng(2)
    std = rng.uniform(0.5, 2, 20_000)
    mean = rng.normal(size=20_000)
    target = mean + std * rng.normal(size=20_000)
    for score in (scores.nll_gaussian, scores.crps_gaussian, scores.interval_score):
        right = score(mean, std, target)
        for other in ((mean, 1.5 * std), (mean, std / 1.5), (mean + 0.3, std)):
            assert score(*other, target) > right


def test_skill():
    assert scores.crps_skill([1, -1], [1e-9, 1e-9], [1, -1], (0, 1)) == pytest.approx(1, abs=1e-8)
    assert scores.crps_skill([0, 0], [1, 1], [3, -1], climatology=(0, 1)) == 0
    with pytest.raises(ValueError, match="climatology std is 0"):
        scores.crps_skill([0], [1], [0], climatology=(0, 0))


def test_ends_belong_to_the_interval():
    half = stats.norm.ppf(0.95)
    assert scores.picp([0, 0], [1, 1], [half * (1 - 1e-12), half * (1 + 1e-12)], 0.9) == 0.5
    lower, upper = scores.interval([1.0], [2.0], 0.9)
    assert lower[0] == pytest.approx(1 - 2 * half)
    assert upper[0] == pytest.approx(1 + 2 * half)
    assert scores.mpiw([2.0], 0.9) == pytest.approx(4 * half)


@pytest.mark.parametrize(("scale", "expected"), [(0.5, 0.5892), (2.0, 0.9990)])
def test_wrong_scale_in_closed_form(scale, expected):
    assert scores.coverage_under_scale(scale, 0.9) == pytest.approx(expected, abs=5e-5)
    n = 100_000
    target = stats.norm.ppf((np.arange(n) + 0.5) / n)
    seen = scores.picp(np.zeros(n), np.full(n, scale), target, 0.9)
    assert seen == pytest.approx(scores.coverage_under_scale(scale, 0.9), abs=2 / n)


def test_zms_family():
    target = [1.0, 2.0, -3.0]
    assert scores.zms([0, 0, 0], [1, 1, 1], target) == pytest.approx(14 / 3)
    assert scores.zvar([0, 0, 0], [1, 1, 1], target) == pytest.approx(7)  # (1 + 4 + 9) / 2
    assert calibration.zms_robust([0, 0, 0], [1, 1, 1], target) == pytest.approx(
        4 / stats.chi2.ppf(0.5, 1)
    )


def test_heavy_tails_move_zms_but_not_its_robust_twin():
    rng = np.random.default_rng(3)
    target = rng.normal(size=10_000)
    target[:20] = 60
    zeros, ones = np.zeros(10_000), np.ones(10_000)
    assert scores.zms(zeros, ones, target) > 5
    assert calibration.zms_robust(zeros, ones, target) == pytest.approx(1, abs=0.1)  # s.e. .023


def test_unc_error_spearman_is_low_even_when_right():
    rng = np.random.default_rng(4)
    std = rng.uniform(0.5, 1.5, 5000)
    rho = scores.unc_error_spearman(np.zeros(5000), std, std * rng.normal(size=5000))
    assert 0.15 < rho < 0.5
    assert np.isnan(scores.unc_error_spearman([0, 0], [1, 1], [1, 2]))


def test_dispersion():
    assert scores.dispersion_cv([2, 2, 2]) == 0
    assert scores.dispersion_cv([1, 2, 3]) == pytest.approx(0.5)  # sd 1 over mean 2
    assert np.isnan(scores.dispersion_cv([1]))


OF_POINTS = ("pearson_r", "spearman_r", "rmse", "mae", "bias", "r2_cod", "r2_pearson")
OF_FORECASTS = {
    scores: (
        *("nll_gaussian", "crps_gaussian", "interval_score", "picp", "coverage_gap", "zms", "zvar"),
        "unc_error_spearman",
    ),
    calibration: ("mace", "rmsce", "miscal_area", "ence", "uce", "zve", "pit_ks", "zms_robust"),
}


def test_nothing_is_nan_and_bad_input_is_named():
    for name in OF_POINTS:
        metric = getattr(scores, name)
        assert np.isnan(metric([], []))
        for mean, target, message in (
            ([1, 2], [1], "target has 1 rows"),
            ([1, np.nan], [1, 2], "mean is nan in row 1"),
            ([1, 2], [np.inf, 2], "target is inf in row 0"),
            ([[1, 2]], [1, 2], r"mean has shape \(1, 2\)"),
        ):
            with pytest.raises(ValueError, match=message):
                metric(mean, target)
    for metric in (getattr(module, n) for module, names in OF_FORECASTS.items() for n in names):
        assert np.isnan(metric([], [], []))
        for std, message in (
            ([1, 0], r"std is 0.0 in row 1"),
            ([1, np.nan], r"std is nan in row 1"),
            ([1], "std has 1 rows"),
        ):
            with pytest.raises(ValueError, match=message):
                metric([0, 0], std, [0, 0])
    for level in (0, 1, -0.1, 90, np.nan):
        with pytest.raises(ValueError, match=r"level is .*inside \(0, 1\)"):
            scores.mpiw([1], level)
    with pytest.raises(ValueError, match="kind is 'median'"):
        calibration.mace(*CASE, kind="median")
    with pytest.raises(ValueError, match="bins is 0"):
        calibration.ence(*CASE, bins=0)

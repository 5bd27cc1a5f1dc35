"""Accuracy, proper scores, intervals: hand-worked cases, peers, definitions by integral, edges."""

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from lib.metrics.calibration import pit_ks, zms_robust
from lib.metrics.columns import METRICS, half_width, interval, metric, spearman_column, spearman_r
from lib.metrics.evaluate import all_metrics

MEAN, STD, TARGET = [1.0, 2.0, 3.0], [0.1, 0.5, 1.0], [1.5, 3.0, 2.0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # errors (mean - target): -0.5, -1, 1; squares .25, 1, 1
        ("bias", -0.5 / 3),
        # targets about their mean 13/6: -4/6, 5/6, -1/6; SST = (16 + 25 + 1) / 36 = 7/6
        # covariance sum: (-1)(-4/6) + 0 + (1)(-1/6) = 1/2; r = .5 / sqrt(2 * 7/6)
        ("r2_pearson", 0.25 / (14 / 6)),
        ("sd_target", (7 / 12) ** 0.5),
        # z = 5, 2, -1: NLL = log(2 pi)/2 + (log .1 + log .5)/3 + (25 + 4 + 1)/6
        ("nll_gaussian", 0.5 * np.log(2 * np.pi) + np.log(0.05) / 3 + 5),
        ("sharpness", 0.648074069840786),
        ("zms", 10),
        ("zvar", 9),  # 3, 0, -3 about the mean of z
        ("dispersion_cv", (0.61 / 3) ** 0.5 / (1.6 / 3)),  # squares about the mean sum to 1.22 / 3
    ],
)
def test_hand_worked(name, expected):
    assert metric(name, MEAN, TARGET, STD) == pytest.approx(expected, abs=1e-10)


def test_agrees_with_scipy_and_sklearn(rng):
    for _ in range(100):
        n = int(rng.integers(3, 60))
        mean, target = np.round(rng.normal(size=(2, n)), 1)  # rounding makes ties
        if np.ptp(mean) == 0 or np.ptp(target) == 0:
            continue
        expected = {
            "rmse": root_mean_squared_error(target, mean),
            "mae": mean_absolute_error(target, mean),
            "r2_cod": r2_score(target, mean),
            "pearson_r": stats.pearsonr(mean, target).statistic,
            "spearman_r": stats.spearmanr(mean, target).statistic,
        }
        found = {name: metric(name, mean, target) for name in expected}
        assert found == pytest.approx(expected, abs=1e-8)
        for rho in (spearman_r(mean, target), spearman_column(mean, target).mean()):
            assert rho == pytest.approx(expected["spearman_r"], abs=1e-12)
    for scale in (1e-140, 1e-100, 1e100, 1e140):
        found = metric("pearson_r", mean * scale, target * scale)
        assert found == pytest.approx(expected["pearson_r"])
    assert np.isnan(spearman_column(np.arange(2.0), np.zeros(2))).all()


def test_crps_is_the_integral_of_its_definition_and_its_skill():
    mean, std, target = 0.3, 0.7, 1.1

    def integrand(x: float) -> float:
        return (stats.norm.cdf(x, mean, std) - (x >= target)) ** 2

    pieces = [(-8, target), (target, 8)]
    by_definition = sum(integrate.quad(integrand, *piece)[0] for piece in pieces)
    found = metric("crps_gaussian", [mean], [target], [std])
    assert found == pytest.approx(by_definition, abs=1e-8)
    law = {"climatology": (0, 1)}
    sharp = all_metrics([1, -1], [1e-9, 1e-9], [1, -1], **law)["crps_skill"]
    assert sharp == pytest.approx(1, abs=1e-8)
    assert all_metrics([0, 0], [1, 1], [3, -1], **law)["crps_skill"] == 0


def test_truth_scores_best():
    rng = np.random.default_rng(2)
    std = rng.uniform(0.5, 2, 20_000)
    mean = rng.normal(size=20_000)
    target = mean + std * rng.normal(size=20_000)
    for score in ("nll_gaussian", "crps_gaussian", "interval_score"):
        right = metric(score, mean, target, std)
        for other, width in ((mean, 1.5 * std), (mean, std / 1.5), (mean + 0.3, std)):
            assert metric(score, other, target, width) > right


def test_ends_belong_to_the_interval_and_one_element_is_scored():
    half = stats.norm.ppf(0.95)
    with pytest.raises(ValueError, match="std is missing; picp needs it"):
        metric("picp", [0], [1])
    with pytest.raises(ValueError, match="'picp_90' is not known; use one of bias"):
        metric("picp_90", [0], [1], [1])
    assert metric("picp", [0, 0], [half * (1 - 1e-12), half * (1 + 1e-12)], [1, 1]) == 0.5
    assert metric("picp", [0], [half_width(0.9)], [1]) == 1
    lower, upper = interval([1.0], [2.0], 0.9)
    assert (lower[0], upper[0]) == pytest.approx((1 - 2 * half, 1 + 2 * half))
    assert metric("mpiw", [0], [0], [2.0]) == pytest.approx(4 * half)
    assert np.isnan(pit_ks([], [], [])) and np.isnan(zms_robust([], [], []))
    # the target at the mean: every interval holds it, so observed is 1 at each level
    found = all_metrics([0], [1], [0])
    rmsce = (((np.arange(100) / 99) ** 2).mean()) ** 0.5
    expected = {"pit_ks": 0.5, "zms_robust": 0, "ence": 1, "uce": 1, "mace": 0.5, "rmsce": rmsce}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert np.isnan(found["zve"]) and found["miscal_area"] == pytest.approx(0.5, abs=1e-12)


def test_zms_robust_by_hand_and_unc_error_spearman_is_low_even_when_right():
    by_hand = zms_robust([0, 0, 0], [1, 1, 1], [1.0, 2.0, -3.0])
    assert by_hand == pytest.approx(4 / stats.chi2.ppf(0.5, 1))
    rng = np.random.default_rng(4)
    std = rng.uniform(0.5, 1.5, 5000)
    rho = metric("unc_error_spearman", np.zeros(5000), std * rng.normal(size=5000), std)
    assert 0.15 < rho < 0.5
    assert np.isnan(metric("unc_error_spearman", [0, 0], [1, 2], [1, 1]))


ASSOCIATION = ("pearson_r", "spearman_r", "r2_pearson", "r2_cod")
OF_LEVEL = ("picp", "mpiw", "coverage_gap", "interval_score")


@pytest.mark.parametrize("name", [*sorted(set(METRICS) - {"crps_skill"}), *OF_LEVEL])
def test_too_few_elements_are_nan_and_bad_input_is_named(name):
    assert np.isnan(metric(name, [], [], []))
    if name in ASSOCIATION:
        assert np.isnan(metric(name, [1.0], [2.0]))
        assert np.isnan(metric(name, [1.0, 2.0, 3.0], [0.1, 0.1, 0.1]))
    for mean, target, std, message in (
        ([1, 2], [1], [1, 1], "target has 1 rows"),
        ([1, np.nan], [1, 2], [1, 1], "mean is nan in row 1"),
        ([1, 2], [np.inf, 2], [1, 1], "target is inf in row 0"),
        ([[1, 2]], [1, 2], [1, 1], r"mean has shape \(1, 2\)"),
        ([0, 0], [0, 0], [1, 0], r"std is 0.0 in row 1"),
        ([0, 0], [0, 0], [1, np.nan], r"std is nan in row 1"),
        ([0, 0], [0, 0], [1], "std has 1 rows"),
    ):
        with pytest.raises(ValueError, match=message):
            metric(name, mean, target, std)
    for level in (0, 1, -0.1, 90, np.nan):
        with pytest.raises(ValueError, match=r"level is .*inside \(0, 1\)"):
            metric(name, [1], [1], [1], level)

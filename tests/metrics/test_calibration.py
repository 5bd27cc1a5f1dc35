"""Calibration metrics: reference values, hand-worked bins, closed forms, edges."""

import numpy as np
import pytest
from scipy import integrate, stats

from lib.metrics import calibration

CASE = ([1.0, 2.0, 3.0], [0.1, 0.5, 1.0], [1.5, 3.0, 2.0])


def test_reference_values():
    assert calibration.mace(*CASE) == pytest.approx(0.3733333333333335, abs=1e-12)
    assert calibration.rmsce(*CASE) == pytest.approx(0.4165757476562379, abs=1e-12)
    assert calibration.mace(*CASE, kind="quantile") == pytest.approx(0.23757575757575758, abs=1e-12)
    assert calibration.rmsce(*CASE, kind="quantile") == pytest.approx(
        0.30362567774902066, abs=1e-12
    )
    assert calibration.sharpness(CASE[1]) == pytest.approx(0.648074069840786, abs=1e-12)


def test_area_crosses_the_diagonal_exactly():
    # grid 0, .5, 1; one of two inside |2u - 1| <= .5: observed 0, .5, 1 -> area 0
    z = stats.norm.ppf([0.5 + 0.2, 0.5 + 0.4])
    assert calibration.miscal_area([0, 0], [1, 1], z, points=3) == pytest.approx(0, abs=1e-15)
    # observed (0, 1, 1, 1) on grid (0, 1/3, 2/3, 1): gaps 0, 2/3, 1/3, 0 -> (1/3)(1/3 + 1/2 + 1/6)
    near = [0.1]
    assert calibration.miscal_area([0], [1], near, points=4) == pytest.approx(1 / 3, abs=1e-12)
    # gaps -.25 then +.25 in a segment of 1: two triangles of (1/2) * .25 / 2
    gap = calibration.area_between(np.array([0.0, 1.0]), np.array([-0.25, 1.25]))
    assert gap == pytest.approx(2 * 0.5 * 0.5 * 0.25)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_area_of_a_wrong_scale_in_closed_form(scale):
    def gap(level: float) -> float:
        return abs(2 * stats.norm.cdf(scale * stats.norm.ppf((1 + level) / 2)) - 1 - level)

    closed = integrate.quad(gap, 0, 1)[0]
    assert closed == pytest.approx(0.2048, abs=1e-4)
    n = 200_000
    target = stats.norm.ppf((np.arange(n) + 0.5) / n)  # the exact quantiles of the law
    area = calibration.miscal_area(np.zeros(n), np.full(n, scale), target, points=1001)
    assert area == pytest.approx(closed, abs=1e-4)


def test_pit_and_its_distance():
    assert calibration.pit([0, 0], [1, 2], [0, 2]).tolist() == [0.5, stats.norm.cdf(1)]
    rng = np.random.default_rng(0)
    target = rng.normal(size=50)
    expected = stats.kstest(target, "norm").statistic
    assert calibration.pit_ks(np.zeros(50), np.ones(50), target) == pytest.approx(expected)
    assert calibration.pit_ks([0, 0], [1, 1], [0, 0]) == 0.5  # ties: all mass at one half


def test_ence_uce_zve_by_hand():
    mean, std, target = np.zeros(4), [1.0, 1.0, 2.0, 2.0], [1.0, 3.0, 2.0, -2.0]
    # bin 1: MSE (1 + 9)/2 = 5, MV 1; bin 2: MSE 4, MV 4
    assert calibration.ence(mean, std, target, bins=2) == pytest.approx((5**0.5 - 1) / 2)
    assert calibration.uce(mean, std, target, bins=2) == pytest.approx((2 * 4 + 0) / 4)
    # z: 1, 3 (var 2) and 1, -1 (var 2): exp((log 2 + log 2) / 2) = 2
    assert calibration.zve(mean, std, target, bins=2) == pytest.approx(2)
    # more bins than elements: one element per bin, sizes |z| - 1 = 0, 2, 0, 0
    assert calibration.ence(mean, std, target, bins=20) == pytest.approx(0.5)


def test_zms_family():
    target = [1.0, 2.0, -3.0]
    assert calibration.zms([0, 0, 0], [1, 1, 1], target) == pytest.approx(14 / 3)
    assert calibration.zvar([0, 0, 0], [1, 1, 1], target) == pytest.approx(7)  # (1 + 4 + 9) / 2
    assert calibration.zms_robust([0, 0, 0], [1, 1, 1], target) == pytest.approx(
        4 / stats.chi2.ppf(0.5, 1)
    )


def test_heavy_tails_move_zms_but_not_its_robust_twin():
    rng = np.random.default_rng(3)
    target = rng.normal(size=10_000)
    target[:20] = 60
    zeros, ones = np.zeros(10_000), np.ones(10_000)
    assert calibration.zms(zeros, ones, target) > 5
    assert calibration.zms_robust(zeros, ones, target) == pytest.approx(1, abs=0.1)  # s.e. .023


def test_unc_error_spearman_is_low_even_when_right():
    rng = np.random.default_rng(4)
    std = rng.uniform(0.5, 1.5, 5000)
    rho = calibration.unc_error_spearman(np.zeros(5000), std, std * rng.normal(size=5000))
    assert 0.15 < rho < 0.5
    assert np.isnan(calibration.unc_error_spearman([0, 0], [1, 1], [1, 2]))


def test_dispersion():
    assert calibration.dispersion_cv([2, 2, 2]) == 0
    assert calibration.dispersion_cv([1, 2, 3]) == pytest.approx(0.5)  # sd 1 over mean 2
    assert np.isnan(calibration.dispersion_cv([1]))


@pytest.mark.parametrize(
    ("name", "at_zero", "at_one"),
    [
        ("pit_ks", np.nan, 0.5),
        ("zms", np.nan, 0),
        ("zms_robust", np.nan, 0),
        ("zvar", np.nan, np.nan),
        ("zve", np.nan, np.nan),
        ("ence", np.nan, 1),
        ("uce", np.nan, 1),
        ("mace", np.nan, 0.5),
        ("rmsce", np.nan, (((np.arange(100) / 99) ** 2).mean()) ** 0.5),
        ("miscal_area", np.nan, 0.5),
        ("unc_error_spearman", np.nan, np.nan),
    ],
)
def test_none_and_one_element(name, at_zero, at_one):
    metric = getattr(calibration, name)
    np.testing.assert_equal(metric([], [], []), at_zero)
    # the target at the mean: every interval holds it, so observed is 1 at each level
    np.testing.assert_allclose(metric([0], [1], [0]), at_one, atol=1e-12)


def test_bad_input_is_named():
    for name in ("pit", "pit_ks", "mace", "rmsce", "miscal_area", "ence", "uce", "zms", "zvar"):
        with pytest.raises(ValueError, match=r"std is -1.0 in row 1"):
            getattr(calibration, name)([0, 0], [1, -1], [0, 0])
        with pytest.raises(ValueError, match=r"target has 3 rows"):
            getattr(calibration, name)([0, 0], [1, 1], [0, 0, 0])
    with pytest.raises(ValueError, match="kind is 'median'"):
        calibration.mace(*CASE, kind="median")
    with pytest.raises(ValueError, match="bins is 0"):
        calibration.ence(*CASE, bins=0)

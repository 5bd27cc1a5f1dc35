import numpy as np
import pytest
from scipy import integrate, stats

from lib.arrays import stable_order
from lib.metrics import calibration
from lib.metrics.calibration import zms_decomposition


def area(z, points):
    observed = calibration.observed_shares(np.array(z), points)
    return calibration.curve_distances(observed)["miscal_area"]


def test_area_crosses_the_diagonal_exactly():
    # grid 0, .5, 1; one of two inside |2u - 1| <= .5: observed 0, .5, 1 -> area 0
    z = stats.norm.ppf([0.5 + 0.2, 0.5 + 0.4])
    assert area(z, points=3) == pytest.approx(0, abs=1e-15)
    # observed (0, 1, 1, 1) on grid (0, 1/3, 2/3, 1): gaps 0, 2/3, 1/3, 0 -> (1/3)(1/3 + 1/2 + 1/6)
    assert area([0.1], points=4) == pytest.approx(1 / 3, abs=1e-12)
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
    assert area(target / scale, points=1001) == pytest.approx(closed, abs=1e-4)


def test_pit_and_its_distance(rng):
    assert calibration.pit([0, 0], [1, 2], [0, 2]).tolist() == [0.5, stats.norm.cdf(1)]
    target = rng.normal(size=50)
    expected = stats.kstest(target, "norm").statistic
    assert calibration.pit_ks(np.zeros(50), np.ones(50), target) == pytest.approx(expected)
    assert calibration.pit_ks([0, 0], [1, 1], [0, 0]) == 0.5  # ties: all mass at one half


def binned(std, target, bins):
    std = np.array(std)
    return calibration.binned_metrics(np.array(target) / std, std, stable_order(std), bins)


def test_ence_uce_zve_by_hand():
    std, target = [1.0, 1.0, 2.0, 2.0], [1.0, 3.0, 2.0, -2.0]
    # bin 1: MSE (1 + 9)/2 = 5, MV 1; bin 2: MSE 4, MV 4
    # z: 1, 3 (var 2) and 1, -1 (var 2): exp((log 2 + log 2) / 2) = 2
    expected = {"ence": (5**0.5 - 1) / 2, "uce": (2 * 4 + 0) / 4, "zve": 2}
    assert binned(std, target, bins=2) == pytest.approx(expected)
    # more bins than elements: one element per bin, sizes |z| - 1 = 0, 2, 0, 0
    assert binned(std, target, bins=20)["ence"] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="bins is 0"):
        binned(std, target, bins=0)


def test_terms_by_hand_and_each_cause_in_its_place():
    # s^2 = 4 twice, sigma^2 = 1: aleatoric (1 - 4)/4 = -3/4
    # f - mean = (+1, -1), mean = (0, 0) is constant, so g = 0: bias 0, missing ((1 + 1)/2)/4 = 1/4
    split = zms_decomposition([0, 0], [2, 2], [1, -1], [1, 1])
    assert split == pytest.approx((-0.75, 0.0, 0.25))
    rng = np.random.default_rng(1)
    f, ones = rng.normal(size=20_000), np.ones(20_000)
    assert zms_decomposition(f, ones, f, ones) == pytest.approx(np.zeros(3), abs=1e-12)
    louder = zms_decomposition(f, ones, f, 2 * ones)  # sigma^2 = 4
    assert louder == pytest.approx((3, 0, 0), abs=1e-12)
    shifted = zms_decomposition(0.5 * f - 1, ones, f, ones)  # f = 2 mean + 2: affine
    assert shifted.missing == pytest.approx(0, abs=1e-12)
    assert shifted.bias == pytest.approx(np.mean((f - 0.5 * f + 1) ** 2))


def test_sum_is_the_expected_excess_over_fresh_noise_without_a_cross_term(rng):
    n, repeats = 500, 400
    f, mean = rng.normal(size=(2, n))
    std, sigma = rng.uniform(0.3, 1.5, size=(2, n))
    split = zms_decomposition(mean, std, f, sigma)
    y = f + sigma * rng.normal(size=(repeats, n))
    per_repeat = ((y - mean) ** 2 / std**2).mean(axis=1) - 1
    assert sum(split) == pytest.approx(per_repeat.mean(), abs=4 * per_repeat.std() / repeats**0.5)
    design = np.column_stack([np.ones(n), mean]) / std[:, None]
    intercept, slope = np.linalg.lstsq(design, f / std, rcond=None)[0]
    missing = np.mean((f - intercept - slope * mean) ** 2 / std**2)
    assert split.missing == pytest.approx(missing, abs=1e-10)


def test_decomposition_refuses_bad_input():
    with pytest.raises(ValueError, match=r"true_std is -1.0 in row 0"):
        zms_decomposition([0], [1], [0], [-1])
    with pytest.raises(ValueError, match=r"std is 0.0 in row 1"):
        zms_decomposition([0, 0], [1, 0], [0, 0], [1, 1])

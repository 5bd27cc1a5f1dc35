"""Measured noise: hand-worked reliability, deattenuation and error split; intervals; bad input."""

import numpy as np
import pytest

from lib.statistics.measured_noise import aleatoric_check, noise_account

# Three signs in all combinations, three times over: mutually uncorrelated columns of variance 1.
X, U, V = (np.tile(column, 3) for column in np.indices((2, 2, 2)).reshape(3, 8) * 2.0 - 1)
N = len(X)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_account_by_hand():
    # y = 2 X + noise of variance 1; the forecast is X + V / 2
    found = noise_account(X + V / 2, 2 * X + U, np.ones(N), np.arange(N), rng(), draws=50)
    assert found.reliability.value == pytest.approx(4 / 5)
    assert found.pearson_r_ceiling.value == pytest.approx((4 / 5) ** 0.5)
    # Cov = 2, Var of the forecast 5/4, of y 5, of f 4
    assert found.pearson_r.value == pytest.approx(2 / (1.25 * 5) ** 0.5)
    assert found.pearson_r_deattenuated.value == pytest.approx(2 / (1.25 * 4) ** 0.5)
    # error X - V / 2 + U: 1 + 1/4 + 1
    assert found.mse.value == pytest.approx(2.25)
    assert (found.noise.value, found.model.value) == pytest.approx((1, 1.25))
    assert found.noise_share.value == pytest.approx(1 / 2.25)


def test_noise_called_too_large_is_printed_not_clipped():
    found = noise_account(2 * X, 2 * X + U, np.full(N, 1.5), np.arange(N), rng(), draws=50)
    assert found.pearson_r_deattenuated.value > 1
    assert found.model.value == pytest.approx(1 - 1.5**2)


def test_constant_forecast_has_no_correlation():
    found = noise_account(np.zeros(N), 2 * X + U, np.ones(N), np.arange(N), rng(), draws=20)
    assert np.isnan(found.pearson_r.value)
    assert found.mse.value == pytest.approx(5)


def test_deattenuated_interval_holds_the_truth_and_is_wider_than_that_of_r():
    generator = rng()
    hits, wider = 0, 0
    for _ in range(60):
        f, e, m = generator.normal(size=(3, 300))
        sigma = np.exp(generator.normal(-0.3, 0.3, size=300))
        found = noise_account(f + m, f + sigma * e, sigma, np.arange(300), generator, draws=200)
        own = found.pearson_r_deattenuated
        hits += own.lower <= 0.5**0.5 <= own.upper  # r of f + m and f
        wider += own.upper - own.lower > found.pearson_r.upper - found.pearson_r.lower
    assert hits >= 52  # 57 expected, s.d. 1.7
    assert wider == 60


def test_aleatoric_check_by_hand():
    predicted = np.repeat([1.0, 2.0], 12)
    found = aleatoric_check(predicted, np.full(N, 1.5), np.arange(N), rng(), draws=50)
    assert found.variance_ratio.value == pytest.approx(2.5 / 2.25)
    assert found.share_below.value == 0.5
    assert np.isnan(found.spearman_r)
    sorted_alike = aleatoric_check(predicted, 3 * predicted, np.arange(N), rng(), draws=50)
    assert sorted_alike.spearman_r == pytest.approx(1)
    assert tuple(sorted_alike.variance_ratio) == pytest.approx(3 * (1 / 9,))


@pytest.mark.parametrize(
    ("std_noise", "groups", "message"),
    [
        (np.full(N, -1.0), np.arange(N), "std_noise is -1.0 in row 0"),
        (np.ones(N - 1), np.arange(N), "std_noise has 23 rows"),
        (np.ones(N), np.arange(N) % 5, "24 elements in 5 groups"),
        (np.full(N, 3.0), np.arange(N), "nothing beyond noise to explain"),
    ],
)
def test_bad_input(std_noise, groups, message):
    with pytest.raises(ValueError, match=message):
        noise_account(X, 2 * X + U, std_noise, groups, rng())


def test_no_measured_noise_to_compare_with():
    with pytest.raises(ValueError, match="std_noise is 0 in all rows"):
        aleatoric_check(np.ones(N), np.zeros(N), np.arange(N), rng())

"""Measured noise: hand-worked reliability and error split; censored lines; bad input."""

import numpy as np
import pandas as pd
import pytest

from lib.statistics.noise import censored_line, noise_account

# Three signs in all combinations, three times over: mutually uncorrelated columns of variance 1.
X, U, V = (np.tile(column, 3) for column in np.indices((2, 2, 2)).reshape(3, 8) * 2.0 - 1)
N = len(X)
ONE = np.ones(N)


def account(mean, target, noise, predicted=ONE, groups=None, rng=0, draws=50) -> pd.DataFrame:
    groups = np.arange(len(target)) if groups is None else groups
    generator = np.random.default_rng(rng)
    table = noise_account(mean, predicted, target, noise, groups, generator, draws=draws)
    return table.set_index("quantity")


def test_account_by_hand():
    # y = 2 X + noise of variance 1; the forecast is X + V / 2
    value = account(X + V / 2, 2 * X + U, ONE)["value"]
    assert value["reliability"] == pytest.approx(4 / 5)
    assert value["pearson_r_ceiling"] == pytest.approx((4 / 5) ** 0.5)
    # Cov = 2, Var of the forecast 5/4, of y 5, of f 4
    assert value["pearson_r"] == pytest.approx(2 / (1.25 * 5) ** 0.5)
    assert value["pearson_r_deattenuated"] == pytest.approx(2 / (1.25 * 4) ** 0.5)
    # error X - V / 2 + U: 1 + 1/4 + 1
    assert value["mse"] == pytest.approx(2.25)
    assert (value["noise"], value["model"]) == pytest.approx((1, 1.25))
    assert value["noise_share"] == pytest.approx(1 / 2.25)


def test_noise_called_too_large_is_printed_not_clipped():
    value = account(2 * X, 2 * X + U, 1.5 * ONE)["value"]
    assert value["pearson_r_deattenuated"] > 1
    assert value["model"] == pytest.approx(1 - 1.5**2)


def test_constant_forecast_has_no_correlation():
    value = account(np.zeros(N), 2 * X + U, ONE)["value"]
    assert np.isnan(value["pearson_r"])
    assert value["mse"] == pytest.approx(5)


def test_deattenuated_interval_holds_the_truth_and_is_wider_than_that_of_r():
    generator = np.random.default_rng(0)
    hits, wider = 0, 0
    for _ in range(60):
        f, e, m = generator.normal(size=(3, 300))
        sigma = np.exp(generator.normal(-0.3, 0.3, size=300))
        found = account(f + m, f + sigma * e, sigma, np.ones(300), rng=generator, draws=200)
        own = found.loc["pearson_r_deattenuated"]
        hits += own["lower"] <= 0.5**0.5 <= own["upper"]  # r of f + m and f
        width = found["upper"] - found["lower"]
        wider += width["pearson_r_deattenuated"] > width["pearson_r"]
    assert hits >= 52  # 57 expected, s.d. 1.7
    assert wider == 60


def test_predicted_against_measured_noise_by_hand():
    predicted = np.repeat([1.0, 2.0], 12)
    value = account(X, 3 * X + U, 1.5 * ONE, predicted)["value"]
    assert value["variance_ratio"] == pytest.approx(2.5 / 2.25)
    assert value["share_below"] == 0.5
    same = account(X, 9 * X + U, 3 * predicted, predicted).loc["variance_ratio"]
    assert same[["value", "lower", "upper"]].tolist() == pytest.approx(3 * [1 / 9])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"noise": -ONE}, "std_noise is -1.0 in row 0"),
        ({"noise": np.ones(N - 1)}, "std_noise has 23 rows"),
        ({"groups": np.arange(N) % 5}, "24 elements in 5 groups"),
        ({"noise": 3 * ONE}, "nothing beyond noise to explain"),
        ({"noise": 0 * ONE}, "std_noise is 0 in all rows"),
        ({"predicted": 0 * ONE}, "std_aleatoric is 0.0 in row 0"),
    ],
)
def test_bad_accounts(changes, says):
    with pytest.raises(ValueError, match=says):
        account(**{"mean": X, "target": 2 * X + U, "noise": ONE} | changes)


def _sample(n: int, seed: int, limit: float):
    rng = np.random.default_rng(seed)
    x = rng.normal(2, 1.5, n)
    y = -1 + 0.8 * x + rng.normal(0, 0.7, n)
    return x, np.maximum(y, limit), y <= limit


def test_the_planted_line_is_found_where_least_squares_is_flattened() -> None:
    """A third of the targets lie below the limit; over 40 samples the estimates are unbiased."""
    found = []
    for seed in range(40):
        x, y, below = _sample(400, seed, limit=0.0)
        assert 0.2 < below.mean() < 0.5
        found.append(censored_line(x, y, below))
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - [-1, 0.8, 0.7]) < 3 * error + [0, 0, 0.005])
    x, y, below = _sample(4000, 99, limit=0.0)
    at_limit = np.polyfit(x, y, 1)[0]
    left_out = np.polyfit(x[~below], y[~below], 1)[0]
    assert at_limit < 0.75 and left_out < 0.75


def test_weights_count_elements() -> None:
    x, y, below = _sample(60, 1, limit=-0.5)
    times = np.random.default_rng(0).integers(0, 4, 60)
    rows = np.repeat(np.arange(60), times)
    weighted = censored_line(x, y, below, weight=times)
    repeated = censored_line(x[rows], y[rows], below[rows])
    assert np.allclose(weighted, repeated, rtol=1e-4, atol=1e-5)


def test_units_do_not_matter() -> None:
    x, y, below = _sample(300, 2, limit=0.0)
    line = censored_line(x, y, below)
    other = censored_line(1000 * x + 5, 10 * y, below)
    assert other.slope == pytest.approx(line.slope / 100, rel=1e-3)
    assert other.std == pytest.approx(10 * line.std, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"y": np.zeros(3)}, "y has"),
        ({"censored": np.zeros(3, bool)}, "censored has shape"),
        ({"x": np.full(30, np.nan)}, "x"),
        ({"x": np.ones(30)}, "x is constant"),
        ({"censored": np.ones(30, bool)}, "0 uncensored"),
        ({"weight": -np.ones(30)}, "weight must be"),
        ({"y": np.arange(30.0)}, "without residual"),
    ],
)
def test_bad_lines(changes, says) -> None:
    x = np.arange(30.0)
    given = {"x": x, "y": np.sin(x), "censored": np.zeros(30, bool)} | changes
    with pytest.raises(ValueError, match=says):
        censored_line(**given)

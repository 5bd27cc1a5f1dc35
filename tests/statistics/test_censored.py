"""Censored regression against a known line and least squares."""

import numpy as np
import pytest

from lib.statistics.censored import censored_line


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
def test_bad_input(changes, says) -> None:
    x = np.arange(30.0)
    given = {"x": x, "y": np.sin(x), "censored": np.zeros(30, bool)} | changes
    with pytest.raises(ValueError, match=says):
        censored_line(**given)

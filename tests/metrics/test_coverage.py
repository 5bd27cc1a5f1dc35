"""Coverage and width: hand-worked cases, closed forms, edges."""

import numpy as np
import pytest
from scipy import stats

from lib.metrics import coverage


def test_ends_belong_to_the_interval():
    half = stats.norm.ppf(0.95)
    assert coverage.picp([0, 0], [1, 1], [half * (1 - 1e-12), half * (1 + 1e-12)], 0.9) == 0.5
    lower, upper = coverage.interval([1.0], [2.0], 0.9)
    assert lower[0] == pytest.approx(1 - 2 * half)
    assert upper[0] == pytest.approx(1 + 2 * half)
    assert coverage.mpiw([2.0], 0.9) == pytest.approx(4 * half)


@pytest.mark.parametrize(("scale", "expected"), [(0.5, 0.5892), (2.0, 0.9990)])
def test_wrong_scale_in_closed_form(scale, expected):
    assert coverage.coverage_under_scale(scale, 0.9) == pytest.approx(expected, abs=5e-5)
    n = 100_000
    target = stats.norm.ppf((np.arange(n) + 0.5) / n)
    seen = coverage.picp(np.zeros(n), np.full(n, scale), target, 0.9)
    assert seen == pytest.approx(coverage.coverage_under_scale(scale, 0.9), abs=2 / n)


def test_gap_and_edges():
    assert coverage.coverage_gap([0, 0], [1, 1], [0, 9], 0.8) == pytest.approx(-0.3)
    assert np.isnan(coverage.picp([], [], []))
    assert np.isnan(coverage.mpiw([]))
    assert coverage.picp([0], [1], [0]) == 1
    for level in (0, 1, 1.5):
        with pytest.raises(ValueError, match="level is"):
            coverage.picp([0], [1], [0], level)
        with pytest.raises(ValueError, match="level is"):
            coverage.mpiw([1], level)
    with pytest.raises(ValueError, match=r"std is 0.0 in row 0"):
        coverage.mpiw([0.0])

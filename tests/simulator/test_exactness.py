"""Statistical guarantees of the simulator, each with its tolerance."""

import numpy as np
import pytest
from scipy import stats

from lib.simulator import SHIFTS, Assay, Shift, draw_world, simulate

pytestmark = pytest.mark.slow

DRAWS = 200_000
ZMS_TOLERANCE = 0.02
COVERAGE_TOLERANCE = 0.003
# A 90 % interval's coverage has s.e. sqrt(.9 * .1 / 200,000) = .0007; the mean of z^2 has .003.


@pytest.mark.parametrize(
    ("shift", "assay"),
    [
        ((), Assay()),
        ((), Assay(reliability=0.2)),
        (Shift("gc", 1.0), Assay()),
        ((Shift("effect_rewiring", 1.0), Shift("batch", 1.0), Shift("depth", 1.0)), Assay()),
        ((Shift("gc_amplification", 1.0), Shift("noise", 0.5)), Assay()),
    ],
    ids=["in distribution", "noisy", "gc", "rewired, batched, shallow", "amplified"],
)
def test_the_oracle_is_calibrated(world, shift, assay):
    data = simulate(world, DRAWS, 11, shift=shift, assay=assay)
    z = (data.activity - data.truth.mean) / data.truth.std
    assert (z**2).mean() == pytest.approx(1, abs=ZMS_TOLERANCE)
    for level in (0.5, 0.8, 0.9, 0.95):
        inside = np.abs(z) <= stats.norm.ppf((1 + level) / 2)
        assert inside.mean() == pytest.approx(level, abs=COVERAGE_TOLERANCE)


def test_two_measurements_correlate_as_anchored():
    found = []
    for seed in range(5):
        data = simulate(draw_world(seed), 40_000, 11)
        found.append(np.corrcoef(data.activity, data.truth.mean)[0, 1])
    # root of .744; the variance of f in a world is calibrated on 16,384 elements
    assert np.mean(found) == pytest.approx(np.sqrt(0.744), abs=0.005)


def test_severity_zero_cannot_be_told_from_in_distribution(world):
    repeats, size = 200, 400
    rejected = np.zeros(3)
    for repeat in range(repeats):
        name = list(SHIFTS)[repeat % len(SHIFTS)]
        one = simulate(world, size, 2 * repeat + 1000)
        other = simulate(world, size, 2 * repeat + 1001, shift=Shift(name, 0.0))
        pairs = ((one.activity, other.activity), (one.gc, other.gc), _thymine_steps(one, other))
        rejected += [stats.ks_2samp(*pair).pvalue < 0.05 for pair in pairs]
    # 200 tests at 5 %: 10 expected, s.d. 3.1; the KS test is conservative where values tie
    low, high = stats.binom.ppf([0.0005, 0.9995], repeats, 0.05)
    assert rejected[0] >= low
    assert (rejected <= high).all()


def _thymine_steps(one, other):
    """Number of TT and AA steps per element: a feature of the letters' order."""
    pairs = ((data.codes[:, 1:], data.codes[:, :-1]) for data in (one, other))
    return tuple(((a == b) & np.isin(a, (0, 3))).sum(axis=1) for a, b in pairs)


def test_a_shift_at_small_severity_is_told_apart_at_large_n(world):
    one = simulate(world, 50_000, 21)
    other = simulate(world, 50_000, 22, shift=Shift("gc", 0.05))
    assert stats.ks_2samp(one.gc, other.gc).pvalue < 1e-4

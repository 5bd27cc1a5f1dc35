import numpy as np
import pytest
from scipy import stats

from lib.simulator import Assay, Shift, simulate

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

from dataclasses import replace

import numpy as np
import pytest

from lib.simulator import Assay
from lib.simulator.assay import ANCHORS, LOCATION, SD, Batch, digest, error_variance, measure
from tests.refusals import refused

N = 60_000


def activities(n: int = N, seed: int = 0) -> np.ndarray:
    return LOCATION + SD * np.random.default_rng(seed).standard_normal(n)


def run(assay: Assay, f: np.ndarray | None = None, gc_z: float = 0.0, seed: int = 1):
    f = activities() if f is None else f
    return measure(f, np.full(len(f), gc_z), assay, np.random.default_rng(seed))


@pytest.mark.parametrize("reliability", (0.65, 0.744, 0.85))
def test_two_measurements_correlate_at_the_reliability(reliability):
    one, two = (run(Assay(reliability=reliability), seed=s).value for s in (1, 2))
    assert np.corrcoef(one, two)[0, 1] == pytest.approx(reliability, abs=0.01)


def test_anchors_are_those_committed_before_any_run():
    assert digest() == "2d6b76f14413855720d6415adad08cdd8a102a8d186d245caed9684ae57802b7"


def test_error_variance_by_hand_and_none_at_perfect_reliability():
    # at the median depth and z = 1: (.4 + .6 exp(-.75^2 / 2)) (1 + .064 + .169) / 1.169, times
    # SD^2 (1 / .5 - 1) = SD^2
    by_depth = 0.4 + 0.6 * np.exp(-0.28125)
    expected = SD**2 * by_depth * 1.233 / 1.169
    found = error_variance(np.array([LOCATION + SD]), np.array([2400.0]), Assay(reliability=0.5))
    assert found == pytest.approx([expected])
    measured = run(Assay(reliability=1.0))
    assert (measured.std == 0).all()
    assert (measured.value == measured.mean).all()


def test_batches_bend_mean_and_error_alike():
    assay = Assay(batches=(Batch(2.0, 1.0), Batch(0.5, -1.0)), first_batch=3)
    plain, bent = run(Assay()), run(assay)
    assert set(bent.batch) == {3, 4}
    f = activities()
    first = bent.batch == 3
    assert bent.mean[first] == pytest.approx(LOCATION + 2 * (f - LOCATION)[first] + 1)
    assert bent.mean[~first] == pytest.approx(LOCATION + 0.5 * (f - LOCATION)[~first] - 1)
    assert bent.std[first] == pytest.approx(2 * plain.std[first])
    assert first.mean() == pytest.approx(0.5, abs=0.01)


def test_amplification_bends_with_gc_and_costs_depth_which_is_lognormal():
    assay = Assay(amplification=0.5)
    # z = 2: .5 SD (2 - (4 - 1) / 2) = .25 SD; depth 2^(-.5 * 4) = 1/4
    high, plain = run(assay, gc_z=2.0), run(Assay(), gc_z=2.0)
    assert high.mean == pytest.approx(plain.mean + 0.25 * SD)
    assert high.depth == pytest.approx(plain.depth / 4)
    depth = run(Assay(depth_fold=2.0)).depth
    assert np.median(depth) == pytest.approx(2 * ANCHORS["depth_median"], rel=0.02)
    assert np.log(depth).std() == pytest.approx(ANCHORS["depth_log_sd"], rel=0.02)


test_bad_settings_are_refused = refused(
    ({"reliability": 0.0}, "reliability is 0.0"),
    ({"reliability": 1.1}, "reliability is 1.1"),
    ({"reliability": np.nan}, "reliability is nan"),
    ({"depth_fold": 0.0}, "depth_fold is 0.0"),
    ({"batches": ()}, "at least one Batch"),
    ({"batches": (Batch(0.0, 0.0),)}, "positive gain"),
    act=lambda change: replace(Assay(), **change),
)

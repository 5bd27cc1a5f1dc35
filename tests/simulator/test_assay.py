from dataclasses import replace

import numpy as np
import pytest

from lib.simulator import Assay
from lib.simulator.assay import LOCATION, SD, Batch, digest, measure
from tests.refusals import refused

N = 60_000


def activities(n: int = N, seed: int = 0) -> np.ndarray:
    return LOCATION + SD * np.random.default_rng(seed).standard_normal(n)


def run(assay: Assay, f: np.ndarray | None = None, seed: int = 1):
    f = activities() if f is None else f
    return measure(f, np.zeros(len(f)), assay, np.random.default_rng(seed))


@pytest.mark.parametrize("reliability", (0.65, 0.744, 0.85))
def test_two_measurements_correlate_at_the_reliability(reliability):
    one, two = (run(Assay(reliability=reliability), seed=s).value for s in (1, 2))
    assert np.corrcoef(one, two)[0, 1] == pytest.approx(reliability, abs=0.01)


def test_anchors_are_those_committed_before_any_run():
    assert digest() == "2d6b76f14413855720d6415adad08cdd8a102a8d186d245caed9684ae57802b7"


def test_perfect_reliability_measures_activity():
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


test_bad_settings_are_refused = refused(
    ({"reliability": 0.0}, "reliability is 0.0"),
    ({"reliability": 1.1}, "reliability is 1.1"),
    ({"reliability": np.nan}, "reliability is nan"),
    ({"depth_fold": 0.0}, "depth_fold is 0.0"),
    ({"batches": ()}, "at least one Batch"),
    ({"batches": (Batch(0.0, 0.0),)}, "positive gain"),
    act=lambda change: replace(Assay(), **change),
)

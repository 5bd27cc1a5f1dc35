from dataclasses import replace

import numpy as np
import pytest

from lib.motifs.binding import occupancy
from lib.motifs.pwm import make_pwm, perturb
from lib.sequences import encode, reverse_complement
from lib.simulator import World, draw_world
from lib.simulator.activity import (
    BOUND,
    Program,
    activity,
    calibrate,
    matched_potentials,
    responses,
    standardise,
)
from lib.simulator.anchors import ANCHORS

A3 = make_pwm("AAA", np.array([[1.0] * 3, [0.0] * 3, [0.0] * 3, [0.0] * 3]))
FULL_SITE = 3 * np.log(4)  # nats
C3 = make_pwm("CCC", np.array([[0.0] * 3, [1.0] * 3, [0.0] * 3, [0.0] * 3]))


def program(gap: float = 2.0, same: float = 1.0) -> Program:
    """AAA acts with CCC downstream of it; a full site has affinity e^5, one letter off e^-4.2."""
    return Program(
        (A3, C3), np.full(2, FULL_SITE - 5), ((0, 1),), np.array([gap]), np.array([same]),
        np.ones(4), np.zeros(4), np.ones(4),
    )  # fmt: skip


def pair_response(sequence: str, **options: float) -> float:
    return float(responses(encode([sequence]), program(**options))[0, 2])


class TestPairs:
    # Gaussian kernel of s.d. 3 about gap 2; response 1 - exp(-kernel); sites are bound .993
    full = 1 - np.exp(-1)

    def test_at_the_preferred_gap_on_one_strand(self):
        assert pair_response("GTAAAGTCCCGT") == pytest.approx(self.full, rel=2e-2)

    def test_off_the_preferred_gap(self):
        kernel = np.exp(-((5 - 2) ** 2) / (2 * 3**2))
        assert pair_response("GTAAAGTGTGCCCGT") == pytest.approx(1 - np.exp(-kernel), rel=2e-2)

    def test_upstream_does_not_count(self):
        assert pair_response("GTCCCGTAAAGT") == pytest.approx(0, abs=1e-3)

    def test_the_other_strand_mirrors(self):
        assert pair_response("ACGGGACTTTAC") == pytest.approx(self.full, rel=2e-2)

    def test_opposite_strands_weigh_one_minus_same(self):
        assert pair_response("GTAAAGTGGGGT") == pytest.approx(0, abs=1e-3)
        assert pair_response("GTAAAGTGGGTT", same=0.0) == pytest.approx(self.full, rel=2e-2)
        kernel = 0.25
        found = pair_response("GTAAAGTGGGTT", same=0.75)
        assert found == pytest.approx(1 - np.exp(-kernel), rel=2e-2)


def test_responses_saturate_and_include_gc():
    raw = responses(encode(["GTAAAGTCCCGT"]), program())
    # one full site, bound e^5 / (1 + e^5), and two windows a letter off, bound .015 each
    bound = np.exp(5) / (1 + np.exp(5)) + 2 * 0.015
    assert raw[0, :2] == pytest.approx([1 - np.exp(-bound)] * 2, abs=5e-3)
    assert raw[0, 3] == pytest.approx(6 / 12)


def test_activity_by_hand():
    # drive .5 + 2 (1 * 1 + 1 * (-.5)) = 1.5; f = mean + sd 4 tanh(1.5 / 4)
    own = replace(program(), intercept=0.5, gain=2.0, coefficients=np.array([1.0, 1.0, 0, 0]))
    found = activity(np.array([[1.0, -0.5, 9.0, 9.0]]), own)
    expected = ANCHORS["activity_mean"] + ANCHORS["activity_sd"] * 4 * np.tanh(1.5 / 4)
    assert found == pytest.approx([expected])


def test_activity_is_bounded(world):
    extreme = np.array([[1e6], [-1e6]]) * np.sign(world.program.coefficients)
    z = (activity(extreme, world.program) - ANCHORS["activity_mean"]) / ANCHORS["activity_sd"]
    assert z == pytest.approx([BOUND, -BOUND])


@pytest.mark.parametrize("misspecified", [False, True])
def test_reverse_complement_is_equally_active(misspecified):
    world = draw_world(5, misspecified=misspecified)
    codes = world.reference[:500]
    here, there = (
        activity(standardise(responses(c, world.program), world.program), world.program)
        for c in (codes, reverse_complement(codes))
    )
    assert here == pytest.approx(there, abs=1e-5)


def test_calibration_sets_both_moments():
    rng = np.random.default_rng(0)
    for drive in (rng.standard_normal(4000), 7 + 0.2 * rng.exponential(size=4000)):
        intercept, gain = calibrate(drive)
        bounded = BOUND * np.tanh((intercept + gain * drive) / BOUND)
        assert (bounded.mean(), bounded.std()) == pytest.approx((0, 1), abs=1e-9)


def test_matched_potentials_hold_mean_occupancy(world: World):
    own, codes = world.program, world.reference[:1000]
    target = occupancy(codes, own.scanner).mean(axis=0)
    noisy = tuple(perturb(pwm, 1.0, np.random.default_rng(i)) for i, pwm in enumerate(own.motifs))
    found = matched_potentials(noisy, own.potentials, codes, target)
    other = replace(own, motifs=noisy, potentials=found)
    assert occupancy(codes, other.scanner).mean(axis=0) == pytest.approx(target, rel=0.01)

import numpy as np
import pytest

from lib.motifs.pwm import make_pwm
from lib.sequences import encode, reverse_complement
from lib.simulator import draw_world
from lib.simulator.activity import Program, reread, responses

A3 = make_pwm("AAA", np.array([[1.0] * 3, [0.0] * 3, [0.0] * 3, [0.0] * 3]))
FULL_SITE = 3 * np.log(4)  # nats
C3 = make_pwm("CCC", np.array([[0.0] * 3, [1.0] * 3, [0.0] * 3, [0.0] * 3]))


def program(same: float = 1.0) -> Program:
    """AAA acts with CCC downstream of it; a full site has affinity e^5, one letter off e^-4.2."""
    return Program(
        (A3, C3), np.full(2, FULL_SITE - 5), ((0, 1),), np.array([2.0]), np.array([same]),
        np.ones(4), np.zeros(4), np.ones(4),
    )  # fmt: skip


def kernel(gap: float) -> float:
    return np.exp(-((gap - 2) ** 2) / (2 * 3**2))


@pytest.mark.parametrize(
    ("sequence", "same", "weight"),
    [
        ("GTAAAGTCCCGT", 1.0, 1.0),  # at the preferred gap on one strand
        ("GTAAAGTGTGCCCGT", 1.0, kernel(5)),
        ("GTCCCGTAAAGT", 1.0, 0.0),  # upstream does not count
        ("ACGGGACTTTAC", 1.0, 1.0),  # the other strand mirrors
        ("GTAAAGTGGGGT", 1.0, 0.0),  # opposite strands weigh one minus same
        ("GTAAAGTGGGTT", 0.0, 1.0),
        ("GTAAAGTGGGTT", 0.75, 0.25),
    ],
)
def test_pairs_respond_to_gap_order_and_strands(sequence, same, weight):
    # Gaussian kernel of s.d. 3 about gap 2; sites are bound .993
    found = responses(encode([sequence]), program(same=same))[0, 2]
    assert found == pytest.approx(1 - np.exp(-weight), rel=2e-2, abs=1e-3)


@pytest.mark.parametrize("misspecified", [False, True])
def test_reverse_complement_is_equally_active(misspecified):
    world = draw_world(5, misspecified=misspecified)
    codes = world.reference[:500]
    here, there = (reread(c, world.program) for c in (codes, reverse_complement(codes)))
    assert here == pytest.approx(there, abs=1e-5)

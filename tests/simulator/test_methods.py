"""The simulator written again from the book's page on methods, letter by letter."""

import math

import numpy as np
import pytest

from lib.motifs.pwm import jaspar
from lib.simulator import Assay, draw_world, simulate
from lib.simulator.assay import Batch, measure
from lib.simulator.programs import MOTIFS

COMPLEMENT = (3, 2, 1, 0)


def bound(letters, pwm, potential):
    """Binding of every window, by start and strand."""
    found = {}
    for start in range(len(letters) - pwm.width + 1):
        for strand in (1, -1):
            window = [int(letter) for letter in letters[start : start + pwm.width]]
            if strand < 0:
                window = [COMPLEMENT[letter] for letter in reversed(window)]
            odds = sum(
                math.log((pwm.probabilities[letter, j] + 1e-4) / (1 + 4e-4) / 0.25)
                for j, letter in enumerate(window)
            )
            affinity = math.exp(odds - potential)
            found[start, strand] = affinity / (1 + affinity)
    return found


def potential(pwm):
    p = pwm.probabilities
    return max(float((p * np.log(p / 0.25)).sum()) - 2, math.log(2 * 200 / 0.15))


def paired(first, second, widths, gap, same):
    total = 0.0
    for (i, strand), p in first.items():
        for (j, other), q in second.items():
            between = j - i - widths[0] if strand > 0 else i - j - widths[1]
            if min(p, q) >= 0.05 and 0 <= between <= 40:
                weight = same if strand == other else 1 - same
                total += weight * p * q * math.exp(-((between - gap) ** 2) / (2 * 3**2))
    return total


def test_activity_follows_from_the_page():
    world = draw_world(50)
    data, program = simulate(world, 3, seed=1), world.program
    motifs = jaspar(MOTIFS)
    for letters, f in zip(data.codes, data.truth.activity, strict=True):
        windows = [bound(letters, pwm, potential(pwm)) for pwm in motifs]
        raw = [1 - math.exp(-sum(own.values())) for own in windows]
        for (a, b), gap, same in zip(program.pairs, program.gaps, program.same_strand, strict=True):
            widths = motifs[a].width, motifs[b].width
            raw.append(1 - math.exp(-paired(windows[a], windows[b], widths, gap, same)))
        raw.append(float(np.isin(letters, (1, 2)).mean()))
        z = (np.array(raw) - program.centre) / program.scale
        drive = program.intercept + program.gain * float(z @ program.coefficients)
        assert f == pytest.approx(-0.568 + 0.963 * 4 * math.tanh(drive / 4), abs=1e-4)


def test_measurements_follow_from_the_page():
    f, gc = np.array([-2.0, -0.568, 1.0]), np.array([-4.0, 0.5, 1.0])
    assay = Assay(depth_fold=0.5, batches=(Batch(1.2, 0.3),), amplification=0.4)
    found = measure(f, gc, assay, np.random.default_rng(1))
    clipped = np.clip(gc, -3, 3)
    normal = np.random.default_rng(1).standard_normal(3)  # the first draw is the depth's
    depth = 2400 * 0.5 * np.exp(0.75 * normal) * 2 ** (-0.4 * clipped**2)
    assert found.depth == pytest.approx(depth)
    shift = 0.4 * 0.963 * (clipped - (clipped**2 - 1) / 2)
    assert found.mean == pytest.approx(-0.568 + 1.2 * (f + 0.568) + 0.3 + shift)
    z = (f + 0.568) / 0.963
    by_depth = 1 - 0.6 + 0.6 * 2400 * math.exp(-(0.75**2) / 2) / depth
    by_activity = (1 + 0.064 * z + 0.169 * z**2) / (1 + 0.169)
    variance = 1.2**2 * 0.963**2 * (1 / 0.744 - 1) * by_depth * by_activity
    assert found.std == pytest.approx(np.sqrt(variance))

import numpy as np
import pytest

from lib.simulator import SHIFTS, Assay, Shift, simulate
from lib.simulator.severity import concept_distance, distance, effective_share, measure_severity
from lib.simulator.severity import severity_for as dial_for
from lib.simulator.shifts import apply, gc_weights


def test_rewiring_follows_its_closed_form_and_a_constant_has_no_distance(world):
    # motif part m of the drive u turned by angle a: d = 2 (1 - cos a) Var m / Var u, before the
    # bound and the gain; these change it by a few percent
    own = world.program.coefficients
    share = np.var(world.features[:, :16] @ own[:16]) / np.var(world.features @ own)
    for severity in (0.25, 0.5):
        found = concept_distance(world, Shift("effect_rewiring", severity)).total
        expected = 2 * (1 - np.cos(severity * np.pi / 2)) * share
        assert found == pytest.approx(expected, rel=0.15)
    # d = 2 (1 - r), of which gain (1 - r)^2 and rewiring 1 - r^2
    found = concept_distance(world, Shift("effect_rewiring", 0.7))
    r = 1 - found.total / 2
    assert found.offset == pytest.approx(0, abs=1e-9)
    assert found.gain == pytest.approx((1 - r) ** 2)
    assert found.rewiring == pytest.approx(1 - r**2)
    with pytest.raises(ValueError, match="constant"):
        distance(np.ones(3), np.arange(3.0))


@pytest.mark.parametrize("name", [n for n, kind in SHIFTS.items() if kind.family == "concept"])
def test_concept_distance_grows_with_the_dial(world, name):
    found = [concept_distance(world, Shift(name, s)).total for s in (0.0, 0.5, 1.0)]
    assert found[0] == 0
    assert 0 < found[1] < found[2]


def test_a_dial_is_found_for_a_distance_in_every_world_or_refused(worlds, world):
    for world in worlds:
        dial = dial_for(world, "effect_rewiring", 0.5)
        shift = Shift("effect_rewiring", dial)
        assert concept_distance(world, shift).total == pytest.approx(0.5, abs=0.01)
        fresh = measure_severity(world, shift, seed=9)
        assert fresh.distance.total == pytest.approx(0.5, abs=0.05)
        assert 0.3 < dial < 0.8
    dial = dial_for(world, "effect_rewiring", 0.64, part="rewiring")
    found = concept_distance(world, Shift("effect_rewiring", dial))
    assert found.rewiring == pytest.approx(0.64, abs=0.01) and found.total > 0.75
    with pytest.raises(ValueError, match=rf"grammar reaches 0\.\d+ in world {world.seed}, not 5"):
        dial_for(world, "grammar", 5.0)


def test_effective_share_is_that_of_the_weights_and_of_denser_sites(world):
    shift = Shift("gc", 0.5)
    shifted = apply(shift, world, Assay()).sequence
    law = simulate(world, 20_000, 4).metadata["gc_law"].to_numpy()
    weights = gc_weights(law, shifted)
    expected = weights.sum() ** 2 / (weights**2).sum() / len(weights)
    assert effective_share(world.sequence, shifted) == pytest.approx(expected, rel=0.05)
    assert effective_share(world.sequence, world.sequence) == pytest.approx(1)
    shifted = apply(Shift("motif_density", 0.25), world, Assay()).sequence
    # Poisson a against b without the cap: 1 / E[ratio^2] = exp(-(b - a)^2 / a)
    a, b = 1.8, 1.8 * 1.375
    expected = np.exp(-((b - a) ** 2) / a)
    assert effective_share(world.sequence, shifted) == pytest.approx(expected, rel=0.02)


def test_severity_of_each_family(world):
    gc = measure_severity(world, Shift("gc", 0.5), n=4096)
    assert gc.gc_shift == pytest.approx(1.0, abs=0.06)
    assert gc.distance.total == 0
    assert 0 < gc.effective_n < 1
    assert np.abs(gc.occupancy_shift).max() > 0.1
    neutral = measure_severity(world, Shift("gc", 0.5, "neutral"), n=4096)
    assert np.abs(neutral.occupancy_shift).max() < 0.05
    assert np.isnan(neutral.effective_n)
    dense = measure_severity(world, Shift("motif_density", 0.5), n=4096)
    assert dense.sites_shift > 0.5
    assert dense.variance_ratio > 1
    noise = measure_severity(world, Shift("noise", 1.0), n=4096)
    assert noise.noise_share == pytest.approx(0.8, abs=0.02)
    assert (noise.gc_shift, noise.distance.total, noise.label_shift) == (0, 0, 0)
    batch = measure_severity(world, Shift("batch", 1.0), n=4096)
    # offsets of .62 s.d.: .384 of the variance, and the gains' share
    assert batch.label_shift == pytest.approx(0.43, abs=0.06)

from itertools import pairwise

import numpy as np
import pytest

from lib.motifs.binding import occupancy
from lib.simulator import SHIFTS, Assay, Shift, simulate
from lib.simulator.activity import reread, responses
from lib.simulator.assay import Batch
from lib.simulator.sample import planted_sites
from lib.simulator.shifts import SEVERITIES, apply, dial_table, gc_weights
from tests.refusals import refused

N = 2048
EVERY = [Shift(name, 1.0, o) for name, kind in SHIFTS.items() for o in kind.options or ("",)]


def at(severity: float, shift: Shift) -> Shift:
    return Shift(shift.name, severity, shift.option)


def name(shift: Shift) -> str:
    return f"{shift.name} {shift.option}".strip()


def test_dial_table_has_a_row_per_shift_and_a_column_per_severity():
    table = dial_table().set_index("shift")
    assert set(table.index) == set(SHIFTS)
    columns = ["0", "0.25", "0.5", "0.75", "1"]
    assert table[columns].notna().all(axis=None)
    assert table["unchanged"].str.len().min() > 10
    # gc moves the mean by 2 s.d. at severity 1; noise goes from .256 to .8 of the variance
    assert table.loc["gc", columns].tolist() == [0, 0.5, 1, 1.5, 2]
    assert table.loc["noise", "0.5"] == pytest.approx((0.256 + 0.8) / 2)


@pytest.mark.parametrize("shift", EVERY, ids=name)
def test_severity_zero_is_in_distribution_to_the_byte_and_severity_one_is_not(world, shift):
    plain, zero = simulate(world, 300, 4), simulate(world, 300, 4, shift=at(0.0, shift))
    assert zero.fingerprint == plain.fingerprint
    assert zero.metadata.equals(plain.metadata)
    assert simulate(world, 300, 4, shift=shift).fingerprint != plain.fingerprint
    law = apply(at(0.0, shift), world, Assay())
    assert law.sequence is world.sequence
    assert law.program is world.program


@pytest.mark.parametrize("shift", EVERY, ids=name)
def test_shifts_of_each_family_leave_what_they_do_not_speak_of(world, shift):
    plain, data = simulate(world, N, 4), simulate(world, N, 4, shift=shift)
    if (family := SHIFTS[shift.name].family) == "covariate":
        assert reread(data.codes, world.program) == pytest.approx(data.truth.activity)
        return
    assert (data.codes == plain.codes).all()
    if family == "concept":
        assert data.metadata.equals(plain.metadata)
        assert (data.truth.activity != plain.truth.activity).mean() > 0.3
        return
    assert (data.truth.activity == plain.truth.activity).all()
    if shift.name in ("depth", "noise"):
        assert (data.truth.mean == plain.truth.mean).all()
        assert (data.truth.std > plain.truth.std).all()
    else:
        assert (data.truth.mean != plain.truth.mean).any()


def test_shifts_compose_in_order(world):
    both = (Shift("cell_type", 0.5), Shift("depth", 1.0))
    data = simulate(world, N, 4, shift=both)
    one, other = (simulate(world, N, 4, shift=shift) for shift in both)
    assert (data.truth.activity == one.truth.activity).all()
    assert (data.metadata["depth"] == other.metadata["depth"]).all()
    nothing = (Shift("gc", 0.0), Shift("batch", 0.0), Shift("grammar", 0.0))
    assert simulate(world, 300, 4, shift=nothing).fingerprint == simulate(world, 300, 4).fingerprint


class TestConcept:
    def test_sign_flips_keep_the_size_of_every_effect(self, world):
        flips = []
        for severity in SEVERITIES:
            program = apply(Shift("effect_sign_flip", severity), world, Assay()).program
            assert (np.abs(program.coefficients) == np.abs(world.program.coefficients)).all()
            flips.append(set(np.flatnonzero(program.coefficients != world.program.coefficients)))
        assert all(a < b for a, b in pairwise(flips))
        active = (np.abs(world.program.coefficients[:16]) >= 0.1).sum()
        assert len(flips[-1]) == round(active / 2)

    def test_permutation_keeps_the_set_of_effects(self, world):
        own = world.program.coefficients
        for severity in SEVERITIES[1:]:
            program = apply(Shift("effect_permutation", severity), world, Assay()).program
            assert sorted(program.coefficients[:16]) == sorted(own[:16])
            assert (program.coefficients != own).sum() == round(16 * severity)

    def test_cell_type_ends_in_the_other_program_and_grammar_touches_pairs_alone(self, world):
        program = apply(Shift("cell_type", 1.0), world, Assay()).program
        assert program.coefficients == pytest.approx(world.other)
        program = apply(Shift("grammar", 1.0), world, Assay()).program
        assert (program.gaps == world.program.gaps + 10).all()
        assert (program.same_strand == 1 - world.program.same_strand).all()
        assert program.motifs is world.program.motifs

    def test_perturbed_motifs_bind_as_many_sites(self, world):
        program = apply(Shift("pwm_perturbation", 1.0), world, Assay()).program
        # 1 % on the 2,048 sequences that they are matched on, more on the others.
        for codes, rel in ((world.reference[:2048], 0.01), (world.reference, 0.12)):
            there, here = (occupancy(codes, p.scanner) for p in (program, world.program))
            assert there.mean(axis=0) == pytest.approx(here.mean(axis=0), rel=rel)
        own = world.program.motifs[0].probabilities
        assert program.motifs[0].probabilities != pytest.approx(own)


class TestGc:
    def test_either_arm_moves_the_mean_in_sd(self, world):
        plain = simulate(world, 4096, 4)
        for severity, option, sign in ((0.25, "natural", 1), (0.75, "low", -1)):
            data = simulate(world, 4096, 4, shift=Shift("gc", severity, option))
            moved = (data.gc.mean() - plain.gc.mean()) / plain.gc.std()
            assert moved == pytest.approx(sign * 2 * severity, abs=0.08)

    def test_density_ratio_carries_one_law_to_the_other(self, world):
        shift = Shift("gc", 0.25)
        plain, data = simulate(world, 20_000, 4), simulate(world, 20_000, 5, shift=shift)
        shifted = apply(shift, world, Assay()).sequence
        weights = gc_weights(plain.metadata["gc_law"].to_numpy(), shifted)
        assert weights.mean() == pytest.approx(1, abs=0.02)
        for values, shifted in ((plain.gc, data.gc), (plain.activity, data.activity)):
            error = 5 * shifted.std() / np.sqrt(10_000)
            assert np.average(values, weights=weights) == pytest.approx(shifted.mean(), abs=error)

    def test_neutral_arm_leaves_occupancies(self, world):
        motifs = len(world.program.motifs)
        plain = simulate(world, N, 4)
        before = responses(plain.codes, world.program)[:, :motifs]
        natural, neutral = (
            simulate(world, N, 4, shift=Shift("gc", 0.5, arm)) for arm in ("natural", "neutral")
        )
        moved = [
            np.abs((responses(d.codes, world.program)[:, :motifs] - before).mean(axis=0)).max()
            for d in (natural, neutral)
        ]
        assert moved[1] < 0.1 * moved[0]
        gain = (neutral.gc.mean() - plain.gc.mean()) / plain.gc.std()
        assert gain == pytest.approx(1.0, abs=0.08)

    def test_neutral_arm_keeps_planted_letters(self, world):
        shift = Shift("gc", 1.0, "neutral")
        plain, data = simulate(world, 500, 4), simulate(world, 500, 4, shift=shift)
        sites = planted_sites(world, 500, 4, shift=shift)
        assert sites.equals(planted_sites(world, 500, 4))
        for site in sites.itertuples():
            window = slice(site.start, site.end)
            assert (data.codes[site.element, window] == plain.codes[site.element, window]).all()


class TestTechnical:
    def test_batches_are_unseen_and_of_the_dialled_size(self, world):
        law = apply(Shift("batch", 0.5), world, Assay(batches=(Batch(), Batch(1.1, 0.1))))
        assert law.assay.first_batch == 2
        offsets = np.array([batch.offset for batch in law.assay.batches])
        # dial .31 s.d. of activity, one s.d. being .963
        assert np.sqrt((offsets**2).mean()) == pytest.approx(0.31 * 0.963)
        data = simulate(world, 300, 4, shift=Shift("batch", 0.5))
        assert set(data.metadata["batch"]) == {1, 2, 3, 4}

    def test_noise_reaches_its_share_from_any_assay_and_depth_falls(self, world):
        shares = (0.744, 1.0, 0.8), (0.744, 0.5, 0.528), (0.1, 1.0, 0.9)
        for reliability, severity, share in shares:
            assay = Assay(reliability=reliability)
            law = apply(Shift("noise", severity), world, assay)
            assert 1 - law.assay.reliability == pytest.approx(share)
        # Depth falls sixteenfold.
        plain, data = simulate(world, 300, 4), simulate(world, 300, 4, shift=Shift("depth", 1.0))
        ratio = plain.metadata["depth"] / data.metadata["depth"]
        assert ratio.to_numpy() == pytest.approx(np.full(300, 16))


test_bad_shifts_are_refused = refused(
    (("gcc", 0.5), "gc, motif_density, effect_rewiring"),
    (("gc", -0.1), "severity of gc is -0.1"),
    (("gc", 1.01), "severity of gc is 1.01"),
    (("gc", np.nan), "severity of gc is nan"),
    (("gc", 0.5, "upwards"), "natural, neutral, low"),
    (("depth", 0.5, "deep"), "it takes none"),
    act=lambda arguments: Shift(*arguments),
)

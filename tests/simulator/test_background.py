from dataclasses import replace

import numpy as np
import pytest

from lib.motifs.pwm import jaspar
from lib.sequences import gc_content
from lib.simulator import background
from lib.simulator.assay import ANCHORS

MOTIFS = jaspar(["FOXA1", "SP1", "REST"])
WIDTHS = np.array([pwm.width for pwm in MOTIFS])


def sample(law: background.SequenceLaw, n: int = 4000, seed: int = 0) -> background.Sequences:
    return background.draw(law, n, *np.random.default_rng(seed).spawn(3))


def test_gc_quantiles_are_those_of_wtc11_and_a_tilt_moves_the_mean_as_asked(world):
    gc = gc_content(sample(world.sequence, 20_000).codes)
    # .05, .25, .5, .75, .95: s.e. of the outer ones about .001, plus the resolution of 1/200
    found = np.quantile(gc, ANCHORS["gc_levels"][2:7])
    assert found == pytest.approx(ANCHORS["gc_quantiles"][2:7], abs=0.01)
    p = background.gc_probabilities()
    for move in (-0.1, 0.0, 0.08):
        q = background.gc_probabilities(background.gc_tilt_for(move))
        assert q @ background.GC_GRID - p @ background.GC_GRID == pytest.approx(move, abs=1e-9)
        assert ((q > 0) == (p > 0)).all()


def test_background_has_the_gc_it_was_drawn_at_and_lacks_cpg():
    drawn = sample(background.SequenceLaw(200, MOTIFS, units_mean=0.0))
    assert len(drawn.sites) == 0
    # 800,000 letters
    assert gc_content(drawn.codes).mean() == pytest.approx(drawn.gc_law.mean(), abs=0.002)
    slope = np.polyfit(drawn.gc_law, gc_content(drawn.codes), 1)[0]
    assert slope == pytest.approx(1, abs=0.03)
    codes = drawn.codes.astype(int)
    pair = np.bincount((codes[:, :-1] * 4 + codes[:, 1:]).ravel(), minlength=16) / codes[:, 1:].size
    letter = np.bincount(codes.ravel(), minlength=4) / codes.size
    odds = pair.reshape(4, 4) / np.outer(letter, letter)
    assert odds[1, 2] == pytest.approx(ANCHORS["dinucleotide_odds"][1][2], abs=0.1)
    assert odds[1, 2] < 0.55 < odds[2, 1]


class TestPlanting:
    law = background.SequenceLaw(200, MOTIFS, pairs=((0, 1),))

    def test_sites_do_not_overlap_and_lie_inside(self):
        element, motif, start, _ = sample(self.law).sites.T
        covered = np.zeros((4000, 200), int)
        for offset in range(WIDTHS.max()):
            inside = offset < WIDTHS[motif]
            np.add.at(covered, (element[inside], start[inside] + offset), 1)
        assert covered.max() == 1
        assert (start >= 0).all()
        assert (start + WIDTHS[motif] <= 200).all()

    def test_sites_hold_letters_of_their_motif_on_their_strand(self):
        drawn = sample(self.law, 8000)
        for m, pwm in enumerate(MOTIFS):
            for strand in (1, -1):
                sites = drawn.sites[(drawn.sites[:, 1] == m) & (drawn.sites[:, 3] == strand)]
                at = sites[:, 2, None] + np.arange(pwm.width)
                letters = drawn.codes[sites[:, 0, None], at]
                letters = letters if strand > 0 else 3 - letters[:, ::-1]
                share = np.stack([(letters == letter).mean(axis=0) for letter in range(4)])
                # s.e. at most .5 / sqrt(2000)
                assert share == pytest.approx(pwm.probabilities, abs=0.045)

    def test_number_of_units_is_a_capped_poisson(self):
        law = background.SequenceLaw(200, MOTIFS, units_mean=1.8)
        count = np.bincount(sample(law, 20_000).sites[:, 0], minlength=20_000)
        assert (count == 0).mean() == pytest.approx(np.exp(-1.8), abs=0.01)
        assert count.max() <= background.MAX_UNITS
        assert count.mean() == pytest.approx(1.8, abs=0.03)

    def test_starts_and_strands_are_uniform(self):
        sites = sample(background.SequenceLaw(200, MOTIFS[:1], units_mean=0.5), 40_000).sites
        assert sites[:, 3].mean() == pytest.approx(0, abs=0.03)
        share = np.histogram(sites[:, 2], bins=8, range=(0, 193))[0] / len(sites)
        assert share == pytest.approx(np.full(8, 1 / 8), abs=0.01)

    def test_pairs_keep_their_order_and_reach(self):
        sites = sample(replace(self.law, pair_share=1.0, units_mean=0.7), 8000).sites
        first, second = sites[0::2], sites[1::2]
        assert (first[:, 1] == 0).all()
        assert (second[:, 1] == 1).all()
        forward = first[:, 3] > 0
        downstream = second[:, 2] - first[:, 2] - WIDTHS[0]
        upstream = first[:, 2] - second[:, 2] - WIDTHS[1]
        gap = np.where(forward, downstream, upstream)
        assert (gap.min(), gap.max()) == (0, 20)
        assert (first[:, 3] == second[:, 3]).mean() == pytest.approx(0.5, abs=0.03)

    def test_what_does_not_fit_is_left_out(self):
        drawn = sample(background.SequenceLaw(30, MOTIFS, units_mean=5.0))
        used = np.bincount(drawn.sites[:, 0], WIDTHS[drawn.sites[:, 1]], 4000)
        assert 20 <= used.max() <= 30

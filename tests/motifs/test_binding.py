from itertools import product

import numpy as np
import pytest

from lib.motifs.binding import occupancy, scan, scanner, score_threshold
from lib.motifs.pwm import jaspar, log_odds, make_pwm
from lib.sequences import encode, reverse_complement
from tests.motifs.naive import random_codes, window_scores


@pytest.mark.parametrize("names", [["FOXA1"], ["SP1", "REST", "MA0035.5"]])
def test_occupancy_is_the_sum_over_windows_and_strands(names):
    pwms = jaspar(names)
    potentials = np.linspace(2, 4, len(pwms))
    codes = random_codes(20, 40, seed=0, unknown=True)
    expected = [
        [
            sum(1 / (1 + np.exp(at - score)) for *_, score in window_scores(row, pwm))
            for pwm, at in zip(pwms, potentials, strict=True)
        ]
        for row in codes
    ]
    found = occupancy(codes, scanner(pwms, potentials))
    assert found == pytest.approx(np.array(expected), rel=1e-5, abs=1e-7)
    assert occupancy(codes[:0], scanner(pwms, potentials)).shape == (0, len(pwms))


def test_the_reverse_complement_is_bound_alike_and_so_is_a_row_in_any_company():
    codes = random_codes(500, 200, seed=1)
    sites = scanner(jaspar(["FOXA1", "SP1", "NFE2", "REST"]), [7.0, 7, 8, 12])
    other = occupancy(reverse_complement(codes), sites)
    assert occupancy(codes, sites) == pytest.approx(other, rel=1e-5)
    codes = random_codes(700, 60, seed=2)
    sites = scanner(jaspar(["FOXA1", "REST"]), [7.0, 9.0])
    parts = [occupancy(part, sites) for part in np.array_split(codes, 7)]
    assert (occupancy(codes, sites) == np.concatenate(parts)).all()


def test_occupancy_stays_finite_without_a_potential_and_bad_input_is_named():
    # 60 nt of ACGT ACGT ... fit 80 nt in phase at 0, 4, ..., 20; ACGT reads alike on both strands,
    # so both are bound: 6 * 2. The affinity, 1e36, squared on the way, must not overflow.
    wide = make_pwm("wide", np.eye(4)[np.arange(60) % 4].T)
    found = occupancy(encode(["ACGT" * 20]), scanner([wide], [0.0]))
    assert found[0, 0] == pytest.approx(12)
    with pytest.raises(ValueError, match="20 nt wide, the sequences have 19"):
        occupancy(random_codes(3, 19, seed=0), scanner(jaspar(["REST"]), [0.0]))
    with pytest.raises(ValueError, match="p_value"):
        score_threshold(jaspar(["FOXA1"])[0], 1.0)


def test_scan_finds_what_a_naive_scan_finds_and_grows_its_buffer():
    pwms = jaspar(["FOXA1", "SP1"])
    codes = random_codes(120, 80, seed=3)
    found = scan(codes, pwms, np.array([1.5, 0.5]))
    expected = {
        (i, j, start, strand)
        for j, pwm in enumerate(pwms)
        for i, row in enumerate(codes)
        for start, strand, score in window_scores(row, pwm)
        if score >= (1.5, 0.5)[j]
    }
    columns = found[["element", "motif", "start", "strand"]].itertuples(index=False, name=None)
    assert len(expected) > 100
    assert set(columns) == expected
    assert len(found) == len(expected)
    poly = encode(["A" * 200] * 10)
    only_a = make_pwm("A", np.array([[1.0], [0], [0], [0]]))
    assert len(scan(poly, [only_a], 0.0)) == 2000


def test_score_threshold_matches_enumeration():
    rng = np.random.default_rng(5)
    pwm = make_pwm("m", rng.dirichlet(np.ones(4), 5).T)
    odds = log_odds(pwm)
    scores = np.array([odds[list(w), range(5)].sum() for w in product(range(4), repeat=5)])
    for p_value in (0.3, 0.1, 0.01):
        threshold = score_threshold(pwm, p_value)
        # five positions rounded to half a step of .005 each
        assert (scores >= threshold + 0.0125).mean() <= p_value
        assert (scores >= threshold - 0.0175).mean() > p_value
    pwm = make_pwm("m", np.array([[0.7], [0.1], [0.1], [0.1]]))
    assert score_threshold(pwm, 0.2) > log_odds(pwm).max()

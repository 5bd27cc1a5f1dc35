"""Structural priors: features by hand and by naive scans, placebos, ways in, bad input."""

import numpy as np
import pytest

from lib.motifs.binding import score_threshold
from lib.motifs.priors import check_motifs, check_prior, gc_windows, motif_features, permuted_rows
from lib.motifs.pwm import jaspar, log_odds, make_pwm
from lib.sequences import encode, gc_content, reverse_complement
from tests.motifs.naive import random_codes, window_scores
from tests.refusals import refused


def test_motif_features_are_those_of_a_naive_scan_and_of_n_the_lowest():
    pwms = jaspar(["FOXA1", "SP1", "NFE2"])
    codes = random_codes(30, 60, seed=0)
    codes[:, 30] = 4
    found = motif_features(codes, pwms, p_value=0.01)
    for place, pwm in enumerate(pwms):
        cutoff = score_threshold(pwm, 0.01)
        scores = [np.array([score for *_, score in window_scores(row, pwm)]) for row in codes]
        best = [row.max() for row in scores]
        bound = [(1 / (1 + np.exp(cutoff - row))).sum() for row in scores]
        sites = [(row >= cutoff).sum() for row in scores]
        assert found[:, place] == pytest.approx(best, abs=1e-4)
        assert found[:, 3 + place] == pytest.approx(bound, rel=1e-3, abs=1e-4)
        assert found[:, 6 + place].tolist() == sites
    (pwm,) = jaspar(["FOXA1"])
    best, bound, sites = motif_features(encode(["N" * 20]), [pwm])[0]
    assert best == pytest.approx(log_odds(pwm).min(axis=0).sum(), abs=1e-4)
    assert bound == 0 and sites == 0


def test_strands_count_alike():
    codes = random_codes(50, 80, seed=1)
    other = reverse_complement(codes)
    pwms = jaspar(["SP1", "REST"])
    assert motif_features(codes, pwms) == pytest.approx(motif_features(other, pwms), abs=1e-3)
    assert np.array_equal(gc_windows(codes, 4), gc_windows(other, 4)[:, ::-1])


def test_windows_of_gc_by_hand():
    assert gc_windows(encode(["GGAT", "NNGA"]), 2).tolist() == [[1.0, 0.0], [0.5, 0.5]]
    codes = random_codes(10, 64, seed=3)
    assert gc_windows(codes, 8).mean(axis=1) == pytest.approx(gc_content(codes), rel=1e-5)


def test_permuted_rows_stay_in_their_part():
    features = np.arange(24, dtype=np.float32).reshape(12, 2)
    parts = [np.arange(0, 5), np.arange(7, 12)]
    found = permuted_rows(features, parts, np.random.default_rng(0))
    for rows in parts:
        assert sorted(found[rows, 0]) == sorted(features[rows, 0])
        assert not np.array_equal(found[rows], features[rows])
    assert np.array_equal(found[5:7], features[5:7])
    assert (found[:, 1] - found[:, 0] == 1).all()  # whole rows move
    assert features[0, 0] == 0  # the caller's array is left alone


def test_bad_motif_sets_are_named_and_a_constant_column_is_let_through():
    sp1, nfe2 = jaspar(["SP1", "NFE2"])
    with pytest.raises(ValueError, match=r"NFE2 is 10 nt wide, the sequences have 9 nt"):
        motif_features(random_codes(3, 9, seed=0), [sp1, nfe2])
    flipped = make_pwm("other strand", sp1.probabilities[::-1, ::-1])
    with pytest.raises(ValueError, match="SP1 and other strand are the same matrix"):
        check_motifs([sp1, nfe2, flipped], 100)
    with pytest.raises(ValueError, match="motif set is empty"):
        check_motifs([], 100)
    assert check_prior(np.array([[0.0, 1.0], [0.0, 2.0]]), "x").dtype == np.float32


test_bad_features_are_named = refused(
    ([[1.0, 2.0], [1.0, 2.0]], "prior x is constant over all 2 rows"),
    ([[1.0, np.nan], [2.0, 1.0]], "prior x is nan in row 0, column 1"),
    ([[1.0, 2.0], [np.inf, 1.0]], "prior x is inf in row 1, column 0"),
    ([[], []], r"shape \(2, 0\)"),
    act=lambda values: check_prior(np.array(values), "x"),
)

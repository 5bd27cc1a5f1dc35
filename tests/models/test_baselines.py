import numpy as np
import pytest

from lib.models import baselines
from lib.models.baselines import gc_ridge, kmer_counts, kmer_ridge, memoriser
from lib.sequences import encode, gc_content, reverse_complement

TRAIN, VALIDATION, TEST = np.split(np.arange(1200), [900, 1000])


def planted():
    """Rows of 60 nt, half of which hold ACGGTA on either strand: 1, and noise of s.d. 0.1."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (1200, 60), dtype=np.uint8)
    has = rng.random(1200) < 0.5
    codes[has, 20:26] = encode(["ACGGTA"])[0]
    flip = rng.random(1200) < 0.5
    codes[flip] = reverse_complement(codes)[flip]
    return codes, has + rng.normal(0, 0.1, 1200)


def correlation(prediction, target, rows):
    return np.corrcoef(prediction.mean[rows], target[rows])[0, 1]


def test_mean_and_kmer_counts_by_hand():
    # Train holds 1, 3, 8: mean 4, variance (9 + 1 + 16) / 3 = 26 / 3.
    prediction = baselines.training_mean([1.0, 3.0, 8.0, np.nan], np.arange(3))
    assert prediction.mean.tolist() == [4.0] * 4
    assert prediction.std == pytest.approx([np.sqrt(26 / 3)] * 4)
    # AAC: AA, AC; reverse strand GTT. GTT counts as AAC when strands are read together.
    both = kmer_counts(encode(["AACA", "GTTN", "NNNN"]), 2).toarray()
    # Packed order AA, AC, CA: AACA holds one each; GTTN holds GT (= AC) and TT (= AA).
    assert both.tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    oriented = kmer_counts(encode(["AACA", "GTTN"]), 2, oriented=True).toarray()
    # AA, AC, CA, GT, TT
    assert oriented.tolist() == [[1, 1, 1, 0, 0], [0, 0, 0, 1, 1]]


def test_gc_ridge_finds_a_cubic_of_gc_or_predicts_the_mean():
    codes = np.random.default_rng(2).integers(0, 4, (3000, 40), dtype=np.uint8)
    gc = gc_content(codes)
    target = (gc - 0.5) ** 3 * 100 - gc
    prediction = gc_ridge(codes, target, np.arange(2000), np.arange(2000, 2500))
    assert prediction.mean[2500:] == pytest.approx(target[2500:], abs=0.01)
    train, validation = np.array([0, 1]), np.array([2])
    prediction = gc_ridge(encode(["ACGT", "TGCA", "GTAC"]), [1.0, 3.0, 2.0], train, validation)
    assert prediction.mean == pytest.approx([2.0] * 3)
    with pytest.raises(ValueError, match="row 1 has no GC content"):
        gc_ridge(encode(["ACGT", "NNNN", "ACGT"]), [1.0, 3.0, 2.0], train, validation)


def test_kmer_ridge_learns_a_planted_word_and_no_baseline_reads_other_targets():
    codes, target = planted()
    prediction = kmer_ridge(codes, target, TRAIN, VALIDATION, False)
    assert correlation(prediction, target, TEST) > 0.8
    error = target[VALIDATION] - prediction.mean[VALIDATION]
    assert prediction.std == pytest.approx(np.full(1200, np.sqrt(np.mean(error**2))))
    hidden = target.copy()
    hidden[TEST] = np.nan
    for predict, *own in ((gc_ridge,), (kmer_ridge, False), (memoriser, False)):
        seen, unseen = (predict(codes, each, TRAIN, VALIDATION, *own) for each in (target, hidden))
        assert (seen.mean == unseen.mean).all() and (seen.std == unseen.std).all()


def test_memoriser_returns_copies_of_either_strand_the_nearer_of_two_or_the_mean():
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 4, (50, 80), dtype=np.uint8)
    rows = np.concatenate([codes, reverse_complement(codes[:20]), codes[20:40]])
    target = np.concatenate([np.arange(50.0), np.full(40, np.nan)])
    prediction = memoriser(rows, target, np.arange(40), np.arange(40, 50), False)
    assert prediction.mean[:40].tolist() == list(range(40))
    assert prediction.mean[50:].tolist() == list(range(40))
    # Row 2 shares words with row 0, row 3 with row 1, rows 4 and 5 with neither.
    words = ["ACGTTGCAGG", "TTTTTCCCCC", "ACGTTGCATT", "TTTTTCCCCA", "GAGAGAGAGA", "NNNNNNNNNN"]
    target, train = [1.0, 2.0, np.nan, 2.5, np.nan, np.nan], np.array([0, 1])
    prediction = memoriser(encode(words), target, train, np.array([3]), oriented=True)
    assert prediction.mean.tolist() == [1.0, 2.0, 1.0, 2.0, 1.5, 1.5]
    assert prediction.std.tolist() == [0.5] * 6


def test_feature_ridge_finds_a_linear_law_whatever_the_units(rng):
    features = rng.normal(size=(4000, 3)) * [1.0, 1e3, 1e-3]
    target = features @ [1.0, 2e-3, 3e3] + 5
    made = baselines.feature_ridge(features, target, np.arange(3000), np.arange(3000, 3500))
    # The least penalty, 30, shrinks by 30 / 3,030 of each slope.
    assert np.corrcoef(made.mean, target)[0, 1] > 0.9999
    assert np.abs(made.mean - target).max() < 0.2

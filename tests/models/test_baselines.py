"""Baselines: hand-worked cases, planted effects, and what they reach on the real WTC11."""

import os

import numpy as np
import pytest

import lib.assays as mpra
from lib.data.splits import group_split
from lib.models.baselines import (
    constant_sigma,
    feature_ridge,
    gc_ridge,
    kmer_counts,
    kmer_ridge,
    memoriser,
    sigma_regression,
    training_mean,
)
from lib.sequences import encode, gc_content, reverse_complement


@pytest.fixture
def planted():
    """400 random rows of 60 nt whose target counts ACGG (either strand) with noise of s.d. 0.1."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (400, 60), dtype=np.uint8)
    motif = encode(["ACGG"])[0]
    both = (codes, reverse_complement(codes))
    hits = sum(
        (np.lib.stride_tricks.sliding_window_view(strand, 4, axis=1) == motif).all(2).sum(1)
        for strand in both
    )
    target = hits + rng.normal(0, 0.1, 400)
    return codes, target, np.arange(250), np.arange(250, 320), np.arange(320, 400)


def correlation(prediction, target, rows):
    """Pearson r on some rows."""
    return np.corrcoef(prediction.mean[rows], target[rows])[0, 1]


def test_training_mean_by_hand():
    # Train holds 1, 3, 8: mean 4, variance (9 + 1 + 16) / 3 = 26 / 3.
    prediction = training_mean([1.0, 3.0, 8.0, np.nan], [0, 1, 2])
    assert prediction.mean.tolist() == [4.0] * 4
    assert prediction.std == pytest.approx([np.sqrt(26 / 3)] * 4)


def test_constant_sigma_by_hand():
    # Errors on rows 1 and 2 are 1 and -3: root of (1 + 9) / 2.
    prediction = constant_sigma([0.0, 1.0, 5.0], [np.nan, 2.0, 2.0], np.array([1, 2]))
    assert prediction.mean.tolist() == [0.0, 1.0, 5.0]
    assert prediction.std == pytest.approx([np.sqrt(5)] * 3)


def test_kmer_counts_by_hand():
    # AAC: AA, AC; reverse strand GTT. GTT counts as AAC when strands are read together.
    both = kmer_counts(encode(["AACA", "GTTN", "NNNN"]), 2).toarray()
    # Packed order AA, AC, CA: AACA holds one each; GTTN holds GT (= AC) and TT (= AA).
    assert both.tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    oriented = kmer_counts(encode(["AACA", "GTTN"]), 2, oriented=True).toarray()
    # AA, AC, CA, GT, TT
    assert oriented.tolist() == [[1, 1, 1, 0, 0], [0, 0, 0, 1, 1]]


def test_kmer_counts_see_both_strands_alike():
    codes = np.random.default_rng(1).integers(0, 4, (5, 50), dtype=np.uint8)
    together = kmer_counts(np.concatenate([codes, reverse_complement(codes)]), 6).toarray()
    assert (together[:5] == together[5:]).all()
    assert (together.sum(axis=1) == 45).all()  # 50 - 6 + 1 windows


def test_gc_ridge_finds_a_cubic_of_gc():
    codes = np.random.default_rng(2).integers(0, 4, (300, 40), dtype=np.uint8)
    gc = gc_content(codes)
    target = (gc - 0.5) ** 3 * 100 - gc
    prediction = gc_ridge(codes, target, np.arange(200), np.arange(200, 250), penalties=(1e-6, 1e3))
    assert prediction.mean[250:] == pytest.approx(target[250:], abs=1e-3)


def test_gc_ridge_without_gc_variation_predicts_the_mean():
    prediction = gc_ridge(encode(["ACGT", "TGCA", "GTAC"]), [1.0, 3.0, 2.0], [0, 1], [2])
    assert prediction.mean == pytest.approx([2.0] * 3)


def test_kmer_ridge_learns_a_planted_word(planted):
    codes, target, train, validation, test = planted
    prediction = kmer_ridge(codes, target, train, validation, k=4, penalties=(0.1, 1.0, 10.0))
    assert correlation(prediction, target, test) > 0.9
    error = target[validation] - prediction.mean[validation]
    assert prediction.std == pytest.approx(np.full(400, np.sqrt(np.mean(error**2))))


def test_kmer_ridge_reads_strands_together_unless_oriented(planted):
    codes, target, train, validation, _ = planted
    everything = np.concatenate([codes, reverse_complement(codes)])
    targets = np.concatenate([target, np.full(400, np.nan)])
    both = kmer_ridge(everything, targets, train, validation, k=4)
    assert both.mean[:400] == pytest.approx(both.mean[400:])
    oriented = kmer_ridge(everything, targets, train, validation, k=4, oriented=True)
    assert not np.allclose(oriented.mean[:400], oriented.mean[400:])


def test_kmer_ridge_takes_the_penalty_that_validates_best(planted):
    codes, target, train, validation, _ = planted
    single = {
        penalty: kmer_ridge(codes, target, train, validation, k=4, penalties=(penalty,)).std[0]
        for penalty in (1.0, 1e5)
    }
    chosen = kmer_ridge(codes, target, train, validation, k=4, penalties=(1e5, 1.0))
    assert chosen.std[0] == min(single.values()) == single[1.0]


def test_memoriser_returns_the_copy_and_its_other_strand():
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 4, (50, 80), dtype=np.uint8)
    rows = np.concatenate([codes, reverse_complement(codes[:20]), codes[20:40]])
    target = np.concatenate([np.arange(50.0), np.full(40, np.nan)])
    prediction = memoriser(rows, target, np.arange(40), np.arange(40, 50))
    assert prediction.mean[:40].tolist() == list(range(40))
    assert prediction.mean[50:].tolist() == list(range(40))


def test_memoriser_takes_the_nearer_of_two():
    # Row 2 differs from row 0 in its last letters only.
    codes = encode(["ACGTTGCAGG", "TTTTTCCCCC", "ACGTTGCATT", "TTTTTCCCCA"])
    prediction = memoriser(codes, [1.0, 2.0, np.nan, 2.5], [0, 1], [3], k=4, oriented=True)
    assert prediction.mean.tolist() == [1.0, 2.0, 1.0, 2.0]
    assert prediction.std.tolist() == [0.5] * 4


def test_memoriser_without_a_shared_word_says_the_mean():
    codes = encode(["AAAAAA", "CCCCCC", "ACACAC", "NNNNNN"])
    prediction = memoriser(codes, [1.0, 3.0, 5.0, np.nan], [0, 1], [2], k=4, oriented=True)
    assert prediction.mean.tolist() == [1.0, 3.0, 2.0, 2.0]


def test_only_train_and_validation_targets_are_read(planted):
    codes, target, train, validation, test = planted
    hidden = target.copy()
    hidden[test] = np.nan
    for predict in (gc_ridge, kmer_ridge, memoriser):
        seen = predict(codes, target, train, validation)
        unseen = predict(codes, hidden, train, validation)
        assert (seen.mean == unseen.mean).all() and (seen.std == unseen.std).all()


def test_bad_parts_are_refused(planted):
    codes, target, train, validation, _ = planted
    broken = target.copy()
    broken[7] = np.nan
    with pytest.raises(ValueError, match="target row 7 of train is nan"):
        kmer_ridge(codes, broken, train, validation)
    with pytest.raises(ValueError, match="validation must be row indices, at least one"):
        memoriser(codes, target, train, np.array([], int))
    with pytest.raises(ValueError, match="train must be row indices"):
        training_mean(target, np.ones(len(target), bool))
    with pytest.raises(ValueError, match="train holds row 400; target has 400 rows"):
        training_mean(target, [0, 400])
    with pytest.raises(ValueError, match="penalties"):
        kmer_ridge(codes, target, train, validation, penalties=())
    with pytest.raises(ValueError, match="k is 61"):
        kmer_ridge(codes, target, train, validation, k=61)
    with pytest.raises(ValueError, match="k is 9; the profiles are dense"):
        memoriser(codes, target, train, validation, k=9)
    with pytest.raises(ValueError, match="row 1 has no GC content"):
        gc_ridge(encode(["ACGT", "NNNN"]), [1.0, 2.0], [0], [1])


@pytest.mark.slow
def test_real_wtc11_order_of_the_baselines():
    if not os.environ.get("MPRA_DATA_DIR"):
        pytest.skip("MPRA_DATA_DIR is not set: the real files are not tested")
    data = mpra.load("wtc11")
    split = group_split(data.group, seed=0)
    parts = (data.codes, data.activity, split["train"], split["validation"])
    test = split["test"]
    # About 920 test rows: one standard error of r is 0.03, splits differ by as much again.
    assert correlation(kmer_ridge(*parts), data.activity, test) == pytest.approx(0.47, abs=0.08)
    assert correlation(memoriser(*parts), data.activity, test) == pytest.approx(0.22, abs=0.08)
    assert abs(correlation(gc_ridge(*parts), data.activity, test)) < 0.17


def test_feature_ridge_finds_a_linear_law_whatever_the_units():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 3)) * [1.0, 1e3, 1e-3]
    target = features @ [1.0, 2e-3, 3e3] + 5
    made = feature_ridge(features, target, np.arange(300), np.arange(300, 350), penalties=(1e-6,))
    assert np.allclose(made.mean, target, atol=1e-3)


def test_sigma_regression_finds_a_linear_scale():
    rng = np.random.default_rng(0)
    n = 40_000
    mean, gc = rng.normal(size=n), rng.uniform(0.3, 0.7, n)
    sigma = 0.2 + gc + 0.1 * mean
    target = mean + np.maximum(sigma, 0.05) * rng.normal(size=n)
    made = sigma_regression(mean, gc, target, np.arange(n // 2))
    inside = sigma > 0.2
    assert np.abs(made.std - sigma)[inside].max() < 0.05
    assert (made.std > 0).all() and np.array_equal(made.mean, mean)


def test_sigma_regression_refuses_rows_without_error():
    with pytest.raises(ValueError, match="4 would do"):
        sigma_regression(np.zeros(9), np.zeros(9), np.zeros(9), np.arange(9))

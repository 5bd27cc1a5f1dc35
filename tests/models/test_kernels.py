import numpy as np
import pytest

from lib.models import kernels
from lib.models.kernels import kernel_forecast, kmer_profiles, motif_scores
from lib.motifs.pwm import jaspar
from lib.sequences import encode, reverse_complement
from tests.motifs.naive import random_codes


def noisy(n, seed=0):
    """Codes, features, a target linear in them with noise that depends on GC, and groups of 3."""
    rng = np.random.default_rng(seed)
    codes = random_codes(n, seed=seed)
    features = rng.normal(size=(n, 8))
    gc = (codes % 3 > 0).mean(axis=1)
    loud = np.exp(8 * (gc - 0.5))
    return codes, features, features[:, 0] + 0.5 * loud * rng.normal(size=n), np.arange(n) // 3


def test_left_out_groups_are_those_of_a_process_that_never_saw_them():
    codes, features, target, group = noisy(60)
    train = np.arange(45)
    found = kernel_forecast(features, codes, target, train, group)
    own = features[:, features[train].std(axis=0) > 0]
    unit = (own - own[train].mean(axis=0)) / own[train].std(axis=0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    kernel = np.exp(found.width * (unit @ unit.T - 1))
    centre = target[train].mean()
    for label in (0, 7, 14):
        out = train[group[train] == label]
        rest = np.setdiff1d(train, out)
        noise = found.noise * np.eye(len(rest))
        solved = np.linalg.solve(kernel[np.ix_(rest, rest)] + noise, target[rest] - centre)
        expected = centre + kernel[np.ix_(out, rest)] @ solved
        assert found.mean[out] == pytest.approx(expected, abs=1e-5)


def test_the_std_follows_noise_that_depends_on_gc_and_covers():
    codes, features, target, group = noisy(1500, seed=3)
    train, test = np.arange(900), np.arange(900, 1500)
    found = kernel_forecast(features, codes, target, train, group)
    error = np.abs(target - found.mean)[test]
    assert np.mean(error < 1.645 * found.std[test]) == pytest.approx(0.9, abs=0.04)
    assert np.corrcoef(found.std[test], error)[0, 1] > 0.2
    assert np.corrcoef(found.mean[test], target[test])[0, 1] > 0.6


def test_scores_and_words_count_strands_alike_and_few_rows_come_by_whole_groups():
    codes = random_codes(20)
    pwms = jaspar(["FOXA1", "SP1"])
    assert motif_scores(codes, pwms).shape == (20, 4)
    other = motif_scores(reverse_complement(codes), pwms)
    assert motif_scores(codes, pwms) == pytest.approx(other, abs=1e-3)
    assert np.array_equal(kmer_profiles(codes), kmer_profiles(reverse_complement(codes)))
    assert kmer_profiles(encode(["AAAAAAA", "TTTTTTT"]), oriented=True).shape == (2, 2)
    group = np.arange(12_000) // 4
    rows = kernels._some_groups(np.arange(12_000), group)
    assert len(rows) == kernels.CHOICE_ROWS
    assert (np.unique(group[rows], return_counts=True)[1] == 4).all()


@pytest.mark.parametrize(("rows", "size"), [(19, 1), (40, 5)])
def test_too_little_to_train_on_is_said(rows, size):
    codes, features, target, _ = noisy(60)
    with pytest.raises(ValueError, match=f"{rows} training rows in"):
        kernel_forecast(features, codes, target, np.arange(rows), np.arange(60) // size)

"""Units of kernels and baselines: what they read, and what they make of odd elements."""

import numpy as np
import pytest

from lib.data.dataset import Result, SequenceDataset
from lib.data.folds import fold_split, group_folds
from lib.motifs.pwm import core_motifs
from lib.sequences import encode
from lib.training.simple import baseline_unit, kernel_unit, motif_unit

MOTIFS = {"kingdom": "vertebrates", "release": "JASPAR2024"}


def data(n=120, length=40, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length)).astype(np.uint8)
    y = (codes == 1).mean(axis=1) * 8 + 0.3 * rng.normal(size=n)
    return SequenceDataset("made", codes, y, np.arange(n) // 2)


def split_of(given):
    return fold_split(group_folds(given.group, 0, 4), given.group, 0, 0)


def test_motifs_longer_than_the_elements_are_left_out_and_n_is_scored_by_the_rest():
    motifs = core_motifs(**MOTIFS)
    given = data(6, length=9)
    scores = motif_unit(MOTIFS, given).arrays["scores"]
    assert scores.shape == (6, 2 * sum(pwm.width <= 9 for pwm in motifs))
    with pytest.raises(ValueError, match="motif set is empty"):
        motif_unit(MOTIFS, data(6, length=4))
    given = data(6, length=30)
    codes = given.codes.copy()
    codes[0, 2:], codes[1, ::2] = 4, 4
    scores = motif_unit(MOTIFS, SequenceDataset("n", codes, np.zeros(6), np.arange(6)))
    assert np.isfinite(scores.arrays["scores"]).all()
    given = data()
    codes = given.codes.copy()
    codes[::3, 4:], codes[1] = 4, 4
    rich = SequenceDataset("n", codes, given.activity, given.group)
    found = kernel_unit({}, rich, split_of(given))
    assert np.isfinite(found.arrays["mean"]).all() and (found.arrays["std"] > 0).all()


@pytest.mark.parametrize("scored", [False, True])
def test_kernels_read_no_target_outside_training_and_validation(scored):
    given = data()
    split = split_of(given)
    hidden = given.activity.copy()
    for part in ("choice", "calibration", "test"):
        hidden[split[part]] = np.random.default_rng(1).normal(size=len(split[part]))
    features = np.column_stack([(given.codes == letter).mean(axis=1) for letter in range(4)])
    more = {"scores": Result({"scores": features})} if scored else {}
    other = SequenceDataset("made", given.codes, hidden, given.group)
    first, second = (kernel_unit({}, each, split, **more).arrays for each in (given, other))
    for name, values in first.items():
        assert np.array_equal(values, second[name]), name
    test = split["test"]
    assert np.corrcoef(first["mean"][test], given.activity[test])[0, 1] > (0.3 if scored else 0)


@pytest.mark.parametrize("name", ["mean", "gc_ridge", "kmer_ridge", "memoriser"])
def test_baselines_are_those_of_their_names(name):
    given = data()
    split = split_of(given)
    arrays = baseline_unit({"baseline": name}, given, split).arrays
    assert all(len(arrays[part]) == len(given) for part in ("mean", "std"))
    constant = set(arrays["mean"]) == {given.activity[split["train"]].mean()}
    assert constant == (name == "mean")


def test_what_cannot_be_fitted_is_named():
    few = data(40)
    few = SequenceDataset("few", few.codes, few.activity, np.arange(40) // 5)
    short = SequenceDataset("short", encode(["ACGTA"] * 40), np.arange(40.0), np.arange(40))
    for given, words in ((few, "a kernel needs 20 in 10 groups"), (short, r"6|k")):
        with pytest.raises(ValueError, match=words):
            kernel_unit({}, given, split_of(given))

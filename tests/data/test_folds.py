"""Folds keep groups whole, test every element once, and leave large families in training."""

import numpy as np
import pytest

from lib.data.folds import HELD, TRAINED, family_split, fold_split, group_folds
from tests.refusals import refused

SIZES = [30, 25, *[3] * 300, *[1] * 900]


def groups(sizes=SIZES):
    group = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(0).permutation(group)


def test_every_group_lies_in_one_fold_and_folds_are_even():
    group = groups()
    folds = group_folds(group, 0)
    assert folds.families.tolist() == [0, 1]
    assert set(folds.fold[np.isin(group, folds.families)]) == {TRAINED}
    for label in np.unique(group):
        assert len(set(folds.fold[group == label])) == 1
    sizes = np.bincount(folds.fold[folds.fold != TRAINED])
    assert len(sizes) == 10 and np.ptp(sizes) <= 1


def test_parts_of_a_fold_are_disjoint_whole_and_of_their_size():
    group = groups()
    folds = group_folds(group, 0)
    for number in range(10):
        split = fold_split(folds, group, number, 0)
        rows = np.concatenate(list(split.parts.values()))
        assert sorted(rows) == list(range(len(group)))
        assert np.isin(np.flatnonzero(folds.fold == TRAINED), split["train"]).all()
        labels = [set(group[part]) for part in split.parts.values()]
        assert sum(map(len, labels)) == len(set.union(*labels))
        small = (folds.fold != TRAINED).sum() - len(split["test"])
        for part, share in HELD.items():
            assert len(split[part]) / small == pytest.approx(share, abs=0.01)


def test_a_family_left_out_is_the_whole_test_part():
    group = groups()
    folds = group_folds(group, 0)
    split = family_split(folds, group, 1, 0)
    assert np.array_equal(split["test"], np.flatnonzero(group == 1))
    assert np.isin(np.flatnonzero(group == 0), split["train"]).all()


def test_at_most_six_families_stand_aside_and_none_of_few_elements():
    assert len(group_folds(groups([12] * 8 + [1] * 1000), 0).families) == 6
    # Of 200 elements ten families of 4 are 2 % each.
    folds = group_folds(groups([12] + [4] * 10 + [1] * 148), 0)
    assert folds.families.tolist() == [0] and (folds.fold == TRAINED).sum() == 12


def test_seeds_deal_anew_and_fewer_groups_make_fewer_folds():
    group = groups()
    assert (group_folds(group, 0).fold != group_folds(group, 1).fold).mean() > 0.5
    assert (group_folds(group, 0).fold == group_folds(group, 0).fold).all()
    assert [group_folds(np.arange(n), 0).n_folds for n in (40, 10, 8)] == [10, 10, 8]


test_what_cannot_be_tested_is_refused = refused(
    ([30, 70], "holds 70%"),
    ([10] * 6 + [1] * 400, "6 large families hold 13%"),
    ([1, 1], "2 leak groups|holds 50%"),
    act=lambda sizes: group_folds(groups(sizes), 0),
)


def test_what_is_held_out_trains_nothing_and_is_tested_once_by_its_own_fold():
    group = groups()
    folds = group_folds(group, 0)
    held_out = (group % 5 == 0) & (np.arange(len(group)) % 2 == 0)  # half the rows of some groups
    barred = np.isin(group, group[held_out])
    splits = [fold_split(folds, group, number, 0, held_out) for number in range(10)]
    for number, split in enumerate(splits):
        assert not any(barred[split[part]].any() for part in ("train", *HELD, "test"))
        assert set(folds.fold[split["shifted"]]) == {number}
    tested = np.concatenate([np.r_[split["test"], split["shifted"]] for split in splits])
    assert len(set(tested)) == len(tested)
    assert set(tested) == set(np.flatnonzero((folds.fold != TRAINED) & (held_out | ~barred)))

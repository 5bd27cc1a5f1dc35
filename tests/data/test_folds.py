"""Folds keep groups whole, test every element once, and leave large families in training."""

import numpy as np
import pytest

from lib.data.folds import HELD, TRAINED, family_split, fold_split, group_folds
from tests.refusals import refused

SIZES = [30, 25, *[3] * 300, *[1] * 900]


def groups(sizes=SIZES):
    group = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(0).permutation(group)


GROUP = groups()
FOLDS = group_folds(GROUP, 0)


def test_folds_are_even_and_their_parts_disjoint_whole_and_of_their_size():
    assert FOLDS.families.tolist() == [0, 1]
    assert set(FOLDS.fold[np.isin(GROUP, FOLDS.families)]) == {TRAINED}
    sizes = np.bincount(FOLDS.fold[FOLDS.fold != TRAINED])
    assert len(sizes) == 10 and np.ptp(sizes) <= 1
    for number in range(10):
        split = fold_split(FOLDS, GROUP, number, 0)
        assert sorted(np.concatenate(list(split.parts.values()))) == list(range(len(GROUP)))
        assert np.array_equal(split["test"], np.flatnonzero(FOLDS.fold == number))
        assert np.isin(np.flatnonzero(FOLDS.fold == TRAINED), split["train"]).all()
        labels = [set(GROUP[part]) for part in split.parts.values()]
        assert sum(map(len, labels)) == len(set.union(*labels))
        small = (FOLDS.fold != TRAINED).sum() - len(split["test"])
        for part, share in HELD.items():
            assert len(split[part]) / small == pytest.approx(share, abs=0.01)


def test_a_family_left_out_is_the_whole_test_part():
    split = family_split(FOLDS, GROUP, 1, 0)
    assert np.array_equal(split["test"], np.flatnonzero(GROUP == 1))
    assert np.isin(np.flatnonzero(GROUP == 0), split["train"]).all()


def test_at_most_six_families_stand_aside_and_none_of_few_elements():
    assert len(group_folds(groups([12] * 8 + [1] * 1000), 0).families) == 6
    # Of 200 elements ten families of 4 are 2 % each.
    folds = group_folds(groups([12] + [4] * 10 + [1] * 148), 0)
    assert folds.families.tolist() == [0] and (folds.fold == TRAINED).sum() == 12


def test_seeds_deal_anew_and_fewer_groups_make_fewer_folds():
    assert (FOLDS.fold != group_folds(GROUP, 1).fold).mean() > 0.5
    assert (FOLDS.fold == group_folds(GROUP, 0).fold).all()
    assert [group_folds(np.arange(n), 0).n_folds for n in (40, 10, 8)] == [10, 10, 8]


test_what_cannot_be_tested_is_refused = refused(
    ([30, 70], "largest leak group holds 70% of the 100 elements"),
    ([300, 150, *[1] * 450], "holds 33%"),
    ([10] * 6 + [1] * 400, "6 large families hold 13%"),
    ([1, 1], "2 leak groups|holds 50%"),
    act=lambda sizes: group_folds(groups(sizes), 0),
)


def test_what_is_held_out_trains_nothing_and_is_tested_once_by_its_own_fold():
    held_out = (GROUP % 5 == 0) & (np.arange(len(GROUP)) % 2 == 0)  # half the rows of some groups
    barred = np.isin(GROUP, GROUP[held_out])
    splits = [fold_split(FOLDS, GROUP, number, 0, held_out) for number in range(10)]
    for number, split in enumerate(splits):
        assert not any(barred[split[part]].any() for part in ("train", *HELD, "test"))
        assert set(FOLDS.fold[split["shifted"]]) == {number}
    tested = np.concatenate([np.r_[split["test"], split["shifted"]] for split in splits])
    assert len(set(tested)) == len(tested)
    assert set(tested) == set(np.flatnonzero((FOLDS.fold != TRAINED) & (held_out | ~barred)))

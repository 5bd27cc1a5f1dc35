import numpy as np
import pytest

from lib.data.splits import PARTS, gc_tilt, group_split


def groups_of_three(n):
    return np.repeat(np.arange(n // 3), 3)


@pytest.mark.parametrize("seed", range(5))
def test_group_split_keeps_groups_whole_and_covers_all(seed):
    group = groups_of_three(900)
    split = group_split(group, seed)
    rows = np.concatenate([split[part] for part in PARTS])
    assert sorted(rows.tolist()) == list(range(900))
    sides = [set(group[split[part]]) for part in PARTS]
    assert sum(map(len, sides)) == len(set.union(*sides))
    assert [len(split[part]) for part in PARTS] == pytest.approx([630, 90, 90, 90], abs=6)


def test_same_seed_same_split_other_seed_another():
    group = groups_of_three(300)
    assert (group_split(group, 1)["test"] == group_split(group, 1)["test"]).all()
    assert set(group_split(group, 1)["test"]) != set(group_split(group, 2)["test"])


def test_tilt_moves_the_mean_on_the_same_support():
    rng = np.random.default_rng(0)
    gc, group = rng.normal(0.5, 0.08, 4000), np.arange(4000)
    for wanted in (-1.5, 0.5, 1.0, 1.5):
        tilt = gc_tilt(gc, group, wanted, np.random.default_rng(1))
        assert tilt.shift_sd == pytest.approx(wanted, abs=0.02)
        assert set(tilt.rows) <= set(range(4000))


def test_tilt_draws_whole_groups():
    gc, group = np.linspace(0.3, 0.7, 90), groups_of_three(90)
    counts = np.bincount(gc_tilt(gc, group, 1.0, np.random.default_rng(0)).rows, minlength=90)
    assert (counts.reshape(-1, 3) == counts[::3, None]).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: group_split(np.zeros(10, int), 0), "1 leak groups cannot fill 4 parts"),
        (lambda: group_split(np.r_[np.zeros(30, int), np.arange(70)], 0), "one leak group holds"),
        (lambda: gc_tilt(np.full(9, 0.5), np.arange(9), 1, np.random.default_rng(0)), "no tilt"),
    ],
)
def test_impossible_splits_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()

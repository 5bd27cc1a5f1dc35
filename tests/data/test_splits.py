import numpy as np
import pytest

from lib.data.splits import (
    PARTS,
    gc_tail_split,
    gc_tilt,
    group_split,
    leave_one_out_split,
    placebo_split,
)


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


@pytest.mark.parametrize("tail", ["high", "low"])
def test_gc_tails_do_not_meet(tail):
    group = groups_of_three(900)
    gc = np.random.default_rng(0).normal(0.5, 0.05, 300)[group] + 0.001 * (np.arange(900) % 3)
    split = gc_tail_split(gc, group, 0.8, tail, seed=0)
    inside = np.concatenate([split[part] for part in PARTS])
    sign = 1 if tail == "high" else -1
    assert (sign * gc[split["shifted"]]).min() > (sign * gc[inside]).max() - 0.002
    assert len(split["shifted"]) == pytest.approx(180, abs=3)
    assert not set(group[split["shifted"]]) & set(group[inside])


def test_placebo_holds_out_random_groups():
    group = groups_of_three(900)
    gc = np.random.default_rng(0).normal(0.5, 0.05, 900)
    split = placebo_split(group, 0.2, seed=3)
    assert len(split["shifted"]) == pytest.approx(180, abs=3)
    difference = gc[split["shifted"]].mean() - gc[split["train"]].mean()
    assert abs(difference) < 3 * 0.05 * (1 / 180 + 1 / 504) ** 0.5


def test_held_out_species_takes_its_relatives_along():
    labels = np.array(["At"] * 300 + ["Zm"] * 300)
    group = np.arange(600)
    group[300:310] = group[:10]  # ten Zm promoters with an At relative
    split = leave_one_out_split(labels, "At", group, seed=0)
    inside = np.concatenate([split[part] for part in PARTS])
    assert (labels[split["shifted"]] == "At").all() and len(split["shifted"]) == 300
    assert len(inside) == 290 and not set(inside) & set(range(310))


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
        (lambda: gc_tail_split(np.arange(9.0), np.arange(9), 1.0, "high", 0), "gc_quantile is 1.0"),
        (lambda: gc_tail_split(np.arange(9.0), np.arange(9), 0.5, "up", 0), "tail is 'up'"),
        (lambda: gc_tail_split(np.full(99, 0.5), np.arange(99), 0.8, "high", 0), "'shifted' empty"),
        (lambda: placebo_split(np.arange(50), 0.0, 0), "held_out is 0.0"),
        (lambda: leave_one_out_split(["a"] * 9, "b", np.arange(9), 0), "labelled 'b'"),
        (lambda: gc_tilt(np.full(9, 0.5), np.arange(9), 1, np.random.default_rng(0)), "no tilt"),
    ],
)
def test_impossible_splits_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()

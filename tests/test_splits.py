import numpy as np
import pytest

from lib.sequences import encode, kmer_codes, reverse_complement
from lib.splits import (
    PARTS,
    check_groups,
    dust_score,
    gc_tail_split,
    gc_tilt,
    group_split,
    leak_groups,
    leave_one_out_split,
    placebo_split,
    random_leaky_split,
)


def random_codes(n, length=60, seed=0):
    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


def groups_of_three(n):
    return np.repeat(np.arange(n // 3), 3)


# Leak groups


def test_unrelated_sequences_stay_apart():
    assert len(set(leak_groups(random_codes(200)))) == 200


def test_one_shared_word_links_on_either_strand():
    codes = random_codes(4)
    codes[1, :20] = codes[0, 30:50]
    codes[3, 5:25] = reverse_complement(codes[2:3])[0, :20]
    assert leak_groups(codes).tolist() == [0, 0, 1, 1]


def test_nineteen_shared_letters_do_not_link_at_twenty():
    codes = random_codes(2)
    codes[1, :19] = codes[0, 30:49]
    codes[1, 19] = (codes[0, 49] + 1) % 4
    assert len(set(leak_groups(codes))) == 2


def test_relatives_chain():
    codes = random_codes(3)
    codes[1, :25] = codes[0, -25:]
    codes[2, :25] = codes[1, -25:]
    assert len(set(leak_groups(codes))) == 1


def test_a_word_in_more_than_twenty_parents_links_nothing():
    codes = random_codes(21)
    codes[:, 10:30] = codes[0, 10:30]
    codes[:, [9, 30]] = 4  # or the word would grow by chance in some of the rows
    assert len(set(leak_groups(codes))) == 21
    assert len(set(leak_groups(codes[:20]))) == 1


def test_copies_of_one_sequence_are_one_parent():
    copies = np.repeat(random_codes(1), 30, axis=0)
    assert len(set(leak_groups(copies))) == 1


@pytest.mark.parametrize("unit", ["A", "AC", "ACG"])
def test_repeats_link_nothing(unit):
    codes = random_codes(2)
    codes[:, :30] = encode([unit * (30 // len(unit))])[0]
    assert len(set(leak_groups(codes))) == 2


def test_dust_score_by_hand():
    # 20 A hold 18 equal triplets: 18·17/2 pairs over 17. ACGTACGT…: four triplets, 5+5+4+4 times:
    # (10 + 10 + 6 + 6) / 17.
    repeats = encode(["A" * 20, "ACGT" * 5])
    scores = dust_score(kmer_codes(repeats, 20)[0][:, 0], 20)
    assert scores.tolist() == [9.0, 32 / 17]


def test_known_parents_are_kept_together_and_joined():
    codes = random_codes(4)
    codes[3, :20] = codes[1, :20]
    assert leak_groups(codes, parents=["a", "a", "b", "c"]).tolist() == [0, 0, 1, 0]


def test_long_words_group_like_short_ones():
    """Past 64 bits for word and owner together the sort is another one."""
    codes = random_codes(40)
    codes[30:, :40] = codes[:10, 20:]
    assert (leak_groups(codes, k=20) == leak_groups(codes, k=31)).all()
    assert len(set(leak_groups(codes, k=31))) == 30


def test_sequences_of_unknown_letters_only_stand_alone():
    codes = np.full((3, 30), 4, np.uint8)
    codes[1:] = random_codes(2, length=30)
    assert len(set(leak_groups(codes))) == 3


def test_words_with_unknown_letters_do_not_link():
    codes = random_codes(2)
    codes[1] = codes[0]
    codes[1, ::10] = 4
    assert len(set(leak_groups(codes))) == 2


# Splits


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


def test_leaky_split_ignores_groups():
    split = random_leaky_split(300, seed=0)
    group = groups_of_three(300)
    assert set(group[split["train"]]) & set(group[split["test"]])


def test_tilt_moves_the_mean_on_the_same_support():
    rng = np.random.default_rng(0)
    gc, group = rng.normal(0.5, 0.08, 4000), np.arange(4000)
    for wanted in (-1.5, 0.5, 1.0, 1.5):
        tilt = gc_tilt(gc, group, wanted, np.random.default_rng(1))
        assert tilt.shift_sd == pytest.approx(wanted, abs=0.02)
        assert set(tilt.rows) <= set(range(4000))
    # Tilting a normal law by s standard deviations leaves n·exp(-s²) effective draws.
    half = gc_tilt(gc, group, 0.5, np.random.default_rng(1))
    assert half.n_eff / 4000 == pytest.approx(np.exp(-0.25), rel=0.05)


def test_tilt_draws_whole_groups():
    gc, group = np.linspace(0.3, 0.7, 90), groups_of_three(90)
    counts = np.bincount(gc_tilt(gc, group, 1.0, np.random.default_rng(0)).rows, minlength=90)
    assert (counts.reshape(-1, 3) == counts[::3, None]).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: check_groups(np.zeros(10, int), 4), "1 leak groups cannot fill 4 parts"),
        (lambda: check_groups(np.r_[np.zeros(30, int), np.arange(70)], 4), "one leak group holds"),
        (lambda: gc_tail_split(np.arange(9.0), np.arange(9), 1.0, "high", 0), "gc_quantile is 1.0"),
        (lambda: gc_tail_split(np.arange(9.0), np.arange(9), 0.5, "up", 0), "tail is 'up'"),
        (lambda: gc_tail_split(np.full(99, 0.5), np.arange(99), 0.8, "high", 0), "'shifted' empty"),
        (lambda: placebo_split(np.arange(50), 0.0, 0), "held_out is 0.0"),
        (lambda: leave_one_out_split(["a"] * 9, "b", np.arange(9), 0), "labelled 'b'"),
        (lambda: gc_tilt(np.full(9, 0.5), np.arange(9), 1, np.random.default_rng(0)), "no tilt"),
        (lambda: leak_groups(random_codes(3), k=3), "k is 3"),
        (lambda: leak_groups(random_codes(3), parents=[1, 2]), "parents has 2 rows"),
    ],
)
def test_impossible_splits_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()

import numpy as np
import pytest

from lib.data.leakage import dust_score, leak_groups, leak_report, strand_pairs
from lib.data.splits import PARTS, Split
from lib.sequences import encode, kmer_codes, reverse_complement
from tests.motifs.naive import random_codes


def test_only_a_shared_word_of_twenty_letters_links_on_either_strand():
    assert len(set(leak_groups(random_codes(200)))) == 200
    codes = random_codes(4)
    codes[1, :20] = codes[0, 30:50]
    codes[3, 5:25] = reverse_complement(codes[2:3])[0, :20]
    assert leak_groups(codes).tolist() == [0, 0, 1, 1]
    codes = random_codes(2)
    codes[1, :19] = codes[0, 30:49]
    codes[1, 19] = (codes[0, 49] + 1) % 4
    assert len(set(leak_groups(codes))) == 2


def test_relatives_chain_and_copies_are_one_parent():
    codes = random_codes(3)
    codes[1, :25] = codes[0, -25:]
    codes[2, :25] = codes[1, -25:]
    assert len(set(leak_groups(codes))) == 1
    assert len(set(leak_groups(np.repeat(random_codes(1), 30, axis=0)))) == 1


def test_words_of_more_than_twenty_parents_and_unknown_letters_link_nothing():
    codes = random_codes(21)
    codes[:, 10:30] = codes[0, 10:30]
    codes[:, [9, 30]] = 4  # or the word would grow by chance in some of the rows
    assert [len(set(leak_groups(some))) for some in (codes, codes[:20])] == [21, 1]
    codes = np.full((3, 30), 4, np.uint8)
    codes[1:] = random_codes(2, length=30)
    assert len(set(leak_groups(codes))) == 3
    codes = np.repeat(random_codes(1), 2, axis=0)
    codes[1, ::10] = 4
    assert len(set(leak_groups(codes))) == 2


def mutants(parents, each, length, rate, seed=0):
    """Of each parent so many, one letter changed or a share of all, half on the other strand."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(random_codes(parents, length, seed), each, axis=0)
    changed = rng.random(codes.shape) < rate
    if not rate:
        changed[np.arange(len(codes)), rng.integers(0, length, len(codes))] = True
    codes = np.where(changed, (codes + rng.integers(1, 4, codes.shape)) % 4, codes).astype(np.uint8)
    return np.where(rng.random((len(codes), 1)) < 0.5, reverse_complement(codes), codes)


def same(found, wanted):
    """Whether two numberings are one partition."""
    return len(set(zip(found, wanted, strict=True))) == len(set(found)) == len(set(wanted))


@pytest.mark.parametrize(
    ("each", "length", "rate"), [(100, 200, 0), (100, 40, 0), (100, 200, 0.1), (400, 120, 0.05)]
)
def test_mutants_of_twenty_parents_are_twenty_groups(each, length, rate):
    """Without families a word of a parent stands in too many of them to link any."""
    codes = mutants(20, each, length, rate)
    descent = np.repeat(np.arange(20), each)
    assert same(leak_groups(codes, families=True), descent)
    assert rate or len(set(leak_groups(codes))) > 1000


@pytest.mark.parametrize("step", [1, 5])
def test_tiles_of_a_region_are_one_group(step):
    tiles = [each[i : i + 200] for each in random_codes(3, 1200) for i in range(0, 1000, step)]
    assert same(leak_groups(np.stack(tiles), families=True), np.repeat([0, 1, 2], 1000 // step))


def test_an_unrelated_row_that_stands_twice_joins_no_families():
    first, other = random_codes(1, 120), random_codes(40, 120, 1)
    second = np.where(np.arange(120) % 16, first, (first + 1) % 4).astype(np.uint8)
    codes = np.concatenate([second, first]).repeat(30, axis=0)
    codes[np.arange(60), np.arange(1, 241, 4) % 120] ^= 1
    assert len(set(leak_groups(np.concatenate([codes, other, other[-1:]]), families=True))) == 42


def test_a_common_part_makes_no_family():
    """30 nt that stand in all of 300 elements, the letters beside it fixed against chance words."""
    codes = random_codes(300, 200)
    codes[:, 80:110], codes[:, [79, 110]] = codes[0, 80:110], 4
    assert len(set(leak_groups(codes, families=True))) == 300


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


def test_known_parents_are_joined_and_long_words_group_like_short_ones():
    codes = random_codes(4)
    codes[3, :20] = codes[1, :20]
    assert leak_groups(codes, parents=["a", "a", "b", "c"]).tolist() == [0, 0, 1, 0]
    # Past 64 bits for word and owner together the sort is another one.
    codes = random_codes(40)
    codes[30:, :40] = codes[:10, 20:]
    assert (leak_groups(codes, k=20) == leak_groups(codes, k=31)).all()
    assert len(set(leak_groups(codes, k=31))) == 30


def test_strand_pairs_are_found_once_each():
    codes = random_codes(6)
    codes[4] = reverse_complement(codes[1:2])[0]
    codes[5] = reverse_complement(codes[0:1])[0]
    forward, reverse = strand_pairs(codes)
    assert sorted(zip(forward, reverse, strict=True)) == [(0, 5), (1, 4)]


def test_planted_leaks_are_counted():
    codes = random_codes(40)
    codes[30] = codes[0]  # the same sequence
    codes[31] = reverse_complement(codes[1:2])[0]  # its reverse complement
    codes[32, :25] = codes[2, 10:35]  # a tile
    parts = [np.arange(0, 20), np.arange(20, 25), np.arange(25, 30), np.arange(30, 40)]
    split = Split("made", 0, dict(zip(PARTS, parts, strict=True)))
    found = leak_report(codes, leak_groups(codes), split).set_index(["part", "measure"])["value"]
    assert found["test", "identical"] == 0.2
    assert found["test", "reverse_complement"] == 0.1
    assert found["test", "shared_word"] == pytest.approx(0.3)
    assert found["validation", "shared_word"] == 0
    assert found["train", "elements"] == 20

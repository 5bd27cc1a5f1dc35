import numpy as np
import pytest

from lib.data.leakage import leak_report, nearest_similarity
from lib.data.relatives import leak_groups
from lib.data.splits import PARTS, Split, group_split, random_leaky_split
from lib.sequences import reverse_complement


def random_codes(n, length=60, seed=0):
    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


def value(report, part, measure):
    row = report[(report["part"] == part) & (report["measure"] == measure)]
    return row["value"].item()


def test_planted_leaks_are_counted():
    codes = random_codes(40)
    codes[30] = codes[0]  # the same sequence
    codes[31] = reverse_complement(codes[1:2])[0]  # its reverse complement
    codes[32, :25] = codes[2, 10:35]  # a tile
    parts = [np.arange(0, 20), np.arange(20, 25), np.arange(25, 30), np.arange(30, 40)]
    split = Split("made", 0, dict(zip(PARTS, parts, strict=True)))
    report = leak_report(codes, leak_groups(codes), split)
    assert value(report, "test", "identical") == 0.2
    assert value(report, "test", "reverse_complement") == 0.1
    assert value(report, "test", "shared_word") == pytest.approx(0.3)
    assert value(report, "test", "shared_group") == pytest.approx(0.3)
    assert value(report, "validation", "shared_word") == 0
    assert value(report, "train", "elements") == 20


def test_a_group_split_never_leaks_and_a_random_one_does():
    codes = random_codes(300)
    codes[100:200] = reverse_complement(codes[:100])
    codes[200:300, :40] = codes[:100, 20:]
    group = leak_groups(codes)
    clean = leak_report(codes, group, group_split(group, 0))
    leaky = leak_report(codes, group, random_leaky_split(300, 0))
    for part in PARTS[1:]:
        for measure in ("identical", "shared_word", "shared_group"):
            assert value(clean, part, measure) == 0
        assert value(leaky, part, "shared_word") > 0.5


def test_similarity_is_a_share_of_distinct_words():
    codes = random_codes(1, length=24)
    half = random_codes(1, length=24, seed=1)
    half[0, :18] = codes[0, :18]  # 7 of the 13 words of 12 nt
    assert nearest_similarity(half, codes).tolist() == pytest.approx([7 / 13])
    assert nearest_similarity(codes, reverse_complement(codes)).tolist() == [1.0]


def test_chunks_do_not_matter():
    queries, references = random_codes(25), random_codes(30, seed=1)
    queries[:9] = references[:9]
    whole = nearest_similarity(queries, references)
    assert (whole == nearest_similarity(queries, references, chunk=4)).all()

"""Leak groups of 100,000 sequences of 200 nt, and growth to there; brute force as the peer."""

from functools import partial

import numpy as np
from record import exponent, medians, peak_mib, record, row

from lib.data.leakage import leak_groups
from lib.sequences import decode, reverse_complement

K = 20
LENGTH = 200
SIZES = (12_500, 25_000, 50_000, 100_000)
BRUTE_FORCE_SIZE = 1_000


def library(n: int) -> np.ndarray:
    """Half of the rows unrelated, a quarter the other strand, a quarter tiles of the first half."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (n, LENGTH)).astype(np.uint8)
    half, quarter = n // 2, n // 4
    codes[half : half + quarter] = reverse_complement(codes[:quarter])
    codes[half + quarter :, : LENGTH // 2] = codes[quarter:half, LENGTH // 2 :]
    return codes


def grouped(n: int) -> np.ndarray:
    """Leak groups of a library of ``n``."""
    return leak_groups(library(n), K)


def brute_force(codes: np.ndarray) -> list[int]:
    """Compare the word sets of all pairs."""
    words = [
        {text[i : i + K] for text in pair for i in range(LENGTH - K + 1)}
        for pair in zip(decode(codes), decode(reverse_complement(codes)), strict=True)
    ]
    label = list(range(len(words)))
    for i in range(len(words)):
        for j in range(i):
            if label[i] != label[j] and not words[i].isdisjoint(words[j]):
                label = [label[j] if value == label[i] else value for value in label]
    return label


def main() -> None:
    """Measure and record."""
    small = library(BRUTE_FORCE_SIZE)
    ours, theirs = leak_groups(small, K), brute_force(small)
    pairs = {*zip(ours.tolist(), theirs, strict=True)}
    if not len(pairs) == len(set(ours.tolist())) == len(set(theirs)):
        raise AssertionError("brute force finds other groups")
    (fast, _), (slow, _) = medians(5, lambda: leak_groups(small, K), lambda: brute_force(small))
    libraries = {n: library(n) for n in SIZES}
    times = [medians(3, partial(leak_groups, libraries[n], K))[0][0] for n in SIZES]
    ((full, spread),) = medians(5, partial(leak_groups, libraries[SIZES[-1]], K))
    record(
        [
            row(
                "leak_groups_100k",
                "s",
                full,
                SIZES[-1],
                spread=spread,
                exponent=exponent(SIZES, times),
                peak_mib=peak_mib(partial(grouped, SIZES[-1])),
            ),
            row(
                "leak_groups_1k",
                "s",
                fast,
                BRUTE_FORCE_SIZE,
                peer=slow,
                peer_name="brute force over all pairs",
            ),
        ]
    )


if __name__ == "__main__":
    main()

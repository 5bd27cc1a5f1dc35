"""Relatives, and what a model could have seen of them in training.

In: codes ``(n, L)``, where known units of descent, and a :class:`lib.data.splits.Split`. Out: leak
groups ``(n,)``, which must stay on one side of a split, and a report of what each part shares with
the training part: a tidy table, nothing per element.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lib.arrays import BoolArray, FloatArray, IndexArray
from lib.data.splits import Split
from lib.sequences import UNKNOWN, Codes, canonical, kmer_codes, reverse_complement

DUST_THRESHOLD = 2.0  # of Morgulis et al. 2006; repeats of period 1 to 3 score above it
MAX_PARENTS = 20  # a k-mer seen in more parents links nothing by itself
# Two carriers of such a k-mer are relatives if this share of their letters beside it agrees, of at
# least so many: mutants of one parent, each with a tenth of its letters changed, agree in 0.81 of
# them, unrelated elements around a common word in a quarter.
FAMILY_IDENTITY, FAMILY_LETTERS = 0.7, 12
FAMILY_ROUNDS = 8  # pairs that are compared for one parent
FAMILY_PAIRS = 1_000_000  # candidates; of more, those of a part of the words are taken
MIX = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hash, of 64 bits
COMPARED = 8192  # pairs at once
STRAY_LENGTH = 14  # nt of the words that lead a stray mutant to its family
LINKS, COMMON = 1, 2  # a word makes two neighbours relatives, or only if they agree beside it

Words = NDArray[np.uint64]


def dust_score(kmers: Words, k: int) -> FloatArray:
    """DUST complexity score of packed k-mers; high means repetitive.

    The number of equal pairs of triplets over the number of triplets less one, (m,), of k-mers as
    packed by :func:`lib.sequences.kmer_codes`, ``k`` at least 4 (Morgulis et al. 2006, J. Comput.
    Biol. 13:1028, symmetric DUST).
    """
    shifts = np.arange(k - 2, dtype=np.uint64) * np.uint64(2)
    triplets = ((kmers[:, None] >> shifts) & np.uint64(63)).astype(np.uint8)
    pairs = np.zeros(len(kmers))
    for lag in range(1, k - 2):
        pairs += (triplets[:, lag:] == triplets[:, :-lag]).sum(axis=1)
    return pairs / (k - 3)


def sequence_ids(codes: Codes) -> IndexArray:
    """One id per distinct sequence, a sequence and its reverse complement being the same.

    Examples
    --------
    >>> from lib.sequences import encode
    >>> sequence_ids(encode(["AAC", "GTT", "CCC"])).tolist()
    [0, 0, 1]
    """
    rows = np.ascontiguousarray(canonical(codes))
    as_bytes = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    return np.unique(as_bytes, return_inverse=True)[1].astype(np.int64)


def _compact(labels: ArrayLike) -> IndexArray:
    return np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64).ravel()


def linked(first: IndexArray, second: IndexArray, size: int) -> IndexArray:
    """The number of each node's component, (size,), in a graph of edges first to second, (e,)."""
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(size, size))
    found: IndexArray = connected_components(graph, directed=False)[1]
    return found


def _sorted_pairs(words: Words, owner: IndexArray, word_bits: int) -> tuple[Words, IndexArray]:
    """Pairs in the order of the word, then of its owner."""
    bits = int(owner.max(initial=1)).bit_length()
    if word_bits + bits > 64:
        order = np.lexsort((owner, words))
        return words[order], owner[order]
    # One sort of 64-bit integers is several times faster than an indirect one.
    packed = (words << np.uint64(bits)) | owner.astype(np.uint64)
    packed.sort()
    mask = np.uint64((1 << bits) - 1)
    return packed >> np.uint64(bits), (packed & mask).astype(np.int64)


def _carriers(
    codes: Codes, k: int, owner: IndexArray
) -> tuple[Words, IndexArray, NDArray[np.int8]]:
    """Words with their owners, sorted, and what each says of the owner before it (:data:`LINKS`).

    Of each word every owner stands once; its first owner follows on none.
    """
    kmers, valid = kmer_codes(codes, k)
    if not valid.any():
        return np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int8)
    owner = np.broadcast_to(owner[:, None], kmers.shape)[valid]
    words, owner = _sorted_pairs(kmers[valid], owner, 2 * k)
    del kmers, valid
    new_word = np.concatenate([[True], words[1:] != words[:-1]])
    new_pair = new_word | np.concatenate([[True], owner[1:] != owner[:-1]])
    words, owner, new_word = words[new_pair], owner[new_pair], new_word[new_pair]
    start = np.flatnonzero(new_word)
    carriers = np.diff(np.append(start, len(words)))
    shared = np.flatnonzero(carriers >= 2)
    shared = shared[dust_score(words[start[shared]], k) <= DUST_THRESHOLD]
    kind = np.zeros(len(start), np.int8)
    kind[shared] = np.where(carriers[shared] <= MAX_PARENTS, LINKS, COMMON)
    return words, owner, np.where(new_word, 0, kind[np.cumsum(new_word) - 1])


def _agreement(left: Codes, right: Codes, shift: IndexArray, k: int) -> BoolArray:
    """Whether rows agree around a common word, (m,), the right ones moved by ``shift``."""
    place = np.arange(left.shape[1]) - shift[:, None]
    moved = np.take_along_axis(right, np.clip(place, 0, left.shape[1] - 1), axis=1)
    known = (place >= 0) & (place < left.shape[1]) & (left < UNKNOWN) & (moved < UNKNOWN)
    beside = known.sum(axis=1) - k
    same = ((left == moved) & known).sum(axis=1) - k
    enough: BoolArray = (beside >= FAMILY_LETTERS) & (same >= FAMILY_IDENTITY * beside)
    return enough


def _alike(left: Codes, right: Codes, words: Words, k: int) -> BoolArray:
    """Whether rows that share a word, (m,) each, agree beside it, on either strand."""
    ends = []
    for rows in (left, right):
        found, valid = kmer_codes(rows, k)
        ends.append(((found == words[:, None]) & valid).argmax(axis=1))
    turned, place = reverse_complement(right), right.shape[1] - k - ends[1]
    alike = _agreement(left, right, ends[0] - ends[1], k)
    return alike | _agreement(left, turned, ends[0] - place, k)


def _join_families(
    codes: Codes, k: int, pairs: tuple[IndexArray, IndexArray, Words], group: IndexArray
) -> IndexArray:
    """Groups of parents, joined where two neighbours that carry a common word agree beside it.

    ``codes`` (p, L) are one row per parent; ``pairs`` are neighbours and their word, (e,) each.
    """
    first, second, words = pairs
    for _ in range(FAMILY_ROUNDS):
        apart = group[first] != group[second]
        first, second, words = first[apart], second[apart], words[apart]
        if not len(first):
            break
        asked = np.unique(second, return_index=True)[1]
        parts = np.split(asked, range(COMPARED, len(asked), COMPARED))
        alike = (_alike(codes[first[at]], codes[second[at]], words[at], k) for at in parts)
        joined = asked[np.concatenate([*alike])]
        group = linked(group[first[joined]], group[second[joined]], len(group))[group]
        # A pair that does not agree at one of its words is not asked about another.
        partner = np.full(len(group), -1)
        partner[second[asked]] = first[asked]
        other = first != partner[second]
        first, second, words = first[other], second[other], words[other]
    return group


def _join_strays(codes: Codes, k: int, group: IndexArray) -> IndexArray:
    """Groups of parents: a small one joins the large one that a member of it resembles.

    Otherwise a mutant that shares no longer word with another stays alone.
    """
    large = np.bincount(group)[group] > MAX_PARENTS
    if large.all() or not large.any():
        return group
    # Of a large one some members will do.
    rank = pd.Series(group).groupby(group).cumcount().to_numpy()
    chosen = np.flatnonzero(~large | (rank < MAX_PARENTS))
    words, owner, kind = _carriers(codes[chosen], k, chosen)
    left = np.flatnonzero((kind > 0) & (large[owner] != large[np.roll(owner, 1)]))
    ends = np.stack([owner[left - 1], owner[left]])
    ends = np.where(large[ends[0]], ends, ends[::-1])  # the small one second
    return _join_families(codes, k, (ends[0], ends[1], words[left]), group)


def leak_groups(
    codes: Codes, k: int = 20, parents: ArrayLike | None = None, families: bool = False
) -> IndexArray:
    """Group rows that are relatives: those linked by a chain of shared k-mers on either strand.

    Repetitive k-mers (DUST score above 2) and k-mers found in more than 20 parents do not link:
    they are common by composition, not by descent. With ``families``, for libraries of many mutants
    or tiles of one parent, the latter do where the sequences around them agree, too.

    ``k`` is the length of the shared word, 4 to 31. ``parents`` (n,) are known units of descent
    (element, origin), whose rows are always relatives; by default a parent is a distinct sequence,
    up to reverse complement. Labels (n,) are numbered from 0.

    Examples
    --------
    >>> from lib.sequences import encode
    >>> groups = leak_groups(encode(["ACGTTG", "TTGCCC", "CAACGT"]), k=5)
    >>> bool(groups[0] == groups[2]), bool(groups[0] == groups[1])
    (True, False)
    """
    parent = sequence_ids(codes) if parents is None else _compact(parents)
    n = int(parent.max(initial=-1)) + 1  # of parents
    words, owner, kind = _carriers(codes, k, parent)
    left = np.flatnonzero(kind == LINKS)
    group = linked(owner[left - 1], owner[left], n)
    if families:
        one = np.zeros(n, np.int64)
        one[parent] = np.arange(len(parent))  # the last row of each parent
        left = np.flatnonzero(kind == COMMON)
        part = np.uint64(len(left) // FAMILY_PAIRS + 1)
        left = left[(words[left] * MIX >> np.uint64(40)) % part == 0]
        pairs = owner[left - 1], owner[left], words[left]
        group = _join_families(codes[one], k, pairs, group)
        group = _join_strays(codes[one], min(STRAY_LENGTH, k), group)
    return _compact(group[parent])


def strand_pairs(codes: Codes) -> tuple[IndexArray, IndexArray]:
    """Rows of elements measured in both orientations: forward and reverse, (m,) each.

    Row ``forward[i]`` is the reverse complement of row ``reverse[i]``; each row at most once.
    """
    first: dict[bytes, int] = {}
    pairs = []
    for row, flipped in enumerate(reverse_complement(codes)):
        partner = first.pop(flipped.tobytes(), None)
        if partner is None:
            first[codes[row].tobytes()] = row
        else:
            pairs.append((partner, row))
    index = np.array(pairs, np.int64).reshape(-1, 2)
    return index[:, 0], index[:, 1]


def leak_report(codes: Codes, group: IndexArray, split: Split, k: int = 20) -> pd.DataFrame:
    """What each part shares with the training part.

    Columns ``split, part, measure, value, n``. Measures: ``elements``, ``groups``, ``identical``
    (share of elements whose sequence, or its reverse complement, is in training),
    ``reverse_complement`` (share that is so on the other strand only) and ``shared_word`` (share
    with a common k-mer).
    """
    ids = sequence_ids(codes)
    exact = np.unique(codes, axis=0, return_inverse=True)[1].ravel()
    kmers, valid = kmer_codes(codes, k)
    train = split["train"]
    known = np.unique(kmers[train][valid[train]])
    rows: list[tuple[str, str, float, int]] = []
    for part, members in split.parts.items():
        groups = len(np.unique(group[members]))
        measures: dict[str, float] = {"elements": len(members), "groups": groups}
        if part != "train":
            same = np.isin(ids[members], ids[train])
            words = np.isin(kmers[members], known) & valid[members]
            measures |= {
                "identical": float(same.mean()),
                "reverse_complement": float((same & ~np.isin(exact[members], exact[train])).mean()),
                "shared_word": float(words.any(axis=1).mean()),
            }
        rows += [(part, name, value, len(members)) for name, value in measures.items()]
    table = pd.DataFrame(rows, columns=["part", "measure", "value", "n"])
    table.insert(0, "split", split.name)
    return table

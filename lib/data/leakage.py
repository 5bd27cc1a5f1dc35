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

from lib.arrays import FloatArray, IndexArray
from lib.data.splits import Split
from lib.sequences import Codes, canonical, kmer_codes, reverse_complement

DUST_THRESHOLD = 2.0  # of Morgulis et al. 2006; repeats of period 1 to 3 score above it
MAX_PARENTS = 20  # a k-mer seen in more parents links nothing

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


def leak_groups(codes: Codes, k: int = 20, parents: ArrayLike | None = None) -> IndexArray:
    """Group rows that are relatives: those linked by a chain of shared k-mers on either strand.

    Repetitive k-mers (DUST score above 2) and k-mers found in more than 20 parents do not link:
    they are common by composition, not by descent.

    ``k`` is the length of the shared word, 4 to 31. ``parents`` (n,) are known units of descent
    (element, origin), whose rows are always relatives; by default a parent is a distinct sequence,
    up to reverse complement. Labels (n,) are numbered from 0. Raises ``ValueError`` for a ``k`` out
    of range or ``parents`` of another length.

    Examples
    --------
    >>> from lib.sequences import encode
    >>> groups = leak_groups(encode(["ACGTTG", "TTGCCC", "CAACGT"]), k=5)
    >>> bool(groups[0] == groups[2]), bool(groups[0] == groups[1])
    (True, False)
    """
    if k < 4:
        raise ValueError(f"k is {k}; leak groups need words of at least 4 nt")
    n = len(codes)
    parent = sequence_ids(codes) if parents is None else _compact(parents)
    if len(parent) != n:
        raise ValueError(f"parents has {len(parent)} rows, codes has {n}")
    kmers, valid = kmer_codes(codes, k)
    if not valid.any():
        return parent
    owner = np.broadcast_to(parent[:, None], kmers.shape)[valid]
    words, owner = _sorted_pairs(kmers[valid], owner, 2 * k)
    del kmers, valid
    new_word = np.concatenate([[True], words[1:] != words[:-1]])
    new_pair = new_word | np.concatenate([[True], owner[1:] != owner[:-1]])
    words, owner, new_word = words[new_pair], owner[new_pair], new_word[new_pair]
    start = np.flatnonzero(new_word)
    carriers = np.diff(np.append(start, len(words)))
    shared = np.flatnonzero((carriers >= 2) & (carriers <= MAX_PARENTS))
    shared = shared[dust_score(words[start[shared]], k) <= DUST_THRESHOLD]
    links_word = np.zeros(len(start), bool)
    links_word[shared] = True
    left = np.flatnonzero(links_word[np.cumsum(new_word) - 1] & ~new_word)
    return _compact(linked(owner[left - 1], owner[left], n)[parent])


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
        measures: dict[str, float] = {
            "elements": len(members),
            "groups": len(np.unique(group[members])),
        }
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

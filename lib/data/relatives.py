"""Relatives: sequences that share words, and the groups that must stay on one side of a split.

In: codes ``(n, L)`` and, where known, units of descent. Out: leak groups ``(n,)``.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lib.arrays import FloatArray, IndexArray
from lib.sequences import Codes, canonical, kmer_codes, reverse_complement

DUST_THRESHOLD = 2.0  # of Morgulis et al. 2006; repeats of period 1 to 3 score above it


def dust_score(kmers: NDArray[np.uint64], k: int) -> FloatArray:
    """DUST complexity score of packed k-mers; high means repetitive.

    Parameters
    ----------
    kmers : (m,) uint64 array
        As packed by :func:`lib.sequences.kmer_codes`.
    k : int
        At least 4.

    Returns
    -------
    (m,) float array
        Number of equal pairs of triplets over the number of triplets less one. Not negative.

    References
    ----------
    Morgulis et al. 2006, J. Comput. Biol. 13:1028 (symmetric DUST).
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


def _sorted_pairs(
    words: NDArray[np.uint64], owner: IndexArray, word_bits: int
) -> tuple[NDArray[np.uint64], IndexArray]:
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


def leak_groups(
    codes: Codes,
    k: int = 20,
    max_parents: int = 20,
    parents: ArrayLike | None = None,
) -> IndexArray:
    """Group rows that are relatives: those linked by a chain of shared k-mers on either strand.

    Repetitive k-mers (DUST score above 2) and k-mers found in more than ``max_parents`` parents do
    not link: they are common by composition, not by descent.

    Parameters
    ----------
    codes : (n, L) uint8 array
    k : int
        Length of the shared word, 4 to 31.
    max_parents : int
        A k-mer seen in more parents than this links nothing.
    parents : (n,) array, optional
        Known unit of descent (element, origin); rows of one parent are always relatives. By
        default a parent is a distinct sequence, up to reverse complement.

    Returns
    -------
    (n,) int64 array
        Group labels from 0 on.

    Raises
    ------
    ValueError
        If ``k`` is out of range or ``parents`` has another length than ``codes``.

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
    if n == 0:
        return parent
    kmers, valid = kmer_codes(codes, k)
    owner = np.broadcast_to(parent[:, None], kmers.shape)[valid]
    words, owner = _sorted_pairs(kmers[valid], owner, 2 * k)
    del kmers, valid
    if len(words) == 0:
        return parent
    new_word = np.concatenate([[True], words[1:] != words[:-1]])
    new_pair = new_word | np.concatenate([[True], owner[1:] != owner[:-1]])
    words, owner, new_word = words[new_pair], owner[new_pair], new_word[new_pair]
    start = np.flatnonzero(new_word)
    carriers = np.diff(np.append(start, len(words)))
    shared = np.flatnonzero((carriers >= 2) & (carriers <= max_parents))
    shared = shared[dust_score(words[start[shared]], k) <= DUST_THRESHOLD]
    links_word = np.zeros(len(start), bool)
    links_word[shared] = True
    left = np.flatnonzero(links_word[np.cumsum(new_word) - 1] & ~new_word)
    size = int(parent.max()) + 1
    graph = coo_array(
        (np.ones(len(left), bool), (owner[left - 1], owner[left])), shape=(size, size)
    )
    return _compact(connected_components(graph, directed=False)[1][parent])


def strand_pairs(codes: Codes) -> tuple[IndexArray, IndexArray]:
    """Rows of elements measured in both orientations: forward and reverse, (m,) each.

    Returns
    -------
    forward, reverse : (m,) int64 arrays
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

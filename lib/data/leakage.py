"""Leak report: how much of each part a model could have seen in training.

In: codes, leak groups and a :class:`lib.data.splits.Split`. Out: a tidy table, one row per part and
measure. Nothing per element leaves this module.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lib.arrays import FloatArray, IndexArray
from lib.data.relatives import sequence_ids
from lib.data.splits import Split
from lib.sequences import Codes, kmer_codes

SIMILARITY_K = 12


def _incidence(codes: Codes, k: int, words: NDArray[np.uint64]) -> csr_array:
    """Rows against the sorted ``words``: True where the row holds the word."""
    kmers, valid = kmer_codes(codes, k)
    column = np.searchsorted(words, kmers)
    column[column == len(words)] = 0
    hit = valid & (words[column] == kmers)
    rows = np.nonzero(hit)[0]
    shape = (len(codes), len(words))
    table = csr_array((np.ones(len(rows), np.float32), (rows, column[hit])), shape=shape)
    table.sum_duplicates()
    table.data[:] = 1
    return table


def nearest_similarity(
    queries: Codes, references: Codes, k: int = SIMILARITY_K, chunk: int = 1000
) -> FloatArray:
    """Largest share of a query's distinct k-mers that one reference holds, on either strand.

    Parameters
    ----------
    queries, references : (n, L) and (m, L) uint8 arrays
    k : int
        Length of the words.
    chunk : int
        Queries compared at once; bounds memory.

    Returns
    -------
    (n,) float array
        In [0, 1]; 1 where one reference holds all of the query's words.

    Examples
    --------
    >>> from lib.sequences import encode
    >>> nearest_similarity(encode(["ACGTT", "GGGGG"]), encode(["AACGT", "TTTTT"]), k=3).tolist()
    [1.0, 0.0]
    """
    result = np.zeros(len(queries))
    for start in range(0, len(queries), chunk):
        rows = slice(start, start + chunk)
        kmers, valid = kmer_codes(queries[rows], k)
        words = np.unique(kmers[valid])
        if not len(words):
            continue
        held = _incidence(queries[rows], k, words)
        shared = (held @ _incidence(references, k, words).T).max(axis=1).toarray().ravel()
        own = held.sum(axis=1)
        result[rows] = np.divide(shared, own, out=np.zeros(len(own)), where=own > 0)
    return result


def _share_with_common_word(queries: Codes, references: Codes, k: int) -> float:
    words, valid = kmer_codes(references, k)
    known = np.unique(words[valid])
    kmers, present = kmer_codes(queries, k)
    return float((np.isin(kmers, known) & present).any(axis=1).mean())


def leak_report(codes: Codes, group: IndexArray, split: Split, k: int = 20) -> pd.DataFrame:
    """What each part shares with the training part.

    Parameters
    ----------
    codes : (n, L) uint8 array
    group : (n,) int64 array
        Leak groups.
    split : Split
    k : int
        Word length of the leak groups.

    Returns
    -------
    DataFrame
        Columns ``split, part, measure, value, n``. Measures: ``elements``, ``groups``,
        ``largest_group``, ``identical`` (share of elements whose sequence, or its reverse
        complement, is in training), ``reverse_complement`` (share that is so on the other strand
        only), ``shared_word`` (share with a common k-mer), ``shared_group``, and quantiles of
        ``nearest_similarity``.
    """
    ids = sequence_ids(codes)
    exact = np.unique(codes, axis=0, return_inverse=True)[1].ravel()
    train = split["train"]
    rows: list[tuple[str, str, float, int]] = []
    for part, members in split.parts.items():
        sizes = np.unique(group[members], return_counts=True)[1]
        measures: dict[str, float] = {
            "elements": len(members),
            "groups": len(sizes),
            "largest_group": int(sizes.max()),
        }
        if part != "train":
            same = np.isin(ids[members], ids[train])
            similarity = nearest_similarity(codes[members], codes[train])
            measures |= {
                "identical": float(same.mean()),
                "reverse_complement": float((same & ~np.isin(exact[members], exact[train])).mean()),
                "shared_word": _share_with_common_word(codes[members], codes[train], k),
                "shared_group": float(np.isin(group[members], group[train]).mean()),
                "nearest_similarity_50": float(np.quantile(similarity, 0.5)),
                "nearest_similarity_95": float(np.quantile(similarity, 0.95)),
            }
        rows += [(part, name, value, len(members)) for name, value in measures.items()]
    table = pd.DataFrame(rows, columns=["part", "measure", "value", "n"])
    table.insert(0, "split", split.name)
    return table

"""Sorting: the stable order at the speed of the unstable one where there are no ties."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from lib.metrics._check import FloatArray, IntArray


def has_ties(ordered: FloatArray) -> bool:
    """Whether neighbours in a sorted vector are equal."""
    return bool(np.any(ordered[1:] == ordered[:-1]))


def stable_order(values: FloatArray) -> IntArray:
    """``np.argsort(values, kind="stable")``; ten times faster without ties.

    Examples
    --------
    >>> stable_order(np.array([2.0, 1.0, 2.0])).tolist()
    [1, 0, 2]
    """
    order = np.argsort(values)
    if has_ties(values[order]):
        return np.argsort(values, kind="stable")
    return order


def ranks(values: FloatArray, order: IntArray | None = None) -> FloatArray:
    """Ranks from 1, ties sharing their average; ``order`` is the stable order if known.

    Examples
    --------
    >>> ranks(np.array([2.0, 1.0, 2.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    order = np.argsort(values) if order is None else order
    if has_ties(values[order]):
        return rankdata(values)
    out = np.empty(len(values))
    out[order] = np.arange(1, len(values) + 1)
    return out


def factorise(labels: NDArray) -> tuple[NDArray, IntArray]:
    """Sorted distinct labels and the number of each row's label; no sort for small whole numbers.

    Examples
    --------
    >>> distinct, codes = factorise(np.array([7, 5, 7]))
    >>> distinct.tolist(), codes.tolist()
    ([5, 7], [1, 0, 1])
    """
    if labels.dtype.kind in "iu" and len(labels):
        low, high = int(labels.min()), int(labels.max())
        if high - low <= 2 * len(labels):
            wide = labels if labels.dtype.kind == "u" else labels.astype(np.int64)
            shifted = (wide - wide.min()).astype(np.int64)
            present = np.bincount(shifted) > 0
            number = np.cumsum(present) - 1
            return np.flatnonzero(present).astype(wide.dtype) + wide.min(), number[shifted]
    distinct, codes = np.unique(labels, return_inverse=True)
    return distinct, codes.astype(np.int64)

"""Plain arrays: the validator that public functions call first, orders, ranks and groups.

In: whatever a caller holds (arrays, lists, Series). Out: float64 arrays of one length, or a
``ValueError`` that names the argument, the row, what was seen and what would do. ``n = 0`` passes:
each caller states its own value for it.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
IndexArray = NDArray[np.int64]  # rows of a data set
BoolArray = NDArray[np.bool_]


def as_vector(name: str, values: ArrayLike, n: int | None = None) -> FloatArray:
    """``values`` as a finite float64 vector of length ``n`` (any length when ``n`` is None)."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"{name} has shape {vector.shape}; a vector (n,) would do")
    if n is not None and len(vector) != n:
        raise ValueError(f"{name} has {len(vector)} rows, the other arguments have {n}")
    finite = np.isfinite(vector)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(f"{name} is {vector[row]} in row {row}; only finite values would do")
    return vector


def as_std(name: str, values: ArrayLike, n: int | None = None) -> FloatArray:
    """``values`` as a vector of standard deviations, each above zero."""
    vector = as_vector(name, values, n)
    if vector.size and vector.min() <= 0:
        row = int(np.argmax(vector <= 0))
        raise ValueError(
            f"{name} is {vector[row]} in row {row}; a standard deviation above 0 would do"
        )
    return vector


def as_nonnegative(name: str, values: ArrayLike, n: int) -> FloatArray:
    """``values`` as a vector of ``n`` entries of at least 0."""
    vector = as_vector(name, values, n)
    if n and vector.min() < 0:
        row = int(np.argmin(vector))
        raise ValueError(f"{name} is {vector[row]} in row {row}; at least 0 would do")
    return vector


def as_points(mean: ArrayLike, target: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Checked ``(mean, target)``."""
    checked = as_vector("mean", mean)
    return checked, as_vector("target", target, len(checked))


def as_forecast(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Checked ``(mean, std, target)``."""
    checked, observed = as_points(mean, target)
    return checked, as_std("std", std, len(checked)), observed


def as_level(level: float, name: str = "level") -> float:
    """A probability strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"{name} is {level}; a probability inside (0, 1) would do, such as 0.9")
    return float(level)


def as_count(name: str, value: int, least: int = 1) -> int:
    """A whole number of at least ``least``."""
    if int(value) != value or value < least:
        raise ValueError(f"{name} is {value}; a whole number of at least {least} would do")
    return int(value)


def as_labels(name: str, values: ArrayLike, n: int) -> NDArray:
    """Labels of ``n`` rows, of any type, none missing."""
    labels = np.asarray(values)
    if labels.shape != (n,):
        raise ValueError(f"{name} has shape {labels.shape}; one label per row, ({n},), would do")
    missing = pd.isna(labels)
    if missing.any():
        row = int(np.argmax(missing))
        raise ValueError(f"{name} is missing in row {row}; every row needs a label")
    return labels


def has_ties(ordered: FloatArray) -> bool:
    """Whether neighbours in a sorted vector are equal."""
    return bool((ordered[1:] == ordered[:-1]).any())


def stable_order(values: FloatArray) -> IntArray:
    """``np.argsort(values, kind="stable")``; ten times faster without ties."""
    order = np.argsort(values)
    if has_ties(values[order]):
        return np.argsort(values, kind="stable")
    return order


def ranks(values: FloatArray, order: IntArray | None = None) -> FloatArray:
    """Ranks from 1, ties sharing their average; ``order`` is the stable order if known.

    >>> ranks(np.array([2.0, 1.0, 2.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    order = np.argsort(values) if order is None else order
    if has_ties(values[order]):
        return rankdata(values)
    out = np.empty(len(values))
    out[order] = np.arange(1, len(values) + 1)
    return out


class GroupCodes(NamedTuple):
    """Groups as numbers 0 to ``n_groups - 1``, one per row."""

    codes: IntArray
    n_groups: int


def group_codes(groups: ArrayLike) -> GroupCodes:
    """Number the groups; labels of any type, none missing.

    >>> codes, n_groups = group_codes(["b", "a", "b"])
    >>> codes.tolist(), n_groups
    ([1, 0, 1], 2)
    """
    labels = as_labels("groups", groups, len(np.asarray(groups)))
    codes, unique = pd.factorize(labels, sort=True)
    return GroupCodes(codes, len(unique))

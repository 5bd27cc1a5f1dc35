"""The one validator of all metrics: every public function calls it first.

In: whatever a caller holds (arrays, lists, Series). Out: float64 arrays of one length, or a
``ValueError`` that names the argument, the row, what was seen and what would do. ``n = 0`` passes:
each metric states its own value for it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


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


def as_points(mean: ArrayLike, target: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Checked ``(mean, target)``."""
    checked = as_vector("mean", mean)
    return checked, as_vector("target", target, len(checked))


def as_forecast(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Checked ``(mean, std, target)``."""
    checked = as_vector("mean", mean)
    return checked, as_std("std", std, len(checked)), as_vector("target", target, len(checked))


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
    missing = labels != labels if labels.dtype.kind in "fO" else np.zeros(n, bool)
    if labels.dtype.kind == "O":
        missing = missing | np.array([label is None for label in labels], bool)
    if np.any(missing):
        row = int(np.argmax(missing))
        raise ValueError(f"{name} is missing in row {row}; every row needs a label")
    return labels

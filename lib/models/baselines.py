"""Baselines a network must beat, from arrays: training mean, GC, k-mer ridge, nearest neighbour.

In: codes ``(n, L)`` and targets ``(n,)`` of all rows, and the row indices of the parts ``train``
(fitting) and ``validation`` (choice of the penalty, residual scale). Out: a
:class:`BaselinePrediction` for all n rows, with one standard deviation for all of them. Targets
outside the two parts are never read, so they may be NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge

from lib.arrays import FloatArray, IndexArray
from lib.sequences import Codes, gc_content, kmer_codes

PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0)
LONGEST_MEMORISED = 8  # nt; longer words make the dense profiles large
_ROWS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class BaselinePrediction:
    """Predictions of a baseline.

    Attributes
    ----------
    mean, std : (n,) float64 arrays
        In the target's unit; ``std`` is the same for all rows.
    """

    mean: FloatArray
    std: FloatArray


def _part(target: ArrayLike, index: ArrayLike, name: str) -> tuple[IndexArray, FloatArray]:
    """Rows of a part and their targets, checked."""
    rows = np.asarray(index)
    values = np.asarray(target, np.float64)
    if rows.ndim != 1 or len(rows) == 0 or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(f"{name} must be row indices, at least one, got {rows.dtype} {rows.shape}")
    outside = rows[(rows < 0) | (rows >= len(values))]
    if len(outside):
        raise ValueError(f"{name} holds row {outside[0]}; target has {len(values)} rows")
    chosen = values[rows]
    if not np.isfinite(chosen).all():
        row = rows[np.argmin(np.isfinite(chosen))]
        raise ValueError(f"target row {row} of {name} is {values[row]}; it must be finite")
    return rows.astype(np.int64), chosen


def constant_sigma(mean: ArrayLike, target: ArrayLike, validation: ArrayLike) -> BaselinePrediction:
    """Any mean with one standard deviation: its root mean squared error in distribution.

    Parameters
    ----------
    mean, target : (n,) arrays
    validation : (m,) int array
        Rows in distribution whose targets may be read.

    Returns
    -------
    BaselinePrediction

    Raises
    ------
    ValueError
        If ``validation`` is empty or out of range, or a target there is not finite.

    Examples
    --------
    >>> constant_sigma([0.0, 0.0, 5.0], [3.0, 4.0, float("nan")], [0, 1]).std.round(3).tolist()
    [3.536, 3.536, 3.536]
    """
    rows, observed = _part(target, validation, "validation")
    predicted = np.asarray(mean, np.float64)
    error = float(np.sqrt(np.mean((predicted[rows] - observed) ** 2)))
    return BaselinePrediction(predicted, np.full(len(predicted), error))


def sigma_regression(
    mean: ArrayLike, gc: ArrayLike, target: ArrayLike, validation: ArrayLike
) -> BaselinePrediction:
    """Any mean with a standard deviation linear in GC content and in the mean itself.

    Absolute errors are regressed by least squares and scaled by sqrt(pi / 2), which makes a
    Gaussian's mean absolute error its standard deviation; a tenth of their mean is the floor.

    Parameters
    ----------
    mean, gc : (n,) arrays
    target : (n,) array
        Read on ``validation`` only.
    validation : int array
        At least 4 rows.

    Raises
    ------
    ValueError
        For bad rows, or errors that are all 0.
    """
    rows, observed = _part(target, validation, "validation")
    predicted = np.asarray(mean, np.float64)
    design = np.column_stack([np.ones(len(predicted)), np.asarray(gc, np.float64), predicted])
    error = np.abs(predicted[rows] - observed) * np.sqrt(np.pi / 2)
    if len(rows) < 4 or not error.mean() > 0:
        raise ValueError(f"{len(rows)} validation rows with mean error {error.mean()}; 4 would do")
    slopes = np.linalg.lstsq(design[rows], error, rcond=None)[0]
    return BaselinePrediction(predicted, np.maximum(design @ slopes, 0.1 * error.mean()))


def training_mean(target: ArrayLike, train: ArrayLike) -> BaselinePrediction:
    """The training part's mean and standard deviation for every row.

    Examples
    --------
    >>> training_mean([1.0, 3.0, 9.0], [0, 1]).mean.tolist()
    [2.0, 2.0, 2.0]
    """
    _, observed = _part(target, train, "train")
    shape = len(np.asarray(target))
    return BaselinePrediction(np.full(shape, observed.mean()), np.full(shape, observed.std()))


def _best_ridge(
    features: csr_array | FloatArray,
    target: ArrayLike,
    train: ArrayLike,
    validation: ArrayLike,
    penalties: Sequence[float],
) -> BaselinePrediction:
    """Ridge with the penalty whose validation error is least."""
    rows, observed = _part(target, train, "train")
    if len(penalties) == 0 or min(penalties) <= 0:
        raise ValueError(f"penalties is {tuple(penalties)}; give at least one, all positive")
    candidates = []
    for penalty in penalties:
        model = Ridge(alpha=penalty).fit(features[rows], observed)
        candidates.append(constant_sigma(model.predict(features), target, validation))
    return min(candidates, key=lambda candidate: candidate.std[0])


def feature_ridge(
    features: FloatArray,
    target: ArrayLike,
    train: ArrayLike,
    validation: ArrayLike,
    penalties: Sequence[float] = PENALTIES,
) -> BaselinePrediction:
    """Ridge regression on given features, such as a simulated world's true occupancies.

    Parameters
    ----------
    features : (n, p) float array
        Standardised on the training part before the penalty applies.
    target, train, validation, penalties
        As for :func:`kmer_ridge`.

    Returns
    -------
    BaselinePrediction

    Raises
    ------
    ValueError
        For bad parts or penalties.
    """
    rows, _ = _part(target, train, "train")
    spread = features[rows].std(axis=0)
    standard = (features - features[rows].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return _best_ridge(standard, target, train, validation, penalties)


def gc_ridge(
    codes: Codes,
    target: ArrayLike,
    train: ArrayLike,
    validation: ArrayLike,
    degree: int = 3,
    penalties: Sequence[float] = (1.0,),
) -> BaselinePrediction:
    """Ridge on powers of GC content, standardised on the training part.

    Parameters
    ----------
    codes : (n, L) uint8 array
    target : (n,) array
    train, validation : int arrays
        Row indices.
    degree : int
        Highest power, 1 or more.
    penalties : sequence of float
        Tried on ``validation``.

    Returns
    -------
    BaselinePrediction

    Raises
    ------
    ValueError
        If a row holds nothing but N, and for bad parts or penalties.
    """
    gc = gc_content(codes)
    if np.isnan(gc).any():
        raise ValueError(f"codes row {int(np.argmax(np.isnan(gc)))} has no GC content, only N")
    rows, _ = _part(target, train, "train")
    scale = gc[rows].std()
    centred = (gc - gc[rows].mean()) / (scale if scale > 0 else 1.0)
    powers = centred[:, None] ** np.arange(1, degree + 1)
    return _best_ridge(powers, target, train, validation, penalties)


def _packed_kmers(codes: Codes, k: int, oriented: bool) -> tuple[NDArray[np.uint64], NDArray]:
    if not oriented:
        return kmer_codes(codes, k)
    _, valid = kmer_codes(codes, k)  # checks k and finds the windows without N
    packed = np.zeros(valid.shape, np.uint64)
    base = np.where(codes > 3, 0, codes).astype(np.uint64)
    for offset in range(k):
        packed = (packed << np.uint64(2)) | base[:, offset : offset + valid.shape[1]]
    return packed, valid


def kmer_counts(codes: Codes, k: int, oriented: bool = False) -> csr_array:
    """Count the k-mers of each row.

    Parameters
    ----------
    codes : (n, L) uint8 array
    k : int
        1 to min(31, L).
    oriented : bool
        False counts a k-mer and its reverse complement as one.

    Returns
    -------
    (n, number of distinct k-mers present) sparse float64 array
        Columns in the order of the packed k-mers; windows with an N are not counted.

    Examples
    --------
    >>> from lib.sequences import encode
    >>> kmer_counts(encode(["AAAC", "GTTT"]), 2).toarray().tolist()
    [[2.0, 1.0], [2.0, 1.0]]
    >>> kmer_counts(encode(["AAAC", "GTTT"]), 2, oriented=True).shape
    (2, 4)
    """
    packed, valid = _packed_kmers(codes, k, oriented)
    words, column = np.unique(packed[valid], return_inverse=True)
    row = np.broadcast_to(np.arange(len(codes))[:, None], valid.shape)[valid]
    counts = csr_array((np.ones(len(row)), (row, column)), shape=(len(codes), len(words)))
    counts.sum_duplicates()
    return counts


def kmer_ridge(
    codes: Codes,
    target: ArrayLike,
    train: ArrayLike,
    validation: ArrayLike,
    k: int = 6,
    oriented: bool = False,
    penalties: Sequence[float] = PENALTIES,
) -> BaselinePrediction:
    """Ridge regression on log(1 + count) of each k-mer.

    The logarithm keeps repeats from dominating the fit.

    Parameters
    ----------
    codes : (n, L) uint8 array
    target : (n,) array
    train, validation : int arrays
        Row indices; the penalty is chosen and the residual scale taken on ``validation``.
    k : int
    oriented : bool
        False counts both strands together.
    penalties : sequence of float
        Ridge penalties to choose from.

    Returns
    -------
    BaselinePrediction

    Raises
    ------
    ValueError
        For bad parts, k or penalties.
    """
    counts = kmer_counts(codes, k, oriented).log1p()
    return _best_ridge(counts, target, train, validation, penalties)


def memoriser(
    codes: Codes,
    target: ArrayLike,
    train: ArrayLike,
    validation: ArrayLike,
    k: int = 6,
    oriented: bool = False,
) -> BaselinePrediction:
    """Target of the training row with the most similar k-mer profile: what memory alone buys.

    Similarity is the cosine between k-mer counts. The first of equally near rows is taken; a row
    that shares no k-mer with any training row gets the training mean. A training row finds itself,
    or its first copy.

    Parameters
    ----------
    codes : (n, L) uint8 array
    target : (n,) array
    train, validation : int arrays
        Row indices.
    k : int
        1 to 8.
    oriented : bool
        False compares both strands together.

    Returns
    -------
    BaselinePrediction

    Raises
    ------
    ValueError
        For bad parts or k.
    """
    rows, observed = _part(target, train, "train")
    if k > LONGEST_MEMORISED:
        raise ValueError(f"k is {k}; the profiles are dense, so k is at most {LONGEST_MEMORISED}")
    counts = kmer_counts(codes, k, oriented).astype(np.float32)
    length = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    weights = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    library = counts[rows].toarray().T
    mean = np.full(len(codes), observed.mean())
    for start in range(0, len(codes), _ROWS_AT_ONCE):
        here = slice(start, start + _ROWS_AT_ONCE)
        # Products of counts are exact, so that no number of threads breaks a tie in its own way.
        similarity = counts[here].toarray() @ library
        similarity *= weights[rows]
        nearest = similarity.argmax(axis=1)
        found = similarity[np.arange(len(nearest)), nearest] > 0
        mean[here][found] = observed[nearest[found]]
    return constant_sigma(mean, target, validation)

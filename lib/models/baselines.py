"""Baselines a network must beat, from arrays: training mean, GC, k-mer ridge, nearest neighbour.

In: codes ``(n, L)`` and targets ``(n,)`` of all rows, and the row indices of the parts ``train``
(fitting) and ``validation`` (choice of the penalty, residual scale). Out: a
:class:`BaselinePrediction` for all n rows, with one standard deviation for all of them. Targets
outside the two parts are never read, so they may be NaN. Strands are read together unless elements
are ``oriented``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge

from lib.arrays import FloatArray, IndexArray
from lib.sequences import Codes, gc_content, kmer_codes

K = 6  # of the words that are counted
PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0)
_ROWS_AT_ONCE = 2048


class BaselinePrediction(NamedTuple):
    """Mean and standard deviation ``(n,)`` in the target's unit."""

    mean: FloatArray
    std: FloatArray


def constant_sigma(mean: ArrayLike, target: ArrayLike, validation: ArrayLike) -> BaselinePrediction:
    """Any mean with one standard deviation: its root mean squared error in distribution.

    >>> constant_sigma([0.0, 0.0, 5.0], [3.0, 4.0, float("nan")], [0, 1]).std.round(3).tolist()
    [3.536, 3.536, 3.536]
    """
    predicted = np.asarray(mean, np.float64)
    error = (predicted - np.asarray(target, np.float64))[np.asarray(validation)]
    return BaselinePrediction(predicted, np.full(len(predicted), np.sqrt(np.mean(error**2))))


def training_mean(target: ArrayLike, train: IndexArray) -> BaselinePrediction:
    """The training part's mean and standard deviation for every row."""
    values = np.asarray(target, np.float64)
    shape, observed = len(values), values[train]
    return BaselinePrediction(np.full(shape, observed.mean()), np.full(shape, observed.std()))


def _ridge(
    features: csr_array | FloatArray,
    target: ArrayLike,
    train: IndexArray,
    validation: IndexArray,
    penalties: Sequence[float] = PENALTIES,
) -> BaselinePrediction:
    """Ridge with the penalty whose validation error is least."""
    fitted = features[train], np.asarray(target, np.float64)[train]
    models = [Ridge(alpha=penalty).fit(*fitted) for penalty in penalties]
    found = [constant_sigma(model.predict(features), target, validation) for model in models]
    return min(found, key=lambda candidate: candidate.std[0])


def _standardised(values: FloatArray, train: IndexArray) -> FloatArray:
    spread = values[train].std(axis=0)
    return np.asarray((values - values[train].mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def feature_ridge(
    features: FloatArray, target: ArrayLike, train: IndexArray, validation: IndexArray
) -> BaselinePrediction:
    """Ridge on given features ``(n, p)``, such as a simulated world's true occupancies."""
    return _ridge(_standardised(features, train), target, train, validation)


def gc_ridge(
    codes: Codes, target: ArrayLike, train: IndexArray, validation: IndexArray
) -> BaselinePrediction:
    """Ridge on GC content, its square and its cube; no row may hold nothing but N."""
    gc = gc_content(codes)
    if np.isnan(gc).any():
        raise ValueError(f"codes row {int(np.argmax(np.isnan(gc)))} has no GC content, only N")
    powers = _standardised(gc, train)[:, None] ** np.arange(1, 4)
    return _ridge(powers, target, train, validation, penalties=(1.0,))


def kmer_counts(codes: Codes, k: int, oriented: bool = False) -> csr_array:
    """Counts of the k-mers of each row, ``(n, number of distinct k-mers present)``.

    Columns are in the order of the packed k-mers; windows with an N are not counted.

    >>> from lib.sequences import encode
    >>> kmer_counts(encode(["AAAC", "GTTT"]), 2).toarray().tolist()
    [[2.0, 1.0], [2.0, 1.0]]
    >>> kmer_counts(encode(["AAAC", "GTTT"]), 2, oriented=True).shape
    (2, 4)
    """
    packed, valid = kmer_codes(codes, k)
    if oriented:
        packed = np.zeros(valid.shape, np.uint64)
        base = np.where(codes > 3, 0, codes).astype(np.uint64)
        for offset in range(k):
            packed = (packed << np.uint64(2)) | base[:, offset : offset + valid.shape[1]]
    words, column = np.unique(packed[valid], return_inverse=True)
    row = np.broadcast_to(np.arange(len(codes))[:, None], valid.shape)[valid]
    counts = csr_array((np.ones(len(row)), (row, column)), shape=(len(codes), len(words)))
    counts.sum_duplicates()
    return counts


def kmer_ridge(
    codes: Codes, target: ArrayLike, train: IndexArray, validation: IndexArray, oriented: bool
) -> BaselinePrediction:
    """Ridge on log(1 + count) of each 6-mer, so that repeats do not dominate the fit."""
    return _ridge(kmer_counts(codes, K, oriented).log1p(), target, train, validation)


def memoriser(
    codes: Codes, target: ArrayLike, train: IndexArray, validation: IndexArray, oriented: bool
) -> BaselinePrediction:
    """Target of the training row with the most similar 6-mer profile: what memory alone buys.

    Similarity is the cosine between counts. The first of equally near rows is taken; a row that
    shares no word with any training row gets the training mean. A training row finds itself, or its
    first copy.
    """
    observed = np.asarray(target, np.float64)[train]
    counts = kmer_counts(codes, K, oriented).astype(np.float32)
    length = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    weights = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    library = counts[train].toarray().T
    mean = np.full(len(codes), observed.mean())
    for start in range(0, len(codes), _ROWS_AT_ONCE):
        here = slice(start, start + _ROWS_AT_ONCE)
        # Products of counts are exact, so that no number of threads breaks a tie in its own way.
        similarity = counts[here].toarray() @ library
        similarity *= weights[train]
        nearest = similarity.argmax(axis=1)
        found = similarity[np.arange(len(nearest)), nearest] > 0
        mean[here][found] = observed[nearest[found]]
    return constant_sigma(mean, target, validation)

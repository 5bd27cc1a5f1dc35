"""Kernel forecasters: Gaussian processes on motif scores or on k-mers, with a std of their own.

In: features ``(n, p)`` of all rows (:func:`motif_scores`, :func:`kmer_profiles`), targets of the
training rows and leak groups. Out: a :class:`KernelForecast` of all n rows; that of a training row
is what the process says of it when its whole group is left out, in closed form.

The kernel is exp(-γ (1 - cosine)) of standardised features. γ and the noise λ (in units of the
signal variance) are those with the least squared error on training groups that are left out, on at
most ``CHOICE_ROWS`` rows. The variance is a log-linear regression of squared left-out residuals on
the process's variance, its mean and GC content (Harvey 1976), because a process with one λ knows
of no noise that depends on the element.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky
from scipy.linalg.lapack import dpotri
from sklearn.linear_model import LinearRegression

from lib.arrays import FloatArray, IndexArray
from lib.models.baselines import kmer_counts
from lib.motifs.priors import motif_features
from lib.motifs.pwm import PWM
from lib.sequences import Codes, gc_content

WIDTHS = (0.5, 1.0, 2.0, 4.0)  # γ
NOISES = (0.3, 1.0, 3.0)  # λ
CHOICE_ROWS = 4000
WORD = 6


class KernelForecast(NamedTuple):
    """Forecast of all rows, and what was chosen.

    Attributes
    ----------
    mean, std : (n,) float arrays
        Of the measurement; for training rows with their group left out.
    width, noise : float
        γ and λ.
    """

    mean: FloatArray
    std: FloatArray
    width: float
    noise: float


def motif_scores(codes: Codes, pwms: Sequence[PWM]) -> FloatArray:
    """Best log odds and log(1 + occupancy) of each motif, both strands together: ``(n, 2 m)``.

    Raises
    ------
    ValueError
        If a motif is longer than the sequences, or for a bad set of motifs.
    """
    found = motif_features(codes, pwms).astype(np.float64)
    best, occupied = found[:, : len(pwms)], found[:, len(pwms) : 2 * len(pwms)]
    return np.hstack([best, np.log1p(occupied)])


def kmer_profiles(codes: Codes, oriented: bool = False) -> FloatArray:
    """log(1 + count) of each 6-mer that occurs; its complement counts as it unless ``oriented``."""
    return kmer_counts(codes, WORD, oriented).log1p().toarray()


def kernel_forecast(
    features: FloatArray, codes: Codes, target: FloatArray, train: IndexArray, group: IndexArray
) -> KernelForecast:
    """Fit a Gaussian process on the rows ``train`` and forecast all rows.

    Parameters
    ----------
    features : (n, p) float array
    codes : (n, L) uint8 array
        For GC content, on which the variance may depend.
    target : (n,) float array
        Read on ``train`` alone.
    train : (m,) int array
    group : (n,) int array
        Leak groups: what is left out together.

    Raises
    ------
    ValueError
        With fewer than 20 training rows or 10 groups among them.
    """
    groups = np.unique(group[train])
    if len(train) < 20 or len(groups) < 10:
        raise ValueError(
            f"{len(train)} training rows in {len(groups)} groups; a kernel needs 20 in 10 groups"
        )
    cosine = _cosines(features, train)
    few = _some_groups(train, group)

    def error(chosen: tuple[float, float]) -> float:
        return float(np.mean(_left_out(cosine, target, few, group, *chosen).residual ** 2))

    width, noise = min(product(WIDTHS, NOISES), key=error)
    left = _left_out(cosine, target, train, group, width, noise)
    mean, variance = _of_all(cosine, left, train, width, noise)
    mean[train], variance[train] = target[train] - left.residual, left.variance
    gc = np.nan_to_num(gc_content(codes), nan=0.5)
    told = np.column_stack([np.log(variance) / 2, mean, gc])
    squared = left.residual**2
    line = LinearRegression().fit(told[train], np.log(squared + 1e-3 * squared.mean()))
    std = np.exp(line.predict(told) / 2)
    std *= np.sqrt(np.mean(squared / std[train] ** 2))
    return KernelForecast(mean, std, width, noise)


def _cosines(features: FloatArray, train: IndexArray) -> NDArray[np.float32]:
    spread = features[train].std(axis=0)
    kept = spread > 0
    standard = (features[:, kept] - features[train][:, kept].mean(axis=0)) / spread[kept]
    length = np.linalg.norm(standard, axis=1, keepdims=True)
    standard /= np.where(length > 0, length, 1.0)
    single = standard.astype(np.float32)
    return single @ single.T


def _kernel(
    cosine: NDArray[np.float32], rows: IndexArray, columns: IndexArray, width: float
) -> FloatArray:
    kernel = cosine[np.ix_(rows, columns)].astype(np.float64)
    kernel -= 1
    kernel *= width
    return np.exp(kernel, out=kernel)


def _some_groups(train: IndexArray, group: IndexArray) -> IndexArray:
    """Whole groups of the training rows, drawn at random, up to CHOICE_ROWS."""
    if len(train) <= CHOICE_ROWS:
        return train
    labels, sizes = np.unique(group[train], return_counts=True)
    order = np.random.default_rng(0).permutation(len(labels))
    chosen = labels[order[np.cumsum(sizes[order]) <= CHOICE_ROWS]]
    return train[np.isin(group[train], chosen)]


class _Process(NamedTuple):
    """A Gaussian process: residuals and variances of its rows with their groups left out, parts."""

    residual: FloatArray
    variance: FloatArray
    inverse: FloatArray
    weights: FloatArray
    location: float
    signal: float


def _left_out(
    cosine: NDArray[np.float32],
    target: FloatArray,
    rows: IndexArray,
    group: IndexArray,
    width: float,
    noise: float,
) -> _Process:
    """Leave-group-out residuals from one inverse (Rasmussen and Williams 2006, 5.4.2, by blocks).

    With K the kernel plus noise, the residuals of a group are [(K^-1)_gg]^-1 (K^-1 y)_g and their
    covariance is [(K^-1)_gg]^-1.
    """
    location = float(target[rows].mean())
    # Of 20,000 rows one matrix takes 3 GB: each step overwrites the one before.
    kernel = _kernel(cosine, rows, rows, width)
    kernel[np.diag_indices_from(kernel)] += noise
    factor = cholesky(kernel.T, lower=True, overwrite_a=True)
    inverse, _ = dpotri(factor, lower=1, overwrite_c=True)
    for row in range(len(rows)):
        inverse[row, row + 1 :] = inverse[row + 1 :, row]
    centred = target[rows] - location
    weights = inverse @ centred
    signal = float(centred @ weights / len(rows))
    residual, variance = np.empty((2, len(rows)))
    order = np.argsort(group[rows], kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(group[rows][order])) + 1):
        block = np.linalg.inv(inverse[np.ix_(own, own)])
        residual[own], variance[own] = block @ weights[own], np.diag(block)
    return _Process(residual, signal * variance, inverse, weights, location, signal)


def _of_all(
    cosine: NDArray[np.float32], known: _Process, train: IndexArray, width: float, noise: float
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance ``(n,)`` of a measurement of every row; those of training rows are 0."""
    others = np.setdiff1d(np.arange(len(cosine)), train)
    cross = _kernel(cosine, others, train, width)
    mean, variance = np.zeros((2, len(cosine)))
    mean[others] = known.location + cross @ known.weights
    explained = np.einsum("ij,ij->i", cross @ known.inverse, cross)
    variance[others] = known.signal * np.maximum(1 + noise - explained, noise)
    return mean, variance

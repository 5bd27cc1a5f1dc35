"""Detecting a shift without labels: two-sample tests and density ratios.

In: features ``(n, p)`` of a reference and a new part (GC, k-mer counts, embeddings; a vector counts
as one feature), never targets. Out: a statistic with a permutation p-value, or a ratio per element.
A change of the labels at fixed features therefore leaves all of them where they were, by
construction: silence says nothing about a concept shift.

A detector says which rows are judged and by which statistic; :func:`shift_test` is its test.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist, squareform
from sklearn.linear_model import LogisticRegression

from lib.arrays import BoolArray, FloatArray, IntArray, as_count, as_vector, group_codes, ranks

MAX_ROWS = 1000  # rows per side in the kernel test; more are subsampled
Sides = tuple[ArrayLike, ArrayLike]  # of elements in distribution, and of new ones


class ShiftTest(NamedTuple):
    """A statistic (0, or .5 for AUC, without a shift) and its permutation p-value."""

    statistic: float
    p: float


def as_features(name: str, values: ArrayLike, columns: int | None = None) -> FloatArray:
    """``values`` as a finite ``(n, p)`` float64 matrix; a vector becomes one column."""
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim != 2 or (columns is not None and matrix.shape[1] != columns):
        wanted = "(n, p)" if columns is None else f"(n, {columns})"
        raise ValueError(f"{name} has shape {matrix.shape}; {wanted} would do")
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(f"{name} is not finite in row {row}; only finite values would do")
    return matrix


class Pooled(NamedTuple):
    """Both parts together: features standardised ``(n + m, p)``, which rows are new, groups."""

    features: FloatArray
    new: BoolArray
    groups: IntArray

    def take(self, rows: NDArray[Any]) -> "Pooled":
        """Some of the rows."""
        return Pooled(*(values[rows] for values in self))


def _pool(reference: ArrayLike, new: ArrayLike, groups: Sides | None) -> Pooled:
    left = as_features("reference", reference)
    right = as_features("new", new, left.shape[1])
    features = np.concatenate([left, right])
    spread = features.std(axis=0)
    features = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    is_new = np.repeat([False, True], [len(left), len(right)])
    if groups is None:
        return Pooled(features, is_new, np.arange(len(features)))
    sides = [np.asarray(labels) for labels in groups]
    shared = np.intersect1d(sides[0], sides[1])
    if len(shared):
        raise ValueError(f"group {shared[0]!r} is in both parts; disjoint groups would do")
    codes = [group_codes(side) for side in sides]
    together = np.concatenate([codes[0].codes, codes[1].codes + codes[0].n_groups])
    return Pooled(features, is_new, together)


# Rows that are judged, and a statistic of memberships of the new part (rows, permutations + 1).
Judged = tuple[Pooled, Callable[[FloatArray], FloatArray]]


def shift_test(
    detector: Callable[[Pooled, np.random.Generator], Judged],
    reference: ArrayLike,
    new: ArrayLike,
    rng: np.random.Generator,
    *,
    groups: Sides | None = None,
    permutations: int = 500,
) -> ShiftTest:
    """Whether ``new`` ``(m, p)`` is of the law of ``reference`` ``(n, p)``, asked of a detector.

    p is the share of all statistics, the observed one included, that reach it; it is valid for
    exchangeable rows. Relatives are not: with ``groups``, a pair of labels ``(n,)`` and ``(m,)`` of
    which none is in both, whole groups change sides.

    Shapes that differ, values not finite and a group in both parts are a ValueError.
    """
    judged, statistic = detector(_pool(reference, new, groups), rng)
    _, codes = np.unique(judged.groups, return_inverse=True)
    side = np.zeros((codes.max() + 1, 1))
    side[codes, 0] = judged.new
    sides = np.repeat(side, as_count("permutations", permutations), axis=1)
    found = statistic(np.hstack([side, rng.permuted(sides, axis=0)])[codes])
    reach = found[0] - 1e-12 * abs(found[0])
    return ShiftTest(float(found[0]), float(np.mean(found >= reach)))


def domain_classifier(pooled: Pooled, rng: np.random.Generator) -> Judged:
    """Can a classifier tell new from reference? AUC on a held-out half, permuted there.

    Logistic regression on the features and their squares, fitted on a random half of the groups.
    Sees shifts of means and spreads, not of higher moments or of dependence. The statistic is the
    held-out AUC. Source: Lopez-Paz & Oquab 2017.
    """
    train = np.zeros(len(pooled.new), bool)
    for side in (False, True):  # half of each side's groups, so that both halves hold both sides
        own = rng.permutation(np.unique(pooled.groups[pooled.new == side]))
        if len(own) < 2:
            raise ValueError("each part needs at least 2 groups, one for either half")
        train |= np.isin(pooled.groups, own[: len(own) // 2])
    design = np.concatenate([pooled.features, pooled.features**2], axis=1)
    model = LogisticRegression(max_iter=1000).fit(design[train], pooled.new[train])
    rank = ranks(model.decision_function(design[~train]))

    def auc(member: FloatArray) -> FloatArray:
        ones = member.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            area = (rank @ member - ones * (ones + 1) / 2) / (ones * (len(member) - ones))
        return np.nan_to_num(area, nan=0.5)

    return pooled.take(~train), auc


def mean_discrepancy(pooled: Pooled, rng: np.random.Generator) -> Judged:
    """Squared maximum mean discrepancy with a Gaussian kernel at the median distance.

    Sees any change of the law given enough rows, but loses power with many features. At most 1,000
    rows of each part are used. The statistic is the biased estimate. Source: Gretton et al. 2012.
    """
    kept = []
    for side in (False, True):
        own = np.flatnonzero(pooled.new == side)
        few = len(own) <= MAX_ROWS
        kept.append(own if few else np.sort(rng.choice(own, MAX_ROWS, replace=False)))
    pooled = pooled.take(np.concatenate(kept))
    distance = pdist(pooled.features)
    middle = float(np.median(distance))
    kernel = np.exp(-(squareform(distance) ** 2) / (2 * middle**2 if middle > 0 else 1.0))

    def discrepancy(member: FloatArray) -> FloatArray:
        rest = 1 - member
        from_new, m, n = kernel @ member, member.sum(axis=0), rest.sum(axis=0)
        both, cross = (member * from_new).sum(axis=0), (rest * from_new).sum(axis=0)
        inside = kernel.sum() - both - 2 * cross
        return np.asarray(both / m**2 + inside / n**2 - 2 * cross / (m * n))

    return pooled, discrepancy


def mean_distance(pooled: Pooled, rng: np.random.Generator) -> Judged:
    """Squared Mahalanobis distance between the mean features (embeddings) of both parts.

    Pooled covariance with a ridge of 1e-6 of its mean variance. Sees a shift of the mean alone, and
    that in few rows.
    """
    covariance = np.atleast_2d(np.cov(pooled.features, rowvar=False))
    size = len(covariance)
    ridge = 1e-6 * max(float(np.trace(covariance)) / size, 1e-12)
    root = np.linalg.cholesky(covariance + ridge * np.eye(size))
    white = np.linalg.solve(root, pooled.features.T).T

    def distance(member: FloatArray) -> FloatArray:
        m, total = member.sum(axis=0)[:, None], member.T @ white
        gap = total / m - (white.sum(axis=0) - total) / (len(member) - m)
        return np.asarray((gap**2).sum(axis=1))

    return pooled, distance


def centre_distance(reference: ArrayLike, query: ArrayLike) -> FloatArray:
    """|query - mean of the reference| in its standard deviations, ``(m,)``.

    The GC distance, and with predicted means the trivial score "far from average". The reference
    must vary.
    """
    reference = as_vector("reference", reference)
    return np.abs(as_vector("query", query) - reference.mean()) / reference.std()


def density_ratio(reference: ArrayLike, new: ArrayLike, *at: ArrayLike) -> list[FloatArray]:
    """Estimated density ratio new / reference at the rows of each ``at``.

    Logistic regression on features and squares: exact in form for an exponential tilt and for two
    Gaussians, in units of its mean over the reference. Outside the reference's support no ratio
    exists, and the value may be huge: intervals weighted by it are then infinite, as they should
    be. Check its ``n_eff``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ratio, = density_ratio(rng.normal(0, 1, 5000), rng.normal(1, 1, 5000), [0.5])
    >>> bool(0.8 < ratio[0] < 1.25)  # exp(x - 1/2) is 1 at one half
    True
    """
    left = as_features("reference", reference)
    right = as_features("new", new, left.shape[1])
    centre, spread = left.mean(axis=0), left.std(axis=0)
    spread = np.where(spread > 0, spread, 1)

    def design(values: ArrayLike) -> FloatArray:
        scaled = (as_features("at", values, left.shape[1]) - centre) / spread
        return np.concatenate([scaled, scaled**2], axis=1)

    labels = np.repeat([0, 1], [len(left), len(right)])
    both = np.concatenate([design(left), design(right)])
    fitted = LogisticRegression(C=1e3, max_iter=2000).fit(both, labels)
    offset = np.log(len(left) / len(right))
    scale, *ratios = (
        np.exp(np.clip(fitted.decision_function(design(values)) + offset, -700, 700))
        for values in (left, *at)
    )
    return [ratio / scale.mean() for ratio in ratios]

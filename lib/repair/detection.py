"""Detecting a shift without labels: two-sample tests and per-element scores.

In: features ``(n, p)`` of a reference and a new part (GC, k-mer counts, embeddings; a vector counts
as one feature), never targets. Out: a statistic with a permutation p-value, or a score per element.
A change of the labels at fixed features therefore leaves all of them where they were, by
construction: silence says nothing about a concept shift.

p-values are valid for exchangeable rows. Relatives are not: pass ``groups`` and whole groups change
sides.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist, pdist
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors

from lib.arrays import FloatArray, IntArray, as_count, as_vector, group_codes, ranks

ROC = "area under ROC"
MAX_ROWS = 1000  # rows per side in the kernel test; more are subsampled


class ShiftTest(NamedTuple):
    """A statistic (0, or .5 for AUC, without a shift) and its permutation p-value."""

    statistic: float
    p: float
    permutations: int


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


class _Pooled(NamedTuple):
    features: FloatArray  # standardised over both parts, (n + m, p)
    new: NDArray[np.bool_]
    groups: IntArray


def _pool(
    reference: ArrayLike, new: ArrayLike, groups: tuple[ArrayLike, ArrayLike] | None
) -> _Pooled:
    left = as_features("reference", reference)
    right = as_features("new", new, left.shape[1])
    for name, part in (("reference", left), ("new", right)):
        if len(part) < 2:
            raise ValueError(f"{name} has {len(part)} rows; at least 2 would do")
    features = np.concatenate([left, right])
    spread = features.std(axis=0)
    features = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    is_new = np.repeat([False, True], [len(left), len(right)])
    if groups is None:
        return _Pooled(features, is_new, np.arange(len(features)))
    sides = [group_codes(labels) for labels in groups]
    if [len(side.codes) for side in sides] != [len(left), len(right)]:
        raise ValueError("groups must hold one label per row of reference and of new")
    shared = np.intersect1d(np.asarray(groups[0]), np.asarray(groups[1]))
    if len(shared):
        raise ValueError(f"group {shared[0]!r} is in both parts; disjoint groups would do")
    codes = np.concatenate([sides[0].codes, sides[1].codes + sides[0].n_groups])
    return _Pooled(features, is_new, codes)


def _permuted(
    new: NDArray[np.bool_], groups: IntArray, permutations: int, rng: np.random.Generator
) -> FloatArray:
    """Membership of the new part ``(rows, permutations + 1)``, the observed one first."""
    _, codes = np.unique(groups, return_inverse=True)
    side = np.zeros(codes.max() + 1)
    side[codes] = new
    drawn = rng.permuted(np.repeat(side[:, None], permutations, axis=1), axis=0)
    return np.concatenate([side[:, None], drawn], axis=1)[codes]


def _p_value(statistics: FloatArray) -> float:
    """Share of all statistics, the observed first one included, that reach it."""
    reach = statistics[0] - 1e-12 * abs(statistics[0])
    return float(np.mean(statistics >= reach))


def domain_classifier_test(
    reference: ArrayLike,
    new: ArrayLike,
    rng: np.random.Generator,
    *,
    groups: tuple[ArrayLike, ArrayLike] | None = None,
    permutations: int = 500,
) -> ShiftTest:
    """Can a classifier tell new from reference? AUC on a held-out half, permuted there.

    Logistic regression on the features and their squares, fitted on a random half of the groups.
    Sees shifts of means and spreads, not of higher moments or of dependence. The statistic is the
    held-out AUC. Source: Lopez-Paz & Oquab 2017.

    Parameters
    ----------
    reference, new : (n, p), (m, p) arrays
    groups : pair of (n,) and (m,) labels, optional
        Disjoint between the parts.
    permutations : int

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> test = domain_classifier_test(rng.normal(0, 1, 300), rng.normal(1, 1, 300), rng)
    >>> test.statistic > 0.7, test.p < 0.01
    (True, True)
    """
    features, is_new, codes = _pool(reference, new, groups)
    train = np.zeros(len(is_new), bool)
    for side in (False, True):  # half of each side's groups, so that both halves hold both sides
        own = rng.permutation(np.unique(codes[is_new == side]))
        if len(own) < 2:
            raise ValueError("each part needs at least 2 groups, one for either half")
        train |= np.isin(codes, own[: len(own) // 2])
    design = np.concatenate([features, features**2], axis=1)
    model = LogisticRegression(max_iter=1000).fit(design[train], is_new[train])
    held = ~train
    rank = ranks(model.decision_function(design[held]))[:, None]
    member = _permuted(is_new[held], codes[held], as_count("permutations", permutations), rng)
    ones = member.sum(axis=0)
    zeros = len(member) - ones
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = ((rank * member).sum(axis=0) - ones * (ones + 1) / 2) / (ones * zeros)
    return ShiftTest(float(auc[0]), _p_value(np.nan_to_num(auc, nan=0.5)), permutations)


def _subsample(pooled: _Pooled, most: int, rng: np.random.Generator) -> _Pooled:
    rows = []
    for side in (False, True):
        own = np.flatnonzero(pooled.new == side)
        rows.append(own if len(own) <= most else np.sort(rng.choice(own, most, replace=False)))
    kept = np.concatenate(rows)
    return _Pooled(pooled.features[kept], pooled.new[kept], pooled.groups[kept])


def mmd_test(
    reference: ArrayLike,
    new: ArrayLike,
    rng: np.random.Generator,
    *,
    groups: tuple[ArrayLike, ArrayLike] | None = None,
    permutations: int = 500,
) -> ShiftTest:
    """Squared maximum mean discrepancy with a Gaussian kernel at the median distance.

    Sees any change of the law given enough rows, but loses power with many features. At most 1,000
    rows of each part are used. The statistic is the biased estimate. Source: Gretton et al. 2012.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mmd_test(rng.normal(0, 1, 200), rng.normal(0, 2, 200), rng).p < 0.01
    True
    """
    features, is_new, codes = _subsample(_pool(reference, new, groups), MAX_ROWS, rng)
    middle = float(np.median(pdist(features)))
    square = cdist(features, features, "sqeuclidean")
    kernel = np.exp(-square / (2 * middle**2 if middle > 0 else 1.0))
    member = _permuted(is_new, codes, as_count("permutations", permutations), rng)
    rest = 1 - member
    from_new, m, n = kernel @ member, member.sum(axis=0), rest.sum(axis=0)
    both, cross = (member * from_new).sum(axis=0), (rest * from_new).sum(axis=0)
    inside = kernel.sum() - both - 2 * cross
    mmd = both / m**2 + inside / n**2 - 2 * cross / (m * n)
    return ShiftTest(float(mmd[0]), _p_value(mmd), permutations)


def mean_distance_test(
    reference: ArrayLike,
    new: ArrayLike,
    rng: np.random.Generator,
    *,
    groups: tuple[ArrayLike, ArrayLike] | None = None,
    permutations: int = 500,
) -> ShiftTest:
    """Squared Mahalanobis distance between the mean features (embeddings) of both parts.

    Pooled covariance with a ridge of 1e-6 of its mean variance. Sees a shift of the mean alone, and
    that in few rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mean_distance_test(rng.normal(0, 1, (99, 3)), rng.normal(0.7, 1, (99, 3)), rng).p < 0.01
    True
    """
    features, is_new, codes = _pool(reference, new, groups)
    covariance = np.atleast_2d(np.cov(features, rowvar=False))
    ridge = 1e-6 * max(float(np.trace(covariance)) / len(covariance), 1e-12)
    white = np.linalg.solve(
        np.linalg.cholesky(covariance + ridge * np.eye(len(covariance))), features.T
    ).T
    member = _permuted(is_new, codes, as_count("permutations", permutations), rng)
    m = member.sum(axis=0)
    total = member.T @ white
    rest = white.sum(axis=0) - total
    gap = total / m[:, None] - rest / (len(member) - m)[:, None]
    distance = (gap**2).sum(axis=1)
    return ShiftTest(float(distance[0]), _p_value(distance), permutations)


def knn_distance(reference: ArrayLike, query: ArrayLike, k: int = 10) -> FloatArray:
    """Mean distance of each query row to its k nearest reference rows, ``(m,)``.

    Features as given: scale them first. A query that is itself in the reference finds itself at
    distance 0. Source: Sun et al. 2022 (2204.06507).

    Examples
    --------
    >>> knn_distance([[0.0], [2.0], [9.0]], [[1.0]], k=2).tolist()
    [1.0]
    """
    left = as_features("reference", reference)
    right = as_features("query", query, left.shape[1])
    count = as_count("k", k)
    if count > len(left):
        raise ValueError(f"k is {k}, reference has {len(left)} rows; a smaller k would do")
    if not len(right):
        return np.empty(0)
    distance, _ = NearestNeighbors(n_neighbors=count).fit(left).kneighbors(right)
    return distance.mean(axis=1)


def centre_distance(reference: ArrayLike, query: ArrayLike) -> FloatArray:
    """|query - mean of the reference| in its standard deviations, ``(m,)``.

    The GC distance, and with predicted means the trivial score "far from average".

    Examples
    --------
    >>> centre_distance([0.0, 2.0], [3.0]).tolist()
    [2.0]
    """
    reference = as_vector("reference", reference)
    spread = float(reference.std()) if len(reference) else 0.0
    if spread == 0:
        raise ValueError("reference is constant or empty; values with a spread would do")
    return np.abs(as_vector("query", query) - reference.mean()) / spread


def _two_sides(score_id: ArrayLike, score_ood: ArrayLike) -> tuple[FloatArray, FloatArray]:
    return as_vector("score_id", score_id), as_vector("score_ood", score_ood)


def auroc_ood(score_id: ArrayLike, score_ood: ArrayLike) -> float:
    """Chance that a shifted element scores above an ID one, ties counting half.

    Higher is better, in [0, 1], .5 is chance; NaN where a side is empty. Says nothing of a
    threshold. Source: Hendrycks & Gimpel 2017.

    Examples
    --------
    >>> auroc_ood([1, 2], [2, 3])  # pairs: win, win, tie, win
    0.875
    """
    left, right = _two_sides(score_id, score_ood)
    n, m = len(left), len(right)
    if n == 0 or m == 0:
        return float("nan")
    rank = ranks(np.concatenate([left, right]))[n:].sum()
    return float((rank - m * (m + 1) / 2) / (n * m))


def aupr_ood(score_id: ArrayLike, score_ood: ArrayLike) -> float:
    """Average precision with the shifted elements as positives.

    Higher is better, in (0, 1]; chance is the share of shifted elements, so it moves with the mix;
    NaN where a side is empty. Source: Hendrycks & Gimpel 2017.

    Examples
    --------
    >>> aupr_ood([1, 2], [3, 4])
    1.0
    """
    left, right = _two_sides(score_id, score_ood)
    if not len(left) or not len(right):
        return float("nan")
    labels = np.repeat([0, 1], [len(left), len(right)])
    return float(average_precision_score(labels, np.concatenate([left, right])))


def fpr95(score_id: ArrayLike, score_ood: ArrayLike) -> float:
    """Share of ID elements flagged when at least 95 % of the shifted ones are.

    Lower is better, in [0, 1], .95 is chance; NaN where a side is empty. One operating point only.
    Source: Hendrycks & Gimpel 2017 and followers.

    Examples
    --------
    >>> fpr95([1, 2, 3, 4], [3, 5, 6, 7])  # all four must be flagged: threshold 3
    0.5
    """
    left, right = _two_sides(score_id, score_ood)
    if not len(left) or not len(right):
        return float("nan")
    needed = int(np.ceil(0.95 * len(right) - 1e-9))
    threshold = np.sort(right)[len(right) - needed]
    return float(np.mean(left >= threshold))


Sides = tuple[ArrayLike, ArrayLike]  # of elements in distribution, and of new ones


def shift_table(
    tests: Iterable[tuple[str, str, Callable[..., ShiftTest], Sides]],
    scores: Mapping[str, Sides],
    rng: np.random.Generator,
    groups: Sides,
    permutations: int,
) -> pd.DataFrame:
    """Is a shift seen without labels? Two-sample tests, and how well scores tell elements apart.

    Parameters
    ----------
    tests : iterable of (seen, detector, test, sides)
        What is seen of the elements and how it is tested, in the order in which ``rng`` is used.
    scores : mapping of str to pair of (n,) arrays
    groups : pair of (n,) arrays
        Of the two sides of every test.
    permutations : int

    Returns
    -------
    DataFrame
        ``seen, detector, statistic, p``; ``p`` is empty for the area under the ROC curve.
    """
    found = [
        (seen, detector, *test(*sides, rng, groups=groups, permutations=permutations)[:2])
        for seen, detector, test, sides in tests
    ]
    found += [(seen, ROC, auroc_ood(*sides), np.nan) for seen, sides in scores.items()]
    return pd.DataFrame(found, columns=["seen", "detector", "statistic", "p"])


def density_ratio(
    reference: ArrayLike, new: ArrayLike, *at: ArrayLike, cap: float = 50.0
) -> list[FloatArray]:
    """Estimated density ratio new / reference at the rows of each ``at``.

    Logistic regression on features and squares: exact in form for an exponential tilt and for two
    Gaussians; outside the reference's support no ratio exists and the value is capped, in units
    of its mean over the reference. Check ``lib.repair.conformal.n_eff`` of the result.

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
    fitted = LogisticRegression(C=1e3, max_iter=2000).fit(
        np.concatenate([design(left), design(right)]), labels
    )
    offset = np.log(len(left) / len(right))

    def ratio(values: ArrayLike) -> FloatArray:
        return np.exp(np.clip(fitted.decision_function(design(values)) + offset, -700, 700))

    scale = ratio(left).mean()
    return [np.minimum(ratio(values) / scale, cap) for values in at]

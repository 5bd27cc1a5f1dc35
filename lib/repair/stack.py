"""One forecast from several: non-negative weights, and which forecaster leads.

In: means and standard deviations ``(m, n)`` of m forecasters, a target, and rows that none of them
was trained on with their groups. Out: a :class:`Combined` forecast of all n rows. Weights and
choice see these rows alone, so that the calibration rows stay untouched by both.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from lib.arrays import FloatArray, IndexArray
from lib.metrics.columns import metric

FEWEST_GROUPS = 100  # among the rows; fewer weigh nothing, they choose
_PARTS = 5  # of the rows, each judged by weights from the others
_STIFF = 1e3  # how hard weights are held to a sum of one


class Combined(NamedTuple):
    """Mean and std ``(n,)``, and the weight ``(m,)`` of each forecaster."""

    mean: FloatArray
    std: FloatArray
    weight: FloatArray


def combined(mean: FloatArray, std: FloatArray, weight: FloatArray) -> Combined:
    """The forecast of given weights: the weighted mean, and the root of the weighted variance."""
    return Combined(weight @ mean, np.sqrt(weight @ std**2), weight)


def weights(mean: FloatArray, target: FloatArray) -> FloatArray:
    """Weights ``(m,)`` of at least 0 that sum to one, of least squared error (Breiman 1996)."""
    size = _STIFF * np.sqrt(len(target)) * (target.std() or 1.0)
    design = np.vstack([mean.T, np.full(len(mean), size)])
    found = nnls(design, np.append(target, size))[0]
    return np.asarray(found / found.sum())


def stack(
    mean: FloatArray, std: FloatArray, target: FloatArray, rows: IndexArray, group: IndexArray
) -> Combined:
    """The forecasters ``(m, n)`` stacked by the ``rows``; below 100 groups the best one alone."""
    if len(np.unique(group[rows])) < FEWEST_GROUPS:
        return leading(mean, std, target, rows, group)
    return combined(mean, std, weights(mean[:, rows], target[rows]))


def crps(mean: FloatArray, std: FloatArray, target: FloatArray) -> float:
    """Mean CRPS after the std is scaled to these errors: what a forecaster is chosen by."""
    scale = np.sqrt(metric("zms", mean, target, std))
    return metric("crps_gaussian", mean, target, scale * std)


def leading(
    mean: FloatArray, std: FloatArray, target: FloatArray, rows: IndexArray, group: IndexArray
) -> Combined:
    """The forecaster of least CRPS on the ``rows``, the stack among them.

    The stack is judged by weights from other groups than those it is judged on.
    """
    alone = [crps(m[rows], s[rows], target[rows]) for m, s in zip(mean, std, strict=True)]
    best = combined(mean, std, np.eye(len(mean))[int(np.argmin(alone))])
    labels, part = np.unique(group[rows], return_inverse=True)
    if len(labels) < FEWEST_GROUPS:
        return best
    part = np.random.default_rng(0).permutation(len(labels))[part] % _PARTS
    left = np.empty((2, len(rows)))
    for number in range(_PARTS):
        own, rest = rows[part == number], rows[part != number]
        left[:, part == number] = combined(
            mean[:, own], std[:, own], weights(mean[:, rest], target[rest])
        )[:2]
    if crps(left[0], left[1], target[rows]) < min(alone):
        return stack(mean, std, target, rows, group)
    return best

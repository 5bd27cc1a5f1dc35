"""Does the predicted std match the errors: over all levels, by its own size, and why not.

In: ``mean``, ``std``, ``target``, vectors ``(n,)`` in one unit; ``z = (target - mean) / std``. Out:
a float, or an array where said; too few elements give NaN. Bins hold equal counts (up to one) in
the order of ``std``, ties in row order; no more bins than elements allow. "ECE" is not used: its
definitions differ (Wibbeke 2025, arXiv 2508.17761). Each metric is defined once, as a function of
sums per level, per bin or in an order: the public functions take the sums of all elements,
``*_metrics`` those under resampling weights ``(n_groups, draws)``, ``lib.metrics.bands`` drawn
ones.

Examples
--------
>>> case = [1, 2, 3], [0.1, 0.5, 1], [1.5, 3, 2]
>>> round(mace(*case), 9), round(rmsce(*case), 9), round(mace(*case, kind="quantile"), 9)
(0.373333333, 0.416575748, 0.237575758)
>>> calibration_curve([0, 0], [1, 1], [0.1, 5], points=3)[1].tolist()  # at levels 0, 0.5, 1
[0.0, 0.5, 1.0]
>>> forecast = [0, 0], [1, 2], [2, 2]
>>> ence(*forecast, bins=2), uce(*forecast, bins=2)  # (1 + 0) / 2; (|4 - 1| + |4 - 4|) / 2
(0.5, 1.5)
>>> round(zve([0] * 4, [1, 1, 2, 2], [0, 2, 0, 4], bins=2), 12)  # both bins have var z = 2
2.0
>>> pit_ks([0], [1], [0]), round(zms_robust([0] * 3, [1] * 3, [0.1, 0.67448975, 50]), 6)
(0.5, 1.0)
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.special import ndtr, ndtri

from lib.arrays import (
    FloatArray,
    GroupCodes,
    IntArray,
    as_count,
    as_forecast,
    as_std,
    as_vector,
    stable_order,
)
from lib.metrics.columns import Values

Kind = Literal["interval", "quantile"]
Weighted = Callable[[FloatArray], Values]
CHI2_MEDIAN = 0.45493642311957305  # median of a chi-squared variable with one degree of freedom
BINS = 20
POINTS = 100
_ALL = np.ones((1, 1))  # the weight of a table that is not resampled


def _z(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> FloatArray:
    mean, std, target = as_forecast(mean, std, target)
    return (target - mean) / std


def pit(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> FloatArray:
    """Probability integral transform Phi(z) of every element, ``(n,)``.

    Uniform when calibrated; a U shape is overconfident, a hump underconfident, a slope biased.
    Uniform over all does not mean uniform in any subset (Gneiting, Balabdaoui & Raftery 2007).
    """
    return ndtr(_z(mean, std, target))


def _levels(z: FloatArray, kind: Kind, points: int) -> IntArray:
    """For each element the first of even levels whose interval, or quantile, reaches it."""
    grid = np.linspace(0, 1, points)
    if kind == "interval":
        return np.searchsorted(ndtri((1 + grid) / 2), np.abs(z), side="left")
    return np.searchsorted(ndtri(grid), z, side="left")


def calibration_curve(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    kind: Kind = "interval",
    points: int = POINTS,
) -> tuple[FloatArray, FloatArray]:
    """Expected and observed proportions on an even grid over [0, 1], each ``(points,)``.

    ``interval``: share of targets in the central interval of that level. ``quantile``: share at or
    below that quantile. Observed above expected is underconfident for ``interval``. NaN for n = 0.
    Source: Kuleshov, Fenner & Ermon, ICML 2018.
    """
    z = _z(mean, std, target)
    if kind not in ("interval", "quantile"):
        raise ValueError(f"kind is {kind!r}; 'interval' or 'quantile' would do")
    expected = np.linspace(0, 1, as_count("points", points, 2))
    if not len(z):
        return expected, np.full(points, np.nan)
    return expected, np.cumsum(np.bincount(_levels(z, kind, points), minlength=points)) / len(z)


def area_between(expected: FloatArray, observed: FloatArray) -> FloatArray:
    """Area between a piecewise linear curve and the diagonal; the last axis of both is the grid."""
    gap = observed - expected
    left, right = np.abs(gap[..., :-1]), np.abs(gap[..., 1:])
    crossing = np.signbit(gap[..., :-1]) != np.signbit(gap[..., 1:])
    total = left + right
    halves = np.divide(left**2 + right**2, total, out=np.zeros_like(total), where=total > 0)
    return np.sum(np.diff(expected) * np.where(crossing, halves, total) / 2, axis=-1)


def curve_distances(observed: FloatArray) -> Values:
    """``mace``, ``rmsce`` and ``miscal_area`` of proportions whose last axis is the even grid."""
    expected = np.linspace(0, 1, observed.shape[-1])
    gap = np.abs(observed - expected)
    return {
        "mace": gap.mean(axis=-1),
        "rmsce": np.sqrt((gap**2).mean(axis=-1)),
        "miscal_area": area_between(expected, observed),
    }


def _distance(name: str, mean: ArrayLike, std: ArrayLike, target: ArrayLike, kind: Kind) -> float:
    return float(curve_distances(calibration_curve(mean, std, target, kind)[1])[name])


def mace(mean: ArrayLike, std: ArrayLike, target: ArrayLike, kind: Kind = "interval") -> float:
    """Mean absolute distance of observed from expected proportions, over 100 levels.

    Lower is better, in [0, 0.5]; NaN for n = 0. State the ``kind``: a std that is too small pulls
    the quantile curve symmetrically about one half and looks half as bad. Says nothing of
    sharpness. Source: Chung et al. 2021 (uncertainty-toolbox).
    """
    return _distance("mace", mean, std, target, kind)


def rmsce(mean: ArrayLike, std: ArrayLike, target: ArrayLike, kind: Kind = "interval") -> float:
    """Root mean squared distance of observed from expected proportions, over 100 levels.

    Lower is better, in [0, 0.58]; NaN for n = 0. As ``mace``, weighting the worst levels more.
    """
    return _distance("rmsce", mean, std, target, kind)


def miscal_area(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, kind: Kind = "interval"
) -> float:
    """Miscalibration area: between the linearly joined curve and the diagonal. Also called AUCE.

    Lower is better, in [0, 0.5]; NaN for n = 0. A std twice too small and one twice too large both
    give 0.2048 in the limit: print ``picp`` for the direction. Source: Tran et al. 2020.
    """
    return _distance("miscal_area", mean, std, target, kind)


def _table(
    values: FloatArray, cells: IntArray, n_cells: int, groups: GroupCodes | None
) -> FloatArray | sparse.csr_array:
    """Sums per cell and group, ``(n_cells, n_groups)``; one column for no groups."""
    if groups is None:
        return np.bincount(cells, weights=values, minlength=n_cells)[:, None]
    return sparse.csr_array((values, (cells, groups.codes)), shape=(n_cells, groups.n_groups))


def curve_metrics(z: FloatArray, groups: GroupCodes | None = None) -> Weighted:
    """``mace``, ``rmsce``, ``miscal_area`` (interval type, 100 levels) as functions of weights."""
    counts = _table(np.ones_like(z), _levels(z, "interval", POINTS), POINTS, groups)

    def weighted(weights: FloatArray) -> Values:
        observed = np.cumsum(counts @ weights, axis=0).T
        return curve_distances(observed / observed[:, -1:])

    return weighted


def bin_sizes(n: int, bins: int, least: int = 1) -> IntArray:
    """Sizes of equal-count bins of ``n`` elements, each of at least ``least``; none for too few."""
    count = min(as_count("bins", bins), n // least)
    return n // max(count, 1) + (np.arange(count) < n % max(count, 1)).astype(np.int64)


def _mean_of_known(values: FloatArray) -> FloatArray:
    known = ~np.isnan(values)
    return np.where(known, values, 0).sum(axis=0) / known.sum(axis=0)


def bin_distances(error: FloatArray, variance: FloatArray, count: FloatArray) -> Values:
    """``ence`` and ``uce`` from sums ``(bins, draws)`` of squared errors and predicted variances.

    Bins that a draw empties drop out.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "ence": _mean_of_known(np.abs(np.sqrt(error / variance) - 1)),
            "uce": np.sum(np.abs(error - variance), axis=0) / count.sum(axis=0),
        }


def zve_of(variances: FloatArray) -> FloatArray:
    """``zve`` from the variances of z ``(bins, draws)``; those that are NaN are left out."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.exp(_mean_of_known(np.abs(np.log(np.maximum(variances, 0)))))


def binned_metrics(
    z: FloatArray,
    std: FloatArray,
    groups: GroupCodes | None = None,
    bins: int = BINS,
    order: IntArray | None = None,
) -> Weighted:
    """``ence``, ``uce``, ``zve`` by weights; bins, and the stable ``order``, of the full sample."""
    order = stable_order(std) if order is None else order
    sizes, pairs = bin_sizes(len(std), bins), bin_sizes(len(std), bins, least=2)
    cell = np.empty(len(std), np.int64)
    cell[order] = np.repeat(np.arange(len(sizes)), sizes)
    error = _table((std * z) ** 2, cell, len(sizes), groups)
    variance = _table(std * std, cell, len(sizes), groups)
    count = _table(np.ones_like(z), cell, len(sizes), groups)
    if len(pairs):
        if len(pairs) < len(sizes):
            cell[order] = np.repeat(np.arange(len(pairs)), pairs)
        if groups is None:  # about the mean of the bin: the difference of squares loses no digits
            z = z - (np.bincount(cell, weights=z) / pairs)[cell]
        columns = (np.ones_like(z), z, z * z)
        moments = [_table(values, cell, len(pairs), groups) for values in columns]

    def weighted(weights: FloatArray) -> Values:
        out = bin_distances(error @ weights, variance @ weights, count @ weights)
        if not len(pairs):
            return out | {"zve": np.full(weights.shape[1], np.nan)}
        n, total, square = (table @ weights for table in moments)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = (square - total * total / n) / (n - 1)
        return out | {"zve": zve_of(np.where(n < 2, np.nan, spread))}

    return weighted


def ence(mean: ArrayLike, std: ArrayLike, target: ArrayLike, bins: int = BINS) -> float:
    """Expected normalised calibration error: mean over bins of |RMSE - RMV| / RMV.

    Lower is better, at least 0; NaN for n = 0. RMV is the root of the mean predicted variance. Its
    value for a perfect forecast grows as sqrt(bins / n): compare with the null band, never with 0.
    Source: Levi et al. 2019 (arXiv 1905.11659); Pernot 2023.
    """
    return _binned("ence", mean, std, target, bins)


def uce(mean: ArrayLike, std: ArrayLike, target: ArrayLike, bins: int = BINS) -> float:
    """Uncertainty calibration error: mean over elements of the bin's |MSE - mean variance|.

    Lower is better, at least 0, in squared units of the target; NaN for n = 0. The bins of largest
    std dominate. Source: Laves et al. 2020.
    """
    return _binned("uce", mean, std, target, bins)


def zve(mean: ArrayLike, std: ArrayLike, target: ArrayLike, bins: int = BINS) -> float:
    """Z-variance error: exp of the mean over bins of |log var z|.

    Best at 1, at least 1; NaN for n < 2; infinite when a bin has constant z. As ``ence``, its value
    for a perfect forecast grows with the number of bins. Source: Pernot 2023.
    """
    return _binned("zve", mean, std, target, bins)


def _binned(name: str, mean: ArrayLike, std: ArrayLike, target: ArrayLike, bins: int) -> float:
    mean, std, target = as_forecast(mean, std, target)
    return float(binned_metrics((target - mean) / std, std, bins=bins)(_ALL)[name][0])


def ordered_metrics(z: FloatArray, groups: GroupCodes | None = None) -> Weighted:
    """``pit_ks`` and ``zms_robust`` as functions of weights."""
    by_z, by_size = z, np.abs(z)
    codes: list[IntArray] = []  # of the elements in both orders
    if groups is None:
        by_z, by_size = np.sort(by_z), np.sort(by_size)
    else:
        orders = np.argsort(by_z), np.argsort(by_size)
        codes = [groups.codes[order] for order in orders]
        by_z, by_size = by_z[orders[0]], by_size[orders[1]]
    u, square = ndtr(by_z)[:, None], by_size**2

    def mass(which: int, weights: FloatArray) -> FloatArray:
        if groups is None:
            return np.arange(1.0, len(z) + 1)[:, None]
        return np.cumsum(weights[codes[which]], axis=0)

    def weighted(weights: FloatArray) -> Values:
        steps, below = mass(0, weights), mass(1, weights)
        steps /= steps[-1]
        before = np.vstack([np.zeros(steps.shape[1]), steps[:-1]])
        distance = np.maximum((steps - u).max(axis=0), (u - before).max(axis=0))
        half = below[-1] / 2
        low, high = (below >= half).argmax(axis=0), (below > half).argmax(axis=0)
        return {"pit_ks": distance, "zms_robust": (square[low] + square[high]) / 2 / CHI2_MEDIAN}

    return weighted


def _ordered(name: str, z: FloatArray) -> float:
    return float(ordered_metrics(z)(_ALL)[name][0]) if len(z) else float("nan")


def pit_ks(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Largest distance between the distribution of the PIT and the uniform one.

    The Kolmogorov-Smirnov statistic. Lower is better, in [1 / 2n, 1]; NaN for n = 0. Of order 1 /
    sqrt(n) for a perfect forecast, and weak in the tails.
    """
    return _ordered("pit_ks", _z(mean, std, target))


def zms_robust(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> float:
    """Median of z squared over its value for a Gaussian, .4549.

    Best at 1, above it overconfident, at least 0; NaN for n = 0. Single large errors do not move
    it, so it misses tails; under heavy-tailed but right variance it falls below 1.
    """
    return _ordered("zms_robust", _z(mean, std, target))


class ZmsDecomposition(NamedTuple):
    """``excess`` = ``aleatoric`` + ``epistemic``; ``epistemic`` = ``bias`` + ``missing``.

    All are shares of the predicted variance: 0 is right, above 0 is too little predicted variance.
    """

    excess: float
    aleatoric: float
    epistemic: float
    bias: float
    missing: float


def zms_decomposition(
    mean: ArrayLike,
    std_aleatoric: ArrayLike,
    std_epistemic: ArrayLike,
    true_activity: ArrayLike,
    true_std: ArrayLike,
) -> ZmsDecomposition:
    """Where miscalibration comes from in a simulation: E[z^2] - 1 by cause.

    With s^2 = a^2 + e^2 (aleatoric, epistemic), true activity f and true noise sigma, exactly in
    expectation over fresh noise::

        E[z^2] - 1 = E[(sigma^2 - a^2) / s^2] + E[((f - mean)^2 - e^2) / s^2]
                     wrong aleatoric            epistemic deficit

    The second term is split by the affine fit g of f on the mean, every element weighted by 1 / s^2
    as in the sum, so that no cross term is left: (g - mean)^2 is bias, the rest missing epistemic.

    Parameters
    ----------
    mean, std_aleatoric, std_epistemic : (n,) arrays, in the unit of the target
        A single model has ``std_epistemic`` 0 everywhere.
    true_activity, true_std : (n,) arrays
        Noise-free activity f and the true noise sigma (0 allowed).

    Returns
    -------
    ZmsDecomposition
        NaN for n = 0. For n < 3 the line fits through every point: all is bias.

    Raises
    ------
    ValueError
        Lengths that differ, values not finite, negative parts, or both parts 0 in a row.

    Examples
    --------
    >>> split = zms_decomposition([0, 1], [1, 1], [0, 0], [1, 2], [2**0.5, 2**0.5])
    >>> [round(part, 12) for part in split]  # sigma^2 = 2 for 1, and a constant bias of 1
    [2.0, 1.0, 1.0, 1.0, 0.0]
    """
    mean = as_vector("mean", mean)
    n = len(mean)
    activity = as_vector("true_activity", true_activity, n)
    given = (("std_aleatoric", std_aleatoric), ("std_epistemic", std_epistemic))
    parts = {name: as_vector(name, v, n) for name, v in (*given, ("true_std", true_std))}
    for name, values in parts.items():
        if n and values.min() < 0:
            row = int(np.argmin(values))
            raise ValueError(f"{name} is {values[row]} in row {row}; at least 0 would do")
    aleatoric, epistemic, sigma = parts.values()
    together = as_std("std_aleatoric and std_epistemic together", np.hypot(aleatoric, epistemic))
    if n == 0:
        return ZmsDecomposition(*(5 * [float("nan")]))
    variance = together**2
    weight = 1 / variance / np.sum(1 / variance)
    from_centre, rise = mean - weight @ mean, activity - weight @ activity
    slope = weight @ (from_centre * rise) / (weight @ from_centre**2) if np.ptp(mean) > 0 else 0.0
    line = weight @ activity + slope * from_centre
    wrong_aleatoric = float(np.mean((sigma**2 - aleatoric**2) / variance))
    bias = float(np.mean((line - mean) ** 2 / variance))
    deficit = float(np.mean(((activity - mean) ** 2 - epistemic**2) / variance))
    return ZmsDecomposition(
        wrong_aleatoric + deficit, wrong_aleatoric, deficit, bias, deficit - bias
    )

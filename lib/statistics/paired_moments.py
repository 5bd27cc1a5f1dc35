"""Checked pairs of measurements and their moments under resampled groups.

In: activity and standard errors of the same elements in two conditions. Out: moments ``(draws,)``
with the measured noise taken out, the lines of the ladder, and estimates with intervals. What they
mean is in :mod:`lib.statistics.paired`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.arrays import (
    FloatArray,
    GroupCodes,
    as_count,
    as_labels,
    as_vector,
    group_codes,
    merge_groups,
)
from lib.metrics.bootstrap import group_bootstrap_weights, group_totals, percentile_interval

FEWEST = 10  # elements, groups, and anchors where there are any
MOST_SETS = 2000  # groups are merged into at most so many sets before they are resampled
DRAWS = 1000
RUNGS = ("raw", "anchor_offset", "anchor_affine", "matched_moments", "oracle_affine")


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    lower: float
    upper: float


class PairedAssay(NamedTuple):
    """Checked input of all functions here; made by :func:`paired_assay`.

    Attributes
    ----------
    activity_a, activity_b : (n,) float arrays
        Measured activity in the reference condition and in the other one, in one unit.
    std_a, std_b : (n,) float arrays
        Standard errors of the measurements, at least 0.
    groups : GroupCodes
        What is resampled as a whole.
    anchors : (n,) bool array
        Controls: they set the lines of the anchor rungs and are no part of anything else.
    """

    activity_a: FloatArray
    activity_b: FloatArray
    std_a: FloatArray
    std_b: FloatArray
    groups: GroupCodes
    anchors: NDArray[np.bool_]


def paired_assay(
    activity_a: ArrayLike,
    activity_b: ArrayLike,
    std_a: ArrayLike,
    std_b: ArrayLike,
    groups: ArrayLike,
    anchors: ArrayLike | None = None,
) -> PairedAssay:
    """Check the input of all functions here.

    Parameters
    ----------
    activity_a, activity_b : (n,) arrays
        Activity in the reference condition and in the other one, in one unit; log2 over a control
        of the same condition, for example, where the control's drift is not to count as offset.
    std_a, std_b : (n,) arrays
        Standard errors of the measurements; 0 where a value is known exactly.
    groups : (n,) labels
    anchors : (n,) bool array, optional
        True for controls measured in both conditions, such as scrambled elements.

    Raises
    ------
    ValueError
        Lengths that differ, values not finite, a negative standard error, a missing group, fewer
        than 10 elements or groups beside the anchors, 1 to 9 anchors, constant activity.

    Examples
    --------
    >>> a = np.arange(10.0)
    >>> pair = paired_assay(a, a + 1, np.full(10, 0.1), np.full(10, 0.2), groups=a)
    >>> pair.groups.n_groups, int(pair.anchors.sum())
    (10, 0)
    """
    a = as_vector("activity_a", activity_a)
    n = len(a)
    b = as_vector("activity_b", activity_b, n)
    error_a, error_b = standard_errors("std_a", std_a, n), standard_errors("std_b", std_b, n)
    mask = np.zeros(n, bool) if anchors is None else as_labels("anchors", anchors, n)
    if mask.dtype != np.bool_:
        raise ValueError(f"anchors holds {mask.dtype}; True or False for each row would do")
    numbering = group_codes(as_labels("groups", groups, n))
    own = ~mask
    if own.sum() < FEWEST or len(np.unique(numbering.codes[own])) < FEWEST:
        raise ValueError(
            f"there are {own.sum()} elements in {len(np.unique(numbering.codes[own]))} groups "
            f"beside the anchors; at least {FEWEST} of both would do"
        )
    if 0 < mask.sum() < FEWEST:
        raise ValueError(f"there are {mask.sum()} anchors; none or at least {FEWEST} would do")
    for name, values in (("activity_a", a), ("activity_b", b)):
        if np.ptp(values[own]) == 0:
            raise ValueError(f"{name} is {values[own][0]} in all elements; it must vary")
    return PairedAssay(a, b, error_a, error_b, numbering, mask)


def standard_errors(name: str, values: ArrayLike, n: int) -> FloatArray:
    """``values`` as standard errors ``(n,)``, finite and at least 0."""
    errors = as_vector(name, values, n)
    if n and errors.min() < 0:
        row = int(np.argmin(errors))
        raise ValueError(
            f"{name} is {errors[row]} in row {row}; a standard error of at least 0 would do"
        )
    return errors


class Moments(NamedTuple):
    """Moments of the elements or of the anchors, ``(draws,)`` each."""

    mean_a: FloatArray
    mean_b: FloatArray
    var_a: FloatArray
    var_b: FloatArray
    cov: FloatArray
    noise_a: FloatArray
    noise_b: FloatArray

    @property
    def signal_a(self) -> FloatArray:
        """Var f_A; NaN where the noise accounts for all variance."""
        signal = self.var_a - self.noise_a
        return np.where(signal > 0, signal, np.nan)

    @property
    def signal_b(self) -> FloatArray:
        signal = self.var_b - self.noise_b
        return np.where(signal > 0, signal, np.nan)

    @property
    def slope(self) -> FloatArray:
        return self.cov / self.signal_a

    @property
    def rest(self) -> FloatArray:
        """Variance of f_B about its line on f_A."""
        return self.var_b - self.noise_b - self.slope * self.cov

    def open(self, line: "Line") -> FloatArray:
        """E[(f_B - line(f_A))^2]."""
        shift = self.mean_b - line.intercept - line.slope * self.mean_a
        return shift**2 + (self.slope - line.slope) ** 2 * self.signal_a + self.rest


class Line(NamedTuple):
    """Condition A into condition B, ``(draws,)`` each."""

    intercept: FloatArray
    slope: FloatArray


def moments(assay: PairedAssay, rows: NDArray[np.bool_], weights: FloatArray) -> Moments:
    """Moments of some rows under weights ``(draws, n_groups)``; NaN in draws without such a row."""
    a, b = assay.activity_a, assay.activity_b
    columns = [np.ones_like(a), a, b, a * a, b * b, a * b, assay.std_a**2, assay.std_b**2]
    sums = group_totals(np.column_stack(columns) * rows[:, None], assay.groups) @ weights.T
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, aa, bb, ab, noise_a, noise_b = sums[1:] / sums[0]
    return Moments(a, b, aa - a * a, bb - b * b, ab - a * b, noise_a, noise_b)


def resampled_sets(
    groups: GroupCodes, rng: np.random.Generator, draws: int
) -> tuple[GroupCodes, FloatArray]:
    """Groups merged into resampled sets, and weights ``(draws + 1, n_sets)``, the sample first."""
    merged = merge_groups(groups, MOST_SETS, rng)
    weights, sets = group_bootstrap_weights(merged.codes, as_count("draws", draws, 2), rng)
    return sets, np.vstack([np.ones(sets.n_groups), weights])


def resampled(
    assay: PairedAssay, rng: np.random.Generator, draws: int
) -> tuple[PairedAssay, FloatArray]:
    """The assay with groups merged into sets, and the weights of :func:`resampled_sets`."""
    sets, weights = resampled_sets(assay.groups, rng, draws)
    return assay._replace(groups=sets), weights


def ladder_lines(elements: Moments, anchors: Moments | None) -> dict[str, Line]:
    """The line of each rung; those of the anchors where there are any."""
    one = np.ones_like(elements.cov)
    lines = {"raw": Line(0 * one, one)}
    if anchors is not None:
        lines["anchor_offset"] = Line(anchors.mean_b - anchors.mean_a, one)
        lines["anchor_affine"] = _through_means(anchors, anchors.slope)
    lines["matched_moments"] = _through_means(elements, np.sqrt(elements.var_b / elements.var_a))
    lines["oracle_affine"] = _through_means(elements, elements.slope)
    return lines


def _through_means(own: Moments, slope: FloatArray) -> Line:
    return Line(own.mean_b - slope * own.mean_a, slope)


def estimate(values: FloatArray, corrected: bool = False) -> Estimate:
    """The first value, with the percentile interval of the others.

    ``corrected`` moves the interval by twice the median bias of the draws: once for the bias of the
    value, once for that of the draws about it. Variances left over after others were taken out are
    biased downwards in small samples.
    """
    value, draws = float(values[0]), values[1:]
    lower, upper = percentile_interval(draws)
    known = draws[np.isfinite(draws)]
    bias = float(np.median(known)) - value if corrected and len(known) else 0.0
    return Estimate(value, float(lower) - 2 * bias, float(upper) - 2 * bias)

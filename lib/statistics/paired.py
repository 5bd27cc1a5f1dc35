"""One assay measured under two conditions: how far apart they lie, and through what.

In: activity of the same elements under a reference condition A and another condition B, the
standard error of each, groups, and a mask of anchors. Out: the shares of E[(y_B - y_A)^2] due to
offset, gain, rewiring and measurement noise, each with a bootstrap interval over groups; or, where
one side is a forecast of cross-validation, with one over its folds (:mod:`lib.metrics.resampling`).

    y_A = f_A + e_A,   y_B = f_B + e_B,   f_B = intercept + slope f_A + rest,   rest ⊥ f_A

    E[(y_B - y_A)^2] = (E f_B - E f_A)^2 + (slope - 1)^2 Var f_A + Var rest + E[std_A^2 + std_B^2]
                       offset              gain                    rewiring   noise

Noise in y_A attenuates an ordinary slope, so the slope is the errors-in-variables estimate with
known error variance, Cov(y_A, y_B) / (Var y_A - E std_A^2) (Fuller, Measurement Error Models,
1987). Errors are taken as independent between conditions: what both share, such as the count of
one plasmid pool, raises the slope and lowers the rewiring. Distances are normalised as those of
:class:`lib.simulator.severity.Distance`.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib import arrays
from lib.arrays import BoolArray, FloatArray, as_labels, as_nonnegative, as_vector
from lib.metrics.columns import half_width
from lib.metrics.resampling import Resampling, ends, fold_variance, percentiles, resampling, totals
from lib.statistics.effects import Estimate

FEWEST = 10  # elements, groups, and anchors where there are any
LEVEL = 0.9  # of the intervals whose coverage is scored


class PairedAssay(NamedTuple):
    """Checked input of all functions here: :func:`paired_assay` makes it and says what it holds."""

    activity_a: FloatArray
    activity_b: FloatArray
    std_a: FloatArray
    std_b: FloatArray
    groups: arrays.GroupCodes
    anchors: BoolArray
    fold: arrays.IntArray | None


def paired_assay(
    activity_a: ArrayLike,
    activity_b: ArrayLike,
    std_a: ArrayLike,
    std_b: ArrayLike,
    groups: ArrayLike,
    anchors: ArrayLike | None = None,
    fold: arrays.IntArray | None = None,
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
        What is resampled as a whole.
    anchors : (n,) bool array, optional
        True for controls measured in both conditions, such as scrambled elements: they set the
        lines of the anchor rungs and are no part of anything else.
    fold : (n,) int array, optional
        Which fold tested a row, where forecasts are those of cross-validation.

    Raises
    ------
    ValueError
        Lengths that differ, values not finite, a negative standard error, a missing group, fewer
        than 10 elements or groups beside the anchors, 1 to 9 anchors.

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
    error_a, error_b = as_nonnegative("std_a", std_a, n), as_nonnegative("std_b", std_b, n)
    mask = np.zeros(n, bool) if anchors is None else as_labels("anchors", anchors, n).astype(bool)
    numbering = arrays.group_codes(as_labels("groups", groups, n))
    own, n_groups = ~mask, len(np.unique(numbering.codes[~mask]))
    if own.sum() < FEWEST or n_groups < FEWEST:
        raise ValueError(
            f"there are {own.sum()} elements in {n_groups} groups beside the anchors; at least "
            f"{FEWEST} of both would do"
        )
    if 0 < mask.sum() < FEWEST:
        raise ValueError(f"there are {mask.sum()} anchors; none or at least {FEWEST} would do")
    return PairedAssay(a, b, error_a, error_b, numbering, mask, fold)


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
    def slope(self) -> FloatArray:
        """Of f_B on f_A."""
        return self.cov / self.signal_a

    def line(self, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Intercept and slope of the line of a slope through both means."""
        return self.mean_b - slope * self.mean_a, slope


def _moments(assay: PairedAssay, rows: BoolArray, plan: Resampling, weights: FloatArray) -> Moments:
    """Moments of some rows under weights ``(sets, draws)``; NaN in draws without such a row."""
    a, b = assay.activity_a, assay.activity_b
    columns = [np.ones_like(a), a, b, a * a, b * b, a * b, assay.std_a**2, assay.std_b**2]
    sums = totals(np.column_stack(columns) * rows[:, None], plan.codes, plan.n_sets) @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, aa, bb, ab, noise_a, noise_b = sums[1:] / sums[0]
    return Moments(a, b, aa - a * a, bb - b * b, ab - a * b, noise_a, noise_b)


def _resampled(
    assay: PairedAssay, rng: np.random.Generator, draws: int
) -> tuple[Resampling, FloatArray]:
    """How the groups are resampled, and weights ``(sets, 1 + folds + draws)``."""
    plan = resampling(assay.groups.codes, rng, assay.fold)
    return plan, plan.weights(arrays.as_count("draws", draws, 2), rng)


def estimate(
    values: FloatArray, plan: Resampling, corrected: bool = False, scale: str = "plain"
) -> Estimate:
    """The first value with its 95 % interval: percentiles of the draws, or that over folds.

    ``values`` are under the weights of ``plan``; an interval over folds is symmetric on ``scale``.
    ``corrected`` moves it by twice the median bias of the draws, once for the value's bias and once
    for theirs: variances left over after others were taken out are biased downwards.
    """
    value, draws = float(values[0]), values[1 + plan.folds :]
    reached = percentiles(draws)
    if plan.folds:
        reached = ends(values[:1], fold_variance(values[None], plan.folds), plan.df, scale)
    lower, upper = (float(np.squeeze(end)) for end in reached)
    known = draws[np.isfinite(draws)]
    bias = float(np.median(known)) - value if corrected and len(known) else 0.0
    return Estimate(value, lower - 2 * bias, upper - 2 * bias)


def _squared(root: Estimate) -> Estimate:
    """Square of a signed quantity: its interval squared, so that 0 is in reach."""
    value, lower, upper = root
    least = 0.0 if lower <= 0 <= upper else min(lower**2, upper**2)
    return Estimate(value**2, least, max(lower**2, upper**2))


def estimates_table(found: Mapping[str, Estimate], n: int) -> pd.DataFrame:
    """Estimates by name as rows ``quantity, value, lower, upper, n``."""
    rows = [(quantity, *ends, n) for quantity, ends in found.items()]
    return pd.DataFrame(rows, columns=["quantity", "value", "lower", "upper", "n"])


def decompose(assay: PairedAssay, rng: np.random.Generator, *, draws: int) -> pd.DataFrame:
    """Offset, gain, rewiring and noise between two conditions.

    ``rng`` draws the bootstrap over groups.

    Returns
    -------
    DataFrame
        ``quantity, value, lower, upper, n``; anchors are no part of it. Quantities: ``total``,
        E[(y_B - y_A)^2] in the squared unit of the activity; its shares ``share_offset``,
        ``share_gain``, ``share_rewiring`` (below 0 it is printed, not clipped) and ``share_noise``,
        which add up to 1; the noise-free ``distance`` over Var f_A and its part
        ``distance_rewiring``; ``slope`` of f_B on f_A; ``reliability_b``, Var f_B / Var y_B,
        whose root bounds any forecast's correlation with y_B; and ``pearson_r_deattenuated``, the
        correlation of f_A and f_B, which may pass 1 and is not clipped.

    Raises
    ------
    ValueError
        If activity in condition A varies no more than its measured noise.

    Notes
    -----
    Offset and gain are squares: their intervals are those of the root, squared, and reach 0 where
    that holds it. Those of the rewiring and of the whole distance are corrected for the median bias
    of the draws; the others are percentile intervals.

    Examples
    --------
    >>> a = np.tile([-1.0, 1.0], 10)
    >>> exact = np.zeros(20)
    >>> pair = paired_assay(a, 2 * a + 3, exact, exact, np.arange(20))  # E[(a + 3)^2] = 1 + 9
    >>> table = decompose(pair, np.random.default_rng(0), draws=100)
    >>> table = table.set_index("quantity")["value"]
    >>> table[["share_offset", "share_gain", "share_rewiring", "share_noise"]].round(12).tolist()
    [0.9, 0.1, 0.0, 0.0]
    """
    plan, weights = _resampled(assay, rng, draws)
    own, interval = _moments(assay, ~assay.anchors, plan, weights), partial(estimate, plan=plan)
    signal = own.signal_a
    if not np.isfinite(signal[0]):
        raise ValueError(
            f"activity_a of the elements has variance {own.var_a[0]:.4g} and measured noise "
            f"{own.noise_a[0]:.4g}: nothing beyond noise to compare; smaller std_a or the less "
            "noisy condition as A would do"
        )
    signal_b = own.var_b - own.noise_b
    offset, gain = own.mean_b - own.mean_a, (own.slope - 1) * np.sqrt(signal)
    rest, noise = signal_b - own.slope * own.cov, own.noise_a + own.noise_b
    distance = offset**2 + gain**2 + rest
    total = distance + noise
    with np.errstate(invalid="ignore"):
        correlation = own.cov / np.sqrt(signal * np.where(signal_b > 0, signal_b, np.nan))
        found = {
            "total": interval(total),
            "share_offset": _squared(interval(offset / np.sqrt(total))),
            "share_gain": _squared(interval(gain / np.sqrt(total))),
            "share_rewiring": interval(rest / total, corrected=True),
            "share_noise": interval(noise / total),
            "distance": interval(distance / signal, corrected=True),
            "distance_rewiring": interval(rest / signal, corrected=True),
            "slope": interval(own.slope),
            "reliability_b": interval(signal_b / own.var_b),
            "pearson_r_deattenuated": interval(correlation),
        }
    return estimates_table(found, int(np.sum(~assay.anchors)))


def site_differences(assay: PairedAssay, intact: ArrayLike, mutated: ArrayLike) -> PairedAssay:
    """Intact minus mutated, D = y[intact] - y[mutated], as a paired assay without anchors.

    ``intact`` and ``mutated`` (m,) are row numbers of pairs. Offsets of a whole condition cancel in
    it. A pair takes the group of its intact element; standard errors add in squares.
    """
    first, second = np.asarray(intact), np.asarray(mutated)
    a, b = (activity[first] - activity[second] for activity in assay[:2])
    std_a, std_b = (np.hypot(std[first], std[second]) for std in assay[2:4])
    return paired_assay(a, b, std_a, std_b, assay.groups.codes[first])


def control_noise_factor(assay: PairedAssay, rng: np.random.Generator, *, draws: int) -> Estimate:
    """Factor on both noise variances at which the anchors, the negative control, are not rewired.

    Where they are not in truth, a factor above 1 says that the standard errors are too small by its
    root; where they are, it is an upper bound. Either way a decomposition with errors scaled by the
    root is a lower bound on rewiring. The factor k is the smaller root of
    (Var y_A - k E std_A^2) (Var y_B - k E std_B^2) = Cov^2; given with its 95 % interval, NaN
    without an anchor whose standard error is above 0.
    """
    plan, weights = _resampled(assay, rng, draws)
    own = _moments(assay, assay.anchors, plan, weights)
    left = own.var_a * own.var_b - own.cov**2
    middle = own.var_b * own.noise_a + own.var_a * own.noise_b
    root = np.sqrt(middle**2 - 4 * own.noise_a * own.noise_b * left)
    with np.errstate(invalid="ignore", divide="ignore"):
        return estimate(2 * left / (middle + root), plan)


def forecast_ladder(
    assay: PairedAssay, mean: ArrayLike, std: ArrayLike, rng: np.random.Generator, *, draws: int
) -> pd.DataFrame:
    """Coverage of y_B by a forecast's 90 % intervals of y_A, correction by correction.

    A line maps the forecast into condition B: mean to intercept + slope mean, std to |slope| std.
    ``reference`` is the forecast against y_A, ``raw`` against y_B. ``anchor_offset`` and
    ``anchor_affine`` come from the anchors alone; ``matched_moments`` matches mean and s.d. of y;
    ``oracle_affine`` is the line of f_B on f_A, a diagnostic since it needs all labels.
    ``oracle_affine_noise`` adds to its variance what the measured noise grew by: what then is still
    lost is rewiring, or errors of the model that rewiring made visible.

    ``mean`` and ``std`` ``(n,)`` are the forecast in the unit of y_A; rows of anchors are not
    looked at. ``rng`` draws the bootstrap over groups; every draw, and every fold left out, refits
    the lines.

    Returns
    -------
    DataFrame
        ``rung, metric, value, lower, upper, n``; the metric is ``picp_90``. NaN on the rungs of the
        anchors where these vary no more than their noise.

    Raises
    ------
    ValueError
        Values not finite, a std that is not above 0. Another length is an IndexError.
    """
    own = ~assay.anchors
    centre = as_vector("mean", np.asarray(mean)[own])
    width = arrays.as_std("std", np.asarray(std)[own])
    plan, weights = _resampled(assay, rng, draws)
    elements, anchors = (_moments(assay, rows, plan, weights) for rows in (own, assay.anchors))
    none, one = np.zeros(weights.shape[1]), np.ones(weights.shape[1])
    same, best = (none, one), elements.line(elements.slope)
    grown = np.maximum(elements.noise_b - best[1] ** 2 * elements.noise_a, 0)
    known, asked = assay.activity_a, assay.activity_b
    rungs = {
        "reference": (known, same, none),
        "raw": (asked, same, none),
        "anchor_offset": (asked, anchors.line(one), none),
        "anchor_affine": (asked, anchors.line(anchors.slope), none),
        "matched_moments": (asked, elements.line(np.sqrt(elements.var_b / elements.var_a)), none),
        "oracle_affine": (asked, best, none),
        "oracle_affine_noise": (asked, best, grown),
    }
    times = weights.T[:, plan.codes[own]]  # (draws, elements)
    found = {}
    for rung, (target, line, added) in rungs.items():
        if rung.startswith("anchor") and not assay.anchors.any():
            continue
        intercept, slope, extra = (each[:, None] for each in (*line, added))
        z = (target[own] - intercept - slope * centre) / np.sqrt((slope * width) ** 2 + extra)
        covered = np.where(np.isfinite(z), np.abs(z) <= half_width(LEVEL), np.nan)
        share = (times * covered).sum(axis=1) / times.sum(axis=1)
        found[rung] = estimate(share, plan, scale="logit")
    table = estimates_table(found, int(own.sum())).rename(columns={"quantity": "rung"})
    return table.assign(metric="picp_90")

"""One assay measured under two conditions: how far apart they lie, and through what.

In: activity of the same elements under a reference condition A and another condition B, the
standard error of each, groups, and a mask of anchors. Out: the shares of E[(y_B - y_A)^2] due to
offset, gain, rewiring and measurement noise, each with a bootstrap interval over groups, and a
ladder of corrections with what each of them closes.

    y_A = f_A + e_A,   y_B = f_B + e_B,   f_B = intercept + slope f_A + rest,   rest ⊥ f_A

Noise attenuates a slope on y_A, so slopes are errors-in-variables estimates: covariance over
Var y_A - mean e_A^2 (Fuller, Measurement Error Models, 1987, section 1.2). Names and normalisation of the
distances are those of :class:`lib.simulator.severity.Distance`.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lib.bootstrap import (
    GroupCodes,
)
from lib.metrics._check import FloatArray

FEWEST = 10  # elements, and anchors where there are any
MOST_SETS = 2000  # groups are merged into at most so many sets before they are resampled
DRAWS = 1000
RUNGS = ("raw", "anchor_offset", "anchor_affine", "matched_moments", "oracle_affine")


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    lower: float
    upper: float


class Parts(NamedTuple):
    """Shares of E[(y_B - y_A)^2]; they add up to 1. ``rewiring`` below 0 is printed, not clipped."""

    offset: Estimate
    gain: Estimate
    rewiring: Estimate
    noise: Estimate


class Distances(NamedTuple):
    """Noise-free distances over Var f_A: ``total`` = ``offset`` + ``gain`` + ``rewiring``."""

    total: Estimate
    offset: Estimate
    gain: Estimate
    rewiring: Estimate


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


class Decomposition(NamedTuple):
    """What lies between two conditions; see the module for the model.

    Attributes
    ----------
    n, n_anchors, n_groups : int
        Elements decomposed (anchors not among them), anchors, groups.
    total : Estimate
        E[(y_B - y_A)^2], in the squared unit of the activity.
    shares : Parts
    distance : Distances
    intercept, slope : Estimate
        Of the line of f_B on f_A.
    reliability_a, reliability_b : Estimate
        Var f / Var y of each condition.
    pearson_r, pearson_r_deattenuated : Estimate
        Of y_A and y_B, and of f_A and f_B; the latter may pass 1 and is not clipped.
    ladder : dict of str to Estimate
        By rung, the share of the noise-free distance E[(f_B - f_A)^2] that its line closes: 0 for
        ``raw``, below 0 where the line does harm, and what stays open at ``oracle_affine`` is
        rewiring. Anchor rungs are there when there are anchors.
    """

    n: int
    n_anchors: int
    n_groups: int
    total: Estimate
    shares: Parts
    distance: Distances
    intercept: Estimate
    slope: Estimate
    reliability_a: Estimate
    reliability_b: Estimate
    pearson_r: Estimate
    pearson_r_deattenuated: Estimate
    ladder: dict[str, Estimate]


def paired_assay(
    activity_a: ArrayLike,
    activity_b: ArrayLike,
    std_a: ArrayLike,
    std_b: ArrayLike,
    groups: ArrayLike,
    anchors: ArrayLike | None = None,
) -> PairedAssay:
    """Check the input of all functions here.

    Raises
    ------
    ValueError
        Lengths that differ, values not finite, a negative standard error, a missing group, fewer
        than 10 elements or 1 to 9 anchors, activity without variance in either condition.
    """
    raise NotImplementedError


def decompose(assay: PairedAssay, rng: np.random.Generator, *, draws: int = DRAWS) -> Decomposition:
    """Offset, gain, rewiring and noise between two conditions, and the ladder of corrections."""
    raise NotImplementedError


def site_differences(assay: PairedAssay, intact: ArrayLike, mutated: ArrayLike) -> PairedAssay:
    """Intact minus mutated, D = y[intact] - y[mutated], as a paired assay of its own.

    ``decompose`` of it gives the slope and the deattenuated correlation of D_B on D_A. ``intact``
    and ``mutated`` are row numbers (m,) in the same order, as
    :meth:`lib.mpra.genotypes.GenotypeAssay.site_pairs` gives them; a pair takes the group of its
    intact element. Standard errors add in squares. No anchors.
    """
    raise NotImplementedError


def control_noise_factor(
    assay: PairedAssay, rng: np.random.Generator, *, draws: int = DRAWS
) -> Estimate:
    """Factor on both noise variances at which the anchors show no rewiring.

    The anchors are the negative control. If they are not rewired in truth, a factor above 1 says
    that the standard errors are too small by its root; if they are, it is an upper bound. A
    decomposition with ``std * factor**0.5`` then is a lower bound on rewiring.
    """
    raise NotImplementedError


def decomposition_table(decomposition: Decomposition) -> pd.DataFrame:
    """A decomposition as rows ``quantity, value, lower, upper, n``.

    Quantities: ``total``, ``share_<part>``, ``distance``, ``distance_<part>``, ``intercept``,
    ``slope``, ``reliability_a``, ``reliability_b``, ``pearson_r``, ``pearson_r_deattenuated``,
    ``closed_<rung>``.
    """
    raise NotImplementedError

"""One assay measured under two conditions: how far apart they lie, and through what.

In: activity of the same elements under a reference condition A and another condition B, the
standard error of each, groups, and a mask of anchors. Out: the shares of E[(y_B - y_A)^2] due to
offset, gain, rewiring and measurement noise, each with a bootstrap interval over groups, and a
ladder of corrections with what each of them closes.

    y_A = f_A + e_A,   y_B = f_B + e_B,   f_B = intercept + slope f_A + rest,   rest ⊥ f_A

    E[(y_B - y_A)^2] = (E f_B - E f_A)^2 + (slope - 1)^2 Var f_A + Var rest + E[std_A^2 + std_B^2]
                       offset              gain                    rewiring   noise

Noise in y_A attenuates an ordinary slope, so the slope is the errors-in-variables estimate with
known error variance, Cov(y_A, y_B) / (Var y_A - E std_A^2) (Fuller, Measurement Error Models,
1987). Errors are taken as independent between conditions: what both share, such as the count of
one plasmid pool, raises the slope and lowers the rewiring. Names and normalisation of the distances
are those of :class:`lib.simulator.severity.Distance`.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.arrays import FloatArray
from lib.statistics.paired_moments import (
    DRAWS,
    RUNGS,
    Estimate,
    Moments,
    PairedAssay,
    estimate,
    ladder_lines,
    moments,
    paired_assay,
    resampled,
)

__all__ = [
    "DRAWS",
    "RUNGS",
    "Decomposition",
    "Distances",
    "Estimate",
    "PairedAssay",
    "Shares",
    "control_noise_factor",
    "decompose",
    "decomposition_table",
    "paired_assay",
    "site_differences",
]


class Shares(NamedTuple):
    """Shares of E[(y_B - y_A)^2], adding up to 1; rewiring below 0 is printed, not clipped."""

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


class Decomposition(NamedTuple):
    """What lies between two conditions; the module gives the model.

    Attributes
    ----------
    n, n_anchors, n_groups : int
        Elements decomposed (anchors not among them), anchors, groups.
    total : Estimate
        E[(y_B - y_A)^2], in the squared unit of the activity.
    shares : Shares
    distance : Distances
    intercept, slope : Estimate
        Of the line of f_B on f_A.
    reliability_a, reliability_b : Estimate
        Var f / Var y of each condition.
    pearson_r, pearson_r_deattenuated : Estimate
        Of y_A and y_B, and of f_A and f_B; the latter may pass 1 and is not clipped.
    ladder : dict of str to Estimate
        By rung, the share of the noise-free distance E[(f_B - f_A)^2] that its line closes: 0 for
        ``raw``, below 0 where the line does harm; what stays open at ``oracle_affine`` is rewiring.
        NaN where the interval of the distance holds 0: there is nothing to close. Lines:
        ``anchor_offset`` and ``anchor_affine`` from the anchors alone, the latter NaN where they
        vary no more than their noise; ``matched_moments`` matches mean and s.d. of y;
        ``oracle_affine`` is the line of f_B on f_A, a diagnostic since it needs all labels.
    """

    n: int
    n_anchors: int
    n_groups: int
    total: Estimate
    shares: Shares
    distance: Distances
    intercept: Estimate
    slope: Estimate
    reliability_a: Estimate
    reliability_b: Estimate
    pearson_r: Estimate
    pearson_r_deattenuated: Estimate
    ladder: dict[str, Estimate]


def _squared(roots: FloatArray) -> Estimate:
    """Square of a signed quantity: its interval squared, so that 0 is in reach."""
    root = estimate(roots)
    ends = sorted((root.lower**2, root.upper**2))
    lower = 0.0 if root.lower <= 0 <= root.upper else ends[0]
    return Estimate(root.value**2, lower, ends[1])


def decompose(assay: PairedAssay, rng: np.random.Generator, *, draws: int = DRAWS) -> Decomposition:
    """Offset, gain, rewiring and noise between two conditions, and the ladder of corrections.

    Parameters
    ----------
    assay : PairedAssay
    rng : Generator
        For the bootstrap over groups.
    draws : int

    Raises
    ------
    ValueError
        If activity in condition A varies no more than its measured noise.

    Notes
    -----
    Offset and gain are squares of signed quantities: their intervals are those of the root,
    squared, and reach 0 where the root's interval holds it. Those of the rewiring and of the whole
    distance are corrected for the median bias of the draws; the others are percentile intervals.

    Examples
    --------
    >>> a = np.tile([-1.0, 1.0], 10)
    >>> exact = np.zeros(20)
    >>> pair = paired_assay(a, 2 * a + 3, exact, exact, np.arange(20))  # E[(a + 3)^2] = 1 + 9
    >>> shares = decompose(pair, np.random.default_rng(0)).shares
    >>> [round(part.value, 12) for part in shares]
    [0.9, 0.1, 0.0, 0.0]
    """
    assay, weights = resampled(assay, rng, draws)
    own = moments(assay, ~assay.anchors, weights)
    _require_signal(own, "elements")
    anchors = moments(assay, assay.anchors, weights) if assay.anchors.any() else None
    offset = own.mean_b - own.mean_a
    gain = (own.slope - 1) * np.sqrt(own.signal_a)
    noise = own.noise_a + own.noise_b
    distance = offset**2 + gain**2 + own.rest
    total = distance + noise
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = Shares(
            _squared(offset / np.sqrt(total)),
            _squared(gain / np.sqrt(total)),
            estimate(own.rest / total, corrected=True),
            estimate(noise / total),
        )
        distances = Distances(
            estimate(distance / own.signal_a, corrected=True),
            _squared(offset / np.sqrt(own.signal_a)),
            _squared(own.slope - 1),
            estimate(own.rest / own.signal_a, corrected=True),
        )
    some = distances.total.lower > 0
    lines = ladder_lines(own, anchors)
    return Decomposition(
        n=int(np.sum(~assay.anchors)),
        n_anchors=int(assay.anchors.sum()),
        n_groups=len(np.unique(assay.groups.codes[~assay.anchors])),
        total=estimate(total),
        shares=shares,
        distance=distances,
        intercept=estimate(own.mean_b - own.slope * own.mean_a),
        slope=estimate(own.slope),
        reliability_a=estimate(own.signal_a / own.var_a),
        reliability_b=estimate((own.var_b - own.noise_b) / own.var_b),
        pearson_r=estimate(own.cov / np.sqrt(own.var_a * own.var_b)),
        pearson_r_deattenuated=estimate(own.cov / np.sqrt(own.signal_a * own.signal_b)),
        ladder={
            rung: estimate(1 - own.open(line) / distance if some else np.full_like(total, np.nan))
            for rung, line in lines.items()
        },
    )


def _require_signal(own: Moments, rows: str) -> None:
    if not np.isfinite(own.signal_a[0]):
        raise ValueError(
            f"activity_a of the {rows} has variance {own.var_a[0]:.4g} and measured noise "
            f"{own.noise_a[0]:.4g}: nothing beyond noise to compare; smaller std_a or the less "
            "noisy condition as A would do"
        )


def site_differences(assay: PairedAssay, intact: ArrayLike, mutated: ArrayLike) -> PairedAssay:
    """Intact minus mutated, D = y[intact] - y[mutated], as a paired assay of its own.

    ``decompose`` of it gives the slope and the deattenuated correlation of D_B on D_A; offsets of a
    whole condition cancel.

    Parameters
    ----------
    assay : PairedAssay
    intact, mutated : (m,) integer arrays
        Row numbers in the same order, as :meth:`lib.assays.genotypes.GenotypeAssay.site_pairs` gives
        them. A pair takes the group of its intact element; standard errors add in squares.

    Returns
    -------
    PairedAssay
        Without anchors.

    Raises
    ------
    ValueError
        Numbers of rows that differ or do not exist, and as :func:`paired_assay` says.

    Examples
    --------
    >>> base, exact = np.arange(10.0), np.zeros(20)
    >>> a = np.concatenate([3 * base, base])  # the sites are worth 2 * base
    >>> pair = paired_assay(a, a - 5, exact, exact, np.tile(base, 2))
    >>> site_differences(pair, np.arange(10), np.arange(10, 20)).activity_a.tolist()[:4]
    [0.0, 2.0, 4.0, 6.0]
    """
    n = len(assay.activity_a)
    first, second = np.asarray(intact), np.asarray(mutated)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(
            f"intact has shape {first.shape}, mutated {second.shape}; one row number per pair in "
            "each would do"
        )
    for name, rows in (("intact", first), ("mutated", second)):
        if rows.dtype.kind not in "iu" or (len(rows) and not (0 <= rows.min() <= rows.max() < n)):
            raise ValueError(f"{name} must hold row numbers from 0 to {n - 1}")
    return paired_assay(
        assay.activity_a[first] - assay.activity_a[second],
        assay.activity_b[first] - assay.activity_b[second],
        np.hypot(assay.std_a[first], assay.std_a[second]),
        np.hypot(assay.std_b[first], assay.std_b[second]),
        assay.groups.codes[first],
    )


def control_noise_factor(
    assay: PairedAssay, rng: np.random.Generator, *, draws: int = DRAWS
) -> Estimate:
    """Factor on both noise variances at which the anchors show no rewiring.

    The anchors are the negative control. Where they are not rewired in truth, a factor above 1 says
    that the standard errors are too small by its root; where they are, it is an upper bound. Either
    way a decomposition with ``std * factor**0.5`` is a lower bound on rewiring.

    The factor k solves (Var y_A - k E std_A^2) (Var y_B - k E std_B^2) = Cov^2, smaller root.

    Raises
    ------
    ValueError
        If there are no anchors, or none has a standard error above 0.

    Examples
    --------
    >>> x, u, v = np.indices((2, 2, 2)).reshape(3, 8) * 2.0 - 1  # uncorrelated, variance 1
    >>> a, b = np.tile(2 * x + u, 6), np.tile(2 * x + v, 6)
    >>> error = np.full(48, 0.5)  # of errors of 1
    >>> pair = paired_assay(a, b, error, error, np.arange(48), np.arange(48) < 24)
    >>> round(control_noise_factor(pair, np.random.default_rng(0), draws=9).value, 12)
    4.0
    """
    if not assay.anchors.any():
        raise ValueError("assay has no anchors; at least 10 controls would do")
    assay, weights = resampled(assay, rng, draws)
    own = moments(assay, assay.anchors, weights)
    if not own.noise_a[0] + own.noise_b[0] > 0:
        raise ValueError("std_a and std_b of all anchors are 0; there is no noise to scale")
    left = own.var_a * own.var_b - own.cov**2
    middle = own.var_b * own.noise_a + own.var_a * own.noise_b
    root = np.sqrt(middle**2 - 4 * own.noise_a * own.noise_b * left)
    with np.errstate(invalid="ignore", divide="ignore"):
        return estimate(2 * left / (middle + root))


def decomposition_table(decomposition: Decomposition) -> pd.DataFrame:
    """A decomposition as rows ``quantity, value, lower, upper, n``.

    Quantities: ``total``, ``share_<part>``, ``distance``, ``distance_<part>``, ``intercept``,
    ``slope``, ``reliability_a``, ``reliability_b``, ``pearson_r``, ``pearson_r_deattenuated``,
    ``closed_<rung>``.

    Examples
    --------
    >>> a, exact = np.tile([-1.0, 1.0], 10), np.zeros(20)
    >>> found = decompose(paired_assay(a, a + 2, exact, exact, range(20)), np.random.default_rng(0))
    >>> table = decomposition_table(found).set_index("quantity")["value"]
    >>> table[["total", "share_offset", "closed_oracle_affine"]].tolist()
    [4.0, 1.0, 1.0]
    """
    own = decomposition
    named = {"total": own.total}
    named |= {f"share_{part}": value for part, value in own.shares._asdict().items()}
    named |= {
        "distance" if part == "total" else f"distance_{part}": value
        for part, value in own.distance._asdict().items()
    }
    for name in (
        "intercept",
        "slope",
        "reliability_a",
        "reliability_b",
        "pearson_r",
        "pearson_r_deattenuated",
    ):
        named[name] = getattr(own, name)
    named |= {f"closed_{rung}": value for rung, value in own.ladder.items()}
    rows = [{"quantity": name, **value._asdict(), "n": own.n} for name, value in named.items()]
    return pd.DataFrame(rows)

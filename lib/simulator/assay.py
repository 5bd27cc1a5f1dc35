"""The assay: what is measured of an activity, and how well.

In: noise-free activity f ``(n,)``, GC content ``(n,)``, a generator and an :class:`Assay`. Out: a
:class:`Measurement` per element with the mean and s.d. it was drawn with: the oracle's forecast.

    mean  =  location + gain_b (f - location) + offset_b + amplification bias(GC)
    var   =  gain_b^2 s^2 [(1 - share) + share D_0 / D] (1 + linear z + quadratic z^2) / (1 + quad.)

with batch b, depth D, z the activity in s.d. and s^2 set by the reliability. In distribution Var f
= 1 (in s.d.) and both brackets have mean 1, so two measurements of an element correlate at the
reliability. ``ANCHORS`` ties the simulator to real assays, fixed before any model was trained:
WTC11 is the lentiMPRA of Agarwal et al. (2025), its 200 nt elements; retina is libraries 1 to 7 of
Friedman et al. (2025). A test holds the hash of :func:`digest`.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray

ANCHORS: Final[dict[str, Any]] = {
    "length": 200,
    # Quantiles of GC content per element, WTC11.
    "gc_levels": [0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1],
    "gc_quantiles": [0.375, 0.435, 0.475, 0.53, 0.58, 0.645, 0.725, 0.76, 0.795],
    # Letters scatter about the background's GC, and planted sites pull it to theirs. Background GC
    # is therefore drawn from the law above, narrowed about its median by the first factor and
    # moved by the second number, after which simulated quantiles are those of WTC11.
    "gc_spread": 1.02,
    "gc_move": 0.011,
    # How much more often two (three) letters follow each other than their frequencies say; mean
    # over GC deciles of WTC11, both strands. Rows: earlier letters A, C, G, T; columns: the next.
    "dinucleotide_odds": [
        [1.056, 0.778, 1.374, 0.716],
        [1.247, 1.135, 0.413, 1.374],
        [1.023, 1.008, 1.135, 0.778],
        [0.548, 1.023, 1.247, 1.056],
    ],
    "trinucleotide_odds": [
        [[1.19, 0.95, 0.89, 1.10], [1.14, 0.96, 1.06, 0.91], [1.02, 1.00, 1.04, 0.91],
         [1.11, 0.92, 0.98, 1.10]],
        [[0.76, 1.09, 1.08, 0.98], [1.01, 0.96, 1.01, 1.04], [0.75, 1.11, 1.01, 1.06],
         [0.86, 1.03, 1.08, 0.89]],
        [[1.11, 0.89, 1.03, 0.92], [0.98, 0.97, 1.11, 1.00], [1.16, 0.97, 0.96, 0.96],
         [1.09, 0.89, 1.09, 0.95]],
        [[1.12, 1.09, 0.86, 1.11], [0.89, 1.16, 0.75, 1.02], [0.89, 0.98, 1.01, 1.14],
         [1.12, 1.11, 0.76, 1.19]],
    ],
    # log2 RNA/DNA of WTC11: mean 0.568 below zero, s.d. 1.117; forward and reverse copies of one
    # element correlate at .744, so the signal's s.d. is 1.117 * sqrt(.744).
    "activity_mean": -0.568,
    "activity_sd": 0.963,
    "reliability": 0.744,
    # Error variance against activity z (signal s.d.): 1 + linear z + quadratic z^2, up to a factor;
    # least squares through the deciles of WTC11's forward/reverse differences, |z| < 2.5.
    "variance_linear": 0.064,
    "variance_quadratic": 0.169,
    # Retina: DNA count per element (median of library medians), s.d. of its natural log, barcodes
    # per element, negative-binomial size of one barcode, and the share of the error variance that
    # falls as 1/depth at the median depth.
    "depth_median": 2400.0,
    "depth_log_sd": 0.75,
    "depth_share": 0.6,
    "barcodes": 3,
    "barcode_size": 4.4,
    # Retina, labels shared between libraries: s.d. over batches of the log gain and of the offset,
    # the latter in units of the activity's s.d.
    "batch_log_gain_sd": 0.04,
    "batch_offset_sd": 0.31,
    # Retina, WT on rho, peaks with every CRX site intact or mutated: median absolute difference
    # of log2 activity in units of the activity's s.d.
    "site_effect": 0.37,
}  # fmt: skip
LOCATION, SD = ANCHORS["activity_mean"], ANCHORS["activity_sd"]
# At which the error's variance is its mean over depths: E[median / D] of a lognormal depth is
# exp(sd^2 / 2).
TYPICAL_DEPTH = ANCHORS["depth_median"] * np.exp(-(ANCHORS["depth_log_sd"] ** 2) / 2)


def digest() -> str:
    """SHA-256 of the anchors as canonical JSON."""
    return hashlib.sha256(json.dumps(ANCHORS, sort_keys=True).encode()).hexdigest()


class Batch(NamedTuple):
    """A batch multiplies activity (about its mean) by ``gain`` and adds ``offset`` (log2)."""

    gain: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Assay:
    """How activity is measured.

    Attributes
    ----------
    reliability : float
        Correlation of two measurements of one element at the anchored depth: signal share of the
        variance.
    depth_fold : float
        Depth relative to the anchor (median DNA count per element).
    batches : tuple of Batch
        Elements fall into them at random; the default is the one reference batch.
    first_batch : int
        Number of the first batch in the metadata: unseen batches carry numbers of their own.
    amplification : float
        GC-dependent amplification, log2 units per s.d. of GC: bends RNA against DNA, and costs
        depth away from the mean GC.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    reliability: float = ANCHORS["reliability"]
    depth_fold: float = 1.0
    batches: tuple[Batch, ...] = (Batch(),)
    first_batch: int = 0
    amplification: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.reliability <= 1:
            raise ValueError(f"reliability is {self.reliability}; it must lie in (0, 1]")
        if not self.depth_fold > 0:
            raise ValueError(f"depth_fold is {self.depth_fold}; it must be positive")
        if not self.batches or any(not batch.gain > 0 for batch in self.batches):
            raise ValueError("batches must hold at least one Batch, each of positive gain")


class Measurement(NamedTuple):
    """Arrays ``(n,)``: what was measured, the oracle's mean and s.d., and the circumstances."""

    value: FloatArray
    mean: FloatArray
    std: FloatArray
    depth: FloatArray
    batch: NDArray[np.int64]


def measure(
    activity: FloatArray, gc_z: FloatArray, assay: Assay, rng: np.random.Generator
) -> Measurement:
    """Measure each element's f ``(n,)`` once, at GC contents in in-distribution s.d. from the mean.

    Depth, batch and error use the same random numbers whatever the assay's settings, so assays that
    differ in one setting are compared on the same draw.
    """
    n = len(activity)
    log_depth = ANCHORS["depth_log_sd"] * rng.standard_normal(n)
    batch = (rng.random(n) * len(assay.batches)).astype(np.int64)
    skew = np.clip(gc_z, -3, 3)
    depth = ANCHORS["depth_median"] * assay.depth_fold * np.exp(log_depth)
    depth *= np.exp2(-assay.amplification * skew**2)
    gain, offset = np.array(assay.batches, np.float64).T[:, batch]
    mean = LOCATION + gain * (activity - LOCATION) + offset
    mean += assay.amplification * SD * (skew - (skew**2 - 1) / 2)
    number = batch + assay.first_batch
    std = gain * np.sqrt(error_variance(activity, depth, assay))
    value = mean + std * rng.standard_normal(n)
    return Measurement(value, mean, std, depth, number)


def error_variance(activity: FloatArray, depth: FloatArray, assay: Assay) -> FloatArray:
    """Variance of the error before a batch's gain, in squared log2 units, ``(n,)``."""
    share, linear, quadratic = (
        ANCHORS[name] for name in ("depth_share", "variance_linear", "variance_quadratic")
    )
    by_depth = (1 - share) + share * TYPICAL_DEPTH / depth
    z = (activity - LOCATION) / SD
    by_activity = (1 + linear * z + quadratic * z**2) / (1 + quadratic)
    level = SD**2 * (1 / assay.reliability - 1)
    return np.asarray(level * by_depth * by_activity)

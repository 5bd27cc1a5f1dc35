"""The assay: what is measured of an activity, and how well.

In: noise-free activity f ``(n,)``, GC content ``(n,)``, a generator and an :class:`Assay`. Out: a
:class:`Measurement` per element with the mean and s.d. it was drawn with: the oracle's forecast.

    mean  =  location + gain_b (f - location) + offset_b + amplification bias(GC)
    var   =  gain_b^2 s^2 [(1 - share) + share D_0 / D] (1 + linear z + quadratic z^2) / (1 + quad.)

with batch b, depth D, z the activity in s.d. and s^2 set by the reliability. In distribution Var f
= 1 (in s.d.) and both brackets have mean 1, so two measurements of an element correlate at the
reliability.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray
from lib.simulator.anchors import ANCHORS

LOCATION, SD = ANCHORS["activity_mean"], ANCHORS["activity_sd"]


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

    @property
    def noise_share(self) -> float:
        """Share of the variance of a measurement that is error, at the anchored depth."""
        return 1 - self.reliability


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
    """Measure each element once.

    Parameters
    ----------
    activity : (n,) float array
        f, log2 RNA/DNA.
    gc_z : (n,) float array
        GC content in in-distribution s.d. from its in-distribution mean.

    Notes
    -----
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
    # E[median / D] of a lognormal depth is exp(sd^2 / 2): divided out, the bracket's mean is 1
    typical = ANCHORS["depth_median"] * np.exp(-(ANCHORS["depth_log_sd"] ** 2) / 2)
    by_depth = (1 - share) + share * typical / depth
    z = (activity - LOCATION) / SD
    by_activity = (1 + linear * z + quadratic * z**2) / (1 + quadratic)
    level = SD**2 * (1 / assay.reliability - 1)
    return np.asarray(level * by_depth * by_activity)

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
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from lib.simulator.anchors import ANCHORS

FloatArray = NDArray[np.float64]

LOCATION, SD = ANCHORS["activity_mean"], ANCHORS["activity_sd"]
# Presets of the reliability: the anchor, and a noisier and a cleaner assay for sensitivity.
RELIABILITY: Final = {"noisy": 0.65, "default": ANCHORS["reliability"], "clean": 0.85}
MODES = ("gaussian", "counts")
GRID_NODES, GRID_DRAWS = 12, 4000  # of the count mode's oracle
PSEUDOCOUNT = 1.0


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
        variance. In count mode it is an outcome of the counts, not a setting.
    depth_fold : float
        Depth relative to the anchor (median DNA count per element).
    batches : tuple of Batch
        Elements fall into them at random; the default is the one reference batch.
    first_batch : int
        Number of the first batch in the metadata: unseen batches carry numbers of their own.
    amplification : float
        GC-dependent amplification, log2 units per s.d. of GC: bends RNA against DNA, and costs
        depth away from the mean GC.
    mode : str
        ``gaussian``: normal error, mean and s.d. in closed form. ``counts``: negative-binomial DNA
        and RNA counts per barcode, activity estimated as log2 RNA/DNA, oracle from replicates.
    barcodes, replicates : int
        Count mode: barcodes per element, RNA replicates.

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
    mode: str = "gaussian"
    barcodes: int = ANCHORS["barcodes"]
    replicates: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.reliability <= 1:
            raise ValueError(f"reliability is {self.reliability}; it must lie in (0, 1]")
        if not self.depth_fold > 0:
            raise ValueError(f"depth_fold is {self.depth_fold}; it must be positive")
        if not self.batches or any(not batch.gain > 0 for batch in self.batches):
            raise ValueError("batches must hold at least one Batch, each of positive gain")
        if self.mode not in MODES:
            raise ValueError(f"mode {self.mode!r} is unknown; there are {', '.join(MODES)}")
        if self.barcodes < 1 or self.replicates < 1:
            raise ValueError("barcodes and replicates must be at least 1")

    @property
    def noise_share(self) -> float:
        """Share of the variance of a measurement that is error, at the anchored depth."""
        return 1 - self.reliability


class Measurement(NamedTuple):
    """Arrays ``(n,)``: what was measured, the oracle's mean and s.d., and the circumstances.

    ``dna`` ``(n,)`` and ``rna`` ``(n, replicates)`` are counts summed over barcodes, or None.
    ``replicate_std`` is the standard error over replicates, or None.
    """

    value: FloatArray
    mean: FloatArray
    std: FloatArray
    depth: FloatArray
    batch: NDArray[np.int64]
    dna: NDArray[np.int64] | None = None
    rna: NDArray[np.int64] | None = None
    replicate_std: FloatArray | None = None


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
    Depth, batch and error use the same random numbers whatever the assay's settings (in Gaussian
    mode), so assays that differ in one setting are compared on the same draw.
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
    if assay.mode == "counts":
        return _count(mean, depth, number, assay, rng)
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


def barcode_counts(
    mean: FloatArray, depth: FloatArray, assay: Assay, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """DNA counts ``(n, barcodes)`` and RNA counts ``(n, barcodes, replicates)``.

    A barcode has a gamma-distributed copy number about depth / barcodes. DNA is Poisson about it;
    RNA is Poisson about copy number times 2**mean times a gamma factor of mean 1 per replicate.
    Both counts are negative binomial and share the copy number, as in an assay.
    """
    n, size = len(mean), ANCHORS["barcode_size"]
    shape = (n, assay.barcodes)
    copies = rng.gamma(size, 1 / size, shape) * (depth / assay.barcodes)[:, None]
    dna = rng.poisson(copies)
    burst = rng.gamma(size, 1 / size, (*shape, assay.replicates))
    rna = rng.poisson(copies[..., None] * np.exp2(mean)[:, None, None] * burst)
    return dna, rna


def estimate(dna: NDArray[np.int64], rna: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """log2 (RNA + 1) / (DNA + 1) of counts summed over barcodes: mean and standard error.

    Parameters
    ----------
    dna : (n, barcodes) int array
    rna : (n, barcodes, replicates) int array

    Returns
    -------
    mean, standard_error : (n,) float arrays
        Over replicates; the standard error of a single replicate is NaN. DNA is shared by the
        replicates, so its sampling error is not in the standard error.

    Examples
    --------
    >>> estimate(np.array([[3, 4]]), np.array([[[15, 7], [16, 8]]]))
    (array([1.5]), array([0.5]))
    """
    ratio = np.log2(rna.sum(axis=1) + PSEUDOCOUNT) - np.log2(dna.sum(axis=1) + PSEUDOCOUNT)[:, None]
    replicates = ratio.shape[1]
    if replicates == 1:
        return ratio[:, 0], np.full(len(ratio), np.nan)
    return ratio.mean(axis=1), ratio.std(axis=1, ddof=1) / np.sqrt(replicates)


@lru_cache(maxsize=16)
def count_oracle(assay: Assay, seed: int = 0) -> RegularGridInterpolator:
    """Mean error and log s.d. of the estimate, from repeated counts over a grid.

    Returns
    -------
    RegularGridInterpolator
        Maps (log depth, expected log2 ratio) to (bias of the estimate, log of its s.d.).
    """
    rng = np.random.default_rng(seed)
    median = np.log(ANCHORS["depth_median"] * assay.depth_fold)
    log_depth = median + np.linspace(-5, 4, GRID_NODES) * ANCHORS["depth_log_sd"]
    ratio = LOCATION + np.linspace(-8, 8, GRID_NODES) * SD
    table = np.empty((GRID_NODES, GRID_NODES, 2))
    for i, j in np.ndindex(GRID_NODES, GRID_NODES):
        mean = np.full(GRID_DRAWS, ratio[j])
        value, _ = estimate(
            *barcode_counts(mean, np.full(GRID_DRAWS, np.exp(log_depth[i])), assay, rng)
        )
        table[i, j] = value.mean() - ratio[j], np.log(max(value.std(), 1e-6))
    return RegularGridInterpolator((log_depth, ratio), table, bounds_error=False, fill_value=None)


def _count(
    mean: FloatArray,
    depth: FloatArray,
    batch: NDArray[np.int64],
    assay: Assay,
    rng: np.random.Generator,
) -> Measurement:
    dna, rna = barcode_counts(mean, depth, assay, rng)
    value, error = estimate(dna, rna)
    bias, log_std = count_oracle(assay)(np.stack([np.log(depth), mean], axis=1)).T
    std = np.exp(log_std)
    return Measurement(
        value, mean + bias, std, depth, batch, dna.sum(axis=1), rna.sum(axis=1), error
    )

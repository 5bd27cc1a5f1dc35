"""Constants that tie the simulator to real assays: aggregates, fixed before any model was trained.

WTC11 is the lentiMPRA of Agarwal et al. (2025), its 200 nt elements; retina is libraries 1 to 7 of
Friedman et al. (2025). ``ANCHORS`` is hashed by :func:`digest`, and a test holds the hash.
"""

import hashlib
import json
from typing import Any, Final

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


def digest() -> str:
    """SHA-256 of the anchors as canonical JSON."""
    return hashlib.sha256(json.dumps(ANCHORS, sort_keys=True).encode()).hexdigest()

"""Structural priors: what is known of a sequence beforehand, as side features of any network.

In: codes ``(n, L)`` and, for motif priors, position weight matrices. Out: features ``(n, p)``
float32 for ``SequenceDataset.features``, which enter a network's head beside its embedding. The
control of the same law is :func:`permuted_rows`.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lib.motifs.binding import BLOCK, affinities, score_threshold, table_rows
from lib.motifs.binding import scanner as make_scanner
from lib.motifs.pwm import PWM, log_odds
from lib.sequences import Codes, gc_content, validate_codes

Features = NDArray[np.float32]

SCORES = ("maximum", "occupancy", "count")
SITE_P_VALUE = 1e-4  # at which a window of uniform letters counts as a site
_ALIKE = 1e-6  # matrices that differ by less everywhere are one motif
FAINT = 1e-4  # affinity below which a / (1 + a) is a
REACHED = 0.99999  # tables are float32: a window at the threshold must reach it


def check_motifs(pwms: Sequence[PWM], length: int) -> tuple[PWM, ...]:
    """The motifs of a set, or what is wrong with them.

    Raises
    ------
    ValueError
        If there is none, one is longer than the sequences, or two are the same matrix on either
        strand.
    """
    if not pwms:
        raise ValueError("the motif set is empty; give at least one motif")
    for place, pwm in enumerate(pwms):
        if pwm.width > length:
            raise ValueError(
                f"motif {pwm.name} is {pwm.width} nt wide, the sequences have {length} nt; drop "
                "the motif or take longer sequences"
            )
        for other in pwms[:place]:
            views = (other.probabilities, other.probabilities[::-1, ::-1])
            if pwm.width == other.width and any(
                np.abs(pwm.probabilities - view).max() < _ALIKE for view in views
            ):
                raise ValueError(
                    f"motifs {other.name} and {pwm.name} are the same matrix; keep one of them"
                )
    return tuple(pwms)


def motif_features(codes: Codes, pwms: Sequence[PWM], p_value: float = SITE_P_VALUE) -> Features:
    """Best score, summed occupancy and number of sites per motif, both strands together.

    Parameters
    ----------
    codes : (n, L) uint8 array
    pwms : sequence of m PWM
    p_value : float
        Sets each motif's threshold t: the log odds that a window of uniform letters reaches with
        this probability.

    Returns
    -------
    (n, 3 m) float32 array
        First m columns: the best log odds (nats) of any window. Next m: the sum over windows of
        a / (1 + a) with a = exp(log odds - t). Last m: the windows whose log odds reach t. A window
        with an N counts for nothing.

    Raises
    ------
    ValueError
        For a bad set, see :func:`check_motifs`, and for a ``p_value`` outside (0, 1).

    Examples
    --------
    >>> from lib.motifs.pwm import make_pwm
    >>> from lib.sequences import encode
    >>> only_a = make_pwm("AA", [[1, 1], [0, 0], [0, 0], [0, 0]])
    >>> found = motif_features(encode(["AACC", "CGTT"]), [only_a], p_value=0.1)
    >>> found.astype(float).round(1).tolist()  # AA or TT is bound; AC or GT, at t, half
    [[2.8, 1.5, 1.0], [2.8, 1.5, 1.0]]
    """
    codes = np.ascontiguousarray(validate_codes(codes))
    motifs = check_motifs(pwms, codes.shape[1])
    cutoff = np.array([score_threshold(pwm, p_value) for pwm in motifs])
    sites = make_scanner(motifs, cutoff)
    lowest = np.array([log_odds(pwm).min(axis=0).sum() for pwm in motifs])
    found = np.empty((len(codes), len(motifs), len(SCORES)))
    _scores(codes, *sites, np.exp(lowest - cutoff), found)
    found[..., 0] = np.log(found[..., 0]) + cutoff
    return found.transpose(0, 2, 1).reshape(len(codes), -1).astype(np.float32)


@njit(nogil=True, cache=True)
def _scores(codes, tables, first, widths, lowest, out):  # type: ignore[no-untyped-def]
    """Best affinity, summed a / (1 + a) and windows with a >= 1, per element and motif."""
    n, length = codes.shape
    rows = np.empty((BLOCK, length), np.int16)
    forward, reverse = np.empty(length, np.float32), np.empty(length, np.float32)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        table_rows(codes[start:stop], rows)
        for motif in range(len(widths)):
            own = tables[first[motif] : first[motif + 1]]
            windows = length - widths[motif] + 1
            for element in range(start, stop):
                affinities(rows[element - start], own, windows, forward, reverse)
                best, total, sites = lowest[motif], 0.0, 0
                for i in range(windows):
                    a, b = np.float64(forward[i]), np.float64(reverse[i])
                    best = max(best, a, b)
                    if a + b < FAINT:
                        total += a + b
                        continue
                    total += a / (1 + a) + b / (1 + b)
                    sites += int(a > REACHED) + int(b > REACHED)
                out[element, motif, 0] = best
                out[element, motif, 1] = total
                out[element, motif, 2] = sites


def gc_windows(codes: Codes, windows: int = 8) -> Features:
    """GC content of equal stretches, left to right, ``(n, windows)``.

    A stretch without known letters takes the whole row's GC content.
    """
    codes = validate_codes(codes)
    whole = gc_content(codes)
    parts = [gc_content(part) for part in np.array_split(codes, windows, axis=1)]
    filled = [np.where(np.isnan(part), whole, part) for part in parts]
    return np.stack(filled, axis=1).astype(np.float32)


def check_prior(features: NDArray[np.floating], name: str) -> Features:
    """The features as float32, or what is wrong with them.

    A single constant column is let through: a motif may have no site in a small sample.

    A ``ValueError``: If a value is not finite or no column varies.
    """
    values = np.asarray(features)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(
            f"prior {name} has shape {values.shape}; (n, p) with p at least 1 would do"
        )
    if not np.isfinite(values).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(
            f"prior {name} is {values[row, column]} in row {row}, column {column}; drop the row or "
            "fill it in"
        )
    if len(values) and (values == values[0]).all():
        raise ValueError(
            f"prior {name} is constant over all {len(values)} rows: it tells no element from "
            "another, so leave it out"
        )
    return values.astype(np.float32)


def permuted_rows(
    features: Features, parts: Sequence[NDArray[np.int64]], rng: np.random.Generator
) -> Features:
    """The features with the rows of each part dealt out anew within the part: a placebo.

    It keeps the law of the features, and of their shift, and takes away what they say of an
    element. Rows outside the parts stay.
    """
    found = features.copy()
    for rows in parts:
        found[rows] = features[rng.permutation(rows)]
    return found

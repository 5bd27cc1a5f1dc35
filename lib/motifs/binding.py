"""Binding: how strongly motifs are bound along sequences, and where.

In: codes ``(n, L)`` and motifs. Out: occupancies ``(n, m)`` and tables of sites. Binding is scored
on both strands of the actual sequence, so a sequence and its reverse complement are bound alike; a
window that holds an N is not bound. Look-up tables over five letters at a time make a scan cheap.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from lib.arrays import FloatArray
from lib.motifs.pwm import PWM, log_odds
from lib.sequences import Codes, validate_codes

CHUNK = 5  # letters per table look-up: 5**5 rows with N as the fifth letter stay in the L1 cache
ROWS = 5**CHUNK
BLOCK = 256  # sequences scanned by one motif before the next, so that its tables stay cached


class Scanner(NamedTuple):
    """Look-up tables of a motif set, made by :func:`scanner`.

    Attributes
    ----------
    tables : (c, 3125, 2) float32 array
        Factor of the affinity that five letters contribute, on the forward and the reverse strand.
    first : (m + 1,) int64 array
        Tables ``first[i]`` to ``first[i + 1]`` belong to motif i.
    widths : (m,) int64 array
    """

    tables: NDArray[np.float32]
    first: NDArray[np.int64]
    widths: NDArray[np.int64]


def scanner(pwms: Sequence[PWM], potentials: FloatArray | Sequence[float]) -> Scanner:
    """Tabulate affinities ``exp(log odds - potential)``; a window with an N has affinity 0.

    Parameters
    ----------
    pwms : sequence of m PWM
    potentials : (m,) floats
        Log odds, in nats, at which a site is bound half of the time (the chemical potential).
    """
    letters = np.array(np.unravel_index(np.arange(ROWS), (5,) * CHUNK))  # (CHUNK, ROWS)
    tables, first = [], [0]
    for pwm, potential in zip(pwms, potentials, strict=True):
        forward = log_odds(pwm)
        chunks = -(-pwm.width // CHUNK)
        for chunk in range(chunks):
            table = np.full((ROWS, 2), -potential / chunks)
            for strand, odds in enumerate((forward, forward[::-1, ::-1])):
                columns = odds[:, chunk * CHUNK : (chunk + 1) * CHUNK]
                columns = np.vstack([columns, np.full(columns.shape[1], -np.inf)])  # N
                for offset in range(columns.shape[1]):
                    table[:, strand] += columns[letters[offset], offset]
            tables.append(np.exp(table).astype(np.float32))
        first.append(len(tables))
    widths = np.array([pwm.width for pwm in pwms], np.int64)
    return Scanner(np.array(tables, np.float32), np.array(first, np.int64), widths)


def occupancy(codes: Codes, sites: Scanner) -> FloatArray:
    """Expected number of bound sites per sequence and motif.

    Sum over both strands and all positions of a / (1 + a), with a the affinity of the window: the
    equilibrium binding probability of a single site (Berg and von Hippel 1987).

    Parameters
    ----------
    codes : (n, L) uint8 array
    sites : Scanner of m motifs

    Returns
    -------
    (n, m) float64 array
        At least 0, and unchanged by reverse complement up to rounding.

    Raises
    ------
    ValueError
        If a motif is longer than the sequences.

    Examples
    --------
    >>> from lib.motifs.pwm import make_pwm
    >>> from lib.sequences import encode
    >>> only_a = make_pwm("AA", [[1, 1], [0, 0], [0, 0], [0, 0]])
    >>> occupancy(encode(["AACC", "GGTT"]), scanner([only_a], [0.0])).round(2).tolist()
    [[0.94], [0.94]]
    """
    codes = _scannable(codes, sites)
    out = np.empty((len(codes), len(sites.widths)))
    _occupancy(codes, sites.tables, sites.first, sites.widths, out)
    return out


def scan(codes: Codes, pwms: Sequence[PWM], threshold: float | FloatArray) -> pd.DataFrame:
    """List every window whose log odds reach ``threshold`` (nats; one for all or one per motif).

    Returns
    -------
    DataFrame
        ``element, motif`` (index into ``pwms``), ``start`` (leftmost position), ``strand`` (+1,
        -1), ``score`` (nats); ordered by motif, element, start. A palindrome is listed on both
        strands.
    """
    sites = scanner(pwms, np.zeros(len(pwms)))
    codes = _scannable(codes, sites)
    cutoff = np.broadcast_to(np.asarray(threshold, np.float64), len(pwms))
    size = max(1024, 4 * len(codes))
    while True:
        hits, score = np.empty((size, 4), np.int32), np.empty(size, np.float32)
        found = _scan(codes, *sites, np.exp(cutoff).astype(np.float32), hits, score)
        if found <= size:
            break
        size = found
    table = pd.DataFrame(hits[:found], columns=["element", "motif", "start", "strand"])
    return table.assign(score=np.log(score[:found].astype(np.float64)))


def score_threshold(pwm: PWM, p_value: float) -> float:
    """Smallest log odds (nats) that a uniform random window reaches with probability ≤ ``p_value``.

    The null distribution is built by convolution on a grid of 0.005 nats.
    """
    if not 0 < p_value < 1:
        raise ValueError(f"p_value is {p_value}; it must lie between 0 and 1")
    step = 0.005
    scores = np.round(log_odds(pwm) / step).astype(int)
    scores -= (low := scores.min(axis=0))
    null = np.ones(1)
    for column in scores.T:
        wider = np.zeros(len(null) + column.max())
        for letter_score in column:
            wider[letter_score : letter_score + len(null)] += null / 4
        null = wider
    tail = np.cumsum(null[::-1])[::-1]
    return float((np.argmax(np.append(tail, 0) <= p_value) + low.sum()) * step)


def _scannable(codes: Codes, sites: Scanner) -> Codes:
    codes = np.ascontiguousarray(validate_codes(codes))
    if len(sites.widths) and sites.widths.max() > codes.shape[1]:
        raise ValueError(
            f"a motif is {sites.widths.max()} nt wide, the sequences have {codes.shape[1]} nt; "
            "drop the motif or take longer sequences"
        )
    return codes


@njit(nogil=True, cache=True)
def table_rows(codes, rows):  # type: ignore[no-untyped-def]
    """Row of the tables for the five letters from each position on; N beyond the end."""
    length = codes.shape[1]
    for element in range(codes.shape[0]):
        row = ROWS - 1
        for position in range(length - 1, -1, -1):
            row = row // 5 + codes[element, position] * (ROWS // 5)
            rows[element, position] = row


@njit(nogil=True, cache=True)
def affinities(rows, tables, windows, forward, reverse):  # type: ignore[no-untyped-def]
    """Affinity of every window on both strands: a product over the motif's tables."""
    for i in range(windows):
        row = rows[i]
        forward[i] = tables[0, row, 0]
        reverse[i] = tables[0, row, 1]
    for chunk in range(1, tables.shape[0]):
        for i in range(windows):
            row = rows[i + chunk * CHUNK]
            forward[i] *= tables[chunk, row, 0]
            reverse[i] *= tables[chunk, row, 1]


@njit(nogil=True, cache=True)
def _occupancy(codes, tables, first, widths, out):  # type: ignore[no-untyped-def]
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
                total = 0.0
                for i in range(windows):
                    a, b = np.float64(forward[i]), np.float64(reverse[i])
                    # a/(1+a) + b/(1+b) with one division instead of two
                    total += (a + b + 2 * a * b) / ((1 + a) * (1 + b))
                out[element, motif] = total


@njit(nogil=True, cache=True)
def _scan(codes, tables, first, widths, cutoff, hits, score):  # type: ignore[no-untyped-def]
    n, length = codes.shape
    rows = np.empty((n, length), np.int16)
    table_rows(codes, rows)
    found = 0
    views = np.empty((2, length), np.float32)
    for motif in range(len(widths)):
        own, windows = tables[first[motif] : first[motif + 1]], length - widths[motif] + 1
        for element in range(n):
            affinities(rows[element], own, windows, views[0], views[1])
            for i in range(windows):
                for strand in range(2):
                    if views[strand, i] >= cutoff[motif]:
                        if found < len(hits):
                            hits[found] = (element, motif, i, 1 - 2 * strand)
                            score[found] = views[strand, i]
                        found += 1
    return found

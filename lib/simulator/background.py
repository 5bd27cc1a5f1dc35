"""Sequences: a Markov background under a law of GC content, with motif sites planted in it.

In: a :class:`SequenceLaw` and generators. Out: codes ``(n, L)``, the background GC each element was
drawn at ``(n,)`` and the planted sites ``(s, 4)``: element, motif, start (leftmost position),
strand.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lib.arrays import FloatArray
from lib.motifs.binding import CHUNK, ROWS, Scanner, table_rows
from lib.motifs.binding import scanner as make_scanner
from lib.motifs.pwm import PWM
from lib.sequences import Codes
from lib.simulator.activity import default_potentials
from lib.simulator.assay import ANCHORS

GC_GRID = np.linspace(0.2, 0.95, 151)  # background GC takes these values
MAX_UNITS = 8  # a unit is one site, or two that belong together
BURN_IN = 8  # letters generated and dropped, so that the chain starts in its stationary law
WIDEST_GAP = 20
TOLERANCE = 0.004  # expected sites, per exchange and motif
FAINT = 1e-5  # affinity below which a window is passed over


@dataclass(frozen=True, eq=False)
class SequenceLaw:
    """The law that elements are drawn from.

    Attributes
    ----------
    length : int
        Nucleotides per element.
    motifs : tuple of m PWM
        What is planted, each motif equally often.
    pairs : tuple of (int, int)
        Motifs planted together, the second within ``WIDEST_GAP`` nucleotides downstream of the
        first, in either relative orientation.
    units_mean : float
        Mean of the Poisson number of units per element, before the cap of ``MAX_UNITS``.
    pair_share : float
        Share of units that are pairs.
    gc_tilt : float
        λ of the exponential tilt exp(λ GC) applied to the law of the background's GC.
    gc_neutral : bool
        Whether a tilt is made by exchanging single letters of an untilted element, and only where
        this changes no motif's occupancy (the GC-neutral arm).
    """

    length: int
    motifs: tuple[PWM, ...]
    pairs: tuple[tuple[int, int], ...] = ()
    units_mean: float = 1.8
    pair_share: float = 0.3
    gc_tilt: float = 0.0
    gc_neutral: bool = False

    @cached_property
    def scanner(self) -> Scanner:
        """Look-up tables of the planted motifs, for the GC-neutral arm."""
        return make_scanner(self.motifs, default_potentials(self.motifs))


class Sequences(NamedTuple):
    """What :func:`draw` returns: codes ``(n, L)``, gc_law ``(n,)``, sites ``(s, 4)`` int32."""

    codes: Codes
    gc_law: FloatArray
    sites: NDArray[np.int32]


def gc_probabilities(tilt: float = 0.0) -> FloatArray:
    """Probability of each value of ``GC_GRID``, the anchored law times exp(tilt GC)."""
    knots = np.array(ANCHORS["gc_quantiles"])
    centre = knots[len(knots) // 2]
    knots = centre + ANCHORS["gc_move"] + ANCHORS["gc_spread"] * (knots - centre)
    half = (GC_GRID[1] - GC_GRID[0]) / 2
    edges = np.append(GC_GRID - half, GC_GRID[-1] + half)
    mass = np.diff(np.interp(edges, knots, ANCHORS["gc_levels"]))
    mass = mass * np.exp(tilt * (GC_GRID - centre))
    return np.asarray(mass / mass.sum())


def gc_tilt_for(mean_shift: float) -> float:
    """The tilt that moves the mean of the background's GC by ``mean_shift``."""
    goal = gc_probabilities() @ GC_GRID + mean_shift
    low, high = -400.0, 400.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if gc_probabilities(middle) @ GC_GRID < goal else (low, middle)
    return (low + high) / 2


@cache
def transition_thresholds() -> FloatArray:
    """Cumulative probabilities of A, C, G given the letter before, for every GC of the grid.

    ``(g, 4, 3)``. The chain's stationary GC equals the grid's value; the composition that achieves
    this given the anchored odds is found by bisection.
    """
    odds = np.array(ANCHORS["dinucleotide_odds"])
    low, high = np.zeros(len(GC_GRID)), np.ones(len(GC_GRID))
    for _ in range(40):
        share = (low + high) / 2
        too_low = _stationary_gc(_transitions(odds, share)) < GC_GRID
        low, high = np.where(too_low, share, low), np.where(too_low, high, share)
    table = np.cumsum(_transitions(odds, (low + high) / 2), axis=2)[:, :, :3]
    table.flags.writeable = False
    return table


def _transitions(odds: FloatArray, share: FloatArray) -> FloatArray:
    letters = np.stack([1 - share, share, share, 1 - share], axis=1)[:, None, :]
    weight = odds[None] * letters
    return np.asarray(weight / weight.sum(axis=2, keepdims=True))


def _stationary_gc(transitions: FloatArray) -> FloatArray:
    state = np.full(transitions.shape[:2], 1 / 4)  # (g, letter)
    for _ in range(51):
        state = (state[:, :, None] * transitions).sum(axis=1)
    return np.asarray(state[:, 1] + state[:, 2])


def draw(
    law: SequenceLaw,
    n: int,
    gc_rng: np.random.Generator,
    letter_rng: np.random.Generator,
    site_rng: np.random.Generator,
) -> Sequences:
    """Draw ``n`` elements.

    Three generators keep the parts apart: a tilt of the GC law moves neither the planted sites nor
    the random numbers behind the letters, and a change of the sites leaves the background alone.
    """
    cumulative = np.cumsum(gc_probabilities(0.0 if law.gc_neutral else law.gc_tilt))
    bins = np.searchsorted(cumulative, gc_rng.random(n) * cumulative[-1], side="right")
    codes = np.empty((n, law.length), np.uint8)
    _background(codes, bins, transition_thresholds(), letter_rng)
    sites = np.empty((n * 2 * MAX_UNITS, 4), np.int32)
    pairs = np.array(law.pairs, np.int64).reshape(-1, 2)
    widths = np.array([pwm.width for pwm in law.motifs], np.int64)
    cumulative_pwms = np.ones((len(widths), widths.max(), 3))
    for row, pwm in zip(cumulative_pwms, law.motifs, strict=True):
        row[: pwm.width] = np.cumsum(pwm.probabilities, axis=0)[:3].T
    share = law.pair_share if law.pairs else 0.0
    planted = _plant(codes, site_rng, law.units_mean, share, cumulative_pwms, widths, pairs, sites)
    return Sequences(codes, GC_GRID[bins], sites[:planted])


@njit(nogil=True, cache=True)
def _letter(thresholds, u):  # type: ignore[no-untyped-def]
    return (u >= thresholds[0]) + (u >= thresholds[1]) + (u >= thresholds[2])


@njit(nogil=True, cache=True)
def _background(codes, bins, thresholds, rng):  # type: ignore[no-untyped-def]
    for element in range(codes.shape[0]):
        own = thresholds[bins[element]]
        letter = 0
        for position in range(-BURN_IN, codes.shape[1]):
            letter = _letter(own[letter], rng.random())
            if position >= 0:
                codes[element, position] = letter


@njit(nogil=True, cache=True)
def _write_site(row, rng, cumulative, width, start, strand):  # type: ignore[no-untyped-def]
    for i in range(width):
        letter = _letter(cumulative[i], rng.random())
        if strand > 0:
            row[start + i] = letter
        else:
            row[start + width - 1 - i] = 3 - letter


@njit(nogil=True, cache=True)
def _plant(codes, rng, units_mean, pair_share, cumulative, widths, pairs, sites):  # type: ignore[no-untyped-def]
    """Plant units from left to right; uniform over all placements without overlap."""
    n, length = codes.shape
    first, second = np.empty(MAX_UNITS, np.int64), np.empty(MAX_UNITS, np.int64)
    gap, width = np.empty(MAX_UNITS, np.int64), np.empty(MAX_UNITS, np.int64)
    at = np.empty(MAX_UNITS, np.int64)
    planted = 0
    for element in range(n):
        units, room = min(rng.poisson(units_mean), MAX_UNITS), length
        for unit in range(units):
            second[unit], gap[unit] = -1, 0
            if rng.random() < pair_share:
                pair = int(rng.random() * len(pairs))
                first[unit], second[unit] = pairs[pair, 0], pairs[pair, 1]
                gap[unit] = int(rng.random() * (WIDEST_GAP + 1))
                width[unit] = widths[first[unit]] + gap[unit] + widths[second[unit]]
            else:
                first[unit] = int(rng.random() * len(widths))
                width[unit] = widths[first[unit]]
            if width[unit] > room:  # what no longer fits is left out
                units = unit
                break
            room -= width[unit]
        for unit in range(units):
            at[unit] = int(rng.random() * (room + 1))
        at[:units].sort()
        taken = 0
        for unit in range(units):
            start, strand = at[unit] + taken, 1 if rng.random() < 0.5 else -1
            taken += width[unit]
            a, b = first[unit], second[unit]
            a_start = start if strand > 0 else start + width[unit] - widths[a]
            _write_site(codes[element], rng, cumulative[a], widths[a], a_start, strand)
            sites[planted] = (element, a, a_start, strand)
            planted += 1
            if b >= 0:
                b_start = start + width[unit] - widths[b] if strand > 0 else start
                b_strand = strand if rng.random() < 0.5 else -strand
                _write_site(codes[element], rng, cumulative[b], widths[b], b_start, b_strand)
                sites[planted] = (element, b, b_start, b_strand)
                planted += 1
    return planted


def exchange_letters(drawn: Sequences, law: SequenceLaw, rng: np.random.Generator) -> Sequences:
    """Exchange letters until each element's GC has moved as the tilted law asks.

    An element at quantile q of the untilted law of background GC, which ``drawn`` is from, moves to
    quantile q of the tilted one. What no permitted exchange can reach is left undone.
    """
    scanner = law.scanner
    before, after = np.cumsum(gc_probabilities()), np.cumsum(gc_probabilities(law.gc_tilt))
    middle = before - gc_probabilities() / 2
    moved = GC_GRID[np.minimum(np.searchsorted(after, middle), len(GC_GRID) - 1)]
    gc_law = np.interp(drawn.gc_law, GC_GRID, moved)
    codes = drawn.codes.copy()
    fixed = np.zeros(codes.shape, np.bool_)
    for offset in range(int(scanner.widths.max())):
        inside = offset < scanner.widths[drawn.sites[:, 1]]
        fixed[drawn.sites[inside, 0], drawn.sites[inside, 2] + offset] = True
    goal = np.rint((gc_law - drawn.gc_law) * (~fixed).sum(axis=1)).astype(np.int64)
    order = rng.permuted(np.tile(np.arange(codes.shape[1]), (len(codes), 1)), axis=1)
    _exchange(codes, fixed, goal, order, rng, *scanner)
    return Sequences(codes, gc_law, drawn.sites)


@njit(nogil=True, cache=True)
def _local_occupancy(rows, at, tables, first, widths, out):  # type: ignore[no-untyped-def]
    """Occupancy of every motif summed over the windows that cover a position."""
    length = len(rows)
    for motif in range(len(widths)):
        total, width = 0.0, widths[motif]
        for start in range(max(0, at - width + 1), min(at, length - width) + 1):
            forward, reverse = 1.0, 1.0
            for chunk in range(first[motif + 1] - first[motif]):
                row = rows[start + chunk * CHUNK]
                forward *= tables[first[motif] + chunk, row, 0]
                reverse *= tables[first[motif] + chunk, row, 1]
            if forward + reverse > FAINT:
                total += forward / (1 + forward) + reverse / (1 + reverse)
        out[motif] = total


@njit(nogil=True, cache=True)
def _put(codes, rows, at, letter):  # type: ignore[no-untyped-def]
    """Write a letter and correct the table rows of the five-letter words that hold it."""
    step, weight = int(letter) - int(codes[at]), ROWS // 5
    for start in range(at, max(at - CHUNK, -1), -1):
        rows[start] += step * weight
        weight //= 5
    codes[at] = letter


@njit(nogil=True, cache=True)
def _exchange(codes, fixed, goal, order, rng, tables, first, widths):  # type: ignore[no-untyped-def]
    before, after = np.empty(len(widths)), np.empty(len(widths))
    rows = np.empty((1, codes.shape[1]), np.int16)
    for element in range(len(codes)):
        own = codes[element]
        table_rows(codes[element : element + 1], rows)
        left, to_strong = abs(goal[element]), goal[element] > 0
        for at in order[element]:
            if left == 0:
                break
            old = own[at]
            strong = old == 1 or old == 2
            if fixed[element, at] or strong == to_strong:
                continue
            _local_occupancy(rows[0], at, tables, first, widths, before)
            pick = rng.random() < 0.5
            _put(own, rows[0], at, (1 if pick else 2) if to_strong else (0 if pick else 3))
            _local_occupancy(rows[0], at, tables, first, widths, after)
            if np.abs(after - before).max() > TOLERANCE:
                _put(own, rows[0], at, old)
            else:
                left -= 1

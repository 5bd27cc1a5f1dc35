"""Activity: what a cell makes of a sequence, noise-free.

In: codes ``(n, L)`` and a :class:`Program`. Out: features ``(n, p)`` and the activity f ``(n,)`` in
log2 RNA/DNA. f depends on the sequence alone, never on what was planted in it, so chance sites
count; a sequence and its reverse complement are equally active.

    occupancy   N_m = sum over both strands and all positions of a / (1 + a)  (lib.motifs.binding)
    response    1 - exp(-N_m), and likewise for each pair of motifs
    drive       u = intercept + gain * sum_j coefficient_j (response_j - centre_j) / scale_j
    activity    f = mean + sd * bound * tanh(u / bound)
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from lib.arrays import FloatArray
from lib.motifs.binding import Scanner, affinities, occupancy, table_rows
from lib.motifs.binding import scanner as make_scanner
from lib.motifs.pwm import PWM, information_content
from lib.sequences import Codes, gc_content
from lib.simulator.assay import ANCHORS

# A site drawn from its motif scores the motif's information on average; this much less binds half.
EASE = 2.0  # nats
# ... but never less than this: at most 0.15 sites by chance in 200 nt of uniform letters.
LEAST_POTENTIAL = float(np.log(2 * 200 / 0.15))
SPACING_SD = 3.0  # nucleotides about a pair's preferred gap
PAIR_FLOOR = 0.05  # windows bound less often than this take no part in pairs
REACH = 40  # largest gap, in nucleotides, at which two sites still see each other
HELIX_STEP = 10  # nucleotides per turn of the helix
MATCHING_STEPS = 8  # leave an error under 1 %
BOUND = 4.0  # activity stays within this many s.d. of its mean


def default_potentials(motifs: tuple[PWM, ...]) -> FloatArray:
    """Abundances at which a site drawn from a motif is mostly bound, and few others are."""
    information = [information_content(pwm).sum() * np.log(2) for pwm in motifs]
    return np.maximum(np.array(information) - EASE, LEAST_POTENTIAL)


def matched_potentials(
    motifs: tuple[PWM, ...], start: FloatArray, codes: Codes, target: FloatArray
) -> FloatArray:
    """Abundances at which each motif's mean occupancy of ``codes`` is ``target``, both ``(m,)``.

    Log occupancy falls with the potential at a slope between 0 (all bound) and 1 (hardly any):
    secant steps on it, each motif on its own.
    """
    found, slope = start.copy(), np.ones(len(start))
    excess = step = np.zeros(len(start))
    for _ in range(MATCHING_STEPS):
        before = excess
        excess = np.log(occupancy(codes, make_scanner(motifs, found)).mean(axis=0) / target)
        moved = np.abs(step) > 1e-9
        slope[moved] = np.clip((before - excess)[moved] / step[moved], 0.1, 1.0)
        step = excess / slope
        found += step
    return found


@dataclass(frozen=True, eq=False)
class Program:
    """A cell type's reading of a sequence; m motifs, q pairs, p = m + q + 1 (+ 1) features.

    Attributes
    ----------
    motifs : tuple of m PWM
    potentials : (m,) float array
        Log odds (nats) at which each factor binds half of the time: its abundance.
    pairs : tuple of q (int, int)
        The second motif acts with the first when it lies downstream of it.
    gaps : (q,) float array
        Preferred number of nucleotides between the two sites.
    same_strand : (q,) float array
        Weight of two sites on one strand; sites on opposite strands weigh one minus this.
    coefficients : (p,) float array
        Effect of one s.d. of each feature, in s.d. of activity: motifs, pairs, GC, shape.
    centre, scale : (p,) float arrays
        Mean and s.d. of the responses in distribution.
    intercept, gain : float
        Keep mean and variance of f at their anchors.
    steps : (4, 4) float array or None
        DNA-shape value of each dinucleotide step; None leaves the shape feature out.
    """

    motifs: tuple[PWM, ...]
    potentials: FloatArray
    pairs: tuple[tuple[int, int], ...]
    gaps: FloatArray
    same_strand: FloatArray
    coefficients: FloatArray
    centre: FloatArray
    scale: FloatArray
    intercept: float = 0.0
    gain: float = 1.0
    steps: FloatArray | None = None

    @cached_property
    def scanner(self) -> Scanner:
        """Look-up tables of the motifs."""
        return make_scanner(self.motifs, self.potentials)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the p features: motifs, pairs, ``gc``, and ``shape`` where there is one."""
        names = [pwm.name for pwm in self.motifs]
        pairs = [f"{names[a]}+{names[b]}" for a, b in self.pairs]
        return (*names, *pairs, "gc", *(["shape"] if self.steps is not None else []))


def responses(codes: Codes, program: Program) -> FloatArray:
    """Saturating response of every motif and pair, GC content, and the shape term: ``(n, p)``."""
    bound = occupancy(codes, program.scanner)
    paired = np.zeros((len(codes), len(program.pairs)))
    pairs = np.array(program.pairs, np.int64).reshape(-1, 2)
    _pair_occupancy(
        codes, *program.scanner, bound, pairs, program.gaps, program.same_strand, paired
    )
    columns = [-np.expm1(-bound), -np.expm1(-paired), gc_content(codes)[:, None]]
    if program.steps is not None:
        columns.append(_shape(codes, program.steps)[:, None])
    return np.hstack(columns)


def activity(standardised: FloatArray, program: Program) -> FloatArray:
    """Activity f in log2 RNA/DNA from standardised responses ``(n, p)``."""
    drive = program.intercept + program.gain * (standardised @ program.coefficients)
    bounded: FloatArray = BOUND * np.tanh(drive / BOUND)
    return ANCHORS["activity_mean"] + ANCHORS["activity_sd"] * bounded


def reread(codes: Codes, program: Program) -> FloatArray:
    """Activity f ``(n,)`` of given sequences under a program."""
    return activity((responses(codes, program) - program.centre) / program.scale, program)


def calibrate(drive: FloatArray) -> tuple[float, float]:
    """Intercept and gain after which the bounded drive has mean 0 and variance 1.

    Examples
    --------
    >>> drive = np.random.default_rng(1).exponential(2.0, 5000)
    >>> intercept, gain = calibrate(drive)
    >>> bounded = BOUND * np.tanh((intercept + gain * drive) / BOUND)
    >>> print(f"{abs(bounded.mean()):.6f} {bounded.var():.6f}")
    0.000000 1.000000
    """
    gain = 1 / drive.std()
    intercept = -gain * drive.mean()
    for _ in range(50):
        bounded = BOUND * np.tanh((intercept + gain * drive) / BOUND)
        ratio = 1 / bounded.std()
        gain, intercept = gain * ratio, ratio * (intercept - bounded.mean())
    return float(intercept), float(gain)


def _shape(codes: Codes, steps: FloatArray) -> FloatArray:
    """Mean product of dinucleotide steps one helical turn apart: a feature no motif set spans."""
    values = np.append(steps.ravel(), 0.0)
    unknown = (codes[:, :-1] > 3) | (codes[:, 1:] > 3)
    profile = values[np.where(unknown, 16, codes[:, :-1] * 4 + codes[:, 1:])]
    return np.asarray((profile[:, :-HELIX_STEP] * profile[:, HELIX_STEP:]).mean(axis=1))


@njit(nogil=True, cache=True)
def _bound_windows(rows, tables, windows, forward, reverse, at, strand, p):  # type: ignore[no-untyped-def]
    """Windows of one motif that are bound at least PAIR_FLOOR of the time."""
    affinities(rows, tables, windows, forward, reverse)
    cutoff = PAIR_FLOOR / (1 - PAIR_FLOOR)
    found = 0
    for i in range(windows):
        for sign, a in ((1, forward[i]), (-1, reverse[i])):
            if a >= cutoff:
                at[found], strand[found], p[found] = i, sign, a / (1 + a)
                found += 1
    return found


@njit(nogil=True, cache=True)
def _pair_occupancy(codes, tables, first, widths, bound, pairs, gaps, same_strand, out):  # type: ignore[no-untyped-def]
    """Sum over pairs of bound windows, the second downstream of the first, of p p' times a kernel.

    The kernel is a Gaussian about the preferred gap times the weight of the relative strand.
    """
    n, length = codes.shape
    rows = np.empty((1, length), np.int16)
    forward, reverse = np.empty(length, np.float32), np.empty(length, np.float32)
    at = np.empty((2, 2 * length), np.int64)
    strand, p = np.empty((2, 2 * length), np.int64), np.empty((2, 2 * length))
    found = np.zeros(2, np.int64)
    for element in range(n):
        scanned = False
        for pair in range(len(pairs)):
            if bound[element, pairs[pair]].min() < PAIR_FLOOR:
                continue  # no window of one of the two can reach the floor
            if not scanned:
                table_rows(codes[element : element + 1], rows)
                scanned = True
            for side in range(2):
                motif = pairs[pair, side]
                found[side] = _bound_windows(
                    rows[0], tables[first[motif] : first[motif + 1]],
                    length - widths[motif] + 1, forward, reverse, at[side], strand[side], p[side],
                )  # fmt: skip
            total = 0.0
            for i in range(found[0]):
                for j in range(found[1]):
                    if strand[0, i] > 0:
                        gap = at[1, j] - at[0, i] - widths[pairs[pair, 0]]
                    else:
                        gap = at[0, i] - at[1, j] - widths[pairs[pair, 1]]
                    if 0 <= gap <= REACH:
                        same = strand[0, i] == strand[1, j]
                        weight = same_strand[pair] if same else 1 - same_strand[pair]
                        off = (gap - gaps[pair]) / SPACING_SD
                        total += weight * p[0, i] * p[1, j] * np.exp(-0.5 * off * off)
            out[element, pair] = total

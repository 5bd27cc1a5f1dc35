"""Shifts: named, graded, typed departures from the in-distribution law.

In: a world, an assay and shifts. Out: the :class:`Law` to sample from. A shift maps a law to a law,
so shifts compose; at severity 0 it returns the law it was given, the same object. Directions (which
motif takes which effect, which batch errs which way) are drawn from the world's seed, so growing
severity goes one way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import FloatArray
from lib.motifs.binding import occupancy
from lib.motifs.pwm import log_odds, make_pwm
from lib.simulator.activity import Program, matched_potentials
from lib.simulator.assay import ANCHORS, SD, Assay, Batch
from lib.simulator.background import GC_GRID, SequenceLaw, gc_probabilities, gc_tilt_for
from lib.simulator.programs import MOTIF_SHARE, World, recalibrated

SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
ACTIVE = 0.1  # a motif is active where its coefficient is at least this large
NEW_BATCHES = 4
MATCHING_SIZE = 2048  # reference sequences on which mean occupancies are held
NOISE_LIMIT = 0.8  # noise share at severity 1


class Law(NamedTuple):
    """What a sample is drawn from: sequences, activity, measurement."""

    sequence: SequenceLaw
    program: Program
    assay: Assay


@dataclass(frozen=True)
class Shift:
    """A shift, a key of ``SHIFTS`` by its ``name``, at a ``severity`` in [0, 1].

    ``option`` of gc is ``natural`` (default), ``neutral``, or ``low`` for the natural arm
    downwards; others have none. What is not known is a ``ValueError``.
    """

    name: str
    severity: float
    option: str = ""

    def __post_init__(self) -> None:
        if self.name not in SHIFTS:
            raise ValueError(f"shift {self.name!r} is unknown; there are {', '.join(SHIFTS)}")
        if not 0 <= self.severity <= 1:
            raise ValueError(f"severity of {self.name} is {self.severity}; it must lie in [0, 1]")
        options = SHIFTS[self.name].options
        if self.option and self.option not in options:
            known = ", ".join(options) if options else "none"
            raise ValueError(f"option {self.option!r} of {self.name} is unknown; it takes {known}")

    @property
    def quantity(self) -> float:
        """Where its dial stands."""
        start, top = SHIFTS[self.name].dial
        return start + (top - start) * self.severity


class ShiftKind(NamedTuple):
    """A kind of shift: its family, what its dial turns, with the unit, and what stays.

    ``dial`` holds that quantity at severities 0 and 1 for the anchored assay; ``transform`` maps a
    law at severities above 0.
    """

    family: str
    quantity: str
    dial: tuple[float, float]
    unchanged: str
    transform: Callable[[Law, World, Shift], Law]
    options: tuple[str, ...] = ()


def apply(shift: Shift | Sequence[Shift], world: World, assay: Assay) -> Law:
    """The law of ``world`` measured by ``assay`` after the shifts, in order."""
    law = Law(world.sequence, world.program, assay)
    for one in (shift,) if isinstance(shift, Shift) else shift:
        if one.severity > 0:
            law = SHIFTS[one.name].transform(law, world, one)
    return law


def dial_table() -> pd.DataFrame:
    """One row per shift: family, what its dial turns, values at the five severities, what stays."""
    rows = [
        {"shift": name, "family": kind.family, "quantity": kind.quantity}
        | {f"{severity:g}": Shift(name, severity).quantity for severity in SEVERITIES}
        | {"unchanged": kind.unchanged}
        for name, kind in SHIFTS.items()
    ]
    return pd.DataFrame(rows)


def gc_weights(gc_law: FloatArray, shifted: SequenceLaw) -> FloatArray:
    """Density ratio, shifted over in distribution, at each element's background GC.

    Exact for the natural arms: given ``gc_law`` the shifted law of an element is that in
    distribution.

    Parameters
    ----------
    gc_law : (n,) float array
        Column of the metadata of an in-distribution sample.
    shifted : SequenceLaw
        ``apply(shift, world, assay).sequence``.
    """
    p = gc_probabilities()
    grid = np.exp(shifted.gc_tilt * (gc_law - ANCHORS["gc_quantiles"][4]))
    normaliser = p @ np.exp(shifted.gc_tilt * (GC_GRID - ANCHORS["gc_quantiles"][4]))
    return np.asarray(grid / normaliser)


def _change(law: Law, part: str, **changes: Any) -> Law:
    return law._replace(**{part: replace(getattr(law, part), **changes)})


def _gc(law: Law, world: World, shift: Shift) -> Law:
    sign = -1.0 if shift.option == "low" else 1.0
    sequence = world.sequence
    width = np.mean([pwm.width for pwm in sequence.motifs])
    planted = sequence.units_mean * (1 + sequence.pair_share) * width / sequence.length
    sd = world.program.scale[world.program.feature_names.index("gc")]
    move = sign * shift.quantity * sd / (1 - planted)
    tilt = law.sequence.gc_tilt + gc_tilt_for(move)
    return _change(law, "sequence", gc_tilt=tilt, gc_neutral=shift.option == "neutral")


def _motif_density(law: Law, world: World, shift: Shift) -> Law:
    return _change(law, "sequence", units_mean=law.sequence.units_mean * shift.quantity)


def _effect_rewiring(law: Law, world: World, shift: Shift) -> Law:
    """Turn the motif effects towards a fresh draw made uncorrelated with them, at equal variance.

    With motif part m of the drive and the fresh one m', d between cos(a) m + sin(a) m' and m is
    2 (1 - cos a) Var m / Var u; the mean and the variance of f are restored afterwards.
    """
    motifs = len(law.program.motifs)
    own = law.program.coefficients[:motifs]
    rng = np.random.default_rng([world.seed, 101])
    fresh = np.sqrt(MOTIF_SHARE * rng.dirichlet(np.ones(motifs)))
    fresh *= np.where(world.program.coefficients[:motifs] < 0, -1.0, 1.0)
    covariance = np.cov(world.features[:, :motifs], rowvar=False)
    variance = own @ covariance @ own
    fresh -= own * (own @ covariance @ fresh) / variance
    fresh *= np.sqrt(variance / (fresh @ covariance @ fresh))
    angle = np.deg2rad(shift.quantity)
    rewired = law.program.coefficients.copy()
    rewired[:motifs] = np.cos(angle) * own + np.sin(angle) * fresh
    program = recalibrated(replace(law.program, coefficients=rewired), world.features)
    return law._replace(program=program)


def _effect_sign_flip(law: Law, world: World, shift: Shift) -> Law:
    motifs = len(law.program.motifs)
    active = np.flatnonzero(np.abs(world.program.coefficients[:motifs]) >= ACTIVE)
    order = np.random.default_rng([world.seed, 102]).permutation(active)
    flipped = order[: round(shift.quantity * len(active))]
    coefficients = law.program.coefficients.copy()
    coefficients[flipped] *= -1
    return _change(law, "program", coefficients=coefficients)


def _effect_permutation(law: Law, world: World, shift: Shift) -> Law:
    motifs = len(law.program.motifs)
    order = np.random.default_rng([world.seed, 103]).permutation(motifs)
    moved = order[: round(shift.quantity * motifs)]
    coefficients = law.program.coefficients.copy()
    coefficients[moved] = coefficients[np.roll(moved, 1)]
    return _change(law, "program", coefficients=coefficients)


def _cell_type(law: Law, world: World, shift: Shift) -> Law:
    share = shift.severity
    mixed = (1 - share) * law.program.coefficients + share * world.other
    return _change(law, "program", coefficients=mixed)


def _pwm_perturbation(law: Law, world: World, shift: Shift) -> Law:
    """Noise on the log odds, the same at each severity: growing ones lie on one line."""
    own, sample, motifs = law.program, world.reference[:MATCHING_SIZE], []
    for place, pwm in enumerate(own.motifs):
        noise = np.random.default_rng([world.seed, 104, place]).standard_normal((4, pwm.width))
        odds = np.exp(log_odds(pwm) + shift.quantity * noise)
        motifs.append(make_pwm(pwm.name, odds / odds.sum(axis=0)))
    target = occupancy(sample, own.scanner).mean(axis=0)
    abundance = matched_potentials(tuple(motifs), own.potentials, sample, target)
    return _change(law, "program", motifs=tuple(motifs), potentials=abundance)


def _grammar(law: Law, world: World, shift: Shift) -> Law:
    same = law.program.same_strand
    mixed = (1 - shift.severity) * same + shift.severity * (1 - same)
    return _change(law, "program", gaps=law.program.gaps + shift.quantity, same_strand=mixed)


def _depth(law: Law, world: World, shift: Shift) -> Law:
    return _change(law, "assay", depth_fold=law.assay.depth_fold * 2.0**shift.quantity)


def _batch(law: Law, world: World, shift: Shift) -> Law:
    draws = np.random.default_rng([world.seed, 105]).standard_normal((NEW_BATCHES, 2))
    draws /= np.sqrt((draws**2).mean(axis=0))  # every world errs equally far
    gains = np.exp(shift.severity * GAIN_SD * draws[:, 0])
    offsets = shift.quantity * SD * draws[:, 1]
    pairs = zip(gains.tolist(), offsets.tolist(), strict=True)
    batches = tuple(Batch(gain, offset) for gain, offset in pairs)
    first = len(law.assay.batches) + law.assay.first_batch
    return _change(law, "assay", batches=batches, first_batch=first)


def _noise(law: Law, world: World, shift: Shift) -> Law:
    share = 1 - law.assay.reliability
    share += shift.severity * max(NOISE_LIMIT - share, 0.0)
    return _change(law, "assay", reliability=1 - share)


def _gc_amplification(law: Law, world: World, shift: Shift) -> Law:
    return _change(law, "assay", amplification=law.assay.amplification + shift.quantity)


PWM_NOISE = 2.5  # nats, s.d. of the noise on log odds at severity 1
GAIN_SD = 5 * ANCHORS["batch_log_gain_sd"]  # at severity 1


_F = "sequences and their activity f"

SHIFTS: Final[dict[str, ShiftKind]] = {
    "gc": ShiftKind(
        "covariate", "mean GC moved, in-distribution s.d.", (0.0, 2.0),
        "f as a function of sequence; planted sites; support of the GC law; the assay",
        _gc, ("natural", "neutral", "low"),
    ),
    "motif_density": ShiftKind(
        "covariate", "mean number of planted units, fold", (1.0, 2.5),
        "f as a function of sequence; the background; the assay", _motif_density,
    ),
    "effect_rewiring": ShiftKind(
        "concept", "angle between old and new motif effects, degrees", (0.0, 90.0),
        "sequences; mean and variance of f; pairs and GC term up to the gain; the assay",
        _effect_rewiring,
    ),
    "effect_sign_flip": ShiftKind(
        "concept", "share of active motifs whose effect changes sign", (0.0, 0.5),
        "sequences; size of every effect; the assay", _effect_sign_flip,
    ),
    "effect_permutation": ShiftKind(
        "concept", "share of motifs that swap effects", (0.0, 1.0),
        "sequences; the set of standardised effects; the assay", _effect_permutation,
    ),
    "cell_type": ShiftKind(
        "concept", "weight of the other cell type's motif effects", (0.0, 1.0),
        "sequences; motifs; pairs and GC term; the assay", _cell_type,
    ),
    "pwm_perturbation": ShiftKind(
        "concept", "noise on the log odds of binding, nats", (0.0, PWM_NOISE),
        "sequences; effects; how many sites each factor binds on average; the assay",
        _pwm_perturbation,
    ),
    "grammar": ShiftKind(
        "concept", "preferred gap of pairs moved, nucleotides", (0.0, 10.0),
        "sequences; effects; response to single sites; the assay", _grammar,
    ),
    "depth": ShiftKind(
        "technical", "depth, log2 fold", (0.0, -4.0), f"{_F}; mean of the measurement", _depth
    ),
    "batch": ShiftKind(
        "technical", "r.m.s. offset of unseen batches, s.d. of activity",
        (0.0, 2 * ANCHORS["batch_offset_sd"]), _F, _batch,
    ),
    "noise": ShiftKind(
        "technical", "error share of the measured variance",
        (1 - ANCHORS["reliability"], NOISE_LIMIT),
        f"{_F}; mean of the measurement", _noise,
    ),
    "gc_amplification": ShiftKind(
        "technical", "log2 bias per s.d. of GC", (0.0, 0.5), _F, _gc_amplification
    ),
}  # fmt: skip

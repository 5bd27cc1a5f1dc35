"""Worlds: the regulatory effects of one imagined genome, drawn from a documented law.

In: a world seed. Out: :class:`World`, the unit of replication: its sequence law, the program of its
cell type, which is like HepG2, and the motif effects of another, which is like K562.

The law. Each motif, pair and the GC term owns a share of the variance of the drive; a coefficient
is the root of its share times a sign.

* Motifs own .72, split by a Dirichlet law whose concentration is 8 for the cell type's own factors,
  4 for the shared ones and the repressors, .3 for those of other cell types.
* Pairs own .15, split by a Dirichlet law of concentration 3; synergy has probability .75.
* GC content owns .05 and acts upwards with probability .8. The rest is covariance.

A program in which one motif explains more than 35 % of the variance of f is drawn again. Intercept
and gain then give f its anchored mean and variance.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lib.arrays import FloatArray
from lib.motifs.pwm import jaspar
from lib.sequences import Codes
from lib.simulator.activity import Program, calibrate, default_potentials, responses
from lib.simulator.assay import ANCHORS
from lib.simulator.background import SequenceLaw, draw

HOME: Final = ("MA1494.2", "MA0046.3", "MA0148.5", "MA0102.5")  # HNF4A HNF1A FOXA1 CEBPA: HepG2
OTHER: Final = ("MA0035.5", "MA0091.2", "MA0841.2")  # GATA1 TAL1::TCF3 NFE2: K562
STEM: Final = ("MA0142.1", "MA0141.4", "MA0809.3")  # Pou5f1::Sox2 ESRRB TEAD4: neither
SHARED: Final = ("MA0079.5", "MA0039.5", "MA0506.3", "MA0139.2")  # SP1 KLF4 Nrf1 CTCF
REPRESSORS: Final = ("MA0138.3", "MA0483.2")  # REST Gfi1B
MOTIFS: Final = (*HOME, *OTHER, *STEM, *SHARED, *REPRESSORS)

PAIRS = 4
MOTIF_SHARE, PAIR_SHARE, GC_SHARE = 0.72, 0.15, 0.05
CONCENTRATIONS = (8.0, 4.0, 0.3)  # own factors; shared ones and repressors; other cell types'
PAIR_CONCENTRATION, SYNERGY, GC_UPWARDS = 3.0, 0.75, 0.8
GAPS = (2, 10)  # nucleotides
SHAPE_SHARE = 0.25  # of a misspecified world
LARGEST_SHARE = 0.33  # of the drive; that of f, which is bounded, differs a little
REFERENCE_SIZE = 16384


@dataclass(frozen=True, eq=False)
class World:
    """One world.

    ``program`` is its cell type's, calibrated to the anchored mean and s.d. of activity; ``other``
    (p,) are the coefficients of the other cell type, in its features. ``reference`` (r, L) uint8
    are in-distribution sequences on which the world was calibrated and severities are measured,
    ``features`` (r, p) their standardised responses.
    """

    seed: int
    sequence: SequenceLaw
    program: Program
    other: FloatArray
    reference: Codes
    features: FloatArray


def draw_world(world_seed: int, *, misspecified: bool = False) -> World:
    """Draw a world; ``misspecified`` adds a DNA-shape term.

    That term owns a quarter of the variance, and no motif explains it.

    Examples
    --------
    >>> world = draw_world(0)
    >>> len(world.program.motifs), len(world.program.pairs)
    (16, 4)
    """
    motifs = jaspar(MOTIFS)
    rng = np.random.default_rng([world_seed, 0])
    order_of_pairs = rng.permutation(len(motifs))[: 2 * PAIRS].reshape(PAIRS, 2)
    pairs = tuple((int(a), int(b)) for a, b in order_of_pairs)
    sequence = SequenceLaw(ANCHORS["length"], motifs, pairs)
    gaps = rng.integers(*GAPS, PAIRS, endpoint=True).astype(np.float64)
    same = rng.integers(0, 2, PAIRS).astype(np.float64)
    steps = _draw_steps(rng) if misspecified else None
    size = len(motifs) + PAIRS + 1 + misspecified
    zeros, ones = np.zeros(size), np.ones(size)
    abundance = default_potentials(motifs)
    blank = Program(motifs, abundance, pairs, gaps, same, zeros, zeros, ones, steps=steps)
    reference = draw(sequence, REFERENCE_SIZE, *np.random.default_rng([world_seed, 1]).spawn(3))
    raw = responses(reference.codes, blank)
    blank = replace(blank, centre=raw.mean(axis=0), scale=raw.std(axis=0))
    features = (raw - blank.centre) / blank.scale
    general = _draw_general(rng, misspecified)
    own, other = (_draw_balanced(ids, general, features, rng) for ids in (HOME, OTHER))
    program = recalibrated(replace(blank, coefficients=own), features)
    return World(world_seed, sequence, program, other, reference.codes, features)


def _draw_balanced(
    own: tuple[str, ...], general: FloatArray, features: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Draw a program until no motif explains more than ``LARGEST_SHARE`` of its drive."""
    common = SHARED + REPRESSORS
    of_own, of_common, of_others = CONCENTRATIONS
    concentration = [
        of_own if m in own else of_common if m in common else of_others for m in MOTIFS
    ]
    sign = np.where(np.isin(MOTIFS, REPRESSORS), -1.0, 1.0)
    while True:
        effects = sign * np.sqrt(MOTIF_SHARE * rng.dirichlet(concentration))
        coefficients = np.concatenate([effects, general])
        drive = features @ coefficients
        explained = (features[:, : len(effects)].T @ drive / len(drive)) ** 2 / drive.var()
        if explained.max() <= LARGEST_SHARE:
            return coefficients


def _draw_general(rng: np.random.Generator, misspecified: bool) -> FloatArray:
    """Coefficients of the pairs, GC and shape: the same in every cell type."""
    synergy = np.where(rng.random(PAIRS) < SYNERGY, 1.0, -1.0)
    pairs = synergy * np.sqrt(PAIR_SHARE * rng.dirichlet(np.full(PAIRS, PAIR_CONCENTRATION)))
    gc = np.sqrt(GC_SHARE) * (1.0 if rng.random() < GC_UPWARDS else -1.0)
    shape = np.sqrt(SHAPE_SHARE / (1 - SHAPE_SHARE))
    return np.concatenate([pairs, [gc], [shape] if misspecified else []])


def _draw_steps(rng: np.random.Generator) -> FloatArray:
    """A value per dinucleotide step, equal for a step and its reverse complement, mean 0."""
    steps = rng.standard_normal((4, 4))
    steps = steps + steps[::-1, ::-1].T
    return np.asarray((steps - steps.mean()) / steps.std())


def recalibrated(program: Program, features: FloatArray) -> Program:
    """The program with the intercept and gain that give f its anchored moments on ``features``."""
    intercept, gain = calibrate(features @ program.coefficients)
    return replace(program, intercept=intercept, gain=gain)

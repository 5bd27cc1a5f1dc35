"""Severity as measured, not as dialled.

In: a world and a shift. Out: :class:`Severity`, in units that real shifts share: distance between
activities at fixed sequence, covariate means in in-distribution s.d., error share of the variance.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.stats import poisson

from lib.arrays import FloatArray
from lib.data.dataset import SequenceDataset
from lib.simulator.activity import activity, reread, responses
from lib.simulator.assay import Assay
from lib.simulator.background import MAX_UNITS, SequenceLaw, gc_probabilities
from lib.simulator.programs import World
from lib.simulator.sample import known_truth, simulate
from lib.simulator.shifts import Shift, apply

TOLERANCE = 1e-3  # of severity_for, on the dial


class Distance(NamedTuple):
    """How far a new activity lies from an old one on the same elements, over the old variance.

    ``total`` = E[(new - old)^2] / Var old = ``offset`` + ``gain`` + ``rewiring``: what a shift of
    the mean explains, what a slope other than 1 of new on old explains, and the rest.
    """

    total: float
    offset: float
    gain: float
    rewiring: float


class Severity(NamedTuple):
    """A shift in physical units.

    Attributes
    ----------
    distance : Distance
        Between shifted and original activity on in-distribution sequences: d of a concept shift.
    gc_shift, sites_shift : float
        Change of the mean GC content, of the mean number of planted sites, in in-distribution s.d.
    effective_n : float
        Share of an in-distribution sample left after weighting it to the shifted law of sequences;
        NaN for the GC-neutral arm, whose density ratio is not known.
    noise_share : float
        Error variance over itself plus Var f, in the shifted sample.
    label_shift : float
        E[(mean of the measurement - f)^2] / Var f in the shifted sample: batch and amplification.
    occupancy_shift : (m,) float array
        Change of each motif's mean response, in in-distribution s.d.
    variance_ratio : float
        Variance of f, shifted over in distribution.
    """

    distance: Distance
    gc_shift: float
    sites_shift: float
    effective_n: float
    noise_share: float
    label_shift: float
    occupancy_shift: FloatArray
    variance_ratio: float


def distance(old: FloatArray, new: FloatArray) -> Distance:
    """Distance between two activities of the same elements, ``(n,)`` each, and its three parts.

    A ``ValueError``: If the old activity is constant.

    Examples
    --------
    >>> old = np.array([1.0, 1.0, -1.0, -1.0])
    >>> distance(old, 3 * old + 2 + np.array([1.0, -1.0, 1.0, -1.0]))  # 2^2 + (3 - 1)^2 + 1
    Distance(total=9.0, offset=4.0, gain=4.0, rewiring=1.0)
    """
    variance = old.var()
    if not variance > 0:
        raise ValueError("old is constant; a distance needs an activity that varies")
    slope = np.mean((old - old.mean()) * (new - new.mean())) / variance
    offset = (new.mean() - old.mean()) ** 2 / variance
    gain = (slope - 1) ** 2
    rest = max(new.var() / variance - slope**2, 0.0)
    total = np.mean((new - old) ** 2) / variance
    return Distance(float(total), float(offset), float(gain), float(rest))


@lru_cache(maxsize=2)
def _in_distribution(world: World, n: int, seed: int) -> tuple[SequenceDataset, FloatArray]:
    """A sample and its responses, kept for the next shift of the same world."""
    before = simulate(world, n, seed)
    return before, responses(before.codes, world.program)


def measure_severity(world: World, shift: Shift, *, n: int = 8192, seed: int = 0) -> Severity:
    """Measure a shift on ``n`` elements in and out of distribution, from one seed."""
    shifted = apply(shift, world, Assay())
    before, known = _in_distribution(world, n, seed)
    after, program = simulate(world, n, seed, shift=shift), shifted.program
    old, new = known_truth(before), known_truth(after)
    f, variance = old.activity, old.activity.var()
    sites, more_sites = before.metadata["n_sites"], after.metadata["n_sites"]
    error = np.mean(new.std**2)
    motifs = len(world.program.motifs)
    read = known if program is world.program else responses(before.codes, program)
    same = np.array_equal(before.codes, after.codes)
    load = (read if same else responses(after.codes, program)) - known
    return Severity(
        distance(f, activity((read - program.centre) / program.scale, program)),
        float((after.gc.mean() - before.gc.mean()) / before.gc.std()),
        float((more_sites.mean() - sites.mean()) / sites.std()),
        effective_share(world.sequence, shifted.sequence),
        float(error / (error + new.activity.var())),
        float(np.mean((new.mean - new.activity) ** 2) / variance),
        load.mean(axis=0)[:motifs] / world.program.scale[:motifs],
        float(new.activity.var() / variance),
    )


def severity_for(
    world: World, name: str, target: float, option: str = "", part: str = "total"
) -> float:
    """The smallest dial at which a concept shift's distance d reaches ``target``, within 0.001.

    ``part`` is the one of :class:`Distance` that is meant; ``rewiring`` is d after offset and gain.

    Raises
    ------
    ValueError
        If the shift does not reach ``target`` within its dial; the largest distance is named.

    Examples
    --------
    >>> from lib.simulator import draw_world
    >>> world = draw_world(0)
    >>> dial = severity_for(world, "effect_rewiring", 0.5)
    >>> abs(concept_distance(world, Shift("effect_rewiring", dial)).total - 0.5) < 0.01
    True
    """

    def measured(dial: float) -> float:
        return float(getattr(concept_distance(world, Shift(name, dial, option)), part))

    if (top := measured(1.0)) < target:
        raise ValueError(f"{name} reaches {top:.3g} in world {world.seed}, not {target:g}")
    low, high = 0.0, 1.0
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        low, high = (low, middle) if measured(middle) >= target else (middle, high)
    return high


def concept_distance(world: World, shift: Shift) -> Distance:
    """Distance on the world's reference sequences; reads none anew where only effects change."""
    program = apply(shift, world, Assay()).program
    old = activity(world.features, world.program)
    if all(
        getattr(program, part) is getattr(world.program, part)
        for part in ("motifs", "potentials", "gaps", "same_strand")
    ):
        return distance(old, activity(world.features, program))
    return distance(old, reread(world.reference, program))


def effective_share(original: SequenceLaw, shifted: SequenceLaw) -> float:
    """Effective size of a sample weighted by the density ratio, as a share: 1 / E[ratio^2]."""
    if shifted.gc_neutral:
        return float("nan")
    share, laws = 1.0, []
    for law in (original, shifted):
        units = poisson.pmf(np.arange(MAX_UNITS), law.units_mean)
        most = poisson.sf(MAX_UNITS - 1, law.units_mean)
        laws.append((gc_probabilities(law.gc_tilt), np.append(units, most)))
    for p, q in zip(*laws, strict=True):
        share /= float(np.sum(q[p > 0] ** 2 / p[p > 0]))
    return share

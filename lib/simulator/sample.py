"""Sampling: elements, activity and measurement in one go.

In: a world, a size, a seed, shifts and an assay. Out: a :class:`SequenceDataset` with its truth.
Elements are made in blocks of fixed size, each from generators of its own, so the bytes depend
neither on the number of workers nor on how many elements follow.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import FloatArray
from lib.data.dataset import SequenceDataset, Truth
from lib.sequences import Codes, validate_codes
from lib.simulator.activity import activity, responses, standardise
from lib.simulator.assay import Assay, Measurement, measure
from lib.simulator.background import Sequences, draw, exchange_letters
from lib.simulator.programs import World
from lib.simulator.shifts import Law, Shift, apply

BLOCK = 2048


def simulate(
    world: World,
    n: int,
    seed: int,
    *,
    shift: Shift | Sequence[Shift] = (),
    assay: Assay | None = None,
    workers: int = 1,
    name: str = "simulation",
) -> SequenceDataset:
    """Simulate an assay of ``n`` elements.

    Parameters
    ----------
    world : World
    n : int
    seed : int
        Of the sample: one world gives as many samples as there are seeds.
    shift : Shift or sequence of Shift
        Applied in order. With one seed, samples under different shifts share whatever the shifts
        leave unchanged, down to the random numbers.
    assay : Assay or None
        None is the anchored one.
    workers : int
        Threads; any number gives the same bytes.

    Returns
    -------
    SequenceDataset
        ``metadata``: n_sites, depth, batch, gc, gc_law (the background's GC the element was drawn
        at). ``truth``: f, and the mean and s.d. of the measurement.

    Raises
    ------
    ValueError
        If ``n`` is negative.

    Examples
    --------
    >>> from lib.simulator import draw_world
    >>> data = simulate(draw_world(0), 100, seed=1)
    >>> data.codes.shape, data.truth.activity.shape
    ((100, 200), (100,))
    """
    if n < 0 or workers < 1:
        raise ValueError(f"n is {n} and workers {workers}; n must be at least 0, workers 1")
    law = apply(shift, world, Assay() if assay is None else assay)
    codes = np.empty((n, law.sequence.length), np.uint8)

    def fill(index: int) -> _Block:
        own = codes[index * BLOCK : (index + 1) * BLOCK]
        generators = _generators((world.seed, seed), index)
        drawn = _sequences(law, generators)
        own[:] = drawn.codes[: len(own)]
        block = _assay_block(drawn.codes, law, generators[3])
        n_sites = np.bincount(drawn.sites[:, 0], minlength=BLOCK)
        more = block.metadata.assign(n_sites=n_sites, gc_law=drawn.gc_law)
        return _cut(block._replace(metadata=more), len(own))

    with ThreadPoolExecutor(workers) as pool:
        blocks = list(pool.map(fill, range(max(1, -(-n // BLOCK)))))
    return _dataset(codes, blocks, name)


def assay_codes(
    world: World,
    codes: Codes,
    seed: int,
    *,
    shift: Shift | Sequence[Shift] = (),
    assay: Assay | None = None,
    name: str = "simulation",
) -> SequenceDataset:
    """Measure given sequences in a world: mutants, tiles, or the elements of a real library.

    Parameters
    ----------
    world : World
    codes : (n, L) uint8 array
        Any length that the motifs fit.
    seed : int
        Of the measurement.
    shift, assay, name
        As for :func:`simulate`; a covariate shift has nothing to act on.

    Examples
    --------
    >>> from lib.simulator import draw_world
    >>> world = draw_world(0)
    >>> assay_codes(world, world.reference[:5], seed=1).truth.activity.shape
    (5,)
    """
    law = apply(shift, world, Assay() if assay is None else assay)
    rng = np.random.default_rng([world.seed, seed, 1])
    return _dataset(codes, [_assay_block(validate_codes(codes), law, rng)], name)


def planted_sites(
    world: World, n: int, seed: int, *, shift: Shift | Sequence[Shift] = ()
) -> pd.DataFrame:
    """The sites planted in ``simulate(world, n, seed, shift=shift)``.

    Returns
    -------
    DataFrame
        ``element, motif`` (name), ``start`` (leftmost position), ``end``, ``strand`` (+1 or -1),
        one row per site, ordered by element.
    """
    law = apply(shift, world, Assay())
    tables = []
    for index in range(max(1, -(-n // BLOCK))):
        own = _sequences(law, _generators((world.seed, seed), index)).sites
        tables.append(own + np.array([index * BLOCK, 0, 0, 0], np.int32))
    sites = np.concatenate(tables)
    sites = sites[sites[:, 0] < n]
    motifs = law.sequence.motifs
    names = pd.Index([pwm.name for pwm in motifs])
    return pd.DataFrame(
        {
            "element": sites[:, 0],
            "motif": pd.Categorical.from_codes(sites[:, 1], names),
            "start": sites[:, 2],
            "end": sites[:, 2] + np.array([pwm.width for pwm in motifs])[sites[:, 1]],
            "strand": sites[:, 3],
        }
    )


def known_truth(data: SequenceDataset) -> Truth:
    """The truth of a simulated dataset.

    Raises
    ------
    ValueError
        If the dataset has none.
    """
    if data.truth is None:
        raise ValueError(f"dataset {data.name} has no truth; only simulated ones do")
    return data.truth


class _Block(NamedTuple):
    activity: FloatArray
    measured: Measurement
    metadata: pd.DataFrame


def _generators(root: tuple[int, int], block: int) -> list[np.random.Generator]:
    """Five independent generators: GC, letters, sites, measurement, exchanged letters."""
    sequence = np.random.SeedSequence(root, spawn_key=(block,))
    return [np.random.Generator(np.random.PCG64(child)) for child in sequence.spawn(5)]


def _sequences(law: Law, generators: list[np.random.Generator]) -> Sequences:
    drawn = draw(law.sequence, BLOCK, *generators[:3])
    if not law.sequence.gc_neutral:
        return drawn
    return exchange_letters(drawn, law.sequence.gc_tilt, law.sequence.scanner, generators[4])


def _assay_block(codes: Codes, law: Law, rng: np.random.Generator) -> _Block:
    raw = responses(codes, law.program)
    features = standardise(raw, law.program)
    gc = law.program.feature_names.index("gc")
    f = activity(features, law.program)
    measured = measure(f, features[:, gc], law.assay, rng)
    return _Block(f, measured, pd.DataFrame({"gc": raw[:, gc]}))


def _cut(block: _Block, size: int) -> _Block:
    """The first rows of a whole block: what comes first never depends on what follows."""
    measured = Measurement._make(values[:size] for values in block.measured)
    return _Block(block.activity[:size], measured, block.metadata[:size])


def _dataset(codes: Codes, blocks: list[_Block], name: str) -> SequenceDataset:
    fields: Any = zip(*(block.measured for block in blocks), strict=True)
    measured = Measurement._make(np.concatenate(values) for values in fields)
    metadata = pd.concat([block.metadata for block in blocks], ignore_index=True)
    metadata["depth"], metadata["batch"] = measured.depth, measured.batch
    return SequenceDataset(
        name=name,
        codes=codes,
        activity=measured.value,
        group=np.arange(len(codes)),
        metadata=metadata,
        truth=Truth(
            np.concatenate([block.activity for block in blocks]), measured.mean, measured.std
        ),
    )

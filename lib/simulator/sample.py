"""Sampling: elements, activity and measurement in one go.

In: a world, a size, a seed, shifts and an assay. Out: a :class:`SequenceDataset` with its truth.
Elements are made in blocks of fixed size, each from generators of its own, so the bytes depend
neither on the number of workers nor on how many elements follow.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.data.dataset import SequenceDataset, Truth
from lib.sequences import Codes, reverse_complement
from lib.simulator.activity import activity, responses
from lib.simulator.assay import Assay, measure
from lib.simulator.background import Sequences, draw, exchange_letters
from lib.simulator.programs import World, draw_world
from lib.simulator.shifts import Law, Shift, apply

BLOCK = 2048
PARENT_SHARE = 0.6
RELATIVES = ("reverse_complement", "mutant", "tile", "duplicate")
RELATIVE_SHARES = (0.5, 0.2, 0.2, 0.1)
MUTATED = 0.03  # share of letters a mutant has drawn anew
TILE_STEP = 80  # nucleotides by which a tile is moved along its parent's neighbourhood


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
        At least 0.
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

    Examples
    --------
    >>> from lib.simulator import draw_world
    >>> data = simulate(draw_world(0), 100, seed=1)
    >>> data.codes.shape, data.truth.activity.shape
    ((100, 200), (100,))
    """
    law = apply(shift, world, Assay() if assay is None else assay)
    codes = np.empty((n, law.sequence.length), np.uint8)

    def fill(index: int) -> pd.DataFrame:
        own = codes[index * BLOCK : (index + 1) * BLOCK]
        drawn, rng = _drawn(law, (world.seed, seed), index)
        own[:] = drawn.codes[: len(own)]
        n_sites = np.bincount(drawn.sites[:, 0], minlength=BLOCK)
        table = _assay_block(drawn.codes, law, rng, n_sites=n_sites, gc_law=drawn.gc_law)
        return table[: len(own)]  # what comes first never depends on what follows

    with ThreadPoolExecutor(workers) as pool:
        blocks = list(pool.map(fill, range(max(1, -(-n // BLOCK)))))
    return _dataset(codes, blocks, name)


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
        own = _drawn(law, (world.seed, seed), index)[0].sites
        tables.append(own + np.array([index * BLOCK, 0, 0, 0], np.int32))
    sites = np.concatenate(tables)
    sites = sites[sites[:, 0] < n]
    element, motif, start, strand = sites.T
    names = pd.Index([pwm.name for pwm in law.sequence.motifs])
    end = start + np.array([pwm.width for pwm in law.sequence.motifs])[motif]
    name = pd.Categorical.from_codes(motif, names)
    columns = {"element": element, "motif": name, "start": start, "end": end, "strand": strand}
    return pd.DataFrame(columns)


def standin(n: int = 6000, seed: int = 0) -> SequenceDataset:
    """A stand-in for a real assay that cannot be had; published results never come from it.

    ``n`` elements of 200 nt in random row order, at least 10 or it is a ``ValueError``; two fifths
    are relatives of another one, each measured on its own. ``seed`` draws the world, the elements
    and the measurement. ``group`` is the parent; ``metadata`` has ``relation`` (parent,
    reverse_complement, mutant, tile, duplicate) beside the simulator's columns.

    Examples
    --------
    >>> data = standin(200)
    >>> data.name, len(data), len(np.unique(data.group))
    ('standin', 200, 120)
    """
    if n < 10:
        raise ValueError(f"n is {n}; a stand-in assay has at least 10 elements")
    world = draw_world(seed)
    parents = round(PARENT_SHARE * n)
    elements = simulate(world, parents, seed).codes
    rng = np.random.default_rng([seed, 1])
    parent = rng.integers(0, parents, n - parents)
    kind = rng.choice(len(RELATIVES), n - parents, p=RELATIVE_SHARES)
    codes = np.concatenate([elements, _relatives(elements[parent], kind, rng)])
    order = rng.permutation(n)
    relation = np.concatenate([np.zeros(parents, np.int64), kind + 1])[order]
    law = apply((), world, Assay())
    codes = codes[order]
    measured = _assay_block(codes, law, np.random.default_rng([world.seed, seed, 1]))
    data = _dataset(codes, [measured], "standin")
    names = pd.Categorical.from_codes(relation, pd.Index(["parent", *RELATIVES]))
    group = np.concatenate([np.arange(parents), parent])[order]
    return replace(data, group=group, metadata=data.metadata.assign(relation=names))


def _relatives(codes: Codes, kind: NDArray[np.int64], rng: np.random.Generator) -> Codes:
    """Turn each row into a relative of itself of the given kind."""
    made = codes.copy()
    flipped = kind == RELATIVES.index("reverse_complement")
    made[flipped] = reverse_complement(codes[flipped])
    anew = (rng.random(codes.shape) < MUTATED) & (kind == RELATIVES.index("mutant"))[:, None]
    made[anew] = rng.integers(0, 4, int(anew.sum()))
    tile = kind == RELATIVES.index("tile")
    made[tile, :-TILE_STEP] = codes[tile, TILE_STEP:]
    made[tile, -TILE_STEP:] = rng.permuted(codes[tile, :TILE_STEP], axis=1)
    return made


def known_truth(data: SequenceDataset) -> Truth:
    """The truth of a simulated dataset; a ValueError if it has none."""
    if data.truth is None:
        raise ValueError(f"dataset {data.name} has no truth; only simulated ones do")
    return data.truth


def _drawn(law: Law, root: tuple[int, int], block: int) -> tuple[Sequences, np.random.Generator]:
    """The elements of a block, and the generator of their measurement."""
    sequence = np.random.SeedSequence(root, spawn_key=(block,))
    gc, letters, sites, rng, exchanged = (np.random.default_rng(s) for s in sequence.spawn(5))
    drawn = draw(law.sequence, BLOCK, gc, letters, sites)
    if law.sequence.gc_neutral:
        drawn = exchange_letters(drawn, law.sequence, exchanged)
    return drawn, rng


def _assay_block(
    codes: Codes, law: Law, rng: np.random.Generator, **known: NDArray
) -> pd.DataFrame:
    raw = responses(codes, law.program)
    features = (raw - law.program.centre) / law.program.scale
    gc = law.program.feature_names.index("gc")
    f = activity(features, law.program)
    measured = measure(f, features[:, gc], law.assay, rng)
    return pd.DataFrame({"gc": raw[:, gc], **known, "activity": f, **measured._asdict()})


def _dataset(codes: Codes, blocks: list[pd.DataFrame], name: str) -> SequenceDataset:
    table = pd.concat(blocks, ignore_index=True)
    value, *truth = (table.pop(of).to_numpy(copy=True) for of in ("value", *Truth._fields))
    group = np.arange(len(codes))
    return SequenceDataset(name, codes, value, group, metadata=table, truth=Truth(*truth))

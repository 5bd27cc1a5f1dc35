"""A stand-in for a real assay that cannot be had: simulated, with relatives as real ones hold.

In: a size and a seed. Out: a :class:`SequenceDataset` named ``standin`` in which groups share
sequence. Published results never come from it.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.data.dataset import SequenceDataset
from lib.sequences import Codes, reverse_complement
from lib.simulator.programs import draw_world
from lib.simulator.sample import assay_codes, simulate

PARENT_SHARE = 0.6
RELATIVES = ("reverse_complement", "mutant", "tile", "duplicate")
RELATIVE_SHARES = (0.5, 0.2, 0.2, 0.1)
MUTATED = 0.03  # share of letters a mutant has drawn anew
TILE_STEP = 80  # nucleotides by which a tile is moved along its parent's neighbourhood


def standin(n: int = 6000, seed: int = 0) -> SequenceDataset:
    """Simulate a library of ``n`` elements, two fifths of them relatives of another one.

    Each relative is measured on its own, so what it shares with its parent is activity, not error.
    Activity correlates with GC content, as in WTC11.

    Parameters
    ----------
    n : int
        At least 10.
    seed : int
        Draws the world, the elements and the measurement.

    Returns
    -------
    SequenceDataset
        Of 200 nt in random row order. ``group`` is the parent; ``metadata`` has ``relation``
        (parent, reverse_complement, mutant, tile, duplicate) beside the simulator's columns.

    Raises
    ------
    ValueError
        If ``n`` is below 10.

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
    elements = simulate(world, parents, seed, workers=1).codes
    rng = np.random.default_rng([seed, 1])
    parent = rng.integers(0, parents, n - parents)
    kind = rng.choice(len(RELATIVES), n - parents, p=RELATIVE_SHARES)
    codes = np.concatenate([elements, _relatives(elements[parent], kind, rng)])
    order = rng.permutation(n)
    relation = np.concatenate([np.zeros(parents, np.int64), kind + 1])[order]
    data = assay_codes(world, codes[order], seed, name="standin")
    names = pd.Categorical.from_codes(relation, pd.Index(["parent", *RELATIVES]))
    return replace(
        data,
        group=np.concatenate([np.arange(parents), parent])[order],
        metadata=data.metadata.assign(relation=names),
    )


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

"""The GC-neutral arm: move GC content and leave every motif's occupancy where it was.

In: drawn elements and a tilted law. Out: the same elements with single background letters exchanged
(A or T for G or C, or back), only where no motif's occupancy changes by more than a tolerance.
Planted sites keep their letters; so do chance sites, whose load thereby stays that of the untilted
law.
"""

import numpy as np
from numba import njit

from lib.binding import CHUNK, Scanner
from lib.simulator.background import GC_GRID, Sequences, gc_probabilities

TOLERANCE = 0.004  # expected sites, per exchange and motif


def exchange_letters(
    drawn: Sequences, tilt: float, scanner: Scanner, rng: np.random.Generator
) -> Sequences:
    """Exchange letters until each element's GC has moved as the tilted law asks.

    An element at quantile q of the untilted law of background GC moves to quantile q of the tilted
    one. What no permitted exchange can reach is left undone.

    Parameters
    ----------
    drawn : Sequences
        From the untilted law.
    tilt : float
    scanner : Scanner
        Of the motifs whose occupancy is to stay.
    rng : Generator
    """
    before, after = np.cumsum(gc_probabilities()), np.cumsum(gc_probabilities(tilt))
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
def _local_occupancy(row, low, high, tables, first, widths, out):  # type: ignore[no-untyped-def]
    """Occupancy of every motif summed over the windows that cover positions low to high - 1."""
    length = len(row)
    for motif in range(len(widths)):
        total = 0.0
        width = widths[motif]
        for start in range(max(0, low - width + 1), min(high, length - width + 1)):
            forward, reverse = 1.0, 1.0
            for table in range(first[motif], first[motif + 1]):
                index = 0
                for i in range(CHUNK):
                    at = start + (table - first[motif]) * CHUNK + i
                    index = index * 5 + (row[at] if at < length else 4)
                forward *= tables[table, index, 0]
                reverse *= tables[table, index, 1]
            total += forward / (1 + forward) + reverse / (1 + reverse)
        out[motif] = total


@njit(nogil=True, cache=True)
def _exchange(codes, fixed, goal, order, rng, tables, first, widths):  # type: ignore[no-untyped-def]
    before, after = np.empty(len(widths)), np.empty(len(widths))
    for element in range(len(codes)):
        row = codes[element]
        left, to_strong = abs(goal[element]), goal[element] > 0
        for at in order[element]:
            if left == 0:
                break
            old = row[at]
            strong = old == 1 or old == 2
            if fixed[element, at] or strong == to_strong:
                continue
            _local_occupancy(row, at, at + 1, tables, first, widths, before)
            pick = rng.random() < 0.5
            row[at] = (1 if pick else 2) if to_strong else (0 if pick else 3)
            _local_occupancy(row, at, at + 1, tables, first, widths, after)
            if np.abs(after - before).max() > TOLERANCE:
                row[at] = old
            else:
                left -= 1

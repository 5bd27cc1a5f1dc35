"""The GC-neutral arm: move GC content and leave every motif's occupancy where it was.

In: drawn elements and a tilted law. Out: the same elements with single background letters exchanged
(A or T for G or C, or back), only where no motif's occupancy changes by more than a tolerance.
Planted sites keep their letters; so do chance sites, whose load thereby stays that of the untilted
law.
"""

import numpy as np
from numba import njit

from lib.motifs.binding import CHUNK, ROWS, Scanner, table_rows
from lib.simulator.background import GC_GRID, Sequences, gc_probabilities

TOLERANCE = 0.004  # expected sites, per exchange and motif
FAINT = 1e-5  # affinity below which a window is passed over


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

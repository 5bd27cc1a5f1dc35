"""Bootstrap over groups: multinomial weights and sums under them.

In: per-element columns ``(n, K)`` with a group label per row. Out: sums ``(K, draws)`` over
resampled groups. The unit that is resampled is always the group (leak group, parent element), never
the row; a metric that is a function of column means then costs one matrix product for all draws.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from lib.arrays import FloatArray, GroupCodes, IntArray, as_count, as_level, group_codes

_BLOCK_CELLS = 4_000_000  # groups x draws held at once: 32 MB


def weight_blocks(
    n_groups: int, draws: int, rng: np.random.Generator, rows: int | None = None
) -> Iterator[tuple[int, FloatArray]]:
    """Multinomial weights of a bootstrap, in blocks ``(n_groups, b)`` with their first draw.

    Each column counts how often every group was drawn with replacement, so it sums to ``n_groups``.
    Blocks bound the memory; their size depends on ``n_groups`` alone, or on ``rows`` where the
    caller spreads the weights over that many rows.
    """
    size = max(1, min(draws, _BLOCK_CELLS // max(n_groups, 1 if rows is None else rows, 1)))
    for start in range(0, draws, size):
        width = min(size, draws - start)
        picks = rng.integers(0, n_groups, size=(n_groups, width))
        cells = (picks * width + np.arange(width)).ravel()
        counts = np.bincount(cells, minlength=n_groups * width)
        yield start, counts.reshape(n_groups, width).astype(np.float64)


def group_bootstrap_weights(
    groups: ArrayLike, draws: int, rng: np.random.Generator
) -> tuple[FloatArray, GroupCodes]:
    """Weights ``(draws, n_groups)`` of a bootstrap over groups, and the numbering of the groups.

    A group drawn twice counts each of its rows twice; the number of rows varies between draws.

    Raises
    ------
    ValueError
        No rows, a missing label, or fewer than one draw.

    Examples
    --------
    >>> weights, numbering = group_bootstrap_weights([0, 0, 1], 5, np.random.default_rng(0))
    >>> weights.shape, weights.sum(axis=1).tolist()
    ((5, 2), [2.0, 2.0, 2.0, 2.0, 2.0])
    """
    numbering = group_codes(groups)
    if numbering.n_groups == 0:
        raise ValueError("groups is empty; at least one row would do")
    blocks = [
        block for _, block in weight_blocks(numbering.n_groups, as_count("draws", draws), rng)
    ]
    return np.concatenate(blocks, axis=1).T, numbering


def group_totals(columns: FloatArray, groups: GroupCodes) -> FloatArray:
    """Sums per group ``(K, n_groups)`` of columns ``(n, K)``."""
    n = len(groups.codes)
    member = sparse.csr_array(
        (np.ones(n), (groups.codes, np.arange(n))), shape=(groups.n_groups, n)
    )
    return np.ascontiguousarray((member @ columns).T)


def cell_totals(
    columns: FloatArray, cells: IntArray, n_cells: int, groups: GroupCodes
) -> sparse.csr_array:
    """Sums per cell and group of columns ``(n, K)`` as a sparse ``(n_cells * K, n_groups)`` matrix.

    Row ``cell * K + k`` holds column k of that cell; rows with ``cells < 0`` belong to none.
    """
    kept = np.flatnonzero(cells >= 0)
    width = columns.shape[1]
    rows = (cells[kept, None] * width + np.arange(width)).ravel()
    cols = np.repeat(groups.codes[kept], width)
    shape = (n_cells * width, groups.n_groups)
    return sparse.csr_array((columns[kept].ravel(), (rows, cols)), shape=shape)


def _densest(matrix: FloatArray | sparse.csr_array) -> FloatArray | sparse.csr_array:
    """A sparse matrix as a dense one where the dense product is quicker: above a tenth filled."""
    if isinstance(matrix, np.ndarray) or 10 * matrix.nnz <= matrix.shape[0] * matrix.shape[1]:
        return matrix
    return matrix.toarray()


def bootstrap_totals(
    totals: Sequence[FloatArray | sparse.csr_array],
    n_groups: int,
    draws: int,
    rng: np.random.Generator,
) -> list[FloatArray]:
    """Resampled sums ``(K, draws)`` of each matrix ``(K, n_groups)``; all share the weights."""
    totals = [_densest(matrix) for matrix in totals]
    out = [np.empty((matrix.shape[0], draws)) for matrix in totals]
    for start, weights in weight_blocks(n_groups, draws, rng):
        for result, matrix in zip(out, totals, strict=True):
            result[:, start : start + weights.shape[1]] = matrix @ weights
    return out


def percentile_interval(
    resampled: FloatArray, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper percentile along the last axis, draws that are NaN left out.

    Examples
    --------
    >>> lower, upper = percentile_interval(np.arange(101.0), level=0.9)
    >>> round(float(lower), 9), round(float(upper), 9)
    (5.0, 95.0)
    """
    ordered = np.sort(resampled, axis=-1)  # NaN sorts last
    known = np.sum(~np.isnan(ordered), axis=-1)
    tail = (1 - as_level(level)) / 2

    def at(share: float) -> FloatArray:
        position = share * np.maximum(known - 1, 0)
        below = np.floor(position).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(known - 1, 0))
        low = np.take_along_axis(ordered, below[..., None], -1)[..., 0]
        high = np.take_along_axis(ordered, above[..., None], -1)[..., 0]
        with np.errstate(invalid="ignore"):
            between = low * (above - position) + high * (position - below)
            return np.where(position == below, low, between)

    return at(tail), at(1 - tail)


def draw_variance(resampled: FloatArray) -> FloatArray:
    """Sample variance along the last axis over finite draws; NaN for fewer than two.

    Examples
    --------
    >>> draw_variance(np.array([[1.0, 3.0, np.nan], [np.nan, np.nan, 2.0]])).tolist()
    [2.0, nan]
    """
    known = np.isfinite(resampled)
    count = known.sum(axis=-1)
    enough = np.maximum(count, 2)
    filled = np.where(known, resampled, 0)
    centre = filled.sum(axis=-1) / np.maximum(count, 1)
    deviation = np.where(known, filled - centre[..., None], 0)
    return np.where(count > 1, (deviation**2).sum(axis=-1) / (enough - 1), np.nan)

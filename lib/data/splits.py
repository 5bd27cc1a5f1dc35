"""Named splits: relatives stay on one side.

In: leak groups ``(n,)`` (:mod:`lib.data.leakage`). Out: :class:`Split`, a named set of disjoint row
indices. Parts are train, validation (early stopping), calibration (recalibration and conformal),
test (in distribution), of a fold (:mod:`lib.data.folds`) ``choice`` and, for a shift, ``shifted``.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from lib.arrays import FloatArray, IndexArray

PARTS = ("train", "validation", "calibration", "test")
FRACTIONS = (0.7, 0.1, 0.1, 0.1)
LARGEST_GROUP_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint row indices under names.

    Attributes
    ----------
    name : str
        How it was made: ``fold``, ``group``, ``random_leaky`` …
    seed : int
        The ``split_seed`` that drew it.
    parts : mapping of str to (m,) int64 arrays
        Sorted row indices; always the four of :data:`PARTS`.
    """

    name: str
    seed: int
    parts: Mapping[str, IndexArray]

    def __post_init__(self) -> None:
        for part, rows in self.parts.items():
            if len(rows) == 0:
                raise ValueError(
                    f"split {self.name!r} leaves the part {part!r} empty; use more data or a less "
                    "extreme quantile"
                )

    def __getitem__(self, part: str) -> IndexArray:
        return self.parts[part]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the parts: the split's share of a unit's key."""
        digest = hashlib.sha256()
        for part in sorted(self.parts):
            digest.update(f"{part}{len(self.parts[part])}".encode())
            digest.update(self.parts[part].astype(np.int64).tobytes())
        return digest.hexdigest()


def _rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])


def check_groups(group: IndexArray, parts: int) -> None:
    """Refuse groups that no split can keep whole."""
    sizes = np.unique(group, return_counts=True)[1]
    if len(sizes) < parts:
        raise ValueError(
            f"{len(sizes)} leak groups cannot fill {parts} parts; check the group column, or use a "
            "longer k so that fewer elements count as relatives"
        )
    share = sizes.max() / len(group)
    if share > LARGEST_GROUP_SHARE:
        raise ValueError(
            f"one leak group holds {share:.0%} of the {len(group)} elements (limit "
            f"{LARGEST_GROUP_SHARE:.0%}); trim adapters and constant flanks, or give a group column"
        )


def group_split(group: IndexArray, seed: int) -> Split:
    """Whole groups at random into 70/10/10/10 % train, validation, calibration and test.

    Raises
    ------
    ValueError
        With fewer groups than parts, one group over 20 % of the rows, or an empty part.
    """
    check_groups(group, len(PARTS))
    labels, position, sizes = np.unique(group, return_inverse=True, return_counts=True)
    order = _rng(seed, "group").permutation(len(labels))
    middle = (np.cumsum(sizes[order]) - sizes[order] / 2) / len(group)
    part = np.empty(len(labels), np.int64)
    part[order] = np.searchsorted(np.cumsum(FRACTIONS)[:-1], middle, side="right")
    found = {name: np.flatnonzero(part[position] == place) for place, name in enumerate(PARTS)}
    return Split("group", seed, found)


def random_leaky_split(n: int, seed: int) -> Split:
    """Rows at random, relatives ignored: a warning of what leakage does, never a result."""
    order = _rng(seed, "random_leaky").permutation(n)
    bounds = np.rint(np.cumsum(FRACTIONS)[:-1] * n).astype(int)
    parts = [np.sort(rows) for rows in np.split(order, bounds)]
    return Split("random_leaky", seed, dict(zip(PARTS, parts, strict=True)))


def group_mean(values: FloatArray, group: IndexArray) -> FloatArray:
    """Mean of ``values`` over each row's group, (n,): a group goes by its mean GC."""
    index = np.unique(group, return_inverse=True)[1]
    return (np.bincount(index, values) / np.bincount(index))[index]


class Tilt(NamedTuple):
    """Positions into the resampled part, (m,), with repeats; and the shift that was reached."""

    rows: IndexArray
    shift_sd: float


def gc_tilt(gc: FloatArray, group: IndexArray, shift_sd: float, rng: np.random.Generator) -> Tilt:
    """Resample whole groups with weight exp(λ · GC) so that the mean GC moves by ``shift_sd``.

    The support stays the same, so the density ratio is known and finite.

    ``gc, group`` (n,) are those of the part to resample; the shift is in standard deviations of
    ``gc``, its sign the direction. Raises ``ValueError`` if the support is too narrow for it.
    """
    index = np.unique(group, return_inverse=True)[1]
    size = np.bincount(index)
    mean_gc = np.bincount(index, gc) / size
    centre, spread = gc.mean(), gc.std()

    def moved(slope: float) -> float:
        weight = size * np.exp(slope * (mean_gc - centre))
        return float((weight * mean_gc).sum() / weight.sum() - centre - shift_sd * spread)

    limit = 500.0  # exp(500 · 1) is finite in float64; GC lies in [0, 1]
    if spread == 0 or moved(-limit) > 0 or moved(limit) < 0:
        raise ValueError(f"no tilt moves the mean GC by {shift_sd} SD within {len(size)} groups")
    slope = brentq(moved, -limit, limit)
    weight = np.exp(slope * (mean_gc - centre))
    # Systematic resampling along GC: copies differ from their expectation by less than one, so the
    # realised shift stays close to the wanted one.
    by_gc = np.argsort(mean_gc, kind="stable")
    ladder = np.cumsum(weight[by_gc]) / weight.sum()
    steps = (np.arange(len(size)) + rng.random()) / len(size)
    drawn = by_gc[np.searchsorted(ladder, steps)]
    order = np.argsort(index, kind="stable")
    first = np.concatenate([[0], np.cumsum(size)])
    rows = np.concatenate([order[first[g] : first[g + 1]] for g in drawn])
    return Tilt(rows, float((gc[rows].mean() - centre) / spread))

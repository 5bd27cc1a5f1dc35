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


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint row indices under names.

    Attributes
    ----------
    name : str
        How it was made: ``fold``, ``family``, ``random_leaky`` …
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


def random_leaky_split(n: int, seed: int) -> Split:
    """Rows at random, relatives ignored: a warning of what leakage does, never a result."""
    order = np.random.default_rng([seed, *b"random_leaky"]).permutation(n)
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

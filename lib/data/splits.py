"""Named splits: relatives stay on one side.

In: leak groups ``(n,)`` (:mod:`lib.data.leakage`) and what a split is made by (GC, a metadata
column). Out: :class:`Split`, a named set of disjoint row indices. Parts are train, validation
(early stopping), calibration (recalibration and conformal), test (in distribution) and, for a
shift, ``shifted``.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from lib.arrays import FloatArray, IndexArray

PARTS = ("train", "validation", "calibration", "test")
FRACTIONS = (0.7, 0.1, 0.1, 0.1)
LARGEST_GROUP_SHARE = 0.2


def _left_empty(name: str, part: str) -> ValueError:
    return ValueError(
        f"split {name!r} leaves the part {part!r} empty; use more data or a less extreme quantile"
    )


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint row indices under names.

    Attributes
    ----------
    name : str
        How it was made: ``group``, ``gc_high``, ``random_leaky`` …
    seed : int
        The ``split_seed`` that drew it.
    parts : mapping of str to (m,) int64 arrays
        Sorted row indices; always the four of :data:`PARTS`, with ``shifted`` for a shift.
    """

    name: str
    seed: int
    parts: Mapping[str, IndexArray]

    def __post_init__(self) -> None:
        for part, rows in self.parts.items():
            if len(rows) == 0:
                raise _left_empty(self.name, part)

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


def _deal(
    group: IndexArray, rows: IndexArray, rng: np.random.Generator, fractions: Sequence[float]
) -> list[IndexArray]:
    """Deal whole groups of ``rows`` at random into shares ``fractions``."""
    check_groups(group[rows], len(fractions))
    labels, position, sizes = np.unique(group[rows], return_inverse=True, return_counts=True)
    order = rng.permutation(len(labels))
    middle = (np.cumsum(sizes[order]) - sizes[order] / 2) / len(rows)
    bounds = np.cumsum(fractions)[:-1] / sum(fractions)
    part = np.empty(len(labels), np.int64)
    part[order] = np.searchsorted(bounds, middle, side="right")
    return [rows[part[position] == index] for index in range(len(fractions))]


def group_split(group: IndexArray, seed: int, name: str = "group") -> Split:
    """Whole groups at random into 70/10/10/10 % train, validation, calibration and test.

    Raises
    ------
    ValueError
        With fewer groups than parts, one group over 20 % of the rows, or an empty part.
    """
    parts = _deal(group, np.arange(len(group)), _rng(seed, name), FRACTIONS)
    return Split(name, seed, dict(zip(PARTS, parts, strict=True)))


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


def _hold_out(name: str, seed: int, group: IndexArray, shifted: NDArray[np.bool_]) -> Split:
    """Split the groups without a shifted member; groups that straddle give up their other rows."""
    touched = np.isin(group, group[shifted])
    if not shifted.any() or touched.all():
        raise _left_empty(name, "train" if shifted.any() else "shifted")
    # The same seed draws the same order for every name, but over other groups.
    inside = _deal(group, np.flatnonzero(~touched), _rng(seed, name), FRACTIONS)
    parts = dict(zip(PARTS, inside, strict=True)) | {"shifted": np.flatnonzero(shifted)}
    return Split(name, seed, parts)


def gc_tail_split(
    gc: FloatArray, group: IndexArray, quantile: float, tail: str, seed: int
) -> Split:
    """Train and test inside, ``shifted`` beyond a GC quantile; the supports do not meet.

    A share ``quantile`` in (0, 1) of the elements stays inside, the ``tail`` ``high`` or ``low`` is
    held out; a group goes by its mean GC. Raises ``ValueError`` for other values, or an empty part.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"gc_quantile is {quantile}; it must lie strictly between 0 and 1")
    if tail not in ("high", "low"):
        raise ValueError(f"tail is {tail!r}; use 'high' or 'low'")
    by_group = group_mean(gc, group)
    if tail == "high":
        shifted = by_group > np.quantile(by_group, quantile)
    else:
        shifted = by_group < np.quantile(by_group, 1 - quantile)
    return _hold_out(f"gc_{tail}", seed, group, shifted)


def placebo_split(group: IndexArray, held_out: float, seed: int) -> Split:
    """A random share of the groups called shifted: what every shift is compared with.

    Trained on as many elements as a tail split that holds out the same share, so it is also the
    random split of equal training size. Raises ``ValueError`` as :func:`gc_tail_split` does.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out is {held_out}; it must lie strictly between 0 and 1")
    rng = _rng(seed, "placebo draw")
    rows = np.arange(len(group))
    shifted = np.isin(rows, _deal(group, rows, rng, (held_out, 1 - held_out))[0])
    return _hold_out("placebo", seed, group, shifted)


def leave_one_out_split(labels: ArrayLike, held_out: str, group: IndexArray, seed: int) -> Split:
    """Hold out all rows of one label (a species); relatives under other labels are dropped."""
    labels = np.asarray(labels)
    shifted = labels == held_out
    if not shifted.any():
        raise ValueError(f"no element is labelled {held_out!r}; labels: {sorted(set(labels))}")
    return _hold_out(f"without_{held_out}", seed, group, shifted)


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

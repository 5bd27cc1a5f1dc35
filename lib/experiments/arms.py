"""Arms of a measured assay: what is trained on, fold by fold, and where networks are judged.

In: an assay and the names of :data:`ARMS`. Out: :class:`AssayArm`, one split per fold of grouped
cross-validation, so that every element is tested once, and its parts. In ``group`` all folds train
on whatever they do not test; other arms hold a kind of elements out of training everywhere, and a
fold tests its own elements of that kind too.

A part's ``split`` is ``test`` for elements in distribution, ``inside`` for those of an arm that
holds others out, ``shifted`` for these, and ``matched`` for the same kind judged by networks that
were trained on all kinds, on as many elements.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from lib.arrays import BoolArray, FloatArray, IndexArray
from lib.data.dataset import SequenceDataset
from lib.data.folds import Folds, family_split, fold_split, group_folds
from lib.data.leakage import strand_pairs
from lib.data.splits import Split, gc_tilt, group_mean, random_leaky_split
from lib.metrics.evaluate import MIN_BIN
from lib.metrics.resampling import Resampling, resampling

ARMS: Final = ("group", "tilt", "tail", "placebo", "species", "leaky")
SPECIES_COLUMN: Final = "sp"
ALL: Final = "with large families"
MEANS: Final = "element means"


class AssayPart(NamedTuple):
    """Rows on which an arm is judged, with what its result rows say of them."""

    split: str
    shift: str  # empty in distribution
    condition: str
    rows: IndexArray
    severity: float = 0.0  # the measured shift of the mean GC, in standard deviations
    sampled: bool = True  # whether its groups are a sample, so that there is an interval

    @property
    def keys(self) -> dict[str, Any]:
        """Columns of its rows."""
        family = "covariate" if self.shift else ""
        named = {"split": self.split, "shift": self.shift, "family": family}
        return named | {"severity": round(self.severity, 4), "condition": self.condition}


@dataclass(frozen=True, eq=False)
class AssayArm:
    """Splits of an assay and where their networks are judged; ``kind`` is of :data:`ARMS`.

    ``plan`` (of all rows; the set of those that no fold tests is -1) is the same for all arms of an
    assay, so that contrasts between them are paired by group.
    """

    data: SequenceDataset
    splits: tuple[Split, ...]
    plan: Resampling
    kind: str
    parts: tuple[AssayPart, ...] = ()

    @property
    def main(self) -> bool:
        """Whether it is the group arm, which gets the full ensemble."""
        return self.kind == "group"

    @property
    def both_strands(self) -> bool:
        """Whether its networks train on and average over both strands."""
        return not self.data.oriented

    @property
    def headline(self) -> "AssayArm":
        """Its folds alone, and the parts that are samples: no large family is left out."""
        parts = tuple(part for part in self.parts if part.sampled)
        return replace(self, splits=self.splits[: self.plan.folds], parts=parts)

    @cached_property
    def tested(self) -> IndexArray:
        """Which split tests each row, (n,); -1 where none does."""
        found = np.full(len(self.data), -1)
        for place, split in enumerate(self.splits):
            for part in ("test", "shifted"):
                found[split.parts.get(part, [])] = place
        return found

    def stitched(self, values: FloatArray) -> FloatArray:
        """Of values ``(..., splits, n)`` those of the split that tests each row, ``(..., n)``."""
        picked = values[..., np.maximum(self.tested, 0), np.arange(len(self.data))]
        return np.where(self.tested >= 0, picked, np.nan)


def element_means(arm: AssayArm) -> tuple[AssayArm, IndexArray] | None:
    """The folds of an arm with an element as one row, and its two orientations' rows, (2, m).

    Activity is the mean of both. None where a part would be left without such an element.
    """
    data, whole = arm.data, arm.headline
    pairs = np.array(strand_pairs(data.codes))
    pairs = pairs[:, data.group[pairs[0]] == data.group[pairs[1]]]
    parts = [
        {part: np.flatnonzero(np.isin(pairs[0], rows)) for part, rows in split.parts.items()}
        for split in whole.splits
    ]
    if not all(len(rows) for own in parts for rows in own.values()):
        return None
    own = {"activity": data.activity[pairs].mean(axis=0), "noise_std": None, "truth": None}
    splits = tuple(
        map(Split, (s.name for s in whole.splits), (s.seed for s in whole.splits), parts)
    )
    found = AssayArm(replace(data.take(pairs[0]), **own), splits, arm.plan.take(pairs[0]), arm.kind)
    rows = np.flatnonzero(found.tested >= 0)
    return replace(found, parts=(AssayPart("test", "", MEANS, rows),)), pairs


def reliability(data: SequenceDataset) -> dict[str, float]:
    """Correlation of the two orientations of an element, if there are ten such elements.

    A lower bound on the share of variance that a strand-blind model could explain; its root bounds
    a model's r. That of the mean of both follows (Spearman and Brown 1910).
    """
    forward, reverse = strand_pairs(data.codes)
    if len(forward) < MIN_BIN:
        return {}
    # Symmetric in the two orientations, since which is called forward carries no meaning.
    pairs = data.activity[np.array([[*forward, *reverse], [*reverse, *forward]])]
    r = float(np.corrcoef(pairs)[0, 1])
    best, means = max(r, 0) ** 0.5, 2 * r / (1 + r)
    return {"reliability": r, "best_pearson_r": best, "reliability_of_means": means}


class Maker(NamedTuple):
    """What arms of one assay are made from."""

    data: SequenceDataset
    folds: Folds
    plan: Resampling
    seed: int

    def arm(self, kind: str, held_out: BoolArray | None = None) -> AssayArm:
        """An arm without parts."""
        given = self.folds, self.data.group
        splits = [fold_split(*given, k, self.seed, held_out) for k in range(self.folds.n_folds)]
        return AssayArm(self.data, tuple(splits), self.plan, kind)

    def some_groups(self, share: float) -> BoolArray:
        """Rows of random groups that hold about such a share of the tested elements."""
        tested = self.folds.tested
        labels, sizes = np.unique(self.data.group[tested], return_counts=True)
        order = np.random.default_rng([self.seed, *b"placebo"]).permutation(len(labels))
        reached = np.cumsum(sizes[order]) <= share * len(tested)
        return np.isin(self.data.group, labels[order[reached]])


def makers(data: Sequence[SequenceDataset], count: int, seed: int) -> list[Maker]:
    """Of each assay; they are dealt together, so that groups of one label share a fold."""
    group = np.concatenate([assay.group for assay in data])
    folds = group_folds(group, seed, count)
    found = resampling(group[folds.tested], np.random.default_rng(0), folds.fold[folds.tested])
    codes = np.full(len(group), -1)
    codes[folds.tested] = found.codes
    apart = np.cumsum([len(assay) for assay in data])[:-1]
    own = zip(data, np.split(folds.fold, apart), np.split(codes, apart), strict=True)
    return [
        Maker(assay, folds._replace(fold=fold), found._replace(codes=codes), seed)
        for assay, fold, codes in own
    ]


def _rows(arm: AssayArm, part: str) -> IndexArray:
    rows = [split[part] for split in arm.splits if part in split.parts]
    if not rows:
        raise ValueError(f"{arm.data.name}: no fold tests what arm {arm.kind!r} holds out")
    return np.sort(np.concatenate(rows))


def _held_out(arm: AssayArm, held_out: BoolArray, shift: str, condition: str) -> AssayArm:
    """The arm judged inside and on what it holds out."""
    gc, inside = arm.data.gc, ~np.isin(arm.data.group, arm.data.group[held_out])
    rows = _rows(arm, "shifted")
    moved = float((gc[rows].mean() - gc[inside].mean()) / (gc[inside].std() or 1.0))
    inner = AssayPart("inside", shift, condition, _rows(arm, "test"))
    return replace(arm, parts=(inner, AssayPart("shifted", shift, condition, rows, moved)))


def _with_matched(placebo: AssayArm, arm: AssayArm) -> AssayArm:
    """The placebo judged on what an arm holds out too: as much was held out from it at random."""
    shifted = arm.parts[-1]
    rows = shifted.rows[placebo.tested[shifted.rows] >= 0]
    return replace(placebo, parts=(*placebo.parts, shifted._replace(split="matched", rows=rows)))


def _tail_arms(make: Maker, quantile: float, tails: Sequence[str]) -> Iterator[AssayArm]:
    """Both tails held out, and random groups held out in their place, which are matched."""
    chosen = make.some_groups(1 - quantile)
    placebo = _held_out(make.arm("placebo", chosen), chosen, "placebo", "random groups")
    by_group = group_mean(make.data.gc, make.data.group)
    for tail in tails:
        high = tail == "high"
        edge = np.quantile(by_group, quantile if high else 1 - quantile)
        held_out = by_group > edge if high else by_group < edge
        if not held_out.any():
            continue
        gc = by_group[held_out]
        name = f"GC ≥ {gc.min():.3f}" if high else f"GC ≤ {gc.max():.3f}"
        arm = _held_out(make.arm("tail", held_out), held_out, f"gc_{tail}", name)
        placebo = _with_matched(placebo, arm)
        yield arm
    yield placebo


def _species_arms(make: Maker) -> Iterator[AssayArm]:
    labels, group = make.data.metadata[SPECIES_COLUMN].to_numpy(str), make.data.group
    for species in sorted(set(labels)):
        held_out = labels == species
        arm = _held_out(make.arm("species", held_out), held_out, "species", species)
        share = np.isin(group, group[held_out])[make.folds.tested].mean()
        yield arm
        yield _with_matched(make.arm("placebo", make.some_groups(share)), arm)


def _group_arm(make: Maker, tilts: Sequence[float]) -> AssayArm:
    """All folds, the large families left out one by one, and tilts of what the folds test."""
    data, seed, test = make.data, make.seed, make.folds.tested
    more = [family_split(make.folds, data.group, each, seed) for each in make.folds.families]
    parts = [AssayPart("test", "", "", test)]
    for tilt in tilts:
        rng = np.random.default_rng([seed, round(1000 * abs(tilt)), int(tilt < 0)])
        try:
            rows, moved = gc_tilt(data.gc[test], data.group[test], tilt, rng)
            parts.append(AssayPart("shifted", "gc_tilt", f"{tilt:+g} SD", test[rows], moved))
        except ValueError as error:  # GC varies too little; all else can be judged
            warnings.warn(f"{data.name}: {error}; this tilt is left out", stacklevel=2)
    for place, split in enumerate(more, start=1):
        name = f"family {place} of {len(more)}"
        parts.append(AssayPart("shifted", "unseen_family", name, split["test"], sampled=False))
    if more:
        parts.append(AssayPart("test", "", ALL, np.arange(len(data)), sampled=False))
    arm = make.arm("group")
    return replace(arm, splits=(*arm.splits, *more), parts=tuple(parts))


def build_arms(
    data: SequenceDataset,
    wanted: Sequence[str],
    count: int,
    quantile: float,
    tilts: Sequence[float],
    seed: int,
) -> list[AssayArm]:
    """The wanted arms (out of :data:`ARMS`) that an assay allows, on ``count`` folds.

    ``tilt`` resamples what ``group`` tests by ``tilts``, in standard deviations of its GC, and
    costs no fit; ``tail`` keeps a share ``quantile`` inside and brings ``placebo`` with it. Parts
    of fewer than ten elements are left out.
    """
    arms, (make,) = [], makers([data], count, seed)
    if {"group", "tilt"} & set(wanted):
        arms.append(_group_arm(make, tilts if "tilt" in wanted else ()))
    if {"tail", "placebo"} & set(wanted):
        arms += _tail_arms(make, quantile, ("high", "low") if "tail" in wanted else ())
    if "species" in wanted and SPECIES_COLUMN in data.metadata:
        arms += _species_arms(make)
    if "leaky" in wanted:
        leaky = random_leaky_split(len(data), seed)
        parts = (AssayPart("random_leaky", "", "", leaky["test"]),)
        plan = resampling(data.group, np.random.default_rng(0))
        arms.append(AssayArm(data, (leaky,), plan, "leaky", parts))
    return [
        replace(arm, parts=tuple(part for part in arm.parts if len(part.rows) >= MIN_BIN))
        for arm in arms
    ]

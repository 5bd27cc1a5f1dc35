"""The arms of the GC experiment: how each splits an assay, and on which parts it is judged.

In: a data set and a ``split_seed``. Out: :class:`Arm` objects. A part's keys are the columns of its
result rows. ``split`` is ``test`` for the in-distribution part of whole groups at random,
``inside`` for that of a hold-out arm, ``shifted`` for what was held out, and ``matched`` for the
same kind of elements judged by a network that was trained on all kinds, on as many elements.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.data.dataset import FloatArray, IndexArray, SequenceDataset
from lib.data.splits import (
    Split,
    gc_tail_split,
    gc_tilt,
    group_mean,
    group_split,
    leave_one_out_split,
    placebo_split,
    random_leaky_split,
)

ARMS = ("group", "tilt", "tail", "placebo", "species", "leaky", "strand")
SPECIES_COLUMN = "sp"


class Part(NamedTuple):
    """Rows on which an arm is judged, with the keys of their results."""

    keys: Mapping[str, Hashable]
    rows: IndexArray


class Arm(NamedTuple):
    """One split, what is fitted on it and where it is judged.

    Attributes
    ----------
    split : Split
    parts : tuple of Part
    main : bool
        The group arm, which gets the full ensemble.
    both_strands : bool
        Train on and average over both strands.
    """

    split: Split
    parts: tuple[Part, ...]
    main: bool = False
    both_strands: bool = True


def _keys(split: str, shift: str, condition: str, severity: float) -> dict[str, Hashable]:
    family = "covariate" if shift else ""
    return {
        "split": split,
        "shift": shift,
        "family": family,
        "severity": round(severity, 4),
        "condition": condition,
    }


def _moved(gc: FloatArray, rows: IndexArray, reference: IndexArray) -> float:
    """Shift of the mean GC in standard deviations of the reference part."""
    return float((gc[rows].mean() - gc[reference].mean()) / gc[reference].std())


def _group_arm(data: SequenceDataset, tilts: Sequence[float], seed: int) -> Arm:
    split = group_split(data.group, seed)
    test = split["test"]
    parts = [Part(_keys("test", "", "", 0.0), test)]
    for tilt in tilts:
        rng = np.random.default_rng([seed, round(1000 * abs(tilt)), int(tilt < 0)])
        tilted = gc_tilt(data.gc[test], data.group[test], tilt, rng)
        condition = f"{tilt:+g} SD"
        parts.append(
            Part(_keys("shifted", "gc_tilt", condition, tilted.shift_sd), test[tilted.rows])
        )
    return Arm(split, tuple(parts), main=True)


def _hold_out_arms(
    data: SequenceDataset, held: Split, mixed: Split, shift: str, condition: str, chosen: NDArray
) -> tuple[Part, Part, Part]:
    """Inside, shifted and matched parts; ``chosen`` marks the elements of the held-out kind."""
    severity = _moved(data.gc, held["shifted"], held["train"])
    unseen = np.concatenate([mixed["test"], mixed["shifted"]])
    matched = np.sort(unseen[chosen[unseen]])
    return (
        Part(_keys("inside", shift, condition, 0.0), held["test"]),
        Part(_keys("shifted", shift, condition, severity), held["shifted"]),
        Part(_keys("matched", shift, condition, severity), matched),
    )


def _tail_arms(
    data: SequenceDataset, quantile: float, seed: int, placebo: Split
) -> tuple[list[Arm], list[Part]]:
    by_group = group_mean(data.gc, data.group)
    arms, matched = [], []
    for tail in ("high", "low"):
        split = gc_tail_split(data.gc, data.group, quantile, tail, seed)
        chosen = np.zeros(len(data), bool)
        chosen[split["shifted"]] = True
        edge = by_group[split["shifted"]].min() if tail == "high" else by_group[chosen].max()
        condition = f"GC {'≥' if tail == 'high' else '≤'} {edge:.3f}"
        *own, mixed = _hold_out_arms(data, split, placebo, f"gc_{tail}", condition, chosen)
        arms.append(Arm(split, tuple(own)))
        matched.append(mixed)
    return arms, matched


def _species_arms(data: SequenceDataset, seed: int) -> Iterator[Arm]:
    labels = data.metadata[SPECIES_COLUMN].to_numpy(str)
    for species in sorted(set(labels)):
        held = leave_one_out_split(labels, species, data.group, seed)
        share = 1 - sum(len(held[part]) for part in held.parts if part != "shifted") / len(data)
        mixed = placebo_split(data.group, share, seed)
        mixed = Split(f"placebo_{species}", seed, mixed.parts)
        chosen = labels == species
        *own, matched = _hold_out_arms(data, held, mixed, "species", species, chosen)
        yield Arm(held, tuple(own))
        yield Arm(mixed, (matched,))


def build_arms(
    data: SequenceDataset,
    wanted: Sequence[str],
    quantile: float,
    tilts: Sequence[float],
    split_seed: int,
) -> list[Arm]:
    """The wanted arms of one split seed; those that an assay does not allow are left out.

    Parameters
    ----------
    data : SequenceDataset
    wanted : sequence of str
        Out of :data:`ARMS`. ``tilt`` resamples the test part of ``group`` and costs no fit;
        ``tail`` brings ``placebo`` with it.
    quantile : float
        Share of the elements inside a tail split.
    tilts : sequence of float
        Shifts of the mean GC, in standard deviations of the test part.
    split_seed : int

    Raises
    ------
    ValueError
        If a split leaves a part empty or a group is too large, see :mod:`lib.data.splits`.
    """
    arms = []
    if {"group", "tilt"} & set(wanted):
        arms.append(_group_arm(data, tilts if "tilt" in wanted else (), split_seed))
    if {"tail", "placebo"} & set(wanted):
        placebo = placebo_split(data.group, 1 - quantile, split_seed)
        severity = _moved(data.gc, placebo["shifted"], placebo["train"])
        parts = [
            Part(_keys("inside", "placebo", "random groups", 0.0), placebo["test"]),
            Part(_keys("shifted", "placebo", "random groups", severity), placebo["shifted"]),
        ]
        if "tail" in wanted:
            tails, matched = _tail_arms(data, quantile, split_seed, placebo)
            arms += tails
            parts += matched
        arms.append(Arm(placebo, tuple(parts)))
    if "species" in wanted and SPECIES_COLUMN in data.metadata:
        arms += _species_arms(data, split_seed)
    if "leaky" in wanted:
        split = random_leaky_split(len(data), split_seed)
        arms.append(Arm(split, (Part(_keys("random_leaky", "", "", 0.0), split["test"]),)))
    if "strand" in wanted and not data.oriented:
        split = group_split(data.group, split_seed)
        part = Part(_keys("test", "", "one strand", 0.0), split["test"])
        arms.append(Arm(split, (part,), both_strands=False))
    return arms

"""What each network of the real shifts is asked about, and under which names.

In: :class:`lib.experiments.real_assays.Assays` and the networks of
:mod:`lib.experiments.real_arms`. Out: :class:`Asked` objects: rows, labels and keys, no forecast.
``split`` is ``test`` in distribution, ``inside`` for what a shifted part is compared with where
that is not the test part, ``shifted`` for the shift and ``matched`` for the same elements and
labels judged by a network that was trained on the shifted law.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.data.dataset import FloatArray, IndexArray, SequenceDataset
from lib.data.splits import gc_tilt
from lib.experiments import twins
from lib.experiments.gc_arms import Arm
from lib.experiments.real_arms import (
    TRAINED_FACTOR,
    Network,
    batch_library,
    retina_split,
)
from lib.experiments.real_assays import Assays, Depths, shared_rows
from lib.experiments.real_severity import (
    depth_condition,
    gc_condition,
    same_rows,
)

TILTS = (0.5, 1.0, 1.5)  # shifts of the mean GC, in standard deviations
LIBRARIES = "from the libraries"
CENSORED = "with censored"
# Inside parts made like a shifted one: two are resampled, the labels of one are measured again.
ALIKE = ("like in prediction and GC", "GC matched", "others at its depth")
SENSITIVITIES = {"ε / 4": 0.25, "4 ε": 4.0}  # of the offset added to every mean
FAMILIES = twins.FAMILIES | {"": ""}


class Asked(NamedTuple):
    """A part that a network is judged on.

    Attributes
    ----------
    split, shift, condition : str
    arm, network : str
        Which network: its arm and condition.
    rows : (m,) int64 array
        Rows of the network's own data, or of the genotypes' elements where ``foreign``.
    target : (m,) float array
    group : (m,) int64 array
    gc : (m,) float array
    noise : (m,) float array or None
        Measured standard error of ``target``.
    data : str
        Value of the column ``data``.
    foreign : bool
    like : IndexArray or None
        Rows of the network's data; the part is then resampled to resemble them in predicted
        activity and GC content.
    """

    split: str
    shift: str
    condition: str
    arm: str
    network: str
    rows: IndexArray
    target: FloatArray
    group: IndexArray
    gc: FloatArray
    noise: FloatArray | None
    data: str
    foreign: bool = False
    like: IndexArray | None = None

    @property
    def keys(self) -> dict[str, Any]:
        """Columns of its rows but severity and what names the forecast."""
        return {
            "data": self.data,
            "split": self.split,
            "shift": self.shift,
            "family": FAMILIES[self.shift],
            "condition": self.condition,
        }


def is_choice(condition: str) -> bool:
    """Whether a part is there to show what a choice changes, such as the offset."""
    return CENSORED in condition or any(name in condition for name in SENSITIVITIES)


def reference_of(split: str, shift: str, condition: str) -> tuple[str, str, str]:
    """What a shifted part is compared with: split, shift and condition of another part."""
    if LIBRARIES in condition:
        return "test", "", LIBRARIES
    plain, _, choice = condition.partition(", ")
    if choice in SENSITIVITIES:
        return "test", "", choice
    if ", trained on" in condition:
        return "shifted", shift, plain
    if shift in ("batch", "assay", "species", "gc_high", "gc_low") or (
        shift == "placebo" and not condition.startswith("retina")
    ):
        return "inside", shift, condition
    if shift == "design":
        return "inside", shift, "genomic"
    return "test", "", ""


class Maker:
    """Makes parts of one data set."""

    def __init__(self, data: SequenceDataset, network: Network) -> None:
        self.data, self.network = data, network

    def __call__(
        self,
        split: str,
        shift: str,
        condition: str,
        rows: IndexArray,
        target: FloatArray | None = None,
        **more: Any,
    ) -> Asked:
        """A part of ``rows``; their own labels unless ``target`` (per row of the data) is given."""
        own = self.data
        # The measured error is that of the data's own labels.
        known = own.noise_std is not None and target is None
        noise = own.noise_std[rows] if known and own.noise_std is not None else None
        values = own.activity if target is None else target
        return Asked(
            split,
            shift,
            condition,
            self.network.arm,
            self.network.condition,
            rows,
            values[rows],
            own.group[rows],
            own.gc[rows],
            noise,
            own.name,
            **more,
        )


def retina_tilts(data: SequenceDataset, test: IndexArray, seed: int) -> Iterator[tuple[str, Any]]:
    """Tilted rows of the test part by condition; a tilt beyond its range is left out."""
    for tilt in TILTS:
        rng = np.random.default_rng([seed, round(1000 * tilt)])
        try:
            tilted = gc_tilt(data.gc[test], data.group[test], tilt, rng)
        except ValueError:  # few groups in a small part
            continue
        yield f"{data.name} {tilt:+g} SD", tilted


def retina_gc_rows(assays: Assays, split_seeds: Sequence[int]) -> pd.DataFrame:
    """Severity of the tilts and of the placebo on the first libraries, mean over splits."""
    data = assays.retina
    library = data.metadata["library"].to_numpy(str)
    rows = []
    for seed in split_seeds:
        every = retina_split(data.group, library, assays.first, seed)["test"]
        test = every[np.isin(library[every], assays.first)]
        rows.append({"shift": "placebo", "condition": data.name, "severity": 0.0, "n": len(test)})
        rows += [
            {
                "shift": "gc_tilt",
                "condition": condition,
                "severity": tilted.shift_sd,
                "n": len(tilted.rows),
            }
            for condition, tilted in retina_tilts(data, test, seed)
        ]
    table = pd.DataFrame(rows)
    return table.groupby(["shift", "condition"], sort=False).mean().reset_index()


def retina_parts(
    assays: Assays, network: Network, depths: Depths, shallow: Mapping[str, FloatArray]
) -> Iterator[Asked]:
    """Parts of the network on the first libraries.

    Parameters
    ----------
    assays : Assays
    network : Network
    depths : mapping of (factor, side) to (n,) array
        Labels at lower depths; NaN where none is left.
    shallow : mapping of library to (n,) array
        Labels of the other libraries at the depth of a noisy one.
    """
    data, split = assays.retina, network.split
    make = Maker(data, network)
    library = data.metadata["library"].to_numpy(str)
    design = data.metadata["design"].to_numpy(str)
    every = split["test"]
    test = every[np.isin(library[every], assays.first)]
    yield make("test", "", "", test)
    for kind in sorted(set(design[test]) - {"genomic"}):
        yield make("matched", "design", kind, test[design[test] == kind])
    yield make("matched", "design", "genomic", test[design[test] == "genomic"])
    for (factor, side), activity in depths.items():
        left = test[np.isfinite(activity[test])]
        yield make("shifted", "depth", depth_condition(factor, side), left, activity)
    for name in assays.noisy:
        yield make("shifted", "noise", name, every[library[every] == name])
        left = every[np.isfinite(shallow[name][every])]
        yield make("inside", "noise", f"{name}, {ALIKE[2]}", left, shallow[name])
    for condition, tilted in retina_tilts(data, test, split.seed):
        yield make("shifted", "gc_tilt", condition, test[tilted.rows])
    groups = np.unique(data.group[test])
    half = np.random.default_rng([split.seed, 1]).permutation(groups)[: len(groups) // 2]
    yield make("shifted", "placebo", data.name, test[np.isin(data.group[test], half)])
    left_out = batch_library(assays.first, split.seed)
    yield make("matched", "batch", left_out, test[library[test] == left_out])


def variant_parts(assays: Assays, network: Network, depths: Depths) -> Iterator[Asked]:
    """Parts of the networks on the libraries that differ from the main one in one thing."""
    data, arm = assays.retina, network.arm
    make = Maker(data, network)
    library = data.metadata["library"].to_numpy(str)
    design = data.metadata["design"].to_numpy(str)
    every = network.split["test"]
    test = every[np.isin(library[every], assays.first)]
    if arm in ("origin", "weighted"):
        names = {"origin": "groups by origin", "weighted": "weighted by noise"}
        yield make("test", "", names[arm], test)._replace(group=network.data.group[test])
    elif arm == "batch":
        left, name = test[library[test] == network.condition], network.condition
        inside = test[library[test] != network.condition]
        yield make("inside", "batch", name, inside)
        yield make("inside", "batch", f"{name}, {ALIKE[0]}", inside, like=left)
        yield make("shifted", "batch", name, left)
    elif arm == "design":
        yield make("inside", "design", "genomic", test[design[test] == "genomic"])
        for kind in sorted(set(design[test]) - {"genomic"}):
            yield make("shifted", "design", kind, test[design[test] == kind])
    elif arm == "depth":
        activity = depths[TRAINED_FACTOR, "joint"]
        rows = test[np.isfinite(activity[test])]
        condition = depth_condition(TRAINED_FACTOR, "joint")
        yield make("matched", "depth", condition, rows, activity)
    elif arm == "noise":
        yield make(
            "matched", "noise", network.condition, every[library[every] == network.condition]
        )


def plant_parts(assays: Assays, network: Network) -> Iterator[Asked]:
    """Parts of a tissue's network: shared promoters under both tissues' labels."""
    data, tissue = network.data, network.condition
    (other_name,) = (name for name in assays.plant if name != tissue)
    other = assays.plant[other_name]
    rows = np.flatnonzero(shared_rows(data, other))
    theirs = np.full(len(data), np.nan)
    theirs[rows] = other.activity[same_rows(data, other, rows)]
    make = Maker(data, network)
    yield make("test", "", "without shared promoters", network.split["test"])
    yield make("inside", "assay", f"{tissue} to {other_name}", rows)
    yield make("shifted", "assay", f"{tissue} to {other_name}", rows, theirs)
    yield make("matched", "assay", f"{other_name} to {tissue}", rows)


def gc_parts(network: Network, arm: Arm) -> Iterator[Asked]:
    """Parts of an arm of notebook 02; a held-out species also beside others of its GC content."""
    make = Maker(network.data, network)
    data = network.data
    for part in arm.parts:
        keys: dict[str, Any] = dict(part.keys)
        condition = gc_condition(data.name, keys) if keys["shift"] else ""
        yield make(keys["split"], keys["shift"], condition, part.rows)
        if keys["shift"] == "species" and keys["split"] == "shifted":
            like = _like_in_gc(data, arm.split["test"], part.rows, arm.split.seed)
            if like is not None:
                yield make("inside", "species", f"{condition}, {ALIKE[1]}", like)


def _like_in_gc(
    data: SequenceDataset, rows: IndexArray, like: IndexArray, seed: int
) -> IndexArray | None:
    """``rows`` tilted to the mean GC of ``like``; None where their range does not reach it."""
    gap = (data.gc[like].mean() - data.gc[rows].mean()) / data.gc[rows].std()
    try:
        tilted = gc_tilt(data.gc[rows], data.group[rows], gap, np.random.default_rng(seed))
    except ValueError:
        return None
    return rows[tilted.rows]

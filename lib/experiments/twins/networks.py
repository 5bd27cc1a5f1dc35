"""What is trained on the real assays, and what each network is asked about; nothing is fitted here.

In: :class:`lib.experiments.twins.assays.Assays`. Out: :class:`Network` objects.

Arms: ``retina`` (libraries to train on), ``batch`` (without one library), ``design`` (genomic
elements alone), ``genotype`` (one genotype on one promoter), ``plant`` (one tissue without the
promoters that both measured), ``gc`` (those of notebook 02).

A part's ``split`` is ``test`` in distribution, ``inside`` for what a shifted part is compared with
where that is not the test part, ``shifted`` for the shift and ``matched`` for the same elements and
labels judged by a network trained on the shifted law.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import BoolArray, FloatArray, IndexArray
from lib.assays.genotypes import GenotypeAssay
from lib.data.dataset import SequenceDataset
from lib.data.splits import Split, gc_tilt, group_split, leave_one_out_split
from lib.experiments.assays import AssayArm, Design
from lib.experiments.twins.assays import HOME, Assays, law_keys, partners
from lib.experiments.twins.pairs import controls, law_pair
from lib.statistics.paired import PairedAssay

MODEL = "cnn"
ARMS = ("retina", "batch", "design", "genotype", "plant", "gc")
GC_ARMS = ("group", "tilt", "tail", "placebo", "species")
TILTS = (0.5, 1.0, 1.5)  # shifts of the mean GC, in standard deviations
FAMILIES = {
    **dict.fromkeys(("genotype", "assay"), "concept"),
    **dict.fromkeys(("promoter", "batch", "depth", "noise"), "technical"),
    **dict.fromkeys(("species", "design", "gc_high", "gc_low", "gc_tilt"), "covariate"),
    **dict.fromkeys(("", "placebo"), ""),
}
SENSITIVITIES = {"ε / 4": 0.25, "4 ε": 4.0}  # of the offset added to every mean


class RealCondition(NamedTuple):
    """The column ``condition``: what differs from home, and by which choice it was looked at."""

    name: str
    choice: str = ""

    def __str__(self) -> str:
        return ", ".join(filter(None, self))

    @classmethod
    def parse(cls, text: str) -> "RealCondition":
        """The condition of a result row."""
        name, _, choice = text.rpartition(", ")
        return cls(name, choice) if choice in SENSITIVITIES else cls(text)

    def reference(self, shift: str) -> tuple[str, str, str]:
        """Split, shift and condition of the part that a shifted one is compared with."""
        held_out = shift in ("batch", "assay", "species", "gc_high", "gc_low")
        if held_out or (shift == "placebo" and not self.name.startswith("retina")):
            return "inside", shift, self.name
        return ("inside", shift, "genomic") if shift == "design" else ("test", "", self.choice)


class Asked(NamedTuple):
    """A part that a network is judged on.

    ``rows`` are of the network's own data; ``target``, ``group`` and ``noise`` (measured standard
    error of ``target``, if known) belong to them. Of a genotype or promoter ``pair`` is the old
    condition beside the new one, with its rows in the network's data; ``severity`` is known of
    parts made by GC content.
    """

    split: str
    shift: str
    condition: str
    data: str
    rows: IndexArray
    target: FloatArray
    group: IndexArray
    noise: FloatArray | None
    pair: tuple[PairedAssay, IndexArray] | None = None
    severity: float = np.nan

    @property
    def keys(self) -> dict[str, Any]:
        """Columns of its rows but what names the forecast."""
        names = {"data": self.data, "split": self.split, "shift": self.shift}
        more = {"condition": self.condition, "severity": self.severity}
        return names | {"family": FAMILIES[self.shift]} | more

    def table(self, mean: FloatArray, std: FloatArray) -> pd.DataFrame:
        """A forecast of the network's data at its rows, beside its labels."""
        forecast = {"mean": mean[self.rows], "std": std[self.rows]}
        return pd.DataFrame({"target": self.target, **forecast, "group": self.group})


def ask(
    data: SequenceDataset,
    split: str,
    shift: str,
    condition: str,
    rows: IndexArray,
    target: FloatArray | None = None,
    **more: Any,
) -> Asked:
    """A part of ``rows``; their own labels unless ``target`` (per row of the data) is given."""
    # The measured error is that of the data's own labels.
    noise = data.noise_std if target is None else None
    labels = data.activity if target is None else target
    given = {"noise": None if noise is None else noise[rows]} | more
    own = (data.name, rows, labels[rows], data.group[rows])
    return Asked(split, shift, condition, *own, **given)


@dataclass(frozen=True, eq=False)
class Network(AssayArm):
    """Networks to fit on one split: which of its arm (library, law, tissue), and what is asked."""

    condition: str
    asked: tuple[Asked, ...]

    @property
    def main(self) -> bool:
        """Whether it gets the full ensemble."""
        return self.kind == "retina"


def restricted(split: Split, name: str, chosen: BoolArray) -> Split:
    """``split`` with only the chosen rows in the parts that are trained or calibrated on."""
    own = {
        part: rows if part == "test" else rows[chosen[rows]] for part, rows in split.parts.items()
    }
    return Split(name, split.seed, own)


def _retina_networks(assays: Assays, arms: Sequence[str], seed: int) -> Iterator[Network]:
    data, table = assays.retina, assays.retina.metadata
    library, design = table["library"].to_numpy(str), table["design"].to_numpy(str)
    split = restricted(group_split(data.group, seed), "retina", assays.own)
    test = split["test"][assays.own[split["test"]]]
    kinds = {kind: test[design[test] == kind] for kind in sorted(set(design[test]))}
    left = assays.first[seed % len(assays.first)]
    away, home = test[library[test] == left], test[library[test] != left]
    if "retina" in arms:
        asked = [
            ask(data, "test", "", "", test),
            ask(data, "matched", "batch", left, away),
            *(ask(data, "matched", "design", *part) for part in kinds.items()),
            *_remeasured(assays, split["test"]),
            *_tilted(data, test, seed),
        ]
        yield Network(data, split, (), "retina", "", tuple(asked))
    if "batch" in arms:
        apart = restricted(split, f"without_library_{left}", library != left)
        inside = ask(data, "inside", "batch", left, home)
        shifted = ask(data, "shifted", "batch", left, away)
        yield Network(data, apart, (), "batch", left, (inside, shifted))
    if "design" in arms:
        asked = [
            ask(data, "inside" if kind == "genomic" else "shifted", "design", kind, rows)
            for kind, rows in kinds.items()
        ]
        apart = restricted(split, "genomic", design == "genomic")
        yield Network(data, apart, (), "design", "", tuple(asked))


def _remeasured(assays: Assays, test: IndexArray) -> Iterator[Asked]:
    """The test part at lower depths, and noisy libraries."""
    data = assays.retina
    for condition, activity in assays.depths.items():
        rows = test[assays.own[test] & np.isfinite(activity[test])]
        yield ask(data, "shifted", "depth", condition, rows, activity)
    for name in assays.noisy:
        rows = test[(data.metadata["library"] == name).to_numpy()[test]]
        yield ask(data, "shifted", "noise", name, rows)


def _tilted(data: SequenceDataset, test: IndexArray, seed: int) -> Iterator[Asked]:
    """The test part tilted by GC content, and a random half of it in place of a shift."""
    groups = np.unique(data.group[test])
    half = np.random.default_rng([seed, 1]).permutation(groups)[: len(groups) // 2]
    rows = test[np.isin(data.group[test], half)]
    yield ask(data, "shifted", "placebo", data.name, rows, severity=0.0)
    for tilt in TILTS:
        rng = np.random.default_rng([seed, round(1000 * tilt)])
        try:
            tilted = gc_tilt(data.gc[test], data.group[test], tilt, rng)
        except ValueError:  # beyond the range of the few groups of a small part
            continue
        rows, condition = test[tilted.rows], f"{data.name} {tilt:+g} SD"
        yield ask(data, "shifted", "gc_tilt", condition, rows, severity=tilted.shift_sd)


def _genotype_networks(assays: Assays, targets: Sequence[str], seed: int) -> Iterator[Network]:
    usable = assays.quantified
    data = {law: assays.dataset(law).take(usable) for law in assays.laws}
    split = group_split(data[HOME].group, seed)
    test = split["test"]
    paired = np.union1d(test, np.flatnonzero(controls(assays)[usable]))
    for law, own in data.items():
        if targets and " ".join(law) not in targets:
            continue
        asked = []
        for each in data if law == HOME else (law,):
            kind = "test" if each == HOME else "shifted" if law == HOME else "matched"
            error = data[each].metadata["se_barcodes"].to_numpy(float)
            more: dict[str, Any] = {"noise": error[test]}
            if kind == "shifted":
                more["pair"] = law_pair(assays, each, usable[paired]), paired
            asked.append(ask(own, kind, *law_keys(each), test, data[each].activity, **more))
        asked += _offsets(assays, own, test) if law == HOME else []
        yield Network(own, split, (), "genotype", " ".join(law), tuple(asked))


def at_offset(assay: GenotypeAssay, genotype: str, factor: float) -> FloatArray:
    """Activities of a genotype with another offset added to every mean, (n,).

    log2((m + cε) / (b + cε)) from log2((m + ε) / (b + ε)); b is the mean of BASAL.
    """
    column = assay.column(genotype)
    basal = assay.basal[column]
    mean = 2.0 ** assay.activity[:, column] * (basal + assay.epsilon) - assay.epsilon
    offset = factor * assay.epsilon
    return np.asarray(np.log2((np.maximum(mean, 0) + offset) / (basal + offset)))


def _offsets(assays: Assays, data: SequenceDataset, test: IndexArray) -> Iterator[Asked]:
    """The parts of the network on wild type again, with labels at other offsets.

    Of promoters other than rho wild type alone.
    """
    for choice, factor in SENSITIVITIES.items():
        for law in assays.laws:
            if set(HOME) & set(law):
                (shift, name), assay = law_keys(law), assays.genotypes[law[0]]
                target = at_offset(assay, law[1], factor)[assays.quantified]
                kind, condition = "shifted" if shift else "test", str(RealCondition(name, choice))
                yield ask(data, kind, shift, condition, test, target)


def _plant_networks(assays: Assays, seed: int) -> Iterator[Network]:
    for tissue, data, other_name, other in assays.tissues():
        partner = partners(data, other)
        rows = np.flatnonzero(partner >= 0)
        theirs = np.full(len(data), np.nan)
        theirs[rows] = other.activity[partner[rows]]
        labels = np.where(partner >= 0, "shared", "own")
        here, there = f"{tissue} to {other_name}", f"{other_name} to {tissue}"
        split = leave_one_out_split(labels, "shared", data.group, seed)
        asked = (
            ask(data, "test", "", "without shared promoters", split["test"]),
            ask(data, "inside", "assay", here, rows),
            ask(data, "shifted", "assay", here, rows, theirs),
            ask(data, "matched", "assay", there, rows),
        )
        yield Network(data, split, (), "plant", tissue, asked)


def networks(
    assays: Assays,
    arms: Sequence[str] = ARMS,
    split_seeds: Sequence[int] = (0,),
    targets: Sequence[str] = (),
) -> list[Network]:
    """The wanted networks on the retina libraries, the genotypes and the plant promoters.

    ``targets`` are networks of the arm ``genotype``, such as ``rho WT``; empty for all of them.
    """
    found: list[Network] = []
    for seed in split_seeds:
        if {"retina", "batch", "design"} & set(arms):
            found += _retina_networks(assays, arms, seed)
        if "genotype" in arms:
            found += _genotype_networks(assays, targets, seed)
        if "plant" in arms:
            found += _plant_networks(assays, seed)
    return found


def gc_networks(data: Sequence[SequenceDataset], design: Design) -> list[Network]:
    """The arms of notebook 02, for its shifts and species."""
    found = []
    for arm in design.build(data):
        asked = []
        for split, shift, condition, rows, severity in arm.parts:
            # Several assays share one shift here: the condition holds the assay.
            name = arm.data.name if shift else ""
            name += f" {condition}" if shift in ("gc_tilt", "species") else ""
            moved = 0.0 if shift == "placebo" else round(severity, 4)
            asked.append(ask(arm.data, split, shift, name, rows, severity=moved))
        found.append(Network(arm.data, arm.split, (), "gc", arm.split.name, tuple(asked)))
    return found

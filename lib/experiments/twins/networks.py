"""What is trained on the real assays, and what each network is asked about; nothing is fitted here.

In: :class:`lib.experiments.twins.assays.Assays`. Out: :class:`Network` objects.

Arms: ``retina`` (libraries to train on), ``batch`` (without one library), ``design`` (genomic
elements alone), ``genotype`` (one genotype on one promoter), ``plant`` (one tissue), ``gc`` (those
of notebook 02). All networks of an assay share its folds, the two tissues too: a network is asked
about the rows that its fold tests, under every law, so that each is tested once per law.

A part's ``split`` is ``test`` in distribution, ``inside`` for what a shifted part is compared with
where that is not the test part, ``shifted`` for the shift and ``matched`` for the same elements and
labels judged by a network trained on the shifted law. ``variants`` and ``variants_matched`` are the
effects of mutating all CRX sites of a peak, asked of a network of the wild type and of the law's.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import BoolArray, FloatArray, IndexArray
from lib.assays.genotypes import GenotypeAssay
from lib.data.dataset import SequenceDataset
from lib.data.splits import Split, gc_tilt
from lib.experiments.arms import AssayArm, Maker, makers
from lib.experiments.assays import Design
from lib.experiments.twins.assays import HOME, Assays, Law, law_keys, partners, related
from lib.experiments.twins.pairs import law_pair
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
    condition beside the new one, of the same rows; ``severity`` is known of parts made by GC
    content. With ``less``, as many rows, it is about the differences from these elements.
    """

    split: str
    shift: str
    condition: str
    data: str
    rows: IndexArray
    target: FloatArray
    group: IndexArray
    noise: FloatArray | None
    pair: PairedAssay | None = None
    severity: float = np.nan
    less: IndexArray | None = None

    @property
    def keys(self) -> dict[str, Any]:
        """Columns of its rows but what names the forecast."""
        names = {"data": self.data, "split": self.split, "shift": self.shift}
        more = {"condition": self.condition, "severity": self.severity}
        return names | {"family": FAMILIES[self.shift]} | more

    def table(self, forecast: FloatArray) -> pd.DataFrame:
        """A forecast ``(2, n)`` of the network's data at its rows, beside its labels.

        The errors of two elements are taken as independent.
        """
        mean, std = forecast[:, self.rows]
        if self.less is not None:
            other = forecast[:, self.less]
            mean, std = mean - other[0], np.hypot(std, other[1])
        given = {"target": self.target, "mean": mean, "std": std, "group": self.group}
        return pd.DataFrame(given)


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
    """Networks of all folds: which of its arm (library, law, tissue), and what is asked of them."""

    condition: str = ""
    asked: tuple[Asked, ...] = ()

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


def _network(
    make: Maker, kind: str, condition: str, asked: Iterable[Asked], chosen: BoolArray | None = None
) -> Network:
    """Networks on the folds of an assay, of what is trained on only the chosen rows."""
    arm, name = make.arm(kind), f"{kind} {condition}".strip()
    splits = arm.splits
    if chosen is not None:
        splits = tuple(restricted(split, name, chosen) for split in splits)
    return Network(arm.data, splits, arm.plan, kind, (), condition, tuple(asked))


def _retina_networks(
    assays: Assays, arms: Sequence[str], targets: Sequence[str], folds: int, seed: int
) -> Iterator[Network]:
    data, table, own = assays.retina, assays.retina.metadata, assays.own
    library, design = table["library"].to_numpy(str), table["design"].to_numpy(str)
    (make,) = makers([data], folds, seed)
    tested = make.folds.tested
    test = tested[own[tested]]
    by_library = {left: library[test] == left for left in assays.first}
    kinds = {kind: test[design[test] == kind] for kind in sorted(set(design[test]))}
    if "retina" in arms:
        asked = [
            ask(data, "test", "", "", test),
            *(ask(data, "matched", "batch", left, test[away]) for left, away in by_library.items()),
            *(ask(data, "matched", "design", *part) for part in kinds.items()),
            *_remeasured(assays, tested),
            *_tilted(data, test, seed),
        ]
        yield _network(make, "retina", "", asked, own)
    if "batch" in arms:
        for left, away in by_library.items():
            if targets and left not in targets:
                continue
            inside = ask(data, "inside", "batch", left, test[~away])
            shifted = ask(data, "shifted", "batch", left, test[away])
            yield _network(make, "batch", left, (inside, shifted), own & (library != left))
    if "design" in arms:
        asked = [
            ask(data, "inside" if kind == "genomic" else "shifted", "design", kind, rows)
            for kind, rows in kinds.items()
        ]
        yield _network(make, "design", "", asked, own & (design == "genomic"))


def _remeasured(assays: Assays, test: IndexArray) -> Iterator[Asked]:
    """What the folds test at lower depths, and in noisy libraries."""
    data = assays.retina
    for condition, activity in assays.depths.items():
        rows = test[assays.own[test] & np.isfinite(activity[test])]
        yield ask(data, "shifted", "depth", condition, rows, activity)
    for name in assays.noisy:
        rows = test[(data.metadata["library"] == name).to_numpy()[test]]
        yield ask(data, "shifted", "noise", name, rows)


def _tilted(data: SequenceDataset, test: IndexArray, seed: int) -> Iterator[Asked]:
    """What the folds test tilted by GC content, and a random half of it in place of a shift."""
    groups = np.unique(data.group[test])
    half = np.random.default_rng([seed, 1]).permutation(groups)[: len(groups) // 2]
    rows = test[np.isin(data.group[test], half)]
    yield ask(data, "shifted", "placebo", data.name, rows, severity=0.0)
    for tilt in TILTS:
        rng = np.random.default_rng([seed, round(1000 * tilt)])
        tilted = gc_tilt(data.gc[test], data.group[test], tilt, rng)
        rows, condition = test[tilted.rows], f"{data.name} {tilt:+g} SD"
        yield ask(data, "shifted", "gc_tilt", condition, rows, severity=tilted.shift_sd)


def _genotype_networks(
    assays: Assays, targets: Sequence[str], folds: int, seed: int
) -> Iterator[Network]:
    usable = assays.quantified
    data = {law: assays.dataset(law).take(usable) for law in assays.laws}
    (make,) = makers([data[HOME]], folds, seed)
    test = make.folds.tested
    for law, own in data.items():
        if targets and " ".join(law) not in targets:
            continue
        asked = []
        for each in data if law == HOME else (law,):
            kind = "test" if each == HOME else "shifted" if law == HOME else "matched"
            error = data[each].metadata["se_barcodes"].to_numpy(float)
            more: dict[str, Any] = {"noise": error[test]}
            if kind == "shifted":
                more["pair"] = law_pair(assays, each, usable[test], make.folds.fold[test])
            asked.append(ask(own, kind, *law_keys(each), test, data[each].activity, **more))
            asked.append(_variants(assays, data[each], each, make.folds.tested, law == HOME))
        asked += _offsets(assays, own, test) if law == HOME else []
        yield _network(make._replace(data=own), "genotype", " ".join(law), asked)


def _variants(
    assays: Assays, data: SequenceDataset, law: Law, tested: IndexArray, home: bool
) -> Asked:
    """What the sites of tested peaks do under a law: activity intact less mutated."""
    kept = np.isin(np.stack(assays.site_pairs), tested).all(axis=0)
    intact, mutated = (rows[kept] for rows in assays.site_pairs)
    error = data.metadata["se_barcodes"].to_numpy(float)
    effect = data.activity.copy()
    effect[intact] -= data.activity[mutated]
    noise = np.hypot(error[intact], error[mutated])
    split = "variants" if home else "variants_matched"
    return ask(data, split, *law_keys(law), intact, effect, noise=noise, less=mutated)


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


def _plant_networks(assays: Assays, folds: int, seed: int) -> Iterator[Network]:
    made = makers(related(*assays.plant.values()), folds, seed)
    for make, (tissue, _, other_name, other) in zip(made, assays.tissues(), strict=True):
        data, test = make.data, make.folds.tested
        partner = partners(data, other)
        rows = test[partner[test] >= 0]
        theirs = np.full(len(data), np.nan)
        theirs[rows] = other.activity[partner[rows]]
        here, there = f"{tissue} to {other_name}", f"{other_name} to {tissue}"
        asked = (
            ask(data, "test", "", "both tissues", test),
            ask(data, "inside", "assay", here, rows),
            ask(data, "shifted", "assay", here, rows, theirs),
            ask(data, "matched", "assay", there, rows),
        )
        yield _network(make, "plant", tissue, asked)


def networks(
    assays: Assays, arms: Sequence[str], folds: int, seed: int, targets: Sequence[str]
) -> list[Network]:
    """The wanted networks on the retina libraries, the genotypes and the plant promoters.

    ``targets`` are networks of the arms ``genotype``, such as ``rho WT``, and ``batch``, the
    library that is left out; empty for all of them.
    """
    found: list[Network] = []
    if {"retina", "batch", "design"} & set(arms):
        found += _retina_networks(assays, arms, targets, folds, seed)
    if "genotype" in arms:
        found += _genotype_networks(assays, targets, folds, seed)
    if "plant" in arms:
        found += _plant_networks(assays, folds, seed)
    if unknown := {*targets} - {*assays.first, *map(" ".join, assays.laws)}:
        raise ValueError(f"targets has {sorted(unknown)}; name libraries or laws, as rho WT")
    return found


def gc_networks(data: Sequence[SequenceDataset], design: Design) -> list[Network]:
    """The arms of notebook 02, for its shifts and species; large families are left to it."""
    found = []
    for arm in design.build(data):
        asked = []
        for part in arm.parts:
            if not part.sampled:
                continue
            # Several assays share one shift here: the condition holds the assay.
            name = arm.data.name if part.shift else ""
            name += f" {part.condition}" if part.shift in ("gc_tilt", "species") else ""
            moved = 0.0 if part.shift == "placebo" else round(part.severity, 4)
            asked.append(ask(arm.data, part.split, part.shift, name, part.rows, severity=moved))
        splits = tuple(split for split in arm.splits if split.name == "fold")
        found.append(Network(arm.data, splits, arm.plan, "gc", (), "", tuple(asked)))
    return found

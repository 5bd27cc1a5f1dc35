"""What is trained on the real assays, and what each network is asked about; nothing is fitted here.

In: :class:`lib.experiments.twins.assays.Assays`. Out: :class:`Network` objects.

Arms: ``retina`` (libraries to train on, groups joined), ``origin`` (the same, groups by origin
alone), ``batch`` (without one library), ``design`` (genomic elements alone), ``weighted`` (elements
weigh by their measured noise), ``depth`` (labels measured again from thinned counts), ``genotype``
(one genotype on one promoter), ``pooled`` (two), ``plant`` (one tissue without the
promoters that both measured), ``noise`` (a noisy library alone), ``gc`` (those of notebook 02).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray, IndexArray
from lib.assays.genotypes import GenotypeAssay
from lib.data.dataset import SequenceDataset
from lib.data.leakage import related_rows
from lib.data.splits import PARTS, Split, gc_tilt, group_split, leave_one_out_split
from lib.experiments.assays import AssayArm, Design
from lib.experiments.twins import parts
from lib.experiments.twins.assays import HOME, PROMOTER, Assays, depth_condition, partners
from lib.experiments.twins.parts import Asked, RealCondition, ask
from lib.training.config import FitConfig

MODEL = "cnn"
TRAINED_FACTOR = 1 / 16  # of the reads, in the network trained on thinned labels
POOLS = (("WT", "Rhom"), ("WT", "Ehet"))
ARMS = (
    *("retina", "origin", "batch", "design", "weighted", "depth"),
    *("genotype", "pooled", "plant", "noise", "gc"),
)
GC_ARMS = ("group", "tilt", "tail", "placebo", "species")
TILTS = (0.5, 1.0, 1.5)  # shifts of the mean GC, in standard deviations


@dataclass(frozen=True, eq=False)
class Network(AssayArm):
    """One network to fit: which of its arm (a library, a law, a tissue) and what it is asked."""

    condition: str
    config: FitConfig
    asked: tuple[Asked, ...]


# Arm, which of it, data, split, and what is asked.
_Planned = tuple[str, str, SequenceDataset, Split, Iterable[Asked]]


def restricted(split: Split, name: str, chosen: NDArray[np.bool_]) -> Split:
    """``split`` with only the chosen rows in the parts that are trained or calibrated on.

    Raises
    ------
    ValueError
        If a part is left empty.
    """
    own = {
        part: rows if part == "test" else rows[chosen[rows]] for part, rows in split.parts.items()
    }
    return Split(name, split.seed, own)


def noise_weight(noise_std: FloatArray) -> FloatArray:
    """Weight 1 / (σ² + median σ²), of mean 1: the median floors what replicates underestimate."""
    weight = 1 / (noise_std**2 + np.median(noise_std**2))
    return weight / weight.mean()


def _retina_networks(assays: Assays, split_seeds: Sequence[int]) -> Iterator[_Planned]:
    data, library, design = assays.retina, assays.library, assays.design
    origin = replace(data, group=data.metadata["group_origin"].to_numpy(np.int64))
    assert data.noise_std is not None
    weighted = replace(data, weight=noise_weight(data.noise_std))
    at_depth = depth_condition(TRAINED_FACTOR, "joint")
    measured = np.isfinite(assays.depths[at_depth])
    thin = replace(data, activity=np.where(measured, assays.depths[at_depth], data.activity))
    for seed in split_seeds:
        split = restricted(group_split(data.group, seed), "retina", assays.own)
        test = split["test"][assays.own[split["test"]]]
        kinds = {kind: test[design[test] == kind] for kind in sorted(set(design[test]))}
        left = assays.first[seed % len(assays.first)]
        away, home = test[library[test] == left], test[library[test] != left]
        asked: Iterable[Asked] = [
            ask(data, "test", "", "", test),
            ask(data, "matched", "batch", left, away),
            *(ask(data, "matched", "design", *part) for part in kinds.items()),
        ]
        yield "retina", "", data, split, chain(
            asked, _remeasured(assays, split), _tilted(data, test, seed), _foreign(assays, split)
        )  # fmt: skip
        apart = restricted(group_split(origin.group, seed), "retina", assays.own)
        rows = apart["test"][assays.own[apart["test"]]]
        yield "origin", "", origin, apart, [ask(origin, "test", "", "groups by origin", rows)]
        without = restricted(split, f"without_library_{left}", library != left)
        asked = [
            ask(data, "inside", "batch", left, home),
            ask(data, "inside", "batch", RealCondition(left, (parts.ALIKE[0],)), home, like=away),
            ask(data, "shifted", "batch", left, away),
        ]
        yield "batch", left, data, without, asked
        asked = [
            ask(data, "inside" if kind == "genomic" else "shifted", "design", kind, rows)
            for kind, rows in kinds.items()
        ]
        yield "design", "", data, restricted(split, "genomic", design == "genomic"), asked
        asked = [ask(weighted, "test", "", "weighted by noise", test)]
        yield "weighted", "", weighted, split, asked
        asked = [ask(data, "matched", "depth", at_depth, test[measured[test]], thin.activity)]
        yield "depth", "", thin, restricted(split, "thinned", measured), asked


def _remeasured(assays: Assays, split: Split) -> Iterator[Asked]:
    """The test part at lower depths, noisy libraries, and the others at their depth."""
    data, library, every = assays.retina, assays.library, split["test"]
    for condition, activity in assays.depths.items():
        rows = every[assays.own[every] & np.isfinite(activity[every])]
        yield ask(data, "shifted", "depth", condition, rows, activity)
    for name, activity in assays.shallow.items():
        yield ask(data, "shifted", "noise", name, every[library[every] == name])
        alike = RealCondition(name, (parts.ALIKE[2],))
        yield ask(data, "inside", "noise", alike, every[np.isfinite(activity[every])], activity)


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


def unrelated_elements(assays: Assays, split: Split) -> IndexArray:
    """Elements of the genotypes without a relative among those a split of the retina shows.

    Censored ones are among them. Training, validation and calibration part all count.
    """
    assay, data = assays.genotypes[PROMOTER], assays.retina
    seen = np.concatenate([split[part] for part in ("train", "validation", "calibration")])
    parents = data.metadata["origin"].to_numpy(str)[seen]
    own = assay.metadata["peak"].to_numpy(str)
    return np.flatnonzero(~related_rows(assay.codes, own, data.codes[seen], parents))


def _foreign(assays: Assays, split: Split) -> Iterator[Asked]:
    """The genotypes' elements for a network on the libraries: another experiment, other labels."""
    every = unrelated_elements(assays, split)
    rows = np.intersect1d(every, assays.quantified)
    for law in assays.shown_laws:
        (shift, name), data = law.keys, assays.dataset(law)
        error = data.metadata["se_barcodes"].to_numpy(float)[rows]
        kind, own = "shifted" if shift else "test", RealCondition(name, (parts.LIBRARIES,))
        yield ask(data, kind, shift, own, rows, noise=error, foreign=True)
        if shift:  # the error is unknown where censored
            own = RealCondition(name, (parts.CENSORED, parts.LIBRARIES))
            yield ask(data, kind, shift, own, every, foreign=True)


def _genotype_networks(assays: Assays, split_seeds: Sequence[int]) -> Iterator[_Planned]:
    data = {law: assays.dataset(law).take(assays.quantified) for law in assays.laws}
    error = {law: own.metadata["se_barcodes"].to_numpy(float) for law, own in data.items()}
    for law, own in data.items():
        for seed in split_seeds:
            split = group_split(own.group, seed)
            test, away = split["test"], "shifted" if law == HOME else "matched"
            asked = [
                ask(own, "test" if each == HOME else away, *each.keys, test, data[each].activity,
                    noise=error[each][test])
                for each in (assays.laws if law == HOME else [law])
            ]  # fmt: skip
            asked += _offsets(assays, own, test) if law == HOME else []
            yield "genotype", law.name, own, split, asked
    by_name = {law.genotype: law for law in data if law.promoter == PROMOTER}
    for pool in POOLS:
        name, members = " + ".join(pool), [data[by_name[genotype]] for genotype in pool]
        both = replace(
            members[0],
            codes=np.concatenate([each.codes for each in members]),
            activity=np.concatenate([each.activity for each in members]),
            group=np.concatenate([each.group for each in members]),
            metadata=members[0].metadata.iloc[:0, :0],
        )
        for seed in split_seeds:
            alone = group_split(members[0].group, seed)
            twice = {part: np.append(alone[part], alone[part] + len(members[0])) for part in PARTS}
            test = alone["test"]
            mark = (parts.TRAINED_ON + name,)
            asked = [
                ask(both, "shifted", "genotype", RealCondition(genotype, mark), test,
                    data[law].activity, noise=error[law][test])
                for genotype, law in by_name.items() if genotype not in pool
            ]  # fmt: skip
            yield "pooled", name, both, Split("pooled", seed, twice), asked


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
    """The parts of the network on wild type again, with labels at other offsets."""
    for choice, factor in parts.SENSITIVITIES.items():
        for law in assays.shown_laws:
            (shift, name), assay = law.keys, assays.genotypes[law.promoter]
            target = at_offset(assay, law.genotype, factor)[assays.quantified]
            split, own = "shifted" if shift else "test", RealCondition(name, (choice,))
            yield ask(data, split, shift, own, test, target)


def _plant_networks(assays: Assays, split_seeds: Sequence[int]) -> Iterator[_Planned]:
    for tissue, data, other_name, other in assays.tissues():
        partner = partners(data, other)
        rows = np.flatnonzero(partner >= 0)
        theirs = np.full(len(data), np.nan)
        theirs[rows] = other.activity[partner[rows]]
        labels = np.where(partner >= 0, "shared", "own")
        here, there = f"{tissue} to {other_name}", f"{other_name} to {tissue}"
        for seed in split_seeds:
            split = leave_one_out_split(labels, "shared", data.group, seed)
            asked = [
                ask(data, "test", "", "without shared promoters", split["test"]),
                ask(data, "inside", "assay", here, rows),
                ask(data, "shifted", "assay", here, rows, theirs),
                ask(data, "matched", "assay", there, rows),
            ]
            yield "plant", tissue, data, split, asked


def _noisy_networks(assays: Assays, split_seeds: Sequence[int]) -> Iterator[_Planned]:
    data, library = assays.retina, assays.library
    for seed in split_seeds:
        split = group_split(data.group, seed)
        for name in assays.noisy:
            alone = restricted(split, f"library_{name}", library == name)
            rows = split["test"][library[split["test"]] == name]
            yield "noise", name, data, alone, [ask(data, "matched", "noise", name, rows)]


def networks(
    assays: Assays,
    fit: FitConfig,
    arms: Sequence[str] = ARMS,
    split_seeds: Sequence[int] = (0,),
    seeds: Sequence[int] = (0,),
    targets: Sequence[str] = (),
) -> list[Network]:
    """The wanted networks on the retina libraries, the genotypes and the plant promoters.

    ``seeds`` are members of the retina ensemble, ``targets`` networks of the arm ``genotype``, such
    as ``rho WT``; empty for all of them.
    """
    found = []
    for make in (_retina_networks, _genotype_networks, _plant_networks, _noisy_networks):
        for kind, condition, data, split, asked in make(assays, split_seeds):
            unwanted = kind == "genotype" and targets and condition not in targets
            if kind not in arms or unwanted:
                continue
            whole = tuple(asked)
            for seed in seeds if kind == "retina" else (0,):
                own = {"seed": seed, "reverse_complement": not data.oriented}
                config = fit.model_copy(update=own)
                found.append(Network(data, split, (), kind, condition, config, whole))
    return found


def gc_networks(data: Sequence[SequenceDataset], design: Design) -> list[Network]:
    """The first network of each arm of notebook 02, fitted as there, for its shifts and species."""
    return [
        Network(arm.data, arm.split, (), "gc", arm.split.name, design.settings(arm)[0],
                tuple(_gc_parts(arm)))
        for arm in design.build(data)
    ]  # fmt: skip


def _gc_parts(arm: AssayArm) -> Iterator[Asked]:
    """Parts of an arm of notebook 02; a held-out species also beside others of its GC content."""
    data, rows = arm.data, arm.split["test"]
    for part in arm.parts:
        # Several assays share one shift here: the condition holds the assay.
        name = f"{data.name} {part.condition}" if part.shift in ("gc_tilt", "species") else ""
        name = name or (data.name if part.shift else "")
        severity = 0.0 if part.shift == "placebo" else round(part.severity, 4)
        yield ask(data, part.split, part.shift, name, part.rows, severity=severity)
        if (part.split, part.shift) == ("shifted", "species"):
            gap = (data.gc[part.rows].mean() - data.gc[rows].mean()) / data.gc[rows].std()
            rng = np.random.default_rng(arm.split.seed)
            try:
                tilted = gc_tilt(data.gc[rows], data.group[rows], gap, rng)
            except ValueError:  # their range does not reach it
                continue
            alike = RealCondition(name, (parts.ALIKE[1],))
            yield ask(data, "inside", "species", alike, rows[tilted.rows])

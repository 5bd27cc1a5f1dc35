"""The real assays of the shifts in assay and program, the same at other depths, and a stand-in.

Out: :class:`Assays`: the retina libraries with their barcode counts, the genotypes on both
promoters and the plant promoters in both tissues. In the simulated stand-in a batch is a gain and
an offset, a genotype a rewired program, a promoter another program and a noisy library a shallow
one: it shows that the code runs and says nothing about any real assay.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from lib.arrays import BoolArray, FloatArray, IndexArray, group_codes
from lib.assays import genotypes, retina
from lib.assays.counts import BarcodeCounts, Thresholds, activities, passing, thin
from lib.assays.genotypes import GENOTYPES, PROMOTERS, GenotypeAssay
from lib.assays.tables import TISSUES, load_plant
from lib.data.dataset import SequenceDataset
from lib.data.leakage import linked
from lib.experiments.assays import some_groups
from lib.simulator import Shift, World, draw_world, simulate

DEPTHS = (4, 16, 64)  # a thinned library keeps one in so many reads
SIDES = {"joint": (1, 1), "dna": (1, 0), "rna": (0, 1)}  # whether DNA and RNA are thinned
NOISY = ("9a", "9b")
NEEDED = ("retina_libraries", "retina_genotypes", "plant_leaf", "plant_proto")

# Of the stand-in; of a library depth, gain and offset.
LIBRARIES = {"1": (1500.0, 1.0, 0.0), "2": (800.0, 0.9, 0.4), "9a": (120.0, 1.0, 0.0)}
REWIRING = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)  # dial of each genotype's program
DESIGNS = ("genomic", "mutant", "designed")
BARCODES, BASAL = 2, 6
SHARED = 5  # one in so many plant promoters is measured in both tissues
STEADY = Thresholds(max_rna_cv=2.0)


Law = tuple[str, str]  # promoter and genotype: what labels of the genotypes' elements are of
HOME: Law = ("rho", "WT")  # what the network of the genotype shift is trained on


def law_keys(law: Law) -> tuple[str, str]:
    """Shift and condition for a network of wild type on rho; both empty for its own law."""
    promoter, genotype = law
    if promoter == HOME[0]:
        return ("", "") if law == HOME else ("genotype", genotype)
    return "promoter", promoter if genotype == HOME[1] else " ".join(law)


@dataclass(frozen=True, eq=False)
class Assays:
    """``retina`` has a row per element in a library; ``genotypes`` hold equal elements each.

    ``fallback`` are labels that are the reference where the basal promoter was measured too low,
    ``quantified`` elements with a mean above 0 in every genotype on every promoter, ``first`` the
    libraries to train on.
    """

    retina: SequenceDataset
    counts: Mapping[str, BarcodeCounts]
    thresholds: Thresholds
    fallback: tuple[str, ...]
    genotypes: Mapping[str, GenotypeAssay]
    quantified: IndexArray
    plant: Mapping[str, SequenceDataset]
    first: tuple[str, ...]
    noisy: tuple[str, ...]
    standin: bool

    @cached_property
    def site_pairs(self) -> tuple[IndexArray, IndexArray]:
        """Peaks intact and with all CRX sites mutated, as places in ``quantified``."""
        first = self.genotypes[HOME[0]]
        place = np.full(len(first.codes), -1)
        place[self.quantified] = np.arange(len(self.quantified))
        intact, mutated = (place[each] for each in first.site_pairs())
        both = (intact >= 0) & (mutated >= 0)
        return intact[both], mutated[both]

    @cached_property
    def labels(self) -> pd.DataFrame:
        """What each library measured, controls and chimeras too, but for the reference."""
        frames = [
            activities(counts, self.thresholds, self.fallback).frame.assign(library=name)
            for name, counts in self.counts.items()
        ]
        table = pd.concat(frames, ignore_index=True)
        table = table[~table["label"].str.startswith(self.thresholds.basal_key)]
        return table.assign(origin=table["label"].map(retina.origin))

    @cached_property
    def depths(self) -> dict[str, FloatArray]:
        """Labels of the retina rows at lower depths of both sides or either, by condition; (n,)."""
        rows = pd.MultiIndex.from_frame(self.retina.metadata[["library", "label"]])
        found = {}
        for part, (side, thinner) in product(DEPTHS, SIDES.items()):
            dna, rna = (1 / part if thin else 1.0 for thin in thinner)
            frames = []
            for index, library in enumerate(self.counts):
                rng = np.random.default_rng([0, index, part, *thinner])
                frames.append(thinned(self, library, (dna, rna), rng).assign(library=library))
            by = pd.concat(frames).set_index(["library", "label"])["activity"]
            found[f"1/{part} {side}"] = by.reindex(rows).to_numpy()
        return found

    @property
    def own(self) -> BoolArray:
        """Rows of ``retina`` in the libraries to train on."""
        return self.retina.metadata["library"].isin(self.first).to_numpy()

    @property
    def laws(self) -> list[Law]:
        """Every genotype on every promoter, the home law first."""
        return [(p, g) for p, assay in self.genotypes.items() for g in assay.genotypes]

    def dataset(self, law: Law) -> SequenceDataset:
        """All elements with the labels of a law."""
        return self.genotypes[law[0]].dataset(law[1])

    def tissues(self) -> Iterator[tuple[str, SequenceDataset, str, SequenceDataset]]:
        """Each tissue with the other one."""
        (first, one), (second, two) = self.plant.items()
        yield from ((first, one, second, two), (second, two, first, one))

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of what the fits read, for the manifest."""
        read = {data.name: data for data in (self.retina, *self.plant.values())}
        read |= {f"retina_genotypes {' '.join(law)}": self.dataset(law) for law in self.laws}
        return {name: data.fingerprint for name, data in read.items()}


def load_real(libraries: Sequence[str] = retina.LIBRARIES) -> Assays:
    """Read the real assays; of the retina libraries only some, where that is enough."""
    measured = {name: genotypes.load(name) for name in PROMOTERS}
    everywhere = np.all([assay.quantified for assay in measured.values()], axis=0)
    return Assays(
        retina=retina.load(libraries),
        counts={library: retina.library_counts(library) for library in libraries},
        thresholds=retina.default_thresholds(),
        fallback=retina.scrambled(),
        genotypes=measured,
        quantified=np.flatnonzero(everywhere),
        plant={tissue: load_plant(tissue) for tissue in TISSUES},
        first=tuple(name for name in libraries if name in retina.FIRST_LIBRARIES),
        noisy=tuple(name for name in libraries if name in NOISY),
        standin=False,
    )


def subsample(assays: Assays, most: int) -> Assays:
    """Whole leak groups at random, at most about ``most`` elements of each assay.

    Promoters that both tissues measured all stay: they are what the tissues are compared on.
    """
    chosen = some_groups(assays.genotypes[HOME[0]].group, most)
    quantified, plant = assays.quantified[chosen[assays.quantified]], {}
    for name, data, _, other in assays.tissues():
        kept = some_groups(data.group, most) | (partners(data, other) >= 0)
        plant[name] = data.take(np.flatnonzero(kept))
    few = assays.retina.take(np.flatnonzero(some_groups(assays.retina.group, most)))
    return replace(assays, retina=few, quantified=quantified, plant=plant)


def partners(data: SequenceDataset, other: SequenceDataset) -> IndexArray:
    """Row of ``other`` that holds each row's sequence, (n,); -1 where none does."""
    where = {row.tobytes(): index for index, row in enumerate(other.codes)}
    return np.array([where.get(row.tobytes(), -1) for row in data.codes], np.int64)


def related(
    one: SequenceDataset, other: SequenceDataset
) -> tuple[SequenceDataset, SequenceDataset]:
    """Both with joint leak groups: groups that share a sequence are one."""
    first, second = group_codes(one.group), group_codes(other.group)
    partner = partners(one, other)
    shared, place = partner >= 0, first.n_groups + second.codes
    size = first.n_groups + second.n_groups
    joint = linked(first.codes[shared], place[partner[shared]], size)
    return replace(one, group=joint[first.codes]), replace(other, group=joint[place])


def thinned(
    assays: Assays, library: str, fractions: tuple[float, float], rng: np.random.Generator
) -> pd.DataFrame:
    """Activities of a library as if only ``fractions`` of its DNA and RNA reads had been taken.

    Barcodes are chosen at full depth, so that what changes is depth and not the choice; the DNA
    threshold falls in proportion.
    """
    counts, thresholds, fallback = assays.counts[library], assays.thresholds, assays.fallback
    chosen = counts.take(passing(counts, thresholds)[1])
    # The reference stays what it is at full depth: a change of it would move all elements alike.
    basal = activities(counts, thresholds, fallback).reference == "basal"
    fewest = max(1, round(thresholds.min_dna_counts * fractions[0]))
    least: Any = {"max_rna_cv": np.inf, "min_basal_median": 0.0 if basal else np.inf}
    lowered = replace(thresholds, min_dna_counts=fewest, **least)
    return activities(thin(chosen, *fractions, rng), lowered, fallback).frame


def standin_assays(n: int) -> Assays:
    """Simulated assays of about ``n`` elements each; below 300 parts are too small to judge."""
    world = draw_world(0)
    libraries, counts = _libraries(world, n)
    return Assays(
        retina=libraries,
        counts=counts,
        thresholds=STEADY,
        fallback=(),
        genotypes={name: _genotypes(world, n, place) for place, name in enumerate(PROMOTERS)},
        quantified=np.arange(n),
        plant=_tissues(world, n),
        first=("1", "2"),
        noisy=("9a",),
        standin=True,
    )


def _counts(library: str, depth: float, label: pd.Index, activity: FloatArray) -> BarcodeCounts:
    rng = np.random.default_rng([ord(library[0]), 5])
    names = np.repeat(np.array([*label, *["BASAL"] * BASAL], object), BARCODES)
    level = np.repeat(np.append(activity, np.zeros(BASAL)), BARCODES)
    dna = rng.poisson(depth * rng.lognormal(0, 0.3, len(names))) + 60
    spread = rng.lognormal(0, 0.15, (len(names), 3))
    mean = (0.2 * dna * 2.0**level)[:, None]
    return BarcodeCounts(names, dna, rng.poisson(mean * spread))


def _libraries(world: World, n: int) -> tuple[SequenceDataset, dict[str, BarcodeCounts]]:
    data = simulate(world, n, 0, name="retina_libraries")
    assert data.truth is not None
    label = pd.Index([f"chr1-{index}-{index + 200}_CPPP_WT" for index in range(n)])
    rng = np.random.default_rng([0, 6])
    frames, counts = [], {}
    for library, (depth, gain, offset) in LIBRARIES.items():
        # A third of the elements stands in each pair of libraries.
        rows = np.flatnonzero(rng.random(n) < 0.6)
        activity = gain * data.truth.activity[rows] + offset
        counts[library] = _counts(library, depth, label[rows], activity)
        frame = activities(counts[library], STEADY).frame
        frames.append(frame[frame["label"] != "BASAL"].assign(library=library))
    table = pd.concat(frames, ignore_index=True)
    row = label.get_indexer(pd.Index(table["label"]))
    table["origin"] = table["label"].str.split("_").str[0]
    activity, noise = (table.pop(name).to_numpy(float) for name in ("activity", "noise_std"))
    table["design"] = np.array(DESIGNS)[row % len(DESIGNS)]
    own = data.codes[row], activity, row.astype(np.int64), noise
    return SequenceDataset("retina_libraries", *own, metadata=table), counts


def _genotypes(world: World, n: int, place: int) -> GenotypeAssay:
    kinds = np.array(["wildtype", "allCrxSites"])[np.arange(n) % 2]
    kinds[: max(12, n // 20)] = "scrambled"
    peak = np.array([f"peak{index // 2}" for index in range(n)], object)
    other = (Shift("cell_type", 0.5),) if place else ()
    samples = [
        simulate(world, n, 1, shift=(*other, Shift("effect_rewiring", dial))) for dial in REWIRING
    ]
    truths = [sample.truth for sample in samples if sample.truth is not None]
    error = np.stack([truth.std for truth in truths], axis=1)
    # Samples of one seed share their errors, measurements of two genotypes do not.
    noise = np.random.default_rng([0, 7, place]).normal(size=error.shape)
    return GenotypeAssay(
        genotypes=GENOTYPES,
        codes=samples[0].codes,
        activity=np.stack([truth.mean for truth in truths], axis=1) + error * noise,
        censored=np.zeros((n, len(GENOTYPES)), bool),
        se_barcodes=error,
        basal=np.ones(len(GENOTYPES)),
        group=np.arange(n) // 2,
        metadata=pd.DataFrame({"variant_type": kinds, "peak": peak}),
    )


def _tissues(world: World, n: int) -> dict[str, SequenceDataset]:
    leaf = simulate(world, n, 2, name="plant_leaf")
    proto = simulate(world, n, 2, shift=Shift("cell_type", 0.5), name="plant_proto")
    number = np.arange(n)
    found = {}
    for place, (tissue, data) in enumerate({"leaf": leaf, "proto": proto}.items()):
        rows = np.flatnonzero((number % SHARED == 0) | (number % 2 == place))
        found[tissue] = replace(data, truth=None, oriented=True, group=number).take(rows)
    return found

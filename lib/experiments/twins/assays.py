"""The real assays of the shifts in assay and program, and the same at other depths.

In: nothing but where the files lie. Out: :class:`Assays`: the retina libraries with their barcode
counts, the genotypes on both promoters and the plant promoters in both tissues.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib import assays as mpra
from lib.arrays import FloatArray, IndexArray
from lib.assays import genotypes, retina
from lib.assays.counts import BarcodeCounts, Thresholds, activities, passing, thin
from lib.assays.genotypes import GenotypeAssay
from lib.assays.sources import fetch
from lib.assays.tables import TISSUES, load_plant
from lib.data.dataset import SequenceDataset
from lib.motifs.pwm import PWM, read_meme

FACTORS = (1 / 4, 1 / 16, 1 / 64)  # of the reads that a thinned library keeps
SIDES = {"joint": (True, True), "dna": (True, False), "rna": (False, True)}
NOISY = ("9a", "9b")
MOTIFS_PATH = "Library_Details/photoreceptorAndEnrichedMotifs.meme"
NEEDED = ("retina_libraries", "retina_genotypes", "plant_leaf", "plant_proto")
PROMOTER, GENOTYPE = "rho", "WT"  # what the network of the genotype shift is trained on


class CellLaw(NamedTuple):
    """A genotype on a promoter: what labels of the genotypes' elements are of."""

    promoter: str
    genotype: str

    @property
    def name(self) -> str:
        """As the networks that are trained on it are called."""
        return f"{self.promoter} {self.genotype}"

    @property
    def keys(self) -> tuple[str, str]:
        """Shift and condition for a network of wild type on rho; both empty for its own law."""
        if self == HOME:
            return "", ""
        if self.promoter == PROMOTER:
            return "genotype", self.genotype
        return "promoter", self.promoter if self.genotype == GENOTYPE else self.name


HOME = CellLaw(PROMOTER, GENOTYPE)


@dataclass(frozen=True, eq=False)
class Assays:
    """``retina`` has a row per element in a library; ``genotypes`` hold equal elements each.

    ``fallback`` are labels that are the reference where the basal promoter was measured too low,
    ``motifs`` the factors at work in the retina, ``first`` the libraries to train on.
    """

    retina: SequenceDataset
    counts: Mapping[str, BarcodeCounts]
    thresholds: Thresholds
    fallback: tuple[str, ...]
    genotypes: Mapping[str, GenotypeAssay]
    plant: Mapping[str, SequenceDataset]
    motifs: tuple[PWM, ...]
    first: tuple[str, ...]
    noisy: tuple[str, ...]
    standin: bool

    @cached_property
    def labels(self) -> pd.DataFrame:
        """What each library measured, controls and chimeras too, but for the reference."""
        frames = [
            activities(counts, self.thresholds, self.fallback).frame.assign(library=name)
            for name, counts in self.counts.items()
        ]
        table = pd.concat(frames, ignore_index=True)
        table = table[~table["label"].str.startswith(self.thresholds.basal_key)]
        table["origin"] = table["label"].map(retina.origin)
        return table[["library", "label", "origin", "activity", "noise_std"]]

    @cached_property
    def depths(self) -> dict[str, FloatArray]:
        """Labels of the retina rows at lower depths of both sides or either, by condition; (n,)."""
        return {
            depth_condition(factor, side): activity_at_depth(self, factor, side)
            for factor in FACTORS
            for side in SIDES
        }

    @cached_property
    def shallow(self) -> dict[str, FloatArray]:
        """Labels of the retina rows at the depth of each noisy library; NaN in noisy ones."""
        return {name: _relabelled(self, _at_depth_of(self, name)) for name in self.noisy}

    @property
    def library(self) -> NDArray[np.str_]:
        """Of each row of ``retina``."""
        return self.retina.metadata["library"].to_numpy(str)

    @property
    def design(self) -> NDArray[np.str_]:
        """Kind of each row of ``retina``: genomic, mutant …"""
        return self.retina.metadata["design"].to_numpy(str)

    @property
    def own(self) -> NDArray[np.bool_]:
        """Rows of ``retina`` in the libraries to train on."""
        return np.isin(self.library, self.first)

    @property
    def laws(self) -> list[CellLaw]:
        """Every genotype on every promoter."""
        return [CellLaw(p, g) for p, assay in self.genotypes.items() for g in assay.genotypes]

    @property
    def shown_laws(self) -> list[CellLaw]:
        """Every genotype on rho, and wild type on the other promoters."""
        return [law for law in self.laws if law.promoter == PROMOTER or law.genotype == GENOTYPE]

    def law(self, shift: str, condition: str) -> CellLaw:
        """The law that a shift and condition name."""
        return next(law for law in self.laws if law.keys == (shift, condition))

    def dataset(self, law: CellLaw) -> SequenceDataset:
        """All elements with the labels of a law."""
        return self.genotypes[law.promoter].dataset(law.genotype)

    @property
    def quantified(self) -> IndexArray:
        """Elements with a mean above 0 in every genotype on every promoter."""
        every = np.stack([assay.quantified for assay in self.genotypes.values()])
        return np.flatnonzero(every.all(axis=0))

    def tissues(self) -> Iterator[tuple[str, SequenceDataset, str, SequenceDataset]]:
        """Each tissue with the other one."""
        (first, one), (second, two) = self.plant.items()
        yield from ((first, one, second, two), (second, two, first, one))

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of what the fits read, for the manifest."""
        read = {data.name: data for data in (self.retina, *self.plant.values())}
        read |= {f"retina_genotypes {law.name}": self.dataset(law) for law in self.laws}
        return {name: data.fingerprint for name, data in read.items()}


def available() -> bool:
    """Whether the files of all assays can be had."""
    return all(map(mpra.available, NEEDED))


def load_real(libraries: Sequence[str] = retina.LIBRARIES) -> Assays:
    """Read the real assays; of the retina libraries only some, where that is enough."""
    return Assays(
        retina=retina.load(libraries),
        counts={library: retina.library_counts(library) for library in libraries},
        thresholds=retina.default_thresholds(),
        fallback=retina.scrambled(),
        genotypes={name: genotypes.load(name) for name in genotypes.PROMOTERS},
        plant={tissue: load_plant(tissue) for tissue in TISSUES},
        motifs=read_meme(fetch("retina", MOTIFS_PATH)),
        first=tuple(name for name in libraries if name in retina.FIRST_LIBRARIES),
        noisy=tuple(name for name in libraries if name in NOISY),
        standin=False,
    )


def subsample(assays: Assays, most: int, seed: int = 0) -> Assays:
    """Whole leak groups at random, at most about ``most`` elements of each assay.

    Promoters that both tissues measured all stay: they are what the tissues are compared on.
    """
    rng = np.random.default_rng(seed)

    def some(group: IndexArray) -> NDArray[np.bool_]:
        labels, sizes = np.unique(group, return_counts=True)
        order = rng.permutation(len(labels))
        return np.isin(group, labels[order[np.cumsum(sizes[order]) <= most]])

    rows = np.flatnonzero(some(assays.genotypes[PROMOTER].group))
    columns = ("codes", "activity", "censored", "se_barcodes", "group")
    return replace(
        assays,
        retina=assays.retina.take(np.flatnonzero(some(assays.retina.group))),
        genotypes={
            name: replace(
                assay,
                metadata=assay.metadata.iloc[rows].reset_index(drop=True),
                **{column: getattr(assay, column)[rows] for column in columns},
            )
            for name, assay in assays.genotypes.items()
        },
        plant={
            name: data.take(np.flatnonzero(some(data.group) | (partners(data, other) >= 0)))
            for name, data, _, other in assays.tissues()
        },
    )


def partners(data: SequenceDataset, other: SequenceDataset) -> IndexArray:
    """Row of ``other`` that holds each row's sequence, (n,); -1 where none does."""
    where = {row.tobytes(): index for index, row in enumerate(other.codes)}
    return np.array([where.get(row.tobytes(), -1) for row in data.codes], np.int64)


def barcode_std(table: pd.DataFrame) -> FloatArray:
    """Standard error of log2 activity from the spread between barcodes, (n,); NaN of one alone.

    It holds what replicates of one barcode share, such as errors of its DNA count.
    """
    cv = table["barcode_cv"].to_numpy(float)
    return np.asarray(np.sqrt(np.log1p(cv**2 / table["n_barcodes"].to_numpy())) / np.log(2))


def thinned(
    counts: BarcodeCounts,
    thresholds: Thresholds,
    fractions: tuple[float, float],
    rng: np.random.Generator,
    fallback: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Activities as if only ``fractions`` of the DNA and RNA reads had been taken.

    Barcodes are chosen at full depth, so that what changes is depth and not the choice; the DNA
    threshold falls in proportion.
    """
    kept = passing(counts, thresholds)[1]
    chosen = counts.take(kept)
    # The reference stays what it is at full depth: a change of it would move all elements alike.
    basal = activities(counts, thresholds, fallback).reference == "basal"
    lowered = replace(
        thresholds,
        min_dna_counts=max(1, round(thresholds.min_dna_counts * fractions[0])),
        max_rna_cv=np.inf,
        min_basal_median=0.0 if basal else np.inf,
    )
    return activities(thin(chosen, *fractions, rng), lowered, fallback).frame


def _relabelled(assays: Assays, frames: Mapping[str, pd.DataFrame]) -> FloatArray:
    """Activity of every row of ``assays.retina`` in tables by library; NaN where none is left."""
    again = pd.concat([frame.assign(library=name) for name, frame in frames.items()])
    by = again.set_index(["library", "label"])["activity"]
    rows = pd.MultiIndex.from_frame(assays.retina.metadata[["library", "label"]])
    return by.reindex(rows).to_numpy()


def activity_at_depth(assays: Assays, factor: float, side: str) -> FloatArray:
    """Activity of every retina row with ``factor`` of the reads of one side, or both; (n,)."""
    on = SIDES[side]
    fractions = (factor if on[0] else 1.0, factor if on[1] else 1.0)
    frames = {}
    for index, (library, counts) in enumerate(assays.counts.items()):
        rng = np.random.default_rng([0, index, round(1 / factor), *map(int, on)])
        frames[library] = thinned(counts, assays.thresholds, fractions, rng, assays.fallback)
    return _relabelled(assays, frames)


def depth_condition(factor: float, side: str) -> str:
    """How a depth is called, such as ``1/16 joint``."""
    return f"1/{round(1 / factor)} {side}"


def _at_depth_of(assays: Assays, noisy: str) -> dict[str, pd.DataFrame]:
    """Activities of the other libraries, thinned to the depth per barcode of a noisy one."""
    # Median DNA and RNA counts of a kept barcode; RNA summed over replicates.
    depth = {}
    for name, counts in assays.counts.items():
        kept = passing(counts, assays.thresholds)[1]
        depth[name] = np.median(counts.dna[kept]), np.median(counts.rna[kept].sum(axis=1))
    frames = {}
    for index, (name, counts) in enumerate(assays.counts.items()):
        if name not in assays.noisy:
            dna, rna = (float(a / b) for a, b in zip(depth[noisy], depth[name], strict=True))
            fractions = min(1.0, dna), min(1.0, rna)
            rng = np.random.default_rng([0, index, len(noisy), ord(noisy[-1])])
            frames[name] = thinned(counts, assays.thresholds, fractions, rng, assays.fallback)
    return frames

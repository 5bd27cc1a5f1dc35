"""The real assays of the shifts in assay and program, and the same at other depths.

In: nothing but where the files lie. Out: :class:`Assays`: the retina libraries with their barcode
counts, the genotypes on both promoters and the plant promoters in both tissues.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib import assays as mpra
from lib.assays import genotypes, plant, retina
from lib.assays.counts import (
    BarcodeCounts,
    ElementActivities,
    Thresholds,
    activities,
    passing,
    thin,
)
from lib.assays.genotypes import GenotypeAssay
from lib.assays.sources import fetch
from lib.data.dataset import FloatArray, IndexArray, SequenceDataset
from lib.motifs.pwm import PWM, read_meme

FACTORS = (1 / 4, 1 / 16, 1 / 64)  # of the reads that a thinned library keeps
SIDES = {"joint": (True, True), "dna": (True, False), "rna": (False, True)}
NOISY = ("9a", "9b")
MOTIFS_PATH = "Library_Details/photoreceptorAndEnrichedMotifs.meme"
SCRAMBLED_PATH = "Data/Sequences/Fasta/scrambled.fasta"
NEEDED = ("retina_libraries", "retina_genotypes", "plant_leaf", "plant_proto")
Depths = Mapping[tuple[float, str], FloatArray]


class Assays(NamedTuple):
    """What the experiment measures shifts on.

    Attributes
    ----------
    retina : SequenceDataset
        Rows are elements in a library; ``metadata`` has ``label``, ``library``, ``design`` and
        ``group_origin``.
    counts : mapping of library to BarcodeCounts
    thresholds : Thresholds
        Which barcodes count.
    fallback : tuple of str
        Labels that are the reference where the basal promoter was measured too low.
    genotypes : mapping of promoter to GenotypeAssay
        The same elements in the same order.
    plant : mapping of tissue to SequenceDataset
    motifs : tuple of PWM
        Of the factors at work in the retina.
    first, noisy : tuples of str
        Libraries to train on, and the noisy ones.
    standin : bool
        Whether they are simulated.
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


def available() -> bool:
    """Whether the files of all assays can be had."""
    return all(map(mpra.available, NEEDED))


def _scrambled_labels() -> tuple[str, ...]:
    path = fetch("retina", SCRAMBLED_PATH)
    return tuple(retina.parse_fasta(path.read_text(encoding="utf-8"), str(path)))


def load_real(libraries: Sequence[str] = retina.LIBRARIES) -> Assays:
    """Read the real assays; of the retina libraries only some, where that is enough.

    Raises
    ------
    lib.assays.DataUnavailable
        If a file cannot be had; the message says how to get it.
    """
    return Assays(
        retina=retina.load(libraries),
        counts={library: retina.library_counts(library) for library in libraries},
        thresholds=retina.default_thresholds(),
        fallback=_scrambled_labels(),
        genotypes={name: genotypes.load(name) for name in genotypes.PROMOTERS},
        plant={tissue: plant.load(tissue) for tissue in plant.TISSUES},
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

    def some(group: IndexArray, always: NDArray[np.bool_] | None = None) -> IndexArray:
        labels, sizes = np.unique(group, return_counts=True)
        order = rng.permutation(len(labels))
        kept = labels[order[np.cumsum(sizes[order]) <= most]]
        chosen = np.isin(group, kept)
        return np.flatnonzero(chosen if always is None else chosen | always)

    genotype = some(next(iter(assays.genotypes.values())).group)
    first, second = assays.plant.values()
    shared = {name: shared_rows(*pair) for name, pair in zip(
        assays.plant, ((first, second), (second, first)), strict=True
    )}  # fmt: skip
    return assays._replace(
        retina=assays.retina.take(some(assays.retina.group)),
        genotypes={
            name: replace(
                assay,
                codes=assay.codes[genotype],
                activity=assay.activity[genotype],
                censored=assay.censored[genotype],
                se_observations=assay.se_observations[genotype],
                se_barcodes=assay.se_barcodes[genotype],
                group=assay.group[genotype],
                metadata=assay.metadata.iloc[genotype].reset_index(drop=True),
            )
            for name, assay in assays.genotypes.items()
        },
        plant={
            name: data.take(some(data.group, shared[name])) for name, data in assays.plant.items()
        },
    )


def shared_rows(data: SequenceDataset, other: SequenceDataset) -> NDArray[np.bool_]:
    """Rows whose sequence the other data set holds as well."""
    known = {row.tobytes() for row in other.codes}
    return np.array([row.tobytes() in known for row in data.codes], bool)


def thinned(
    counts: BarcodeCounts,
    thresholds: Thresholds,
    fractions: tuple[float, float],
    rng: np.random.Generator,
    fallback: tuple[str, ...] = (),
) -> ElementActivities:
    """Activities as if fewer reads had been taken of the same barcodes.

    Barcodes are chosen at full depth, so that what changes is depth and not the choice; the DNA
    threshold falls in proportion. With fractions of 1 the activities are those at full depth.

    Parameters
    ----------
    counts : BarcodeCounts
    thresholds : Thresholds
        At full depth.
    fractions : (float, float)
        Of DNA and of RNA reads kept, in (0, 1].
    rng : numpy Generator
    fallback : tuple of str
        See :func:`lib.assays.counts.activities`.

    Raises
    ------
    ValueError
        For a fraction outside (0, 1], no barcode left or no reference.
    """
    kept = passing(counts, thresholds)[1]
    chosen = BarcodeCounts(
        counts.label[kept], counts.dna[kept], counts.rna[kept], counts.replicates
    )
    # The reference stays what it is at full depth: a change of it would move all elements alike.
    basal = activities(counts, thresholds, fallback).reference == "basal"
    lowered = replace(
        thresholds,
        min_dna_counts=max(1, round(thresholds.min_dna_counts * fractions[0])),
        max_rna_cv=np.inf,
        min_basal_median=0.0 if basal else np.inf,
    )
    return activities(thin(chosen, *fractions, rng), lowered, fallback)


def shared_labels(assays: Assays) -> pd.DataFrame:
    """Every measured label of every library, controls and chimeras included.

    Returns
    -------
    DataFrame
        ``library, label, origin, activity, noise_std``; the reference itself is left out.
    """
    frames = []
    for library, counts in assays.counts.items():
        frame = activities(counts, assays.thresholds, assays.fallback).frame
        reference = frame["label"].str.startswith(assays.thresholds.basal_key)
        frames.append(frame[~reference].assign(library=library))
    table = pd.concat(frames, ignore_index=True)
    table["origin"] = table["label"].map(retina.origin)
    return table[["library", "label", "origin", "activity", "noise_std"]]


def barcode_std(table: pd.DataFrame) -> FloatArray:
    """Standard error of log2 activity from the spread between an element's barcodes, (n,).

    It holds what replicates of one barcode share, such as errors of its DNA count. NaN for an
    element with one barcode.
    """
    cv = table["barcode_cv"].to_numpy(float)
    return np.asarray(np.sqrt(np.log1p(cv**2 / table["n_barcodes"].to_numpy())) / np.log(2))


def fractions_of(factor: float, side: str) -> tuple[float, float]:
    """Fractions of DNA and RNA reads kept when one side, or both, keep ``factor``."""
    return tuple(factor if on else 1.0 for on in SIDES[side])  # type: ignore[return-value]


def activity_at_depth(assays: Assays, factor: float, side: str, seed: int = 0) -> FloatArray:
    """Activity of every row of ``assays.retina`` re-measured at a lower depth.

    Returns
    -------
    (n,) float array
        NaN where no barcode of the element is left.
    """
    table = assays.retina.metadata
    found = np.full(len(table), np.nan)
    for index, library in enumerate(assays.counts):
        rng = np.random.default_rng([seed, index, round(1 / factor), *map(int, SIDES[side])])
        measured = thinned(
            assays.counts[library],
            assays.thresholds,
            fractions_of(factor, side),
            rng,
            assays.fallback,
        ).frame
        rows = np.flatnonzero((table["library"] == library).to_numpy())
        again = pd.Series(measured["activity"].to_numpy(), index=measured["label"])
        found[rows] = again.reindex(table["label"].iloc[rows]).to_numpy()
    return found


def labels_at_depths(assays: Assays) -> dict[tuple[float, str], FloatArray]:
    """:func:`activity_at_depth` at every factor, of both sides and of either."""
    return {
        (factor, side): activity_at_depth(assays, factor, side)
        for factor in FACTORS
        for side in SIDES
    }


def at_depth_of(assays: Assays, library: str, seed: int = 0) -> FloatArray:
    """Labels of the other libraries re-measured at the depth per barcode of a noisy one.

    Returns
    -------
    (n,) float array
        NaN in the noisy libraries, and where no barcode is left.
    """
    table = assays.retina.metadata
    wanted = depth_per_barcode(assays.counts[library], assays.thresholds)
    found = np.full(len(table), np.nan)
    for index, (name, counts) in enumerate(assays.counts.items()):
        if name in assays.noisy:
            continue
        here = depth_per_barcode(counts, assays.thresholds)
        fractions = tuple(min(1.0, w / h) for w, h in zip(wanted, here, strict=True))
        rng = np.random.default_rng([seed, index, len(library), ord(library[-1])])
        measured = thinned(counts, assays.thresholds, fractions, rng, assays.fallback).frame  # type: ignore[arg-type]
        rows = np.flatnonzero((table["library"] == name).to_numpy())
        again = pd.Series(measured["activity"].to_numpy(), index=measured["label"])
        found[rows] = again.reindex(table["label"].iloc[rows]).to_numpy()
    return found


def depth_per_barcode(counts: BarcodeCounts, thresholds: Thresholds) -> tuple[float, float]:
    """Median DNA and RNA counts of a kept barcode; RNA summed over replicates."""
    kept = passing(counts, thresholds)[1]
    return float(np.median(counts.dna[kept])), float(np.median(counts.rna[kept].sum(axis=1)))

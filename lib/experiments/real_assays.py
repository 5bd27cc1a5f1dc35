"""The real assays of the shifts in assay and program, and the same at other depths.

In: nothing but where the files lie. Out: :class:`Assays`: the retina libraries with their barcode
counts, the genotypes on both promoters and the plant promoters in both tissues.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib import mpra
from lib.datasets import FloatArray, SequenceDataset
from lib.mpra import genotypes, plant, retina
from lib.mpra.counts import BarcodeCounts, ElementActivities, Thresholds, activities, passing, thin
from lib.mpra.genotypes import GenotypeAssay

FACTORS = (1 / 4, 1 / 16, 1 / 64)  # of the reads that a thinned library keeps
SIDES = {"joint": (True, True), "dna": (True, False), "rna": (False, True)}
NEEDED = ("retina_libraries", "retina_genotypes", "plant_leaf", "plant_proto")


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
    first: tuple[str, ...]
    noisy: tuple[str, ...]
    standin: bool


def available() -> bool:
    """Whether the files of all assays can be had."""
    return all(map(mpra.available, NEEDED))


def load_real() -> Assays:
    """Read the real assays.

    Raises
    ------
    lib.mpra.DataUnavailable
        If a file cannot be had; the message says how to get it.
    """
    return Assays(
        retina=retina.load(retina.LIBRARIES),
        counts={library: retina.library_counts(library) for library in retina.LIBRARIES},
        thresholds=retina.default_thresholds(),
        fallback=retina.scrambled_labels(),
        genotypes={name: genotypes.load(name) for name in genotypes.PROMOTERS},
        plant={tissue: plant.load(tissue) for tissue in plant.TISSUES},
        first=retina.FIRST_LIBRARIES,
        noisy=("9a", "9b"),
        standin=False,
    )


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
        See :func:`lib.mpra.counts.activities`.

    Raises
    ------
    ValueError
        For a fraction outside (0, 1], no barcode left or no reference.
    """
    kept = passing(counts, thresholds)[1]
    chosen = BarcodeCounts(
        counts.label[kept], counts.dna[kept], counts.rna[kept], counts.replicates
    )
    lowered = replace(
        thresholds,
        min_dna_counts=max(1, round(thresholds.min_dna_counts * fractions[0])),
        max_rna_cv=np.inf,
    )
    return activities(thin(chosen, *fractions, rng), lowered, fallback)


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

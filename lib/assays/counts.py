"""Barcode counts of an MPRA to activities: filter, normalise, average; thin to lower depth.

In: one table ``barcode, label, count`` for the plasmid (DNA) and one per RNA replicate. Out: one
row per element with log2 activity over a reference and replicate s.d.

The steps are those of Friedman et al. 2025 (Cell Systems, PMID 39778579): drop barcodes with few
plasmid counts or an RNA count that varies too much between replicates, add 1 to RNA counts, divide
by the sample's total, divide RNA by DNA, average the barcodes of an element in each replicate,
divide by the reference's mean in that replicate, average the replicates.

A barcode absent from a sample counts as 0 there. No usable reference is refused; the files
themselves are pinned, so that nothing is wrong with them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.arrays import BoolArray, FloatArray, IntArray
from lib.data.reading import read_table

COLUMNS = ("barcode", "label", "count")
_CV_OFFSET = 0.01  # counts; the authors' guard against 0 / 0


@dataclass(frozen=True)
class Thresholds:
    """Filters of a library; the defaults are the authors'.

    A barcode with fewer plasmid counts is dropped, as is one whose RNA counts have a larger
    coefficient of variation between replicates. Labels that start with ``basal_key`` are the
    reference; if its median RNA/DNA is lower than ``min_basal_median`` in any replicate, the
    fall-back labels (scrambled elements) take its place.
    """

    min_dna_counts: int = 50
    max_rna_cv: float = 0.8
    basal_key: str = "BASAL"
    min_basal_median: float = 0.05


class BarcodeCounts(NamedTuple):
    """Counts of m barcodes, each tagging an element: DNA (m,), RNA of r replicates (m, r)."""

    label: NDArray[np.object_]
    dna: IntArray
    rna: IntArray

    def take(self, rows: BoolArray) -> "BarcodeCounts":
        """Some of the barcodes."""
        return BarcodeCounts(self.label[rows], self.dna[rows], self.rna[rows])


class ElementActivities(NamedTuple):
    """Activities of one library.

    ``frame`` has one row per element: ``label``; ``activity`` (log2 over the reference);
    ``noise_std`` (of ``activity``, from the replicates). ``reference`` is ``basal``, or
    ``fallback`` where the basal promoter was measured too low; ``dropped`` counts what the
    thresholds removed.
    """

    frame: pd.DataFrame
    reference: str
    dropped: dict[str, int]


def read_counts(dna: Path, rna: Sequence[Path]) -> BarcodeCounts:
    """Read one library's count files: the plasmid's, and those of at least two RNA replicates.

    Barcodes stand in the plasmid file's order, then those seen in RNA only.
    """
    samples = [read_table(path, COLUMNS) for path in (dna, *rna)]
    label = pd.concat([sample.set_index("barcode")["label"] for sample in samples])
    label = label[~label.index.duplicated()]
    counts = np.zeros((len(label), len(samples)), np.int64)
    for column, sample in enumerate(samples):
        rows = label.index.get_indexer(pd.Index(sample["barcode"]))
        counts[rows, column] = sample["count"].astype(np.int64)
    return BarcodeCounts(label.to_numpy(object), counts[:, 0], counts[:, 1:])


def thin(
    counts: BarcodeCounts, dna_fraction: float, rna_fraction: float, rng: np.random.Generator
) -> BarcodeCounts:
    """Keep each read with a fixed probability in (0, 1]: as if sequenced less deeply.

    Examples
    --------
    >>> whole = BarcodeCounts(np.array(["a"], object), np.array([9]), np.array([[4, 5]]))
    >>> thin(whole, 1.0, 1.0, np.random.default_rng(0)).rna.tolist()
    [[4, 5]]
    """
    dna = rng.binomial(counts.dna, dna_fraction)
    return counts._replace(dna=dna, rna=rng.binomial(counts.rna, rna_fraction))


def _reference(
    ratio: FloatArray, label: NDArray[np.object_], thresholds: Thresholds, fallback: Collection[str]
) -> tuple[FloatArray, str]:
    """Mean RNA/DNA of the reference in each replicate, and which reference it is."""
    basal = np.array([str(name).startswith(thresholds.basal_key) for name in label], bool)
    if basal.any() and (np.median(ratio[basal], axis=0) >= thresholds.min_basal_median).all():
        return ratio[basal].mean(axis=0), "basal"
    instead = np.isin(label, list(fallback))
    if not instead.any():
        raise ValueError(
            f"no reference: no kept barcode is labelled {thresholds.basal_key!r}, or their median "
            f"RNA/DNA is below {thresholds.min_basal_median}; and no fall-back label is measured"
        )
    return ratio[instead].mean(axis=0), "fallback"


def passing(counts: BarcodeCounts, thresholds: Thresholds) -> tuple[BoolArray, BoolArray]:
    """Barcodes with enough DNA, and those of them with steady RNA too; (m,) each."""
    enough = counts.dna >= max(thresholds.min_dna_counts, 1)
    centre = counts.rna.mean(axis=1) + _CV_OFFSET
    steady = counts.rna.std(axis=1, ddof=1) / centre <= thresholds.max_rna_cv
    return enough, enough & steady


def activities(
    counts: BarcodeCounts, thresholds: Thresholds, fallback: Collection[str] = ()
) -> ElementActivities:
    """Turn barcode counts into activities over the reference.

    ``fallback`` are labels (scrambled elements) used where the reference is measured too low.
    Elements stand in the order of their first barcode; those without a kept barcode are counted.
    Raises ``ValueError`` if no barcode passes the thresholds, or there is no reference.
    """
    enough, kept = passing(counts, thresholds)
    if not kept.any():
        raise ValueError(f"no barcode of {len(kept)} passes {thresholds}")
    label, dna, rna = counts.take(kept)
    dna_share = dna / counts.dna[enough].sum()
    rna_share = (rna + 1) / (rna + 1).sum(axis=0)
    ratio = rna_share / dna_share[:, None]
    level, reference = _reference(ratio, label, thresholds, fallback)
    ratio = ratio / level
    code, names = pd.factorize(label)
    n = np.bincount(code)
    per_replicate = np.stack([np.bincount(code, column) / n for column in ratio.T], axis=1)
    mean = per_replicate.mean(axis=1)
    replicate_cv = per_replicate.std(axis=1, ddof=1) / mean
    # Lognormal s.d. of a mean of r replicates, in log2.
    noise = np.sqrt(np.log1p(replicate_cv**2 / ratio.shape[1])) / np.log(2)
    columns = {"label": names.astype(object), "activity": np.log2(mean), "noise_std": noise}
    dropped = {
        "barcodes with little DNA": int((~enough).sum()),
        "barcodes with unsteady RNA": int((enough & ~kept).sum()),
        "elements without a kept barcode": len(set(counts.label)) - len(names),
    }
    return ElementActivities(pd.DataFrame(columns), reference, dropped)

"""Depth and noise of the retina libraries: does thinning do what theory says, and what is left?

In: :class:`lib.experiments.real_assays.Assays`. Out: ``depth_check``, the variance that thinning
adds beside its delta-method value, and ``noise_libraries``, the noisy libraries beside others
thinned to their depth. Labels and counts alone; no forecast.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.assays.counts import BarcodeCounts, activities, passing, thin
from lib.data.dataset import FloatArray, IndexArray
from lib.experiments.real_assays import (
    FACTORS,
    SIDES,
    Assays,
    barcode_std,
    depth_per_barcode,
    fractions_of,
    thinned,
)

FEWEST_COUNTS = 20  # DNA and RNA counts that a barcode is expected to keep at the lowest depth
REPEATS = 20


class Deep(NamedTuple):
    """Barcodes that stay countable at every depth, and the element of each, (m,)."""

    counts: BarcodeCounts
    element: IndexArray
    dropped: int


def deep_barcodes(counts: BarcodeCounts, assays: Assays) -> Deep | None:
    """Kept barcodes with enough counts, and how many elements are lost; None without any."""
    kept = passing(counts, assays.thresholds)[1]
    least = FEWEST_COUNTS / min(FACTORS)
    enough = kept & (counts.dna >= least) & (counts.rna.sum(axis=1) >= least)
    if not enough.any():
        return None
    label, element = np.unique(counts.label[enough].astype(str), return_inverse=True)
    every = len(set(counts.label[kept]))
    chosen = BarcodeCounts(
        counts.label[enough], counts.dna[enough], counts.rna[enough], counts.replicates
    )
    return Deep(chosen, element.astype(np.int64), every - len(label))


def log2_ratio(counts: BarcodeCounts, element: IndexArray) -> FloatArray:
    """Log2 of the barcode-mean RNA/DNA per element, up to a constant of the library."""
    rna = ((counts.rna + 1) / (counts.rna + 1).sum(axis=0)).mean(axis=1)
    ratio = rna / (counts.dna / counts.dna.sum())
    return np.asarray(np.log2(np.bincount(element, ratio) / np.bincount(element)))


def delta_variance(
    counts: BarcodeCounts, element: IndexArray, fractions: tuple[float, float]
) -> FloatArray:
    """Variance that thinning adds to :func:`log2_ratio`, by the delta method.

    Given its counts, a thinned count is binomial: its relative variance is (1 - q) / (q count),
    for DNA in the denominator and for RNA, with the pseudo-count, in the numerator.

    Returns
    -------
    (elements,) float array
        In log2 squared.
    """
    of_dna, of_rna = fractions
    total = of_rna * counts.rna.sum(axis=0) + len(counts.rna)
    replicates = counts.rna.shape[1]
    rna = ((of_rna * counts.rna + 1) / total).mean(axis=1)
    rna_variance = (of_rna * (1 - of_rna) * counts.rna / total**2).sum(axis=1) / replicates**2
    ratio = rna / counts.dna
    variance = ratio**2 * (rna_variance / rna**2 + (1 - of_dna) / (of_dna * counts.dna))
    size = np.bincount(element)
    mean = np.bincount(element, ratio) / size
    found = np.bincount(element, variance) / size**2 / (mean * np.log(2)) ** 2
    return np.asarray(found)


def added_variance(
    counts: BarcodeCounts,
    element: IndexArray,
    fractions: tuple[float, float],
    repeats: int,
    rng: np.random.Generator,
) -> FloatArray:
    """The same, measured over repeated thinning; draws are centred on their mean element."""
    drawn = [log2_ratio(thin(counts, *fractions, rng), element) for _ in range(repeats)]
    centred = np.stack([values - values.mean() for values in drawn])
    return np.asarray(centred.var(axis=0, ddof=1))


def depth_check(assays: Assays, repeats: int = REPEATS) -> pd.DataFrame:
    """Added variance, measured and by the delta method, over elements kept at every depth.

    Returns
    -------
    DataFrame
        ``factor, side, measured, delta, ratio, n, dropped``: means over elements of all libraries
        to train on; ``dropped`` elements would fall below :data:`FEWEST_COUNTS` somewhere.
    """
    found = [(name, deep_barcodes(assays.counts[name], assays)) for name in assays.first]
    deep = [(index, each) for index, (_, each) in enumerate(found) if each is not None]
    rows = []
    for factor in FACTORS:
        for side in SIDES:
            fractions = fractions_of(factor, side)
            parts = [
                (
                    added_variance(
                        each.counts,
                        each.element,
                        fractions,
                        repeats,
                        np.random.default_rng([index, round(1 / factor), *map(int, SIDES[side])]),
                    ),
                    delta_variance(each.counts, each.element, fractions),
                )
                for index, each in deep
            ]
            measured, delta = (np.concatenate(values) for values in zip(*parts, strict=True))
            rows.append(
                {
                    "factor": factor,
                    "side": side,
                    "measured": measured.mean(),
                    "delta": delta.mean(),
                    "ratio": measured.mean() / delta.mean(),
                    "n": len(measured),
                    "dropped": sum(each.dropped for _, each in deep),
                }
            )
    return pd.DataFrame(rows)


def _summary(frame: pd.DataFrame) -> dict[str, float]:
    several = frame[frame["n_barcodes"] >= 2]
    return {
        "median replicate CV": float(frame["replicate_cv"].median()),
        "error variance between replicates": float((frame["noise_std"] ** 2).mean()),
        "error variance between barcodes": float(np.mean(barcode_std(several) ** 2)),
        "median barcodes": float(frame["n_barcodes"].median()),
        "median DNA count": float(frame["dna_count"].median()),
        "elements": float(len(frame)),
    }


def _states(assays: Assays, noisy: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """A noisy library, the others, and the others thinned to its depth per barcode.

    The filter on the spread between replicates is off: it selects on what is compared.
    """
    every = replace(assays.thresholds, max_rna_cv=np.inf)
    own = activities(assays.counts[noisy], every, assays.fallback).frame
    yield noisy, own
    wanted = depth_per_barcode(assays.counts[noisy], every)
    full, lower = [], []
    for index, (name, counts) in enumerate(assays.counts.items()):
        if name in assays.noisy:
            continue
        here = depth_per_barcode(counts, every)
        fractions = min(1.0, wanted[0] / here[0]), min(1.0, wanted[1] / here[1])
        rng = np.random.default_rng([index, len(noisy), ord(noisy[-1])])
        full.append(activities(counts, every, assays.fallback).frame)
        lower.append(thinned(counts, every, fractions, rng, assays.fallback).frame)
    yield "others", pd.concat(full)
    yield "others at its depth", pd.concat(lower)


def noise_libraries(assays: Assays) -> pd.DataFrame:
    """What of the noise of the noisy libraries is depth.

    Returns
    -------
    DataFrame
        ``library, state, measure, value``.
    """
    rows: list[dict[str, Any]] = []
    for noisy in assays.noisy:
        for state, frame in _states(assays, noisy):
            name = "as measured" if state == noisy else state
            rows += [
                {"library": noisy, "state": name, "measure": measure, "value": value}
                for measure, value in _summary(frame).items()
            ]
    return pd.DataFrame(rows, columns=["library", "state", "measure", "value"])

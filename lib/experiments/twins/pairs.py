"""Two measurements of the same elements: what lies between old and new condition of a real shift.

In: :class:`lib.experiments.twins.assays.Assays`. Out: pairs and their decompositions; no forecast
is read for them.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np
import pandas as pd

from lib.arrays import IndexArray
from lib.experiments.twins.assays import HOME, Assays, Law, law_keys, partners
from lib.statistics import paired
from lib.statistics.paired import PairedAssay

CONTROL = "scrambled"
ALL, CONTROLLED, SITES = "all", "controlled", "site_pairs"


Pair = tuple[str, str, str, PairedAssay]  # shift, condition, which elements, both measurements


def law_pair(
    assays: Assays, law: Law, rows: IndexArray, fold: IndexArray | None = None
) -> PairedAssay:
    """Wild type on rho beside another law, for forecasts by ``fold``; the scrambled are anchors."""
    first, second = assays.genotypes[HOME[0]], assays.genotypes[law[0]]
    old, new = first.column(HOME[1]), second.column(law[1])
    activity = first.activity[rows, old], second.activity[rows, new]
    error = first.se_barcodes[rows, old], second.se_barcodes[rows, new]
    anchors = (first.metadata["variant_type"] == CONTROL).to_numpy()[rows]
    return paired.paired_assay(*activity, *error, first.group[rows], anchors, fold)


def law_pairs(assays: Assays) -> Iterator[Pair]:
    """Wild type on rho beside other laws: all elements, the scrambled, differences of sites."""
    rows = assays.quantified
    for law in assays.laws[1:]:
        keys, pair = law_keys(law), law_pair(assays, law, rows)
        yield *keys, ALL, pair
        a, b, std_a, std_b, groups, own, _ = pair
        alone = paired.paired_assay(a[own], b[own], std_a[own], std_b[own], groups.codes[own])
        yield *keys, CONTROL, alone
        yield *keys, SITES, paired.site_differences(pair, *assays.site_pairs)


def tissue_pairs(assays: Assays) -> Iterator[Pair]:
    """Promoters that both tissues measured, either way; their errors are not published."""
    for name, data, other_name, other in assays.tissues():
        partner = partners(data, other)
        rows = np.flatnonzero(partner >= 0)
        exact = np.zeros(len(rows))
        activity = data.activity[rows], other.activity[partner[rows]]
        pair = paired.paired_assay(*activity, exact, exact, data.group[rows])
        yield "assay", f"{name} to {other_name}", ALL, pair


def library_pair(
    labels: pd.DataFrame, library: str, others: Sequence[str], known_error: bool = True
) -> PairedAssay:
    """Labels that a library shares with others: the others' mean beside its own value.

    Without ``known_error`` the library's own error is part of the rest.
    """
    theirs = labels[labels["library"].isin([name for name in others if name != library])]
    grouped = theirs.assign(variance=theirs["noise_std"] ** 2).groupby("label")
    error = np.sqrt(grouped["variance"].sum()) / grouped.size()
    both = pd.DataFrame({"theirs": grouped["activity"].mean(), "error": error})
    joint = both.join(labels[labels["library"] == library].set_index("label"), how="inner")
    known = joint["noise_std"] if known_error else 0 * joint["noise_std"]
    group = pd.factorize(joint["origin"])[0]
    return paired.paired_assay(joint["theirs"], joint["activity"], joint["error"], known, group)


def library_pairs(assays: Assays) -> Iterator[Pair]:
    """Each library beside the others to train on; what a noisy one has of its own is its noise."""
    for shift, names in (("batch", assays.first), ("noise", assays.noisy)):
        for name in names:
            pair = library_pair(assays.labels, name, assays.first, shift == "batch")
            yield shift, name, ALL, pair


def _controlled(assay: PairedAssay, draws: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """The factor on the errors at which the anchors show no rewiring, and all elements with it."""
    factor = paired.control_noise_factor(assay, np.random.default_rng(0), draws=draws)
    yield CONTROL, paired.estimates_table({"noise_factor": factor}, int(assay.anchors.sum()))
    scale = np.sqrt(max(factor[0], 0))
    wider = assay._replace(std_a=scale * assay.std_a, std_b=scale * assay.std_b)
    with suppress(ValueError):  # the scaled errors account for all variance
        yield CONTROLLED, paired.decompose(wider, np.random.default_rng(0), draws=draws)


def decompositions(assays: Assays, draws: int) -> pd.DataFrame:
    """Decomposition of every paired shift, by kind of elements.

    ``controlled``: all, with errors so large that the scrambled elements show no rewiring.
    """
    tables = []
    every = (*law_pairs(assays), *tissue_pairs(assays), *library_pairs(assays))
    for shift, condition, elements, assay in every:
        found = [(elements, paired.decompose(assay, np.random.default_rng(0), draws=draws))]
        if elements == ALL and assay.anchors.any():
            found += _controlled(assay, draws)
        tables += [
            table.assign(shift=shift, condition=condition, elements=which) for which, table in found
        ]
    return pd.concat(tables, ignore_index=True)

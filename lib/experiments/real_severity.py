"""How severe the real shifts are, from labels, counts and sequences alone.

No forecast is looked at.

In: :class:`lib.experiments.real_assays.Assays` and the arms of notebook 02. Out: one row per shift
and condition in the units of the simulator's own shifts, and the decompositions behind them, so
that forecasts of what each shift will do can be sealed before any network is judged under it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.assays.genotypes import GenotypeAssay
from lib.data.dataset import IndexArray, SequenceDataset
from lib.experiments.gc_arms import Arm
from lib.experiments.real_arms import GENOTYPE, PROMOTER, Network, quantified
from lib.experiments.real_assays import Assays, Depths, barcode_std, shared_labels, shared_rows
from lib.motifs.binding import scan, score_threshold
from lib.statistics.paired import (
    PairedAssay,
    control_noise_factor,
    decompose,
    paired_assay,
    site_differences,
)

SITE_P = 1e-4  # of a motif site by chance in one window
CONTROL = "scrambled"
# Whether barcodes or observations count as independent: the larger and the smaller error.
BARCODES, OBSERVATIONS = "barcodes", "observations"
Keyed = tuple[dict[str, Any], PairedAssay]


def depth_condition(factor: float, side: str) -> str:
    """How a depth is called, such as ``1/16 joint``."""
    return f"1/{round(1 / factor)} {side}"


def target_name(promoter: str, genotype: str) -> tuple[str, str]:
    """Shift and condition of judging a network of wild type on rho under another law."""
    if promoter == PROMOTER:
        return "genotype", genotype
    return "promoter", promoter if genotype == GENOTYPE else f"{promoter} {genotype}"


def genotype_pair(
    first: GenotypeAssay,
    second: GenotypeAssay,
    genotype: str,
    rows: IndexArray,
    errors: str = BARCODES,
) -> PairedAssay:
    """Wild type on one promoter beside a genotype on another; scrambled elements are anchors."""
    old, new = first.column(GENOTYPE), second.column(genotype)
    return paired_assay(
        first.activity[rows, old],
        second.activity[rows, new],
        getattr(first, f"se_{errors}")[rows, old],
        getattr(second, f"se_{errors}")[rows, new],
        first.group[rows],
        (first.metadata["variant_type"] == CONTROL).to_numpy()[rows],
    )


def genotype_pairs(assays: Assays, errors: str = BARCODES) -> Iterator[Keyed]:
    """Wild type on rho beside the other genotypes, and beside each genotype on hsp68."""
    rows = quantified(assays)
    first = assays.genotypes[PROMOTER]
    for promoter, assay in assays.genotypes.items():
        for genotype in assay.genotypes:
            if (promoter, genotype) != (PROMOTER, GENOTYPE):
                shift, condition = target_name(promoter, genotype)
                keys = {"shift": shift, "condition": condition}
                yield keys, genotype_pair(first, assay, genotype, rows, errors)


def plant_pairs(assays: Assays) -> Iterator[Keyed]:
    """Promoters that both tissues measured, either way; their errors are not published."""
    for name, data in assays.plant.items():
        (other_name,) = (each for each in assays.plant if each != name)
        other = assays.plant[other_name]
        rows = np.flatnonzero(shared_rows(data, other))
        partner = same_rows(data, other, rows)
        exact = np.zeros(len(rows))
        keys = {"shift": "assay", "condition": f"{name} to {other_name}"}
        group = data.group[rows]
        activity = data.activity[rows], other.activity[partner]
        yield keys, paired_assay(*activity, exact, exact, group)


def same_rows(data: SequenceDataset, other: SequenceDataset, rows: IndexArray) -> IndexArray:
    """Rows of ``other`` that hold the sequences of ``rows`` of ``data``."""
    where = {row.tobytes(): index for index, row in enumerate(other.codes)}
    return np.array([where[data.codes[row].tobytes()] for row in rows], np.int64)


def library_pair(
    labels: pd.DataFrame, library: str, others: Sequence[str], known_error: bool = True
) -> PairedAssay:
    """Labels that one library shares with others: the others' mean beside its own value.

    Parameters
    ----------
    labels : DataFrame
        Of :func:`lib.experiments.real_assays.shared_labels`.
    library : str
    others : sequence of str
    known_error : bool
        Whether the library's own error counts as known; if not, it is part of the rest.
    """
    theirs = labels[labels["library"].isin([name for name in others if name != library])]
    theirs = theirs.assign(variance=theirs["noise_std"] ** 2)
    grouped = theirs.groupby("label")
    both = pd.DataFrame(
        {
            "theirs": grouped["activity"].mean(),
            "error": np.sqrt(grouped["variance"].sum()) / grouped.size(),
        }
    )
    own = labels[labels["library"] == library].set_index("label")
    joint = both.join(own, how="inner")
    known = joint["noise_std"] if known_error else 0 * joint["noise_std"]
    return paired_assay(
        joint["theirs"],
        joint["activity"],
        joint["error"],
        known,
        pd.factorize(joint["origin"])[0],
    )


def batch_pair(assays: Assays, library: str, without: Collection[str] = ()) -> PairedAssay:
    """Labels that one of the first libraries shares with the others, some origins left out."""
    labels = shared_labels(assays)
    return library_pair(labels[~labels["origin"].isin(without)], library, assays.first)


def batch_pairs(assays: Assays) -> Iterator[Keyed]:
    """Each of the first libraries beside the others, on labels they share."""
    labels = shared_labels(assays)
    for library in assays.first:
        keys = {"shift": "batch", "condition": library}
        yield keys, library_pair(labels, library, assays.first)


def noise_pairs(assays: Assays) -> Iterator[Keyed]:
    """Each noisy library beside the first ones; what is not the others' counts as its noise."""
    labels = shared_labels(assays)
    for library in assays.noisy:
        keys = {"shift": "noise", "condition": library}
        yield keys, library_pair(labels, library, assays.first, known_error=False)


def control_pairs(assays: Assays) -> Iterator[Keyed]:
    """The scrambled elements alone, as elements: what no program can have rewired."""
    for keys, pair in genotype_pairs(assays):
        rows = pair.anchors
        yield (
            keys,
            paired_assay(
                pair.activity_a[rows],
                pair.activity_b[rows],
                pair.std_a[rows],
                pair.std_b[rows],
                pair.groups.codes[rows],
            ),
        )


def site_pairs(assays: Assays) -> Iterator[Keyed]:
    """Differences between intact and mutated elements, wild type beside the others."""
    rows = quantified(assays)
    place = np.full(len(assays.genotypes[PROMOTER].codes), -1)
    place[rows] = np.arange(len(rows))
    intact, mutated = (place[each] for each in assays.genotypes[PROMOTER].site_pairs())
    both = (intact >= 0) & (mutated >= 0)
    for keys, pair in genotype_pairs(assays):
        yield keys, site_differences(pair, intact[both], mutated[both])


def _decomposed(
    pairs: Iterator[Keyed], elements: str, draws: int
) -> Iterator[tuple[dict[str, Any], PairedAssay, pd.DataFrame]]:
    for keys, pair in pairs:
        found = decompose(pair, np.random.default_rng(0), draws=draws)
        yield keys | {"elements": elements}, pair, found


def decompositions(assays: Assays, draws: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decomposition of every paired shift, and of the differences at CRX sites.

    Returns
    -------
    decomposition, site_pairs : DataFrame
        ``shift, condition, elements, quantity, value, lower, upper, n``. ``elements`` is ``all``,
        ``scrambled``, ``site_pairs``, ``observations`` (all, with the smaller error) or
        ``controlled`` (all, with errors so large that the scrambled elements show no rewiring).
    """
    tables, sites = [], []
    pairs = [*genotype_pairs(assays), *plant_pairs(assays), *batch_pairs(assays)]
    for keys, pair, found in _decomposed(iter(pairs), "all", draws):
        tables.append(found.assign(**keys))
        if pair.anchors.any():
            tables += _controlled(keys, pair, draws)
    for keys, _, found in _decomposed(control_pairs(assays), CONTROL, draws):
        tables.append(found.assign(**keys))
    smaller = genotype_pairs(assays, OBSERVATIONS)
    for keys, _, found in _decomposed(smaller, OBSERVATIONS, draws):
        tables.append(found.assign(**keys))
    for keys, _, found in _decomposed(noise_pairs(assays), "all", draws):
        tables.append(found.assign(**keys))
    for keys, _, found in _decomposed(site_pairs(assays), "site_pairs", draws):
        sites.append(found.assign(**keys))
    order = ["shift", "condition", "elements", "quantity", "value", "lower", "upper", "n"]
    return tuple(pd.concat(each, ignore_index=True)[order] for each in (tables, sites))  # type: ignore[return-value]


def _controlled(keys: Mapping[str, Any], pair: PairedAssay, draws: int) -> list[pd.DataFrame]:
    """The decomposition with errors scaled so that the anchors show no rewiring, and the scale."""
    factor = control_noise_factor(pair, np.random.default_rng(0), draws=draws)
    number = pd.DataFrame(
        [{"quantity": "noise_factor", **factor._asdict(), "n": int(pair.anchors.sum())}]
    ).assign(**(dict(keys) | {"elements": CONTROL}))
    scale = np.sqrt(max(factor.value, 0))
    wider = pair._replace(std_a=scale * pair.std_a, std_b=scale * pair.std_b)
    try:
        found = decompose(wider, np.random.default_rng(0), draws=draws)
    except ValueError:  # the scaled errors account for all variance
        return [number]
    table = found.assign(**(dict(keys) | {"elements": "controlled"}))
    return [number, table]


def noise_shares(assays: Assays, depths: Depths) -> pd.DataFrame:
    """Noise share of the first libraries at full depth and thinned, from labels alone.

    At full depth the noise is that between the barcodes of an element. What thinning adds is the
    variance of the change within a library: a reference measured anew moves all its elements alike.

    Returns
    -------
    DataFrame
        ``factor, side, added, noise_share, baseline, kept, n``.
    """
    data = assays.retina
    library = data.metadata["library"].to_numpy(str)
    own = np.isin(library, assays.first)
    noise = float(np.nanmean(barcode_std(data.metadata)[own] ** 2))
    signal = float(data.activity[own].var()) - noise
    rows = []
    for (factor, side), activity in depths.items():
        change = pd.Series((activity - data.activity)[own])
        added = float((change - change.groupby(library[own]).transform("mean")).var(ddof=0))
        total = noise + added
        rows.append(
            {
                "factor": factor,
                "side": side,
                "added": added,
                "noise_share": total / (total + signal),
                "baseline": noise / (noise + signal),
                "kept": int(change.notna().sum()),
                "n": len(change),
            }
        )
    return pd.DataFrame(rows)


def site_counts(assays: Assays) -> NDArray[np.int64]:
    """Motif sites per retina row, over the motifs of the assay and both strands."""
    thresholds = np.array([score_threshold(motif, SITE_P) for motif in assays.motifs])
    sites = scan(assays.retina.codes, assays.motifs, thresholds)
    return np.bincount(sites["element"], minlength=len(assays.retina))


def _design_rows(assays: Assays) -> Iterator[dict[str, Any]]:
    table = assays.retina.metadata
    own = np.isin(table["library"].to_numpy(str), assays.first)
    design = table["design"].to_numpy(str)
    count = site_counts(assays)
    genomic = count[own & (design == "genomic")]
    for kind in sorted(set(design[own]) - {"genomic"}):
        moved = count[own & (design == kind)].mean() - genomic.mean()
        rows = int((own & (design == kind)).sum())
        yield {"shift": "design", "condition": kind, "severity": moved / genomic.std(), "n": rows}


def gc_rows(arms: Sequence[tuple[Network, Arm]]) -> pd.DataFrame:
    """Severity of the shifted parts of notebook 02's arms, mean over splits."""
    rows = []
    for network, arm in arms:
        for part in arm.parts:
            if part.keys["split"] == "shifted":
                rows.append(
                    {
                        "shift": part.keys["shift"],
                        "condition": gc_condition(network.data.name, part.keys),
                        "severity": 0.0 if part.keys["shift"] == "placebo" else severity_of(part),
                        "n": len(part.rows),
                    }
                )
    table = pd.DataFrame(rows)
    return table.groupby(["shift", "condition"], sort=False).mean().reset_index()


def severity_of(part: Any) -> float:
    """Severity in a part's keys."""
    return float(part.keys["severity"])


def gc_condition(data: str, keys: Mapping[str, Any]) -> str:
    """Condition with the assay in it: several assays share one shift here."""
    detailed = keys["shift"] in ("gc_tilt", "species")
    return f"{data} {keys['condition']}" if detailed else data


def severities(
    assays: Assays,
    decomposition: pd.DataFrame,
    shares: pd.DataFrame,
    gc: pd.DataFrame,
) -> pd.DataFrame:
    """One row per real shift and condition, as :func:`lib.experiments.twins.seal` takes them.

    Parameters
    ----------
    assays : Assays
    decomposition : DataFrame
        Of :func:`decompositions`.
    shares : DataFrame
        Of :func:`noise_shares`.
    gc : DataFrame
        ``shift, condition, severity, n`` of the GC shifts, species and placebo.

    Returns
    -------
    DataFrame
        ``shift, condition, severity, lower, upper, n, distance_rewiring, baseline``.
    """
    own = decomposition[decomposition["elements"] == "all"]
    rows = [
        {"shift": shift, "condition": condition} | _paired_severity(str(shift), part)
        for (shift, condition), part in own.groupby(["shift", "condition"], sort=False)
    ]
    for share in shares.to_dict("records"):
        condition = depth_condition(share["factor"], share["side"])
        row = {"shift": "depth", "condition": condition, "severity": share["noise_share"]}
        rows.append(row | {"n": share["kept"]})
    rows += _design_rows(assays)
    table = pd.concat([pd.DataFrame(rows), gc], ignore_index=True)
    noisy = table["shift"].isin(["depth", "noise"])
    table["baseline"] = np.where(noisy, shares["baseline"].iloc[0], np.nan)
    order = ["shift", "condition", "severity", "lower", "upper", "n"]
    return table[[*order, "distance_rewiring", "baseline"]]


def _paired_severity(shift: str, part: pd.DataFrame) -> dict[str, Any]:
    """Distance, or for a noisy library the share of its variance that is not the others' signal."""
    by = part.set_index("quantity")
    if shift == "noise":
        ends = by.loc["pearson_r_deattenuated", ["value", "upper", "lower"]].to_numpy(float)
        severity = np.clip(1 - ends**2, 0, 1)
        rewiring = np.nan
    else:
        severity = by.loc["distance", ["value", "lower", "upper"]].to_numpy(float)
        rewiring = float(by["value"]["distance_rewiring"])
    names = ("severity", "lower", "upper")
    found: dict[str, Any] = dict(zip(names, map(float, severity), strict=True))
    return found | {"n": int(part["n"].iloc[0]), "distance_rewiring": rewiring}

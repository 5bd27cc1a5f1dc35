"""What each network is asked about, by its arm; the genotypes' elements under every label.

In: :class:`lib.experiments.real_assays.Assays` and a network. Out: its
:class:`lib.experiments.real_parts.Asked` parts.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from lib.assays.genotypes import GenotypeAssay, related_rows
from lib.data.dataset import FloatArray, IndexArray
from lib.experiments.real_arms import GENOTYPE, PROMOTER, Network, quantified
from lib.experiments.real_assays import Assays, Depths
from lib.experiments.real_parts import (
    CENSORED,
    LIBRARIES,
    SENSITIVITIES,
    Asked,
    Maker,
    plant_parts,
    retina_parts,
    variant_parts,
)
from lib.experiments.real_severity import target_name


def unrelated_elements(assays: Assays, network: Network) -> IndexArray:
    """Elements of the genotypes without a relative among those a network has learned from.

    Censored ones are among them. Training, validation and calibration part all count.
    """
    assay, data, split = assays.genotypes[PROMOTER], assays.retina, network.split
    seen = np.concatenate([split[part] for part in ("train", "validation", "calibration")])
    related = related_rows(
        assay.codes,
        assay.metadata["peak"].to_numpy(str),
        data.codes[seen],
        data.metadata["origin"].to_numpy(str)[seen],
    )
    return np.flatnonzero(~related)


def foreign_parts(assays: Assays, network: Network) -> Iterator[Asked]:
    """Parts of the main network on the genotypes' elements: another experiment, other labels."""
    every = unrelated_elements(assays, network)
    rows = np.intersect1d(every, quantified(assays))
    for promoter, assay in assays.genotypes.items():
        for genotype in assay.genotypes if promoter == PROMOTER else (GENOTYPE,):
            same = (promoter, genotype) == (PROMOTER, GENOTYPE)
            shift, condition = ("", "") if same else target_name(promoter, genotype)
            split = "test" if same else "shifted"
            name = f"{condition}, {LIBRARIES}".removeprefix(", ")
            yield _foreign(network, assay, genotype, (split, shift, name), rows)
            if not same:
                name = f"{condition}, {CENSORED}, {LIBRARIES}"
                asked = _foreign(network, assay, genotype, (split, shift, name), every)
                yield asked._replace(noise=None)  # unknown where censored


def _foreign(
    network: Network,
    assay: GenotypeAssay,
    genotype: str,
    names: tuple[str, str, str],
    rows: IndexArray,
) -> Asked:
    column, data = assay.column(genotype), assay.dataset(genotype)
    return Asked(
        *names,
        network.arm,
        network.condition,
        rows,
        assay.activity[rows, column],
        assay.group[rows],
        data.gc[rows],
        assay.se_barcodes[rows, column],
        data.name,
        foreign=True,
    )


def at_offset(assay: GenotypeAssay, genotype: str, factor: float) -> FloatArray:
    """Activities of a genotype with another offset added to every mean, (n,).

    log2((m + cε) / (b + cε)) from log2((m + ε) / (b + ε)); b is the mean of BASAL.
    """
    column = assay.column(genotype)
    basal = assay.basal[column]
    mean = 2.0 ** assay.activity[:, column] * (basal + assay.epsilon) - assay.epsilon
    offset = factor * assay.epsilon
    return np.asarray(np.log2((np.maximum(mean, 0) + offset) / (basal + offset)))


def offset_parts(assays: Assays, network: Network, every_row: IndexArray) -> Iterator[Asked]:
    """The parts of the network on wild type again, with labels at other offsets."""
    make = Maker(network.data, network)
    test = network.split["test"]
    for name, factor in SENSITIVITIES.items():
        for promoter, assay in assays.genotypes.items():
            for genotype in assay.genotypes if promoter == PROMOTER else (GENOTYPE,):
                same = (promoter, genotype) == (PROMOTER, GENOTYPE)
                shift, condition = ("", "") if same else target_name(promoter, genotype)
                target = at_offset(assay, genotype, factor)[every_row]
                split = "test" if same else "shifted"
                label = f"{condition}, {name}".removeprefix(", ")
                yield make(split, shift, label, test, target)


def genotype_parts(assays: Assays, network: Network, every_row: IndexArray) -> Iterator[Asked]:
    """Parts of a network trained on one genotype, or on two, of the genotypes' elements.

    The one on wild type and rho is asked about all others; the others only about their own law.
    """
    data, test = network.data, network.split["test"]
    test = test[test < len(every_row)]  # pooled data repeat the elements
    make = Maker(data, network)
    home = f"{PROMOTER} {GENOTYPE}"
    for promoter, assay in assays.genotypes.items():
        for genotype in assay.genotypes:
            own = f"{promoter} {genotype}"
            target = np.resize(assay.activity[every_row, assay.column(genotype)], len(data))
            error = assay.se_barcodes[every_row[test], assay.column(genotype)]
            shift, condition = target_name(promoter, genotype)
            if network.condition == home:
                names = ("test", "", "") if own == home else ("shifted", shift, condition)
            elif network.condition == own:
                names = ("matched", shift, condition)
            elif network.arm == "pooled" and promoter == PROMOTER:
                if genotype in network.condition.split(" + "):
                    continue
                names = ("shifted", shift, f"{condition}, trained on {network.condition}")
            else:
                continue
            yield make(*names, test, target)._replace(noise=error)


def asked_of(
    assays: Assays,
    network: Network,
    depths: Depths,
    shallow: Mapping[str, FloatArray],
    first_member: bool = True,
) -> list[Asked]:
    """All parts of one network on the retina libraries, the genotypes or the plants."""
    if not first_member:
        return []
    if network.arm == "retina":
        own = retina_parts(assays, network, depths, shallow)
        return [*own, *foreign_parts(assays, network)]
    if network.arm in ("genotype", "pooled"):
        rows = quantified(assays)
        parts = list(genotype_parts(assays, network, rows))
        if network.condition == f"{PROMOTER} {GENOTYPE}":
            parts += offset_parts(assays, network, rows)
        return parts
    if network.arm == "plant":
        return list(plant_parts(assays, network))
    return list(variant_parts(assays, network, depths))

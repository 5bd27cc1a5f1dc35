"""Networks of the shifts in assay and program: what each is trained on, and the units that fit it.

In: :class:`lib.experiments.real_assays.Assays` and :class:`Plan`. Out: :class:`Network` objects. No
result of a fit is needed to know them all, so that all may be fitted side by side.

Arms: ``retina`` (libraries to train on, groups joined), ``origin`` (the same, groups by origin
alone), ``batch`` (without one library), ``design`` (genomic elements alone), ``weighted`` (elements
weigh by their measured noise), ``depth`` (labels measured again from thinned counts), ``genotype``
(one genotype on one promoter), ``pooled`` (two genotypes), ``plant`` (one tissue without the
promoters that both measured), ``noise`` (a noisy library alone), and the arms of
:mod:`lib.experiments.gc_arms` as ``gc``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.assays.genotypes import GenotypeAssay
from lib.data.dataset import IndexArray, SequenceDataset
from lib.data.splits import PARTS, Split, group_split, leave_one_out_split
from lib.experiments.fits import fitting
from lib.experiments.gc_arms import Arm, build_arms
from lib.experiments.real_assays import Assays, activity_at_depth, shared_rows
from lib.study.units import Unit
from lib.training.config import FitConfig

MODEL = "cnn"
TRAINED_FACTOR = 1 / 16  # of the reads, in the network trained on thinned labels
POOLS = (("WT", "Rhom"), ("WT", "Ehet"))
ARMS = (
    *("retina", "origin", "batch", "design", "weighted", "depth"),
    *("genotype", "pooled", "plant", "noise", "gc"),
)
GC_ARMS = ("group", "tilt", "tail", "placebo", "species")
PROMOTER, GENOTYPE = "rho", "WT"  # what the networks of the genotype shift are trained on


class Plan(NamedTuple):
    """How much is fitted.

    Attributes
    ----------
    split_seeds : tuple of int
    seeds : tuple of int
        Members of the retina ensemble.
    epochs : int
    arms : tuple of str
        Out of :data:`ARMS`.
    targets : tuple of str
        Networks of the arm ``genotype``, such as ``rho WT``; empty for all of them.
    device : str
    """

    split_seeds: tuple[int, ...]
    seeds: tuple[int, ...]
    epochs: int
    arms: tuple[str, ...]
    targets: tuple[str, ...] = ()
    device: str = "auto"


class Network(NamedTuple):
    """One network to fit.

    Attributes
    ----------
    arm : str
        See the module's head.
    condition : str
        Which of the arm: a library, a genotype on a promoter, a tissue; empty for one alone.
    split : Split
        Its ``seed`` tells repeats apart.
    data : SequenceDataset
    config : FitConfig
    """

    arm: str
    condition: str
    data: SequenceDataset
    split: Split
    config: FitConfig

    @property
    def unit(self) -> Unit:
        """The unit that fits it."""
        return fitting(self.config, self.data, self.split)


def restricted(split: Split, name: str, chosen: NDArray[np.bool_]) -> Split:
    """``split`` with only the chosen rows in the parts that are trained or calibrated on.

    Raises
    ------
    ValueError
        If a part is left empty.
    """
    parts = {
        part: rows if part == "test" else rows[chosen[rows]] for part, rows in split.parts.items()
    }
    return Split(name, split.seed, parts)


def retina_split(group: IndexArray, library: NDArray, first: Sequence[str], seed: int) -> Split:
    """Whole groups at random; only the first libraries train, all of them are tested on.

    Parameters
    ----------
    group : (n,) int64 array
    library : (n,) array of str
    first : sequence of str
    seed : int
    """
    return restricted(group_split(group, seed), "retina", np.isin(library, first))


def noise_weight(noise_std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight 1 / (σ² + median σ²), of mean 1: the median floors what replicates underestimate.

    Examples
    --------
    >>> noise_weight(np.array([1.0, 1.0, 1.0])).tolist()
    [1.0, 1.0, 1.0]
    """
    variance = noise_std**2
    weight = 1 / (variance + np.median(variance))
    return weight / weight.mean()


def batch_library(first: Sequence[str], seed: int) -> str:
    """The library left out in a split."""
    return first[seed % len(first)]


def _retina_networks(assays: Assays, plan: Plan) -> Iterator[Network]:
    data = assays.retina
    library = data.metadata["library"].to_numpy(str)
    genomic = (data.metadata["design"] == "genomic").to_numpy()
    origin = replace(data, group=data.metadata["group_origin"].to_numpy(np.int64))
    assert data.noise_std is not None
    weighted = replace(data, weight=noise_weight(data.noise_std))
    shallow, measured = thinned_labels(assays, TRAINED_FACTOR)
    for seed in plan.split_seeds:
        split = retina_split(data.group, library, assays.first, seed)
        left = batch_library(assays.first, seed)
        for member in plan.seeds:
            yield _network("retina", "", data, split, plan, member)
        by_origin = retina_split(origin.group, library, assays.first, seed)
        yield _network("origin", "", origin, by_origin, plan)
        without = restricted(split, f"without_library_{left}", library != left)
        yield _network("batch", left, data, without, plan)
        yield _network("design", "", data, restricted(split, "genomic", genomic), plan)
        yield _network("weighted", "", weighted, split, plan)
        yield _network("depth", "", shallow, restricted(split, "thinned", measured), plan)


def thinned_labels(assays: Assays, factor: float) -> tuple[SequenceDataset, NDArray[np.bool_]]:
    """The retina rows with labels at a lower depth, and which rows still have one.

    Rows without keep their label, so that row numbers stay; no part may hold them.
    """
    again = activity_at_depth(assays, factor, "joint")
    measured = np.isfinite(again)
    activity = np.where(measured, again, assays.retina.activity)
    return replace(assays.retina, activity=activity), measured


def quantified(assays: Assays) -> IndexArray:
    """Elements with a mean above 0 in every genotype on every promoter."""
    every = np.stack([assay.quantified for assay in assays.genotypes.values()])
    return np.flatnonzero(every.all(axis=0))


def genotype_data(assay: GenotypeAssay, genotype: str, rows: IndexArray) -> SequenceDataset:
    """One genotype's data set over the chosen elements."""
    return assay.dataset(genotype).take(rows)


def _genotype_networks(assays: Assays, plan: Plan) -> Iterator[Network]:
    rows = quantified(assays)
    for promoter, assay in assays.genotypes.items():
        for genotype in assay.genotypes:
            data = genotype_data(assay, genotype, rows)
            for seed in plan.split_seeds:
                split = group_split(data.group, seed)
                yield _network("genotype", f"{promoter} {genotype}", data, split, plan)
    assay = assays.genotypes[PROMOTER]
    for pool in POOLS:
        data = _pooled([genotype_data(assay, genotype, rows) for genotype in pool])
        for seed in plan.split_seeds:
            alone = group_split(data.group[: len(rows)], seed)
            both = {part: np.concatenate([alone[part], alone[part] + len(rows)]) for part in PARTS}
            yield _network("pooled", " + ".join(pool), data, Split("pooled", seed, both), plan)


def _pooled(data: Sequence[SequenceDataset]) -> SequenceDataset:
    """Data sets over the same elements below each other."""
    return replace(
        data[0],
        codes=np.concatenate([each.codes for each in data]),
        activity=np.concatenate([each.activity for each in data]),
        group=np.concatenate([each.group for each in data]),
        metadata=data[0].metadata.iloc[:0, :0],
    )


def _plant_networks(assays: Assays, plan: Plan) -> Iterator[Network]:
    for tissue, data in assays.plant.items():
        (other,) = (each for name, each in assays.plant.items() if name != tissue)
        labels = np.where(shared_rows(data, other), "shared", "own")
        for seed in plan.split_seeds:
            split = leave_one_out_split(labels, "shared", data.group, seed)
            yield _network("plant", tissue, data, split, plan)


def _noisy_networks(assays: Assays, plan: Plan) -> Iterator[Network]:
    data = assays.retina
    library = data.metadata["library"].to_numpy(str)
    for seed in plan.split_seeds:
        split = group_split(data.group, seed)
        for name in assays.noisy:
            alone = restricted(split, f"library_{name}", library == name)
            yield _network("noise", name, data, alone, plan)


def _network(
    arm: str, condition: str, data: SequenceDataset, split: Split, plan: Plan, member: int = 0
) -> Network:
    config = FitConfig(
        model=MODEL,
        epochs=plan.epochs,
        seed=member,
        device=plan.device,
        reverse_complement=not data.oriented,
    )
    return Network(arm, condition, data, split, config)


def networks(assays: Assays, plan: Plan) -> list[Network]:
    """The wanted networks on the retina libraries, the genotypes and the plant promoters."""
    every = chain(
        _retina_networks(assays, plan),
        _genotype_networks(assays, plan),
        _plant_networks(assays, plan),
        _noisy_networks(assays, plan),
    )
    return [
        network
        for network in every
        if network.arm in plan.arms
        and (network.arm != "genotype" or not plan.targets or network.condition in plan.targets)
    ]


def gc_networks(
    data: Sequence[SequenceDataset],
    fit: FitConfig,
    split_seeds: Sequence[int],
    quantile: float,
    tilts: Sequence[float],
) -> list[tuple[Network, Arm]]:
    """The first network of each arm of the GC experiment, fitted as there.

    Parameters
    ----------
    data : sequence of SequenceDataset
    fit : FitConfig
        Of notebook 02, for both strands.
    split_seeds : sequence of int
    quantile, tilts
        See :func:`lib.experiments.gc_arms.build_arms`.
    """
    found = []
    for assay in data:
        config = fit.model_copy(update={"reverse_complement": not assay.oriented})
        for seed in split_seeds:
            for arm in build_arms(assay, GC_ARMS, quantile, tilts, seed):
                name = arm.split.name
                found.append((Network("gc", name, assay, arm.split, config), arm))
    return found

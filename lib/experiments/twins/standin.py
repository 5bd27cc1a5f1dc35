"""Stand-in for the real assays of the shifts in assay and program, made by the simulator.

In: a size. Out: :class:`lib.experiments.twins.assays.Assays` in which a batch is a gain and an
offset, a genotype a rewired program, a promoter another program, and a noisy library a shallow one.
It shows that the code runs and says nothing about any real assay.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from lib.arrays import FloatArray
from lib.assays.counts import BarcodeCounts, Thresholds, activities
from lib.assays.genotypes import GENOTYPES, PROMOTERS, GenotypeAssay
from lib.data.dataset import SequenceDataset
from lib.experiments.twins.assays import Assays
from lib.simulator import Shift, World, draw_world, simulate

LIBRARIES = ("1", "2", "9a")
REWIRING = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)  # dial of each genotype's program
DESIGNS = ("genomic", "mutant", "designed")
BARCODES, REPLICATES, BASAL = 2, 3, 6
DEPTH = {"1": 1500.0, "2": 800.0, "9a": 120.0}
MOVED = {"1": (1.0, 0.0), "2": (0.9, 0.4), "9a": (1.0, 0.0)}  # gain and offset of a library
SHARED = 5  # one in so many plant promoters is measured in both tissues


def standin_assays(n: int = 900, seed: int = 0) -> Assays:
    """Simulated assays of about ``n`` elements each; below 300 parts are too small to judge."""
    world = draw_world(seed)
    retina, counts = _libraries(world, n, seed)
    return Assays(
        retina=retina,
        counts=counts,
        thresholds=Thresholds(max_rna_cv=2.0),
        fallback=(),
        genotypes=_genotypes(world, n, seed),
        plant=_tissues(world, n, seed),
        motifs=tuple(world.program.motifs),
        first=LIBRARIES[:2],
        noisy=LIBRARIES[2:],
        standin=True,
    )


def _counts(label: list[str], activity: FloatArray, depth: float, seed: int) -> BarcodeCounts:
    rng = np.random.default_rng([seed, 5])
    names = np.repeat(np.array([*label, *["BASAL"] * BASAL], object), BARCODES)
    level = np.repeat(np.append(activity, np.zeros(BASAL)), BARCODES)
    dna = rng.poisson(depth * rng.lognormal(0, 0.3, len(names))) + 60
    mean = 0.2 * dna * 2.0**level
    spread = rng.lognormal(0, 0.15, (len(names), REPLICATES))
    return BarcodeCounts(names, dna, rng.poisson(mean[:, None] * spread))


def _libraries(world: World, n: int, seed: int) -> tuple[SequenceDataset, dict[str, BarcodeCounts]]:
    data = simulate(world, n, seed, name="retina_libraries")
    assert data.truth is not None
    label = [f"chr1-{index}-{index + 200}_CPPP_WT" for index in range(n)]
    design = np.array(DESIGNS)[np.arange(n) % len(DESIGNS)]
    rng = np.random.default_rng([seed, 6])
    frames, counts = [], {}
    for library in LIBRARIES:
        # A third of the elements stands in each pair of libraries.
        rows = np.flatnonzero(rng.random(n) < 0.6)
        gain, offset = MOVED[library]
        activity = gain * data.truth.activity[rows] + offset
        counts[library] = _counts(
            [label[row] for row in rows], activity, DEPTH[library], seed + ord(library[0])
        )
        frame = activities(counts[library], Thresholds(max_rna_cv=2.0)).frame
        frame = frame[frame["label"] != "BASAL"]
        frames.append(frame.assign(library=library))
    table = pd.concat(frames, ignore_index=True)
    row = pd.Index(label).get_indexer(pd.Index(table["label"]))
    table["origin"] = table["label"].str.split("_").str[0]
    table = table.assign(design=design[row], group_origin=row)
    metadata = table.drop(columns=["activity", "noise_std"])
    libraries = SequenceDataset(
        name="retina_libraries",
        codes=data.codes[row],
        activity=table["activity"].to_numpy(float),
        group=row.astype(np.int64),
        noise_std=table["noise_std"].to_numpy(float),
        metadata=metadata,
    )
    return libraries, counts


def _genotypes(world: World, n: int, seed: int) -> dict[str, GenotypeAssay]:
    kinds = np.array(["wildtype", "allCrxSites"])[np.arange(n) % 2]
    kinds[: max(12, n // 20)] = "scrambled"
    peak = np.array([f"peak{index // 2}" for index in range(n)], object)
    found: dict[str, GenotypeAssay] = {}
    for promoter in PROMOTERS:
        other = (Shift("cell_type", 0.5),) if promoter != PROMOTERS[0] else ()
        samples = [
            simulate(world, n, seed + 1, shift=(*other, Shift("effect_rewiring", dial)))
            for dial in REWIRING
        ]
        truths = [sample.truth for sample in samples if sample.truth is not None]
        error = np.stack([truth.std for truth in truths], axis=1)
        # Samples of one seed share their errors, measurements of two genotypes do not.
        rng = np.random.default_rng([seed, 7, len(found)])
        activity = np.stack([truth.mean for truth in truths], axis=1)
        found[promoter] = GenotypeAssay(
            genotypes=GENOTYPES,
            codes=samples[0].codes,
            activity=activity + error * rng.normal(size=error.shape),
            censored=np.zeros((n, len(GENOTYPES)), bool),
            se_barcodes=error,
            basal=np.ones(len(GENOTYPES)),
            group=np.arange(n) // 2,
            metadata=pd.DataFrame(
                {"library_id": np.arange(n).astype(str), "variant_type": kinds, "peak": peak}
            ),
        )
    return found


def _tissues(world: World, n: int, seed: int) -> dict[str, SequenceDataset]:
    leaf = simulate(world, n, seed + 2, name="plant_leaf")
    proto = simulate(world, n, seed + 2, shift=Shift("cell_type", 0.5), name="plant_proto")
    both = np.arange(n) % SHARED == 0
    parts = {"leaf": (leaf, np.arange(n) % 2 == 0), "proto": (proto, np.arange(n) % 2 == 1)}
    return {
        name: replace(data, truth=None, oriented=True, group=np.arange(n)).take(
            np.flatnonzero(both | own)
        )
        for name, (data, own) in parts.items()
    }

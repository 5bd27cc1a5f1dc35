"""One MPRA library in retinas of six genotypes and on two promoters (Shepherdson et al. 2024).

In: ``retinopathy_data.parquet`` (mean and s.d. of RNA/DNA over observations) and the elements'
sequences. Out: a :class:`GenotypeAssay` per promoter: the same elements, one column per genotype.

Activity is log2((mean + ε) / (BASAL of that genotype + ε)) with one ε fixed beforehand for all
genotypes: means of 0 occur, are not missing at random, and are kept as left-censored. The published
``activity_mu`` is not used: it is not over BASAL, and lower where the noise is larger.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.arrays import BoolArray, FloatArray, IndexArray
from lib.assays.sources import fetch
from lib.data.dataset import SequenceDataset
from lib.data.leakage import leak_groups
from lib.data.reading import read_table
from lib.sequences import Codes, encode

MEASUREMENTS_PATH = "Data/Downloaded/retinopathy_data.parquet"
ELEMENTS_PATH = "Library_Details/library_metadata.tsv"
PROMOTERS = ("rho", "hsp68")
GENOTYPES = ("WT", "Rhet", "Ehet", "Rhom", "CrxKO", "Ehom")
BASAL = "basal"
EPSILON = 0.002  # RNA/DNA; a 1 % to 5 % quantile of the means above 0 in most genotypes
REPLICATES = 3  # observations of one barcode; every n_observations is a multiple of it
_MEASURED = ["activity_mean", "activity_std", "n_observations"]


@dataclass(frozen=True, eq=False)
class GenotypeAssay:
    """Activities of n elements in g genotypes on one promoter.

    Attributes
    ----------
    genotypes : tuple of str, length g
    codes : (n, L) uint8 array
    activity : (n, g) float64 array
        Log2 over BASAL of the same genotype.
    censored : (n, g) bool array
        True where the mean was 0, so that ``activity`` is an upper limit.
    se_barcodes : (n, g) float64 array
        Standard error of ``activity`` if only barcodes are independent, not every observation: an
        upper bound. NaN where censored.
    basal : (g,) float64 array
        Mean RNA/DNA of the BASAL promoter.
    group : (n,) int64 array
        Leak groups: elements of one peak, or of peaks that share a 20-mer.
    metadata : DataFrame with n rows
        ``library_id``, ``variant_type``, ``peak`` (the element's own id where it has no peak).
    epsilon : float
    """

    genotypes: tuple[str, ...]
    codes: Codes
    activity: FloatArray
    censored: BoolArray
    se_barcodes: FloatArray
    basal: FloatArray
    group: IndexArray
    metadata: pd.DataFrame
    epsilon: float = EPSILON

    @property
    def quantified(self) -> BoolArray:
        """(n,) True where no genotype is censored."""
        return np.logical_not(np.any(self.censored, axis=1))

    def column(self, genotype: str) -> int:
        """Column of a genotype; a ``ValueError`` names those measured."""
        if genotype not in self.genotypes:
            raise ValueError(f"genotype is {genotype!r}; known are {', '.join(self.genotypes)}")
        return self.genotypes.index(genotype)

    def dataset(self, genotype: str) -> SequenceDataset:
        """One genotype as a data set, not oriented, of all n rows.

        ``metadata`` adds ``se_barcodes``, which stand there and not in ``noise_std`` since they are
        unknown for censored rows.
        """
        column = self.column(genotype)
        known = self.metadata.assign(se_barcodes=self.se_barcodes[:, column])
        own = self.codes, self.activity[:, column], self.group
        return SequenceDataset("retina_genotypes", *own, metadata=known)

    def site_pairs(self) -> tuple[IndexArray, IndexArray]:
        """Rows of peaks measured intact and with all CRX sites mutated, in the same order."""
        kind = self.metadata["variant_type"].to_numpy(str)
        peak = self.metadata["peak"].to_numpy(str)
        intact = {peak[row]: row for row in np.flatnonzero(kind == "wildtype")}
        mutated = {peak[row]: row for row in np.flatnonzero(kind == "allCrxSites")}
        both = sorted(intact.keys() & mutated.keys())
        pairs = np.array([(intact[name], mutated[name]) for name in both], np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]


def genotype_assay(
    measurements: pd.DataFrame, elements: pd.DataFrame, promoter: str, epsilon: float = EPSILON
) -> GenotypeAssay:
    """Put measurements of one promoter into the units above.

    ``measurements`` has one row per element and genotype; of ``elements`` one is ``basal``, and the
    others keep their order. ``epsilon`` is added to every mean, in RNA/DNA. Raises ``ValueError``
    if the promoter is unknown.
    """
    if promoter not in PROMOTERS:
        raise ValueError(f"promoter is {promoter!r}; known are {', '.join(PROMOTERS)}")
    own = measurements[measurements["library"] == promoter].astype({"library_id": str})
    own = own.set_index(["library_id", "genotype"])[_MEASURED].astype(np.float64)
    ids = pd.Index(elements["library_id"].astype(str))
    cells = own.loc[pd.MultiIndex.from_product([ids, GENOTYPES])].to_numpy()
    tables = cells.reshape(len(ids), len(GENOTYPES), len(_MEASURED))
    kept = np.asarray(ids != BASAL)
    basal = tables[~kept][0, :, 0]
    mean, spread, n = np.moveaxis(tables[kept], 2, 0)
    error = spread / (mean + epsilon) / np.log(2) / np.sqrt(n / REPLICATES)  # delta method
    elements = elements[kept].reset_index(drop=True)
    codes = encode(elements["CRE_sequence"].astype(str).tolist())
    labels = elements["library_id"].astype(str)
    peak = elements["chip_peak_id"].fillna("").astype(str).replace("nan", "")
    peak = peak.where(peak != "", labels)
    return GenotypeAssay(
        genotypes=GENOTYPES,
        codes=codes,
        activity=np.log2((mean + epsilon) / (basal + epsilon)),
        censored=mean == 0,
        se_barcodes=np.where(mean == 0, np.nan, error),
        basal=basal,
        group=leak_groups(codes, parents=peak.to_numpy(str)),
        metadata=pd.DataFrame(
            {"library_id": labels, "variant_type": elements["variant_type"], "peak": peak}
        ),
        epsilon=epsilon,
    )


def load(promoter: str = "rho") -> GenotypeAssay:
    """The published measurements of one promoter; errors as :func:`genotype_assay` says."""
    measurements = read_table(fetch("retina", MEASUREMENTS_PATH))
    return genotype_assay(measurements, read_table(fetch("retina", ELEMENTS_PATH)), promoter)


def load_dataset(promoter: str = "rho", genotype: str = "WT") -> SequenceDataset:
    """One genotype on one promoter as a data set; see :meth:`GenotypeAssay.dataset`."""
    return load(promoter).dataset(genotype)

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
from numpy.typing import ArrayLike, NDArray

from lib.arrays import FloatArray, IndexArray
from lib.assays.sources import fetch
from lib.data.dataset import SequenceDataset
from lib.data.reading import read_table, require_columns
from lib.data.relatives import leak_groups
from lib.data.table import numbers
from lib.sequences import Codes, encode

MEASUREMENTS_PATH = "Data/Downloaded/retinopathy_data.parquet"
ELEMENTS_PATH = "Library_Details/library_metadata.tsv"
PROMOTERS = ("rho", "hsp68")
GENOTYPES = ("WT", "Rhet", "Ehet", "Rhom", "CrxKO", "Ehom")
BASAL = "basal"
EPSILON = 0.002  # RNA/DNA; a 1 % to 5 % quantile of the means above 0 in most genotypes
REPLICATES = 3  # observations of one barcode; every n_observations is a multiple of it
_MEASURED = ["library", "genotype", "library_id", "activity_mean", "activity_std", "n_observations"]
_DESCRIBED = ["library_id", "variant_type", "chip_peak_id", "CRE_sequence"]


@dataclass(frozen=True, eq=False)
class GenotypeAssay:
    """Activities of n elements in g genotypes on one promoter.

    Attributes
    ----------
    promoter : str
    genotypes : tuple of str, length g
    codes : (n, L) uint8 array
    activity : (n, g) float64 array
        Log2 over BASAL of the same genotype.
    censored : (n, g) bool array
        True where the mean was 0, so that ``activity`` is an upper limit.
    se_observations, se_barcodes : (n, g) float64 arrays
        Standard error of ``activity`` if observations, or only barcodes, are independent: a lower
        and an upper bound. NaN where censored.
    basal : (g,) float64 array
        Mean RNA/DNA of the BASAL promoter.
    group : (n,) int64 array
        Leak groups: elements of one peak, or of peaks that share a 20-mer.
    metadata : DataFrame with n rows
        ``library_id``, ``variant_type``, ``peak`` (the element's own id where it has no peak).
    epsilon : float
    """

    promoter: str
    genotypes: tuple[str, ...]
    codes: Codes
    activity: FloatArray
    censored: NDArray[np.bool_]
    se_observations: FloatArray
    se_barcodes: FloatArray
    basal: FloatArray
    group: IndexArray
    metadata: pd.DataFrame
    epsilon: float

    @property
    def quantified(self) -> NDArray[np.bool_]:
        """(n,) True where no genotype is censored."""
        return np.logical_not(np.any(self.censored, axis=1))

    def column(self, genotype: str) -> int:
        """Column of a genotype.

        Raises
        ------
        ValueError
            If the genotype was not measured; the measured ones are named.
        """
        if genotype not in self.genotypes:
            raise ValueError(f"genotype is {genotype!r}; known are {', '.join(self.genotypes)}")
        return self.genotypes.index(genotype)

    def dataset(self, genotype: str) -> SequenceDataset:
        """One genotype as a data set.

        Returns
        -------
        SequenceDataset
            Not oriented, all n rows. ``metadata`` adds ``genotype``, ``promoter``, ``censored``,
            ``quantified`` (in all genotypes), ``se_observations`` and ``se_barcodes``; the errors
            stand there and not in ``noise_std`` since they are unknown for censored rows.

        Raises
        ------
        ValueError
            If the genotype was not measured.
        """
        column = self.column(genotype)
        return SequenceDataset(
            name="retina_genotypes",
            codes=self.codes,
            activity=self.activity[:, column],
            group=self.group,
            unit="log2 RNA/DNA over BASAL",
            metadata=self.metadata.assign(
                genotype=genotype,
                promoter=self.promoter,
                censored=self.censored[:, column],
                quantified=self.quantified,
                se_observations=self.se_observations[:, column],
                se_barcodes=self.se_barcodes[:, column],
            ),
        )

    def site_pairs(self) -> tuple[IndexArray, IndexArray]:
        """Rows of peaks measured intact and with all CRX sites mutated, in the same order."""
        kind = self.metadata["variant_type"].to_numpy(str)
        peak = self.metadata["peak"].to_numpy(str)
        intact = {peak[row]: row for row in np.flatnonzero(kind == "wildtype")}
        mutated = {peak[row]: row for row in np.flatnonzero(kind == "allCrxSites")}
        both = sorted(intact.keys() & mutated.keys())
        return (
            np.array([intact[name] for name in both], np.int64),
            np.array([mutated[name] for name in both], np.int64),
        )


def _pivot(frame: pd.DataFrame, ids: pd.Index, promoter: str) -> dict[str, FloatArray]:
    """Elements by genotypes for each measured quantity."""
    key = frame["library_id"].astype(str) + "\t" + frame["genotype"].astype(str)
    if key.duplicated().any():
        again = key[key.duplicated()].iloc[0].replace("\t", " in ")
        raise ValueError(f"promoter {promoter!r} has two measurements of {again}")
    row = ids.get_indexer(pd.Index(frame["library_id"].astype(str)))
    if (row < 0).any():
        unknown = frame["library_id"].iloc[int(np.argmax(row < 0))]
        raise ValueError(f"element {unknown!r} is measured but has no sequence")
    column = pd.Index(GENOTYPES).get_indexer(pd.Index(frame["genotype"].astype(str)))
    tables = {}
    for name in _MEASURED[3:]:
        table = np.full((len(ids), len(GENOTYPES)), np.nan)
        table[row, column] = numbers(frame[name], name, positive=name == "n_observations")
        if np.isnan(table).any():
            at, genotype = (int(index) for index in np.argwhere(np.isnan(table))[0])
            raise ValueError(
                f"element {ids[at]!r} has no {name} in genotype {GENOTYPES[genotype]} on {promoter}"
            )
        if (table < 0).any():
            at, genotype = (int(index) for index in np.argwhere(table < 0)[0])
            raise ValueError(
                f"element {ids[at]!r} has {name} {table[at, genotype]:g} in genotype "
                f"{GENOTYPES[genotype]}; it must not be negative"
            )
        tables[name] = table
    return tables


def genotype_assay(
    measurements: pd.DataFrame, elements: pd.DataFrame, promoter: str, epsilon: float = EPSILON
) -> GenotypeAssay:
    """Put measurements of one promoter into the units above.

    Parameters
    ----------
    measurements : DataFrame
        ``library`` (promoter), ``genotype``, ``library_id``, ``activity_mean``, ``activity_std``,
        ``n_observations``: one row per element and genotype.
    elements : DataFrame
        ``library_id``, ``variant_type``, ``chip_peak_id``, ``CRE_sequence``; one of them ``basal``.
    promoter : str
    epsilon : float
        Added to every mean; above 0, in RNA/DNA.

    Returns
    -------
    GenotypeAssay
        Elements in the order of ``elements``, without the BASAL promoter.

    Raises
    ------
    ValueError
        If the promoter or a genotype is unknown, an element is measured twice or not at all in a
        genotype, has no sequence, or a mean or s.d. is negative; if there is no BASAL.
    """
    require_columns(measurements, _MEASURED, "measurements")
    require_columns(elements, _DESCRIBED, "elements")
    if promoter not in PROMOTERS:
        raise ValueError(f"promoter is {promoter!r}; known are {', '.join(PROMOTERS)}")
    if not epsilon > 0:
        raise ValueError(
            f"epsilon is {epsilon}; it must be above 0, or means of 0 have no logarithm"
        )
    strange = set(measurements["genotype"].astype(str)) - set(GENOTYPES)
    if strange:
        raise ValueError(f"genotype is {min(strange)!r}; known are {', '.join(GENOTYPES)}")
    ids = pd.Index(elements["library_id"].astype(str))
    if ids.has_duplicates or BASAL not in ids:
        raise ValueError(f"elements must hold each library_id once, {BASAL!r} among them")
    tables = _pivot(measurements[measurements["library"].astype(str) == promoter], ids, promoter)
    mean, n = tables["activity_mean"], tables["n_observations"]
    at_basal = int(np.argmax(ids == BASAL))
    kept = np.flatnonzero(np.arange(len(ids)) != at_basal)
    basal = mean[at_basal]
    error = tables["activity_std"] / (mean + epsilon) / np.log(2)  # delta method
    error[mean == 0] = np.nan
    codes = encode(elements["CRE_sequence"].iloc[kept].astype(str).tolist())
    peak = elements["chip_peak_id"].fillna("").astype(str).replace("nan", "")
    peak = peak.where(peak != "", elements["library_id"].astype(str)).iloc[kept]
    return GenotypeAssay(
        promoter=promoter,
        genotypes=GENOTYPES,
        codes=codes,
        activity=np.log2((mean[kept] + epsilon) / (basal + epsilon)),
        censored=mean[kept] == 0,
        se_observations=(error / np.sqrt(n))[kept],
        se_barcodes=(error / np.sqrt(n / REPLICATES))[kept],
        basal=basal,
        group=leak_groups(codes, parents=peak.to_numpy(str)),
        metadata=pd.DataFrame(
            {
                "library_id": ids[kept],
                "variant_type": elements["variant_type"].iloc[kept].to_numpy(object),
                "peak": peak.to_numpy(object),
            }
        ),
        epsilon=epsilon,
    )


def load(promoter: str = "rho", epsilon: float = EPSILON) -> GenotypeAssay:
    """Read the published measurements of one promoter.

    Raises
    ------
    ValueError
        As :func:`genotype_assay` and :func:`lib.assays.sources.fetch` say.
    """
    measurements, _ = read_table(fetch("retina", MEASUREMENTS_PATH), _MEASURED)
    elements, _ = read_table(fetch("retina", ELEMENTS_PATH), _DESCRIBED, separator="\t")
    return genotype_assay(measurements, elements, promoter, epsilon)


def load_dataset(
    promoter: str = "rho", genotype: str = "WT", epsilon: float = EPSILON
) -> SequenceDataset:
    """One genotype on one promoter as a data set; see :meth:`GenotypeAssay.dataset`."""
    return load(promoter, epsilon).dataset(genotype)


def related_rows(
    codes: Codes, parents: ArrayLike, others: Codes, other_parents: ArrayLike
) -> NDArray[np.bool_]:
    """Rows with a relative among other sequences, by the rule of leak groups.

    Parameters
    ----------
    codes : (n, L) uint8 array
    parents : (n,) array
        Unit of descent: peak, origin.
    others : (m, L) uint8 array
        For example the training rows of another library.
    other_parents : (m,) array

    Returns
    -------
    (n,) bool array

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> word = "ACGTTGCAGATCCTAGGACT"
    >>> codes = encode([word + "A" * 10, "TGTCAGGCCATTAACCGGATCTACGATTGA"])
    >>> related_rows(codes, ["a", "b"], encode(["C" * 10 + word]), ["x"]).tolist()
    [True, False]
    """
    if codes.shape[1] != others.shape[1]:
        raise ValueError(f"codes has {codes.shape[1]} nt, others has {others.shape[1]}")
    names = [f"here {name}" for name in np.asarray(parents)]
    names += [f"there {name}" for name in np.asarray(other_parents)]
    group = leak_groups(np.concatenate([codes, others]), parents=names)
    return np.isin(group[: len(codes)], group[len(codes) :])

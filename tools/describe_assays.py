"""What each real assay holds: the numbers of the book's page on data.

In: the assays' files. Out: ``book/assays.csv``, a row per assay and measure. Nothing in it speaks
of a single element. ``python -m tools.describe_assays`` makes it again.
"""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict

from lib import assays
from lib.assays.genotypes import GENOTYPES, PROMOTERS
from lib.assays.genotypes import load as load_genotypes
from lib.assays.retina import LIBRARIES
from lib.data.dataset import SequenceDataset
from lib.data.leakage import strand_pairs
from lib.experiments.mpra_gc_ood import reliability
from lib.models.baselines import kmer_counts
from lib.study.config import repository_root
from lib.study.results import write_atomic

TABLE = Path("book") / "assays.csv"


def replicates(activity: np.ndarray, error: np.ndarray) -> float:
    """Share of the variance that the standard errors between replicates leave to the signal.

    >>> replicates(np.array([0.0, 2.0]), np.array([0.5, 0.5]))  # 1 - .25 / 1
    0.75
    """
    known = np.isfinite(error)
    return float(1 - np.mean(error[known] ** 2) / activity[known].var())


def facts(data: SequenceDataset) -> dict[str, float]:
    """Size, GC content, relatives and what the loader dropped."""
    size = np.unique(data.group, return_counts=True)[1]
    found: dict[str, float] = {"elements": len(data), "length": data.codes.shape[1]}
    found |= {f"gc_{q:02d}": float(np.quantile(data.gc, q / 100)) for q in (5, 50, 95)}
    found |= {"groups": len(size), "largest": int(size.max())}
    dropped = {what.removesuffix(" dropped"): count for what, count in data.repairs.items()}
    return found | {f"dropped: {what}": count for what, count in dropped.items() if count}


def between_libraries(data: SequenceDataset) -> float:
    """Correlation of elements measured in two libraries, every pair of libraries alike."""
    table = data.metadata.assign(activity=data.activity)
    wide = table.pivot_table(index="label", columns="library", values="activity", observed=True)
    pairs = [wide[[a, b]].dropna().to_numpy() for a, b in combinations(wide.columns, 2)]
    return float(np.corrcoef(np.concatenate([own for own in pairs if len(own)]).T)[0, 1])


def by_strand(data: SequenceDataset) -> float:
    """Correlation of what two orientations of an element differ by with its forecast, over folds.

    By ridge regression on how much more often each 5-mer is read on one strand than on the other.
    """
    pairs = np.array(strand_pairs(data.codes))
    gap = np.subtract(*data.activity[pairs])
    here, there = (kmer_counts(data.codes[rows], 5, oriented=True).toarray() for rows in pairs)
    ridge, held = RidgeCV(np.logspace(1, 5, 9), fit_intercept=False), GroupKFold(10)
    told = cross_val_predict(ridge, here - there, gap, groups=data.group[pairs[0]], cv=held)
    return float(np.corrcoef(told, gap)[0, 1])


def described() -> pd.DataFrame:
    """Every assay that a published page uses."""
    rows = {name: facts(assays.load(name)) for name in ("wtc11", "plant_leaf", "plant_proto")}
    wtc11 = assays.load("wtc11")
    more = {"reliability": reliability(wtc11)["reliability"], "strand": by_strand(wtc11)}
    rows["wtc11"] |= more
    libraries = assays.load("retina_libraries", libraries=LIBRARIES)
    own = facts(libraries) | {"reliability": between_libraries(libraries)}
    rows["retina_libraries"] = own
    for promoter in PROMOTERS:
        assay = load_genotypes(promoter)
        own = facts(assay.dataset(GENOTYPES[0]))
        wild = assay.activity[:, 0], assay.se_barcodes[:, 0]
        own |= {"reliability": replicates(*wild), "censored": int(assay.censored.any(axis=1).sum())}
        rows[f"retina_genotypes {promoter}"] = own
    return pd.DataFrame(
        [(name, what, value) for name, own in rows.items() for what, value in own.items()],
        columns=["data", "measure", "value"],
    )


if __name__ == "__main__":
    write_atomic(repository_root() / TABLE, described().to_csv(index=False, float_format="%.6g"))

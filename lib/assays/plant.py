"""STARR-seq of plant core promoters (Jores et al. 2021, doi:10.1038/s41477-021-00932-y).

In: ``CNN_test_<tissue>.tsv`` (170 nt, log2 enrichment) and the authors' predictions on these rows.
Out: an oriented data set per tissue, and the predictions in its row order as a reference model.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.arrays import FloatArray
from lib.assays.sources import fetch
from lib.data.dataset import SequenceDataset
from lib.data.reading import read_table
from lib.data.table import dataset_from_frame, numbers

TISSUES = {"leaf": "tobacco leaves", "proto": "maize protoplasts"}
TIE = 1e-9  # log2; the two files print the same number with different last digits


class ReferencePredictions(NamedTuple):
    """The authors' predictions, aligned to a data set's rows.

    Attributes
    ----------
    mean : (n,) float64 array
        Predicted log2 enrichment. No standard deviation was published.
    ambiguous : (n,) bool array
        True where rows of one species have the same enrichment, so that the published table does
        not say which prediction belongs to which of them. Scores over all rows or over a species do
        not depend on the choice; scores by GC do.
    """

    mean: FloatArray
    ambiguous: NDArray[np.bool_]


def paths(tissue: str) -> tuple[str, str]:
    """Upstream paths of a tissue's measurements and of the authors' predictions on them.

    Raises
    ------
    ValueError
        If there is no such tissue.
    """
    if tissue not in TISSUES:
        raise ValueError(f"tissue is {tissue!r}; known are {', '.join(TISSUES)}")
    return f"CNN/CNN_test_{tissue}.tsv", f"CNN/CNN_test_{tissue}_pred.tsv"


def load(tissue: str) -> SequenceDataset:
    """Read one tissue's promoters.

    Returns
    -------
    SequenceDataset
        ``plant_<tissue>``, oriented, 170 nt. ``metadata``: ``set``, ``sp`` (At, Zm, Sb), ``gene``.

    Raises
    ------
    ValueError
        If there is no such tissue, and as :func:`lib.assays.sources.fetch` says.
    """
    columns = ["set", "sp", "gene", "sequence", "enrichment"]
    frame, repairs = read_table(fetch("plant", paths(tissue)[0]), columns, separator="\t")
    return dataset_from_frame(
        frame[columns],
        name=f"plant_{tissue}",
        activity_column="enrichment",
        oriented=True,
        unit="log2 enrichment",
        repairs=repairs,
    )


def align_predictions(
    species: pd.Series, activity: FloatArray, table: pd.DataFrame
) -> ReferencePredictions:
    """Put published predictions into a data set's row order.

    The published table has no ids: rows are matched by species and measured enrichment.

    Parameters
    ----------
    species : (n,) Series of str
    activity : (n,) float array
        Log2 enrichment.
    table : DataFrame with n rows
        Columns ``sample.name`` (species), ``enrichment``, ``prediction``.

    Raises
    ------
    ValueError
        If the table does not hold the same species and enrichments.

    Examples
    --------
    >>> table = pd.DataFrame({"sample.name": ["At", "At"], "enrichment": [2.0, 1.0],
    ...                       "prediction": [2.5, 1.5]})
    >>> align_predictions(pd.Series(["At", "At"]), np.array([1.0, 2.0]), table).mean.tolist()
    [1.5, 2.5]
    """
    theirs = numbers(table["enrichment"], "enrichment")
    predicted = numbers(table["prediction"], "prediction")
    names, ours_id = np.unique(species.to_numpy(str), return_inverse=True)
    theirs_id = pd.Index(names).get_indexer(pd.Index(table["sample.name"].to_numpy(str)))
    ours_order = np.lexsort((activity, ours_id))
    theirs_order = np.lexsort((theirs, theirs_id))
    if (
        len(ours_order) != len(theirs_order)
        or (theirs_id[theirs_order] != ours_id[ours_order]).any()
    ):
        raise ValueError("the predictions' column 'sample.name' does not match the species here")
    gap = np.abs(theirs[theirs_order] - activity[ours_order])
    if (gap > TIE).any():
        row = int(ours_order[np.argmax(gap)])
        raise ValueError(
            f"row {row} ({species.iloc[row]}, enrichment {activity[row]}) has no counterpart "
            "in the predictions"
        )
    mean = np.empty(len(activity))
    mean[ours_order] = predicted[theirs_order]
    same = (np.diff(activity[ours_order]) <= TIE) & (np.diff(ours_id[ours_order]) == 0)
    ambiguous = np.zeros(len(activity), bool)
    ambiguous[ours_order] = np.append(same, False) | np.insert(same, 0, False)
    return ReferencePredictions(mean, ambiguous)


def reference_predictions(tissue: str) -> ReferencePredictions:
    """The authors' CNN predictions on the rows of :func:`load`, in their order.

    Their network was trained on ten times more promoters of the same species.

    Raises
    ------
    ValueError
        If there is no such tissue, and as :func:`lib.assays.sources.fetch` says.
    """
    measured, predicted = paths(tissue)
    frame, _ = read_table(fetch("plant", measured), ["sp", "enrichment"], separator="\t")
    columns = ["sample.name", "enrichment", "prediction"]
    table, _ = read_table(fetch("plant", predicted), columns, separator="\t")
    return align_predictions(frame["sp"], numbers(frame["enrichment"], "enrichment"), table)

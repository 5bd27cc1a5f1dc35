"""Assays that come as one table of sequences and activities: lentiMPRA and plant core promoters.

In: files of :mod:`lib.assays.sources`. Out: a data set each, and the plant authors' predictions in
the row order of theirs.

* lentiMPRA of HepG2, K562 and WTC11 cells (Agarwal et al. 2025, doi:10.1038/s41586-024-08430-9):
  the tutorial's part of WTC11, and ``<cell>_averaged.tsv``. The latter were not at hand when this
  was written: their reader is tested on written files only. It takes the columns ``seq`` and
  ``mean_value`` by name; where the header has other names it takes four or five columns in the
  order in which upstream's own code reads them: id, sequence, activity, fold, reverse.
* STARR-seq of plant core promoters (Jores et al. 2021, doi:10.1038/s41477-021-00932-y).
"""

from typing import Any

import numpy as np
import pandas as pd

from lib.arrays import FloatArray
from lib.assays.sources import fetch
from lib.data.cells import numbers
from lib.data.dataset import SequenceDataset
from lib.data.leakage import sequence_ids
from lib.data.reading import read_table
from lib.data.table import dataset_from_frame
from lib.sequences import canonical

PREFIX = "AGGACCGGATCAACT"  # adapters of lentiMPRA
SUFFIX = "CATTGCGTGAACCGA"
ELEMENT_LENGTH = 200
WTC11_PATHS = ("tutorial/dataset/WTC11_valid.tsv", "tutorial/dataset/WTC11_test.tsv")
TISSUES = ("leaf", "proto")  # tobacco leaves, maize protoplasts
TIE = 1e-9  # log2; the two plant files print the same number with different last digits
_BY_POSITION = ["seq_id", "seq", "mean_value", "fold_num", "rev"]


def _elements(frame: pd.DataFrame, name: str) -> SequenceDataset:
    """A lentiMPRA table with columns ``seq``, with or without both adapters, and ``mean_value``.

    ``metadata.element`` is one number per element, shared by its two orientations;
    ``metadata.strand`` is ``+`` where the row is the alphabetically first of them (which of them
    the genome has is not in the files).
    """
    bare = (frame["seq"].str.strip().str.len() == ELEMENT_LENGTH).all()
    adapters: Any = {} if bare else {"trim_prefix": PREFIX, "trim_suffix": SUFFIX}
    named: Any = {"sequence_column": "seq", "activity_column": "mean_value"}
    data = dataset_from_frame(frame, name=name, **named, **adapters)
    first = (canonical(data.codes) == data.codes).all(axis=1)
    data.metadata.insert(0, "element", sequence_ids(data.codes))
    data.metadata.insert(1, "strand", np.where(first, "+", "-"))
    return data


def load_wtc11() -> SequenceDataset:
    """Both files of the tutorial as one data set of 200 nt elements, most in both orientations.

    ``metadata``: ``element``, ``strand`` and ``file`` (``valid`` or ``test``, the authors' parts,
    which share relatives).
    """
    frames = []
    for path in WTC11_PATHS:
        frame = read_table(fetch("wtc11", path), ["seq", "mean_value"])
        frames.append(frame.assign(file=path.removesuffix(".tsv").rsplit("_", 1)[1]))
    return _elements(pd.concat(frames, ignore_index=True), "wtc11")


def load_lentimpra(cell: str) -> SequenceDataset:
    """The whole library of one cell line, as :func:`load_wtc11` gives its part.

    Raises
    ------
    ValueError
        If there are more columns than upstream reads, a row lacks an adapter, and as
        :mod:`lib.data.table` says.
    """
    frame = read_table(fetch("lentimpra", f"datasets/original/{cell}_averaged.tsv"))
    if not {"seq", "mean_value"} <= set(frame.columns):
        frame.columns = pd.Index(_BY_POSITION[: len(frame.columns)])
    return _elements(frame, f"lentimpra_{cell}")


def load_plant(tissue: str) -> SequenceDataset:
    """Promoters of 170 nt in one of :data:`TISSUES`, oriented, with their log2 enrichment.

    ``metadata``: ``set``, ``sp`` (At, Zm, Sb), ``gene``.
    """
    columns = ["set", "sp", "gene", "sequence", "enrichment"]
    frame = read_table(fetch("plant", f"CNN/CNN_test_{tissue}.tsv"), columns)[columns]
    kind: Any = {"activity_column": "enrichment", "oriented": True}
    return dataset_from_frame(frame, name=f"plant_{tissue}", **kind)


def align_predictions(species: pd.Series, activity: FloatArray, table: pd.DataFrame) -> FloatArray:
    """Put published predictions into a data set's row order, (n,) log2 enrichment.

    The published table (columns ``sample.name``, the species, ``enrichment``, ``prediction``) has
    no ids: its rows are matched by species and measured enrichment. Where rows of one species have
    the same enrichment, it does not say which prediction belongs to which of them: scores over all
    rows or over a species do not depend on the choice, scores by GC do.

    A ``ValueError``: If the table does not hold the same species and enrichments.

    Examples
    --------
    >>> table = pd.DataFrame({"sample.name": ["At", "At"], "enrichment": [2.0, 1.0],
    ...                       "prediction": [2.5, 1.5]})
    >>> align_predictions(pd.Series(["At", "At"]), np.array([1.0, 2.0]), table).tolist()
    [1.5, 2.5]
    """
    theirs = table.assign(**{c: numbers(table[c], c) for c in ("enrichment", "prediction")})
    theirs = theirs.sort_values(["sample.name", "enrichment"])
    ours = pd.DataFrame({"species": species.to_numpy(), "activity": activity})
    ours = ours.sort_values(["species", "activity"])
    if theirs["sample.name"].tolist() != ours["species"].tolist() or (
        np.abs(theirs["enrichment"].to_numpy() - ours["activity"].to_numpy()).max() > TIE
    ):
        raise ValueError("the predictions are of other species or enrichments than the data set")
    mean = np.empty(len(ours))
    mean[ours.index] = theirs["prediction"]
    return mean


def reference_predictions(tissue: str) -> FloatArray:
    """The authors' CNN predictions on the rows of :func:`load_plant`, in their order.

    Their network was trained on ten times more promoters of the same species.
    """
    frame = read_table(fetch("plant", f"CNN/CNN_test_{tissue}.tsv"), ["sp", "enrichment"])
    columns = ["sample.name", "enrichment", "prediction"]
    table = read_table(fetch("plant", f"CNN/CNN_test_{tissue}_pred.tsv"), columns)
    return align_predictions(frame["sp"], numbers(frame["enrichment"], "enrichment"), table)

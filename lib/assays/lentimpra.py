"""lentiMPRA of HepG2, K562 and WTC11 cells (Agarwal et al. 2025, doi:10.1038/s41586-024-08430-9).

In: the upstream ``<cell>_averaged.tsv``, pinned by git blob id. Out: data sets of 200 nt elements
with activity as log2 RNA/DNA. These files were not at hand when this was written: the reader is
tested on written files only. It takes the columns ``seq`` and ``mean_value`` by name; where the
header has other names it takes four or five columns in the order in which upstream's own code reads
them (``datamodule.py`` there): id, sequence, activity, fold, reverse.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.assays.sources import fetch
from lib.data.dataset import SequenceDataset
from lib.data.reading import read_table
from lib.data.relatives import sequence_ids
from lib.data.table import dataset_from_frame
from lib.sequences import canonical

CELLS = ("HepG2", "K562", "WTC11")
PREFIX = "AGGACCGGATCAACT"
SUFFIX = "CATTGCGTGAACCGA"
ELEMENT_LENGTH = 200
_BY_POSITION = ["seq_id", "seq", "mean_value", "fold_num", "rev"]


def averaged_path(cell: str) -> str:
    """Upstream path of one cell's averaged table."""
    if cell not in CELLS:
        raise ValueError(f"cell is {cell!r}; known are {', '.join(CELLS)}")
    return f"datasets/original/{cell}_averaged.tsv"


def dataset_of_elements(
    frame: pd.DataFrame, name: str, repairs: dict[str, int], adapters: bool = True
) -> SequenceDataset:
    """Trim, check and group a lentiMPRA table with columns ``seq`` and ``mean_value``.

    Parameters
    ----------
    frame : DataFrame with n rows
    name : str
    repairs : dict of str to int
        What was mended while reading.
    adapters : bool
        Whether every sequence still has both 15 nt adapters.

    Returns
    -------
    SequenceDataset
        Not oriented, 200 nt. ``metadata.element`` is one number per element, shared by its two
        orientations; ``metadata.strand`` is ``+`` where the row is the alphabetically first of the
        two orientations (which of them the genome has is not in the files).

    Raises
    ------
    ValueError
        If a row lacks an adapter or is not 200 nt long, and as :mod:`lib.data.table` says.
    """
    dataset = dataset_from_frame(
        frame,
        name=name,
        sequence_column="seq",
        activity_column="mean_value",
        trim_prefix=PREFIX if adapters else "",
        trim_suffix=SUFFIX if adapters else "",
        unit="log2 RNA/DNA",
        repairs=repairs,
    )
    if dataset.codes.shape[1] != ELEMENT_LENGTH:
        raise ValueError(
            f"{name}: elements have {dataset.codes.shape[1]} nt without adapters, "
            f"expected {ELEMENT_LENGTH}"
        )
    first = (canonical(dataset.codes) == dataset.codes).all(axis=1)
    dataset.metadata.insert(0, "element", sequence_ids(dataset.codes))
    dataset.metadata.insert(1, "strand", np.where(first, "+", "-"))
    return dataset


def read_averaged(path: Path, cell: str) -> SequenceDataset:
    """Read one ``<cell>_averaged.tsv``.

    Raises
    ------
    ValueError
        If the columns are neither named nor placed as upstream reads them, and as
        :func:`dataset_of_elements` says.
    """
    frame, repairs = read_table(path, separator="\t")
    if not {"seq", "mean_value"} <= set(frame.columns):
        if len(frame.columns) not in (4, 5):
            raise ValueError(
                f"{path} has neither the columns 'seq' and 'mean_value' nor four or five columns; "
                f"its columns: {', '.join(map(repr, frame.columns))}"
            )
        frame.columns = pd.Index(_BY_POSITION[: len(frame.columns)])
    bare = frame["seq"].astype(str).str.strip().str.len() == ELEMENT_LENGTH
    return dataset_of_elements(frame, f"lentimpra_{cell}", repairs, adapters=not bare.all())


def load(cell: str) -> SequenceDataset:
    """Fetch and read one cell's averaged table."""
    return read_averaged(fetch("lentimpra", averaged_path(cell)), cell)

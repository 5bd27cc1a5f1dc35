"""lentiMPRA of human WTC11 iPSC, the tutorial's part (Agarwal et al. 2025).

In: ``WTC11_valid.tsv`` and ``WTC11_test.tsv`` (230 nt with adapters, log2 RNA/DNA). Out: one data
set of 200 nt elements, most of them in both orientations.
"""

import pandas as pd

from lib.assays.lentimpra import dataset_of_elements
from lib.assays.sources import fetch
from lib.data.dataset import SequenceDataset
from lib.data.reading import read_table

PATHS = ("tutorial/dataset/WTC11_valid.tsv", "tutorial/dataset/WTC11_test.tsv")


def load() -> SequenceDataset:
    """Read both files as one data set.

    Returns
    -------
    SequenceDataset
        Not oriented. ``metadata``: ``element`` (shared by the two orientations of an element),
        ``strand``, ``file`` (``valid`` or ``test``, the authors' parts, which share relatives).

    Raises
    ------
    lib.assays.sources.DataUnavailable, lib.assays.sources.HashMismatch
        See :func:`lib.assays.sources.fetch`.
    """
    frames = []
    repairs: dict[str, int] = {}
    for path in PATHS:
        frame, mended = read_table(fetch("wtc11", path), ["seq", "mean_value"], separator="\t")
        part = path.removesuffix(".tsv").rsplit("_", 1)[1]
        frames.append(frame.assign(file=part))
        repairs = {key: repairs.get(key, 0) + mended.get(key, 0) for key in repairs | mended}
    return dataset_of_elements(pd.concat(frames, ignore_index=True), "wtc11", repairs)

"""Real assays by name.

In: a name of :func:`names`. Out: a :class:`~lib.datasets.SequenceDataset` with leak groups, read
from verified files (:mod:`lib.mpra.sources`). A table of one's own goes through
:func:`lib.mpra.table.load_table`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from lib.datasets import SequenceDataset
from lib.mpra import lentimpra, plant, sources, wtc11
from lib.mpra.sources import DataUnavailable, HashMismatch

__all__ = ["DataUnavailable", "HashMismatch", "available", "data_hashes", "load", "names"]


class _Assay(NamedTuple):
    load: Callable[[], SequenceDataset]
    dataset: str
    paths: tuple[str, ...]


_ASSAYS = (
    {"wtc11": _Assay(wtc11.load, "wtc11", wtc11.PATHS)}
    | {
        f"plant_{tissue}": _Assay(partial(plant.load, tissue), "plant", plant.paths(tissue))
        for tissue in plant.TISSUES
    }
    | {
        f"lentimpra_{cell}": _Assay(
            partial(lentimpra.load, cell), "lentimpra", (lentimpra.averaged_path(cell),)
        )
        for cell in lentimpra.CELLS
    }
)


def names() -> tuple[str, ...]:
    """Names that :func:`load` knows.

    Examples
    --------
    >>> "wtc11" in names()
    True
    """
    return tuple(_ASSAYS)


def _assay(name: str) -> _Assay:
    if name not in _ASSAYS:
        raise ValueError(f"data set {name!r} is not known; known are {', '.join(_ASSAYS)}")
    return _ASSAYS[name]


def load(name: str) -> SequenceDataset:
    """Load an assay, downloading its files where they are in no folder yet.

    Raises
    ------
    ValueError
        If the name is unknown, or a file is damaged (:class:`HashMismatch`).
    DataUnavailable
        If a file cannot be had; the message says how to get it.
    """
    return _assay(name).load()


def available(name: str) -> bool:
    """Whether all files of an assay can be had; downloads them where need be.

    Raises
    ------
    HashMismatch
        A damaged file is an error, not an absence.
    """
    assay = _assay(name)
    return sources.available(assay.dataset, assay.paths)


def data_hashes(name: str) -> dict[str, str]:
    """Path and hash of every file behind an assay, for a run's manifest."""
    assay = _assay(name)
    return sources.data_hashes(assay.dataset, assay.paths)

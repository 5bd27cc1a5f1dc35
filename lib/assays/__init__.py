"""Real assays by name.

In: a name of :func:`names`. Out: a :class:`~lib.data.dataset.SequenceDataset` with leak groups,
read from verified files (:mod:`lib.assays.sources`). A table of one's own goes through
:func:`lib.data.table.load_table`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from lib.assays import genotypes, lentimpra, plant, retina, sources, wtc11
from lib.assays.sources import DataUnavailable, HashMismatch
from lib.data.dataset import SequenceDataset

__all__ = ["DataUnavailable", "HashMismatch", "available", "data_hashes", "load", "names"]


class _Assay(NamedTuple):
    load: Callable[..., SequenceDataset]
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
    | {
        "retina_libraries": _Assay(retina.load, "retina", retina.paths()),
        "retina_genotypes": _Assay(
            genotypes.load_dataset,
            "retina",
            (genotypes.MEASUREMENTS_PATH, genotypes.ELEMENTS_PATH),
        ),
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


def load(name: str, **options: Any) -> SequenceDataset:
    """Load an assay, downloading its files where they are in no folder yet.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    **options
        For ``retina_libraries`` those of :func:`lib.assays.retina.load`, for ``retina_genotypes``
        those of :func:`lib.assays.genotypes.load_dataset`; the others have none.

    Raises
    ------
    ValueError
        If the name is unknown, or a file is damaged (:class:`HashMismatch`).
    DataUnavailable
        If a file cannot be had; the message says how to get it.
    """
    return _assay(name).load(**options)


def available(name: str) -> bool:
    """Whether all files of an assay, as loaded by default, can be had; downloads them if need be.

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

"""Real assays by name.

In: a name of :func:`names`. Out: a :class:`~lib.data.dataset.SequenceDataset` with leak groups,
read from verified files (:mod:`lib.assays.sources`). A table of one's own goes through
:func:`lib.data.table.load_table`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from lib.assays import genotypes, retina, sources
from lib.assays.sources import DataUnavailable, HashMismatch
from lib.assays.tables import load_lentimpra, load_plant, load_wtc11
from lib.data.dataset import SequenceDataset

__all__ = ["DataUnavailable", "HashMismatch", "available", "load", "names"]


class _Assay(NamedTuple):
    """How to load an assay, and its files: pins of a data set whose path holds a text."""

    load: Callable[..., SequenceDataset]
    dataset: str
    holds: str = ""


_ASSAYS: Mapping[str, _Assay] = {
    "wtc11": _Assay(load_wtc11, "wtc11"),
    "plant_leaf": _Assay(partial(load_plant, "leaf"), "plant", "test_leaf"),
    "plant_proto": _Assay(partial(load_plant, "proto"), "plant", "test_proto"),
    "lentimpra_HepG2": _Assay(partial(load_lentimpra, "HepG2"), "lentimpra", "HepG2_averaged"),
    "lentimpra_K562": _Assay(partial(load_lentimpra, "K562"), "lentimpra", "K562_averaged"),
    "lentimpra_WTC11": _Assay(partial(load_lentimpra, "WTC11"), "lentimpra", "WTC11_averaged"),
    "retina_libraries": _Assay(retina.load, "retina"),
    "retina_genotypes": _Assay(genotypes.load_dataset, "retina"),
}


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
    """Whether all files of an assay can be had; downloads them if need be.

    Raises
    ------
    HashMismatch
        A damaged file is an error, not an absence.
    DataUnavailable
        If ``MPRA_DATA_DIR`` is set: measured data were asked for then, and nothing replaces them.
    """
    assay = _assay(name)
    try:
        for pin in sources.all_pins():
            if pin.dataset == assay.dataset and assay.holds in pin.path:
                sources.fetch(pin.dataset, pin.path)
    except DataUnavailable:
        if sources.data_folder() is not None:
            raise
        return False
    return True

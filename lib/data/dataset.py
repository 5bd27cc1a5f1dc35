"""The one container for simulated and real assays, and what a unit of work returns.

In: codes ``(n, L)``, a measured activity per row and what is known of its noise and relatives.
Out: :class:`SequenceDataset`, which splits, fits and evaluations take. Rows never change order; a
part is an index array into them. :class:`Result` stands here since a fit's unit needs nothing else
of :mod:`lib.study`: its key depends on source that fits alone.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.arrays import FloatArray, IndexArray
from lib.sequences import Codes, gc_content, validate_codes


class Truth(NamedTuple):
    """What the simulator knows of every element, (n,) each; absent for real assays.

    The noise-free activity, and mean and standard deviation of the measurement given the element:
    the oracle's forecast.
    """

    activity: FloatArray
    mean: FloatArray
    std: FloatArray


@dataclass(frozen=True, eq=False)
class SequenceDataset:
    """Sequences with measured activity.

    Attributes
    ----------
    name : str
        Value of the column ``data`` in result tables.
    codes : (n, L) uint8 array
    activity : (n,) float64 array
        Measured activity, finite.
    group : (n,) int64 array
        Leak group: rows that share one stay on one side of every split.
    noise_std : (n,) float64 array or None
        Measured standard deviation of ``activity``.
    weight : (n,) float64 array or None
        Positive training weight.
    features : (n, p) float32 array or None
        Side features (structural priors).
    oriented : bool
        True where the strand carries meaning (promoters): no reverse-complement averaging.
    metadata : DataFrame with n rows
        Whatever else is known per element.
    truth : Truth or None
    repairs : dict of str to int
        What the loader mended, and how often.
    """

    name: str
    codes: Codes
    activity: FloatArray
    group: IndexArray
    noise_std: FloatArray | None = None
    weight: FloatArray | None = None
    features: NDArray[np.float32] | None = None
    oriented: bool = False
    metadata: pd.DataFrame = field(default_factory=pd.DataFrame)
    truth: Truth | None = None
    repairs: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        validate_codes(self.codes)
        n = len(self.codes)
        for name in ("activity", "group", "noise_std", "weight", "features"):
            values = getattr(self, name)
            if values is None:
                continue
            if len(values) != n:
                raise ValueError(f"{name} has {len(values)} rows, codes has {n}")
            if not np.isfinite(values).all():
                row = int(np.argwhere(~np.isfinite(values))[0][0])
                raise ValueError(f"{name} is not finite in row {row}: {values[row]}")
        if len(self.metadata.columns) and len(self.metadata) != n:
            raise ValueError(f"metadata has {len(self.metadata)} rows, codes has {n}")

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def gc(self) -> FloatArray:
        """GC content per element, in [0, 1]."""
        return gc_content(self.codes)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything a fit or an evaluation can see: the data part of a unit's key."""
        digest = hashlib.sha256(self.name.encode() + bytes([self.oriented]))
        arrays = [self.codes, self.activity, self.group, self.noise_std, self.weight, self.features]
        for values in [*arrays, *(self.truth or ())]:
            if values is None:
                digest.update(b"absent")
            else:
                digest.update(str((values.shape, values.dtype)).encode())
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def take(self, index: IndexArray) -> "SequenceDataset":
        """The rows ``index``, in that order, as a dataset of its own."""

        def rows(values: Any) -> Any:
            return None if values is None else values[index]

        arrays = ("codes", "activity", "group", "noise_std", "weight", "features")
        metadata = self.metadata
        if len(metadata.columns):
            metadata = metadata.iloc[index].reset_index(drop=True)
        return replace(
            self,
            metadata=metadata,
            truth=None if self.truth is None else Truth(*map(rows, self.truth)),
            **{name: rows(getattr(self, name)) for name in arrays},
        )


@dataclass(frozen=True, eq=False)
class Result:
    """What a unit returns: named arrays and a JSON-able description.

    ``stamp`` says how it was computed, once it was stored; it is no part of the content.
    """

    arrays: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any] = field(default_factory=dict)
    stamp: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the content: what is computed from a result is keyed by it."""
        digest = hashlib.sha256(json.dumps(self.meta, sort_keys=True).encode())
        for name in sorted(self.arrays):
            values = np.asarray(self.arrays[name], order="C")
            digest.update(f"{name}{values.shape}{values.dtype}".encode())
            digest.update(values.tobytes())
        return digest.hexdigest()

    @classmethod
    def of_tables(cls, tables: Mapping[str, pd.DataFrame]) -> Self:
        """Tables as arrays by column; a column of texts as codes, its texts in the description."""
        arrays: dict[str, NDArray[Any]] = {}
        columns: dict[str, list[tuple[str, list[str] | None]]] = {}
        for name, table in tables.items():
            columns[name] = []
            for column, values in table.items():
                cells, texts = np.asarray(values), None
                if not pd.api.types.is_numeric_dtype(values):
                    cells, found = pd.factorize(values)
                    texts = list(found)
                arrays[f"{name}/{column}"] = cells
                columns[name].append((str(column), texts))
        return cls(arrays, {"tables": columns})

    def table(self, name: str) -> pd.DataFrame:
        """A table as :meth:`of_tables` took it; rows are numbered."""
        columns = {}
        for column, texts in self.meta["tables"][name]:
            values = self.arrays[f"{name}/{column}"]
            # One more place, which the code -1 of a missing text reads.
            columns[column] = values if texts is None else np.array([*texts, None])[values]
        return pd.DataFrame(columns)

"""What a unit of work returns, and what an earlier one returned: described arrays, or tables.

A fit's unit (:mod:`lib.training.units`) needs these two and nothing else of :mod:`lib.study`, so
that its key depends on the source that fits alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Result:
    """What a unit returns: named arrays and a JSON-able description."""

    arrays: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any] = field(default_factory=dict)

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


@dataclass(frozen=True, eq=False)
class Stored:
    """A finished unit's result as data of the next: its key is its fingerprint."""

    result: Result
    fingerprint: str

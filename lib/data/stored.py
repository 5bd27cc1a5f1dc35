"""What a unit of work returns, and what an earlier one returned: arrays with a description.

A fit's unit (:mod:`lib.training.units`) needs these two and nothing else of :mod:`lib.study`, so
that its key depends on the source that fits alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Result:
    """What a unit returns: named arrays and a JSON-able description."""

    arrays: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Stored:
    """A finished unit's result as data of the next: its key is its fingerprint."""

    result: Result
    fingerprint: str

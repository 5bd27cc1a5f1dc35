"""What cells, columns and their names mean, and how an error speaks of them.

In: columns of a stranger's table (:mod:`lib.data.reading`). Out: labels, which stay text, and
numbers under a rule. Rows are counted from 0, the first after the header. A ``ValueError`` names
table, column, row and value, and the remedy in the words of the command that was typed.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:  # it takes a second to import, and commands wait for what is read here
    from lib.arrays import FloatArray

LARGEST = 1e30  # of values whose squares of squares are still to be numbers
MISSING = frozenset(
    ("", *("NA", "na", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "-nan"))
) | {"NULL", "Null", "null", "NONE", "None", "none", "missing", r"\N"}  # of Julia, of SQL
# In some columns more says so, in others less: + and - are conditions, and strands.
_DOTS = frozenset((".", "-", "--", "N.A.", "n.a.", "#NUM!", "#VALUE!", "#REF!"))
GAPS = dict.fromkeys(("group", "fold", "split", "shift", "pair"), MISSING | _DOTS)
GAPS |= {"condition": MISSING - {"NONE", "None", "none"}}
WITHIN = f"finite number from -{LARGEST:g} to {LARGEST:g}"
WITHIN_ABOVE_0 = f"finite number above 0, from {1 / LARGEST:g} to {LARGEST:g}"
RULES: Mapping[str, Callable[["FloatArray"], NDArray[np.bool_]]] = {
    "finite number": np.isfinite,
    "finite number above 0": lambda v: np.isfinite(v) & (v > 0),
    "finite number of at least 0": lambda v: np.isfinite(v) & (v >= 0),
    "number between 0 and 1": lambda v: (v >= 0) & (v <= 1),
    WITHIN: lambda v: np.abs(v) <= LARGEST,
    WITHIN_ABOVE_0: lambda v: (v >= 1 / LARGEST) & (v <= LARGEST),
}
_NO_MEASURE = (bool, np.bool_, complex, np.complexfloating, np.datetime64, np.timedelta64)


class CellError(ValueError):
    """A cell that is not what its column is for: ``said`` of the ``{cell}``.

    :func:`lib.data.reading.placed` says where in the file it is.
    """

    def __init__(
        self, column: str, row: int, said: str, value: object = "", source: str = ""
    ) -> None:
        self.column, self.row, self.said = column, row, said
        where = f"{source}: " if source else ""
        super().__init__(where + self.words(f"row {row}", value))

    def words(self, where: str, value: object) -> str:
        """What is wrong with which cell."""
        return f"column {self.column!r} {where} " + self.said.replace("{cell}", repr(value))


def remedy(parameter: str, value: object) -> str:
    """How the user passes a parameter: to make, to python, or to a notebook or a function.

    The variable ``SHIFT_CALLER`` says which command was typed; columns of an assay are renamed in
    commands.

    Examples
    --------
    >>> remedy("trim_prefix", "ACGT")
    "trim_prefix='ACGT'"
    """
    caller = os.environ.get("SHIFT_CALLER", "")
    if caller and parameter.endswith("_column"):
        parameter, value = "rename", f"{value}={parameter.removesuffix('_column')}"
    if caller == "make":
        return f"{parameter.upper()}={value}"
    option = parameter.replace("_", "-")
    return f"--{option}={value}" if caller else f"{parameter}={value!r}"


def renaming(missing: str) -> str:
    """How the user names the column that stands for a missing one."""
    return remedy("rename", f"yours={missing}")


ROLES: Final = ("sequence", "activity", "noise", "group", "weight")  # of an assay's columns


def as_rename(given: object) -> object:
    """Column names, theirs to ours, also from text ``"theirs=ours,theirs=ours"``.

    Examples
    --------
    >>> as_rename("y=target, y_hat=mean")
    {'y': 'target', 'y_hat': 'mean'}
    """
    if not isinstance(given, str):
        return given
    pairs = re.findall("(?s)(.+?)=([^,=]+)(?:,|$)", given)  # their names may hold either sign
    if ",".join(map("=".join, pairs)) != given:
        raise ValueError(f"rename is {given!r}; 'theirs=ours,theirs=ours' would do")
    stripped = [theirs.strip() for theirs, _ in pairs]
    if twice := [name for name in stripped if stripped.count(name) > 1]:
        raise ValueError(f"rename gives the column {twice[0]!r} two names; one would do")
    return {theirs.strip(): ours.strip() for theirs, ours in pairs} or None


def require_roles(rename: Mapping[str, str]) -> None:
    """Refuse names of ours that no column of an assay has."""
    for theirs, ours in rename.items():
        if ours not in ROLES:
            raise ValueError(
                f"of a table, {remedy('rename', f'{theirs}={ours}')} leads nowhere; "
                f"{', '.join(ROLES[:-1])} or {ROLES[-1]} would do"
            )


def require_columns(
    frame: pd.DataFrame,
    columns: Collection[str],
    source: str,
    how: Callable[[str], str] | None = None,
) -> None:
    """Refuse a table that lacks a column, naming those most like it, or that has one twice.

    ``how`` says what to pass for a column that is missing.
    """
    present = Counter(map(str, frame.columns))
    if twice := [column for column in columns if present[column] > 1]:
        raise ValueError(f"{source}: the header names the column {twice[0]!r} twice; keep one")
    lowered = {name.lower(): name for name in present}
    missing = [column for column in columns if column not in present]
    said = []
    for column in missing:
        near = [repr(lowered[match]) for match in get_close_matches(column.lower(), lowered, n=3)]
        said.append(repr(column) + (f" (did you mean {' or '.join(near)}?)" if near else ""))
    if said:
        raise ValueError(
            f"{source} has no column {', '.join(said)}. Its columns: "
            f"{', '.join(map(repr, [*present][:20]))}. Rename them (above a row of "
            "cells write a header), or pass the names they have"
            + (f": {how(missing[0])}" if how else "")
        )


def renamed(header: Sequence[str], rename: Mapping[str, str], source: str) -> list[str]:
    """Names under a renaming; refused where one stands twice, or two become one."""
    named = pd.DataFrame(columns=pd.Index([name for name in header if name], dtype=object))
    require_columns(named, [*dict.fromkeys(named.columns), *rename], source)
    names = [rename.get(name, name) for name in header]
    for ours in rename.values():
        theirs = [repr(name) for name, own in zip(header, names, strict=True) if own == ours]
        if len(theirs) > 1:
            raise ValueError(
                f"{source}: the columns {' and '.join(theirs)} would both be {ours!r}; keep one, "
                f"and see what is passed as {remedy('rename', 'theirs=ours')}"
            )
    return names


def labels(values: pd.Series, role: str = "") -> pd.Series:
    """A column as text without outer spaces, ``""`` where a cell is missing or says so.

    What says so depends on the role (:data:`GAPS`). A categorical column stays one.

    Examples
    --------
    >>> labels(pd.Series([" 007", "NA", None, 7.0])).tolist()
    ['007', '', '', '7']
    >>> labels(pd.Series([7, None], dtype="Int64")).tolist()
    ['7', '']
    >>> labels(pd.Series(["none", "-"]), "group").tolist()
    ['', '']
    >>> labels(pd.Series(["none", "-"]), "condition").tolist()
    ['none', '-']
    """
    if values.dtype.kind in "iu":  # of which there may be millions
        plain = pa.array(values).cast("str").fill_null("")
        return pd.Series(plain, values.index, "str", values.name)

    def text(cell: object) -> str:
        whole = isinstance(cell, float) and cell.is_integer()
        plain = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else cell
        said = str(int(cell) if whole else plain)  # type: ignore[call-overload]
        said = unicodedata.normalize("NFC", said).strip()  # é is one letter, or e with an accent
        return "" if said in GAPS.get(role, MISSING) else said

    codes, found = pd.factorize(values)
    number, unique = pd.factorize(np.array([*map(text, found), ""], object))
    cells = pd.Categorical.from_codes(number[codes], pd.Index(unique, dtype="str"))
    made = pd.Series(cells, values.index, name=values.name)
    return made if isinstance(values.dtype, pd.CategoricalDtype) else made.astype("str")


def no_missing(values: pd.Series, why: str, source: str = "") -> None:
    """Refuse a column of :func:`labels` that lacks one."""
    if (empty := values.index[values == ""]).size:
        raise CellError(str(values.name), int(empty[0]), f"is {{cell}}; {why}", "", source)


def _as_float(cell: object) -> float:
    """NaN of what is no number; Python reads 1_000 as one, but a file that says so is damaged."""
    try:
        odd = isinstance(cell, _NO_MEASURE) or "_" in str(cell)
        return float("nan" if odd else cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _as_floats(values: pd.Series) -> "FloatArray":
    if values.dtype.kind in "iuf":
        return values.to_numpy(np.float64, na_value=np.nan)
    if isinstance(values.dtype, pd.StringDtype):
        with suppress(pa.ArrowException):
            found: FloatArray = pa.array(values).cast("float64").to_numpy(zero_copy_only=False)
            return found
    return np.array([_as_float(cell) for cell in values.tolist()], np.float64)


def numbers(
    values: pd.Series, column: str, rule: str = "finite number", source: str = ""
) -> "FloatArray":
    """A column as (n,) float64, each cell under a rule.

    Of numbers, or text as it stands in a file; dates, booleans and complex numbers are none. Raises
    :class:`CellError`, which calls it ``column`` of ``source``, if a cell is missing, no number, or
    against the rule (of :data:`RULES`).

    Examples
    --------
    >>> numbers(pd.Series(["1.5", " -2 "]), "activity").tolist()
    [1.5, -2.0]
    """
    found = _as_floats(values)
    if not (good := RULES[rule](found)).all():
        row = int(np.argmin(good))
        said = f"is {{cell}}, not a {rule}; write it like -1250.5, drop the row, or change the unit"
        raise CellError(column, row, said, values.tolist()[row], source)
    return found

"""Strangers' files as columns and records: tables (CSV, TSV, Parquet) and FASTA.

In: a path. Out: a table's columns, the cells as they stand (text but in Parquet), and from them
numbers; a FASTA file's sequences. Rows are counted from 0, the first after the header. What cannot
be read is refused with a ``ValueError`` that names file, row and value.
"""

import csv
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from lib.data.files import refuse_size, regular, unpacked

if TYPE_CHECKING:  # it takes a second to import, and the command waits for what is read here
    from lib.arrays import FloatArray

SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}
LONGEST_ROW = 1 << 24  # bytes
MANY_ROWS = 1_000_000  # of a Parquet file of more only the columns asked for are read
RULES: Mapping[str, Callable[["FloatArray"], NDArray[np.bool_]]] = {
    "finite number": np.isfinite,
    "finite number above 0": lambda v: np.isfinite(v) & (v > 0),
    "finite number of at least 0": lambda v: np.isfinite(v) & (v >= 0),
    "number between 0 and 1": lambda v: (v >= 0) & (v <= 1),
    "whole number from 0 on": lambda v: np.isfinite(v) & (v >= 0) & (v == np.floor(v)),
}


def require_columns(frame: pd.DataFrame, columns: Collection[str], source: str) -> None:
    """Refuse a table that lacks a column, naming those most like it, or that has one twice."""
    present = [str(column) for column in frame.columns]
    twice = [column for column in columns if present.count(column) > 1]
    if twice:
        raise ValueError(f"{source}: the header names the column {twice[0]!r} twice")
    lowered = {name.lower(): name for name in present}
    missing = []
    for column in (column for column in columns if column not in present):
        near = [repr(lowered[match]) for match in get_close_matches(column.lower(), lowered, n=3)]
        missing.append(repr(column) + (f" (did you mean {' or '.join(near)}?)" if near else ""))
    if missing:
        raise ValueError(
            f"{source} has no column {', '.join(missing)}. Its columns: "
            f"{', '.join(map(repr, present[:20]))}. Rename them, or pass the names they have"
        )


def _unpacked(content: bytes, path: Path) -> bytes:
    """A text table's bytes in UTF-8, from its header on."""
    content = unpacked(content, path)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path} is UTF-16 text; save it as UTF-8")
    try:
        if not content.isascii():
            content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path} is not UTF-8 text: byte {content[error.start]:#04x} in line {line}; "
            "save it as UTF-8"
        ) from None
    content = content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    if not re.search(rb"\S", content):
        raise ValueError(f"{path} is empty")
    return content


def _header(line: str, wanted: Collection[str], path: Path) -> tuple[str, list[str]]:
    """The separator that shows most wanted columns, then most columns; and their names."""
    try:
        names = {
            separator: [name.strip() for name in next(csv.reader([line], delimiter=separator))]
            for separator in SEPARATORS
        }
    except csv.Error as error:
        raise ValueError(f"{path} has no header: {error}") from None
    best = max(names, key=lambda found: (len({*wanted} & {*names[found]}), len(names[found])))
    if len(names[best]) == 1:
        raise ValueError(
            f"{path} has one column only when split at each of {', '.join(SEPARATORS.values())}; "
            f"its header is {line[:80]!r}. Save it with one of these"
        )
    return best, names[best]


def _parse(
    content: bytes, separator: str, types: Sequence[pa.DataType], ragged: list[Any]
) -> pa.Table:
    """Columns ``0, 1, ...`` (names may repeat) of the given types; a ragged row is noted."""
    named = {str(place): kind for place, kind in enumerate(types)}

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error"

    return arrow_csv.read_csv(
        pa.BufferReader(content),
        arrow_csv.ReadOptions(
            column_names=list(named),
            skip_rows=1,
            use_threads=False,  # or rows have no numbers
            block_size=LONGEST_ROW,
        ),
        arrow_csv.ParseOptions(
            delimiter=separator, newlines_in_values=True, invalid_row_handler=refuse
        ),
        arrow_csv.ConvertOptions(column_types=named, null_values=[]),
    )


def _read_text(path: Path, wanted: Collection[str], floats: Collection[str]) -> pd.DataFrame:
    content = _unpacked(path.read_bytes(), path)
    first = re.match(rb"[^\r\n]*", content)
    separator, header = _header(first.group().decode() if first else "", wanted, path)
    types = [pa.float64() if name in floats else pa.string() for name in header]
    ragged: list[Any] = []
    try:
        try:
            table = _parse(content, separator, types, ragged)
        except pa.ArrowInvalid:  # as text, so that the cell which is no number can be named
            table = _parse(content, separator, [pa.string()] * len(header), ragged := [])
    except pa.ArrowException as error:
        if not ragged:
            raise ValueError(f"{path} cannot be read as a table: {error}") from None
        row = ragged[0]
        raise ValueError(
            f"{path} row {row.number - 2} has {row.actual_columns} cells, the header has "
            f"{len(header)}: {row.text[:60]!r}; check the separator ({SEPARATORS[separator]})"
        ) from None
    frame = table.rename_columns(header).to_pandas()
    if len(frame) and re.search(r"[\r\n]", str(frame.iat[-1, -1])):
        raise ValueError(f"{path} row {len(frame) - 1} holds a quotation mark that is not closed")
    return frame


def _read_parquet(path: Path, lean: Collection[str]) -> pd.DataFrame:
    try:
        with parquet.ParquetFile(path) as file:
            groups = range(file.metadata.num_row_groups)
            refuse_size(sum(file.metadata.row_group(i).total_byte_size for i in groups), path)

            def read(names: list[str] | None) -> pd.DataFrame:
                table = file.read(names)
                table.validate(full=True)  # or text that is not UTF-8 fails where it is looked at
                # What pandas writes beside the data is left out: damaged, it breaks pandas itself.
                found: pd.DataFrame = table.to_pandas(
                    ignore_metadata=True, strings_to_categorical=many
                )
                return found

            many = bool(lean) and file.metadata.num_rows > MANY_ROWS
            if not many:
                return read(None)
            chosen = [name for name in file.schema_arrow.names if name in lean]
            # One column in memory at a time.
            return pd.DataFrame({name: read([name])[name] for name in chosen}, copy=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is a damaged Parquet file, or its text is not UTF-8 ({error}); write it again"
        ) from None


def read_table(
    path: Path | str,
    columns: Collection[str] = (),
    lean: Collection[str] = (),
    floats: Collection[str] = (),
) -> pd.DataFrame:
    """Read a CSV, TSV or Parquet file; which of them, the content says and not the name.

    Parameters
    ----------
    path : Path or str
    columns : collection of str
        Columns that must be there.
    lean : collection of str, optional
        All that is read of a Parquet file of more than :data:`MANY_ROWS` rows.
    floats : collection of str, optional
        Columns of a text table that are read as float64 where all cells of them are numbers.

    Returns
    -------
    DataFrame
        Every column of the file; text cells unchanged.

    Raises
    ------
    ValueError
        If there is no such file; if it is empty, damaged, no table, not UTF-8, ragged, or lacks a
        column.
    """
    path = regular(path, "give the path of a CSV, TSV or Parquet table")
    with path.open("rb") as file:
        mark = file.read(4)
    if mark == b"PK\x03\x04":
        raise ValueError(
            f"{path} is a zip archive or spreadsheet; save the table as CSV or Parquet"
        )
    columnar = mark == b"PAR1" or path.suffix == ".parquet"
    frame = _read_parquet(path, lean) if columnar else _read_text(path, columns, floats)
    many = len(frame) > MANY_ROWS and lean
    require_columns(frame, [c for c in columns if not many or c in lean], str(path))
    if len(frame) == 0:
        raise ValueError(f"{path} has a header but no rows")
    return frame


def _as_float(cell: object) -> float:
    """NaN of what is no number; Python reads 1_000 as one, but a file that says so is damaged."""
    try:
        return float("nan" if isinstance(cell, bool) or "_" in str(cell) else cell)  # type: ignore[arg-type]
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

    Of numbers, or text as it stands in a file. Raises ``ValueError``, which calls it ``column`` of
    ``source``, if a cell is missing, no number, or against the rule (of :data:`RULES`).

    Examples
    --------
    >>> numbers(pd.Series(["1.5", " -2 "]), "activity").tolist()
    [1.5, -2.0]
    """
    found = _as_floats(values)
    good = RULES[rule](found)
    if not good.all():
        row = int(np.argmin(good))
        where = f"{source}: " if source else ""
        raise ValueError(
            f"{where}column {column!r} row {row} is {values.tolist()[row]!r}, not a {rule}; "
            "mend or remove the row"
        )
    return found

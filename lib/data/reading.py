"""Strangers' files as tables: CSV, TSV and Parquet.

In: a path and what its columns are for. Out: a table under our names, the cells as they stand but
for what its roles ask (:mod:`lib.data.cells`). What cannot be read is refused with a ``ValueError``
that names file, line, column and value as they stand in the file.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
from pyarrow import compute, parquet
from pyarrow import csv as arrow_csv

from lib.data.cells import MISSING, CellError, renamed, require_columns
from lib.data.files import refuse_size, regular, unpacked

SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}
LONGEST_ROW = 1 << 24  # bytes
MANY_LINES = 10_000  # among which the header is looked for
UNNAMED = "unnamed"  # what a first column without a name is called: row names, an index
csv.field_size_limit(LONGEST_ROW)
Names = Collection[str]  # of columns
_NUMBER = r"(?i)^\s*[+-]?([1-9]\d{0,2}([T]\d{3})+([D]\d+)?|\d*[D]?\d+(e[+-]?\d+)?)\s*$"  # of RE2
MANY_ROWS = 1_000_000  # of a Parquet file of more only the columns asked for are read
# A line, or several where a cell that begins with a quotation mark holds their ends.
_LINE = re.compile(rb'[\r\n]*((?:(?<![^\t,;|\r\n])(?:"[^"]*")++|"|[^"\r\n]+)*+)')


class _Text(NamedTuple):
    """A text table from its header on, the line that this is in, the separator and the names."""

    content: memoryview
    line: int
    height: int  # of the header, in lines
    separator: str
    header: list[str]


def _unpacked(path: Path) -> bytes:
    """A text table's bytes in UTF-8."""
    content = unpacked(path.read_bytes(), path)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise ValueError(f"{path} is UTF-16 or no text; save it as CSV in UTF-8, plain or gzipped")
    if re.match(rb"\s*(\{|\[\s*\{)", content):
        raise ValueError(f"{path} is JSON; save it as CSV or Parquet")
    try:
        if not content.isascii():
            content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path} is not UTF-8 text: byte {content[error.start]:#04x} in line {line}; "
            "save it as CSV in UTF-8, plain or gzipped"
        ) from None
    return content.removeprefix(b"\xef\xbb\xbf")


def _header(line: str, wanted: Names, path: Path, separators: Names) -> tuple[str, list[str]]:
    """The separator that shows most wanted columns, then most columns; and their names."""
    try:
        names = {s: [n.strip() for n in next(csv.reader([line], delimiter=s))] for s in separators}
    except csv.Error as error:
        raise ValueError(f"{path} has no header: {error}") from None
    best = max(names, key=lambda found: (len({*wanted} & {*names[found]}), len(names[found])))
    if len(names[best]) == 1:
        raise ValueError(
            f"{path} has one column only when split at each of {', '.join(SEPARATORS.values())}; "
            f"its header is {line[:80]!r}. Save it with one of these"
        )
    return best, [names[best][0] or UNNAMED, *names[best][1:]]


def _open_text(path: Path, wanted: Names) -> _Text:
    """A text table from its header on, which titles, comments or Excel's ``sep=;`` may precede.

    The header is the line with most wanted columns; of equals the first that is no comment.
    """
    content, separators, found = _unpacked(path), [*SEPARATORS], []
    for match in islice(_LINE.finditer(content), MANY_LINES):
        line = re.sub(r"\s*[\r\n]\s*", " ", match[1].decode())
        cells = re.split(f"[{''.join(SEPARATORS)}]", line)
        shown = {*wanted} & {cell.strip().strip('"') for cell in cells}
        if (mark := re.fullmatch(r'"?sep=([\t,;|])"?', line)) and match.end() < len(content):
            separators = [mark[1]]
        elif line.strip():
            found.append((len(shown), (line[0] != "#", len(cells) > 1), match, line))
            if shown == {*wanted}:
                break
    if not found:
        raise ValueError(f"{path} is empty")
    *_, first, line = max(found, key=itemgetter(0, 1))  # of equals the first
    start, breaks = first.start(1), rb"\r\n|\r|\n"
    place, own = (len(re.findall(breaks, part)) + 1 for part in (content[:start], first[1]))
    return _Text(memoryview(content)[start:], place, own, *_header(line, wanted, path, separators))


def _rows(text: _Text, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Of the header and each row the line in the file that it begins in, and its cells."""
    content, before = io.StringIO(str(text.content, "utf-8"), ""), 0
    rows = csv.reader(content, delimiter=text.separator, strict=True)
    try:
        for cells in rows:
            if "".join(cells).strip() or len(cells) == len(text.header):
                yield text.line + before, cells
            before = rows.line_num
    except csv.Error:
        raise ValueError(
            f"{path} line {text.line + before}: a quotation mark here is not closed, or more text "
            "follows it; inside a cell write it twice"
        ) from None


@contextmanager
def placed(path: Path, columns: Names, rename: Mapping[str, str] = {}) -> Iterator[None]:
    """Say of a bad cell in which line of a file it stands, under which name and as what.

    The file was read for ``columns``.
    """
    try:
        yield
    except CellError as error:
        theirs = {ours: name for name, ours in rename.items()}
        name, said = theirs.get(error.column, error.column), str(error).removeprefix(f"{path}: ")
        with suppress(ValueError, StopIteration):
            text = _open_text(path, [theirs.get(column, column) for column in columns])
            line, cells = next(islice(_rows(text, path), error.row + 1, None))
            said = error.words(f"row {error.row} (line {line})", cells[text.header.index(name)])
        own = "" if name == error.column else f" ({error.column!r} is {name!r} in the file)"
        raise ValueError(f"{path}: {said}{own}") from None


def _parse(text: _Text, types: Sequence[pa.DataType], ragged: list[Any]) -> pa.Table:
    """Columns ``0, 1, ...`` (names may repeat) of the given types; a ragged row is noted."""
    named = {str(place): kind for place, kind in enumerate(types)}

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error" if row.text.strip() else "skip"  # a line of spaces

    return arrow_csv.read_csv(
        pa.BufferReader(pa.py_buffer(text.content)),
        # Without threads, or rows have no numbers.
        arrow_csv.ReadOptions(
            column_names=[*named], skip_rows=text.height, use_threads=False, block_size=LONGEST_ROW
        ),
        arrow_csv.ParseOptions(
            delimiter=text.separator, newlines_in_values=True, invalid_row_handler=refuse
        ),
        arrow_csv.ConvertOptions(column_types=named, null_values=[]),
    )


def _given(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    return cells.filter(compute.invert(compute.is_in(cells, pa.array([*MISSING]))))


def _decimals(given: pa.ChunkedArray) -> set[str]:
    """The marks of decimals by which every cell is a number, with the other one for thousands."""
    numbers = ((d, _NUMBER.replace("T", t).replace("D", d)) for t, d in (",.", ".,"))
    return {d for d, n in numbers if compute.all(compute.match_substring_regex(given, n)).as_py()}


def _pointed(cells: pa.ChunkedArray, free: bool, sure: set[str], where: str) -> pa.ChunkedArray:
    """Thousands marks out; decimal commas, where sure (or so in other columns), as points.

    The comma is ``free`` where another sign separates cells.
    """
    given = _given(cells)
    found, (commas, points) = _decimals(given), (compute.match_substring(given, m) for m in ",.")
    if len(found) == 2:  # whole numbers, or such as 1.250
        pointed = sure == {","} or (not sure and not compute.any(commas).as_py())
        doubtful = given.filter(points if pointed else commas)
        odd = pointed or len(doubtful) < len(given) if free else not pointed
        if len(doubtful) and (sure or odd):
            raise ValueError(
                f"{where} holds {doubtful[0].as_py()!r}: thousands, or decimals? Write no marks "
                "for thousands, and decimals after the same mark in every cell"
            )
        found = sure or {"." if pointed else ","}
    elif not found and not compute.any(points).as_py():
        found = {","}  # a cell is no number at all: it is this one that an error should name
    if len(found) != 1:
        return cells
    (decimal,) = found
    plain = compute.replace_substring(cells, ",.".replace(decimal, ""), "")
    return compute.replace_substring(plain, decimal, ".")


def _read_text(path: Path, rename: Mapping[str, str], wanted: Names, floats: Names) -> pd.DataFrame:
    theirs = {ours: name for name, ours in rename.items()}
    text = _open_text(path, [theirs.get(name, name) for name in wanted])
    names = renamed(text.header, rename, str(path))
    ragged: list[Any] = []
    try:
        try:
            if text.separator == ";":  # where points may stand for thousands
                raise pa.ArrowInvalid("")
            types = [pa.float64() if name in floats else pa.string() for name in names]
            table = _parse(text, types, ragged)
        except pa.ArrowInvalid:  # as text, so that the cell which is no number can be named
            table = _parse(text, [pa.string()] * len(names), ragged := [])
            places = [place for place, name in enumerate(names) if name in floats]
            found = [_decimals(_given(table[place])) for place in places]
            sure = set().union(*(marks for marks in found if len(marks) == 1))
            for place in places:
                where = f"{path}: column {text.header[place]!r}"
                cells = _pointed(table[place], text.separator == ";", sure, where)
                table = table.set_column(place, str(place), cells)
    except pa.ArrowException as error:
        if not ragged or not ragged[-1].text.strip():
            raise ValueError(f"{path} cannot be read as a table: {error}") from None
        row, where = ragged[-1], f"row {(place := ragged[-1].number - len(ragged) - text.height)}"
        with suppress(StopIteration):
            where += f" (line {next(islice(_rows(text, path), place + 1, None))[0]})"
        raise ValueError(
            f"{path} {where} has {row.actual_columns} cells, the header has "
            f"{len(names)}: {row.text[:60]!r}; check the separator ({SEPARATORS[text.separator]}), "
            "whether rows have names that the header lacks, and whether each line is a row"
        ) from None
    texts = (cells for cells in table if pa.types.is_string(cells.type))
    breaks = (compute.match_substring_regex(cells, '[\r\n"]') for cells in texts)
    if any(compute.any(found).as_py() for found in breaks):  # or a mark that is not closed
        deque(_rows(text, path), 0)
    return table.rename_columns(names).to_pandas()


def _plain(cells: pa.ChunkedArray, text: bool, number: bool, where: str) -> pa.ChunkedArray:
    """A column of a Parquet file as its role asks: text unless it is whole, decimals numbers."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    try:
        if text and (cells.null_count or not pa.types.is_integer(cells.type)):
            return cells.cast(pa.string())
        if number and pa.types.is_decimal(cells.type):
            return cells.cast(pa.string()).cast(pa.float64())  # rounded as text is, to the last bit
        return cells
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise ValueError(f"{where} holds {cells.type}; text or numbers would do") from None


def _read_parquet(
    path: Path, rename: Mapping[str, str], texts: Names, floats: Names, lean: Names
) -> pd.DataFrame:
    try:
        with path.open("rb") as source, parquet.ParquetFile(source) as file:
            header = file.schema_arrow.names
            plain = [name.strip() for name in header]  # as in text
            ours = dict(zip(header, renamed(plain, rename, str(path)), strict=True))
            groups = range(file.metadata.num_row_groups)
            refuse_size(sum(file.metadata.row_group(i).total_byte_size for i in groups), path)

            def read(columns: list[str] | None) -> pd.DataFrame:
                table = file.read(columns)
                table.validate(full=True)  # or text that is not UTF-8 fails where it is looked at
                cells = [
                    _plain(column, own in texts, own in floats, f"{path}: column {name!r}")
                    for name, column in zip(table.column_names, table.columns, strict=True)
                    for own in [ours[name]]
                ]
                table = pa.table(cells, [ours[name] for name in table.column_names])
                # What pandas writes beside the data is left out: damaged, it breaks pandas itself.
                own = {"ignore_metadata": True, "date_as_object": False}
                return pd.DataFrame(table.to_pandas(**own, strings_to_categorical=many))

            many = bool(lean) and file.metadata.num_rows > MANY_ROWS
            if not many:
                return read(None)
            # One column in memory at a time.
            chosen = {own: read([name])[own] for name, own in ours.items() if own in lean}
            return pd.DataFrame(chosen, copy=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is a damaged Parquet file, or its text is not UTF-8 ({error}); write it again"
        ) from None


def read_table(
    path: Path | str,
    columns: Names = (),
    *,
    rename: Mapping[str, str] | None = None,
    texts: Names = (),
    floats: Names = (),
    lean: Names = (),
    how: Callable[[str], str] | None = None,
) -> pd.DataFrame:
    """Read a CSV, TSV or Parquet file; which of them, the content says and not the name.

    Parameters
    ----------
    path : Path or str
    columns : collection of str
        Columns that must be there. All names here are those after renaming.
    rename : mapping, optional
        From names in the file to ours.
    texts, floats : collection of str, optional
        Columns that are text whatever they hold, but for whole numbers of Parquet, of which
        :func:`lib.data.cells.labels` makes text; columns read as float64 where all are
        numbers, with decimal commas too where a whole column has them.
    lean : collection of str, optional
        All that is read of a Parquet file of more than :data:`MANY_ROWS` rows.
    how : function, optional
        Of the name of a column that is missing: what to pass.

    Returns
    -------
    DataFrame
        Every column of the file that has a name; other text cells unchanged.

    Raises
    ------
    ValueError
        If there is no such file; if it is empty, damaged, no table, not UTF-8, ragged, lacks a
        column, has one twice, or two would have one name.
    """
    path, rename = regular(path, "give the path of a CSV, TSV or Parquet table"), rename or {}
    with path.open("rb") as file:
        mark = file.read(4)
    if mark == b"PK\x03\x04":
        raise ValueError(f"{path} is a spreadsheet or zip archive; save it as CSV or Parquet")
    if mark == b"PAR1":
        frame = _read_parquet(path, rename, texts, floats, lean)
    else:
        frame = _read_text(path, rename, columns, floats)
    frame = frame.loc[:, frame.columns != ""]
    many = lean and mark == b"PAR1" and len(frame) > MANY_ROWS
    require_columns(frame, [c for c in columns if not many or c in lean], str(path), how)
    if len(frame) == 0:
        raise ValueError(f"{path} has a header but no rows")
    return frame

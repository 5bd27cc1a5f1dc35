"""Read a table of text, or a Parquet file, into columns without guessing at its content.

In: the path of a CSV, TSV (also gzipped) or Parquet file. Out: a data frame whose columns hold the
cells as they stand (text for CSV and TSV) and a count of what was mended on the way. Only reads;
evaluates nothing. Rows are counted from 0, the first after the header.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SEPARATORS = ("\t", ",", ";", "|")
SEPARATOR_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def require_columns(
    frame: pd.DataFrame, columns: Sequence[str], source: str, separator: str = ""
) -> None:
    """Refuse a table that lacks a column, naming the columns most like it.

    Raises
    ------
    ValueError
        If a column is missing, or stands in the header twice.
    """
    present = [str(column) for column in frame.columns]
    for column in columns:
        if present.count(column) > 1:
            raise ValueError(f"{source}: the header names the column {column!r} twice")
        if column in present:
            continue
        lowered = {name.lower(): name for name in present}
        near = [lowered[match] for match in get_close_matches(column.lower(), lowered, n=3)]
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        split = f" when split at each {separator}" if separator else ""
        raise ValueError(
            f"{source} has no column {column!r}{hint} Its columns{split}: "
            f"{', '.join(map(repr, present[:20]))}"
        )


def _decompress(content: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is a truncated or damaged gzip file ({error}); fetch it again"
        ) from None


def _decode(content: bytes, path: Path) -> str:
    if content.startswith(_UTF16_MARKS):
        raise ValueError(f"{path} is UTF-16 text; save it as UTF-8")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path} is not UTF-8 text: byte {content[error.start]:#04x} in line {line}; "
            "save it as UTF-8"
        ) from None


def _sniff(header: str, wanted: Sequence[str], path: Path) -> str:
    """The separator under which the header shows most wanted columns, then most columns."""

    def score(separator: str) -> tuple[int, int]:
        names = [name.strip().strip('"') for name in header.split(separator)]
        return len(set(wanted) & set(names)), len(names)

    best = max(SEPARATORS, key=score)
    if score(best)[1] == 1:
        tried = ", ".join(SEPARATOR_NAMES[separator] for separator in SEPARATORS)
        raise ValueError(
            f"{path} has one column only when split at each of {tried}; "
            f"its header is {header[:80]!r}. Save it with one of these, or pass separator"
        )
    return best


def _parse(
    text: str, separator: str, path: Path, repairs: dict[str, int]
) -> tuple[list[str], list[list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    try:
        header = [name.strip() for name in next(reader)]
        for cells in reader:
            if not cells:
                repairs["blank lines skipped"] = repairs.get("blank lines skipped", 0) + 1
                continue
            if len(cells) != len(header):
                raise ValueError(
                    f"{path} row {len(rows)} (line {reader.line_num}) has {len(cells)} cells, the "
                    f"header has {len(header)}; check the separator "
                    f"({SEPARATOR_NAMES.get(separator, repr(separator))})"
                )
            rows.append(cells)
    except csv.Error as error:
        raise ValueError(f"{path} line {reader.line_num}: {error}") from None
    return header, rows


def _read_text(
    content: bytes, path: Path, wanted: Sequence[str], separator: str | None
) -> tuple[pd.DataFrame, dict[str, int]]:
    repairs: dict[str, int] = {}
    if content.startswith(b"\x1f\x8b"):
        content = _decompress(content, path)
        repairs["gzip unpacked"] = 1
    if content.startswith(_UTF8_MARK):
        content = content[len(_UTF8_MARK) :]
        repairs["byte order mark removed"] = 1
    text = _decode(content, path)
    returns = text.count("\r\n")
    if returns:
        repairs["CRLF line ends"] = returns
    stripped = text.lstrip("\r\n")
    if not stripped.strip():
        raise ValueError(f"{path} is empty")
    if separator is None:
        separator = _sniff(stripped.splitlines()[0], wanted, path)
    header, rows = _parse(stripped, separator, path, repairs)
    frame = pd.DataFrame(rows, columns=pd.Index(header), dtype=object)
    require_columns(frame, wanted, str(path), SEPARATOR_NAMES.get(separator, repr(separator)))
    return frame, repairs


def read_table(
    path: Path | str, columns: Sequence[str] = (), separator: str | None = None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read a CSV, TSV or Parquet file; which of them, the content says and not the name.

    Parameters
    ----------
    path : Path or str
    columns : sequence of str
        Columns that must be there.
    separator : str, optional
        By default the one of tab, comma, semicolon and bar that fits the header.

    Returns
    -------
    frame : DataFrame
        Every column of the file; text cells unchanged.
    repairs : dict of str to int
        What was mended, and how often.

    Raises
    ------
    ValueError
        If the file is empty, damaged, no table, not UTF-8, ragged, or lacks a column.
    """
    path = Path(path)
    content = path.read_bytes()
    if content.startswith(b"PK\x03\x04"):
        raise ValueError(
            f"{path} is a zip archive or spreadsheet; save the table as CSV or Parquet"
        )
    if content.startswith(b"PAR1") or path.suffix == ".parquet":
        try:
            table = pq.read_table(pa.BufferReader(content))
            table.validate(full=True)  # or text that is not UTF-8 fails where a cell is looked at
            frame = table.to_pandas(ignore_metadata=True)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path} is a damaged Parquet file, or its text is not UTF-8 ({error}); write it "
                "again"
            ) from None
        require_columns(frame, columns, str(path))
        repairs: dict[str, int] = {}
    else:
        frame, repairs = _read_text(content, path, columns, separator)
    if len(frame) == 0:
        raise ValueError(f"{path} has a header but no rows")
    return frame, repairs

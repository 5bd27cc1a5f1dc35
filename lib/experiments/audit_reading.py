"""A file of anyone's predictions, read for the audit; labels made harmless.

In: a path and the names of its columns. Out: a table under the contract of :mod:`lib.data.predictions`.
Labels are the user's: they are shown as text, and one that a spreadsheet would run as a formula
gets an apostrophe in front.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from lib.arrays import as_forecast
from lib.data import predictions

MANY_ROWS = 1_000_000  # a Parquet file of more is read column by column, ids left out
LONGEST_LABEL = 60
FORMULA = ("=", "+", "-", "@")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def harmless(label: object) -> str:
    """A label as one line of text that no spreadsheet takes for a formula.

    Examples
    --------
    >>> harmless("=cmd|' /C calc'!A0"), harmless("-0.5"), harmless("plain")
    ("'=cmd|' /C calc'!A0", '-0.5', 'plain')
    """
    text = "".join(c if c.isprintable() else " " for c in str(label)).strip()
    if len(text) > LONGEST_LABEL:
        text = text[: LONGEST_LABEL - 1] + "…"
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def as_rename(given: object) -> dict[str, str] | None:
    """Column names, theirs to ours, from a mapping, its JSON, or ``"theirs=ours,theirs=ours"``.

    Raises
    ------
    ValueError
        For text that is neither.

    Examples
    --------
    >>> as_rename("y=target, y_hat=mean")
    {'y': 'target', 'y_hat': 'mean'}
    """
    if given is None or given == "":
        return None
    content: Any = given
    if isinstance(given, str):
        try:
            content = json.loads(given)
        except json.JSONDecodeError:
            pairs = [part.split("=") for part in given.split(",")]
            if any(len(pair) != 2 for pair in pairs):
                content = None
            else:
                content = {theirs.strip(): ours.strip() for theirs, ours in pairs}
    if not isinstance(content, Mapping):
        raise ValueError(f"rename is {given!r}; 'theirs=ours,theirs=ours' would do")
    return {str(theirs): str(ours) for theirs, ours in content.items()}


def read(
    path: Path, rename: Mapping[str, str] | None, more: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """The checked table of a file, and notes on how it was read.

    Parameters
    ----------
    path : Path
        CSV, TSV (also gzipped) or Parquet.
    rename : mapping, optional
        From their column names to ours.
    more : sequence of str
        Further columns that must be there.

    Raises
    ------
    ValueError
        As :func:`lib.data.predictions.read` says; for a file that is not there; for a column of ``more``
        that is missing.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}; give the path of a CSV, TSV or Parquet table")
    notes: list[str] = []
    if path.suffix == ".parquet" and _parquet_rows(path) > MANY_ROWS:
        table = _read_columns(path, rename or {}, more)
        notes.append(
            f"The file has more than {MANY_ROWS:,} rows and was read column by column: ids and "
            "sequences were not looked at."
        )
    else:
        table = predictions.read(path, rename=rename)
    missing = [name for name in more if name not in table]
    if missing:
        have = ", ".join(map(str, table.columns))
        raise ValueError(f"{path} has no column {missing[0]!r}; it has {have}")
    return table, notes


def _parquet_rows(path: Path) -> int:
    try:
        return int(parquet.ParquetFile(path).metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from None


def _read_columns(path: Path, rename: Mapping[str, str], more: Sequence[str]) -> pd.DataFrame:
    """What the audit needs of a large Parquet file, one column in memory at a time."""
    file = parquet.ParquetFile(path)
    theirs = {rename.get(name, name): name for name in file.schema_arrow.names}
    absent = sorted(set(rename) - set(theirs.values()))
    if absent:
        raise ValueError(f"{path} has no column {absent[0]!r}; it has {', '.join(theirs.values())}")
    head = next(file.iter_batches(batch_size=1000)).to_pandas().rename(columns=dict(rename))
    # Without an id the check of the columns would stop there; none is read here.
    predictions.validate(head.assign(id=np.arange(len(head))), str(path))
    columns: dict[str, Any] = {}
    for name in (*predictions.NUMERIC, "group", "split", "shift", *more):
        if name not in theirs or name in columns:
            continue
        column = parquet.read_table(path, columns=[theirs[name]]).column(0)
        if name in predictions.NUMERIC:
            columns[name] = column.to_numpy().astype(np.float64, copy=False)
        elif pa.types.is_integer(column.type) and not column.null_count:
            columns[name] = column.to_numpy()
        else:
            columns[name] = column.cast(pa.string()).dictionary_encode().to_pandas()
    as_forecast(columns["mean"], columns["std"], columns["target"])
    return pd.DataFrame(columns, copy=False)

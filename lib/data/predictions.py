"""The predictions table, ours and anyone's: one row per element and forecast.

Columns: ``id, target, mean, std`` (the last three in one unit), and optionally ``std_aleatoric,
std_epistemic, group, gc, sequence, split, shift``; further ones pass through. Stored as CSV, TSV
(also gzipped) or Parquet. ``id`` is unique within each ``split`` and ``shift``.
"""

import gzip
import os
import tempfile
import warnings
import zlib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike
from pyarrow import parquet

REQUIRED = ("id", "target", "mean", "std")
OPTIONAL = ("std_aleatoric", "std_epistemic", "group", "gc", "sequence", "split", "shift")
NUMERIC = ("target", "mean", "std", "std_aleatoric", "std_epistemic", "gc")
SEPARATORS = (",", "\t", ";")
# What pandas, gzip and Arrow raise of damaged files.
UNREADABLE = (
    *(ValueError, OSError, EOFError, zlib.error),
    *(pa.ArrowException, pd.errors.ParserWarning),
)

_Rule = tuple[Callable[[np.ndarray], np.ndarray], str]
_RULES: Mapping[str, _Rule] = {
    "std": (lambda v: v > 0, "above 0"),
    "std_aleatoric": (lambda v: v >= 0, "of at least 0"),
    "std_epistemic": (lambda v: v >= 0, "of at least 0"),
    "gc": (lambda v: (v >= 0) & (v <= 1), "between 0 and 1"),
}


def _require(present: list[str], source: str) -> None:
    missing = [name for name in REQUIRED if name not in present]
    if not missing:
        return
    lowered = {name.lower(): name for name in present}
    hints = []
    for name in missing:
        near = [lowered[m] for m in get_close_matches(name, lowered, n=2)]
        hints.append(f"{name!r}" + (f" (nearest: {', '.join(near)})" if near else ""))
    raise ValueError(
        f"{source} lacks {', '.join(hints)}; it has {', '.join(present[:20])}. "
        "Rename the columns, or pass rename={'yours': 'ours'}"
    )


def _numbers(name: str, column: pd.Series, source: str) -> np.ndarray:
    """A finite float64 column within its range, or an error that names the row."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    allowed, range_ = _RULES.get(name, (lambda v: np.ones(len(v), bool), ""))
    good = np.isfinite(values) & allowed(values)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"{source}: {name} is {column.iloc[row]} in row {row}; it must be a finite number"
            + (f" {range_}" if range_ else "")
        )
    return values


def _check_ids(table: pd.DataFrame, source: str) -> None:
    key = ["id", *(name for name in ("split", "shift") if name in table)]
    if table["id"].isna().any() or (table["id"] == "").any():
        row = int(np.argmax((table["id"].isna() | (table["id"] == "")).to_numpy()))
        raise ValueError(f"{source}: id is missing in row {row}")
    twice = table.duplicated(key).to_numpy()
    if twice.any():
        row = int(np.argmax(twice))
        raise ValueError(
            f"{source}: id {table['id'].iloc[row]!r} appears again in row {row}, and {twice.sum()} "
            "rows in all repeat an id; one row per id (within each split and shift) is needed"
        )


def validate(table: pd.DataFrame, source: str = "predictions") -> pd.DataFrame:
    """The table with float64 numbers, or one clear error; the argument is not changed.

    Parameters
    ----------
    table : DataFrame with n rows
    source : str
        What the error calls it.

    Returns
    -------
    DataFrame
        Known columns first, in the order of this module's contract; index 0 to n - 1.

    Raises
    ------
    ValueError
        For a missing column (the nearest names are given), no rows, a number that is not finite, a
        standard deviation of 0 or less, a GC content outside [0, 1], or a repeated id.

    Examples
    --------
    >>> validate(pd.DataFrame({"id": ["a"], "target": [1], "mean": [0.5], "std": [0.0]}))
    Traceback (most recent call last):
    ValueError: predictions: std is 0.0 in row 0; it must be a finite number above 0
    """
    present = [str(name) for name in table.columns]
    repeated = sorted({name for name in present if present.count(name) > 1})
    if repeated:
        raise ValueError(f"{source} names the column {repeated[0]!r} twice")
    _require(present, source)
    if len(table) == 0:
        raise ValueError(f"{source} has no rows")
    known = [name for name in (*REQUIRED, *OPTIONAL) if name in present]
    others = [name for name in present if name not in known]
    checked = table.set_axis(present, axis=1)[known + others].reset_index(drop=True)
    for name in NUMERIC:
        if name in checked:
            checked[name] = _numbers(name, checked[name], source)
    _check_ids(checked, source)
    return checked


def make(
    id: ArrayLike, target: ArrayLike, mean: ArrayLike, std: ArrayLike, **optional: ArrayLike
) -> pd.DataFrame:
    """A table from arrays of one length n.

    Raises
    ------
    ValueError
        For arrays of different lengths, or as in :func:`validate`.

    Examples
    --------
    >>> make(["a", "b"], [0.0, 1.0], [0.1, 0.9], [0.2, 0.2], gc=[0.4, 0.6]).shape
    (2, 5)
    """
    columns: dict[str, Any] = {"id": id, "target": target, "mean": mean, "std": std, **optional}
    lengths = {name: len(np.asarray(values)) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns have different lengths: {lengths}")
    return validate(pd.DataFrame({name: np.asarray(v) for name, v in columns.items()}))


def _separator(header: str) -> str:
    """The separator under which a header names most known columns."""

    def score(separator: str) -> tuple[int, int]:
        names = {name.strip().strip('"') for name in header.split(separator)}
        return len(names & {*REQUIRED, *OPTIONAL}), header.count(separator)

    return max(SEPARATORS, key=score)


def _read_text(path: Path) -> pd.DataFrame:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    opened: Any = gzip.open if packed else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
        separator = _separator(file.readline())
        file.seek(0)
        table = pd.read_csv(
            file,
            sep=separator,
            dtype={name: str for name in ("id", "group", "sequence", "split", "shift")},
            keep_default_na=False,
            skipinitialspace=True,
            index_col=False,
        )
    return table.rename(columns=lambda name: str(name).strip())


def _read_parquet(path: Path) -> pd.DataFrame:
    # Without the metadata that pandas writes beside the data: damaged, it breaks pandas itself.
    frame: pd.DataFrame = parquet.read_table(path).to_pandas(ignore_metadata=True)
    return frame


def read(path: str | Path, *, rename: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read and validate a CSV, TSV (also gzipped) or Parquet table.

    A byte order mark, CRLF line ends, gzip and the separators comma, tab and semicolon are
    recognised. Identifiers stay text.

    Parameters
    ----------
    path : path
        ``.parquet`` is read as Parquet, all else as text.
    rename : mapping, optional
        From column names in the file to those of this module.

    Raises
    ------
    ValueError
        If the file is empty or cannot be parsed, a name in ``rename`` is absent, or as in
        :func:`validate`.
    """
    path = Path(path)
    try:
        table = _read_parquet(path) if path.suffix == ".parquet" else _read_text(path)
    except FileNotFoundError:
        raise
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty") from None
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from error
    if rename is not None:
        absent = [name for name in rename if name not in table]
        if absent:
            raise ValueError(
                f"{path} has no column {absent[0]!r}; it has {', '.join(map(str, table))}"
            )
        table = table.rename(columns=dict(rename))
    return validate(table, str(path))


def write(table: pd.DataFrame, path: str | Path) -> None:
    """Validate and write a table, whole or not at all; the ending decides the format.

    Raises
    ------
    ValueError
        For an ending other than ``.csv``, ``.tsv``, ``.csv.gz``, ``.tsv.gz``, ``.parquet``, or as
        in :func:`validate`.
    """
    path = Path(path)
    checked = validate(table)
    kind = next(
        (e for e in (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz") if path.name.endswith(e)),
        None,
    )
    if kind is None:
        raise ValueError(f"{path.name} must end in .csv, .tsv, .csv.gz, .tsv.gz or .parquet")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".predictions-")
    os.close(handle)
    try:
        if kind == ".parquet":
            checked.to_parquet(temporary, index=False)
        else:
            text = checked.to_csv(
                sep="\t" if kind.startswith(".tsv") else ",", index=False
            ).encode()
            # No time in the gzip header: the same table gives the same bytes.
            packed = gzip.compress(text, mtime=0) if kind.endswith(".gz") else text
            Path(temporary).write_bytes(packed)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

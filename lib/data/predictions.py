"""The predictions table, ours and anyone's: one row per element and forecast.

Columns: ``id, target, mean, std`` (the last three in one unit), and optionally ``std_aleatoric,
std_epistemic, group, gc, sequence, split, shift``; further ones pass through. Read from CSV, TSV
(also gzipped) or Parquet. ``id`` is unique within each ``split`` and ``shift``.
"""

import gzip
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from lib.arrays import FloatArray
from lib.data.dataset import SequenceDataset

REQUIRED = ("id", "target", "mean", "std")
OPTIONAL = ("std_aleatoric", "std_epistemic", "group", "gc", "sequence", "split", "shift")
TRUTH = ("noise_free", "true_mean", "true_std")  # of simulated elements
NUMERIC = ("target", "mean", "std", "std_aleatoric", "std_epistemic", "gc")
SEPARATORS = (",", "\t", ";")
MANY_ROWS = 1_000_000  # a Parquet file of more is read column by column, ids left out
LONGEST_LABEL = 60
FORMULA = ("=", "+", "-", "@")
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


def _read_columns(path: Path, rename: Mapping[str, str], more: Sequence[str]) -> pd.DataFrame:
    """What is judged of a large Parquet file, one column in memory at a time; no id is read."""
    file = parquet.ParquetFile(path)
    theirs = {rename.get(name, name): name for name in file.schema_arrow.names}
    _require_renamed(rename, list(theirs.values()), path)
    head = next(file.iter_batches(batch_size=1000)).to_pandas().rename(columns=dict(rename))
    # Without an id the check of the columns would stop there; none is read here.
    validate(head.assign(id=np.arange(len(head))), str(path))
    columns: dict[str, Any] = {}
    for name in dict.fromkeys((*NUMERIC, "group", "split", "shift", *more)):
        if name not in theirs:
            continue
        column = parquet.read_table(path, columns=[theirs[name]]).column(0)
        if name in NUMERIC:
            values = column.to_numpy().astype(np.float64, copy=False)
            columns[name] = _numbers(name, pd.Series(values, copy=False), str(path))
        elif pa.types.is_integer(column.type) and not column.null_count:
            columns[name] = column.to_numpy()
        else:
            columns[name] = column.cast(pa.string()).dictionary_encode().to_pandas()
    return pd.DataFrame(columns, copy=False)


def _require_renamed(rename: Mapping[str, str], present: Sequence[str], path: Path) -> None:
    absent = [name for name in rename if name not in present]
    if absent:
        raise ValueError(f"{path} has no column {absent[0]!r}; it has {', '.join(present)}")


def read(
    path: str | Path, *, rename: Mapping[str, str] | None = None, more: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Read and validate a CSV, TSV (also gzipped) or Parquet table, and say how it was read.

    A byte order mark, CRLF line ends, gzip and the separators comma, tab and semicolon are
    recognised. Identifiers stay text. A Parquet file of more than :data:`MANY_ROWS` rows is read
    column by column, without ids and sequences.

    Parameters
    ----------
    path : path
        ``.parquet`` is read as Parquet, all else as text.
    rename : mapping, optional
        From column names in the file to those of this module.
    more : sequence of str
        Further columns that must be there.

    Returns
    -------
    table : DataFrame
        As :func:`validate` gives it.
    notes : list of str
        What was not looked at.

    Raises
    ------
    ValueError
        If there is no such file, it is empty or cannot be parsed, a name in ``rename`` or ``more``
        is absent, or as in :func:`validate`.
    """
    path, rename = Path(path), {} if rename is None else rename
    if not path.is_file():
        raise ValueError(f"there is no file {path}; give the path of a CSV, TSV or Parquet table")
    notes: list[str] = []
    try:
        packed = path.suffix == ".parquet"
        many = packed and parquet.ParquetFile(path).metadata.num_rows > MANY_ROWS
        table = pd.DataFrame() if many else (_read_parquet if packed else _read_text)(path)
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty") from None
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from error
    if many:
        table = _read_columns(path, rename, more)
        notes.append(
            f"The file has more than {MANY_ROWS:,} rows and was read column by column: ids and "
            "sequences were not looked at."
        )
    else:
        _require_renamed(rename, list(map(str, table.columns)), path)
        table = validate(table.rename(columns=dict(rename)), str(path))
    missing = [name for name in more if name not in table]
    if missing:
        have = ", ".join(map(str, table.columns))
        raise ValueError(f"{path} has no column {missing[0]!r}; it has {have}")
    return table, notes


def of_elements(
    data: SequenceDataset, mean: FloatArray, std: FloatArray, *, truth: bool = False
) -> pd.DataFrame:
    """Forecasts of a data set, without an ``id``.

    Parameters
    ----------
    data : SequenceDataset with n rows
    mean, std : (n,) arrays
    truth : bool
        Add what is known of simulated elements: ``noise_free`` (activity before noise) and
        ``true_mean`` and ``true_std`` (the law of the measurement).
    """
    columns = {"target": data.activity, "mean": mean, "std": std, "group": data.group}
    columns["gc"] = data.gc
    if truth and data.truth is not None:
        columns |= dict(zip(TRUTH, data.truth, strict=True))
    return pd.DataFrame(columns)


def harmless(label: object) -> str:
    """A stranger's label as one line of text that no spreadsheet takes for a formula.

    Examples
    --------
    >>> harmless("=cmd|' /C calc'!A0"), harmless("-0.5"), harmless("plain")
    ("'=cmd|' /C calc'!A0", '-0.5', 'plain')
    """
    text = "".join(c if c.isprintable() else " " for c in str(label)).strip()
    if len(text) > LONGEST_LABEL:
        text = text[: LONGEST_LABEL - 1] + "…"
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

"""The predictions table, ours and anyone's: one row per element and forecast.

Columns: ``id, target, mean, std`` (the last three in one unit), and optionally ``std_aleatoric,
std_epistemic, group, fold, gc, sequence, split, shift``; further ones pass through as they stand.
``fold`` names the model of a cross-validation that made a forecast, and did not train on it. Read
from CSV, TSV (also gzipped) or Parquet. ``id`` is unique within each ``fold, split`` and ``shift``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lib.arrays import FloatArray
from lib.data import reading
from lib.data.dataset import SequenceDataset

REQUIRED = ("id", "target", "mean", "std")
OPTIONAL = ("std_aleatoric", "std_epistemic", "group", "fold", "gc", "sequence", "split", "shift")
LABELS = ("id", "group", "fold", "split", "shift")
TRUTH = ("noise_free", "true_mean", "true_std")  # of simulated elements
NUMERIC = {
    "target": "finite number",
    "mean": "finite number",
    "std": "finite number above 0",
    "std_aleatoric": "finite number of at least 0",
    "std_epistemic": "finite number of at least 0",
    "gc": "number between 0 and 1",
}
LONGEST_LABEL = 60
FORMULA = ("=", "+", "-", "@")


def _check_ids(table: pd.DataFrame, source: str) -> None:
    key = ["id", *(name for name in ("fold", "split", "shift") if name in table)]
    missing = (table["id"].isna() | (table["id"] == "")).to_numpy()
    if missing.any():
        raise ValueError(f"{source}: id is missing in row {int(np.argmax(missing))}")
    twice = table.duplicated(key).to_numpy()
    if twice.any():
        row = int(np.argmax(twice))
        raise ValueError(
            f"{source}: id {table['id'].iloc[row]!r} appears again in row {row}, and {twice.sum()} "
            "rows in all repeat an id; one row per id (within each fold, split and shift) is needed"
        )


def validate(table: pd.DataFrame, source: str = "predictions", ids: bool = True) -> pd.DataFrame:
    """The table with float64 numbers, or one clear error; the argument is not changed.

    Known columns come first, in the order of this module's contract. Raises ``ValueError``, calling
    the table ``source``, for a missing column (the nearest names are given) or one named twice, no
    rows, a number that is not finite, a standard deviation of 0 or less, a GC content outside
    [0, 1]; with ``ids`` for a missing or repeated id.

    Examples
    --------
    >>> validate(pd.DataFrame({"id": ["a"], "target": [1], "mean": [0.5], "std": [0.0]}))
    Traceback (most recent call last):
    ValueError: predictions: column 'std' row 0 is 0.0, not a finite number above 0; mend or ...
    """
    present = [str(name) for name in table.columns]
    checked = table.set_axis(present, axis=1)
    reading.require_columns(checked, REQUIRED if ids else REQUIRED[1:], source)
    reading.require_columns(checked, present, source)  # none twice
    if len(table) == 0:
        raise ValueError(f"{source} has no rows")
    known = [name for name in (*REQUIRED, *OPTIONAL) if name in present]
    others = [name for name in present if name not in known]
    checked = checked[known + others].reset_index(drop=True)
    for name in known:
        if name in NUMERIC:
            values = reading.numbers(checked[name], name, NUMERIC[name], source)
            if checked[name].dtype != values.dtype:  # of ten million rows no copy is made
                checked[name] = values
        elif name in LABELS and isinstance(checked[name].dtype, pd.StringDtype):
            checked[name] = checked[name].str.lstrip(" ")
    if ids:
        _check_ids(checked, source)
    return checked


def read(
    path: str | Path, *, rename: Mapping[str, str] | None = None, more: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Read and validate a CSV, TSV (also gzipped) or Parquet table, and say how it was read.

    Identifiers stay text. Of a Parquet file of more than :data:`lib.data.reading.MANY_ROWS` rows
    neither ids nor sequences nor further columns are read.

    Parameters
    ----------
    path : path
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
        As :func:`lib.data.reading.read_table` and :func:`validate` say; if a name in ``rename`` or
        ``more`` is absent.
    """
    rename = {} if rename is None else dict(rename)
    theirs = {ours: name for name, ours in rename.items()}
    floats = [theirs.get(name, name) for name in NUMERIC]
    needed = [*rename, *(theirs.get(name, name) for name in more)]
    lean = [*floats, *needed, *(theirs.get(name, name) for name in LABELS if name != "id")]
    table = reading.read_table(path, needed, lean, floats)
    many = len(table) > reading.MANY_ROWS and theirs.get("id", "id") not in table
    notes = [
        f"The file has more than {reading.MANY_ROWS:,} rows: ids and sequences were not looked at."
    ]
    return validate(table.rename(columns=rename), str(path), not many), notes if many else []


def of_elements(
    data: SequenceDataset, mean: FloatArray, std: FloatArray, *, truth: bool = False
) -> pd.DataFrame:
    """Forecasts of a data set, without an ``id``.

    ``truth`` adds what is known of simulated elements: ``noise_free`` (activity before noise),
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
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text

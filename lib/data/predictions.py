"""The predictions table, ours and anyone's: one row per element and forecast.

Columns: ``id, target, mean, std`` (the last three in one unit), and optionally ``std_aleatoric,
std_epistemic, group, fold, gc, sequence, split, shift``; further ones pass through as they stand.
``fold`` names the model of a cross-validation that made a forecast, and did not train on it. Read
from CSV, TSV (also gzipped) or Parquet. ``id`` is unique within ``fold, split, shift, condition``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.arrays import FloatArray
from lib.data import cells, reading
from lib.data.dataset import SequenceDataset

REQUIRED = ("id", "target", "mean", "std")
LABELS = ("id", "group", "fold", "split", "shift", "pair", "condition")
TRUTH = ("noise_free", "true_mean", "true_std")  # of simulated elements
NUMERIC = {
    "target": cells.WITHIN,
    "mean": cells.WITHIN,
    "std": cells.WITHIN_ABOVE_0,
    "std_aleatoric": "finite number of at least 0",
    "std_epistemic": "finite number of at least 0",
    "gc": "number between 0 and 1",
}
NUMBERS = (*NUMERIC, "noise_std")
LONGEST_LABEL = 60


def _check_ids(table: pd.DataFrame, source: str) -> None:
    key = ["id", *(name for name in ("fold", "split", "shift", "condition") if name in table)]
    cells.no_missing(table["id"], "every row needs one", source)
    if (twice := table.duplicated(key).to_numpy()).any():
        row = int(np.argmax(twice))
        said = f"is {{cell}} again, and {twice.sum()} rows in all repeat an id; one row per id "
        said += "(within each fold, split, shift and condition) is needed"
        raise cells.CellError("id", row, said, table["id"].iloc[row], source)


def validate(
    table: pd.DataFrame, source: str = "predictions", ids: bool = True, more: Sequence[str] = ()
) -> pd.DataFrame:
    """The table with float64 numbers and labels of text, or one clear error; a copy.

    Raises ``ValueError``, calling the table ``source``, for a missing column (the nearest names are
    given) or one named twice, no rows, a number that is not finite, a standard deviation of 0 or
    less, a GC content outside [0, 1]; with ``ids`` for a missing or repeated id. Labels are
    :data:`LABELS` and ``more``.

    Examples
    --------
    >>> validate(pd.DataFrame({"id": ["a"], "target": [1], "mean": [0.5], "std": [0.0]}))
    Traceback (most recent call last):
    lib.data.cells.CellError: predictions: column 'std' row 0 is 0.0, not a finite ...
    """
    present = [str(name) for name in table.columns]
    checked = table.set_axis(present, axis=1)
    cells.require_columns(checked, REQUIRED if ids else REQUIRED[1:], source, cells.renaming)
    cells.require_columns(checked, present, source)  # none twice
    if len(table) == 0:
        raise ValueError(f"{source} has no rows")
    checked = checked.reset_index(drop=True)
    for name in (name for name in NUMERIC if name in present):
        values = cells.numbers(checked[name], name, NUMERIC[name], source)
        if checked[name].dtype != values.dtype:  # of ten million rows no copy is made
            checked[name] = values
    for name in {*LABELS, "sequence", *more} & {*present} - {*NUMERIC}:
        checked[name] = cells.labels(checked[name], name)
    if "group" in checked:
        cells.no_missing(checked["group"], "every row needs a group", source)
    if ids:
        _check_ids(checked, source)
    return checked


def read(
    path: str | Path, *, rename: Mapping[str, str] | None = None, more: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Read and validate a CSV, TSV (also gzipped) or Parquet table, and say how it was read.

    Identifiers stay text. Of a Parquet file of more than :data:`lib.data.reading.MANY_ROWS` rows
    neither ids nor sequences nor further columns are read.

    ``rename`` leads from column names in the file to those of this module; ``more`` are further
    columns that must be there. Returns the table as :func:`validate` gives it, and notes on what
    was not looked at. A ``ValueError`` as :func:`lib.data.reading.read_table` and :func:`validate`
    say; if a name in ``rename`` or ``more`` is absent.
    """
    rename = dict(rename or {})
    texts = {*LABELS, "sequence", *more} - {*NUMERIC}
    lean = [*NUMBERS, *rename.values(), *more, *LABELS[1:]]
    roles: Any = {"texts": texts, "floats": NUMBERS, "lean": lean}
    table = reading.read_table(path, [*REQUIRED, *more], rename=rename, how=cells.renaming, **roles)
    many = len(table) > reading.MANY_ROWS and "id" not in table
    note = f"Of more than {reading.MANY_ROWS:,} rows ids and sequences were not looked at."
    with reading.placed(Path(path), [*REQUIRED, *more], rename):
        return validate(table, str(path), not many, more), [note] if many else []


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
    """A stranger's label as one short line of text.

    Examples
    --------
    >>> harmless(" plain "), len(harmless("x" * 99))
    ('plain', 60)
    """
    text = "".join(c if c.isprintable() else " " for c in str(label)).strip()
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"

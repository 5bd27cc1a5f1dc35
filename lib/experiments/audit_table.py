"""A predictions table as the audit takes it: its labels harmless, its parts and covariates named.

In: a table under the contract of :mod:`lib.data.predictions`. Out: :class:`Audited`. What was made
up or left out is said in ``notes``, sentence by sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import FloatArray, IndexArray
from lib.data.leakage import leak_groups
from lib.data.predictions import harmless
from lib.data.table import LINK_LENGTH
from lib.metrics.evaluate import DECILES, quantile_bins
from lib.sequences import encode

LINKED_ROWS = 100_000  # groups are made from sequences up to here: some seconds
MOST_LABELS = 30  # parts, and labels of a covariate
SIZES = ["1 row", "2 rows", "3-5 rows", "6-20 rows", "over 20 rows"]  # of groups
CALIBRATION = ("calibration", "calib", "cal")
SEEN = ("train", "training", "validation", "valid", "val", "dev")


class AuditedPart(NamedTuple):
    """Rows judged together; ``shift`` is empty in distribution, ``seed`` is the bootstrap's."""

    split: str
    shift: str
    rows: IndexArray
    condition: str = ""
    family: str = ""
    severity: float = float("nan")
    seed: int = 0

    @property
    def name(self) -> str:
        """How pages call it."""
        if self.shift:
            return f"{self.shift} {self.condition}".strip()
        return "in distribution" if self.split == "test" else f"in distribution, {self.split}"


@dataclass(frozen=True, eq=False)
class Audited:
    """One model's forecasts of one data set, from one split of it.

    Attributes
    ----------
    data : str
    table : DataFrame with n rows
        ``target, mean, std, group`` and what else there is; index 0 to n - 1.
    parts : tuple of AuditedPart
        In distribution first.
    calibration : (m,) int array
        Rows to repair from; empty where the table names none.
    by : mapping of str to categorical of n rows
        Covariates, by which coverage is asked.
    notes : tuple of str
        What was made up or left out, and which column would switch something on.
    model, uncertainty : str
        Columns of its rows.
    split_seed : int
        Repeats of one data set are told apart by it and pooled.
    n_train : int or None
    climatology : (float, float) or None
        Mean and standard deviation of the training targets.
    """

    data: str
    table: pd.DataFrame
    parts: tuple[AuditedPart, ...]
    calibration: IndexArray
    by: Mapping[str, pd.Categorical]
    notes: tuple[str, ...] = ()
    model: str = "given"
    uncertainty: str = "single"
    split_seed: int = 0
    n_train: int | None = None
    climatology: tuple[float, float] | None = None

    def take(self, rows: IndexArray, *columns: str) -> pd.DataFrame:
        """The forecasts at ``rows``; of many rows only the columns named, one copy of each."""
        if not columns:
            return self.table.iloc[rows]
        known = {name: self.table[name] for name in columns if name in self.table}
        found = {name: column.to_numpy()[rows] for name, column in known.items()}
        return pd.DataFrame(found, copy=False)

    def group(self, rows: IndexArray) -> IndexArray:
        """Group numbers at ``rows``."""
        return self.table["group"].to_numpy()[rows]

    def keys(self, part: AuditedPart, n: int) -> dict[str, Any]:
        """Columns of a part's rows, of which ``n`` are judged."""
        return {
            "data": self.data,
            "split": part.split,
            "shift": part.shift,
            "family": part.family,
            "severity": part.severity if part.shift else 0.0,
            "condition": part.condition,
            "model": self.model,
            "prior": "none",
            "uncertainty": self.uncertainty,
            "split_seed": self.split_seed,
            # One split is not compared with others: any size of the training part will do.
            "n_train": n if self.n_train is None else self.n_train,
        }


def _categories(codes: IndexArray, texts: Sequence[str]) -> pd.Categorical:
    made: pd.Categorical[Any] = pd.Categorical.from_codes(codes, pd.Index(texts))
    return made


def _labels(values: pd.Series, remedy: str, sort: bool = False) -> pd.Categorical:
    """A column of few harmless labels; a missing one has the code -1."""
    codes, found = pd.factorize(values, sort=sort)
    if len(found) > MOST_LABELS:
        raise ValueError(f"{values.name} has {len(found)} labels; at most {MOST_LABELS}{remedy}")
    texts = [harmless(label) for label in found]
    unique = list(dict.fromkeys(texts))
    number = np.array([*(unique.index(text) for text in texts), -1], np.int64)
    return _categories(number[codes], unique)


def _deciles(values: pd.Series) -> pd.Categorical:
    names = [f"{cell + 1:02d}" for cell in range(DECILES)]
    return _categories(quantile_bins(values, DECILES), names)


def group_numbers(labels: pd.Series) -> IndexArray:
    """Group labels as whole numbers, none missing; numbers in text keep their value.

    Examples
    --------
    >>> group_numbers(pd.Series(["10", "2", "10"])).tolist()
    [10, 2, 10]
    """
    if labels.dtype.kind in "iu":
        return labels.to_numpy(np.int64)
    codes, found = pd.factorize(labels, sort=True)
    empty = (codes < 0) | (np.asarray(found == "", bool)[codes] if len(found) else False)
    if empty.any():
        raise ValueError(f"group is missing in row {int(np.argmax(empty))}; every row needs one")
    numbers = pd.to_numeric(pd.Series(found), errors="coerce").to_numpy(np.float64)
    whole = np.abs(numbers).max() < 2**53 and (numbers == np.round(numbers)).all()  # not with NaN
    if whole and len(set(numbers)) == len(found):
        return numbers.astype(np.int64)[codes]
    return codes.astype(np.int64)


def gc_of(sequences: pd.Series) -> FloatArray:
    """GC content of each text, of its letters A, C, G and T; NaN where it has none.

    Examples
    --------
    >>> gc_of(pd.Series(["GGAN", "at"])).round(3).tolist()
    [0.667, 0.0]
    """
    upper = sequences.astype(str).str.upper()
    known = upper.str.count("[ACGTU]").to_numpy(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return upper.str.count("[CG]").to_numpy(np.float64) / known


def _add_gc(table: pd.DataFrame, notes: list[str]) -> None:
    if "gc" not in table and "sequence" in table:
        gc = gc_of(table["sequence"])
        if np.isfinite(gc).all():
            table["gc"] = gc
        else:
            row = int(np.argmin(np.isfinite(gc)))
            notes.append(f"The sequence in row {row} holds no A, C, G or T, so there is no GC.")
    if "gc" not in table:
        notes.append("A column gc, or sequence, would add what depends on GC content.")


def _linked(sequences: pd.Series, notes: list[str]) -> IndexArray | None:
    """Groups of sequences of one length that share a word; None where there are none to make."""
    lengths = sequences.str.len()
    if len(sequences) > LINKED_ROWS or lengths.nunique() > 1 or lengths.iloc[0] < LINK_LENGTH:
        return None
    try:
        codes = encode([text.upper() for text in sequences])
    except ValueError as error:
        notes.append(f"No groups could be made from the sequences: {error}.")
        return None
    notes.append(
        f"Groups were made from the sequences: those that share {LINK_LENGTH} nt on either strand "
        "are relatives."
    )
    return leak_groups(codes, LINK_LENGTH)


def _add_groups(table: pd.DataFrame, notes: list[str]) -> bool:
    """Number the groups, from sequences where no column says them; whether relatives are known."""
    if "group" in table:
        table["group"] = group_numbers(table["group"])
        return True
    linked = _linked(table["sequence"], notes) if "sequence" in table else None
    table["group"] = np.arange(len(table)) if linked is None else linked
    if linked is None:
        notes.append(
            "Without a column group every row counts as independent. Where rows are relatives "
            "(both strands, tiles, mutants of one parent) the intervals here are too narrow."
        )
    return linked is not None


def _numbered(table: pd.DataFrame, name: str) -> tuple[IndexArray, list[str]]:
    """A column as numbers into its labels, of which the first is none."""
    if name not in table:
        return np.zeros(len(table), np.int64), [""]
    found = _labels(table[name], " would do: drop the column, or give fewer labels")
    labels = list(dict.fromkeys(["", *found.categories]))
    number = np.array([*(labels.index(text) for text in found.categories), 0], np.int64)
    return number[found.codes], labels


def _deal(table: pd.DataFrame, notes: list[str]) -> tuple[list[AuditedPart], IndexArray]:
    """Parts to judge, in distribution first, and the rows to repair from."""
    (split, splits), (shift, shifts) = _numbered(table, "split"), _numbered(table, "shift")
    code = split * len(shifts) + shift
    parts: list[AuditedPart] = []
    calibration = [np.empty(0, np.int64)]
    for number in np.unique(code):
        own, moved = splits[number // len(shifts)], shifts[number % len(shifts)]
        rows = np.flatnonzero(code == number)
        if own.lower() in SEEN:
            notes.append(f"{len(rows):,} rows of split {own} are left out: the model saw them.")
        elif own.lower() in CALIBRATION and not moved:
            calibration.append(rows)
        else:
            parts.append(AuditedPart(own or ("shifted" if moved else "test"), moved, rows))
    if not parts:
        raise ValueError(
            "no rows are left to judge: all are of a training, validation or calibration split; "
            "add rows of split test"
        )
    parts.sort(key=lambda part: part.shift != "")
    return parts, np.sort(np.concatenate(calibration))


def _own_covariate(values: pd.Series) -> pd.Categorical:
    """A column of the table as bins: its labels, or deciles of many numbers."""
    missing = values.isna().to_numpy()
    if missing.any():
        raise ValueError(f"{values.name} is missing in row {int(np.argmax(missing))}")
    numbers = pd.to_numeric(values, errors="coerce")
    if values.nunique() > MOST_LABELS and np.isfinite(numbers).all():
        return _deciles(numbers)
    return _labels(values, ", or numbers, would do", sort=True)


def covariates(
    table: pd.DataFrame, grouped: bool, own: Sequence[str] = ()
) -> dict[str, pd.Categorical]:
    """What coverage is asked by: std, predicted activity, GC, size of the group, own columns."""
    found = {"std_decile": _deciles(table["std"]), "activity_decile": _deciles(table["mean"])}
    if "gc" in table and "gc_decile" not in own:
        found["gc_decile"] = _deciles(table["gc"])
    if grouped:
        _, inverse, count = np.unique(table["group"], return_inverse=True, return_counts=True)
        cells = np.searchsorted((1, 2, 5, 20), count[inverse], side="left")
        found["group_size"] = _categories(cells.astype(np.int64), SIZES)
    return found | {harmless(name): _own_covariate(table[name]) for name in own}


def prepare(
    table: pd.DataFrame, data: str, by: Sequence[str] = (), notes: Sequence[str] = (), **more: Any
) -> Audited:
    """A checked predictions table, which stays as it is, ready for the audit.

    ``by`` are columns of the table that coverage is asked by, ``more`` further attributes of
    :class:`Audited`.

    Raises
    ------
    ValueError
        If a group is missing, labels are too many, or no row is left to judge.
    """
    table, said = table.copy(deep=False), list(notes)
    parts, calibration = _deal(table, said)
    if not len(calibration):
        said.append(
            "Rows with split calibration would serve the repairs; without them the repairs learn "
            "from a random half of the groups in distribution and are judged on the rest."
        )
    _add_gc(table, said)
    grouped = _add_groups(table, said)
    if not any(part.shift for part in parts):
        said.append("A column shift, its cells empty in distribution, would add shifted parts.")
    if {"std_aleatoric", "std_epistemic"} <= set(table.columns):
        more = {"uncertainty": "ensemble"} | more
    cells = covariates(table, grouped, by)
    return Audited(harmless(data), table, tuple(parts), calibration, cells, tuple(said), **more)

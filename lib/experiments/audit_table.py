"""A predictions table as the audit takes it: checked, its labels harmless, its parts named.

In: a table under the contract of :mod:`lib.data.predictions`. Out: :class:`Forecasts`, whose ``parts``
are the rows to judge and whose ``calibration`` are those to repair from. What was made up or left
out is said in ``notes``, sentence by sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.data.dataset import FloatArray, IndexArray
from lib.data.relatives import leak_groups
from lib.experiments.audit_reading import harmless
from lib.metrics.groups import quantile_bins
from lib.sequences import encode

LINKED_ROWS = 100_000  # groups are made from sequences up to here: some seconds
LINK_LENGTH = 20  # nt shared by relatives
MOST_LABELS = 30  # parts, and labels of a covariate
DECILES = 10
CALIBRATION = ("calibration", "calib", "cal")
SEEN = ("train", "training", "validation", "valid", "val", "dev")


class Part(NamedTuple):
    """Rows judged together; ``shift`` is empty in distribution."""

    split: str
    shift: str
    rows: IndexArray

    @property
    def name(self) -> str:
        """How pages call it."""
        if self.shift:
            return self.shift
        return "in distribution" if self.split == "test" else f"in distribution, {self.split}"


@dataclass(frozen=True, eq=False)
class Forecasts:
    """One model's forecasts of one data set, from one split of it.

    Attributes
    ----------
    data : str
    table : DataFrame with n rows
        ``target, mean, std, group`` and what else there is; index 0 to n - 1.
    parts : tuple of Part
        In distribution first.
    calibration : (m,) int array
        Rows to repair from; empty where the table names none.
    by : mapping of str to (n,) int array
        Covariates as bin numbers; ``labels`` holds what the numbers mean.
    labels : mapping of str to sequence of str
    notes : tuple of str
        What was made up or left out, and which column would switch something on.
    grouped : bool
        Whether relatives are known.
    model, uncertainty : str
        Columns of its rows.
    split_seed : int
        Repeats of one data set are told apart by it and pooled.
    n_train : int or None
    climatology : (float, float) or None
        Mean and standard deviation of the training targets.
    seeds : mapping of str to int
        Of the bootstrap, by the shift of the part; 0 for others.
    severity : mapping of str to float
        How far a shift goes, by the shift of the part, where that was measured.
    """

    data: str
    table: pd.DataFrame
    parts: tuple[Part, ...]
    calibration: IndexArray
    by: Mapping[str, IndexArray]
    labels: Mapping[str, Sequence[str]]
    notes: tuple[str, ...] = ()
    grouped: bool = True
    model: str = "given"
    uncertainty: str = "single"
    split_seed: int = 0
    n_train: int | None = None
    climatology: tuple[float, float] | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)
    severity: Mapping[str, float] = field(default_factory=dict)

    def column(self, name: str, rows: IndexArray) -> FloatArray:
        """Values of a numeric column at ``rows``."""
        return self.table[name].to_numpy(np.float64)[rows]

    def forecast(self, rows: IndexArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, standard deviation and target at ``rows``."""
        mean, std, target = (self.column(name, rows) for name in ("mean", "std", "target"))
        return mean, std, target

    def group(self, rows: IndexArray) -> IndexArray:
        """Group numbers at ``rows``."""
        return self.table["group"].to_numpy(np.int64)[rows]


class _Labels(NamedTuple):
    """A column as numbers into its distinct labels."""

    codes: IndexArray
    labels: list[str]


def _text_labels(table: pd.DataFrame, name: str) -> _Labels:
    """A column of harmless labels; missing ones are empty."""
    if name not in table:
        return _Labels(np.zeros(len(table), np.int64), [""])
    codes, found = pd.factorize(table[name])
    if len(found) > MOST_LABELS:
        raise ValueError(
            f"{name} has {len(found)} labels; at most {MOST_LABELS} would do: drop the column, or "
            "give fewer labels"
        )
    texts = ["", *(harmless(label) for label in found)]
    unique = list(dict.fromkeys(texts))
    number = np.array([unique.index(text) for text in texts], np.int64)
    return _Labels(number[codes + 1], unique)


def group_numbers(labels: pd.Series) -> IndexArray:
    """Group labels as whole numbers; numbers in text keep their value.

    Raises
    ------
    ValueError
        If a label is missing.

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
    as_number = pd.to_numeric(pd.Series(found), errors="coerce").to_numpy(np.float64)
    whole = np.isfinite(as_number).all() and (as_number == np.round(as_number)).all()
    if whole and np.abs(as_number).max() < 2**53 and len(set(as_number)) == len(found):
        return as_number.astype(np.int64)[codes]
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


def _add_groups(table: pd.DataFrame, notes: list[str]) -> bool:
    """Number the groups; without a column, from sequences of one length, else one per row."""
    if "group" in table:
        table["group"] = group_numbers(table["group"])
        return True
    if "sequence" in table and len(table) <= LINKED_ROWS:
        lengths = table["sequence"].str.len()
        if lengths.nunique() == 1 and lengths.iloc[0] >= LINK_LENGTH:
            try:
                codes = encode([text.upper() for text in table["sequence"]])
            except ValueError as error:
                notes.append(f"No groups could be made from the sequences: {error}.")
            else:
                table["group"] = leak_groups(codes, LINK_LENGTH)
                notes.append(
                    f"Groups were made from the sequences: those that share {LINK_LENGTH} nt on "
                    "either strand are relatives."
                )
                return True
    table["group"] = np.arange(len(table))
    notes.append(
        "Without a column group every row counts as independent. Where rows are relatives "
        "(both strands, tiles, mutants of one parent) the intervals here are too narrow."
    )
    return False


def _deal(split: _Labels, shift: _Labels, notes: list[str]) -> tuple[tuple[Part, ...], IndexArray]:
    """Parts to judge, in distribution first, and the rows to repair from."""
    width = len(shift.labels)
    code = split.codes * width + shift.codes
    parts: list[Part] = []
    calibration = np.empty(0, np.int64)
    for number in np.unique(code):
        own, moved = split.labels[number // width], shift.labels[number % width]
        rows = np.flatnonzero(code == number)
        if own.lower() in SEEN:
            notes.append(f"{len(rows):,} rows of split {own} are left out: the model saw them.")
        elif own.lower() in CALIBRATION and not moved:
            calibration = np.sort(np.concatenate([calibration, rows]))
        else:
            parts.append(Part(own or ("shifted" if moved else "test"), moved, rows))
    if not parts:
        raise ValueError(
            "no rows are left to judge: all are of a training, validation or calibration split; "
            "add rows of split test"
        )
    return tuple(sorted(parts, key=lambda part: part.shift != "")), calibration


def _quantiles(values: FloatArray) -> tuple[IndexArray, list[str]]:
    cells = quantile_bins(values, DECILES)
    return cells, [f"{cell + 1:02d}" for cell in range(DECILES)]


def _group_sizes(group: IndexArray) -> tuple[IndexArray, list[str]]:
    _, inverse, count = np.unique(group, return_inverse=True, return_counts=True)
    edges = (1, 2, 5, 20)
    cells = np.searchsorted(edges, count[inverse], side="left").astype(np.int64)
    return cells, ["1 row", "2 rows", "3-5 rows", "6-20 rows", "over 20 rows"]


def _own_covariate(table: pd.DataFrame, name: str) -> tuple[IndexArray, list[str]]:
    """A column of the table as bins: its labels, or deciles of many numbers."""
    codes, found = pd.factorize(table[name], sort=True)
    if (codes < 0).any():
        raise ValueError(f"{name} is missing in row {int(np.argmax(codes < 0))}")
    if len(found) > MOST_LABELS:
        numbers = pd.to_numeric(pd.Series(found), errors="coerce").to_numpy(np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError(
                f"{name} has {len(found)} labels; at most {MOST_LABELS}, or numbers, would do"
            )
        return _quantiles(numbers[codes])
    return codes.astype(np.int64), [harmless(label) for label in found]


def _covariates(
    table: pd.DataFrame, grouped: bool, own: Sequence[str]
) -> tuple[dict[str, IndexArray], dict[str, list[str]]]:
    found = {
        "std_decile": _quantiles(table["std"].to_numpy()),
        "activity_decile": _quantiles(table["mean"].to_numpy()),
    }
    if "gc" in table and "gc_decile" not in own:
        found["gc_decile"] = _quantiles(table["gc"].to_numpy())
    if grouped:
        found["group_size"] = _group_sizes(table["group"].to_numpy())
    found |= {harmless(name): _own_covariate(table, name) for name in own}
    by = {name: cells for name, (cells, _) in found.items()}
    return by, {name: labels for name, (_, labels) in found.items()}


def prepare(
    table: pd.DataFrame, data: str, by: Sequence[str] = (), notes: Sequence[str] = (), **more: Any
) -> Forecasts:
    """Make a checked predictions table ready for the audit.

    Parameters
    ----------
    table : DataFrame
        Of :func:`lib.experiments.audit_reading.read` or :func:`lib.data.predictions.validate`; not
        changed.
    data : str
        Name of the data set.
    by : sequence of str
        Columns of the table that coverage is asked by, beside the usual ones.
    notes : sequence of str
    **more
        Further attributes of :class:`Forecasts`.

    Raises
    ------
    ValueError
        If a group is missing, labels are too many, or no row is left to judge.
    """
    table, said = table.copy(deep=False), list(notes)
    split, shift = _text_labels(table, "split"), _text_labels(table, "shift")
    parts, calibration = _deal(split, shift, said)
    if not len(calibration):
        said.append(
            "Rows with split calibration would serve the repairs; without them the repairs learn "
            "from a random half of the groups in distribution and are judged on the rest."
        )
    _add_gc(table, said)
    grouped = _add_groups(table, said)
    if not any(part.shift for part in parts):
        said.append("A column shift, its cells empty in distribution, would add shifted parts.")
    cells, labels = _covariates(table, grouped, by)
    if {"std_aleatoric", "std_epistemic"} <= set(table.columns):
        more = {"uncertainty": "ensemble"} | more
    return Forecasts(
        harmless(data), table, parts, calibration, cells, labels, tuple(said), grouped, **more
    )

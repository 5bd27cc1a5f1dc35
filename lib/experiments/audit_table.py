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
from lib.experiments.repairs import Triple, triple
from lib.metrics.evaluate import DECILES, quantile_bins
from lib.metrics.resampling import Resampling, resampling
from lib.sequences import encode

LINKED_ROWS = 100_000  # groups are made from sequences up to here: some seconds
MOST_LABELS = 30  # parts, and labels of a covariate
FORECAST = ("mean", "std", "target")
CALIBRATION = ("calibration", "calib", "cal")
SEEN = ("train", "training", "validation", "valid", "val", "dev")


class AuditedPart(NamedTuple):
    """Rows judged together; ``keys`` are ``split, shift, family, severity, condition``.

    No shift is in distribution.
    """

    rows: IndexArray
    keys: Mapping[str, Any]

    @property
    def name(self) -> str:
        """How pages call it."""
        split, shift, condition = (self.keys[key] for key in ("split", "shift", "condition"))
        home = "in distribution" if split == "test" else f"in distribution, {split}"
        return f"{shift} {condition}".strip() if shift else home


@dataclass(frozen=True, eq=False)
class Audited:
    """One model's forecasts of one data set.

    ``table`` has ``target, mean, std, group`` and what else there is, with index 0 to n - 1;
    ``parts`` are in distribution first; ``calibration`` are rows to repair from, none where the
    table names none; ``by`` are covariates of all rows, by which coverage is asked; ``notes`` say
    what was made up or left out. Of cross-validation ``plan`` is how all rows are resampled, and
    the table's column ``fold`` counts from 0. ``climatology`` is mean and standard deviation of the
    training targets.
    """

    data: str
    table: pd.DataFrame
    parts: tuple[AuditedPart, ...]
    calibration: IndexArray
    by: Mapping[str, pd.Categorical]
    notes: tuple[str, ...] = ()
    model: str = "given"
    uncertainty: str = "single"
    climatology: tuple[float, float] | None = None
    plan: Resampling | None = None

    def take(self, rows: IndexArray, *columns: str) -> pd.DataFrame:
        """The forecasts at ``rows``, or only the columns named."""
        return self.table[[name for name in columns or self.table if name in self.table]].iloc[rows]

    def forecast(self, rows: IndexArray) -> Triple:
        """Mean, std and target at ``rows``."""
        return triple(self.take(rows, *FORECAST))

    def group(self, rows: IndexArray) -> IndexArray:
        """Group numbers at ``rows``."""
        return self.table["group"].to_numpy()[rows]

    def by_fold(self, rows: IndexArray) -> list[IndexArray]:
        """Of each fold's model the rows that it forecast; all are one fold's without any."""
        if self.plan is None:
            return [rows]
        fold = self.table["fold"].to_numpy()
        return [rows[fold[rows] == number] for number in range(fold.max() + 1)]

    def resampled(self, rows: IndexArray) -> Resampling:
        """How rows are resampled: by whole groups, and by folds where there are any."""
        if self.plan is None:
            return resampling(self.group(rows), np.random.default_rng(0))
        return self.plan.take(rows)

    @property
    def home(self) -> pd.DataFrame:
        """Rows in distribution: those to repair from, if there are."""
        rows = self.calibration if len(self.calibration) else self.parts[0].rows
        return self.take(rows, "target", "gc")

    @property
    def reference(self) -> tuple[float, float] | None:
        """The forecast that skill is against; of other targets where training ones are unknown."""
        if self.climatology is not None:
            return self.climatology
        target = self.home["target"]
        return (float(target.mean()), float(target.std(ddof=0))) if np.ptp(target) > 0 else None

    def keys(self, part: AuditedPart) -> dict[str, Any]:
        """Columns of a part's rows."""
        own = {"model": self.model, "prior": "none", "uncertainty": self.uncertainty}
        return {"data": self.data, **part.keys, **own}


def _labels(values: pd.Series, remedy: str, sort: bool = False) -> "pd.Categorical[Any]":
    """A column of few harmless labels; a missing one has the code -1."""
    codes, found = pd.factorize(values, sort=sort)
    if len(found) > MOST_LABELS:
        raise ValueError(f"{values.name} has {len(found)} labels; at most {MOST_LABELS}{remedy}")
    texts = [harmless(label) for label in found]
    unique = list(dict.fromkeys(texts))
    number = np.array([*(unique.index(text) for text in texts), -1], np.int64)
    return pd.Categorical.from_codes(number[codes], pd.Index(unique))


def _deciles(values: pd.Series) -> "pd.Categorical[Any]":
    names = pd.Index([f"{cell + 1:02d}" for cell in range(DECILES)])
    return pd.Categorical.from_codes(quantile_bins(values, DECILES), names)


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


def _add_groups(table: pd.DataFrame, notes: list[str]) -> None:
    """Number the groups, from sequences where no column says them."""
    if "group" in table:
        empty = table["group"].isna() | (table["group"] == "")
        if empty.any():
            row = int(np.argmax(empty))
            raise ValueError(f"group is missing in row {row}; every row needs one")
        table["group"] = pd.factorize(table["group"], sort=True)[0].astype(np.int64)
        return
    linked = None
    if "sequence" in table and len(table) <= LINKED_ROWS:
        texts = table["sequence"].str.upper()
        try:
            if texts.str.len().nunique() == 1 and len(texts.iloc[0]) >= LINK_LENGTH:
                linked = leak_groups(encode([*texts]), LINK_LENGTH, families=True)
        except ValueError as error:
            notes.append(f"No groups could be made from the sequences: {error}.")
    table["group"] = np.arange(len(table)) if linked is None else linked
    if linked is None:
        notes.append(
            "Without a column group every row counts as independent. Where rows are relatives "
            "(both strands, tiles, mutants of one parent) the intervals here are too narrow."
        )
    else:
        notes.append(
            f"Groups were made from the sequences: those that share {LINK_LENGTH} nt on either "
            "strand are relatives."
        )


def _add_folds(
    table: pd.DataFrame, group: pd.Series, judged: IndexArray, held: IndexArray, notes: list[str]
) -> Resampling | None:
    """Number the folds, and say how rows are resampled if three and whole groups were tested."""
    if "fold" not in table:
        return None
    own = table["fold"].iloc[np.sort(np.concatenate([judged, held]))]
    if (empty := own.isna() | (own == "")).any():
        raise ValueError(f"fold is missing in row {empty.idxmax()}; every row needs one")
    fold, rng = pd.factorize(table["fold"], sort=True)[0], np.random.default_rng(0)
    try:
        found = resampling(group.to_numpy()[judged], rng, fold[judged])
    except ValueError as error:
        notes.append(f"The column fold is not used: {error}.")
        return None
    table["fold"], codes = fold, np.full(len(table), -1)
    codes[judged] = found.codes
    notes.append(
        f"Forecasts are those of {found.folds} folds: intervals are over folds and groups, each "
        "fold has repairs and thresholds of its own."
    )
    return found._replace(codes=codes)


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
            keys = {"split": own or ("shifted" if moved else "test"), "shift": moved, "family": ""}
            keys |= {"severity": np.nan if moved else 0.0, "condition": ""}
            parts.append(AuditedPart(rows, keys))
    if not parts:
        raise ValueError(
            "no rows are left to judge: all are of a training, validation or calibration split; "
            "add rows of split test"
        )
    parts.sort(key=lambda part: part.keys["shift"] != "")
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


def covariates(table: pd.DataFrame, own: Sequence[str] = ()) -> dict[str, pd.Categorical]:
    """What coverage is asked by: std, predicted activity, GC, own columns."""
    found = {"std_decile": _deciles(table["std"]), "activity_decile": _deciles(table["mean"])}
    if "gc" in table and "gc_decile" not in own:
        found["gc_decile"] = _deciles(table["gc"])
    return found | {harmless(name): _own_covariate(table[name]) for name in own}


def prepare(
    table: pd.DataFrame, data: str, by: Sequence[str] = (), notes: Sequence[str] = ()
) -> Audited:
    """A checked predictions table, which stays as it is, ready for the audit.

    ``by`` are columns that coverage is asked by. A ``ValueError`` says that a group or fold is
    missing, labels are too many, or nothing is left to judge.
    """
    given, table, said = table, table.copy(deep=False), list(notes)
    parts, calibration = _deal(table, said)
    _add_gc(table, said)
    _add_groups(table, said)
    group = given["group"] if "group" in given else table["group"]
    judged = np.concatenate([part.rows for part in parts])
    plan = _add_folds(table, group, judged, calibration, said)
    if not len(calibration):
        others = "a random half of the groups in distribution and are judged on the rest."
        said.append(
            "Rows with split calibration would serve the repairs; without them the repairs learn "
            f"from {others if plan is None else 'the other folds.'}"
        )
    if not any(part.keys["shift"] for part in parts):
        said.append("A column shift, its cells empty in distribution, would add shifted parts.")
    parts_of_std = {"std_aleatoric", "std_epistemic"} <= set(table)
    return Audited(
        harmless(data),
        table,
        tuple(parts),
        calibration,
        covariates(table, by),
        tuple(said),
        uncertainty="ensemble" if parts_of_std else "single",
        plan=plan,
    )

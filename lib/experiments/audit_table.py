"""A predictions table as the audit takes it: its labels harmless, its parts and covariates named.

In: a table under the contract of :mod:`lib.data.predictions`. Out: :class:`Audited`. What was made
up or left out is said in ``notes``, sentence by sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lib.arrays import FloatArray, IndexArray
from lib.data.cells import labels, no_missing, numbers
from lib.data.leakage import leak_groups, linked
from lib.data.predictions import harmless
from lib.data.table import ADAPTER_SHARE, LINK_LENGTH, cut, shared_ends
from lib.experiments.audit_parts import MOST_LABELS, AuditedPart, deal, few_labels
from lib.experiments.repairs import triple
from lib.metrics.columns import Triple
from lib.metrics.evaluate import DECILES, quantile_bins
from lib.metrics.resampling import Resampling, resampling
from lib.sequences import encode

LINKED_LETTERS = 50_000_000  # groups are made from sequences up to here: half a minute
LETTERS = str.maketrans("URYSWKMBDHV", "T" + 10 * "N")  # of RNA, and those that stand for several
FORECAST = ("mean", "std", "target")
SURE = 30  # rows from which the size of z can be told


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
    def has_home(self) -> bool:
        """Whether there are rows in distribution, to repair from or to judge."""
        return len(self.calibration) > 0 or not self.parts[0].keys["shift"]

    @property
    def home(self) -> pd.DataFrame:
        """Rows that distances and skill are from: those to repair from, else the first part's."""
        rows = self.calibration if len(self.calibration) else self.parts[0].rows
        return self.take(rows, "target", "gc")

    @property
    def reference(self) -> tuple[float, float] | None:
        """The forecast that skill is against; of other targets where training ones are unknown."""
        if self.climatology is not None or not self.has_home:
            return self.climatology
        target = self.home["target"]
        return (float(target.mean()), float(target.std(ddof=0))) if np.ptp(target) > 0 else None

    def keys(self, part: AuditedPart) -> dict[str, Any]:
        """Columns of a part's rows."""
        own = {"model": self.model, "prior": "none", "uncertainty": self.uncertainty}
        return {"data": self.data, **part.keys, **own}


def _deciles(values: pd.Series) -> "pd.Categorical[Any]":
    names = pd.Index([f"{cell + 1:02d}" for cell in range(DECILES)])
    return pd.Categorical.from_codes(quantile_bins(values, DECILES), names)


def gc_of(sequences: pd.Series) -> FloatArray:
    """GC content of each text, of its letters A, C, G and T; not finite where it is no DNA.

    Examples
    --------
    >>> gc_of(pd.Series(["GGAN", "at"])).round(3).tolist()
    [0.667, 0.0]
    """
    upper = sequences.astype(str).str.upper()
    known = upper.str.count("[ACGTU]").where(upper.str.fullmatch(r"[ACGTURYSWKMBDHVNX.*\s-]+"), 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return upper.str.count("[CG]").to_numpy(np.float64) / known.to_numpy(np.float64)


def _add_gc(table: pd.DataFrame, notes: list[str]) -> None:
    if "gc" not in table and "sequence" in table:
        gc = gc_of(table["sequence"])
        if (dna := np.isfinite(gc)).all():
            table["gc"] = gc
        else:
            notes.append(f"The sequence in row {np.argmin(dna)} is no DNA, so there is no GC.")
    if "gc" not in table:
        notes.append("A column gc, or sequence, would add what depends on GC content.")


def _join_pairs(table: pd.DataFrame) -> None:
    """Rows of one pair are one group, as are groups that a pair joins; an id repeated is a pair."""
    if {*table} >= {"id", "condition"} and "pair" not in table and not table["id"].is_unique:
        table["pair"] = table["id"]
    if "pair" in table:
        own = (table["pair"] != "").to_numpy()
        pair, group = pd.factorize(table["pair"])[0], table["group"].to_numpy(np.int64)
        size = int(group.max()) + 1
        joined = linked(group[own], size + pair[own], size + int(pair.max()) + 1)[group]
        table["group"] = np.unique(joined, return_inverse=True)[1].astype(np.int64)


def _add_groups(table: pd.DataFrame, notes: list[str]) -> None:
    """Number the groups, from sequences where no column says them."""
    if "group" in table:
        table["group"] = table["group"].rank(method="dense").astype(np.int64) - 1
        _join_pairs(table)
        return
    found = None
    if "sequence" in table:
        texts = [*table["sequence"].str.upper().str.translate(LETTERS)]
        length = pd.Series(texts := cut(texts, *shared_ends(texts, ADAPTER_SHARE))).str.len()
        try:
            if length.min() < LINK_LENGTH:
                raise ValueError(f"row {length.argmin()} has fewer than {LINK_LENGTH} nt")
            if length.max() * len(table) <= LINKED_LETTERS:
                codes = encode([text.ljust(length.max(), "N") for text in texts])
                found = leak_groups(codes, LINK_LENGTH, families=True)
        except ValueError as error:
            notes.append(f"No groups could be made from the sequences: {error}.")
    table["group"] = np.arange(len(table)) if found is None else found
    _join_pairs(table)
    if found is None and "pair" in table:
        notes.append("Without a column group rows of one pair are a group, pairs independent.")
    elif found is None:
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
    rows = np.sort(np.concatenate([judged, held]))
    no_missing(own := table["fold"].iloc[rows], "every row needs one")
    fold, rng = np.full(len(table), -1), np.random.default_rng(0)
    fold[rows] = pd.factorize(own, sort=True)[0]  # a fold of training rows alone is none
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


def _ask_units(table: pd.DataFrame, judged: IndexArray) -> list[str]:
    """What speaks for another unit, or for variances in the place of standard deviations."""
    std = table["std"].to_numpy()
    if {"std_aleatoric", "std_epistemic"} <= set(table):
        first, second = (table[name].to_numpy() for name in ("std_aleatoric", "std_epistemic"))
        plain = np.isclose(first + second, std, 0.02)
        squared = np.isclose(first**2 + second**2, std**2, 0.02)
        if plain.mean() > 0.99 and squared.mean() < 0.5:
            return [
                "std_aleatoric and std_epistemic add up to std as variances do; standard "
                "deviations add up in squares. Of variances give the square roots."
            ]
    mean, target = (table[name].to_numpy()[judged] for name in ("mean", "target"))
    if len(error := (target - mean) ** 2) < SURE:
        return []
    with np.errstate(invalid="ignore"):  # where either does not vary
        r = np.corrcoef(mean, target)[0, 1]
    z, of_root = (float(np.mean(error / std[judged] ** power)) for power in (2, 1))
    moved = abs(r) > 0.5 and error.mean() > target.var()
    squared = not 0.25 < z < 4 and 0.8 < of_root < 1.25
    asked = {
        f"Are mean and target in one unit? They correlate at r = {r:.2f}, yet a constant would "
        "have less squared error.": moved,
        f"Is std a variance? Mean squared z is {z:.3g}, and with the square root of std it would "
        f"be {of_root:.2f}. Of variances give the square roots.": squared,
    }
    return [note for note, asks in asked.items() if asks]


def _own_covariate(values: pd.Series) -> pd.Categorical:
    """A column of the table as bins: its labels, or deciles of many numbers."""
    no_missing(labels(values), "every row needs one")
    if values.nunique() > MOST_LABELS and pd.to_numeric(values, "coerce").notna().mean() > 0.5:
        return _deciles(pd.Series(numbers(values, str(values.name))))
    return few_labels(values, ", or numbers with points, would do", sort=True)


def covariates(
    table: pd.DataFrame, own: Sequence[str] = (), beside: pd.DataFrame | None = None
) -> dict[str, pd.Categorical]:
    """What coverage is asked by: std, predicted activity, GC, own columns, of another table too."""
    found = {"std_decile": _deciles(table["std"]), "activity_decile": _deciles(table["mean"])}
    if "gc" in table and "gc_decile" not in own:
        found["gc_decile"] = _deciles(table["gc"])
    given = table if beside is None else beside
    return found | {harmless(name): _own_covariate(given[name]) for name in own}


def prepare(
    table: pd.DataFrame, data: str, by: Sequence[str] = (), notes: Sequence[str] = ()
) -> Audited:
    """A checked predictions table, which stays as it is, ready for the audit.

    ``by`` are columns that coverage is asked by. A ``ValueError`` says that a group or fold is
    missing, labels are too many, or nothing is left to judge.
    """
    own, table, said = table, table.copy(deep=False), list(notes)
    parts, calibration = deal(table, said)
    judged = np.concatenate([part.rows for part in parts])
    said += _ask_units(table, judged)
    _add_gc(table, said)
    names = table.get("group")
    _add_groups(table, said)
    group = table["group"] if names is None or "pair" in table else names
    plan = _add_folds(table, group, judged, calibration, said)
    if not len(calibration) and not parts[0].keys["shift"]:
        others = "a random half of the groups in distribution and are judged on the rest."
        said.append(
            "Rows with split calibration would serve the repairs; without them the repairs learn "
            f"from {others if plan is None else 'the other folds.'}"
        )
    if not any(part.keys["shift"] for part in parts):
        said.append("A column shift, its cells empty in distribution, would add shifted parts.")
    kind = "ensemble" if {"std_aleatoric", "std_epistemic"} <= set(table) else "single"
    given = harmless(data), table, tuple(parts), calibration, covariates(table, by, own)
    return Audited(*given, tuple(said), uncertainty=kind, plan=plan)

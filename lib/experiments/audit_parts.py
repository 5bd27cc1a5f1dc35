"""Which rows of a stranger's table are judged together, and which serve the repairs.

In: the columns ``split`` and ``shift`` of a table under the contract of
:mod:`lib.data.predictions`, in whatever words. Out: :class:`AuditedPart`, no two of one name, rows
to repair from, and notes on what was taken for what.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import IndexArray
from lib.data.cells import labels
from lib.data.predictions import harmless

MOST_LABELS = 30  # parts, and labels of a covariate
# Roles of split labels, by their first word or last: whatever else stands there is judged.
CALIBRATION = re.compile(r"(cal|calib|calibrat(e|ion)|conformal)(?![a-z])")
_SEEN = r"trn?|train\w*|fit(ted)?|learn(ed)?|seen|in.?sample|tun(ed?|ing)|val?(id(at(e|ion))?)?|dev"
SEEN = re.compile(rf"(?!not|never|cross)(.*[\W_](?=[^\W_]*$))?({_SEEN})(set)?(?![a-z])")
TEST = ("", "test", "testing", "testset", "holdout", "heldout", "eval", "evaluation")
MOVED = ("shifted", "ood", "outofdistribution")
FLAG_WORDS = ("true false", "t f", "yes no", "y n", "1 0", "1.0 0.0")
FLAGS = tuple(dict(zip(pair.split(), ("shifted", ""), strict=True)) for pair in FLAG_WORDS)
UNSHIFTED = re.compile(r"i?id|in|no|in(dist(ribution)?|domain)|(no|un|not)shift(ed)?|nodrift")


class AuditedPart(NamedTuple):
    """Rows judged together; ``keys`` are ``split, shift, family, severity, condition``.

    No shift is in distribution.
    """

    rows: IndexArray
    keys: Mapping[str, Any]

    @property
    def name(self) -> str:
        """How pages call it."""
        return f"{self.keys['shift']} {self.keys['condition']}".strip() or "in distribution"


def few_labels(values: pd.Series, remedy: str, sort: bool = False) -> "pd.Categorical[Any]":
    """A column of few harmless labels; a missing one has the code -1."""
    codes, found = pd.factorize(labels(values), sort=sort)
    if (many := len(set(found) - {""})) > MOST_LABELS:
        raise ValueError(f"{values.name} has {many} labels; at most {MOST_LABELS}{remedy}")
    shown: dict[str, str] = {"": ""}  # what differs in spaces alone is one, what is cut short not
    for label in found:
        text = harmless(label)
        again = text in shown.values()
        shown.setdefault(" ".join(label.split()), f"{text} {len(shown)}" if again else text)
    texts = [shown[" ".join(label.split())] for label in found]
    unique = [text for text in dict.fromkeys(texts) if text]
    number = np.array([unique.index(text) if text else -1 for text in texts], np.int64)
    return pd.Categorical.from_codes(number[codes], pd.Index(unique, dtype=object))


def _numbered(table: pd.DataFrame, name: str) -> tuple[IndexArray, list[str]]:
    """A column as numbers into its labels, of which the first is none."""
    if name not in table:
        return np.zeros(len(table), np.int64), [""]
    found = few_labels(table[name], " would do: drop the column, or give fewer labels")
    return found.codes.astype(np.int64) + 1, ["", *found.categories]


def _flagged(found: Sequence[str]) -> Mapping[str, str] | None:
    """Labels that only say yes or no, as shifts; None where they say more."""
    asked = {label.lower() for label in found if label}
    fitting = [flags for flags in FLAGS if asked and asked <= flags.keys()]
    return {label: fitting[0].get(label.lower(), "") for label in found} if fitting else None


def _shifts(table: pd.DataFrame, notes: list[str]) -> tuple[IndexArray, list[str]]:
    """The number of each row's shift, and their names, of which the first is none."""
    number, found = _numbered(table, "shift")
    names = _flagged(found)
    if names is None:
        if {"0", "0.0"} & set(found):
            raise ValueError(
                "shift holds 0 beside other labels: leave the cells of rows in distribution empty, "
                "or name the shift if 0 is one"
            )
        plain = {label: re.sub(r"[\W_]", "", label.lower()) for label in found}
        names = {label: "" if UNSHIFTED.fullmatch(word) else label for label, word in plain.items()}
    if home := [label for label, name in names.items() if label and not name]:
        notes.append(f"Rows whose shift is {' or '.join(home)} count as in distribution.")
    unique = list(dict.fromkeys(["", *names.values()]))
    return np.array([unique.index(names[label]) for label in found])[number], unique


def deal(table: pd.DataFrame, notes: list[str]) -> tuple[list[AuditedPart], IndexArray]:
    """Parts to judge, in distribution first, and the rows to repair from."""
    (split, splits), (shift, shifts) = _numbered(table, "split"), _shifts(table, notes)
    if _flagged(splits) or re.fullmatch(r"[\d.]+", "".join(splits)):
        raise ValueError(
            f"split holds only {' and '.join(splits[1:])}, which does not say what the model saw; "
            "call rows of training train and the others test, or drop the column"
        )
    judged, calibration = np.ones(len(table), bool), np.zeros(len(table), bool)
    for number, label in enumerate(splits):
        rows = split == number
        if SEEN.match(label.lower()):
            judged &= ~rows
            notes.append(f"{rows.sum():,} rows of split {label} are left out: the model saw them.")
        elif CALIBRATION.match(label.lower()):
            judged &= ~rows
            calibration |= rows
        elif (word := re.sub(r"[^a-z]", "", label.lower())) in MOVED:
            if (home := rows & (shift == 0)).any():
                shifts = list(dict.fromkeys([*shifts, MOVED[0]]))
                shift[home] = shifts.index(MOVED[0])
        elif word not in TEST or label.isdigit():
            notes.append(f"{rows.sum():,} rows of split {label} are judged as test.")
    if moved := int((calibration & (shift > 0)).sum()):
        notes.append(f"{moved:,} rows of calibration under a shift are left out.")
    parts: list[AuditedPart] = []
    for number, name in enumerate(shifts):
        keys: dict[str, Any] = {"split": "shifted" if name else "test", "shift": name, "family": ""}
        keys |= {"severity": np.nan if name else 0.0, "condition": ""}
        if len(rows := np.flatnonzero(judged & (shift == number))):
            parts.append(AuditedPart(rows, keys))
    if not parts:
        raise ValueError(
            "no rows are left to judge: all are of a training, validation or calibration split; "
            "add rows of split test"
        )
    if parts[0].keys["shift"]:
        notes.append("No judged row is in distribution: cells of shift are empty there.")
    return parts, np.flatnonzero(calibration & (shift == 0))

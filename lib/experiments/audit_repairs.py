"""Repairs of a forecast and detection of a shift, as far as one table of predictions allows them.

In: :class:`lib.experiments.audit_table.Forecasts`. Out: tables, a row per part and value, and notes
on what could not be done. Repairs are those of notebook 06, learned from the calibration part (or a
random half of the groups in distribution) and judged on rows of other groups.
"""

from collections.abc import Callable
from itertools import product, takewhile
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.data.dataset import FloatArray, IndexArray
from lib.experiments.audit_measures import keys, thinned
from lib.experiments.audit_table import Forecasts
from lib.experiments.repair_scoring import Part as Columns
from lib.experiments.repair_scoring import averages, calibrated, calibrated_columns
from lib.metrics.evaluate import MIN_BIN
from lib.repair.conformal import one_per_group
from lib.repair.detection import (
    ShiftTest,
    auroc_ood,
    centre_distance,
    domain_classifier_test,
    mean_distance_test,
    mmd_test,
)

REPAIRED_ROWS = 50_000  # of each side
COMPARED_ROWS = 1_000  # of each side of a test
PERMUTATIONS = 300
GC_BINS = 5
WORD = 3  # nt of the words that are counted


class Held(NamedTuple):
    """Rows to learn from, with all members of their groups, and what to say about them."""

    rows: IndexArray
    note: str


def held_rows(forecasts: Forecasts) -> Held:
    """The calibration part, less groups that are judged; else half of the groups in distribution.

    Raises
    ------
    ValueError
        If fewer than 10 groups are left.
    """
    rng = np.random.default_rng([forecasts.split_seed, 3])
    home, note = forecasts.parts[0], ""
    if len(forecasts.calibration):
        rows = forecasts.calibration
        judged = np.concatenate([forecasts.group(part.rows) for part in forecasts.parts])
        leaking = np.isin(forecasts.group(rows), judged)
        if leaking.any():
            note = (
                f"{leaking.sum():,} rows of the calibration part have relatives among the judged "
                "ones and teach no repair."
            )
        rows = rows[~leaking]
    else:
        groups = np.unique(forecasts.group(home.rows))
        drawn = rng.permutation(groups)[: len(groups) // 2]
        rows = home.rows[np.isin(forecasts.group(home.rows), drawn)]
        note = (
            f"Repairs learned from {len(rows):,} rows of {len(drawn):,} groups, drawn at random in "
            "distribution, and are judged on rows of other groups."
        )
    count = len(np.unique(forecasts.group(rows)))
    if count < MIN_BIN:
        raise ValueError(
            f"there are {count} groups to learn a repair from; at least {MIN_BIN} would do"
        )
    return Held(rows, note)


def _columns(forecasts: Forecasts, rows: IndexArray) -> Columns:
    gc = forecasts.column("gc", rows) if "gc" in forecasts.table else np.zeros(len(rows))
    return Columns(*forecasts.forecast(rows), gc, forecasts.group(rows))


def repairs(forecasts: Forecasts, draws: int) -> tuple[pd.DataFrame, list[str]]:
    """Coverage, width and interval score of every repair on every part, and notes.

    Returns
    -------
    table : DataFrame
        The keys of a part, ``uncertainty`` (the repair), ``variant, metric, by, bin, value, lower,
        upper, variance, n``; empty where no repair could be learned.
    notes : list of str
    """
    try:
        held = held_rows(forecasts)
    except ValueError as error:
        return pd.DataFrame(), [f"No repair: {error}."]
    notes = [held.note] if held.note else []
    # One row per group: relatives are not independent evidence.
    rng = np.random.default_rng(forecasts.split_seed)
    drawn = held.rows[one_per_group(forecasts.group(held.rows), rng)]
    learned = _columns(forecasts, thinned(drawn, REPAIRED_ROWS, rng))
    if not (learned.target - learned.mean).any():
        return pd.DataFrame(), ["No repair: the forecast has no errors to learn from."]
    groups = forecasts.group(held.rows)
    tables = []
    for index, part in enumerate(forecasts.parts):
        rows = part.rows[~np.isin(forecasts.group(part.rows), groups)]
        rows = thinned(rows, REPAIRED_ROWS, rng)
        if len(rows) < MIN_BIN:
            continue
        asked = _columns(forecasts, rows)
        every = calibrated(learned, asked, GC_BINS)
        if "gc" not in forecasts.table:
            every = takewhile(lambda repair: repair.uncertainty != "mondrian_cp", every)
        columns, single = calibrated_columns(every, asked, np.zeros(len(rows), np.int64))
        table = averages(columns, single, asked.group, draws, index)
        # Deciles have a section of their own; the one bin asked for here says nothing new.
        table = table[table["by"] == ""]
        n_train = forecasts.n_train if forecasts.n_train is not None else len(rows)
        named = keys(forecasts, part) | {"split_seed": forecasts.split_seed, "n_train": n_train}
        named.pop("uncertainty")
        tables.append(table.assign(**named, seed=None, oracle=np.nan))
    return (pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()), notes


def word_counts(sequences: list[str]) -> FloatArray:
    """How often each word of three letters stands in each sequence, per letter, ``(n, 64)``.

    Examples
    --------
    >>> counts = word_counts(["AAAA", "acg"])
    >>> float(counts[0, 0]), float(counts[1].sum().round(3))  # AAA twice in four; ACG once in three
    (0.5, 0.333)
    """
    place = {"".join(word): index for index, word in enumerate(product("ACGT", repeat=WORD))}
    found = np.zeros((len(sequences), len(place)))
    for row, text in enumerate(sequences):
        upper = text.upper()
        for start in range(len(upper) - WORD + 1):
            index = place.get(upper[start : start + WORD])
            if index is not None:
                found[row, index] += 1 / len(upper)
    return found


def _features(forecasts: Forecasts, rows: IndexArray) -> dict[str, FloatArray]:
    """What is seen of the rows without their targets."""
    mean, std, _ = forecasts.forecast(rows)
    found = {"predicted mean and std": np.column_stack([mean, np.log(std)])}
    if "gc" in forecasts.table:
        found["GC content"] = forecasts.column("gc", rows)[:, None]
    if "sequence" in forecasts.table:
        found["words of 3 nt"] = word_counts(forecasts.table["sequence"].iloc[rows].tolist())
    return found


def _distinct(forecasts: Forecasts, rows: IndexArray, rng: np.random.Generator) -> IndexArray:
    """One row per group, and no more than a test needs."""
    return thinned(rows[one_per_group(forecasts.group(rows), rng)], COMPARED_ROWS, rng)


TESTS: dict[str, Callable[..., ShiftTest]] = {
    "classifier": domain_classifier_test,
    "kernel (MMD)": mmd_test,
    "mean": mean_distance_test,
}


def detection(forecasts: Forecasts) -> tuple[pd.DataFrame, list[str]]:
    """Is a part told from the reference without labels? Tests, and scores of single elements.

    Returns
    -------
    table : DataFrame
        ``data, part, seen, detector, statistic, p, n``; ``p`` is empty for the area under the ROC
        curve of a score.
    notes : list of str
    """
    try:
        reference_rows = held_rows(forecasts).rows
    except ValueError as error:
        return pd.DataFrame(), [f"No test of a shift: {error}."]
    rng = np.random.default_rng([forecasts.split_seed, 4])
    reference = _distinct(forecasts, reference_rows, rng)
    seen = _features(forecasts, reference)
    found = []
    for part in forecasts.parts:
        apart = ~np.isin(forecasts.group(part.rows), forecasts.group(reference_rows))
        rows = _distinct(forecasts, part.rows[apart], rng)
        if len(rows) < MIN_BIN:
            continue
        named = {"data": forecasts.data, "part": part.name, "n": len(rows)}
        groups = forecasts.group(reference), forecasts.group(rows)
        new = _features(forecasts, rows)
        for (name, left), (detector, test) in product(seen.items(), TESTS.items()):
            result = test(left, new[name], rng, groups=groups, permutations=PERMUTATIONS)
            row = {"seen": name, "detector": detector, "statistic": result.statistic}
            found.append(named | row | {"p": result.p})
        scores = {"predicted std": (seen["predicted mean and std"], new["predicted mean and std"])}
        sides = {name: (left[:, 1], right[:, 1]) for name, (left, right) in scores.items()}
        if "GC content" in seen and np.ptp(seen["GC content"]) > 0:
            gc = seen["GC content"][:, 0]
            right = new["GC content"][:, 0]
            sides["GC distance"] = centre_distance(gc, gc), centre_distance(gc, right)
        for name, (left, right) in sides.items():
            row = {"seen": name, "detector": "area under ROC", "statistic": auroc_ood(left, right)}
            found.append(named | row | {"p": np.nan})
    return pd.DataFrame(found), []

"""What an audit measures of one model's forecasts: scores, bands, ranking, repairs, pairs.

In: :class:`lib.experiments.audit_table.Audited`. Out: tables, a row per part and value, and notes
on what could not be done. Large parts have scores without a bootstrap and are thinned for what
orders elements again and again. Repairs are learned, fold by fold where there are any, from the
calibration part (or the other folds, or a random half of the groups in distribution) and judged on
rows of other groups.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.arrays import IndexArray, as_forecast
from lib.data.cells import numbers
from lib.data.predictions import harmless
from lib.experiments.audit_parts import MOST_LABELS, AuditedPart
from lib.experiments.audit_table import FORECAST, Audited
from lib.experiments.ranking import make_rules, of_folds, rank, scores_of
from lib.experiments.repairs import averages, by_fold, calibrated, judged
from lib.metrics.audit import audit, coverage_by
from lib.metrics.columns import Triple, metric
from lib.metrics.evaluate import COLUMNS, MIN_BIN, all_metrics, measure, with_ends
from lib.repair.recalibration import one_per_group
from lib.statistics.paired import decompose, paired_assay

BOOTSTRAP_ROWS = 200_000
RANKED_ROWS = 20_000
REPAIRED_ROWS = 50_000  # of each side
GC_BINS = 5
WITHOUT_NOISE = r"total|share_offset|change"  # of a decomposition, without a known noise
Noted = tuple[pd.DataFrame, list[str]]  # a table, and notes on what it lacks


def stacked(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Those of the tables that have rows as one."""
    kept = [table for table in tables if len(table)]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()


def thinned(rows: IndexArray, most: int, rng: np.random.Generator) -> IndexArray:
    """At most ``most`` of the rows, drawn at random, in their order."""
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def _texts(cells: pd.Categorical) -> NDArray[np.str_]:
    return np.asarray(cells.categories, str)


def _coverage(forecast: Triple, cells: pd.Categorical) -> pd.DataFrame:
    """Coverage in each bin of a covariate, under the bin's label."""
    found = coverage_by(*forecast, cells.codes)
    return found.assign(bin=_texts(cells)[found["bin"].to_numpy(int)])


def _resampled(one: Audited, part: AuditedPart, draws: int) -> pd.DataFrame:
    plan = one.resampled(part.rows)
    weights = plan.weights(draws, np.random.default_rng(0))
    by = {name: _texts(cells)[cells.codes[part.rows]] for name, cells in one.by.items()}
    forecast = as_forecast(*one.forecast(part.rows))
    rows, values = measure(forecast, plan, weights, one.reference, by)
    return with_ends(rows, values, plan)


def _as_they_are(one: Audited, part: AuditedPart) -> pd.DataFrame:
    """The same values without a bootstrap."""
    forecast = one.forecast(part.rows)
    values = pd.Series(all_metrics(*forecast, climatology=one.reference), name="value")
    tables = [values.rename_axis("metric").reset_index().assign(by="", bin="", n=len(part.rows))]
    for name, cells in one.by.items():
        found = _coverage(forecast, cells[part.rows])
        found = found.rename(columns={"coverage": "picp_90", "mpiw": "mpiw_90"})
        metrics = ["picp_90", "mpiw_90", "rmse", "zms"]
        tables.append(found.melt(["bin", "n"], metrics, var_name="metric").assign(by=name))
    return pd.concat(tables, ignore_index=True)


def scores(one: Audited, draws: int) -> pd.DataFrame:
    """Rows of every part as :func:`lib.metrics.evaluate.evaluate` gives them, with their keys."""
    tables = []
    for part in one.parts:
        many = len(part.rows) > BOOTSTRAP_ROWS
        rows = _as_they_are(one, part) if many else _resampled(one, part, draws)
        rows = rows[np.isfinite(rows["value"])].reindex(columns=COLUMNS[:-1])
        tables.append(rows.assign(**one.keys(part), seed=None))
    return pd.concat(tables, ignore_index=True)


def diagnoses(one: Audited) -> dict[str, pd.DataFrame]:
    """``bands``, ``pit``, ``reliability`` and ``coverage`` by covariate of every part."""
    found: dict[str, list[pd.DataFrame]] = defaultdict(list)
    for index, part in enumerate(one.parts):
        rng = np.random.default_rng([0, index])
        forecast = one.forecast(part.rows)
        # With few rows a draw can be infinite, and its quantile is then no number.
        with np.errstate(invalid="ignore"):
            tables = audit(*forecast, rng, climatology=one.reference)
        # Deciles are those of the whole table, so that a bin means the same in every part.
        tables["coverage"] = pd.concat(
            [_coverage(forecast, by[part.rows]).assign(by=name) for name, by in one.by.items()]
        )
        for name, table in tables.items():
            found[name].append(table.assign(data=one.data, part=part.name, rows=len(part.rows)))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in found.items()}


def ranked(one: Audited, draws: int) -> Iterator[dict[str, pd.DataFrame]]:
    """Ranking by every score, and by fixed thresholds, of parts of ten rows or more.

    No threshold is fixed on a calibration part that is too small or has no errors.
    """
    held = [one.take(rows, *FORECAST) for rows in one.by_fold(one.calibration)]
    known = [len(own) >= 2 * MIN_BIN and _has_errors(own) for own in held]
    rules = [make_rules(own) for own in held] if all(known) else []
    home = one.home
    for index, part in enumerate(one.parts):
        rows = thinned(part.rows, RANKED_ROWS, np.random.default_rng([0, 2, index]))
        rows = np.concatenate(folds := one.by_fold(rows))
        forecast = one.take(rows)
        if len(forecast) >= MIN_BIN and _has_errors(forecast):
            keys = one.keys(part) | {"cell": part.name}
            fixed = of_folds(rules, np.repeat(np.arange(len(folds)), list(map(len, folds))))
            own = scores_of(forecast, home), fixed, keys, one.resampled(rows)
            yield rank(forecast, *own, draws)


def _has_errors(forecast: pd.DataFrame) -> bool:
    return bool((forecast["target"] != forecast["mean"]).any())


def held_rows(one: Audited) -> tuple[list[IndexArray], str]:
    """Of each fold the rows to learn from, with all their groups' members, and what to say of them.

    The calibration part, less groups that the fold judges; else the other folds in distribution, or
    without any half of the groups there.
    """
    own, group = one.parts[0].rows, one.table["group"].to_numpy()
    if len(one.calibration):
        parts = one.by_fold(np.concatenate([part.rows for part in one.parts]))
        given = list(zip(one.by_fold(one.calibration), parts, strict=True))
        found = [rows[~np.isin(group[rows], group[part])] for rows, part in given]
        leaking = len(one.calibration) - sum(map(len, found))
        note = (
            f"{leaking:,} rows of the calibration part have relatives among the judged ones and "
            "teach no repair."
        )
        return found, note if leaking else ""
    if one.plan is not None:
        return [np.setdiff1d(own, rows) for rows in one.by_fold(own)], ""
    groups = np.unique(group[own])
    drawn = np.random.default_rng([0, 3]).permutation(groups)[: len(groups) // 2]
    rows = own[np.isin(group[own], drawn)]
    return [rows], (
        f"Repairs learned from {len(rows):,} rows of {len(drawn):,} groups, drawn at random in "
        "distribution, and are judged on rows of other groups."
    )


def repairs(one: Audited, draws: int) -> Noted:
    """Coverage, width and interval score of every repair on every part."""
    if not one.has_home:
        return pd.DataFrame(), ["No repair: no row is in distribution to learn from."]
    held, note = held_rows(one)
    groups = min(len(np.unique(one.group(rows))) for rows in held)
    if groups < MIN_BIN:
        said = f"there are {groups} groups to learn a repair from; at least {MIN_BIN} would do"
        return pd.DataFrame(), [f"No repair: {said}."]
    # One row per group: relatives are not independent evidence.
    rng = np.random.default_rng(0)
    drawn = [rows[one_per_group(one.group(rows), rng)] for rows in held]
    learned = [one.take(thinned(rows, REPAIRED_ROWS, rng)) for rows in drawn]
    if not all(map(_has_errors, learned)):
        return pd.DataFrame(), ["No repair: the forecast has no errors to learn from."]
    tables = []
    for part in one.parts:
        parts = zip(one.by_fold(part.rows), held, strict=True)
        others = [rows[~np.isin(one.group(rows), one.group(own))] for rows, own in parts]
        folds = one.by_fold(rows := thinned(np.concatenate(others), REPAIRED_ROWS, rng))
        if len(rows) >= MIN_BIN:
            given = zip(learned, folds, strict=True)
            repaired = (calibrated(known, one.take(r), GC_BINS) for known, r in given if len(r))
            found = judged(by_fold(repaired), one.take(rows := np.concatenate(folds)))
            table = averages(found, one.resampled(rows), draws)
            named = one.keys(part) | {"uncertainty": table["uncertainty"]}
            tables.append(table.drop(columns="variance").assign(**named, seed=None, oracle=np.nan))
    return stacked(tables), [note] if note else []


def _conditions(one: Audited) -> dict[str, pd.DataFrame]:
    """One table per condition, in order of appearance, indexed by pair."""
    # Rows that the model saw in training would foresee too much; of folds each row is judged.
    held = [one.calibration] if one.plan is None else []
    rows = np.concatenate([*(part.rows for part in one.parts), *held])
    table = one.table.iloc[np.sort(rows)]
    frame = table[["pair", "condition", *FORECAST, "group"]].assign(noise_std=0.0)
    if "noise_std" in table:
        frame["noise_std"] = numbers(table["noise_std"], "noise_std", "finite number of at least 0")
    frame = frame[(frame["pair"] != "") & (frame["condition"] != "")]
    labels = list(pd.unique(frame["condition"]))
    if not 2 <= len(labels) <= MOST_LABELS:
        raise ValueError(
            f"condition has {len(labels)} labels among rows with a pair; 2 to {MOST_LABELS} would "
            "do, the reference first"
        )
    twice = frame[frame.duplicated(["pair", "condition"])]
    if len(twice):
        pair, condition = twice[["pair", "condition"]].iloc[0]
        raise ValueError(f"pair {pair!r} stands twice under condition {condition!r}; drop one row")
    return {harmless(c): frame[frame["condition"] == c].set_index("pair") for c in labels}


def _decomposed(first: pd.DataFrame, side: pd.DataFrame, draws: int) -> pd.DataFrame:
    """What changes between two conditions, and how much of it the forecast foresees."""
    both = first.merge(side, left_index=True, right_index=True, suffixes=("_a", "_b"))
    noise = both["noise_std_a"], both["noise_std_b"]
    pair = paired_assay(both["target_a"], both["target_b"], *noise, both["group_a"])
    measured = both["target_b"] - both["target_a"]
    foreseen = both["mean_b"] - both["mean_a"]
    more = {
        "predicted_change_pearson_r": metric("pearson_r", foreseen, measured),
        "predicted_change_rmse": metric("rmse", foreseen, measured),
        "change_rmse": metric("rmse", np.zeros(len(measured)), measured),
    }
    own = pd.DataFrame({"quantity": list(more), "value": list(more.values()), "n": len(both)})
    return pd.concat([decompose(pair, np.random.default_rng(0), draws=draws), own])


def decomposition(one: Audited, draws: int) -> Noted:
    """Offset, gain, rewiring and noise between the first condition and each other one.

    The columns ``pair`` (the element) and ``condition`` are needed, ``noise_std`` (the measured
    standard error) is used. Beside what :func:`lib.statistics.paired.decompose` gives stand
    ``predicted_change_pearson_r`` and ``predicted_change_rmse`` of the forecast's change against
    the measured one, and ``change_rmse``, the same for the forecast that nothing changes.
    """
    if not {"pair", "condition"} <= set(one.table.columns):
        return pd.DataFrame(), [
            "Columns pair and condition (and noise_std, the standard error of target) would add a "
            "decomposition of what changes between conditions."
        ]
    notes = []
    if "noise_std" not in one.table:
        notes.append(
            "Without a column noise_std, the standard error of target, the gain, the slope and r "
            "without noise are not known: noise lowers the slope and passes for a gain."
        )
    try:
        (reference, first), *others = _conditions(one).items()
    except ValueError as error:
        return pd.DataFrame(), [f"No decomposition: {error}."]
    found = []
    for name, side in others:
        try:
            table = _decomposed(first, side, draws)
        except ValueError as error:
            notes.append(f"No decomposition of {name}: {error}.")
        else:
            if "noise_std" not in one.table:
                table = table[table["quantity"].str.contains(WITHOUT_NOISE)]
            found.append(table.assign(data=one.data, reference=reference, condition=name))
    return stacked(found), notes

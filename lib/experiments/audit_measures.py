"""What an audit measures of one model's forecasts: scores, null bands, bins, selective prediction.

In: :class:`lib.experiments.audit_table.Forecasts`. Out: tables, a row per part and value. Scores
come with a bootstrap over groups up to :data:`BOOTSTRAP_ROWS` rows of a part, and without intervals
above; what orders elements again and again takes at most :data:`RANKED_ROWS` of them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lib.data.dataset import FloatArray, IndexArray
from lib.experiments.audit_table import Forecasts, Part
from lib.experiments.selective_measures import Judged, Rule, judge, make_rules
from lib.experiments.selective_measures import Part as Ranked
from lib.experiments.selective_scores import STD
from lib.metrics.audit import all_metrics, audit, coverage_by
from lib.metrics.evaluate import COLUMNS, MIN_BIN, evaluate
from lib.repair.detection import centre_distance

BOOTSTRAP_ROWS = 200_000
RANKED_ROWS = 20_000
RISK_TARGET = 0.85  # share of the full risk that a certified threshold should not pass


def keys(forecasts: Forecasts, part: Part) -> dict[str, Any]:
    """Columns of a part's rows."""
    return {
        "data": forecasts.data,
        "split": part.split,
        "shift": part.shift,
        "family": "",
        "severity": forecasts.severity.get(part.shift, np.nan) if part.shift else 0.0,
        "condition": "",
        "model": forecasts.model,
        "prior": "none",
        "uncertainty": forecasts.uncertainty,
    }


def thinned(rows: IndexArray, most: int, rng: np.random.Generator) -> IndexArray:
    """At most ``most`` of the rows, drawn at random, in their order."""
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def climatology(forecasts: Forecasts) -> tuple[float, float] | None:
    """The forecast that skill is against; of calibration targets where training ones are unknown.

    Without a calibration part the targets in distribution stand in; None where they are constant.
    """
    if forecasts.climatology is not None:
        return forecasts.climatology
    rows = forecasts.calibration if len(forecasts.calibration) else forecasts.parts[0].rows
    target = forecasts.column("target", rows)
    return (float(target.mean()), float(target.std())) if np.ptp(target) > 0 else None


def _named_bins(forecasts: Forecasts, part: Part) -> dict[str, np.ndarray]:
    return {
        name: np.array(forecasts.labels[name])[cells[part.rows]]
        for name, cells in forecasts.by.items()
    }


def _resampled(forecasts: Forecasts, part: Part, draws: int) -> pd.DataFrame:
    mean, std, target = forecasts.forecast(part.rows)
    group = forecasts.group(part.rows)
    table = pd.DataFrame({"target": target, "mean": mean, "std": std, "group": group})
    rows = evaluate(
        table,
        climatology=climatology(forecasts),
        draws=draws,
        rng=np.random.default_rng(forecasts.seeds.get(part.shift, 0)),
        by=_named_bins(forecasts, part),
    )
    if len(np.unique(group)) < 2:
        # One group resampled is itself: no interval is better than one of no width.
        rows[["lower", "upper", "variance"]] = np.nan
    return rows


def _as_they_are(forecasts: Forecasts, part: Part) -> pd.DataFrame:
    """The same values without a bootstrap."""
    forecast = forecasts.forecast(part.rows)
    values = all_metrics(*forecast, climatology=climatology(forecasts))
    tables = [pd.DataFrame({"metric": list(values), "value": list(values.values())})]
    tables[0] = tables[0].assign(by="", bin="", n=len(part.rows))
    for name, cells in forecasts.by.items():
        found = coverage_by(*forecast, cells[part.rows])
        found["bin"] = np.array(forecasts.labels[name])[found["bin"]]
        found = found.rename(columns={"coverage": "picp_90", "mpiw": "mpiw_90"})
        metrics = ["picp_90", "mpiw_90", "rmse", "zms"]
        long = found.melt(["bin", "n"], metrics, var_name="metric").assign(by=name)
        tables.append(long)
    return pd.concat(tables, ignore_index=True).reindex(columns=COLUMNS)


def scores(forecasts: Forecasts, draws: int) -> pd.DataFrame:
    """Rows of every part as :func:`lib.metrics.evaluate.evaluate` gives them, with their keys."""
    tables = []
    for part in forecasts.parts:
        many = len(part.rows) > BOOTSTRAP_ROWS
        rows = _as_they_are(forecasts, part) if many else _resampled(forecasts, part, draws)
        # One split is not compared with others: any size of the training part will do.
        n_train = forecasts.n_train if forecasts.n_train is not None else len(part.rows)
        more = {"split_seed": forecasts.split_seed, "seed": None, "n_train": n_train}
        tables.append(rows.assign(**keys(forecasts, part), **more))
    return pd.concat(tables, ignore_index=True)


def diagnoses(forecasts: Forecasts) -> dict[str, pd.DataFrame]:
    """Null bands, PIT, reliability and coverage by covariate of every part.

    Returns
    -------
    dict of str to DataFrame
        ``bands``, ``pit``, ``reliability``, ``coverage``; each with ``data, part, rows``.
    """
    found: dict[str, list[pd.DataFrame]] = {}
    for index, part in enumerate(forecasts.parts):
        rng = np.random.default_rng([forecasts.split_seed, index])
        by = {name: forecasts.by[name][part.rows] for name in forecasts.by}
        forecast = forecasts.forecast(part.rows)
        # With few rows a draw can be infinite, and its quantile is then no number.
        with np.errstate(invalid="ignore"):
            tables = audit(*forecast, rng, by=by, climatology=climatology(forecasts))
        # Deciles are those of the whole table, so that a bin means the same in every part.
        coverage = tables["coverage"]
        coverage = coverage[coverage["by"] != "mean_decile"].copy()
        coverage["bin"] = [
            forecasts.labels[name][cell]
            for name, cell in zip(coverage["by"], coverage["bin"], strict=True)
        ]
        for name, table in (tables | {"coverage": coverage}).items():
            kept = table.assign(data=forecasts.data, part=part.name, rows=len(part.rows))
            found.setdefault(name, []).append(kept)
    return {name: pd.concat(tables, ignore_index=True) for name, tables in found.items()}


def _ranking(forecasts: Forecasts, rows: IndexArray) -> dict[str, FloatArray]:
    """What could rank the elements; without GC content its distance is the random order."""
    known = forecasts.calibration if len(forecasts.calibration) else forecasts.parts[0].rows
    found = {STD: forecasts.column("std", rows)}
    for name in ("epistemic", "aleatoric"):
        if f"std_{name}" in forecasts.table:
            found[name] = forecasts.column(f"std_{name}", rows)
    mean = forecasts.column("mean", rows)
    found["mean"] = mean
    reference = forecasts.column("target", known)
    constant = np.zeros(len(rows))
    found["mean_distance"] = centre_distance(reference, mean) if np.ptp(reference) else constant
    found["gc_distance"] = constant
    if "gc" in forecasts.table and np.ptp(forecasts.column("gc", known)):
        gc = forecasts.column("gc", known)
        found["gc_distance"] = centre_distance(gc, forecasts.column("gc", rows))
    return found


def selective(forecasts: Forecasts, draws: int) -> Iterator[Judged]:
    """Ranking by every score, and thresholds fixed on the calibration part, part by part.

    Parts of fewer than ten rows are passed over.
    """
    held = forecasts.calibration
    rules: tuple[Rule, ...] = ()
    if len(held) >= 2 * MIN_BIN:
        mean, std, target = forecasts.forecast(held)
        loss, spread = (target - mean) ** 2, float(target.std())
        rng = np.random.default_rng([forecasts.split_seed, 1])
        if loss.any() and spread > 0:
            group = forecasts.group(held)
            rules = make_rules(loss, std, group, spread, RISK_TARGET, rng)
    for index, part in enumerate(forecasts.parts):
        rng = np.random.default_rng([forecasts.split_seed, 2, index])
        rows = thinned(part.rows, RANKED_ROWS, rng)
        mean, _, target = forecasts.forecast(rows)
        if len(rows) < MIN_BIN or not (target - mean).any():
            continue
        ranked = Ranked(
            keys=keys(forecasts, part) | {"cell": part.name},
            unit=forecasts.split_seed,
            mean=mean,
            target=target,
            gc=forecasts.column("gc", rows) if "gc" in forecasts.table else np.zeros(len(rows)),
            group=forecasts.group(rows),
            scores=_ranking(forecasts, rows),
            rules=rules,
            n_train=forecasts.n_train if forecasts.n_train is not None else len(rows),
            truth=None,
            resampled=True,
        )
        yield judge(ranked, draws, index)

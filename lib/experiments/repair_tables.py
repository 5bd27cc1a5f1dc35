"""Tables of the repair experiment from values per world and per split.

In: tables of :mod:`lib.experiments.repair_worlds` and :mod:`lib.experiments.repair_assays`. Out:
tidy rows with intervals, and the tables that its statements are judged on. Worlds get a t interval
over worlds; splits the pooled one of :func:`lib.experiments.scoring.combine`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.experiments.repair_scoring import ESTIMATED, KNOWN, LEVEL, LEVELS
from lib.experiments.repair_worlds import CLOSED, FROM_WEIGHTS
from lib.experiments.scoring import combine
from lib.experiments.sim_tables import intervals
from lib.statistics.intervals import decide, paired_contrast

UNDERCOVERED = 0.10  # by so much the weighted intervals must undercover under rewiring
STANDARD_ERRORS = 2.0  # within so many the weighted intervals must cover under a GC tilt
MOST_DRAWS = 0.9  # share of label draws that must restore coverage
ALPHA = 0.05
_PART = ["data", "split", "shift", "family", "condition"]
_REPAIR = ["uncertainty", "variant"]
_VALUE = ["metric", "by", "bin"]


def over_worlds(values: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Mean over worlds with its 95 % t interval, and the mean of what else is a number."""
    numeric = [name for name in ("severity", "oracle", "n") if name in values and name not in keys]
    means = values.groupby(list(keys), sort=False, dropna=False)[numeric].mean().reset_index()
    table = intervals(values, keys).drop(columns=["lower_90", "upper_90"])
    return table.merge(means.round({"n": 0}).astype({"n": int}), on=list(keys))


def _joined(condition: pd.Series, variant: pd.Series) -> pd.Series:
    return (condition + ", " + variant).str.removeprefix(", ").str.removesuffix(", ")


def combined(worlds: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Rows of both with intervals; ``condition`` names the variant of a repair too."""
    hidden = worlds["metric"].isin([*CLOSED, FROM_WEIGHTS])
    # Worlds turn the dial differently to reach one distance: it is averaged, not a key.
    aimed = worlds["condition"].str.startswith("d=")
    shown = worlds.assign(
        data="simulation",
        split=np.where(worlds["shift"] == "", "test", "shifted"),
        dial=worlds["severity"].where(~aimed),
    )[~hidden]
    simulated = over_worlds(shown, [*_PART, "dial", *_REPAIR, *_VALUE])
    simulated = simulated.drop(columns="dial").round({"severity": 4})
    real = combine(splits)
    rows = pd.concat([simulated, real], ignore_index=True)
    rows["part"] = rows["condition"]
    rows["condition"] = _joined(rows["condition"], rows["variant"])
    return rows


def _per_world(worlds: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """One line per condition and world, one column per repair and metric."""
    whole = worlds[worlds["by"] == ""]
    name = whole["uncertainty"] + "|" + whole["variant"] + "|" + whole["metric"]
    wide = whole.assign(name=name).pivot_table(
        index=[*keys, "world"], columns="name", values="value", sort=False
    )
    return wide.reset_index()


def _column(table: pd.DataFrame, uncertainty: str, variant: str, metric: str) -> pd.Series:
    name = f"{uncertainty}|{variant}|{metric}"
    return table[name] if name in table else pd.Series(np.nan, table.index)


def _interval(values: pd.Series) -> dict[str, float]:
    found = paired_contrast(values, rng=np.random.default_rng(0))
    return {"value": found.value, "lower": found.lower, "upper": found.upper}


def weighted(worlds: pd.DataFrame) -> pd.DataFrame:
    """Coverage of conformal intervals weighted by the known ratio, per severity of the GC tilt.

    Columns: ``severity, level, value, lower, upper`` (known weights), ``standard_error``, ``off``
    (distance from nominal in standard errors), ``own_mass`` (mean weight of the asked element,
    which the guarantee adds), ``n_eff``, ``infinite``, ``unweighted``, ``estimated``, ``verdict``.
    """
    tilt = worlds[(worlds["shift"] == "gc") & (worlds["condition"] == "")]
    rows: list[dict[str, Any]] = []
    for severity, part in _per_world(tilt, ["severity"]).groupby("severity"):
        for level in LEVELS:
            metric = f"picp_{round(100 * level)}"
            known = _column(part, "weighted_cp", KNOWN, metric)
            count = len(known)
            error = float(known.std(ddof=1)) / count**0.5 if count > 1 else float("nan")
            off = (float(known.mean()) - level) / error
            judged = "undecided" if np.isnan(off) else "not nominal"
            rows.append(
                {"severity": severity, "level": level, **_interval(known)}
                | {"standard_error": error, "off": off}
                | {
                    name: float(_column(part, "weighted_cp", KNOWN, metric).mean())
                    for name, metric in (
                        ("own_mass", FROM_WEIGHTS),
                        ("n_eff", "n_eff"),
                        ("infinite", "infinite_90"),
                    )
                }
                | {"unweighted": float(_column(part, "norm_cp", "", metric).mean())}
                | {"estimated": float(_column(part, "weighted_cp", ESTIMATED, metric).mean())}
                | {"worlds": count}
                | {"verdict": "nominal" if abs(off) <= STANDARD_ERRORS else judged}
            )
    return pd.DataFrame(rows)


def concept(worlds: pd.DataFrame) -> pd.DataFrame:
    """Coverage of normalised conformal intervals under each concept shift, beside closed forms.

    At fixed sequence the known density ratio is one, so these are the weighted intervals too.
    ``drop`` is nominal less observed, with its 95 % t interval over worlds; ``verdict`` judges
    whether it is at least :data:`UNDERCOVERED`.
    """
    shifted = worlds[worlds["family"] == "concept"]
    if shifted.empty:
        return pd.DataFrame()
    # Worlds turn the dial differently to reach one distance: its mean names the condition.
    means = shifted.groupby(["shift", "condition"])["severity"].transform("mean").round(4)
    aimed = shifted["condition"].str.startswith("d=")
    shifted = shifted.assign(severity=shifted["severity"].where(~aimed, means))
    rows: list[dict[str, Any]] = []
    keys = ["shift", "severity", "condition"]
    for key, part in _per_world(shifted, keys).groupby(keys, sort=False):
        observed = _column(part, "norm_cp", "", "picp_90")
        weights = _column(part, "weighted_cp", KNOWN, "picp_90")
        drop = _interval(LEVEL - observed)
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"observed": float(observed.mean()), "weighted": float(weights.mean())}
            | {name: float(_column(part, "norm_cp", "", name).mean()) for name in CLOSED}
            | {"drop": drop["value"], "lower": drop["lower"], "upper": drop["upper"]}
            | {"worlds": len(part)}
            | {"verdict": decide(drop["lower"], drop["upper"], UNDERCOVERED, "greater").verdict}
        )
    return pd.DataFrame(rows)


def enough(labels: Sequence[int], restored: Sequence[bool]) -> float:
    """The smallest k from which on coverage is restored at every k tried; NaN if it never is.

    Examples
    --------
    >>> enough([10, 20, 50, 100], [True, False, True, True])
    50.0
    """
    found = float("nan")
    for k, good in sorted(zip(labels, restored, strict=True), reverse=True):
        if not good:
            break
        found = float(k)
    return found


def _budget(part: pd.DataFrame, method: str, tolerance: float) -> dict[str, Any] | None:
    """What k labels do to one condition; None where no size of sample could be drawn."""
    own = part[(part["uncertainty"] == method) & part["variant"].str.startswith("k=")]
    if own.empty:
        return None
    value: dict[tuple[str, int], float] = {
        (str(metric), int(str(variant)[2:])): float(found)
        for metric, variant, found in zip(own["metric"], own["variant"], own["value"], strict=True)
    }
    sizes = sorted({k for _, k in value})
    single = part[part["uncertainty"] == "single"]
    before: dict[str, float] = dict(zip(single["metric"], single["value"], strict=True))
    score = single["metric"] == "interval_score_90"
    restored = [abs(value["picp_90", k] - LEVEL) <= tolerance for k in sizes]
    mostly = [value["within_tolerance", k] >= MOST_DRAWS for k in sizes]
    fine = abs(before["picp_90"] - LEVEL) <= tolerance
    last = sizes[-1]
    return {
        "uncertainty": method,
        "coverage_before": before["picp_90"],
        "on_average": 0.0 if fine else enough(sizes, restored),
        "in_most_draws": enough(sizes, mostly),
        "most_labels": last,
        "coverage_after": value["picp_90", last],
        "width_before": before["mpiw_90"],
        "width_after": value["mpiw_90", last],
        "score_before": before["interval_score_90"],
        "score_after": value["interval_score_90", last],
        "score_oracle": float(single.loc[score, "oracle"].mean()),
    }


def label_budget(rows: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """Labels of a shifted condition that bring 90 % coverage back to within ``tolerance``.

    ``on_average``: mean coverage over label draws lies within it, 0 where it does so unrepaired;
    ``in_most_draws``: so does a single draw, in at least :data:`MOST_DRAWS` of them. Both are the
    smallest size from which on this holds at every size tried, empty where it never does. Width
    and interval score stand before repair and with most labels, the score's oracle beside them.
    """
    whole = rows[rows["by"] == ""]
    real = whole["data"] != "simulation"
    # Over splits the measured severity varies a little; a condition's name tells it apart there.
    whole = whole.assign(dial=whole["severity"].where(~real))
    keys = ["data", "split", "shift", "family", "part", "dial"]
    found = []
    for key, part in whole.groupby(keys, sort=False, dropna=False):
        where: Mapping[str, Any] = dict(zip(keys, key, strict=True))
        where = {**where, "dial": float(part["severity"].mean())}
        budgets = (_budget(part, method, tolerance) for method in ("few_shot", "norm_cp"))
        found += [{**where, **budget} for budget in budgets if budget is not None]
    return pd.DataFrame(found).rename(columns={"part": "condition", "dial": "severity"})


def _summary(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    found = over_worlds(table, keys)
    p = table[table["quantity"] == "p"]
    rejected = p.assign(value=(p["value"] <= ALPHA).astype(float), quantity="rejected")
    return pd.concat([found, over_worlds(rejected, keys)], ignore_index=True)


def detection(worlds: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Detectors by part: mean over worlds or splits of statistic, p and AUROC.

    ``rejected`` is the share of worlds (splits) with p at most :data:`ALPHA`. ``same_sequences``
    and ``as_in_distribution`` say whether the sequences, and every value, are exactly those in
    distribution in all worlds. Intervals are t intervals over worlds; splits overlap and get none.
    """
    keys = [*_PART, "detector", "quantity"]
    simulated = worlds.assign(
        data="simulation", split=np.where(worlds["shift"] == "", "test", "shifted")
    )
    home = simulated[simulated["shift"] == ""]
    home = home[["world", "detector", "quantity", "value"]].rename(columns={"value": "home"})
    simulated = simulated.merge(home, on=["world", "detector", "quantity"])
    equal = (simulated["value"] == simulated["home"]).astype(float)
    aimed = simulated["condition"].str.startswith("d=")
    simulated = simulated.assign(equal=equal, dial=simulated["severity"].where(~aimed))
    table = _summary(simulated, [*keys, "dial"])
    same = simulated.groupby([*_PART, "dial"], dropna=False)[["same_sequences", "equal"]].min()
    table = table.merge(same.reset_index(), on=[*_PART, "dial"]).drop(columns="dial")
    table = table.rename(columns={"equal": "as_in_distribution"})
    real = _summary(splits, keys).rename(columns={"worlds": "splits"})
    return pd.concat([table, real.drop(columns=["lower", "upper"])], ignore_index=True)

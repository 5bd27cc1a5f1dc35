"""Tables of the repair experiment from values per world and per split.

In: tables of :mod:`lib.experiments.repair_measures`. Out: tidy rows with intervals, and the tables
that its statements are judged on. Worlds get a t interval over worlds; splits the pooled one of
:func:`lib.experiments.scoring.combine`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.experiments.repair_measures import CLOSED, FROM_WEIGHTS
from lib.experiments.repairs import ESTIMATED, KNOWN, LEVEL
from lib.experiments.scoring import combine
from lib.metrics.columns import LEVELS
from lib.statistics.effects import decide, over_replicates, paired_contrast

UNDERCOVERED = 0.10  # by so much the weighted intervals must undercover under rewiring
STANDARD_ERRORS = 2.0  # within so many the weighted intervals must cover under a GC tilt
MOST_DRAWS = 0.9  # share of label draws that must restore coverage
ALPHA = 0.05
PART = ["data", "split", "shift", "family", "condition"]
REPAIR = ["uncertainty", "variant"]
VALUE = ["metric", "by", "bin"]


def combined(worlds: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Rows of both with intervals; ``condition`` names the variant of a repair too."""
    shown = worlds[~worlds["metric"].isin([*CLOSED, FROM_WEIGHTS])]
    keys = [*PART, "dial", *REPAIR, *VALUE]
    averaged = ["severity", "oracle", "n"]
    simulated = over_replicates(shown, keys, averaged=averaged).drop(columns="dial")
    simulated = simulated.round({"severity": 4, "n": 0}).astype({"n": int})
    rows = pd.concat([simulated, combine(splits)], ignore_index=True)
    named = (rows["condition"] + ", " + rows["variant"]).str.removeprefix(", ")
    return rows.assign(part=rows["condition"], condition=named.str.removesuffix(", "))


def _by_world(worlds: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """A row per condition and world, a column per repair and metric."""
    whole = worlds[worlds["by"] == ""]
    columns = [*REPAIR, "metric"]
    return whole.pivot_table("value", [*keys, "replicate"], columns, sort=False)


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
    for severity, part in _by_world(tilt, ["severity"]).groupby("severity"):
        means = part.mean()
        for level in LEVELS:
            metric = f"picp_{round(100 * level)}"
            known = part["weighted_cp", KNOWN, metric]
            found = _interval(known)
            error = float(known.std() / len(known) ** 0.5)
            off = (found["value"] - level) / error
            judged = "undecided" if np.isnan(off) else "not nominal"
            rows.append(
                {"severity": severity, "level": level, **found, "standard_error": error, "off": off}
                | {
                    "own_mass": means.get(("weighted_cp", KNOWN, FROM_WEIGHTS)),
                    "n_eff": means.get(("weighted_cp", KNOWN, "n_eff")),
                    "infinite": means.get(("weighted_cp", KNOWN, "infinite_90")),
                    "unweighted": means.get(("norm_cp", "", metric)),
                    "estimated": means.get(("weighted_cp", ESTIMATED, metric)),
                    "worlds": len(known),
                    "verdict": "nominal" if abs(off) <= STANDARD_ERRORS else judged,
                }
            )
    return pd.DataFrame(rows)


def concept(worlds: pd.DataFrame) -> pd.DataFrame:
    """Coverage of normalised conformal intervals under each concept shift, beside closed forms.

    At fixed sequence the known density ratio is one, so these are the weighted intervals too.
    ``drop`` is nominal less observed, with its 95 % t interval over worlds; ``verdict`` judges
    whether it is at least :data:`UNDERCOVERED`.
    """
    shifted = worlds[worlds["family"] == "concept"]
    # Worlds turn the dial differently to reach one distance: its mean names the condition.
    means = shifted.groupby(["shift", "condition"])["severity"].transform("mean").round(4)
    shifted = shifted.assign(severity=shifted["dial"].fillna(means))
    keys = ["shift", "severity", "condition"]
    rows: list[dict[str, Any]] = []
    if shifted.empty:
        return pd.DataFrame()
    for key, part in _by_world(shifted, keys).groupby(keys, sort=False):
        observed = part["norm_cp", "", "picp_90"]
        drop, mean = _interval(LEVEL - observed), part.mean()
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"observed": float(observed.mean())}
            | {"weighted": mean.get(("weighted_cp", KNOWN, "picp_90"))}
            | {name: mean.get(("norm_cp", "", name)) for name in CLOSED}
            | {"drop": drop.pop("value"), **drop, "worlds": len(part)}
            | {"verdict": decide(drop["lower"], drop["upper"], UNDERCOVERED, "greater").verdict}
        )
    return pd.DataFrame(rows)


def enough(restored: pd.Series) -> float:
    """The smallest k from which on coverage is restored at every k tried; NaN if it never is.

    Examples
    --------
    >>> enough(pd.Series([True, False, True, True], index=[10, 20, 50, 100]))
    50.0
    """
    kept = restored.sort_index(ascending=False).cummin()
    return float(kept.index[kept].min()) if kept.any() else float("nan")


def _budget(part: pd.DataFrame, method: str, tolerance: float) -> dict[str, Any] | None:
    """What k labels do to one condition; None where no size of sample could be drawn."""
    own = part[(part["uncertainty"] == method) & part["variant"].str.startswith("k=")]
    if own.empty:
        return None
    by_size = own.assign(k=own["variant"].str[2:].astype(int)).pivot(
        index="k", columns="metric", values="value"
    )
    single = part[part["uncertainty"] == "single"].set_index("metric")
    before, after = single["value"], by_size.loc[by_size.index.max()]
    fine = abs(before["picp_90"] - LEVEL) <= tolerance
    restored = (by_size["picp_90"] - LEVEL).abs() <= tolerance
    return {
        "uncertainty": method,
        "coverage_before": before["picp_90"],
        "on_average": 0.0 if fine else enough(restored),
        "in_most_draws": enough(by_size["within_tolerance"] >= MOST_DRAWS),
        "most_labels": by_size.index.max(),
        "coverage_after": after["picp_90"],
        "width_before": before["mpiw_90"],
        "width_after": after["mpiw_90"],
        "score_before": before["interval_score_90"],
        "score_after": after["interval_score_90"],
        "score_oracle": single.loc["interval_score_90", "oracle"],
    }


def label_budget(rows: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """Labels of a shifted condition that bring 90 % coverage back to within ``tolerance``.

    ``on_average``: mean coverage over label draws lies within it, 0 where it does so unrepaired;
    ``in_most_draws``: so does a single draw, in at least :data:`MOST_DRAWS` of them. Both are the
    smallest size from which on this holds at every size tried, empty where it never does. Width
    and interval score stand before repair and with most labels, the score's oracle beside them.
    """
    whole = rows[rows["by"] == ""]
    # Over splits the measured severity varies a little; a condition's name tells it apart there.
    dial = whole["severity"].where(whole["data"] == "simulation")
    keys = ["data", "split", "shift", "family", "part", "dial"]
    found = []
    for key, part in whole.assign(dial=dial).groupby(keys, sort=False, dropna=False):
        where: dict[str, Any] = dict(zip(keys, key, strict=True))
        where["dial"] = float(part["severity"].mean())
        budgets = (_budget(part, method, tolerance) for method in ("few_shot", "norm_cp"))
        found += [where | budget for budget in budgets if budget is not None]
    return pd.DataFrame(found).rename(columns={"part": "condition", "dial": "severity"})


def _with_rejected(table: pd.DataFrame) -> pd.DataFrame:
    p = table[table["quantity"] == "p"]
    rejected = p.assign(value=(p["value"] <= ALPHA).astype(float), quantity="rejected")
    return pd.concat([table, rejected], ignore_index=True)


def detection(worlds: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Detectors by part: mean over worlds or splits of statistic, p and AUROC.

    ``rejected`` is the share of worlds (splits) with p at most :data:`ALPHA`. ``same_sequences``
    and ``as_in_distribution`` say whether the sequences, and every value, are exactly those in
    distribution in all worlds. Intervals are t intervals over worlds; splits overlap and get none.
    """
    keys = [*PART, "detector", "quantity"]
    unit = ["replicate", "detector", "quantity"]
    home = worlds[worlds["shift"] == ""].rename(columns={"value": "home"})
    simulated = worlds.merge(home[[*unit, "home"]], on=unit)
    equal = (simulated["value"] == simulated["home"]).astype(float)
    simulated = simulated.assign(as_in_distribution=equal)
    least = ["same_sequences", "as_in_distribution"]
    same = simulated.groupby([*PART, "dial"], dropna=False)[least].min().reset_index()
    averaged = ["severity", "n"]
    table = over_replicates(_with_rejected(simulated), [*keys, "dial"], averaged=averaged)
    table = table.merge(same, on=[*PART, "dial"]).drop(columns="dial")
    real = over_replicates(_with_rejected(splits), keys, averaged=averaged, count="splits")
    table = pd.concat([table, real.drop(columns=["lower", "upper"])], ignore_index=True)
    return table.round({"n": 0}).astype({"n": int})

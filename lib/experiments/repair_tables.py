"""Tables of notebook 06 from values per world and per split.

Worlds get a t interval over worlds; splits the pooled one of
:func:`lib.experiments.scoring.combine`.
"""

from typing import Any

import numpy as np
import pandas as pd

from lib.experiments.repairs import ESTIMATED, KNOWN, LEVEL
from lib.experiments.scoring import combine
from lib.metrics.columns import LEVELS
from lib.statistics.effects import decide, over_replicates, paired_contrast

UNDERCOVERED = 0.10  # by so much the weighted intervals must undercover under rewiring
STANDARD_ERRORS = 2.0  # within so many the weighted intervals must cover under a GC tilt
MOST_DRAWS = 0.9  # share of label draws that must restore coverage
ALPHA = 0.05
FROM_WEIGHTS = "own_mass"  # mean weight of the asked element itself: room above nominal
PART = ["data", "split", "shift", "family", "condition"]


def combined(worlds: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Rows of both with intervals; ``condition`` names the variant of a repair too."""
    shown = worlds[worlds["metric"] != FROM_WEIGHTS]
    keys = [*PART, "dial", "uncertainty", "variant", "metric", "by", "bin"]
    simulated = over_replicates(shown, keys, averaged=["severity", "oracle", "n"])
    simulated = simulated.drop(columns="dial").round({"severity": 4, "n": 0}).astype({"n": int})
    rows = pd.concat([simulated, combine(splits)], ignore_index=True)
    named = (rows["condition"] + ", " + rows["variant"]).str.removeprefix(", ")
    return rows.assign(part=rows["condition"], condition=named.str.removesuffix(", "))


def weighted(worlds: pd.DataFrame) -> pd.DataFrame:
    """Coverage of conformal intervals weighted by the known ratio, per severity of the GC tilt.

    ``off`` is the distance from nominal in standard errors, ``own_mass`` the mean weight of the
    asked element, which the guarantee adds; coverage of other intervals stands beside.
    """
    tilt = worlds[(worlds["shift"] == "gc") & (worlds["condition"] == "") & (worlds["by"] == "")]
    tilt = tilt.assign(repair=(tilt["uncertainty"] + " " + tilt["variant"]).str.strip())
    rows = []
    for severity, part in tilt.groupby("severity"):
        by_world = part.pivot(index="replicate", columns=["repair", "metric"], values="value")
        means, known = by_world.mean(), by_world[f"weighted_cp {KNOWN}"]
        for level in LEVELS:
            metric = f"picp_{round(100 * level)}"
            row = {"severity": severity, "level": level, **_interval(known[metric])}
            row["off"] = (row["value"] - level) / float(known[metric].sem())
            for name, other in (("own_mass", FROM_WEIGHTS), ("infinite", "infinite_90")):
                row[name] = known[other].mean()
            row["n_eff"] = known["n_eff"].mean()
            row["unweighted"] = means["norm_cp", metric]
            row["estimated"] = means[f"weighted_cp {ESTIMATED}", metric]
            near = "nominal" if abs(row["off"]) <= STANDARD_ERRORS else "not nominal"
            rows.append(row | {"verdict": "undecided" if np.isnan(row["off"]) else near})
    return pd.DataFrame(rows)


def concept(worlds: pd.DataFrame) -> pd.DataFrame:
    """Coverage of normalised conformal intervals under each concept shift.

    At fixed sequence the known density ratio is one, so these are the weighted intervals too.
    ``drop`` is nominal less observed, with its 95 % t interval over worlds; ``verdict`` judges
    whether it is at least :data:`UNDERCOVERED`.
    """
    rows = worlds[(worlds["family"] == "concept") & (worlds["by"] == "")]
    rows = rows[(rows["uncertainty"] == "norm_cp") & (rows["variant"] == "")]
    rows = rows[rows["metric"] == "picp_90"]
    # Worlds turn the dial differently to reach one distance: its mean names the condition.
    means = rows.groupby(["shift", "condition"])["severity"].transform("mean").round(4)
    rows = rows.assign(severity=rows["dial"].fillna(means))
    keys, found = ["shift", "severity", "condition"], []
    for key, part in rows.groupby(keys, sort=False):
        drop = _interval(LEVEL - part["value"])
        verdict = decide(drop["lower"], drop["upper"], UNDERCOVERED, "greater").verdict
        row = dict(zip(keys, key, strict=True)) | {"observed": part["value"].mean()}
        found.append(row | {"drop": drop.pop("value"), **drop, "verdict": verdict})
    return pd.DataFrame(found)


def _interval(values: pd.Series) -> dict[str, Any]:
    found = paired_contrast(values, rng=np.random.default_rng(0))
    return dict(zip(("value", "lower", "upper"), found[:3], strict=True))


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
    return {
        "uncertainty": method,
        "coverage_before": before["picp_90"],
        "on_average": 0.0 if fine else enough((by_size["picp_90"] - LEVEL).abs() <= tolerance),
        "in_most_draws": enough(by_size["within_tolerance"] >= MOST_DRAWS),
        "most_labels": by_size.index.max(),
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
        where = dict(zip(keys, (*key[:-1], float(part["severity"].mean())), strict=True))
        budgets = (_budget(part, method, tolerance) for method in ("few_shot", "norm_cp"))
        found += [where | budget for budget in budgets if budget is not None]
    return pd.DataFrame(found).rename(columns={"part": "condition", "dial": "severity"})


def detection(worlds: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Detectors by part: mean over worlds or splits of statistic, p and AUROC.

    ``rejected`` is the share of worlds (splits) with p at most :data:`ALPHA`. ``same_sequences``
    and ``as_in_distribution`` say whether the sequences, and every value, are exactly those in
    distribution in all worlds.
    """
    unit = ["replicate", "detector", "quantity"]
    home = worlds[worlds["shift"] == ""].rename(columns={"value": "home"})
    simulated = worlds.merge(home[[*unit, "home"]], on=unit)
    simulated["as_in_distribution"] = (simulated["value"] == simulated["home"]).astype(float)
    every = pd.concat([simulated, splits], ignore_index=True)
    flags = ["same_sequences", "as_in_distribution"]
    every[flags] = every.groupby([*PART, "dial"], dropna=False)[flags].transform("min")
    p = every[every["quantity"] == "p"]
    rejected = p.assign(value=(p["value"] <= ALPHA).astype(float), quantity="rejected")
    keys = [*PART, "dial", "detector", "quantity"]
    groups = pd.concat([every, rejected]).groupby(keys, sort=False, dropna=False)
    table = groups[["value", "severity", "n", *flags]].mean().reset_index()
    return table.drop(columns="dial").round({"n": 0}).astype({"n": int})

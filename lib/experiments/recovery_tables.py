"""From the measures of single worlds and splits to tidy rows and contrasts.

In: areas, probes and agreement by world, enrichments by split. Out: means with intervals: Student's
t over worlds, the correction for overlapping splits on assays.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.experiments.prior_effects import effect_row
from lib.experiments.recovery_worlds import MEASURES, SIGNS, active_motifs
from lib.experiments.sim_arms import Arm, Condition, world_of
from lib.experiments.sim_tables import intervals
from lib.statistics.intervals import combine_splits
from lib.study.units import Result
from lib.training.attribution import SCORERS


def _keys(arm: Arm, condition: Condition) -> dict[str, Any]:
    return {
        "data": "simulation",
        "split": "shifted" if condition.shift else "test",
        "shift": condition.shift,
        "family": condition.family,
        "severity": condition.severity,
        "condition": condition.name,
        "model": arm.model,
        "seed": arm.world_seed,
    }


def areas(arms: Sequence[Arm], at: Sequence[Condition], found: Sequence[Result]) -> pd.DataFrame:
    """Area and base by world, network, condition and method."""
    return pd.DataFrame(
        [
            _keys(arm, condition)
            | {"method": method, "metric": metric}
            | {"value": float(result.arrays["values"][i, j, k])}
            for arm, result in zip(arms, found, strict=True)
            for i, condition in enumerate(at)
            for j, method in enumerate(SCORERS)
            for k, metric in enumerate(MEASURES)
        ]
    )


def probes(arms: Sequence[Arm], found: Sequence[Result]) -> pd.DataFrame:
    """R² of the probes by world, network, motif and whether the network was trained."""
    tables = []
    for arm, result in zip(arms, found, strict=True):
        program = world_of(arm.world_seed).program
        active = active_motifs(program)
        for place, method in enumerate(("probe", "probe_untrained")):
            table = pd.DataFrame({"value": result.arrays["values"][place]})
            table["bin"] = [pwm.name for pwm in program.motifs]
            table["condition"] = np.where(active, "acting", "idle")
            keys = _keys(arm, Condition())
            del keys["condition"]
            tables.append(table.assign(**keys, method=method, metric="r2_probe"))
    return pd.concat(tables, ignore_index=True)


def agreements(
    worlds: Sequence[int], at: Sequence[Condition], found: Sequence[Result]
) -> pd.DataFrame:
    """Agreement between the networks of a world, and what disagreement says of the error."""
    return pd.DataFrame(
        [
            _keys(Arm(world, "all", 0), condition)
            | {"method": "gradient_input", "metric": metric}
            | {"value": float(result.arrays["values"][i, k])}
            for world, result in zip(worlds, found, strict=True)
            for i, condition in enumerate(at)
            for k, metric in enumerate(SIGNS)
        ]
    )


def pooled_motifs(table: pd.DataFrame, sizes: Mapping[str, tuple[int, int]]) -> pd.DataFrame:
    """Enrichment of each motif over splits, as a ratio with its interval."""
    rows = []
    known = table[np.isfinite(table["value"]) & np.isfinite(table["variance"])]
    for (data, motif), part in known.groupby(["data", "motif"], sort=False):
        found = combine_splits(part["value"], part["variance"], *sizes[str(data)])
        ends = {name: float(np.exp(getattr(found, name))) for name in ("value", "lower", "upper")}
        rows.append(
            {"data": data, "motif": motif, **ends, "n": round(part["n"].mean())}
            | {"splits": len(part)}
        )
    return pd.DataFrame(rows)


def effects(values: pd.DataFrame) -> pd.DataFrame:
    """Areas over their base, against those in distribution, and what training adds to a probe."""
    rows = []
    areas = values[values["metric"].isin(MEASURES)]
    keys = ["model", "method", "shift", "condition"]
    wide = areas.pivot_table(index=[*keys, "seed"], columns="metric", values="value").reset_index()
    for given, part in wide.groupby(keys, sort=False):
        named: dict[str, Any] = dict(zip(keys, given, strict=True)) | {"data": "simulation"}
        own = part.set_index("seed")
        same = (wide["model"] == named["model"]) & (wide["method"] == named["method"])
        home = wide[same & (wide["shift"] == "")].set_index("seed")
        rows.append(effect_row("auprc_sites", own["auprc_sites"], log=False, **named))
        above = own["auprc_sites"] - own["auprc_base"]
        rows.append(effect_row("auprc_above_base", above, log=False, **named))
        if named["shift"]:
            change = own["auprc_sites"] - home["auprc_sites"]
            rows.append(effect_row("auprc_change", change, log=False, **named))
    probes = values[values["metric"] == "r2_probe"]
    wide = probes.pivot_table(
        index=["model", "condition", "seed"], columns="method", values="value"
    ).reset_index()
    for (model, kind), part in wide.groupby(["model", "condition"], sort=False):
        own = part.set_index("seed")
        named = {"model": model, "method": "probe", "shift": "", "condition": kind}
        named |= {"data": "simulation"}
        rows.append(effect_row("r2_probe", own["probe"], log=False, **named))
        gained = own["probe"] - own["probe_untrained"]
        rows.append(effect_row("r2_probe_gain", gained, log=False, **named))
    return pd.DataFrame(rows)


def tidy(values: pd.DataFrame, agreed: pd.DataFrame, sizes: Mapping[str, int]) -> pd.DataFrame:
    """Means over worlds, and over the splits of an assay, with their intervals.

    Parameters
    ----------
    values, agreed : DataFrame
        Measures of single worlds, and of single splits.
    sizes : mapping of str to int
        Elements behind each metric in a world.
    """
    values = values.assign(bin=values["bin"].fillna(""))
    keys = ["data", "split", "shift", "family", "severity", "condition", "model"]
    keys += ["method", "metric", "bin"]
    rows = intervals(values, keys).drop(columns=["lower_90", "upper_90"])
    untrained = rows["method"] == "probe_untrained"
    rows["metric"] = rows["metric"].where(~untrained, "r2_probe_untrained")
    area = rows["metric"].isin(MEASURES)
    rows["by"] = np.where(area, "method", np.where(rows["bin"] != "", "motif", ""))
    rows["bin"] = rows["method"].where(area, rows["bin"])
    rows["n"] = rows["metric"].map(sizes).astype(int)
    rows = rows.drop(columns="method")
    real = []
    for (data, metric), part in agreed.groupby(["data", "metric"], sort=False):
        given = part[["n", "n_train"]].mean()
        found = combine_splits(part["value"], np.zeros(len(part)), given["n"], given["n_train"])
        ends = {name: getattr(found, name) for name in ("value", "lower", "upper")}
        if len(part) == 1:
            ends |= {"lower": np.nan, "upper": np.nan}
        keys_of = {"data": data, "split": "test", "shift": "", "family": "", "condition": ""}
        keys_of |= {"model": "cnn", "metric": metric, "by": "", "bin": ""}
        real.append(keys_of | ends | {"n": round(given["n"]), "splits": len(part)})
    table = pd.concat([rows, pd.DataFrame(real)], ignore_index=True)
    return table.assign(prior="none", uncertainty="single", seed=None, oracle=np.nan)

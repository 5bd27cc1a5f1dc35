"""Tables of the real shifts from long tables per split.

In: what :func:`lib.experiments.twins.judging.judge` gives, stacked. Out: tidy rows with intervals
over splits, and the tables that the notebook draws.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.experiments.scoring import combine, contrast
from lib.experiments.twins.curves import METRICS, Curves
from lib.experiments.twins.networks import MODEL
from lib.experiments.twins.parts import ALIKE, RealCondition
from lib.statistics.effects import over_splits

SCALES = dict.fromkeys(("rmse", "crps_gaussian", "zms", "aurc", "mpiw_90"), "ratio")
SCALES |= dict.fromkeys(("picp_90", "pearson_r", "bias", "r2_cod"), "difference")
# Names of the simulator's forecasts by the metric that they speak of.
OBSERVED = {metric: name for name, metric in METRICS.items()}
SHORT = ("rmse", "crps_gaussian", "crps_skill", "zms", "picp_90", "mpiw_90", "pearson_r", "aurc")
SPLIT_METRIC = "picp_90"  # of single splits
PART = ["data", "split", "shift", "family", "condition"]
LADDER = [*PART, "rung", "metric"]
NOISE = [*PART, "errors", "quantity"]
_WIDTH = 2 * 1.959964  # of a 95 % interval, in standard errors


def with_severity(scored: pd.DataFrame, severities: pd.DataFrame) -> pd.DataFrame:
    """Rows with the measured severity of their shift; 0 in distribution and inside."""
    by = severities.set_index(["shift", "condition"])["severity"].to_dict()
    names = [RealCondition.parse(text).name for text in scored["condition"]]
    found = [by.get(key, np.nan) for key in zip(scored["shift"], names, strict=True)]
    unshifted = scored["split"].isin(["test", "inside"])
    return scored.assign(severity=np.where(unshifted, 0.0, found))


def publishable(scored: pd.DataFrame) -> pd.DataFrame:
    """Rows combined over splits; of single splits coverage of the network's main forecasts.

    Baselines, repaired forecasts and parts that show what a choice changes keep :data:`SHORT`.
    """
    keyed = scored.assign(severity=scored["severity"].round(4))
    conditions = keyed["condition"].map(RealCondition.parse)
    base = (keyed["model"] == MODEL) & keyed["uncertainty"].isin(["single", "ensemble"])
    base &= ~conditions.map(lambda each: each.is_choice or bool(each.pool))
    combined = combine(keyed[base | keyed["metric"].isin(SHORT)])
    single = keyed[base & (keyed["metric"] == SPLIT_METRIC) & keyed["seed"].isna()]
    return pd.concat([combined, single.drop(columns=["variance", "n_train"])], ignore_index=True)


def _sides(scored: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]]:
    """Every shifted part beside its reference, and beside the network trained on the shift."""
    rows = scored[np.isfinite(scored["variance"])]
    parts = dict(iter(rows.groupby(["data", "split", "shift", "condition"])))
    tissues = {"plant_leaf": "plant_proto", "plant_proto": "plant_leaf"}
    for (data, split, shift, condition), left in parts.items():
        if split != "shifted":
            continue
        # The network that was trained on the other tissue is one of its data.
        target = tissues.get(data, data) if shift == "assay" else data
        against = [
            ("reference", (data, *RealCondition.parse(condition).reference(shift))),
            ("matched", (target, "matched", shift, condition)),
            *(("alike", (data, "inside", shift, f"{condition}, {mark}")) for mark in ALIKE),
        ]
        for name, key in against:
            if key in parts:
                keys = {"shift": shift, "condition": condition, "against": name}
                yield keys | {"family": left["family"].iloc[0]}, left, parts[key]


def effects(scored: pd.DataFrame) -> pd.DataFrame:
    """What each shift changes, paired by split: errors and widths as ratios, else differences.

    ``against`` is ``reference`` (the same kind of measurement without the shift), ``alike`` (the
    same, resampled to be like the shifted part in GC content, and for a library in prediction too;
    for a noisy library the others thinned to its depth) or ``matched`` (a network trained on the
    shifted law, on the same labels).
    """
    match = ["data", "model", "uncertainty"]
    tables = [
        contrast(left, right.assign(data=left["data"].iloc[0]), SCALES, match=match).assign(**keys)
        for keys, left, right in _sides(scored)
    ]
    return pd.concat(tables, ignore_index=True)


def observed(effects: pd.DataFrame) -> pd.DataFrame:
    """What the sealed forecasts of one network speak of: ``observed``, with its interval."""
    one = (effects["model"] == MODEL) & (effects["uncertainty"] == "single")
    rows = effects[one & (effects["against"] == "reference") & effects["metric"].isin(OBSERVED)]
    found = rows[["shift", "condition"]].assign(metric=rows["metric"].map(OBSERVED))
    drop = found["metric"] == "coverage_drop"
    for name, other in (("value", "value"), ("lower", "upper"), ("upper", "lower")):
        column = "observed" if name == "value" else f"observed_{name}"
        found[column] = rows[name].where(~drop, -rows[other])
    return found


def dose_response(curves: Curves, twins: pd.DataFrame) -> pd.DataFrame:
    """Simulated curves (mean over worlds, 95 % range of one) and real points on one axis per unit.

    GC shifts stand at their size, whichever the direction.
    """
    simulated = [
        pd.DataFrame({"severity": curve.dose, "value": curve.mean, "std": curve.std}).assign(
            unit=curve.unit, metric=curve.metric, kind="simulated", shift=curve.shift, condition=""
        )
        for curve in curves.values()
    ]
    both = pd.concat(simulated, ignore_index=True)
    for end, sign in (("lower", -1), ("upper", 1)):
        both[end] = both["value"] + sign * 1.96 * both["std"]
    ends = {"observed": "value", "observed_lower": "lower", "observed_upper": "upper"}
    kept = twins[["unit", "metric", "shift", "condition", *ends]].rename(columns=ends)
    points = kept.assign(kind="real", severity=twins["severity"].abs())
    return pd.concat([both.drop(columns="std"), points], ignore_index=True)


def pooled_splits(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Values of single splits pooled; the bootstrap variance of each is read off its interval.

    Rows without a value drop out; a single split keeps its interval.
    """
    if table.empty:
        return table
    table = table[np.isfinite(table["value"])]
    spread = (table["upper"] - table["lower"]) / _WIDTH
    found = over_splits(table.assign(variance=spread**2), keys)
    own = table.groupby(list(keys), sort=False)[["lower", "upper"]].first().reset_index()
    for end in ("lower", "upper"):
        found[end] = found[end].where(found["splits"] > 1, own[end])
    return found


def mitigation(repaired: pd.DataFrame, scored: pd.DataFrame) -> pd.DataFrame:
    """Repairs over splits, with networks trained on two genotypes as repairs of the third."""
    conditions = scored["condition"].map(RealCondition.parse)
    pools = conditions.map(lambda each: each.pool)
    wanted = (pools != "") & scored["metric"].isin(["picp_90", "mpiw_90"])
    wanted &= (scored["uncertainty"] == "single") & (scored["model"] == MODEL)
    names: dict[str, Any] = {"uncertainty": "pooled", "variant": pools[wanted]}
    names["condition"] = conditions[wanted].map(lambda each: each.name)
    pooled = scored[wanted].assign(**names)
    keys = [*PART, "uncertainty", "variant", "metric"]
    numbers = ["value", "variance", "lower", "upper", "n", "n_train", "split_seed"]
    return combine(pd.concat([repaired, pooled], ignore_index=True)[[*keys, *numbers]])


def as_standin(table: pd.DataFrame) -> pd.DataFrame:
    """A table of simulated assays: ``data`` says so, and the condition names what it stands for."""
    if "data" not in table or "condition" not in table:
        return table
    plain = (table["condition"] + " " + table["data"]).str.strip()
    if "shift" in table:
        plain = plain.where(table["shift"] == "", table["condition"])
    return table.assign(condition=plain, data="standin")

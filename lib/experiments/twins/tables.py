"""Tables of the real shifts from measured forecasts, and the scores of the sealed forecasts.

In: what :func:`lib.experiments.twins.judging.judge` gives of every network; and ``sealed.csv``, the
changes of coverage, error and calibration that the simulator said each real shift would bring,
written once from severities alone, before any network was judged under a shift. Out: tidy rows, and
the tables that the notebook draws.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from lib.arrays import FloatArray, ranks
from lib.experiments.scoring import Measured, contrast, joined
from lib.experiments.twins.judging import METRICS
from lib.experiments.twins.networks import MODEL, RealCondition
from lib.metrics.columns import metric, spearman_r

# Names of the sealed forecasts by the metric that they speak of, of which effects are made.
OBSERVED: Final = {
    **{"picp_90": "coverage_drop", "zms": "zms_ratio", "rmse": "rmse_ratio"},
    **{"crps_gaussian": "crps_ratio", "aurc": "aurc_ratio"},
}
SCORES: Final = ["crps", "crps_no_change", "crps_climatology", "inside", "beyond"]
DRAWS: Final = 10_000  # permutations of the pairing of forecasts with observed changes
PART = ["data", "split", "shift", "family", "condition"]
TOLD: Final = {
    "ladder": ("rung", "metric"),
    "noise": ("errors", "quantity"),
    "mitigation": ("uncertainty", "variant", "metric"),
}


def with_severity(scored: pd.DataFrame, sealed: pd.DataFrame) -> pd.DataFrame:
    """Rows with the severity of their shift: their own, or that sealed; 0 without a shift."""
    by = sealed.groupby(["shift", "condition"])["severity"].first()
    names = [RealCondition.parse(text).name for text in scored["condition"]]
    found = by.reindex(pd.MultiIndex.from_arrays([scored["shift"], names])).to_numpy(float)
    known = scored["severity"].fillna(pd.Series(found, scored.index))
    return scored.assign(severity=known.mask(scored["split"].isin(["test", "inside"]), 0.0))


def publishable(scored: pd.DataFrame) -> pd.DataFrame:
    """Rows without those of single seeds."""
    rows = scored[scored["metric"].isin(METRICS) & scored["seed"].isna()]
    rows = rows.assign(severity=rows["severity"].round(4))
    return rows.drop(columns="variance").reset_index(drop=True)


def _by_part(measured: Sequence[Measured]) -> dict[tuple[Any, ...], Measured]:
    """Forecasts by model, uncertainty and part; of several seeds the mean of their values."""
    found: dict[tuple[Any, ...], list[Measured]] = {}
    names = ("model", "uncertainty", "data", "split", "shift", "condition")
    for each in measured:
        found.setdefault(tuple(each.keys[name] for name in names), []).append(each)
    means = {}
    for key, same in found.items():
        drawn = np.mean([each.drawn for each in same], axis=0)
        members = sum(each.members for each in same)
        means[key] = same[0]._replace(drawn=drawn, members=members)
    return means


def effects(measured: Sequence[Measured], between: pd.Series) -> pd.DataFrame:
    """What each shift changes, paired by group: errors and widths as ratios, else differences.

    ``against`` is ``reference`` (the same kind of measurement without the shift) or ``matched`` (a
    network trained on the shifted law, on the same labels); ``between`` is the variance of refits.
    """
    parts = _by_part(measured)
    tissues = {"plant_leaf": "plant_proto", "plant_proto": "plant_leaf"}
    tables = []
    for (model, uncertainty, data, split, shift, condition), one in parts.items():
        if split != "shifted":
            continue
        # The network that was trained on the other tissue is one of its data.
        target = tissues.get(data, data) if shift == "assay" else data
        against = {
            "reference": (data, *RealCondition.parse(condition).reference(shift)),
            "matched": (target, "matched", shift, condition),
        }
        keys = {"shift": shift, "condition": condition, "family": one.keys["family"]}
        keys |= {"data": data, "model": model, "uncertainty": uncertainty}
        for name, place in against.items():
            if other := parts.get((model, uncertainty, *place)):
                tables.append(contrast(one, other, between, against=name, **keys))
    names = ("shift", "condition", "family", "data", "model", "uncertainty", "against")
    found = joined(tables, names)
    return found[found["metric"].isin(OBSERVED)].reset_index(drop=True)


def observed(effects: pd.DataFrame) -> pd.DataFrame:
    """What the sealed forecasts of one network speak of: ``observed``, with its interval."""
    one = (effects["model"] == MODEL) & (effects["uncertainty"] == "single")
    rows = effects[one & (effects["against"] == "reference") & effects["metric"].isin(OBSERVED)]
    found = rows[["shift", "condition"]].assign(metric=rows["metric"].map(OBSERVED))
    drop = found["metric"] == "coverage_drop"
    turned = {"value": "value", "lower": "upper", "upper": "lower"}
    for end, other in turned.items():
        name = f"observed_{end}".removesuffix("_value")
        found[name] = rows[end].where(~drop, -rows[other])
    return found


def score_sealed(sealed: pd.DataFrame, observed: pd.DataFrame) -> pd.DataFrame:
    """Every sealed forecast beside the change, where it is known, with its CRPS.

    ``inside``: whether the 95 % interval holds the change. Two alternatives need no simulator: no
    change, with the same s.d., and climatology, mean and s.d. of all forecasts of the metric.
    """
    table = sealed.merge(observed, on=["shift", "condition", "metric"], how="inner")
    found = table.groupby(["metric", "axis"], sort=False)
    spread = found["forecast"].transform("std", ddof=0)
    nothing = (table["metric"] != "coverage_drop").astype(float)  # of a ratio
    alternatives = {
        "crps": (table["forecast"], table["std"]),
        "crps_no_change": (nothing, table["std"]),
        "crps_climatology": (
            found["forecast"].transform("mean"),
            spread.clip(lower=found["std"].transform("min")),
        ),
    }
    for name, given in alternatives.items():
        each = zip(*given, table["observed"], strict=True)
        table[name] = [metric("crps_gaussian", [m], [y], [s]) for m, s, y in each]
    return table.assign(inside=table["observed"].between(table["lower"], table["upper"]))


def sealed_summary(scored: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Scores over shifts and the agreement of the orders; descriptive, as shifts are few.

    One row per ``metric, axis`` and ``left_out`` (a family, or empty for all). The correlation is
    that of the shifts' means, for conditions of one shift are no independent cases; ``p``, of all
    families, is the share of pairings with a correlation as high. NaN below three shifts.
    """
    rows = []
    for (spoken, axis), own in scored.groupby(["metric", "axis"], sort=False):
        for left_out in ["", *filter(None, dict.fromkeys(own["family"]))]:
            part = own[own["family"] != left_out] if left_out else own
            if part.empty:
                continue
            means = part.groupby("shift", sort=False)[["forecast", "observed"]].mean()
            r, p = _order(means.to_numpy(float), rng, 0 if left_out else DRAWS)
            keys = {"metric": spoken, "axis": axis, "left_out": left_out}
            keys |= {"n": len(part), "shifts": len(means)}
            scores = part[SCORES].astype(float).mean().to_dict()
            rows.append({**keys, **scores, "spearman_r": r, "p": p})
    columns = ["metric", "axis", "left_out", "n", "shifts", *SCORES, "spearman_r", "p"]
    return pd.DataFrame(rows, columns=columns)


def _order(pairs: FloatArray, rng: np.random.Generator, draws: int) -> tuple[float, float]:
    """Rank correlation of two columns and the share of pairings that reach it."""
    if len(pairs) < 3 or np.any(np.ptp(pairs, axis=0) == 0):
        return float("nan"), float("nan")
    r = spearman_r(*pairs.T)
    if not draws:
        return r, float("nan")
    left, right = (ranks(column) - ranks(column).mean() for column in pairs.T)
    pairings = rng.permuted(np.tile(right, (draws, 1)), axis=1) @ left
    reached = np.sum(pairings >= right @ left - 1e-9)
    return r, float((1 + reached) / (1 + draws))


def told(tables: Sequence[pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    """Rows of all networks that have a value, by part and ``keys``."""
    columns = [*PART, *keys, "value", "lower", "upper", "n"]
    rows = pd.concat(tables, ignore_index=True).reindex(columns=columns)
    return rows[np.isfinite(rows["value"].astype(float))]


def as_standin(table: pd.DataFrame) -> pd.DataFrame:
    """A table of simulated assays: ``data`` says so, and the condition names what it stands for."""
    if table.empty or "data" not in table or "condition" not in table:
        return table
    plain = (table["condition"] + " " + table["data"]).str.strip()
    plain = plain.where(table["shift"] == "", table["condition"])
    return table.assign(condition=plain, data="standin")

"""Tables of the real shifts from scores per split.

In: rows of :func:`lib.experiments.real_scoring.score_item` and of the measures of each split. Out:
tidy rows with intervals over splits, and the tables that the notebook draws.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lib.experiments.real_arms import GENOTYPE, MODEL, PROMOTER
from lib.experiments.real_assays import Assays
from lib.experiments.real_measures import over_splits
from lib.experiments.real_parts import ALIKE, is_choice, reference_of
from lib.experiments.scoring import combine, contrast
from lib.experiments.twin_curves import Curves

SCALES = dict.fromkeys(("rmse", "crps_gaussian", "zms", "aurc", "mpiw_90"), "ratio")
SCALES |= dict.fromkeys(("picp_90", "pearson_r", "bias", "r2_cod"), "difference")
# Names of the simulator's forecasts, and the effects that they speak of.
OBSERVED = {
    "coverage_drop": ("picp_90", "difference", -1.0),
    "zms_ratio": ("zms", "ratio", 1.0),
    "rmse_ratio": ("rmse", "ratio", 1.0),
    "crps_ratio": ("crps_gaussian", "ratio", 1.0),
    "aurc_ratio": ("aurc", "ratio", 1.0),
}
SHORT = ("rmse", "crps_gaussian", "crps_skill", "zms", "picp_90", "mpiw_90", "pearson_r", "aurc")
SPLIT_METRICS = ("picp_90",)  # of single splits
_PART = ["data", "split", "shift", "family", "condition"]


def with_severity(scored: pd.DataFrame, severities: pd.DataFrame) -> pd.DataFrame:
    """Rows with the measured severity of their shift; 0 in distribution and inside."""
    known = severities.drop_duplicates(["shift", "condition"])
    by = known.set_index(["shift", "condition"])["severity"].to_dict()
    plain = scored["condition"].str.split(",").str[0]
    keys = zip(scored["shift"], plain, strict=True)
    found = np.array([by.get(key, np.nan) for key in keys])
    unshifted = scored["split"].isin(["test", "inside"])
    return scored.assign(severity=np.where(unshifted, 0.0, found))


def publishable(scored: pd.DataFrame) -> pd.DataFrame:
    """Rows combined over splits; of single splits those of the network's main metrics.

    Baselines, repaired forecasts and parts that show what a choice changes keep :data:`SHORT`.
    """
    keyed = scored.assign(severity=scored["severity"].round(4))
    base = (keyed["model"] == MODEL) & keyed["uncertainty"].isin(["single", "ensemble"])
    extra = keyed["condition"].map(is_choice) | keyed["condition"].str.contains("trained on")
    kept = (base & ~extra) | keyed["metric"].isin(SHORT)
    combined = combine(keyed[kept & (keyed["by"] == "")])
    chosen = base & ~extra & keyed["metric"].isin(SPLIT_METRICS) & keyed["seed"].isna()
    single = keyed[chosen].drop(columns=["variance", "n_train"])
    return pd.concat([combined, single], ignore_index=True)


def _sides(scored: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]]:
    """Every shifted part beside its reference, and beside the network trained on the shift."""
    rows = scored[(scored["by"] == "") & np.isfinite(scored["variance"])]
    parts = {key: part for key, part in rows.groupby(["data", "split", "shift", "condition"])}
    for (data, split, shift, condition), left in parts.items():
        if split != "shifted":
            continue
        against = {
            "reference": (data, *reference_of(split, shift, condition)),
            "matched": (data, "matched", shift, condition),
        }
        for suffix in ALIKE:
            key = (data, "inside", shift, f"{condition}, {suffix}")
            against |= {"alike": key} if key in parts else {}
        if shift == "assay":  # the trained-on-target network is one of the other tissue
            against["matched"] = (_other_tissue(data), "matched", shift, condition)
        for name, key in against.items():
            if key in parts:
                keys = {"shift": shift, "condition": condition, "against": name}
                yield keys | {"family": left["family"].iloc[0]}, left, parts[key]


def _other_tissue(data: str) -> str:
    return {"plant_leaf": "plant_proto", "plant_proto": "plant_leaf"}.get(data, data)


def effects(scored: pd.DataFrame) -> pd.DataFrame:
    """What each shift changes, paired by split: errors and widths as ratios, else differences.

    Returns
    -------
    DataFrame
        ``shift, condition, family, against, data, model, uncertainty, metric, scale, value, lower,
        upper, n, splits``. ``against`` is ``reference`` (the same kind of measurement without the
        shift), ``alike`` (the same, resampled to be like the shifted part in GC content, and for a
        library in prediction too; for a noisy library the others thinned to its depth) or
        ``matched`` (a network trained on the shifted law, on the same labels).
    """
    tables = []
    for keys, left, right in _sides(scored):
        right = right.assign(data=left["data"].iloc[0])
        table = contrast(left, right, SCALES, match=["data", "model", "uncertainty"])
        tables.append(table.assign(**keys))
    found = pd.concat(tables, ignore_index=True)
    first = ["shift", "condition", "family", "against", "data", "model", "uncertainty"]
    return found[[*first, *(column for column in found.columns if column not in first)]]


def _primary(effects: pd.DataFrame) -> pd.DataFrame:
    """Effects of one network, as the simulator's forecasts are of one network."""
    one = (effects["model"] == MODEL) & (effects["uncertainty"] == "single")
    return effects[one & (effects["against"] == "reference")]


def observed(effects: pd.DataFrame) -> pd.DataFrame:
    """What the sealed forecasts speak of: ``shift, condition, metric, value, lower, upper``."""
    rows = _primary(effects)
    tables = []
    for name, (metric, scale, sign) in OBSERVED.items():
        part = rows[(rows["metric"] == metric) & (rows["scale"] == scale)]
        ends = part[["lower", "upper"]] if sign > 0 else -part[["upper", "lower"]]
        tables.append(
            pd.DataFrame(
                {
                    "shift": part["shift"],
                    "condition": part["condition"],
                    "metric": name,
                    "value": sign * part["value"],
                    "lower": ends.iloc[:, 0],
                    "upper": ends.iloc[:, 1],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def with_quality(severities: pd.DataFrame, qualities: dict[tuple[str, str], float]) -> pd.DataFrame:
    """Severities with ``signal_over_predicted`` of the network that each shift is judged by."""
    home = ("genotype", f"{PROMOTER} {GENOTYPE}")

    def network(shift: str, condition: str) -> tuple[str, str]:
        if shift in ("genotype", "promoter"):
            return home
        if shift == "assay":
            return "plant", condition.split(" ")[0]
        return ("batch", condition) if shift == "batch" else ("retina", "")

    known = [
        qualities.get(network(shift, condition), np.nan)
        for shift, condition in zip(severities["shift"], severities["condition"], strict=True)
    ]
    return severities.assign(signal_over_predicted=known)


def twin_rows(sealed: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """One row per real shift, condition and metric beside its simulated twin."""
    real = observed(effects).rename(
        columns={"value": "observed", "lower": "observed_lower", "upper": "observed_upper"}
    )
    return sealed.merge(real, on=["shift", "condition", "metric"], how="inner")


def dose_response(curves: Curves, twins: pd.DataFrame) -> pd.DataFrame:
    """Simulated curves and real points on one axis per unit of severity.

    Returns
    -------
    DataFrame
        ``unit, metric, kind, shift, condition, severity, value, lower, upper``; ``kind`` is
        ``simulated`` (mean over worlds, 95 % range of one world) or ``real``. GC shifts stand at
        their size, whichever the direction.
    """
    rows = []
    for curve in curves.values():
        for dose, mean, std in zip(curve.dose, curve.mean, curve.std, strict=True):
            row = {"unit": curve.unit, "metric": curve.metric, "kind": "simulated"}
            row |= {"shift": curve.shift, "condition": "", "severity": dose, "value": mean}
            rows.append(row | {"lower": mean - 1.96 * std, "upper": mean + 1.96 * std})
    real = twins[twins["axis"] == "signal"]
    points = pd.DataFrame(
        {
            "unit": real["unit"],
            "metric": real["metric"],
            "kind": "real",
            "shift": real["shift"],
            "condition": real["condition"],
            "severity": real["severity"].abs(),
            "value": real["observed"],
            "lower": real["observed_lower"],
            "upper": real["observed_upper"],
        }
    )
    return pd.concat([pd.DataFrame(rows), points], ignore_index=True)


def ladder(table: pd.DataFrame) -> pd.DataFrame:
    """The ladder over splits: scores after each rung."""
    if table.empty:
        return pd.DataFrame()
    keys = [*_PART, "rung", "metric"]
    return over_splits(table, keys)


def noise(table: pd.DataFrame) -> pd.DataFrame:
    """What measured noise explains, over splits."""
    return over_splits(table, [*_PART, "errors", "quantity"])


def mitigation(repaired: pd.DataFrame, scored: pd.DataFrame) -> pd.DataFrame:
    """Repairs over splits, with networks trained on two genotypes as repairs of the third."""
    pooled = scored[
        scored["condition"].str.contains(", trained on ")
        & scored["metric"].isin(["picp_90", "mpiw_90"])
        & (scored["uncertainty"] == "single")
        & (scored["model"] == MODEL)
    ]
    names = pooled["condition"].str.split(", trained on ", expand=True)
    if len(pooled):
        pooled = pooled.assign(condition=names[0], uncertainty="pooled", variant=names[1])
    table = pd.concat([repaired, pooled], ignore_index=True)
    keys = [*_PART, "uncertainty", "variant", "metric"]
    numbers = ["value", "variance", "lower", "upper", "n", "n_train", "split_seed", "oracle"]
    table = table[[*keys, "by", "bin", *numbers]].copy()
    table["oracle"] = np.nan
    return combine(table).drop(columns=["by", "bin", "oracle"])


def as_standin(table: pd.DataFrame) -> pd.DataFrame:
    """A table of simulated assays: ``data`` says so, and the condition names what it stands for."""
    if "data" not in table or "condition" not in table:
        return table
    plain = (table["condition"] + " " + table["data"]).str.strip()
    if "shift" in table:
        plain = plain.where(table["shift"] == "", table["condition"])
    return table.assign(condition=plain, data="standin")


def fingerprints(assays: Assays) -> dict[str, str]:
    """Of what the fits read, for the manifest."""
    named = {"retina_libraries": assays.retina, **{d.name: d for d in assays.plant.values()}}
    found = {name: data.fingerprint for name, data in named.items()}
    for promoter, assay in assays.genotypes.items():
        for genotype in assay.genotypes:
            found[f"retina_genotypes {promoter} {genotype}"] = assay.dataset(genotype).fingerprint
    return found

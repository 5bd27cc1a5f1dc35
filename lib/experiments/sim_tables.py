"""From the metrics of single worlds to tidy rows with intervals, and measured severities.

In: judged networks and baselines, arrays by condition and metric. Out: tables. The world is the
unit: intervals are Student's t over worlds.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from lib.data.dataset import FloatArray
from lib.experiments.baseline_fits import SIMULATED_BASELINES
from lib.experiments.sim_arms import Arm, Condition
from lib.experiments.sim_units import DECILES, METRICS, SEVERITY_FIELDS, TREATMENTS
from lib.metrics.evaluate import MIN_BIN

KEYS = ("data", "split", "shift", "family", "severity", "condition", "model", "uncertainty")
CONDITION = ("split", "shift", "severity", "condition")
# What is published of treated forecasts, of baselines and smaller samples, and of every world.
TREATED_METRICS = ("picp_50", "picp_80", "picp_90", "picp_95", "mpiw_90", "zms", "crps_gaussian")
FEW_METRICS = (
    *("rmse", "rmse_f", "r2_f", "pearson_r", "crps_gaussian", "nll_gaussian", "zms"),
    *("picp_90", "mpiw_90"),
)
WORLD_METRICS = ("rmse", "zms", "picp_90")
# The severity of each kind of shift in physical units.
MEASURED = {
    "gc": "gc_shift",
    "motif_density": "sites_shift",
    "depth": "noise_share",
    "noise": "noise_share",
    "batch": "label_shift",
    "gc_amplification": "label_shift",
}


def _split_of(arm: Arm, condition: Condition) -> str:
    if condition == Condition() or (arm.law == condition and condition.severity == 0):
        return "test"
    return "matched" if arm.law == condition else "shifted"


def _condition_keys(arm: Arm, condition: Condition) -> dict[str, Any]:
    split = _split_of(arm, condition)
    home = split == "test"
    return {
        "data": "simulation",
        "split": split,
        "shift": "" if home else condition.shift,
        "family": "" if home else condition.family,
        "severity": condition.severity,
        "condition": condition.name,
        "seed": arm.world_seed,
        "n_train": arm.size,
    }


def _frames(judged: Any, labels: Sequence[tuple[str, str]]) -> Iterator[pd.DataFrame]:
    """One frame per condition and forecast; ``labels`` are its model and uncertainty."""
    arm, conditions, result = judged
    dial = result.arrays.get("dial", np.array([condition.severity for condition in conditions]))
    for index, condition in enumerate(conditions):
        keys = _condition_keys(arm, condition) | {"dial": float(dial[index])}
        for place, (model, uncertainty) in enumerate(labels):
            yield pd.DataFrame(
                {
                    "metric": METRICS,
                    "value": result.arrays["values"][index, place],
                    "oracle": result.arrays["oracle"][index],
                }
            ).assign(**keys, model=model, uncertainty=uncertainty)


def long_values(networks: Sequence[Any], simple: Sequence[Any], n_test: int) -> pd.DataFrame:
    """Every metric of every forecast in every world, one row each."""
    frames = [
        frame
        for judged in networks
        for frame in _frames(judged, [(judged.arm.model, name) for name in TREATMENTS])
    ]
    baselines = [(name, "single") for name in SIMULATED_BASELINES]
    frames += [frame for judged in simple for frame in _frames(judged, baselines)]
    return pd.concat(frames, ignore_index=True).assign(n=n_test)


def intervals(table: pd.DataFrame, keys: Sequence[str], value: str = "value") -> pd.DataFrame:
    """Mean over worlds with its 95 and 90 % t intervals; none for a single world.

    Returns
    -------
    DataFrame
        ``keys``, ``value, lower, upper, lower_90, upper_90, worlds``.
    """
    groups = table.groupby(list(keys), sort=False, dropna=False)[value]
    found = groups.agg(value="mean", spread="std", worlds="count").reset_index()
    error = found["spread"] / np.sqrt(found["worlds"])
    freedom = np.maximum(found["worlds"] - 1, 1)
    for level, ending in ((0.95, ""), (0.9, "_90")):
        half = student_t.ppf((1 + level) / 2, freedom) * error
        found[f"lower{ending}"] = found["value"] - half
        found[f"upper{ending}"] = found["value"] + half
    return found.drop(columns="spread")


def _published(values: pd.DataFrame, n_train: int, main: str) -> pd.DataFrame:
    full = values["n_train"] == n_train
    network = ~values["model"].isin(SIMULATED_BASELINES)
    own = values["uncertainty"] == "single"
    few = values["metric"].isin(FEW_METRICS)
    treated = values["metric"].isin(TREATED_METRICS) & (values["model"] == main)
    return values[(network & full & own) | (own & few) | (network & full & ~own & treated)]


def combined(values: pd.DataFrame, measured: pd.DataFrame, n_train: int, main: str) -> pd.DataFrame:
    """Tidy rows: means over worlds, and three metrics of the main network in each world."""
    published = _published(values, n_train, main)
    keys = [*KEYS, "n_train", "metric"]
    rows = intervals(published, keys)
    means = published.groupby(keys, sort=False, dropna=False)[["oracle", "dial", "n"]].mean()
    rows = rows.merge(means.reset_index(), on=keys)
    network = (values["model"] == main) & (values["uncertainty"] == "single")
    single = values[network & values["metric"].isin(WORLD_METRICS) & (values["n_train"] == n_train)]
    table = pd.concat([rows, single], ignore_index=True)
    severity = severity_means(measured)[["shift", "severity", "condition", "measured"]]
    table = table.merge(severity, on=["shift", "severity", "condition"], how="left")
    table["severity"] = table["dial"].round(4)
    table = table.rename(columns={"measured": "severity_measured"})
    table["prior"], table["by"], table["bin"] = "none", "", ""
    table["n"] = table["n"].astype(int)
    return table.drop(columns=["dial", "lower_90", "upper_90"])


def severities(
    worlds: Sequence[int], conditions: Sequence[Condition], values: FloatArray
) -> pd.DataFrame:
    """Measured severities, one row per world and condition; ``values`` (worlds, conditions, k)."""
    rows = []
    for place, world in enumerate(worlds):
        for index, condition in enumerate(conditions):
            fields = dict(zip(SEVERITY_FIELDS, values[place, index], strict=True))
            measured = fields[MEASURED.get(condition.shift, "distance")]
            rows.append(
                {
                    "world": world,
                    "shift": condition.shift,
                    "family": condition.family,
                    "severity": condition.severity,
                    "condition": condition.name,
                    "measured": measured,
                }
                | fields
            )
    return pd.DataFrame(rows)


def severity_means(table: pd.DataFrame) -> pd.DataFrame:
    """Severities averaged over worlds."""
    keys = ["shift", "family", "severity", "condition"]
    numeric = ["measured", *SEVERITY_FIELDS]
    found: pd.DataFrame = table.groupby(keys, sort=False)[numeric].mean().reset_index()
    return found


def coverage_by(networks: Sequence[Any], model: str, n_train: int) -> pd.DataFrame:
    """Coverage of 90 % intervals by decile of GC and of f, of the networks trained as usual."""
    rows = []
    for arm, conditions, result in networks:
        if arm.model != model or arm.size != n_train or arm.law != Condition():
            continue
        for index, condition in enumerate(conditions):
            cells = result.arrays["coverage_by"][index]  # (2, 2, 10)
            keys = _condition_keys(arm, condition)
            for place, by in enumerate(("gc_decile", "activity_decile")):
                rows += [
                    {key: keys[key] for key in CONDITION}
                    | {"by": by, "bin": decile + 1, "value": cells[place, 0, decile]}
                    | {"elements": cells[place, 1, decile]}
                    for decile in range(DECILES)
                ]
    table = pd.DataFrame(rows)
    table = table[table["elements"] >= MIN_BIN]
    columns = [*CONDITION, "by", "bin"]
    found = intervals(table, columns)
    sizes = table.groupby(columns, sort=False)["elements"].mean().round().reset_index()
    found = found.merge(sizes, on=columns)
    return found.drop(columns=["lower_90", "upper_90"])

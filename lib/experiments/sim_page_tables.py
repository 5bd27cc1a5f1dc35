"""Tables of notebook 01, made from the experiment's tables.

In: :class:`lib.study.found.Tables`. Out: :class:`lib.page.charts.Table`. No number is
typed here.
"""

from collections.abc import Sequence

import pandas as pd
from scipy.stats import norm

from lib.experiments.sim_page import SHIFT_NAMES, name_of, network
from lib.experiments.simulation_shifts import GC_BLIND, Config
from lib.page.charts import Table
from lib.page.notes import interval
from lib.study.found import Tables

# Metric, column, and what stands in it: "interval", "value" or "oracle".
ZMS_COLUMNS = (
    ("zms", "mean squared z", "interval"),
    ("zms_aleatoric", "wrong noise", "value"),
    ("zms_bias", "bias", "value"),
    ("zms_missing", "missing epistemic", "value"),
    ("zms_robust", "robust twin of z²", "value"),
    ("ence", "ENCE", "interval"),
    ("ence_null", "ENCE, perfect forecaster", "value"),
)
SCORE_COLUMNS = (
    ("rmse", "RMSE", "interval"),
    ("rmse", "RMSE, oracle", "oracle"),
    ("rmse_f", "RMSE against f", "value"),
    ("crps_skill", "CRPS skill", "value"),
    ("picp_90", "coverage", "interval"),
    ("mpiw_90", "width", "value"),
    ("mpiw_90", "width, oracle", "oracle"),
)


def zms_table(found: Tables, config: Config) -> Table:
    """Where miscalibration comes from: the split of E[z²] - 1."""
    caption = (
        "Miscalibration and its parts at the highest severity: mean squared z less 1 is the sum of "
        "wrong noise, bias and missing epistemic variance, up to the sample's own noise. ENCE of a "
        "perfect forecaster with the same σ stays below its last column in 95 of 100 samples."
    )
    return Table(_wide(found, config, ZMS_COLUMNS), caption)


def score_table(found: Tables, config: Config) -> Table:
    """Error, skill, coverage and width, network beside oracle."""
    caption = (
        "The CNN in distribution and at the highest severity of each shift, with 95 % intervals "
        "over worlds, beside the oracle (the true mean and standard deviation of each measurement)."
    )
    return Table(_wide(found, config, SCORE_COLUMNS), caption)


def _wide(found: Tables, config: Config, columns: Sequence[tuple[str, str, str]]) -> pd.DataFrame:
    """One row per shift at its highest severity."""
    parts = []
    for metric, label, kind in columns:
        home = network(found, config, metric, "test")
        home = home[home["condition"] == ""].assign(name="in distribution")
        rows = network(found, config, metric)
        rows = rows[(rows["severity"] == max(config.severities)) & (rows["condition"] != GC_BLIND)]
        rows = pd.concat([home, rows])
        if kind == "interval":
            cells = [interval(row) for _, row in rows.iterrows()]
        else:
            cells = [f"{value:.2f}" for value in rows[kind]]
        parts.append(pd.Series(cells, index=rows["name"], name=label))
    return pd.concat(parts, axis=1).rename_axis("shift").reset_index()


def matched_table(found: Tables, config: Config) -> Table:
    """Shifted networks beside networks trained on the shifted law."""
    rows = found.tables["effects"]
    rows = rows[rows["effect"].isin(["rmse_over_matched", "coverage_drop_over_matched"])]
    label = {
        "rmse_over_matched": "RMSE, ratio",
        "coverage_drop_over_matched": "coverage lost",
    }
    rows = rows.assign(
        name=name_of(rows),
        effect=rows["effect"].map(label),
        text=[interval(row) for _, row in rows.iterrows()],
    )
    keys = ["name", "severity", "n"]
    wide = rows.pivot(index=keys, columns="effect", values="text") if len(rows) else rows[keys]
    wide = (
        wide.rename_axis(None, axis=1)
        .reset_index()
        .rename(columns={"n": "worlds", "name": "shift"})
    )
    caption = (
        "The CNN trained as usual against a CNN trained on the shifted law, both judged on the "
        "shifted law: what is left is the shift itself, not harder data."
    )
    return Table(wide.drop(columns="index", errors="ignore"), caption)


def noise_arithmetic(found: Tables, config: Config) -> Table:
    """Noise raised at test only: coverage beside its closed form."""
    rows = network(found, config, "picp_90")
    rows = rows[rows["shift"] == "noise"]
    widths, true = (
        network(found, config, "mpiw_90").set_index(["shift", "severity"])[name]
        for name in ("value", "oracle")
    )
    table = pd.DataFrame(
        {
            "noise share": rows["severity_measured"].round(3),
            "coverage": [interval(row) for _, row in rows.iterrows()],
            "2 Φ(1.645 k) − 1": [
                f"{2 * norm.cdf(norm.ppf(0.95) * widths[key] / true[key]) - 1:.2f}"
                for key in zip(rows["shift"], rows["severity"], strict=True)
            ],
        }
    )
    caption = (
        "Noise raised at test only is arithmetic: with k the predicted over the true standard "
        "deviation, coverage falls to 2 Φ(1.645 k) − 1 (k taken from the mean widths). No verdict "
        "rests on it."
    )
    return Table(table, caption)


def severity_table(found: Tables, config: Config) -> Table:
    """Severities in physical units at the highest severity."""
    table = found.tables["severities"]
    table = table[(table["severity"] == max(config.severities)) | (table["severity"] == 0.25)]
    columns = {
        "distance": "d",
        "distance_gain": "of it gain",
        "gc_shift": "GC (SD)",
        "sites_shift": "sites (SD)",
        "effective_n": "effective n",
        "noise_share": "noise share",
        "label_shift": "label shift",
        "occupancy_shift": "occupancy (SD)",
        "variance_ratio": "Var f, ratio",
    }
    wide = table.assign(shift=name_of(table))[["shift", "severity", *columns]]
    caption = (
        "Measured severity, mean over worlds. d: distance between old and new activity on the same "
        "sequences in variances of f; GC, sites and the largest change of a motif's mean occupancy "
        "in standard deviations; effective n: share left of a sample weighted to the shifted law."
    )
    return Table(wide.rename(columns=columns).round(3), caption)


def dial_page(found: Tables) -> Table:
    """What each dial turns and what it leaves alone."""
    table = found.tables["dials"].copy()
    table["shift"] = table["shift"].map(SHIFT_NAMES)
    caption = "The dials: the quantity at each severity, and what a shift leaves unchanged."
    return Table(table, caption)

"""What of notebook 06 is about labels: how many restore coverage, and what is seen without any.

In: :class:`lib.study.found.Tables`. Out: :class:`lib.page.charts.Table` and
:class:`lib.page.charts.Figure`. No number is typed here: all come from the tables.
"""

import numpy as np
import pandas as pd

from lib.experiments.repair_page import SHIFTS, condition_names, strongest
from lib.experiments.repairs import LEVEL
from lib.experiments.uncertainty_repair import Config
from lib.page.charts import Figure, Table, lines
from lib.page.names import DATA
from lib.study.found import Tables

FROM_LABELS = {"few_shot": "gain, offset, scale", "norm_cp": "conformal"}
# Shifts with a curve of their own; the table has all.
CURVES = (
    *("gc", "effect_rewiring", "cell_type", "pwm_perturbation"),
    *("batch", "depth", "noise"),
)


def _curves(tables: Tables, metric: str) -> pd.DataFrame:
    rows = tables.rows[(tables.rows["metric"] == metric) & (tables.rows["by"] == "")]
    rows = strongest(rows[rows["variant"].str.startswith("k=")])
    rows = rows[rows["shift"].isin(CURVES) & (rows["part"] == "")]
    labels = rows["variant"].str[2:].astype(int)
    return rows.assign(
        labels=labels,
        log10=np.log10(labels).round(3),
        shift=rows["shift"].map(SHIFTS),
        repair=rows["uncertainty"].map(FROM_LABELS),
    )


def budget_figure(tables: Tables) -> Figure:
    """Coverage against the number of labels of the shifted condition."""
    rows = _curves(tables, "picp_90")
    table = rows[["repair", "shift", "labels", "log10", "value", "lower", "upper", "n"]].round(4)
    chart = lines(
        table,
        "log10",
        "value",
        colour="shift",
        facet="repair",
        x_title="labelled elements (log10)",
        y_title="coverage of 90 % intervals",
        reference=LEVEL,
    )
    caption = (
        "Label budget: mean coverage over draws of labels, strongest severity, after gain, offset "
        "and scale were fitted to labelled elements of the shifted condition, and with conformal "
        "intervals from them alone. Bars are 95 % intervals over worlds."
    )
    return Figure("label-budget", chart, table, caption)


def score_figure(tables: Tables) -> Figure:
    """Interval score over the oracle's against the number of labels."""
    rows = _curves(tables, "interval_score_90")
    ends = {name: rows[name] / rows["oracle"] for name in ("value", "lower", "upper")}
    table = rows.assign(**ends)
    table = table[["repair", "shift", "labels", "log10", "value", "lower", "upper", "n"]].round(4)
    chart = lines(
        table,
        "log10",
        "value",
        colour="shift",
        facet="repair",
        x_title="labelled elements (log10)",
        y_title="interval score, times the oracle's",
    )
    caption = (
        "What labels buy besides coverage: the interval score of 90 % intervals as a multiple of "
        "the oracle's under the same shift. Where gain and offset are what changed it falls to "
        "what it is in distribution; a changed program keeps it up however many labels there are."
    )
    return Figure("label-score", chart, table, caption)


def _labels(value: float, most: float) -> str:
    if np.isnan(value):
        return f"not by {most:.0f}"
    return "none needed" if value == 0 else f"{value:.0f}"


def budget_table(tables: Tables, config: Config) -> Table:
    """How many labels restore coverage, and what they do not restore."""
    table = tables.tables["label_budget"]
    strong = strongest(table)
    table = pd.concat([strong, table[table["data"] != "simulation"]], ignore_index=True)
    most = table["most_labels"]
    shown = pd.DataFrame(
        {
            "data": table["data"].replace(DATA),
            "condition": condition_names(table, "condition"),
            "repair": table["uncertainty"].map(FROM_LABELS),
            "coverage before": table["coverage_before"].round(3),
            "labels, on average": [
                _labels(*pair) for pair in zip(table["on_average"], most, strict=True)
            ],
            "labels, nine draws in ten": [
                _labels(*pair) for pair in zip(table["in_most_draws"], most, strict=True)
            ],
            "width before": table["width_before"].round(2),
            "width after": table["width_after"].round(2),
            "score before": table["score_before"].round(2),
            "score after": table["score_after"].round(2),
            "oracle's score": table["score_oracle"].round(2),
        }
    )
    caption = (
        f"Labelled elements of a new condition that bring coverage to within {config.tolerance:g} "
        "of nominal: in the mean over draws of labels, and in nine draws of ten. Width and "
        "interval score after repair are those with the most labels tried. A repair of scale "
        "restores coverage under any shift by widening; the score says what it costs."
    )
    return Table(shown, caption)


def detection_table(tables: Tables) -> Table:
    """What tests and scores see of each shift."""
    table = tables.tables["detection"]
    table = pd.concat([strongest(table), table[table["data"] != "simulation"]], ignore_index=True)
    table = table[table["quantity"].isin(["rejected", "auroc"])]
    table = table.assign(
        where=condition_names(table, "condition"), data=table["data"].replace(DATA)
    )
    table["name"] = table["detector"].where(
        table["quantity"] == "rejected", "AUROC of " + table["detector"]
    )
    wide = table.pivot(index=["data", "where"], columns="name", values="value").round(3)
    order = table[["data", "where"]].drop_duplicates()
    wide = wide.reindex(pd.MultiIndex.from_frame(order))[list(dict.fromkeys(table["name"]))]
    caption = (
        "Detection without labels. Tests: share of worlds or splits whose permutation p-value is "
        "at most 0.05. Scores: chance that a shifted element scores above one in distribution "
        "(0.5 is chance). Rows whose sequences are those in distribution repeat its values exactly."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)

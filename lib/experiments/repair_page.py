"""Text, tables and figures of notebook 06, made from the experiment's tables.

In: :class:`lib.study.found.Tables`. Out: Markdown, :class:`lib.page.charts.Table` and
:class:`lib.page.charts.Figure`. No number is typed here: all come from the tables.
"""

import numpy as np
import pandas as pd

from lib.experiments.repairs import CQR, ESTIMATED, KNOWN, LEVEL, RAW
from lib.experiments.uncertainty_repair import Config
from lib.page import names
from lib.page.charts import Figure, Table, dots, heat_map, lines
from lib.page.notes import interval
from lib.study.found import Tables

REPAIRS = {
    ("single", ""): "none",
    ("std_scaling", ""): "std scaling",
    ("isotonic", ""): "isotonic std",
    ("split_cp", ""): "split conformal",
    ("norm_cp", ""): "normalised conformal",
    ("mondrian_cp", ""): "conformal by GC bin",
    ("weighted_cp", KNOWN): "weighted, known ratio",
    ("weighted_cp", ESTIMATED): "weighted, estimated ratio",
    ("group_cp", ""): "group-wise conformal",
    (RAW, ""): "two quantiles, no repair",
    (CQR, ""): "two quantiles, conformal",
}
SHIFTS = names.SHIFTS | {
    "": "in distribution",
    "gc_tilt": "GC tilt",
    "gc_high": "GC tail, above",
    "gc_low": "GC tail, below",
    "placebo": "placebo",
}
GUARANTEES = (
    ("none", "nothing", "the network's own std is right", "none"),
    ("std scaling", "calibration part", "std right up to one factor", "none for finite samples"),
    ("isotonic std", "calibration part", "error rises with the predicted std", "none"),
    (
        "split conformal",
        "calibration part",
        "elements exchangeable with the calibration part",
        "marginal coverage at least nominal, any sample size; one width for all",
    ),
    (
        "normalised conformal",
        "calibration part",
        "the same",
        "the same; widths follow the predicted std",
    ),
    (
        "conformal by GC bin",
        "calibration part, GC of the asked elements",
        "exchangeable within each bin",
        "coverage at least nominal in each bin, however often bins occur",
    ),
    (
        "weighted, known ratio",
        "calibration part, density ratio of sequences",
        "the law of activity given sequence has not changed",
        "marginal coverage at least nominal; intervals may be infinite",
    ),
    (
        "weighted, estimated ratio",
        "calibration part, sequences of the asked elements",
        "the same, and the ratio depends on GC as the estimate does",
        "as good as the estimate",
    ),
    (
        "group-wise conformal",
        "calibration part with its relatives",
        "groups exchangeable, elements exchangeable within a group",
        "coverage at least nominal for an element of a new group",
    ),
    (
        "two quantiles, no repair",
        "a network trained for the two ends",
        "the network's own quantiles are right",
        "none",
    ),
    (
        "two quantiles, conformal",
        "the same and the calibration part",
        "elements exchangeable with the calibration part",
        "marginal coverage at least nominal; widths follow the two quantiles",
    ),
    (
        "k labels: gain, offset, scale",
        "k labels of the new condition",
        "new activity is affine in the forecast",
        "none; Gaussian intervals undercover for the smallest k",
    ),
    (
        "k labels: conformal",
        "k labels of the new condition",
        "labelled elements exchangeable with the rest of that condition",
        "marginal coverage at least nominal under any shift, over draws of the labels",
    ),
)


def guarantee_table() -> Table:
    """What each repair needs, assumes and promises."""
    table = pd.DataFrame(GUARANTEES, columns=["repair", "needs", "assumes", "guarantee"])
    caption = (
        "The repairs. No guarantee holds for an element given its sequence, nor, apart from the "
        "last, once activity at a fixed sequence has changed."
    )
    return Table(table, caption)


def condition_names(table: pd.DataFrame, part: str = "part") -> pd.Series:
    """What readers call a condition: its shift, with severity or name."""
    named = table["shift"].map(SHIFTS).fillna(table["shift"])
    dial = table["severity"].map("{:.2f}".format).where(table["data"] == "simulation", "")
    # A condition that is named for what it reaches needs no dial.
    detail = table[part].where(table[part] != "", dial).where(table["shift"] != "", "")
    return (named + " " + detail).str.strip()


def strongest(table: pd.DataFrame) -> pd.DataFrame:
    """Simulated conditions at full severity, in distribution, and rewiring at its fixed d."""
    simulated = table[table["data"] == "simulation"]
    top = simulated["severity"].max()
    aimed = simulated["condition"].str.startswith("d=")
    return simulated[(simulated["shift"] == "") | (simulated["severity"] == top) | aimed]


def _repaired(tables: Tables, metric: str) -> pd.DataFrame:
    """Overall rows of one metric by repair, with the names that readers see."""
    rows = tables.rows[(tables.rows["metric"] == metric) & (tables.rows["by"] == "")]
    pairs = list(zip(rows["uncertainty"], rows["variant"], strict=True))
    rows = rows.assign(
        repair=[REPAIRS.get(pair, "") for pair in pairs], where=condition_names(rows)
    )
    return rows[rows["repair"] != ""]


def _columns(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    table = rows[[*columns, "value", "lower", "upper", "n"]].copy()
    return table.round({"value": 4, "lower": 4, "upper": 4})


def coverage_figure(tables: Tables) -> Figure:
    """Coverage by repair, shift and severity."""
    rows = _repaired(tables, "picp_90")
    rows = rows[(rows["data"] == "simulation") & ~rows["part"].str.startswith("d=")]
    rows = rows.assign(shift=rows["shift"].map(SHIFTS))
    table = _columns(rows, "shift", "repair", "severity")
    chart = heat_map(
        table,
        "severity",
        "repair",
        "value",
        x_title="severity",
        title="coverage of 90 % intervals",
        domain=(0.5, 1.0),
        middle=LEVEL,
        facet="shift",
    )
    caption = (
        "Coverage of 90 % intervals after each repair learned in distribution, simulation, mean "
        "over worlds (intervals in the data). Orange is too little, blue too much. A known ratio "
        "is shown where there is one: it is one at every element when only labels change."
    )
    return Figure("coverage-by-repair", chart, table, caption)


def assay_figure(tables: Tables) -> Figure:
    """Coverage by repair on real assays."""
    rows = _repaired(tables, "picp_90")
    rows = rows[rows["data"] != "simulation"]
    kind = rows["where"].str.replace(r" GC [≥≤].*| random groups", "", regex=True)
    rows = rows.assign(where=kind, data=rows["data"].map(names.DATA).fillna(rows["data"]))
    table = _columns(rows, "data", "repair", "where")
    chart = dots(
        table,
        "value",
        "repair",
        colour="where",
        facet="data",
        x_title="coverage of 90 % intervals",
        order=list(REPAIRS.values()),
        reference=LEVEL,
    )
    caption = (
        "The same on real assays, one network per split. A tilt resamples the test part, a tail "
        "lies beyond all GC in training and calibration, a placebo is a random set of groups. "
        "Infinite intervals count as covering: their share stands in the next table."
    )
    return Figure("coverage-on-assays", chart, table, caption)


def cost_table(tables: Tables) -> Table:
    """Width, interval score, infinite intervals and effective size, strongest shifts and assays."""
    wanted = {
        "picp_90": "coverage",
        "mpiw_90": "width",
        "interval_score_90": "interval score",
        "infinite_90": "infinite",
        "n_eff": "effective n",
    }
    rows = pd.concat([_repaired(tables, metric) for metric in wanted], ignore_index=True)
    strong = strongest(rows)
    rows = pd.concat([strong, rows[rows["data"] != "simulation"]], ignore_index=True)
    order = rows[["data", "where", "repair"]].drop_duplicates()
    wide = rows.pivot(index=["data", "where", "repair"], columns="metric", values="value")
    wide = wide.reindex(pd.MultiIndex.from_frame(order))
    oracle = rows[rows["metric"] == "interval_score_90"].drop_duplicates(["data", "where"])
    best = oracle.set_index(["data", "where"])["oracle"]
    table = wide[[name for name in wanted if name in wide]].rename(columns=wanted).round(3)
    table = table.rename_axis(None, axis=1).reset_index()
    table["oracle's score"] = [
        best.get(key, np.nan) for key in zip(table["data"], table["where"], strict=True)
    ]
    table["data"] = table["data"].replace(names.DATA)
    caption = (
        "What coverage costs, 90 % intervals in the unit of the assay. Width is a mean over finite "
        "intervals; the interval score (lower is better) is left out where any is infinite. The "
        "oracle knows the true mean and standard deviation of every measurement."
    )
    return Table(table, caption)


def weighted_table(tables: Tables, config: Config) -> Table:
    """The first statement: known weights under a GC tilt."""
    table = tables.tables["weighted"]
    shown = pd.DataFrame(
        {
            "severity": table["severity"],
            "level": table["level"],
            "known ratio": [interval(row) for _, row in table.iterrows()],
            "standard errors off": table["off"].round(2),
            "room above nominal": table["own_mass"].round(4),
            "unweighted": table["unweighted"].round(3),
            "estimated ratio": table["estimated"].round(3),
            "effective n": table["n_eff"].round(0),
            "infinite at 90 %": table["infinite"].round(3),
        }
    )
    if config.profile == "full":
        shown["verdict"] = table["verdict"]
    caption = (
        "Statement 1: under a simulated GC tilt, conformal intervals weighted by the known ratio "
        "cover nominally, within two standard errors over worlds. The asked element's own weight "
        "lifts coverage by at most about the room given; the fewer calibration elements count, the "
        "larger it is."
    )
    return Table(shown, caption)


def concept_table(tables: Tables, config: Config) -> Table:
    """The second statement: coverage under concept shifts beside closed forms."""
    table = tables.tables["concept"]
    drop = table.assign(value=table["drop"])
    shown = pd.DataFrame(
        {
            "shift": table["shift"].map(SHIFTS),
            "severity": table["severity"].round(2),
            "aim": table["condition"],
            "distance d": table["distance"].round(2),
            "observed": table["observed"].round(3),
            "exact law": table["coverage_from_truth"].round(3),
            "Gaussian": table["coverage_gaussian"].round(3),
            "from d alone": table["coverage_from_distance"].round(3),
            "nominal less observed": [interval(row) for _, row in drop.iterrows()],
        }
    )
    if config.profile == "full":
        shown["undercovers by the margin"] = table["verdict"]
    caption = (
        "Statement 2: under rewiring at fixed d, conformal intervals undercover by the margin or "
        "more, weighted or not, because at a fixed sequence every weight is one. Exact law: the "
        "chance that the score falls under its in-distribution quantile, from the true mean and "
        "standard deviation. Gaussian: 2Φ(q/√E z²) − 1. From d alone: the same with E z² forecast "
        "from calibration elements and d, before any new label is seen."
    )
    return Table(shown, caption)


def concept_figure(tables: Tables) -> Figure:
    """Observed coverage against its closed forms."""
    forms = {
        "coverage_from_truth": "exact law of the score",
        "coverage_gaussian": "Gaussian, E z² observed",
        "coverage_from_distance": "Gaussian, from d alone",
    }
    table = tables.tables["concept"]
    table = table.assign(shift=table["shift"].map(SHIFTS))
    columns = ["shift", "severity", "distance", "observed", *forms]
    long = table[columns].melt(
        ["shift", "severity", "distance", "observed"], var_name="form", value_name="expected"
    )
    long = long.assign(form=long["form"].map(forms)).round(4)
    chart = lines(
        long,
        "expected",
        "observed",
        colour="shift",
        facet="form",
        x_title="coverage by the closed form",
        y_title="coverage observed",
        diagonal=True,
        columns=3,
    )
    caption = (
        "Coverage of normalised conformal 90 % intervals under concept shifts, observed against "
        "three closed forms. On the dashed line they agree; what lies off it in the last panel is "
        "what d alone does not tell of the score's law."
    )
    return Figure("coverage-closed-form", chart, long, caption)


def decile_figure(tables: Tables) -> Figure:
    """Coverage by GC decile, with and without GC bins."""
    rows = tables.rows[tables.rows["by"] == "gc_decile"]
    strong = strongest(rows)
    strong = strong[strong["shift"].isin(["", "gc", "effect_rewiring"])]
    rows = pd.concat([strong, rows[rows["split"] == "test"]]).drop_duplicates()
    pairs = list(zip(rows["uncertainty"], rows["variant"], strict=True))
    rows = rows.assign(repair=[REPAIRS[pair] for pair in pairs], decile=rows["bin"].astype(int))
    rows = rows[rows["uncertainty"] != "weighted_cp"]
    name = rows["data"].replace(names.DATA) + ", " + condition_names(rows)
    table = _columns(rows.assign(where=name), "where", "repair", "decile")
    chart = lines(
        table,
        "decile",
        "value",
        colour="repair",
        facet="where",
        x_title="GC decile of the calibration part",
        y_title="coverage of 90 % intervals",
        reference=LEVEL,
    )
    caption = (
        "Conditional coverage by GC decile. Marginal coverage can hide a poor decile; bins by GC "
        "repair each, as long as elements of a bin stay what they were."
    )
    return Figure("coverage-by-gc-decile", chart, table, caption)

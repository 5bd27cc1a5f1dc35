"""Tables and figures of notebook 08: repair, selective prediction, shifts, pairs, the own chapter.

In: :class:`lib.study.found.Tables`. Out: :class:`lib.page.charts.Table` and
:class:`lib.page.charts.Figure`, or one line of Markdown where the input does not allow them.
"""

import pandas as pd
from IPython.display import Markdown

from lib.experiments.audit_page import data_name, part_name, part_names, table_of
from lib.experiments.audit_your_own import Config
from lib.page.charts import Figure, Table, dots, lines
from lib.page.names import RULES
from lib.page.names import SCORES as RANKED
from lib.page.notes import interval, plain
from lib.study.found import Tables

REPAIRS = {
    "single": "as given",
    "std_scaling": "one factor on the std",
    "isotonic": "isotonic std",
    "split_cp": "split conformal",
    "norm_cp": "normalised conformal",
    "mondrian_cp": "conformal by GC bin",
    "weighted_cp": "conformal weighted by GC",
}
QUANTITIES = {
    "total": "mean squared difference",
    "share_offset": "share of an offset",
    "share_gain": "share of a gain",
    "share_rewiring": "share of rewiring",
    "share_noise": "share of measured noise",
    "slope": "slope",
    "pearson_r_deattenuated": "r without noise",
    "predicted_change_pearson_r": "r of predicted and measured change",
    "predicted_change_rmse": "RMSE of the predicted change",
    "change_rmse": "RMSE of predicting no change",
}
REFERENCES = {"error_oracle": "order by the errors", "random": "random order"}
MOST_PANELS = 4

Shown = Figure | Table | Markdown


def _text(row: pd.Series, digits: int = 2) -> str:
    """A value with its interval; empty where there is none, such as the risk of no element."""
    return "" if pd.isna(row["value"]) else interval(row, digits)


def _nothing(what: str) -> Markdown:
    return Markdown(f"{what} The notes at the end say why.")


def _repaired(found: Tables) -> pd.DataFrame:
    rows = table_of(found, "repairs")
    if rows.empty:
        return rows
    rows = rows[rows["uncertainty"].isin(REPAIRS)]
    return rows.assign(
        part=part_names(rows),
        data=rows["data"].map(data_name),
        repair=rows["uncertainty"].map(REPAIRS),
    )


def repair_figure(found: Tables) -> Shown:
    """Coverage of 90 % intervals as given and after each repair."""
    rows = _repaired(found)
    if rows.empty:
        return _nothing("No repair could be learned.")
    rows = rows[rows["metric"] == "picp_90"]
    table = rows[["data", "part", "repair", "value", "lower", "upper", "n"]].round(4)
    kept = [part for _, side in table.groupby("data") for part in list(dict.fromkeys(side["part"]))]
    table = table[table["part"].isin(kept[:7])]
    chart = dots(
        table,
        "value",
        "repair",
        colour="part",
        facet="data",
        x_title="coverage of 90 % intervals",
        order=list(REPAIRS.values()),
        reference=0.9,
        columns=1,
    )
    caption = (
        "Coverage as given and after each repair. Repairs learn in distribution and are judged on "
        "rows of other groups; what they promise there they need not hold under a shift. Bars are "
        "95 % intervals of a bootstrap over groups."
    )
    return Figure("repair", chart, table, caption)


def repair_table(found: Tables) -> Shown:
    """What each repair costs in width, and its interval score."""
    rows = _repaired(found)
    if rows.empty:
        return _nothing("No repair could be learned.")
    named = {
        "picp_90": "coverage",
        "mpiw_90": "mean width",
        "interval_score_90": "interval score",
        "infinite_90": "infinite",
    }
    rows = rows[rows["metric"].isin(named)]
    if not (rows.loc[rows["metric"] == "infinite_90", "value"] > 0).any():
        rows = rows[rows["metric"] != "infinite_90"]
    cells = rows.assign(
        column=rows["metric"].map(named), text=[_text(row, 3) for _, row in rows.iterrows()]
    )
    index = ["data", "part", "repair"]
    wide = cells.pivot_table(
        index=index, columns="column", values="text", aggfunc="first", sort=False
    )
    wide = wide[[name for name in named.values() if name in wide]]
    caption = (
        "90 % intervals after each repair. The interval score counts width and misses together; "
        "lower is better. A column infinite, where there is one, holds the share of intervals "
        "without an end, for which there was too little to learn from: the width is then that of "
        "the others, and the score is empty."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)


def _first_panels(rows: pd.DataFrame) -> list[str]:
    """As many panels as a figure has room for, the first ones of every data set."""
    found = [list(dict.fromkeys(part["panel"])) for _, part in rows.groupby("data", sort=False)]
    each = max(MOST_PANELS // len(found), 1)
    return [panel for panels in found[:MOST_PANELS] for panel in panels[:each]]


def risk_figure(found: Tables) -> Shown:
    """Risk against coverage for every score."""
    rows = table_of(found, "curves")
    if rows.empty:
        return _nothing("There are too few rows to set some aside.")
    rows = rows[rows["target"] == "measured"]
    chance = rows[rows["curve"] == "std"].assign(curve="random", risk=1.0)
    rows = pd.concat([rows[rows["curve"].isin(RANKED | REFERENCES)], chance])
    rows = rows[(rows["coverage"] * 20).round() % 2 == 0]
    panels = rows["data"].map(data_name) + ", " + rows["cell"]
    rows = rows.assign(panel=panels, score=rows["curve"].map(RANKED | REFERENCES))
    rows = rows[rows["panel"].isin(_first_panels(rows))]
    rows = rows[~rows["curve"].isin(["aleatoric", "mean"])]  # a chart has seven colours
    table = rows[["panel", "score", "coverage", "risk", "n"]].round(4)
    chart = lines(
        table,
        "coverage",
        "risk",
        colour="score",
        facet="panel",
        x_title="coverage (share kept)",
        y_title="risk over full risk",
        reference=1.0,
    )
    caption = (
        "Mean squared error of what is kept, over that of all, when the least certain elements are "
        "set aside. A std worth having bends down more than the trivial scores, which know nothing "
        "of uncertainty: GC content and the distance of the predicted activity from the average. "
        "Of many parts the first are shown."
    )
    return Figure("risk-coverage", chart, table, caption)


def rank_table(found: Tables) -> Shown:
    """Risk of the kept half, alone and against trivial scores."""
    rows = table_of(found, "effects")
    if rows.empty:
        return _nothing("There are too few rows to set some aside.")
    named = {
        "risk_ratio_50": "kept half over all",
        "risk_over_trivial": "kept by std over kept by this score",
    }
    rows = rows[rows["effect"].isin(named) & (rows["target"] == "measured")]
    cells = rows.assign(
        data=rows["data"].map(data_name),
        part=rows["cell"],
        column=rows["effect"].map(named),
        score=rows["score"].map(RANKED),
        text=[_text(row) for _, row in rows.iterrows()],
    )
    wide = cells.pivot_table(
        index=["data", "part", "score"],
        columns="column",
        values="text",
        aggfunc="first",
        sort=False,
    )
    wide = wide[[name for name in named.values() if name in wide]]
    caption = (
        "Squared error of the half that each score keeps, over that of all rows; and of the half "
        "kept by the predicted std over the half kept by the trivial score. Below 1 the std is "
        "worth more. With 95 % intervals."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)


def threshold_table(found: Tables) -> Shown:
    """What thresholds fixed on the calibration part do on every part."""
    rows = table_of(found, "audit")
    if rows.empty:
        return _nothing("No threshold could be fixed without a calibration part.")
    named = {"fixed_coverage": "keeps", "risk_over_target": "risk over target"}
    rows = rows[rows["metric"].isin(named)]
    cells = rows.assign(
        data=rows["data"].map(data_name),
        part=rows["cell"],
        rule=rows["rule"].map(RULES),
        column=rows["metric"].map(named),
        text=[_text(row) for _, row in rows.iterrows()],
    )
    wide = cells.pivot_table(
        index=["data", "part", "rule"], columns="column", values="text", aggfunc="first", sort=False
    )
    wide = wide[[name for name in named.values() if name in wide]]
    caption = (
        "Thresholds on the predicted std, fixed on the calibration part: the share of each part "
        "that they keep, and the risk of what is kept over what was promised. Above 1 the promise "
        "is broken; where nothing is kept there is no risk."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)


def detection_table(found: Tables) -> Shown:
    """Tests of a shift without labels."""
    rows = table_of(found, "detection")
    if rows.empty:
        return _nothing("No shift was tested for.")
    table = pd.DataFrame(
        {
            "data": rows["data"].map(data_name),
            "part": rows["part"],
            "what is seen": rows["seen"],
            "test": rows["detector"],
            "statistic": [f"{value:.3g}" for value in rows["statistic"]],
            "p": ["" if p != p else f"{p:.3f}" for p in rows["p"]],
            "rows": rows["n"],
        }
    )
    caption = (
        "Could the shift be seen without a single measurement? Tests compare each part with rows "
        "in distribution, one per group and a thousand at most of each; p by permutation, not "
        "corrected for their number. For a classifier and for the area under the ROC curve, .5 is "
        "chance. Silence says nothing of a shift in what sequences do."
    )
    return Table(table, caption)


def pair_table(found: Tables) -> Shown:
    """What changes between two conditions, and whether the forecast foresees it."""
    rows = table_of(found, "decomposition")
    if rows.empty:
        return _nothing("There are no pairs to take apart.")
    rows = rows[rows["quantity"].isin(QUANTITIES)]
    table = pd.DataFrame(
        {
            "data": rows["data"].map(data_name),
            "from": rows["reference"],
            "to": rows["condition"],
            "quantity": rows["quantity"].map(QUANTITIES),
            "value": [_text(row, 3) for _, row in rows.iterrows()],
            "elements": rows["n"],
        }
    )
    caption = (
        "The mean squared difference between two conditions, split into what an offset, a gain, "
        "noise and a true rewiring account for, with 95 % intervals; and the forecast's error in "
        "the change beside that of a forecast that nothing changes."
    )
    return Table(table, caption)


def chapter_line(found: Tables, config: Config) -> Markdown:
    """How many numbers of notebook 02 came out again."""
    if config.source != "chapter":
        return Markdown("That is so on the published page, which audits the book's own networks.")
    both = table_of(found, "chapter")
    if both.empty:
        return Markdown("Run notebook 02 into the same folder to see its numbers beside these.")
    equal = int(both["equal"].sum())
    words = (
        f"{len(both):,} rows of that chapter were found again, {equal:,} of them equal in value, "
        "interval and number of elements, digit for digit."
    )
    differing = both.loc[~both["equal"], "metric"].unique()
    return Markdown(
        f"{words} Not equal: {plain(', '.join(differing))}." if len(differing) else words
    )


def chapter_table(found: Tables) -> Shown:
    """A few of the numbers side by side."""
    both = table_of(found, "chapter")
    if both.empty:
        return Markdown("")
    metrics = ["pearson_r", "rmse", "crps_gaussian", "zms", "picp_90", "mpiw_90"]
    rows = both[both["metric"].isin(metrics) & (both["by"] == "")]

    def text(row: pd.Series, side: str) -> str:
        return f"{row[f'value_{side}']} ({row[f'lower_{side}']} to {row[f'upper_{side}']})"

    table = pd.DataFrame(
        {
            "data": rows["data"].map(data_name),
            "part": rows["part"].replace("", part_name("", "test")),
            "metric": rows["metric"],
            "audit": [text(row, "audit") for _, row in rows.iterrows()],
            "notebook 02": [text(row, "chapter") for _, row in rows.iterrows()],
        }
    )
    caption = "The same forecasts through the audit and in their own chapter, to five digits."
    return Table(table, caption)

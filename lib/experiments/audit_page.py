"""Tables and figures of notebook 08: accuracy, calibration, coverage; and names of things.

In: :class:`lib.study.found.Tables`. Out: :class:`lib.page.charts.Table` and
:class:`lib.page.charts.Figure`. No number is typed here: all come from the tables. Names are the user's
and shown as text, in Markdown with every sign escaped.
"""

import numpy as np
import pandas as pd
from IPython.display import HTML

from lib.page import names
from lib.page.charts import Figure, Table, dots, lines
from lib.page.notes import interval, standin_banner
from lib.study.found import Tables

HOME = "in distribution"
TILT = "gc_tilt"
MOST_PARTS = 4  # lines in one chart; tables hold all parts
SCORES = {
    "pearson_r": "Pearson r",
    "rmse": "RMSE",
    "sd_target": "SD of target",
    "r2_cod": "R²",
    "crps_gaussian": "CRPS",
    "crps_skill": "CRPS skill",
}
CALIBRATION = {
    "picp_50": "coverage of 50 % intervals",
    "picp_80": "coverage of 80 % intervals",
    "picp_90": "coverage of 90 % intervals",
    "picp_95": "coverage of 95 % intervals",
    "zms": "mean squared z (ZMS)",
    "zms_robust": "ZMS from the median",
    "ence": "ENCE",
    "zve": "ZVE",
    "mace": "MACE",
    "pit_ks": "PIT distance (KS)",
    "unc_error_spearman": "rank correlation of std and error",
}
BY = {
    "std_decile": "predicted std",
    "activity_decile": "predicted activity",
    "gc_decile": "GC content",
    "group_size": "size of the group",
}


def shown_shift(name: str) -> str:
    """How pages call a shift: a user's as it stands.

    Examples
    --------
    >>> shown_shift("gc_tilt +1 SD"), shown_shift("heat")
    ('GC tilt +1 SD', 'heat')
    """
    return name.replace(f"{TILT} ", "GC tilt ") if name.startswith(f"{TILT} ") else name


def table_of(found: Tables, name: str) -> pd.DataFrame:
    """A table of the audit, its parts named for readers; empty where the input did not allow it."""
    table = found.tables.get(name, pd.DataFrame())
    named = [column for column in ("part", "cell") if column in table]
    return table.assign(**{column: table[column].map(shown_shift) for column in named})


def banner(found: Tables) -> HTML:
    """The stand-in's warning where it took the place of real data."""
    return standin_banner(found.standin)


def data_name(name: str) -> str:
    """How pages call a data set."""
    return names.DATA.get(name, name)


def covariate(name: str) -> str:
    """How pages call what bins are made by."""
    return BY.get(name, name)


def part_name(shift: str, split: str, condition: str = "") -> str:
    """How pages call a part."""
    if shift:
        return shown_shift(f"{shift} {condition}".strip())
    return HOME if split == "test" else f"{HOME}, {split}"


def part_names(rows: pd.DataFrame) -> list[str]:
    """How pages call the part of each row."""
    keys = zip(rows["shift"], rows["split"], rows["condition"], strict=True)
    return [part_name(*one) for one in keys]


def overall(found: Tables) -> pd.DataFrame:
    """Rows of whole parts, with ``part``."""
    rows = found.rows[found.rows["by"] == ""]
    return rows.assign(part=part_names(rows))


def numbers(row: pd.Series) -> str:
    """A value with its interval, without decimals where it is large."""
    return interval(row, 2 if abs(row["value"]) < 100 else 0)


def score_table(found: Tables) -> Table:
    """Accuracy and proper scores of every part."""
    rows = overall(found)
    rows = rows[rows["metric"].isin(SCORES)]
    cells = rows.assign(
        data=rows["data"].map(data_name), text=[numbers(row) for _, row in rows.iterrows()]
    )
    wide = cells.pivot_table(
        index=["data", "part"], columns="metric", values="text", aggfunc="first", sort=False
    )
    wide = wide[[name for name in SCORES if name in wide]].rename(columns=SCORES)
    sizes = cells.groupby(["data", "part"], sort=False)["n"].max()
    wide.insert(0, "rows", sizes)
    caption = (
        "Accuracy per part, with 95 % intervals of a bootstrap over groups. CRPS skill is the gain "
        "over a forecast that says the same for every element; 0 is no gain, 1 is perfect. The "
        "tables beside this page hold further scores."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)


def _reading(row: pd.Series) -> str:
    ends = row[["band_lower", "band_upper"]].astype(float)
    if not np.isfinite(ends).all():
        return ""
    if row["value"] < ends.iloc[0]:
        return "below"
    return "above" if row["value"] > ends.iloc[1] else "within"


def _ends(row: pd.Series, prefix: str) -> str:
    low, high = row[f"{prefix}_lower"], row[f"{prefix}_upper"]
    return f"{low:.3f} to {high:.3f}" if np.isfinite([low, high]).all() else ""


def calibration_table(found: Tables) -> Table:
    """Calibration metrics beside both null bands."""
    rows = table_of(found, "bands")
    rows = rows[rows["metric"].isin(CALIBRATION) & rows["value"].notna()]
    table = pd.DataFrame(
        {
            "data": rows["data"].map(data_name),
            "part": rows["part"],
            "metric": rows["metric"].map(CALIBRATION),
            "value": [f"{value:.3f}" for value in rows["value"]],
            "perfect forecaster": [_ends(row, "band") for _, row in rows.iterrows()],
            "right scale, your tails": [_ends(row, "shape") for _, row in rows.iterrows()],
            "value lies": [_reading(row) for _, row in rows.iterrows()],
        }
    )
    caption = (
        "Each value beside what 95 % of perfect forecasters of this size and this std would show, "
        "and what forecasters with the right std but the tails of your errors would. Only a value "
        "outside the band speaks against the forecast. Rows count as independent here."
    )
    return Table(table, caption)


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """The parts that a chart has room for, in their order."""
    kept = []
    for _, table in rows.groupby("data", sort=False):
        parts = list(dict.fromkeys(table["part"]))[:MOST_PARTS]
        kept.append(table[table["part"].isin(parts)])
    return pd.concat(kept, ignore_index=True)


def _banded(found: Tables, name: str, **columns: pd.Series) -> pd.DataFrame:
    rows = _shown(table_of(found, name))
    return rows.assign(data=rows["data"].map(data_name)).rename(
        columns={"band_lower": "lower", "band_upper": "upper"}
    )


def pit_figure(found: Tables) -> Figure:
    """Density of the PIT with its band."""
    rows = _banded(found, "pit")
    rows["PIT"] = (rows["left"] + rows["right"]) / 2
    table = rows[["data", "part", "PIT", "density", "lower", "upper"]].round(4)
    chart = lines(
        table,
        "PIT",
        "density",
        colour="part",
        facet="data",
        x_title="probability that the forecast gave to lower values (PIT)",
        y_title="density",
        reference=1.0,
    )
    caption = (
        "Where targets fall within their forecasts. Flat is calibrated; high ends mean intervals "
        "that are too narrow, a hump in the middle too wide, a slope a bias. Bars are where 95 % "
        "of perfect forecasters of this size lie, bin by bin; one point in twenty falls outside "
        "by chance."
    )
    return Figure("pit", chart, table, caption)


def reliability_figure(found: Tables) -> Figure:
    """Observed against promised coverage at all levels."""
    rows = _banded(found, "reliability")
    table = rows[["data", "part", "expected", "observed", "lower", "upper"]].round(4)
    chart = lines(
        table,
        "expected",
        "observed",
        colour="part",
        facet="data",
        x_title="promised coverage",
        y_title="observed coverage",
        diagonal=True,
    )
    caption = (
        "Coverage of central intervals at every level. Below the dashed line the intervals hold "
        "less than they promise. Bars are where 95 % of perfect forecasters of this size lie."
    )
    return Figure("reliability", chart, table, caption)


def coverage_figure(found: Tables) -> Figure:
    """Coverage of 90 % intervals along the deciles of each covariate."""
    rows = _banded(found, "coverage")
    rows = rows[rows["by"].str.endswith("_decile")]
    place = rows.groupby(["data", "by"])["bin"].rank(method="dense").astype(int)
    rows = rows.assign(decile=place, panel=rows["data"] + ", by " + rows["by"].map(covariate))
    columns = ["panel", "part", "decile", "bin", "coverage", "lower", "upper", "n"]
    table = rows[columns].round(4)
    chart = lines(
        table,
        "decile",
        "coverage",
        colour="part",
        facet="panel",
        x_title="tenth of the table, from low to high",
        y_title="coverage of 90 % intervals",
        reference=0.9,
    )
    caption = (
        "Coverage where the forecast is sure and where it is not, along predicted activity, and "
        "along GC content where it is known. Right on average can be wrong everywhere: a slope "
        "means that some elements pay for others. Bars are where 95 % of perfect forecasters lie."
    )
    return Figure("conditional-coverage", chart, table, caption)


def bin_table(found: Tables) -> Table:
    """Coverage in the bins of covariates that are no deciles."""
    rows = table_of(found, "coverage")
    rows = rows[~rows["by"].str.endswith("_decile")]
    table = pd.DataFrame(
        {
            "data": rows["data"].map(data_name),
            "part": rows["part"],
            "by": rows["by"].map(covariate),
            "bin": rows["bin"],
            "rows": rows["n"],
            "coverage": [f"{value:.3f}" for value in rows["coverage"]],
            "perfect forecaster": [_ends(row, "band") for _, row in rows.iterrows()],
            "RMSE": [f"{value:.3g}" for value in rows["rmse"]],
            "ZMS": [f"{value:.3g}" for value in rows["zms"]],
        }
    )
    caption = (
        "Coverage of 90 % intervals by size of the group, and by the columns named in the "
        "parameter by. Bins of fewer than ten rows are left out; without such columns the table "
        "is empty."
    )
    return Table(table, caption)


def worst_table(found: Tables) -> Table:
    """The worst bin of each covariate, by coverage and by error."""
    rows = found.rows[found.rows["metric"].isin(["worst_group_picp_90", "worst_group_rmse"])]
    named = {"worst_group_picp_90": "coverage of 90 % intervals", "worst_group_rmse": "RMSE"}
    place = ["data", "split", "shift", "condition"]
    whole = overall(found).groupby(place)["n"].max().rename("whole").reset_index()
    rows = rows.merge(whole, on=place)
    rows = rows[rows["n"] < rows["whole"]]  # a covariate with one bin has no worst one
    table = pd.DataFrame(
        {
            "data": rows["data"].map(data_name),
            "part": part_names(rows),
            "metric": rows["metric"].map(named),
            "by": rows["by"].map(covariate),
            "worst bin": rows["bin"],
            "value": [numbers(row) for _, row in rows.iterrows()],
            "rows": rows["n"],
        }
    )
    caption = (
        "The bin where each metric is worst. Its interval is that of the bin alone and does not "
        "know that the bin was picked."
    )
    return Table(table, caption)


def part_figure(found: Tables) -> Figure:
    """Coverage of 90 % intervals on every part."""
    rows = overall(found)
    rows = rows[rows["metric"] == "picp_90"]
    table = rows.assign(data=rows["data"].map(data_name))[
        ["data", "part", "value", "lower", "upper", "n"]
    ].round(4)
    chart = dots(
        table,
        "value",
        "part",
        colour="data",
        x_title="coverage of 90 % intervals",
        order=list(dict.fromkeys(table["part"])),
        reference=0.9,
    )
    caption = (
        "What 90 % intervals hold on each part, with 95 % intervals of a bootstrap over groups."
    )
    return Figure("parts", chart, table, caption)

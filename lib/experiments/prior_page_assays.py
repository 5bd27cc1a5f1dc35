"""Text, table and figures of notebook 03 about real assays.

In: :class:`lib.study.found.Tables`. Out: sentences, :class:`lib.page.charts.Table` and
:class:`lib.page.charts.Figure`. No number is typed here: all come from the tables.
"""

import pandas as pd

from lib.page.charts import Figure, Table, dots
from lib.page.grammar import listed
from lib.page.names import DATA
from lib.page.notes import interval
from lib.study.found import Tables

AGAINST = {"permuted": "against the placebo", "none": "against no prior"}
SIDES = {"gc_high": "GC-rich tail", "gc_low": "GC-poor tail"}
CONTROLS = {
    ("gc", "late"): "GC beside the embedding",
    ("gc", "residual"): "GC by ridge, network of the rest",
    ("gc", "residualised"): "GC beside a network of what GC leaves",
    ("gc_windowed", "late"): "GC in windows",
    ("kmer", "late"): "4-mers",
}
METRICS = {"rmse": "RMSE", "crps_gaussian": "CRPS"}


def first(rows: pd.DataFrame) -> pd.Series | None:
    """The first row, or None."""
    return None if rows.empty else rows.iloc[0]


def _named(home: pd.Series, tails: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """The part in distribution and the tails with their names in a sentence."""
    ends = [(f"in the {SIDES[row['shift']]}", row) for _, row in tails.iterrows()]
    return [("in distribution", home), *ends]


def assay_sentences(found: Tables) -> list[str]:
    """What GC content does on each assay, in a sentence each."""
    rows = found.tables["assay_effects"]
    rows = rows[(rows["prior"] == "gc") & (rows["against"] == "permuted")]
    rows = rows[(rows["entry"] == "late") & (rows["metric"] == "crps_gaussian")]
    said = []
    for data, part in rows.groupby("data", sort=False):
        home = first(part[(part["split"] == "test") & (part["shift"] == "")])
        tails = part[part["shift"].isin(list(SIDES)) & (part["split"] == "shifted")]
        if home is None:
            continue
        text = (
            f"- **{DATA.get(str(data), str(data))}**: with its GC content given, the CNN's CRPS is "
            f"{interval(home, 3)} times that with permuted GC content in distribution"
        )
        ends = [f"{interval(row, 3)} in the {SIDES[row['shift']]}" for _, row in tails.iterrows()]
        text += f", {listed(ends)}." if ends else "."
        none = [name for name, row in _named(home, tails) if row["lower"] <= 1 <= row["upper"]]
        said.append(
            text + (f" The interval holds one, which is no effect, {listed(none)}." if none else "")
        )
    return said


def _parts(rows: pd.DataFrame) -> pd.Series:
    named = rows["shift"].map(SIDES | {"gc_tilt": "tilt", "species": "species"}).fillna("")
    inside = rows["split"].map({"inside": ", inside"}).fillna("")
    detail = rows["condition"].where(rows["shift"].isin(["gc_tilt", "species"]), "")
    text = (named + " " + detail).str.strip() + inside
    return text.where(rows["shift"] != "", "in distribution")


def assay_figure(found: Tables, metric: str) -> Figure:
    """GC content given against GC content permuted, part by part."""
    rows = found.tables["assay_effects"]
    rows = rows[(rows["metric"] == metric) & (rows["prior"] == "gc")]
    rows = rows[(rows["entry"] == "late") & (rows["against"] == "permuted")]
    table = rows.assign(part=_parts(rows), data=rows["data"].map(lambda n: DATA.get(n, n)))
    table = table[["data", "part", "value", "lower", "upper", "splits"]].round(4)
    chart = dots(
        table,
        "value",
        "part",
        colour="data",
        x_title=f"{METRICS[metric]}, ratio",
        order=list(dict.fromkeys(table["part"])),
        reference=1.0,
    )
    caption = (
        f"{METRICS[metric]} of the CNN that is given each element's GC content over that of the "
        "CNN that is given another element's, on the same elements; 95 % intervals over groups and "
        "splits. It helps where the whole interval lies left of one."
    )
    return Figure(f"assays-{metric.split('_')[0]}", chart, table, caption)


def control_table(found: Tables) -> Table:
    """What else GC content, or more of the composition, could do in distribution."""
    rows = found.tables["assay_effects"]
    rows = rows[(rows["split"] == "test") & (rows["shift"] == "") & rows["metric"].isin(METRICS)]
    keys = list(zip(rows["prior"], rows["entry"], strict=True))
    rows = rows[[key in CONTROLS for key in keys]]
    rows = rows.assign(
        prior=[CONTROLS[key] for key in keys if key in CONTROLS],
        data=rows["data"].map(lambda n: DATA.get(n, n)),
        column=rows["metric"].map(METRICS) + ", " + rows["against"].map(AGAINST),
        text=[interval(row, 3) for _, row in rows.iterrows()],
    )
    wide = rows.pivot_table(
        index=["data", "prior"], columns="column", values="text", aggfunc="first", sort=False
    )
    caption = (
        "Real assays in distribution: ratios of error. The second row gives GC content to a ridge "
        "and the rest to a plain network; the third gives GC content to a network whose target has "
        "lost what a ridge on GC explains, where it should find nothing that is linear."
    )
    return Table(wide.fillna("").rename_axis(None, axis=1).reset_index(), caption)

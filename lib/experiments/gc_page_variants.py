"""Figures and tables of notebook 02 that set networks and sources of uncertainty side by side."""

import pandas as pd

from lib.experiments.gc_page import NAMES, SHIFTS, combined
from lib.experiments.mpra_gc_ood import Config
from lib.page.charts import Figure, Table, dots
from lib.page.notes import interval
from lib.study.found import Tables

ARCHITECTURES = {"cnn": "CNN", "bilstm": "BiLSTM", "transformer": "transformer"}
SOURCES = {
    "single": "one network",
    "beta_0": "one network, β = 0 (plain likelihood)",
    "beta_1": "one network, β = 1",
    "mc_dropout": "one network, passes with dropout",
    "distilled": "one network that learnt the ensemble's forecast",
    "ensemble": "ensemble",
    "std_scaling": "ensemble, std scaled in distribution",
    "constant_sigma": "ensemble's mean, one std for all",
}
SCORES = {
    "pearson_r": "Pearson r",
    "rmse": "RMSE",
    "crps_gaussian": "CRPS",
    "nll_gaussian": "NLL",
    "picp_90": "coverage, 90 %",
    "mpiw_90": "width, 90 %",
    "zms": "ZMS",
}


def _part(rows: pd.DataFrame) -> pd.Series:
    """What readers call the part that a row was judged on."""
    tilt = rows["shift"] == "gc_tilt"
    name = rows["shift"].map(SHIFTS).fillna("all GC")
    return (name + " " + rows["condition"]).where(tilt, name)


def architecture_figure(
    tables: Tables, config: Config, metric: str, title: str, name: str
) -> Figure:
    """One metric of single networks of each architecture, in distribution and under GC tilts."""
    rows = combined(tables)
    rows = rows[(rows["metric"] == metric) & (rows["by"] == "")]
    rows = rows[(rows["uncertainty"] == "single") & rows["model"].isin(_networks(config))]
    test = (rows["split"] == "test") & (rows["condition"] == "")
    rows = rows[test | (rows["shift"] == "gc_tilt")]
    rows = rows.assign(
        data=rows["data"].map(lambda value: NAMES.get(value, value)),
        part=_part(rows),
        network=rows["model"].map(lambda value: ARCHITECTURES.get(value, value)),
    )
    keys = ["data", "part", "network"]
    table = rows[[*keys, "value", "lower", "upper", "n"]]
    table = table.round({"value": 4, "lower": 4, "upper": 4})
    chart = dots(
        table,
        "value",
        "part",
        colour="network",
        facet="data",
        x_title=title,
        order=list(dict.fromkeys(table["part"])),
        reference=0.9 if metric == "picp_90" else None,
    )
    caption = (
        f"{title[0].upper()}{title[1:]} of single networks, one fit per split and architecture "
        "(the CNN's is the mean over its fits), on random groups and on the same tilted in GC. "
        "Bars are 95 % intervals. The tails were not run with the other architectures."
    )
    return Figure(name, chart, table, caption)


def _networks(config: Config) -> list[str]:
    return [config.model, *config.other_models]


def uncertainty_table(tables: Tables, config: Config) -> Table:
    """Scores in distribution by where the standard deviation comes from."""
    rows = combined(tables)
    rows = rows[(rows["split"] == "test") & (rows["condition"] == "") & (rows["by"] == "")]
    rows = rows[(rows["model"] == config.model) & rows["uncertainty"].isin(SOURCES)]
    rows = rows[rows["metric"].isin(SCORES)]
    cells = rows.assign(
        assay=rows["data"].map(lambda value: NAMES.get(value, value)),
        forecast=pd.Categorical(rows["uncertainty"].map(SOURCES), list(SOURCES.values())),
        text=[interval(row) for _, row in rows.iterrows()],
    )
    wide = cells.pivot(index=["assay", "forecast"], columns="metric", values="text").sort_index()
    wide = wide[[name for name in SCORES if name in wide]].rename(columns=SCORES)
    caption = (
        "The same network with its uncertainty from different sources, in distribution. The loss "
        "weights each element by its predicted variance to the power β; elsewhere on this page β "
        f"is {config.beta:g}. ZMS is 1 and coverage .90 for a calibrated forecast; NLL and CRPS "
        "judge mean and std together, lower is better."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)

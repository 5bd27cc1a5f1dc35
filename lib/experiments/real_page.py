"""Text and figures of notebook 05: the real shifts beside their simulated twins.

In: :class:`lib.study.found.Tables`. Out: Markdown, Table and Figure. No
number is typed here: all come from the tables.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from lib.assays.genotypes import GENOTYPES
from lib.experiments.assay_and_program_shifts import Config
from lib.experiments.real_parts import LIBRARIES
from lib.experiments.real_tables import observed
from lib.page.charts import Figure, Table, dots, lines
from lib.page.notes import interval, profile_note, standin_banner
from lib.study.found import Tables

REAL, SIMULATED = "real", "simulated"
SHIFTS = {
    "genotype": "genotype",
    "promoter": "promoter",
    "assay": "assay",
    "batch": "library left out",
    "depth": "reads kept",
    "noise": "noisy library",
    "design": "design",
    "species": "species left out",
    "gc_tilt": "GC tilt",
    "gc_high": "GC above training",
    "gc_low": "GC below training",
    "placebo": "placebo",
}
DATA = {
    "retina_libraries": "retina",
    "retina_genotypes": "retina genotypes",
    "plant_leaf": "plant leaf",
    "plant_proto": "plant protoplast",
    "wtc11": "WTC11",
    "standin": "stand-in",
}
FAMILIES = {"concept": "program", "technical": "measurement", "covariate": "sequence"}
CHANGES = {
    "coverage_drop": "loss of coverage (90 % intervals)",
    "rmse_ratio": "RMSE ratio",
    "crps_ratio": "CRPS ratio",
    "zms_ratio": "ZMS ratio",
    "aurc_ratio": "AURC ratio",
}
SIGNAL, PREDICTED = "signal", "predicted"
# The simulator's own shifts, as a reader calls them.
SIMULATED_SHIFTS = {
    "effect_rewiring": "rewired effects",
    "cell_type": "other cell type",
    "motif_density": "motif density",
    "batch": "batch",
    "depth": "depth",
    "noise": "noise",
    "gc": "GC, upwards",
    "gc_low": "GC, downwards",
    "none": "none",
}
AXES = {
    "distance": ("distance over Var f", "distance over the variance of activity"),
    "noise": ("noise share", "share of noise in the variance of labels"),
    "gc": ("mean GC, in-distribution s.d.", "shift of the mean GC (s.d.)"),
    "sites": ("mean sites, in-distribution s.d.", "shift of the mean number of motif sites (s.d.)"),
}
# Points of the figures: of many conditions of one kind, those that span them.
_HIDDEN = (" dna", " rna")


def banner(tables: Tables) -> HTML:
    """A warning where the stand-in took the place of real data, else nothing."""
    return standin_banner(tables.standin)


def label(shift: str, condition: str) -> str:
    """What a reader calls a shift under a condition."""
    for name, plain in DATA.items():
        condition = condition.replace(name, plain)
    return f"{SHIFTS.get(shift, shift)}: {condition.removesuffix(' joint')}"


def labelled(table: pd.DataFrame) -> pd.Series:
    """:func:`label` of every row."""
    keys = zip(table["shift"], table["condition"].astype(str), strict=True)
    return pd.Series([label(*key) for key in keys], index=table.index, dtype=object)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Rows whose condition is drawn: thinning of one side alone stands in the tables only."""
    return table[~table["condition"].astype(str).str.endswith(_HIDDEN)]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _ladder(condition: str) -> int:
    """Place of a condition's genotype on the ladder; -1 where it names none."""
    words = condition.replace(",", "").split()
    return next((GENOTYPES.index(word) for word in words if word in GENOTYPES), -1)


def order_of(table: pd.DataFrame) -> list[str]:
    """Labels in the order of :data:`SHIFTS`, genotypes in that of the ladder, each once."""
    rank = {name: index for index, name in enumerate(SHIFTS)}
    place = table["shift"].map(rank) * len(GENOTYPES) + table["condition"].astype(str).map(_ladder)
    ordered = table.loc[place.sort_values(kind="stable").index]
    return list(dict.fromkeys(labelled(ordered)))


def _twins(tables: Tables, metric: str, axis: str = SIGNAL) -> pd.DataFrame:
    table = tables.tables["twins"]
    return table[(table["metric"] == metric) & (table["axis"] == axis)]


def _forecast_sentence(tables: Tables, sealed: str) -> str:
    order = tables.tables["order"]
    row = order[
        (order["metric"] == "coverage_drop") & (order["axis"] == SIGNAL) & (order["left_out"] == "")
    ].iloc[0]
    return (
        f"- **Forecasts.** The simulator's {sealed}forecasts of the loss of coverage miss by a "
        f"CRPS of {row['crps']:.3f} over {row['n']:.0f} conditions, against "
        f"{row['crps_no_change']:.3f} for saying that nothing changes and "
        f"{row['crps_climatology']:.3f} for saying the same of every shift; "
        f"{100 * row['inside']:.0f} % of their 95 % intervals hold what happened."
    )


def _order_sentence(tables: Tables) -> str:
    order = tables.tables["order"]
    rows = order[(order["metric"] == "coverage_drop") & (order["axis"] == SIGNAL)]
    whole, parts = rows[rows["left_out"] == ""].iloc[0], rows[rows["left_out"] != ""]
    if not np.isfinite(whole["spearman_r"]):
        return ""
    known = parts["spearman_r"].dropna()
    ends = f" ({known.min():.2f} to {known.max():.2f} with a family left out)" if len(known) else ""
    return (
        f"- **Order.** Over {whole['shifts']:.0f} kinds of shift the forecast and the real loss "
        f"of coverage rank alike with a correlation of {whole['spearman_r']:.2f}{ends}. This "
        "describes these shifts; they are too few and too different to test anything."
    )


def _worst_sentence(tables: Tables) -> str:
    table = shown(_twins(tables, "coverage_drop"))
    gap = (table["observed"] - table["forecast"]).abs().to_numpy()
    row = table.iloc[int(np.argmax(gap))]
    return (
        f"- **Where the simulator is most wrong**: {label(row['shift'], row['condition'])}. It "
        f"said a loss of {row['forecast']:.2f} ({row['lower']:.2f} to {row['upper']:.2f}); the "
        f"real one is {row['observed']:.2f} ({row['observed_lower']:.2f} to "
        f"{row['observed_upper']:.2f})."
    )


def _decomposition_sentence(tables: Tables) -> str:
    table = tables.tables["decomposition"]
    own = table[table["shift"] == "genotype"]
    every = own[own["elements"] == "all"].pivot(
        index="condition", columns="quantity", values="value"
    )
    if every.empty:
        return ""
    share = (every["distance_rewiring"] / every["distance"]).sort_values()
    ends = list(share.items())
    text = (
        "- **Program or measurement?** Between wild type and mutant retinas, rewiring is "
        f"{100 * ends[0][1]:.0f} % ({ends[0][0]}) to {100 * ends[-1][1]:.0f} % ({ends[-1][0]}) of "
        "the noise-free distance; gain and offset are the rest."
    )
    factor = own[own["quantity"] == "noise_factor"]["value"]
    if factor.empty:
        return text
    return (
        f"{text} Scrambled elements, which have no program, would show none if the variance of "
        f"errors were {factor.min():.1f} to {factor.max():.1f} times the published one: some of "
        "what counts as rewiring is error."
    )


def _accuracy_sentence(tables: Tables) -> str:
    rows = tables.rows
    own = rows[
        (rows["data"] == "retina_libraries")
        & (rows["metric"] == "pearson_r")
        & (rows["split"] == "test")
        & (rows["model"] == "cnn")
        & rows["split_seed"].isna()
    ]
    best = own[own["uncertainty"] == "ensemble"]
    best = best if len(best) else own[own["uncertainty"] == "single"]
    joined = best[best["condition"] == ""]
    origin = own[(own["condition"] == "groups by origin") & (own["uncertainty"] == "single")]
    if joined.empty:
        return ""
    text = f"- **Accuracy.** On the retina libraries r is {interval(joined.iloc[0])}"
    if len(origin):
        text += f", and {interval(origin.iloc[0])} for one network with groups by origin alone"
    return text + "."


def answer(tables: Tables, config: Config) -> Markdown:
    """The answer, a sentence per question."""
    sentences = [
        profile_note(config.profile),
        _forecast_sentence(tables, "sealed " if config.profile == "full" else ""),
        _order_sentence(tables),
        _worst_sentence(tables),
        _decomposition_sentence(tables),
        _accuracy_sentence(tables),
    ]
    return Markdown("\n".join(sentence for sentence in sentences if sentence))


def twin_figure(tables: Tables, metric: str) -> Figure:
    """Each real shift beside what the simulator said that it would do."""
    table = shown(_twins(tables, metric))
    simulated = table[["shift", "condition", "family", "forecast", "lower", "upper"]]
    simulated = simulated.rename(columns={"forecast": "value"}).assign(source="sealed forecast")
    real = table[["shift", "condition", "family"]].assign(
        value=table["observed"],
        lower=table["observed_lower"],
        upper=table["observed_upper"],
        source=REAL,
    )
    both = pd.concat([real, simulated], ignore_index=True)
    both["what"] = labelled(both)
    both["family"] = both["family"].map(FAMILIES).fillna("placebo")
    columns = ["what", "family", "source", "value", "lower", "upper"]
    shown_rows = both[columns].round(4)
    chart = dots(
        shown_rows,
        "value",
        "what",
        colour="source",
        x_title=CHANGES[metric],
        order=order_of(table),
        reference=0 if metric == "coverage_drop" else 1,
    )
    caption = (
        f"{_capital(CHANGES[metric])} of one network under each real shift, and the simulator's "
        "sealed forecast at the severity that was measured. Points that lie apart are where real "
        "cells do not behave as the simulator says. The dashed line is no change; bars are 95 % "
        "intervals."
    )
    return Figure(f"twins-{metric.replace('_', '-')}", chart, shown_rows, caption)


def dose_figure(tables: Tables, metric: str, axis: str) -> Figure:
    """Simulated dose-response curves with the real shifts on the same axis.

    ``axis`` is a key of :data:`AXES`.
    """
    unit, title = AXES[axis]
    table = tables.tables["dose_response"]
    table = shown(table[(table["metric"] == metric) & (table["unit"] == unit)])
    series = table["shift"].map(SIMULATED_SHIFTS).radd(f"{SIMULATED}, ")
    real = table["kind"] == "real"
    series = series.where(~real, table["shift"].map(SHIFTS).radd(f"{REAL}, "))
    rows = table.assign(series=series, condition=table["condition"].astype(str))
    rows = rows.sort_values(["kind", "series", "severity"])
    rows = rows[["series", "condition", "severity", "value", "lower", "upper"]].round(4)
    chart = lines(
        rows,
        "severity",
        "value",
        colour="series",
        x_title=title,
        y_title=CHANGES[metric],
        reference=0 if metric == "coverage_drop" else 1,
    )
    caption = (
        f"{_capital(CHANGES[metric])} against the {title}, simulated and real. Where a real "
        "line lies off the simulated ones, the same dose does something else on real cells. Bars: "
        "95 % range of simulated worlds, 95 % intervals of real shifts."
    )
    return Figure(f"dose-{axis}", chart, rows, caption)


def twin_table(tables: Tables) -> Table:
    """One row per real shift: what happened, and in brackets what was forecast."""
    keys = ["shift", "condition", "metric"]
    forecast = tables.tables["twins"]
    forecast = forecast[forecast["axis"] == SIGNAL][[*keys, "forecast", "lower", "upper"]]
    real = observed(tables.tables["effects"])[[*keys, "value"]]
    both = real.merge(forecast, on=keys, how="left")
    both = both[~both["condition"].astype(str).str.contains(", ")]
    cells = {}
    for metric, title in CHANGES.items():
        table = both[both["metric"] == metric]
        text = [_cell(row) for row in table.to_dict("records")]
        cells[title] = pd.Series(text, index=labelled(table))
    wide = pd.DataFrame(cells).reindex(order_of(_twins(tables, "coverage_drop")))
    severity = _twins(tables, "coverage_drop")
    by = pd.Series(
        [f"{row.severity:.2f}{' (beyond)' if row.beyond else ''}" for row in severity.itertuples()],
        index=labelled(severity),
    )
    wide.insert(0, "severity", by.reindex(wide.index))
    caption = (
        "Every real shift beside its simulated twin: real change [forecast]. A star marks a change "
        "outside the forecast's 95 % interval; without brackets the simulation has no curve; "
        "beyond: more severe than the simulator goes. "
        "Severity: distance over Var f for genotype, promoter, assay and library; shift of the "
        "mean in standard deviations for GC, species and design; noise share for reads and noise."
    )
    return Table(wide.rename_axis("shift").reset_index(), caption)


def _cell(row: Mapping[Hashable, Any]) -> str:
    """Real change [forecast], with a star where the forecast's interval does not hold it."""
    text = f"{row['value']:.2f}"
    if not np.isfinite(row["forecast"]):
        return text
    star = "" if row["lower"] <= row["value"] <= row["upper"] else " *"
    return f"{text} [{row['forecast']:.2f}]{star}"


def order_table(tables: Tables) -> Table:
    """How well the forecasts did, over all shifts and with each family left out."""
    table = tables.tables["order"]
    table = table[table["metric"].isin(CHANGES)]
    text = pd.DataFrame(
        {
            "change": table["metric"].map(CHANGES),
            "severity over": table["axis"].map(
                {SIGNAL: "Var f (sealed)", PREDICTED: "predicted variance"}
            ),
            "without": table["left_out"].map(FAMILIES).fillna("none left out"),
            "n": table["n"].astype(int),
            "CRPS": table["crps"].map("{:.3f}".format),
            "of no change": table["crps_no_change"].map("{:.3f}".format),
            "of one value": table["crps_climatology"].map("{:.3f}".format),
            "inside 95 %": table["inside"].map("{:.0%}".format),
            "rank correlation": table["spearman_r"].map("{:.2f}".format).replace("nan", ""),
            "p": table["p"].map("{:.3f}".format).replace("nan", ""),
        }
    )
    caption = (
        "Score of the forecasts (lower CRPS is better) beside saying that nothing changes and "
        "saying one value for all; rank correlation of forecast and real change over kinds of "
        "shift, with the share of random pairings that reach it. Descriptive: shifts are few and "
        "not exchangeable. On the second axis a dose counts by what it adds to the variance that "
        "the network predicts; that needs the network and was computed in the run."
    )
    return Table(text, caption)


def miss_table(tables: Tables) -> Table:
    """The conditions where the forecast of coverage is furthest off, in its own s.d."""
    table = shown(_twins(tables, "coverage_drop"))
    miss = (table["observed"] - table["forecast"]) / table["std"]
    worst = table.loc[miss.abs().sort_values(ascending=False).index][:10]
    text = pd.DataFrame(
        {
            "shift": labelled(worst),
            "forecast loss": worst["forecast"].map("{:.3f}".format),
            "real loss": worst["observed"].map("{:.3f}".format),
            "off by, in forecast s.d.": miss[worst.index].map("{:+.1f}".format),
            "direction": np.where(worst["observed"] > worst["forecast"], "worse", "milder"),
        }
    )
    caption = (
        "Where the simulator is wrong: the ten conditions whose real loss of coverage lies "
        "furthest from the forecast, in the forecast's own standard deviations."
    )
    return Table(text, caption)


def plain_conditions(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of networks trained on the same assay, not on the libraries or on two genotypes."""
    condition = table["condition"].astype(str)
    other = condition.str.contains(LIBRARIES) | condition.str.contains(", ")
    return table[~other]

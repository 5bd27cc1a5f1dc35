"""Figures and tables of notebook 05 on what lies behind a shift: parts, noise, repairs.

In: :class:`lib.study.found.Tables`. Out: Table and Figure; no number is
typed here.
"""

import numpy as np
import pandas as pd

from lib.experiments.assay_and_program_shifts import Config
from lib.experiments.real_mitigation import TOLERANCE
from lib.experiments.real_page import (
    DATA,
    labelled,
    order_of,
    plain_conditions,
    shown,
)
from lib.experiments.real_parts import CENSORED, LIBRARIES, SENSITIVITIES, is_choice
from lib.experiments.repair_scoring import ESTIMATED
from lib.experiments.repair_tables import MOST_DRAWS
from lib.page.charts import Figure, Table, dots
from lib.page.notes import interval
from lib.study.found import Tables

PARTS = {"offset": "offset", "gain": "gain", "rewiring": "rewiring", "noise": "noise"}
RUNGS = {
    "reference": "no shift",
    "raw": "raw",
    "anchor_offset": "offset from scrambled",
    "anchor_affine": "line from scrambled",
    "matched_moments": "mean and s.d. matched",
    "oracle_affine": "best line",
    "oracle_affine_noise": "best line, noise added",
}
REPAIRS = {
    "single": "none",
    "std_scaling": "std scaled in distribution",
    "weighted_cp": "conformal, weighted by GC",
    "centring": "mean of the judged labels (oracle)",
    "anchored": "line from shared controls",
    "few_shot": "few labels, line and std",
    "pooled": "trained on two genotypes",
}
MODELS = {
    "cnn": "network",
    "kmer_ridge": "6-mer ridge",
    "gc_ridge": "GC only",
    "memoriser": "nearest neighbour",
    "mean": "training mean",
}
FITTED = {"few_shot": "line and std", "std_scaling": "std"}  # to labels of the new condition
# Drawn without a number of labels; centring is an oracle, as it takes the mean of the very labels
# that it is judged on.
UNBUDGETED = ("single", "centring", "anchored")
BUDGETS = (20, 50)  # the figure draws the second of the budgets there are
ELEMENTS = {
    "all": "all elements",
    "scrambled": "scrambled elements",
    "observations": "smaller errors",
    "controlled": "errors scaled by the scrambled",
    "site_pairs": "intact minus mutated",
}


def decomposition_figure(tables: Tables) -> Figure:
    """Shares of the squared difference between two conditions."""
    table = tables.tables["decomposition"]
    table = table[(table["elements"] == "all") & table["quantity"].str.startswith("share_")]
    table = table[table["shift"].isin(["genotype", "promoter", "assay", "batch"])]
    part = table["quantity"].str.removeprefix("share_").map(PARTS)
    rows = table.assign(what=labelled(table), part=part)
    rows = rows[["what", "part", "value", "lower", "upper", "n"]].round(4)
    chart = dots(
        rows,
        "value",
        "what",
        colour="part",
        x_title="share of the mean squared difference",
        order=order_of(table),
        reference=0,
    )
    caption = (
        "What lies between wild type on rho and each genotype or promoter, between two tissues, "
        "and between one library and the others: offset, gain, rewiring and measured noise. Only "
        "rewiring is a change of program. Errors of the plant assay are not published, so that "
        "its rewiring holds its noise too. Bars are 95 % intervals over leak groups."
    )
    return Figure("decomposition", chart, rows, caption)


def control_table(tables: Tables) -> Table:
    """Rewiring over Var f of all elements, of the controls, and with errors scaled by them."""
    table = tables.tables["decomposition"]
    kinds = ["all", "observations", "scrambled", "controlled"]
    own = table[
        table["shift"].isin(["genotype", "promoter"])
        & table["elements"].isin(kinds)
        & table["quantity"].isin(["distance_rewiring", "noise_factor"])
    ]
    factor = own["quantity"] == "noise_factor"
    column = own["elements"].map(ELEMENTS).where(~factor, "factor on the error variance")
    cells = own.assign(
        shift=labelled(own), column=column, text=[interval(row) for _, row in own.iterrows()]
    )
    wide = cells.pivot(index="shift", columns="column", values="text").reindex(order_of(own))
    wide = wide[[name for name in [*ELEMENTS.values(), "factor on the error variance"]
                 if name in wide]]  # fmt: skip
    caption = (
        "Rewiring, over the variance of the noise-free activity in wild type, with errors as if "
        "barcodes, or (smaller) all observations were independent. Scrambled elements "
        "have no program to rewire: what they show is error that the published standard errors "
        "miss, over a small variance of their own. Scaling the errors until the scrambled show "
        "none gives a lower bound on rewiring."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)


def site_figure(tables: Tables) -> Figure:
    """Slope and deattenuated correlation of a site's effect between conditions."""
    table = tables.tables["site_pairs"]
    names = {
        "slope": "slope on wild type",
        "pearson_r_deattenuated": "correlation, noise taken out",
    }
    table = table[table["quantity"].isin(names)]
    rows = table.assign(what=labelled(table), measure=table["quantity"].map(names))
    rows = rows[["what", "measure", "value", "lower", "upper", "n"]].round(4)
    chart = dots(
        rows,
        "value",
        "what",
        colour="measure",
        x_title="effect of the CRX sites, beside wild type on rho",
        order=order_of(table),
        reference=1,
    )
    caption = (
        "What mutating all CRX sites of a peak does, in each condition against wild type on rho. "
        "At 1 the sites do the same; a slope below 1 says they do less, a correlation below 1 "
        "that they do it elsewhere. Offsets of a condition cancel here. Bars are 95 % intervals "
        "over peaks."
    )
    return Figure("site-pairs", chart, rows, caption)


def ladder_figure(tables: Tables) -> Figure:
    """Coverage of 90 % intervals after each correction."""
    table = tables.tables["ladder"]
    if table.empty:
        return Figure("ladder", empty_chart(), pd.DataFrame(), "No paired shift was judged.")
    rows = table[(table["metric"] == "picp_90") & table["rung"].isin(RUNGS)]
    source = np.where(rows["condition"].str.contains(LIBRARIES), LIBRARIES, "same assay")
    rows = rows.assign(source=source, condition=rows["condition"].str.split(",").str[0])
    rows = rows[(rows["shift"] == "genotype") | (rows["condition"] == "hsp68")]
    rows = rows.assign(what=labelled(rows), rung=rows["rung"].map(RUNGS))
    order = order_of(rows)
    rows = rows[["what", "source", "rung", "value", "lower", "upper", "n"]].round(4)
    chart = dots(
        rows,
        "value",
        "what",
        colour="rung",
        facet="source",
        x_title="coverage of 90 % intervals",
        order=order,
        reference=0.9,
    )
    caption = (
        "Coverage of a network trained on wild type, step by step: raw, moved by what the "
        "scrambled elements say, with mean and spread matched, with the best possible line, and "
        "with the growth of the measured noise added. What is then still missing is rewiring, or "
        "errors of the network that it made visible. Bars are 95 % intervals."
    )
    return Figure("ladder", chart, rows, caption)


def empty_chart() -> object:
    return dots(
        pd.DataFrame({"value": [], "what": [], "colour": [], "lower": [], "upper": []}),
        "value",
        "what",
        colour="colour",
        x_title="",
    )


def mitigation_figure(tables: Tables, config: Config) -> Figure:
    """Coverage after each repair of networks of the same assay."""
    budget = sorted(config.labels)[: len(BUDGETS)][-1]
    table = plain_conditions(shown(tables.tables["mitigation"]))
    variant = table["variant"].astype(str)
    spent = variant == f"k={budget}"
    wanted = (variant == "") & table["uncertainty"].isin(UNBUDGETED)
    wanted |= spent & (table["uncertainty"] == "few_shot")
    wanted |= (variant == ESTIMATED) & (table["uncertainty"] == "weighted_cp")
    table = table[wanted & (table["metric"] == "picp_90")]
    table = table[table["shift"].isin(["genotype", "promoter", "assay", "batch", "noise"])]
    repair = table["uncertainty"].map(REPAIRS)
    repair = repair.where(table["uncertainty"] != "few_shot", f"line and std, {budget} labels")
    rows = table.assign(what=labelled(table), repair=repair)
    order = order_of(table)
    rows = rows[["what", "repair", "value", "lower", "upper", "n"]].round(4)
    chart = dots(
        rows,
        "value",
        "what",
        colour="repair",
        x_title="coverage of 90 % intervals",
        order=order,
        reference=0.9,
    )
    caption = (
        "Coverage under a shift after each repair, for networks of the same assay. On the dashed "
        "line the intervals hold what they promise. What sees no label of the new condition "
        "cannot know a change of program. Oracle centring moves the forecast to the mean of the "
        "very labels it is judged on: an upper bound on what a shift of level can restore, no "
        "repair that anyone could make. A line and a scale from a few labels can undo gain, "
        "offset and noise, and widen the intervals for the rest. Bars are 95 % intervals."
    )
    return Figure("mitigation", chart, rows, caption)


def budget_table(tables: Tables) -> Table:
    """Share of label draws that restore coverage, by the number of labels."""
    table = shown(tables.tables["mitigation"])
    few = table["uncertainty"].isin(FITTED)
    pooled = table["condition"].astype(str).str.contains("trained on")
    table = table[(table["metric"] == "within_tolerance") & few & ~pooled]
    table = table.assign(
        what=labelled(table),
        fitted=table["uncertainty"].map(FITTED),
        labels=table["variant"].str.removeprefix("k=").astype(int),
    )
    wide = table.pivot(index=["what", "fitted"], columns="labels", values="value")
    wide = wide.reindex(order_of(table), level="what")
    text = wide.map(lambda share: "" if np.isnan(share) else f"{share:.0%}")
    enough = (wide >= MOST_DRAWS).idxmax(axis=1).where((wide >= MOST_DRAWS).any(axis=1))
    text["labels needed"] = [
        "more than tried" if np.isnan(k) else f"{k:.0f}" for k in enough.astype(float)
    ]
    caption = (
        "Label budget: the share of draws of so many labelled elements of the new condition, with "
        "which a line and a scale fitted to them, or a scale alone, restore coverage to within "
        f"{TOLERANCE:g} of nominal; and the number that does in {MOST_DRAWS:.0%} of draws. Where "
        "few elements are judged, coverage itself is too noisy to come that close."
    )
    text.columns = [str(name) for name in text.columns]
    return Table(text.rename_axis(["shift", "fitted"]).reset_index(), caption)


def pooled_table(tables: Tables) -> Table:
    """Networks trained on two genotypes, judged on others."""
    table = tables.tables["mitigation"]
    pooled = table[table["uncertainty"] == "pooled"]
    alone = table[
        (table["uncertainty"] == "single")
        & (table["shift"] == "genotype")
        & table["condition"].isin(pooled["condition"])
    ].assign(variant="WT")
    rows = pd.concat([alone, pooled])
    rows = rows[rows["metric"].isin(["picp_90", "mpiw_90"])]
    cells = rows.assign(
        text=[interval(row) for _, row in rows.iterrows()],
        metric=rows["metric"].map({"picp_90": "coverage", "mpiw_90": "width"}),
    )
    wide = cells.pivot(index=["condition", "variant"], columns="metric", values="text")
    wide = wide.rename_axis(None, axis=1).reset_index()
    wide = wide.rename(columns={"condition": "judged on", "variant": "trained on"})
    caption = (
        "A network trained on wild type and one mutant, asked about another mutant, beside one "
        "trained on wild type alone: 90 % intervals."
    )
    return Table(wide, caption)


def matched_table(tables: Tables) -> Table:
    """Each shift against networks that were trained on the shifted law."""
    table = tables.tables["effects"]
    table = table[(table["model"] == "cnn") & (table["uncertainty"] == "single")]
    table = table[table["metric"].isin(["rmse", "picp_90"])]
    pooled = table["condition"].astype(str).str.contains("trained on")
    table = table[~table["condition"].map(is_choice) & ~pooled]
    names = {
        "reference": "against no shift",
        "alike": "against alike, no shift",
        "matched": "against trained on it",
    }
    cells = table.assign(
        what=labelled(table),
        text=[interval(row) for _, row in table.iterrows()],
        column=table["metric"].map({"rmse": "RMSE ratio", "picp_90": "coverage"})
        + ", "
        + table["against"].map(names),
    )
    wide = cells.pivot_table(index="what", columns="column", values="text", aggfunc="first")
    wide = wide.reindex(order_of(table)).rename_axis("shift").rename_axis(None, axis=1)
    caption = (
        "Paired by split: the shifted part against the same kind of measurement without the "
        "shift; against elements without the shift that are alike: resampled to its GC content, "
        "for a library left out to its predicted activity too, for a noisy library measured at "
        "its depth; and against a network trained on the shifted law and judged on the same "
        "labels, where there is one. Errors as ratios (1 is no change), coverage as a difference "
        "(0 is no change). Against the last, harder data and a wrong network come apart."
    )
    return Table(wide.reset_index(), caption)


def sensitivity_table(tables: Tables) -> Table:
    """Loss of coverage under other choices of the offset, and with censored elements."""
    table = tables.tables["effects"]
    own = (table["model"] == "cnn") & (table["uncertainty"] == "single")
    table = table[own & (table["metric"] == "picp_90") & (table["against"] == "reference")]
    table = table[table["shift"].isin(["genotype", "promoter"])]
    name = table["condition"].str.split(", ", n=1, expand=True)
    choice = name[1].fillna("main") if 1 in name else pd.Series("main", index=table.index)
    shown_choices = ["main", *SENSITIVITIES, LIBRARIES, f"{CENSORED}, {LIBRARIES}"]
    table = table.assign(condition=name[0], choice=choice)
    table = table[table["choice"].isin(shown_choices)]
    text = [interval(row) for _, row in table.iterrows()]
    cells = table.assign(what=labelled(table), text=text)
    wide = cells.pivot(index="what", columns="choice", values="text").reindex(order_of(table))
    wide = wide[[choice for choice in shown_choices if choice in wide]]
    caption = (
        "Change of coverage under other choices: a quarter and four times the ε that is added to "
        "every mean, networks of the libraries instead of the same assay, and with elements whose "
        "mean was zero at their limit of detection."
    )
    return Table(wide.rename_axis("shift").rename_axis(None, axis=1).reset_index(), caption)


def accuracy_figure(tables: Tables) -> Figure:
    """Correlation in distribution, networks beside baselines."""
    rows = tables.rows
    rows = rows[
        (rows["metric"] == "pearson_r") & (rows["split"] == "test") & rows["split_seed"].isna()
    ]
    rows = rows[rows["uncertainty"].isin(["ensemble", "single"])]
    ensemble = rows["uncertainty"] == "ensemble"
    model = rows["model"].map(MODELS).where(~ensemble, "ensemble")
    data = rows["data"].map(DATA).fillna(rows["data"])
    what = (data + ", " + rows["condition"].astype(str)).str.removesuffix(", ")
    rows = rows.assign(what=what, model=model)
    rows = rows[["what", "model", "value", "lower", "upper", "n"]].round(4)
    chart = dots(
        rows,
        "value",
        "what",
        colour="model",
        x_title="Pearson correlation on the test part",
        order=list(dict.fromkeys(rows["what"])),
    )
    caption = (
        "Accuracy in distribution: what the networks of this page know before any shift. Groups "
        "of the retina libraries join origins that share a word; by origin alone such relatives "
        "may lie on both sides. Bars are 95 % intervals."
    )
    return Figure("accuracy", chart, rows, caption)

"""Text, tables and figures of notebook 02, made from the experiment's tables.

In: :class:`lib.study.found.Tables`. Out: Markdown, :class:`lib.page.charts.Table` and
:class:`lib.page.charts.Figure`. No number is typed here: all come from the tables.
"""

import re

import pandas as pd
from IPython.display import HTML, Markdown

from lib.experiments.mpra_gc_ood import Config
from lib.page.charts import Figure, Table, dots, histogram, lines
from lib.page.notes import interval, plain, profile_note, standin_banner
from lib.study.found import Tables

NAMES = {
    "wtc11": "WTC11",
    "plant_leaf": "plant, leaf",
    "plant_proto": "plant, protoplast",
    "standin": "stand-in",
}
MODELS = {
    "ensemble": "ensemble",
    "single": "one network",
    "kmer_ridge": "6-mer ridge",
    "gc_ridge": "GC only",
    "memoriser": "nearest neighbour",
    "bilstm": "one BiLSTM",
    "transformer": "one transformer",
    "mean": "training mean",
    "authors_cnn": "the authors' CNN",
}
SIDES = {"inside": "inside", "shifted": "shifted", "matched": "matched"}
PARTS = {
    "": "in distribution",
    "gc_high": "GC above training",
    "gc_low": "GC below training",
    "placebo": "placebo",
}
LEAK_SPLITS = ("group", "gc_high", "gc_low", "placebo", "random_leaky")
TAILS = {"gc_high": "richer", "gc_low": "poorer"}
SHIFTS = {
    "gc_high": "GC above",
    "gc_low": "GC below",
    "placebo": "placebo",
    "gc_tilt": "tilt",
    "species": "without",
}
MEASURES = {
    "elements": "elements",
    "length": "length (nt)",
    "leak_groups": "leak groups",
    "largest_group": "largest group",
    "sd_activity": "SD of activity (log2)",
    "r_gc_activity": "correlation of GC and activity",
    "reliability": "reliability",
    "best_pearson_r": "best correlation",
}


def banner(tables: Tables) -> HTML:
    """A warning where the stand-in took the place of real data, else nothing."""
    return standin_banner(tables.standin)


def combined(tables: Tables) -> pd.DataFrame:
    """Rows over all splits."""
    rows = tables.rows
    return rows[rows["split_seed"].isna()]


def _best_use(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows of the ensemble, and of the one network where an arm has no more."""
    ensembles = rows[rows["uncertainty"] == "ensemble"]
    have = set(ensembles[keys].itertuples(index=False, name=None))
    single = rows[rows["uncertainty"] == "single"]
    alone = [row not in have for row in single[keys].itertuples(index=False, name=None)]
    return pd.concat([ensembles, single[alone]], ignore_index=True)


def base_rows(tables: Tables, config: Config) -> pd.DataFrame:
    """Combined rows of the network as it is best used: the ensemble where there is one."""
    rows = combined(tables)
    table = _best_use(rows[rows["model"] == config.model], ["data", "split", "shift", "condition"])
    return table.assign(data=table["data"].map(lambda name: NAMES.get(name, name)))


def _pick(rows: pd.DataFrame, **keys: str) -> pd.Series | None:
    for column, value in keys.items():
        rows = rows[rows[column] == value]
    return None if rows.empty else rows.iloc[0]


def answer(tables: Tables, config: Config) -> Markdown:
    """The answer in a sentence per data set and tail."""
    rows = base_rows(tables, config)
    overall = rows[rows["by"] == ""]
    lines_out = [profile_note(config.profile)]
    for data, part in overall.groupby("data", sort=False):
        test = {"split": "test", "condition": ""}
        r = _pick(part, metric="pearson_r", **test)
        covered = _pick(part, metric="picp_90", **test)
        if r is not None and covered is not None:
            lines_out.append(
                f"- **{plain(data)}**, in distribution: the correlation of predicted and measured "
                f"activity is {interval(r)}, and 90 % intervals cover {interval(covered)}."
            )
        lines_out += [_tail_sentence(str(data), part, tail) for tail in TAILS]
    return Markdown("\n".join(line for line in lines_out if line))


def _tail_sentence(data: str, rows: pd.DataFrame, tail: str) -> str:
    """Coverage and error beyond a GC tail, beside the same inside and matched."""
    sides = [
        _pick(rows, metric=metric, shift=tail, split=split)
        for metric in ("picp_90", "rmse")
        for split in ("shifted", "inside", "matched")
    ]
    if any(side is None for side in sides):
        return ""
    text = [interval(side) for side in sides if side is not None]
    return (
        f"- **{plain(data)}**, {TAILS[tail]} in GC than anything in training: "
        f"they cover {text[0]}, against {text[1]} inside the training range and {text[2]} for the "
        "same kind of elements when such were in training. "
        f"The error is {text[3]}, against {text[4]} and {text[5]}."
    )


def _measure(name: str) -> str:
    """How a reader calls a measure of an assay."""
    if name.startswith("gc_"):
        return f"GC, {int(name[3:])} % quantile"
    return MEASURES.get(name, name.replace("_", " "))


def assay_table(tables: Tables) -> Table:
    """What the data sets are."""
    table = tables.tables["assays"].copy()
    wide = table.pivot(index="measure", columns="data", values="value")
    wide = wide.loc[list(dict.fromkeys(table["measure"]))]
    wide = wide.rename(index=_measure, columns=NAMES).rename_axis(None, axis=1).reset_index()
    caption = (
        "The assays. Reliability is the correlation of an element's two orientations; its root is "
        "the best correlation that a model blind to the strand could reach."
    )
    return Table(wide, caption)


def leak_table(tables: Tables) -> Table:
    """What test parts share with training parts, beside the leaky split."""
    table = tables.tables["leaks"]
    table = table[table["part"].isin(["test", "shifted"]) & table["split"].isin(LEAK_SPLITS)]
    chosen = ["elements", "identical", "reverse_complement", "shared_word", "nearest_similarity_95"]
    wide = table.pivot_table(index=["data", "split", "part"], columns="measure", values="value")
    caption = (
        "What the tested parts share with the training part, first split. Shares of elements: with "
        "an identical sequence or its reverse complement in training, and with any shared word "
        "(repeats and words of many elements make no relatives, so a few remain). The last split "
        "ignores relatives on purpose: its results are a warning."
    )
    wide = wide[chosen].rename_axis(None, axis=1).reset_index().replace({"data": NAMES})
    return Table(wide.rename(columns=lambda name: name.replace("_", " ")), caption)


def gc_figure(tables: Tables) -> Figure:
    """GC of training-like and held-out parts."""
    table = tables.tables["gc_histogram"]
    table = table[table["split"].isin(["test", "shifted"]) & (table["shift"] != "species")]
    table = table[~table["shift"].isin(["gc_tilt"])]
    label = {"": "test", "gc_high": "held out, high", "gc_low": "held out, low"}
    table = table.assign(part=table["shift"].map(label).fillna("placebo"))
    table = table.assign(data=table["data"].map(lambda name: NAMES.get(name, name)))
    table = table[["data", "part", "left", "right", "share", "count"]].round(5)
    chart = histogram(table, colour="part", x_title="GC content", facet="data")
    caption = (
        "GC content of the parts, first split. The two tails do not meet the range inside; "
        "the placebo, random groups held out, lies on top of the test part."
    )
    return Figure("gc-histogram", chart, table, caption)


def _columns(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    table = rows[[*names, "value", "lower", "upper", "n"]].copy()
    return table.round({"value": 4, "lower": 4, "upper": 4})


def accuracy_figure(tables: Tables, config: Config) -> Figure:
    """Correlation in distribution, network beside baselines."""
    rows = combined(tables)
    rows = rows[(rows["metric"] == "pearson_r") & (rows["by"] == "") & (rows["condition"] == "")]
    rows = rows[rows["split"].isin(["test", "random_leaky"])]
    network = (rows["model"] == config.model) & rows["uncertainty"].isin(["ensemble", "single"])
    rows = rows[network | (rows["model"] != config.model)]
    name = rows["uncertainty"].where(rows["model"] == config.model, rows["model"])
    rows = rows.assign(
        model=name.map(MODELS).fillna(name),
        split=rows["split"].map({"test": "relatives apart", "random_leaky": "relatives ignored"}),
        data=rows["data"].map(lambda value: NAMES.get(value, value)),
    )
    table = _columns(rows, "data", "model", "split")
    chart = dots(
        table,
        "value",
        "model",
        colour="split",
        facet="data",
        x_title="Pearson correlation on the test part",
        order=list(MODELS.values()),
    )
    caption = (
        "Accuracy in distribution. With relatives of test elements in training (orange) every "
        "model looks better than it is. Bars are 95 % intervals."
    )
    return Figure("accuracy", chart, table, caption)


def _reading_order(column: pd.Series) -> pd.Series:
    """Arms and sides in the order of :data:`SHIFTS` and :data:`SIDES`; others as they come."""
    order = [*SIDES.values(), *SHIFTS.values()]
    ranks = {name: rank for rank, name in enumerate(order)}
    return column.map(lambda name: ranks.get(name, ranks.get(name.split(" ")[0], -1)))


def shift_figure(tables: Tables, config: Config, metric: str, title: str, name: str) -> Figure:
    """One metric inside, shifted and matched, for every hold-out arm."""
    rows = base_rows(tables, config)
    rows = rows[(rows["metric"] == metric) & (rows["by"] == "")]
    rows = rows[rows["split"].isin(SIDES)]
    exact = rows["shift"].isin(["gc_tilt", "species"])
    arm = rows["shift"].map(SHIFTS) + (" " + rows["condition"]).where(exact, "")
    table = _columns(rows.assign(arm=arm, side=rows["split"].map(SIDES)), "data", "arm", "side")
    table = table.sort_values(["data", "arm", "side"], key=_reading_order, kind="stable")
    nominal = 0.9 if metric == "picp_90" else None
    chart = dots(
        table,
        "value",
        "arm",
        colour="side",
        facet="data",
        x_title=title,
        order=list(dict.fromkeys(table["arm"])),
        reference=nominal,
    )
    caption = (
        f"{title[0].upper()}{title[1:]}. Inside: elements like those of training. Shifted: the "
        "kind held out. Matched: the held-out kind, judged by a network that was trained on all "
        "kinds. A placebo holds out random groups, so its two values must agree. Bars are 95 % "
        "intervals."
    )
    return Figure(name, chart, table, caption)


def decile_figure(tables: Tables, config: Config, metric: str, title: str, name: str) -> Figure:
    """One metric by GC decile of the assay: random groups beside the two tails."""
    rows = base_rows(tables, config)
    rows = rows[(rows["metric"] == metric) & (rows["by"] == "gc_decile")]
    wanted = (rows["split"] == "test") & (rows["condition"] == "")
    wanted |= (rows["split"] == "shifted") & rows["shift"].isin(["gc_high", "gc_low"])
    # A decile that only some splits hold at all would compare different splits.
    rows = rows[wanted & (rows["splits"] == rows["splits"].max())]
    label = {"": "trained on all GC", "gc_high": "trained below", "gc_low": "trained above"}
    middle = rows["bin"].str.split("-").map(lambda ends: (float(ends[0]) + float(ends[1])) / 2)
    table = _columns(
        rows.assign(gc=middle, trained=rows["shift"].map(label)), "data", "gc", "trained"
    )
    chart = lines(
        table,
        "gc",
        "value",
        colour="trained",
        facet="data",
        x_title="GC content (middle of the decile)",
        y_title=title,
        reference=0.9 if metric == "picp_90" else None,
    )
    caption = (
        f"{title[0].upper()}{title[1:]} by GC decile of the assay: networks that saw all GC, and "
        "networks judged beyond the GC they saw."
    )
    return Figure(name, chart, table, caption)


def reliability_figure(tables: Tables, config: Config) -> Figure:
    """Nominal against observed coverage."""
    rows = base_rows(tables, config)
    rows = rows[rows["metric"].str.fullmatch(r"picp_\d+") & (rows["by"] == "")]
    test = (rows["split"] == "test") & (rows["condition"] == "")
    tails = (rows["split"] == "shifted") & rows["shift"].isin(["gc_high", "gc_low", "placebo"])
    rows = rows[test | tails]
    rows = rows.assign(
        nominal=rows["metric"].str.removeprefix("picp_").astype(float) / 100,
        part=rows["shift"].map(PARTS),
    )
    table = _columns(rows, "data", "nominal", "part")
    chart = lines(
        table,
        "nominal",
        "value",
        colour="part",
        facet="data",
        x_title="nominal coverage",
        y_title="observed coverage",
        diagonal=True,
    )
    caption = (
        "Reliability of the intervals. On the dashed line an interval covers what it promises; "
        "below it the network is too sure of itself."
    )
    return Figure("reliability", chart, table, caption)


def predicted_figure(tables: Tables) -> Figure:
    """Mean measured against mean predicted activity, by decile of the prediction."""
    table = tables.tables["predicted_measured"]
    parts = table["part"].str.extract(r"^(test$|gc_high|gc_low)")[0]
    shifted = table["part"].str.endswith("shifted") | (table["part"] == "test")
    table = table[parts.notna() & shifted].assign(part=parts.replace("test", "").map(PARTS))
    table = table.assign(data=table["data"].map(lambda name: NAMES.get(name, name)))
    half = table["measured_sd"] / table["n"] ** 0.5 * 1.96
    table = table.assign(lower=table["measured"] - half, upper=table["measured"] + half)
    table = table[["data", "part", "predicted", "measured", "lower", "upper", "n"]].round(4)
    chart = lines(
        table,
        "predicted",
        "measured",
        colour="part",
        facet="data",
        x_title="predicted activity (mean of the decile)",
        y_title="measured activity (mean)",
        diagonal=True,
    )
    caption = (
        "Predicted against measured activity by decile of the prediction, all splits together, in "
        "the unit of the assay (log2). Off the dashed line the prediction is biased."
    )
    return Figure("predicted-measured", chart, table, caption)


def contrast_table(tables: Tables, config: Config) -> Table:
    """What each shift changes in the network's error and coverage."""
    table = tables.tables["contrasts"]
    table = table[(table["model"] == config.model) & table["metric"].isin(["rmse", "picp_90"])]
    table = _best_use(table, ["data", "shift", "against"])
    table = table.assign(
        data=table["data"].map(lambda name: NAMES.get(name, name)),
        shift=table["shift"].str.replace(r"^(gc_tilt|species|placebo) ", _shift_word, regex=True),
        text=[interval(row) for _, row in table.iterrows()],
        metric=table["metric"].map({"rmse": "RMSE, ratio", "picp_90": "coverage, difference"}),
    )
    table["shift"] = table["shift"].str.replace("gc_high ", "").str.replace("gc_low ", "")
    keys = ["data", "shift", "against"]
    wide = table.pivot(index=keys, columns="metric", values="text")
    wide = wide.rename_axis(None, axis=1).reset_index()
    caption = (
        "Paired by split: the shifted part against the part inside, and against the same kind of "
        "elements judged by networks that saw such in training. RMSE as a ratio (1 is no change), "
        "coverage of 90 % intervals as a difference (0 is no change)."
    )
    return Table(wide, caption)


SCORES = {
    "rmse": "RMSE",
    "crps_gaussian": "CRPS",
    "crps_skill": "CRPS skill",
    "nll_gaussian": "NLL",
    "zms": "ZMS",
    "picp_50": "coverage, 50 %",
    "picp_80": "80 %",
    "picp_90": "90 %",
    "picp_95": "95 %",
    "mpiw_90": "width, 90 %",
    "pearson_r": "Pearson r",
    "spearman_r": "Spearman r",
    "sd_target": "SD of y",
}


def score_table(tables: Tables, config: Config) -> Table:
    """Every score in distribution and at both GC tails."""
    rows = base_rows(tables, config)
    rows = rows[(rows["by"] == "") & rows["metric"].isin(SCORES)]
    test = (rows["split"] == "test") & (rows["condition"] == "")
    rows = rows[test | rows["shift"].isin(TAILS)]
    part = rows["shift"].map(SHIFTS).fillna("all GC") + ", " + rows["split"]
    cells = rows.assign(
        part=part, text=[interval(row) for _, row in rows.iterrows()], metric=rows["metric"]
    )
    wide = cells.pivot(index=["data", "part", "n"], columns="metric", values="text")
    wide = wide[[name for name in SCORES if name in wide]].rename(columns=SCORES)
    caption = (
        "Scores with their 95 % intervals, in the unit of the assay where they have one. A tail "
        "narrows or widens the spread of y (last column) and moves every correlation with it."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)


def _shift_word(match: re.Match[str]) -> str:
    return f"{SHIFTS[match[1]]} "

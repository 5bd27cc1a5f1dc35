"""Text, tables and figures of notebook 07, made from the experiment's tables.

In: :class:`lib.study.found.Tables`. Out: Markdown, :class:`lib.page.charts.Table`,
:class:`lib.page.charts.Figure` and drawings. No number is typed here: all come from the tables.
"""

import numpy as np
import pandas as pd
from IPython.display import Markdown

from lib.experiments.motif_recovery import BEST_AREA, Config
from lib.page.charts import Figure, Table, dots
from lib.page.grammar import listed
from lib.page.grammar import one as first
from lib.page.logos import Drawing, Span, score_logos
from lib.page.names import DATA
from lib.page.names import MODELS as MODEL_NAMES
from lib.page.names import OPTIONS as OPTION_NAMES
from lib.page.names import SHIFTS as SHIFT_NAMES
from lib.page.notes import interval, profile_note
from lib.study.found import Tables

METHODS = {
    "mutagenesis": "in-silico mutagenesis",
    "integrated_gradients": "integrated gradients",
    "gradient_input": "gradient × input",
}
DRAWN = ("mutagenesis", "integrated_gradients")
FAINT = 0.1  # letters lower than this share of the highest are left out of a drawing
KINDS = {"acting": "motifs that act", "idle": "motifs that hardly act"}
SIGNS = {
    "agreement": "agreement of scores",
    "disagreement_error": "disagreement against error",
    "spread_error": "spread of forecasts against error",
}


def _effects(found: Tables, effect: str, **keys: object) -> pd.DataFrame:
    rows = found.tables["effects"]
    rows = rows[rows["effect"] == effect]
    for column, value in keys.items():
        rows = rows[rows[column] == value]
    return rows


def _shift_names(rows: pd.DataFrame) -> pd.Series:
    option = rows["condition"].fillna("").map(lambda text: OPTION_NAMES.get(text, f", {text}"))
    return (rows["shift"].map(SHIFT_NAMES) + option).where(rows["shift"] != "", "in distribution")


def _rows(found: Tables, metric: str, by: str = "") -> pd.DataFrame:
    rows = found.rows
    return rows[(rows["metric"] == metric) & (rows["by"] == by)]


def _home_sentence(found: Tables, config: Config) -> str:
    own = _effects(found, "auprc_sites", shift="", model=config.models[0])
    if own.empty:
        return ""
    best = own.sort_values("value").iloc[-1]
    base = _rows(found, "auprc_base", "method")
    base = base[(base["model"] == config.models[0]) & (base["split"] == "test")]
    reached = "reaches" if best["value"] >= BEST_AREA else "falls short of"
    return (
        f"- **In distribution**, the scores of {METHODS[best['method']]} find the planted sites "
        f"that act with an area under the precision–recall curve of {interval(best)}, where "
        f"random scores have {interval(base.iloc[0])}: it {reached} the {BEST_AREA:g} that was "
        "hoped for."
    )


def _shift_sentence(found: Tables, config: Config) -> str:
    rows = _effects(found, "auprc_change", model=config.models[0])
    home = _effects(found, "auprc_sites", shift="", model=config.models[0])
    if rows.empty or home.empty:
        return ""
    method = home.sort_values("value").iloc[-1]["method"]
    rows = rows[rows["method"] == method].sort_values("value")
    lost = rows[rows["upper"] < 0]
    if lost.empty:
        return "- **Under shift** no change of that area is certain."
    names = [
        f"{name} ({interval(row)})"
        for name, (_, row) in zip(_shift_names(lost), lost.iterrows(), strict=True)
    ]
    return (
        f"- **Under shift** that area changes with certainty for the worse under {listed(names)}."
    )


def _probe_sentence(found: Tables, config: Config) -> str:
    rows = {
        name: first(_effects(found, name, model=config.models[0], condition="acting"))
        for name in ("r2_probe", "r2_probe_gain")
    }
    value, gain = rows["r2_probe"], rows["r2_probe_gain"]
    if value is None or gain is None:
        return ""
    return (
        f"- **A linear probe** reads the response of the motifs that act off the embedding with an "
        f"R² of {interval(value)}; {interval(gain)} of it came with training."
    )


def _agreement_sentence(found: Tables) -> str:
    said = []
    for data, part in found.rows.groupby("data", sort=False):
        own = part[(part["split"] == "test") & (part["by"] == "")]
        scores, spread = (
            first(own[own["metric"] == name]) for name in ("disagreement_error", "spread_error")
        )
        if scores is None or spread is None:
            continue
        name = {"simulation": "simulation"} | DATA
        said.append(
            f"{name.get(str(data), str(data))}: {interval(scores)} beside {interval(spread)}"
        )
    if not said:
        return ""
    return (
        "- **Disagreement as a warning**: rank correlation of an element's error with the "
        "disagreement of the networks' scores, beside that with the spread of their forecasts, "
        f"in distribution. {listed(said)}."
    )


def answer(found: Tables, config: Config) -> Markdown:
    """What the networks found, in a sentence per question."""
    said = [
        profile_note(config.profile),
        _home_sentence(found, config),
        _shift_sentence(found, config),
        _probe_sentence(found, config),
        _agreement_sentence(found),
    ]
    return Markdown("\n".join(line for line in said if line))


def area_figure(found: Tables) -> Figure:
    """Area against the sites in distribution, by network and method, beside chance."""
    rows = _rows(found, "auprc_sites", "method")
    chance = _rows(found, "auprc_base", "method")
    rows = rows[rows["split"] == "test"].assign(method=lambda table: table["bin"].map(METHODS))
    chance = chance[(chance["split"] == "test") & (chance["bin"] == DRAWN[0])]
    rows = pd.concat([rows, chance.assign(method="random scores")])
    table = rows.assign(network=rows["model"].map(lambda name: MODEL_NAMES.get(name, name)))
    table = table[["network", "method", "value", "lower", "upper", "worlds"]].round(4)
    chart = dots(
        table,
        "value",
        "method",
        colour="network",
        x_title="area under the precision–recall curve",
        order=[*METHODS.values(), "random scores"],
    )
    caption = (
        "How well the size of a position's score tells planted sites of motifs that act from other "
        "positions, in distribution. Positions in sites that stand there by chance count neither "
        "way."
    )
    return Figure("area-by-method", chart, table, caption)


def shift_figure(found: Tables, config: Config) -> Figure:
    """Area of the main network under every shift, by method."""
    rows = _rows(found, "auprc_sites", "method")
    rows = rows[rows["model"] == config.models[0]]
    table = rows.assign(shift=_shift_names(rows), method=rows["bin"].map(METHODS))
    table = table[["shift", "method", "value", "lower", "upper", "worlds"]].round(4)
    names = list(dict.fromkeys(table["shift"]))
    chart = dots(
        table,
        "value",
        "shift",
        colour="method",
        x_title="area under the precision–recall curve",
        order=["in distribution", *(name for name in names if name != "in distribution")],
    )
    caption = (
        "The same under each shift at its highest severity, against the sites that act then. "
        "A concept or technical shift leaves the scores as they are; a concept shift changes which "
        "sites act."
    )
    return Figure("area-by-shift", chart, table, caption)


def probe_figure(found: Tables, config: Config) -> Figure:
    """R² of a linear probe by motif, before and after training."""
    parts = []
    for metric, label in (("r2_probe", "trained"), ("r2_probe_untrained", "before training")):
        rows = _rows(found, metric, "motif")
        rows = rows[rows["model"] == config.models[0]]
        # A motif may act in some worlds and hardly in others: the mean over all of them.
        sums = rows.assign(total=rows["value"] * rows["worlds"]).groupby("bin", sort=False)
        means = sums["total"].sum() / sums["worlds"].sum()
        parts.append(means.rename("value").reset_index().assign(network=label))
    table = pd.concat(parts).rename(columns={"bin": "motif"}).round(4)
    table["lower"] = table["upper"] = table["value"]
    order = table[table["network"] == "trained"].sort_values("value", ascending=False)["motif"]
    chart = dots(
        table,
        "value",
        "motif",
        colour="network",
        x_title="R² of a linear probe for the motif's response",
        order=list(order),
    )
    caption = (
        "What the embedding holds of each motif's response, mean over worlds. Before training the "
        "same network, as it was drawn, holds what random filters tell."
    )
    return Figure("probes", chart, table, caption)


def probe_table(found: Tables) -> Table:
    """Probes of motifs that act and of those that hardly do."""
    rows = pd.concat([_effects(found, "r2_probe"), _effects(found, "r2_probe_gain")])
    rows = rows.assign(
        network=rows["model"].map(lambda name: MODEL_NAMES.get(name, name)),
        motifs=rows["condition"].map(KINDS),
        column=rows["effect"].map({"r2_probe": "R²", "r2_probe_gain": "of it by training"}),
        text=[interval(row) for _, row in rows.iterrows()],
    )
    wide = rows.pivot_table(
        index=["network", "motifs"], columns="column", values="text", aggfunc="first", sort=False
    )
    caption = (
        "R² of linear probes, mean over motifs and worlds with 95 % intervals over worlds. A "
        "network need not hold what hardly matters to its target."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)


def agreement_table(found: Tables) -> Table:
    """Agreement between networks, and what disagreement says of the error."""
    rows = found.rows
    rows = rows[rows["metric"].isin(list(SIGNS)) & (rows["by"] == "")]
    names = {"simulation": "simulation"} | DATA
    rows = rows.assign(
        data=rows["data"].map(lambda name: names.get(name, name)),
        part=_shift_names(rows.assign(shift=rows["shift"].fillna(""))),
        column=rows["metric"].map(SIGNS),
        text=[interval(row) for _, row in rows.iterrows()],
    )
    wide = rows.pivot_table(
        index=["data", "part"], columns="column", values="text", aggfunc="first", sort=False
    )
    caption = (
        "Networks of a world (one per architecture) and of an assay's split (the members of an "
        "ensemble). Agreement: mean correlation over positions of the scores of two networks. Then "
        "the rank correlation of each element's error with the networks' disagreement on it, and "
        "with the spread of their forecasts. A concept shift cannot move agreement."
    )
    wide = wide.reindex(columns=list(SIGNS.values())).rename_axis(None, axis=1)
    return Table(wide.reset_index(), caption)


def known_figure(found: Tables) -> Figure:
    """Scores at known motifs over those at the same motifs with positions shuffled."""
    rows = found.tables["known_motifs"]
    table = rows.assign(data=rows["data"].map(lambda name: DATA.get(name, name)))
    table = table[["data", "motif", "value", "lower", "upper", "n", "splits"]].round(4)
    table = table.sort_values(["data", "value"], ascending=[True, False])
    chart = dots(
        table,
        "value",
        "motif",
        colour="data",
        x_title="mean score at the motif, over that at shuffled ones",
        order=list(dict.fromkeys(table["motif"])),
        facet="data",
        reference=1.0,
        columns=1,
    )
    caption = (
        "Real assays: mean size of the score at matches of a known motif over that at matches of "
        "the same matrix with its positions in random order; 95 % intervals over groups and "
        "splits. Right of one, the network looks there."
    )
    return Figure("known-motifs", chart, table, caption)


def _spans(table: pd.DataFrame) -> list[Span]:
    """Runs of equal motif."""
    change = (table["motif"] != table["motif"].shift()).cumsum()
    return [
        (int(run["position"].iloc[0]), int(run["position"].iloc[-1]) + 1, str(run["motif"].iloc[0]))
        for _, run in table.groupby(change)
        if run["motif"].iloc[0]
    ]


def score_drawing(found: Tables) -> Drawing:
    """Scores of two simulated elements as letters, the true sites behind them."""
    rows = []
    examples = found.tables["examples"]
    for place, (_, table) in enumerate(examples.groupby("element", sort=False), start=1):
        letters = np.eye(5)[table["code"].to_numpy(int)][:, :4]
        for method in DRAWN:
            score = table[method].to_numpy(float)
            score = np.where(np.abs(score) < FAINT * np.abs(score).max(), 0.0, score)
            title = f"Element {place}, {METHODS[method]}"
            rows.append((title, letters * score[:, None], _spans(table)))
    caption = (
        "Scores of the first two elements of a simulated test sample. Grey: planted sites of "
        "motifs that act. Letters that stand up raise the forecast, letters that hang lower it; "
        "the faintest are left out."
    )
    return Drawing("scores-beside-sites", score_logos(rows), caption)


def known_drawing(found: Tables, most: int = 3) -> Drawing:
    """Known motifs with the mean scores at their matches, those first that are looked at most."""
    known, profiles = found.tables["known_motifs"], found.tables["known_profiles"]
    rows: list[tuple[str, np.ndarray, list[Span]]] = []
    for data, part in known.sort_values("value", ascending=False).groupby("data", sort=False):
        for motif in part["motif"].head(most):
            own = profiles[(profiles["data"] == data) & (profiles["motif"] == motif)]
            name = DATA.get(str(data), str(data))
            rows.append((f"{name}: {motif}", own[list("ACGT")].to_numpy(float), []))
    caption = (
        "Mean score of each letter over the matches of a known motif, for the motifs of each assay "
        "that its network looks at most. A letter that is not in the picture is rare there, or "
        "moves nothing."
    )
    return Drawing("scores-at-known-motifs", score_logos(rows, columns=most), caption)

"""Text, tables and figures of notebook 04, made from the experiment's tables.

In: :class:`lib.study.found.Tables`. Out: Markdown, :class:`lib.page.charts.Table`
and :class:`lib.page.charts.Figure`. No number is typed here: all come from the tables.
"""

import numpy as np
import pandas as pd
from IPython.display import Markdown

from lib.experiments.selective_prediction import Config
from lib.experiments.selective_scores import STD, TRIVIAL
from lib.page.charts import Figure, Table, dots, lines
from lib.page.names import DATA
from lib.page.notes import interval, profile_note
from lib.study.found import Tables

SCORES = {
    STD: "predicted std",
    "epistemic": "epistemic std",
    "aleatoric": "aleatoric std",
    "embedding_distance": "embedding distance",
    "gc_distance": "GC distance",
    "mean": "predicted mean",
    "mean_distance": "mean far from average",
}
REFERENCES = {
    "sigma_oracle": "order by the true std",
    "error_oracle": "order by the errors",
    "random": "random order",
}
# Seven at most: a chart has that many colours.
CURVES = (STD, "epistemic", "embedding_distance", "mean_distance", *REFERENCES)
TAILS = {"gc_high": "richer in GC", "gc_low": "poorer in GC"}
PARTS = {"": "in distribution", "placebo": "placebo"} | TAILS
TARGETS = {"measured": "against the measurement", "noise_free": "against the noise-free activity"}
RULES = {
    "coverage_50": "half kept in distribution",
    "coverage_80": "four fifths kept",
    "ltt": "risk certified",
    "crc": "loss controlled",
}
SUMMARY = {
    "risk": "full risk",
    "risk_50": "risk, half kept",
    "aurc": "AURC",
    "e_aurc": "E-AURC",
    "augrc": "AUGRC",
    "prr": "PRR",
    "r2": "R², all",
    "r2_50": "R², half kept",
}


def _name(data: str) -> str:
    return DATA.get(data, data)


def _side(shift: str, condition: str) -> str:
    """A GC shift of the simulation by the name that tails of real assays have."""
    return {"": "gc_high", "low": "gc_low"}.get(condition, shift) if shift == "gc" else shift


def part_names(rows: pd.DataFrame) -> pd.Series:
    """How a reader calls the part of each row, from its shift, condition and severity."""

    def name(shift: str, condition: str, severity: float) -> str:
        if shift == "gc":
            return f"{PARTS[_side(shift, condition)]}, dial {severity:g}"
        if shift == "noise":
            trained = condition == "trained"
            return "noise in training too" if trained else f"noise, dial {severity:g}"
        return f"GC tilt {condition}" if shift == "gc_tilt" else PARTS.get(shift, shift)

    columns = (rows["shift"].replace("none", ""), rows["condition"], rows["severity"])
    return pd.Series([name(*row) for row in zip(*columns, strict=True)], rows.index)


def _furthest(rows: pd.DataFrame, *, noise: bool = False) -> pd.DataFrame:
    """In distribution and both GC tails; of the simulation's dial, its furthest point."""
    shift = rows["shift"].replace("none", "")
    top = rows.loc[shift == "gc", "severity"].max()
    kept = (shift == "") | shift.isin(list(TAILS)) | ((shift == "gc") & (rows["severity"] == top))
    if noise:
        kept |= (shift == "noise") & (rows["condition"] == "trained")
    return rows[kept & (rows.get("split", "") != "inside")]


def _short(rows: pd.DataFrame) -> pd.Series:
    """In distribution, richer or poorer: names that real and simulated parts share."""
    sides = zip(rows["shift"].replace("none", ""), rows["condition"], strict=True)
    return pd.Series([PARTS.get(_side(*side), side[0]) for side in sides], rows.index)


def _effects(found: Tables, effect: str, **keys: object) -> pd.DataFrame:
    rows = found.tables["effects"]
    rows = rows[rows["effect"] == effect]
    for column, value in keys.items():
        rows = rows[rows[column] == value]
    return rows


def _one(rows: pd.DataFrame) -> pd.Series | None:
    return None if rows.empty else rows.iloc[0]


def _home_sentence(found: Tables, data: str) -> str:
    here = {"data": data, "shift": "none", "target": "measured"}
    ratio = _one(_effects(found, "risk_ratio_50", score=STD, **here))
    trivial = _effects(found, "risk_over_trivial", **here).dropna(subset="value")
    if ratio is None or trivial.empty:
        return ""
    worst = trivial.sort_values("value").iloc[-1]
    text = (
        f"- **{_name(data)}**, in distribution: the half of the elements with the smaller "
        f"predicted std has {interval(ratio)} times the risk of all. That is {interval(worst)} "
        f"times what is left when the same number is rejected by {SCORES[worst['score']]}, the "
        "hardest of the trivial scores to beat."
    )
    free = _one(_effects(found, "risk_ratio_50", score=STD, **here | {"target": "noise_free"}))
    if free is not None:
        text += f" Against the noise-free activity the ratio is {interval(free)}."
    return text


def _tail_sentences(found: Tables, data: str) -> list[str]:
    rows = _furthest(_effects(found, "risk_ratio_fixed", data=data, target="measured"))
    said = []
    for _, ratio in rows[rows["shift"] != "none"].iterrows():
        same = {"cell": ratio["cell"], "target": "measured"}
        coverage = _one(_effects(found, "fixed_coverage", **same))
        target = _one(_effects(found, "risk_over_target", **same))
        if coverage is not None and target is not None:
            side = PARTS[_side(ratio["shift"], ratio["condition"])]
            said.append(
                f"- **{_name(data)}**, {side}: the threshold that keeps half in distribution keeps "
                f"{interval(coverage)}, with {interval(ratio)} times the risk of all shifted "
                f"elements and {interval(target)} times the risk promised in distribution."
            )
    return said


def _share(row: pd.Series) -> str:
    """A share of a PRR with its interval, or that there is none."""
    bounded = bool(np.isfinite(row["lower"]) and np.isfinite(row["upper"]))
    return interval(row) if bounded else f"{row['value']:.2f} (bounded on no side)"


def answer(found: Tables, config: Config) -> Markdown:
    """The answer in a sentence per data set, shift and for noise."""
    said = [profile_note(config.profile)]
    for data in dict.fromkeys(found.tables["effects"]["data"]):
        said += [_home_sentence(found, data), *_tail_sentences(found, data)]
    noisy = {"condition": "trained", "score": STD}
    ratio = _one(_effects(found, "prr_ratio", target="noise_free", **noisy))
    measured = _one(_effects(found, "prr_ratio", target="measured", **noisy))
    if ratio is not None and measured is not None:
        said.append(
            "- **Noise that dominates training and test**: the prediction rejection ratio for risk "
            f"against the noise-free activity is {_share(ratio)} times that in distribution, "
            f"and for risk against the measurement {_share(measured)} times."
        )
    return Markdown("\n".join(line for line in said if line))


def curve_figure(found: Tables, target: str, name: str) -> Figure:
    """Risk against coverage in distribution, scores beside the reference orders."""
    rows = found.tables["curves"]
    rows = rows[(rows["split"] == "test") & (rows["target"] == target)]
    rows = rows[rows["curve"].isin(CURVES)]
    chance = rows[rows["curve"] == STD].assign(curve="random", risk=1.0)
    rows = pd.concat([rows, chance])
    rows = rows[(rows["coverage"] * 20).round() % 2 == 0]  # every tenth is enough for the eye
    table = rows.assign(data=rows["data"].map(_name), score=rows["curve"].map(SCORES | REFERENCES))[
        ["data", "score", "coverage", "risk", "units"]
    ].round(4)
    chart = lines(
        table,
        "coverage",
        "risk",
        colour="score",
        facet="data",
        x_title="coverage (share kept)",
        y_title="risk over full risk",
    )
    caption = (
        f"Mean squared error {TARGETS[target]} of what is kept, over that of all, when the least "
        "certain elements are set aside; mean over worlds or splits. The order by the errors "
        "knows what no forecast can know; the order by the true std is what a perfect forecast "
        "of the noise would reach."
    )
    return Figure(name, chart, table, caption)


def shift_curve_figure(found: Tables) -> Figure:
    """Risk against coverage by predicted std, in distribution and under GC shift."""
    rows = found.tables["curves"]
    rows = _furthest(rows[(rows["target"] == "measured") & (rows["curve"] == STD)])
    rows = rows[rows["split"].isin(["test", "shifted"])]
    table = rows.assign(data=rows["data"].map(_name), part=_short(rows))
    table = table[["data", "part", "coverage", "risk", "units"]].round(4)
    chart = lines(
        table,
        "coverage",
        "risk",
        colour="part",
        facet="data",
        x_title="coverage (share kept)",
        y_title="risk over full risk of the part",
        reference=1.0,
    )
    caption = (
        "Elements ranked anew by predicted std within each part. On the dashed line the ranking "
        "is worth no more than chance; above it, it is worse."
    )
    return Figure("risk-coverage-shifted", chart, table, caption)


def score_figure(found: Tables) -> Figure:
    """Risk at half coverage over full risk for every score."""
    rows = _furthest(_effects(found, "risk_ratio_50", target="measured"))
    table = rows.assign(
        data=rows["data"].map(_name), part=_short(rows), score=rows["score"].map(SCORES)
    )[["data", "part", "score", "value", "lower", "upper", "n"]].round(4)
    chart = dots(
        table,
        "value",
        "score",
        colour="part",
        facet="data",
        x_title="risk of the kept half over full risk",
        order=list(SCORES.values()),
        reference=1.0,
    )
    caption = (
        "What is left when the worse half by each score is set aside, ranked within each part. "
        "The last three scores know nothing of uncertainty. Bars are 95 % intervals."
    )
    return Figure("scores", chart, table, caption)


def noise_figure(found: Tables) -> Figure:
    """Prediction rejection ratio against the share of noise."""
    rows = found.rows
    rows = rows[(rows["data"] == "simulation") & rows["shift"].isin(["", "noise"])]
    keys = ["split", "shift", "severity", "condition"]
    share = rows[rows["metric"] == "noise_share"][[*keys, "value"]]
    share = share.rename(columns={"value": "noise"})
    ranked = rows[rows["metric"].isin(["prr", "prr_f"]) & (rows["bin"] == STD)].merge(share)
    home, trained = ranked["shift"] == "", ranked["condition"] == "trained"
    tables = [
        ranked[~trained].assign(network="trained in distribution"),
        ranked[home | trained].assign(network="trained at this noise"),
    ]
    target = {"prr": TARGETS["measured"], "prr_f": TARGETS["noise_free"]}
    table = pd.concat(tables).sort_values(["network", "noise"], ascending=[False, True])
    table = table.assign(risk=table["metric"].map(target))
    table = table[["risk", "network", "noise", "value", "lower", "upper"]].round(4)
    chart = lines(
        table,
        "noise",
        "value",
        colour="network",
        facet="risk",
        x_title="share of noise in the variance",
        y_title="prediction rejection ratio",
        reference=0.0,
    )
    caption = (
        "Gain of rejecting by predicted std, as a share of what the order by the errors gains, "
        "against the share of noise. Where noise was added at test only, the line against the "
        "noise-free activity is flat by construction. Bars are 95 % intervals over worlds."
    )
    return Figure("noise-ladder", chart, table, caption)


def audit_figure(found: Tables, metric: str, title: str, name: str) -> Figure:
    """What thresholds fixed in distribution do on every part."""
    rows = found.tables["audit"]
    rows = rows[(rows["metric"] == metric) & rows["split"].isin(["test", "shifted"])]
    rows = rows[~rows["shift"].isin(["noise"]) & rows["value"].notna()]
    table = rows.assign(
        data=rows["data"].map(_name), part=part_names(rows), rule=rows["rule"].map(RULES)
    )[["data", "part", "rule", "value", "lower", "upper", "units"]].round(4)
    chart = dots(
        table,
        "value",
        "part",
        colour="rule",
        facet="data",
        x_title=title,
        order=list(dict.fromkeys(table["part"])),
        reference=1.0 if metric == "risk_over_target" else None,
    )
    caption = (
        f"{title[0].upper()}{title[1:]}, for thresholds on predicted std that were fixed in "
        "distribution. A placebo holds out random groups, so it must look like in distribution. "
        "A rule that keeps nothing has no risk and is left out. Bars are 95 % intervals."
    )
    return Figure(name, chart, table, caption)


def audit_table(found: Tables) -> Table:
    """Realised coverage and broken promises, per rule."""
    rows = found.tables["audit"]
    rows = rows[rows["metric"].isin(["fixed_coverage", "violated"])]
    rows = rows[rows["split"].isin(["test", "shifted"]) & (rows["shift"] != "noise")]
    text = {"fixed_coverage": "keeps", "violated": "broken in"}
    rows = rows.assign(
        data=rows["data"].map(_name),
        part=part_names(rows),
        column=rows["rule"].map(RULES) + ": " + rows["metric"].map(text),
    )
    wide = rows.pivot(index=["data", "part", "units"], columns="column", values="value")
    wide = wide.loc[:, list(dict.fromkeys(rows["column"]))]
    caption = (
        "Thresholds fixed in distribution: the share they keep, and in what share of worlds or "
        "splits (units) what they keep has more risk than was promised there. Without a guarantee "
        "for the part, a rule that keeps nothing breaks no promise."
    )
    return Table(_in_order(wide, rows), caption)


def _in_order(wide: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """A pivoted table in the order in which its rows came."""
    order = list(dict.fromkeys(rows[list(wide.index.names)].itertuples(index=False, name=None)))
    return wide.loc[order].rename_axis(None, axis=1).reset_index()


def summary_table(found: Tables) -> Table:
    """Every measure of ranking by predicted std."""
    rows = _furthest(found.rows, noise=True)
    rows = rows[rows["metric"].isin(SUMMARY) & rows["bin"].isin(["", STD])]
    cells = rows.assign(
        data=rows["data"].map(_name),
        part=part_names(rows),
        text=[interval(row) for _, row in rows.iterrows()],
    )
    wide = cells.pivot(index=["data", "part"], columns="metric", values="text")
    wide = wide[list(SUMMARY)].rename(columns=SUMMARY)
    caption = (
        "Ranking by predicted std, against the measurement, with 95 % intervals. Where R² of what "
        "is kept is lower than that of all, the gain in risk came from keeping elements that "
        "vary less."
    )
    return Table(_in_order(wide, cells), caption)


def rejected_table(found: Tables) -> Table:
    """What predicted std keeps and rejects at half coverage."""
    rows = found.tables["rejected"]
    rows = _furthest(rows[rows["score"] == STD], noise=True)
    cells = rows.assign(
        data=rows["data"].map(_name),
        part=part_names(rows),
        text=[f"{row['retained']:.2f} / {row['rejected']:.2f}" for _, row in rows.iterrows()],
    )
    wide = cells.pivot(index=["data", "part"], columns="column", values="text")
    wide = wide.loc[:, list(dict.fromkeys(cells["column"]))]
    caption = "What is kept / what is rejected, means of the two halves by predicted std."
    return Table(_in_order(wide, cells), caption)


def trivial_table(found: Tables) -> Table:
    """Predicted std against rejecting by trivial scores."""
    tables = [
        _furthest(_effects(found, effect, target="measured")).assign(ranked=label)
        for effect, label in (
            ("risk_over_trivial", "half kept in each part"),
            ("risk_over_trivial_fixed", "threshold fixed in distribution"),
        )
    ]
    rows = pd.concat(tables)
    cells = rows.assign(
        data=rows["data"].map(_name),
        part=part_names(rows),
        text=[interval(row) for _, row in rows.iterrows()],
    )
    wide = cells.pivot(index=["data", "part", "ranked"], columns="score", values="text")
    wide = wide[list(TRIVIAL)].rename(columns=SCORES)
    caption = (
        "Risk of what predicted std keeps, over that of what each trivial score keeps when it "
        "rejects as many. Below 1 the forecast's std is worth more than the trivial score."
    )
    return Table(_in_order(wide, cells), caption)

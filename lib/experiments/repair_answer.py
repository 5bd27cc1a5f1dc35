"""The answer of notebook 06 in sentences, made from the experiment's tables.

In: :class:`lib.study.found.Tables`. Out: Markdown. No number is typed here.
"""

import numpy as np
import pandas as pd
from IPython.display import Markdown

from lib.experiments.repair_page import REPAIRS, SHIFTS
from lib.experiments.repair_tables import UNDERCOVERED
from lib.experiments.repairs import ESTIMATED, LEVEL
from lib.experiments.uncertainty_repair import Config
from lib.page.names import DATA
from lib.page.notes import interval, profile_note
from lib.study.found import Tables

VERDICTS = {
    "supported": "so they undercover by more than the margin",
    "contradicted": "which falls short of the margin",
    "undecided": "which leaves the margin undecided",
}


def answer(tables: Tables, config: Config) -> Markdown:
    """The answer, one point per question; no verdict unless the profile is full."""
    full = config.profile == "full"
    points = [
        _weighted(tables.tables["weighted"], full),
        _rewiring(tables.tables["concept"], full),
        _calibrated(tables.rows),
        *_budgets(tables.tables["label_budget"], config.tolerance),
        _detected(tables.tables["detection"]),
        *_assays(tables.rows),
    ]
    return Markdown(
        "\n".join([profile_note(config.profile), *(f"- {point}" for point in points if point)])
    )


def _weighted(table: pd.DataFrame, full: bool) -> str:
    table = table[table["level"] == LEVEL] if len(table) else table
    if table.empty:
        return ""
    last = table.sort_values("severity").iloc[-1]
    text = (
        "**A shift of GC whose law is known is repaired by weights.** At the strongest tilt "
        f"weighted conformal 90 % intervals cover {interval(last, 3)}, unweighted ones "
        f"{last['unweighted']:.3f}, and those weighted by an estimated ratio "
        f"{last['estimated']:.3f}; the calibration part then counts for {last['n_eff']:.0f} "
        "elements."
    )
    if full:
        good = int((table["verdict"] == "nominal").sum())
        text += (
            f" Coverage is nominal within two standard errors at {good} of the {len(table)} "
            "severities."
        )
    return text


def _rewiring(table: pd.DataFrame, full: bool) -> str:
    aimed = table[table["condition"].str.startswith("d=")] if len(table) else table
    if aimed.empty:
        return ""
    row = aimed.iloc[0]
    drop = interval(row.rename({"drop": "value"}), 3)
    text = (
        f"**Rewiring is not.** At {row['condition']} every weight is one and the same intervals "
        f"cover {row['observed']:.3f}, short of nominal by {drop}. The exact law of the score "
        f"gives {row['coverage_from_truth']:.3f}; calibration elements and d alone forecast "
        f"{row['coverage_from_distance']:.3f}."
    )
    return f"{text} The margin is {UNDERCOVERED:.2f}, {VERDICTS[row['verdict']]}." if full else text


def _calibrated(rows: pd.DataFrame) -> str:
    """How near the best repair learned in distribution comes, by family at full severity."""
    rows = rows[(rows["data"] == "simulation") & (rows["by"] == "") & (rows["shift"] != "")]
    rows = rows[(rows["metric"] == "picp_90") & ~rows["variant"].str.startswith("k=")]
    rows = rows[(rows["severity"] == rows["severity"].max()) & (rows["part"] == "")]
    parts = []
    for shift, part in rows.groupby("shift", sort=False):
        best = part.iloc[int(np.argmin(np.abs(part["value"].to_numpy() - LEVEL)))]
        name = REPAIRS[best["uncertainty"], best["variant"]]
        none = part.loc[part["uncertainty"] == "single", "value"].mean()
        parts.append(f"{SHIFTS[str(shift)]} {none:.2f} to {best['value']:.2f} ({name})")
    return (
        "**Repairs learned in distribution**, strongest severity, coverage without repair to "
        f"coverage with the nearest of them: {'; '.join(parts)}. The nearest is known only "
        "afterwards."
    )


def _label_word(value: float, most: float) -> str:
    if np.isnan(value):
        return f"more than {most:.0f} labels"
    return "no label" if value == 0 else f"{value:.0f} labels"


def _budgets(table: pd.DataFrame, tolerance: float) -> list[str]:
    fit = table[(table["uncertainty"] == "few_shot") & (table["data"] == "simulation")]
    home = fit[fit["shift"] == ""]
    usual = float((home["score_before"] / home["score_oracle"]).mean())
    sentences = []
    for shift in ("batch", "effect_rewiring"):
        part = fit[(fit["shift"] == shift) & (fit["condition"] == "")]
        if part.empty:
            continue
        row = part.sort_values("severity").iloc[-1]
        excess = row["score_after"] / row["score_oracle"]
        sentences.append(
            f"**Label budget, {SHIFTS[shift]}**: coverage is within {tolerance:g} of nominal with "
            f"{_label_word(row['on_average'], row['most_labels'])} on average and with "
            f"{_label_word(row['in_most_draws'], row['most_labels'])} in nine draws of ten. The "
            f"interval score then is {excess:.2f} times the oracle's, against {usual:.2f} in "
            "distribution: what it has above that no gain, offset and scale can restore."
        )
    return sentences


def _detected(table: pd.DataFrame) -> str:
    simulated = table[(table["data"] == "simulation") & (table["shift"] != "")]
    still = simulated[simulated["same_sequences"] == 1]
    moved = simulated[(simulated["same_sequences"] == 0) & (simulated["quantity"] == "rejected")]
    if still.empty:
        return ""
    silent = int((still["as_in_distribution"] == 1).sum())
    text = (
        f"**Without labels**, {silent} of {len(still)} values of tests and scores under concept "
        "and technical shifts are exactly those in distribution: the sequences are the same."
    )
    if len(moved):
        strong = moved[moved["severity"] == moved["severity"].max()]
        best = strong.groupby("shift", sort=False)["value"].max()
        seen = "; ".join(f"{SHIFTS[str(name)]} in {value:.0%}" for name, value in best.items())
        text += f" Covariate shifts are seen by the best test, at full severity: {seen} of worlds."
    return text


def _tail(own: pd.DataFrame) -> str:
    """Coverage in one tail, unrepaired and repaired; empty where a part of it is missing."""
    covered = own[own["metric"] == "picp_90"]
    sizes = own.loc[own["uncertainty"] == "few_shot", "variant"].str[2:].astype(int)
    named = {
        "single": ("", "unrepaired"),
        "std_scaling": ("", "with std scaling"),
        "weighted_cp": (ESTIMATED, "weighted by an estimated ratio"),
    }
    if len(sizes):
        named["few_shot"] = (f"k={sizes.max()}", f"with {sizes.max()} labels")
    texts = [
        f"{interval(row)} {text}"
        for name, (variant, text) in named.items()
        for _, row in covered[
            (covered["uncertainty"] == name) & (covered["variant"] == variant)
        ].iterrows()
    ]
    weights = own[own["variant"] == ESTIMATED].groupby("metric")["value"].mean()
    if {"infinite_90", "n_eff"} <= set(weights.index):
        texts.append(
            f"the weights leave an effective {weights['n_eff']:.0f} calibration elements and make "
            f"{weights['infinite_90']:.0%} of the intervals infinite"
        )
    return ", ".join(texts)


def _assays(rows: pd.DataFrame) -> list[str]:
    """Per assay: coverage beyond both tails, unrepaired, weighted, and with labels."""
    rows = rows[(rows["data"] != "simulation") & (rows["by"] == "")]
    sentences = []
    for data, part in rows.groupby("data", sort=False):
        tails = [(SHIFTS[name], part[part["shift"] == name]) for name in ("gc_high", "gc_low")]
        texts = [f"{name}: {_tail(own)}" for name, own in tails if len(own)]
        if texts:
            name = DATA.get(str(data), str(data))
            sentences.append(f"**{name}**, coverage of 90 % intervals. {'. '.join(texts)}.")
    return sentences

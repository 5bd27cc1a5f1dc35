"""The card of a forecaster: accurate? calibrated? sure where it is right? And what to do next.

In: rows of one forecaster on one part (see :mod:`lib.study.results`), and of its ranking. Out:
:class:`Light`, three of them, as a card or as cells of a leaderboard.
"""

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from lib.page import names
from lib.page.charts import GREEN, GREY, ORANGE, VERMILION
from lib.page.grammar import interval, one, pick

COLOURS = {"yes": GREEN, "in part": ORANGE, "no": VERMILION, "not known": GREY}
ACCURATE, NEAR, FAR = 0.5, 0.03, 0.1  # share of the variance; how far coverage may be off
RULES = (
    f"Accurate: yes from {100 * ACCURATE:.0f} % of the variance explained, no where none surely "
    f"is. Calibrated: yes within {NEAR:.2f} of the promised coverage, no beyond {FAR:.2f}. Sure "
    "where it is right: yes where the half with the smaller std has less error than all, and less "
    "than the best rule leaves that knows nothing of uncertainty; in part where only the former "
    "holds."
)


class Light(NamedTuple):
    """An answer of :data:`COLOURS`, in few words, in a sentence, and what to do about it."""

    answer: str
    short: str
    sentence: str
    remedy: str = ""


def _accurate(rows: pd.DataFrame) -> Light:
    r2, r = (one(rows, metric=name) for name in ("r2_cod", "pearson_r"))
    if r2 is None or not math.isfinite(r2["value"]):
        return Light("not known", "", "There is nothing to explain: targets do not vary.")
    certain = r2["lower"] if pd.notna(r2["lower"]) else r2["value"]
    answer = "yes" if r2["value"] >= ACCURATE else "in part" if certain > 0 else "no"
    known = r is not None and math.isfinite(r["value"])
    beside = f"; predictions and targets correlate at r = {interval(r)}" if known else ""
    said = f"The forecast explains {interval(r2)} of the variance (R²){beside}."
    remedy = "" if answer == "yes" else (
        "Accuracy: ask first what noise allows, which replicates would tell, then compare with "
        "motif kernels on the same folds."
    )  # fmt: skip
    return Light(answer, f"R² {interval(r2)}", said, remedy)


def _calibrated(rows: pd.DataFrame) -> Light:
    held, z = (one(rows, metric=name) for name in ("picp_90", "zms"))
    if held is None:
        return Light("not known", "", "No interval was given.")
    off, said = abs(held["value"] - 0.9), f"90 % intervals hold {interval(held)} of the targets"
    answer = "yes" if off <= NEAR else "in part" if off <= FAR else "no"
    remedy = ""
    if z is not None and z["value"] > 0:
        root = math.sqrt(z["value"])
        if abs(root - 1) < 0.05 or z["lower"] <= 1 <= z["upper"]:
            said += "; the predicted std is of the size of the errors"
        else:
            times, size = max(root, 1 / root), "small" if root > 1 else "large"
            said += f"; the predicted std is {times:.2f} times too {size}"
        if answer != "yes":
            remedy = f"Intervals: multiply std by {root:.2f}, or take split conformal intervals."
    return Light(answer, f"coverage {interval(held)}", f"{said}.", remedy)


def _sure(rows: pd.DataFrame, ranking: pd.DataFrame) -> Light:
    half = one(ranking, effect="risk_ratio_50", score="std")
    simple = pick(ranking, effect="risk_over_trivial")
    if half is None or pd.isna(half["value"]):
        return Light("not known", "", "Nobody ranked these forecasts by their std.")
    said = f"The half with the smaller std has {interval(half)} times the squared error of all"
    if pd.isna(half["upper"]) or half["upper"] >= 1:
        rank = one(rows, metric="unc_error_spearman")
        why = "" if rank is None else f": its rank correlation with the error is {interval(rank)}"
        return Light("no", f"kept half {interval(half)}", f"{said}.", f"Do not rank by std{why}.")
    short = f"kept half {interval(half)}"
    if simple.empty:
        return Light("in part", short, f"{said}; no simple rule was asked.")
    best = simple.loc[simple["value"].idxmax()]
    by = names.SCORES[best["score"]]
    if best["upper"] < 1:
        return Light("yes", short, f"{said}; rejecting by {by} leaves more.")
    much, does = ("less", "better") if best["lower"] > 1 else ("no more", "as well")
    remedy = f"Ranking: {by} does {does}, as far as one can tell, and asks for no uncertainty."
    return Light("in part", short, f"{said}; rejecting by {by} leaves {much}.", remedy)


def lights(rows: pd.DataFrame, ranking: pd.DataFrame) -> dict[str, Light]:
    """The three lights of a forecaster, by question."""
    return {
        "Accurate?": _accurate(rows),
        "Calibrated?": _calibrated(rows),
        "Sure where it is right?": _sure(rows, ranking),
    }


def lamp(light: Light, said: str) -> str:
    """A coloured spot, the answer in words, and more."""
    spot = f'<span class="lamp" style="color:{COLOURS[light.answer]}" aria-hidden="true">●</span>'
    return f"{spot} <strong>{light.answer}</strong> {html.escape(said)}"


class Card(NamedTuple):
    """A forecaster's lights under a title, as HTML."""

    title: str
    lights: dict[str, Light]

    def _repr_html_(self) -> str:
        rows: Sequence[str] = [
            f'<dt style="font-weight:600">{question}</dt><dd>{lamp(light, light.sentence)}</dd>'
            for question, light in self.lights.items()
        ]
        advice = [html.escape(light.remedy) for light in self.lights.values() if light.remedy]
        steps = "".join(f"<li>{step}</li>" for step in advice)
        after = f"<p><strong>What to do next</strong></p><ul>{steps}</ul>" if steps else ""
        return (
            '<div class="card-of-lights" style="border:1px solid #7f7f7f88;border-radius:.5rem;'
            f'padding:.75rem 1rem;margin:1rem 0"><p><strong>{html.escape(self.title)}</strong></p>'
            f"<dl>{''.join(rows)}</dl>{after}</div>"
        )

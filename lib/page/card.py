"""The card of a forecaster: accurate? calibrated? sure where it is right? And what to do next.

In: rows of one forecaster on one part (see :mod:`lib.study.results`), and of its ranking. Out:
:class:`Light`, three of them, as a card or as cells of a leaderboard.
"""

import html
import math
from typing import NamedTuple

import pandas as pd
from IPython.display import HTML

from lib.page import names
from lib.page.charts import GREEN, GREY, ORANGE, VERMILION
from lib.page.grammar import interval, one, pick

COLOURS = {"yes": GREEN, "in part": ORANGE, "no": VERMILION, "not known": GREY}
MANY = 100_000  # elements
# Share of the variance, how far coverage may be off, rows that a light needs.
ACCURATE, NEAR, FAR, FEWEST = 0.5, 0.03, 0.1, 10
RULES = (
    f"Accurate: yes if at least {100 * ACCURATE:.0f} % of the variance is explained, no if perhaps "
    f"none is. Calibrated: yes if coverage is within {NEAR:.2f} of what is promised, no if it is "
    f"off by more than {FAR:.2f}, and not by chance. Sure where it is right: yes if the half with "
    "the smaller std has less error than all, and less than any rule leaves that knows nothing of "
    "uncertainty; in part if only the former holds."
)


class Light(NamedTuple):
    """An answer of :data:`COLOURS`, in few words, in a sentence, and what to do about it."""

    answer: str
    short: str
    sentence: str
    remedy: str = ""

    def lamp(self, said: str) -> str:
        """A coloured spot, the answer in words, and more."""
        look = f"border-radius:50%;background:{COLOURS[self.answer]}"
        spot = f'<span style="display:inline-block;width:.7em;height:.7em;{look}"></span>'
        return f"{spot} <strong>{self.answer}</strong> {html.escape(said)}"


def _ends(row: pd.Series) -> tuple[float, float]:
    """Of an interval; without one a value of many elements stands for itself, of few for any."""
    if pd.notna(row["lower"]) and pd.notna(row["upper"]):
        return row["lower"], row["upper"]
    exact = row.get("n", math.inf) > MANY
    return (row["value"], row["value"]) if exact else (-math.inf, math.inf)


def _accurate(rows: pd.DataFrame) -> Light:
    r2, r = (one(rows, metric=name, value=math.isfinite) for name in ("r2_cod", "pearson_r"))
    if r2 is None:
        return Light("not known", "", "There is nothing to explain: targets do not vary.")
    answer = "yes" if r2["value"] >= ACCURATE else "in part" if _ends(r2)[0] > 0 else "no"
    fits, fails = "explains {} of the variance (R²)", "errs more than the mean would (R² {})"
    said = "The forecast " + (fails if r2["value"] < 0 else fits).format(interval(r2))
    said += "" if r is None else f"; it correlates with the targets at r = {interval(r)}"
    remedy = "Accuracy: ask what noise allows, then compare with motif kernels on the same folds."
    return Light(answer, f"R² {interval(r2)}", f"{said}.", "" if answer == "yes" else remedy)


def calibrated(rows: pd.DataFrame) -> Light:
    """Whether intervals hold what they promise."""
    held, z = (one(rows, metric=name, value=math.isfinite) for name in ("picp_90", "zms"))
    if held is None or z is None:
        return Light("not known", "", "No interval was given.")
    (low, high), off = _ends(held), round(abs(held["value"] - 0.9), 9)
    answer = "yes" if off <= NEAR else "in part" if off <= FAR or low <= 0.9 <= high else "no"
    root, (least, most) = math.sqrt(z["value"]), _ends(z)
    size = "of the size of the errors" if root > 0 else "not needed: there are no errors"
    if root > 0 and not (least <= 1 <= most or abs(root - 1) < 0.05):
        size = f"{max(root, 1 / root):.2f} times too {'small' if root > 1 else 'large'}"
    said = f"90 % intervals hold {interval(held)} of the targets; the predicted std is {size}."
    remedy = f"Intervals: multiply std by {root:.2f}, or take split conformal intervals."
    remedy = remedy if root else "Intervals: no errors at all; had the model seen the targets?"
    return Light(answer, f"coverage {interval(held)}", said, "" if answer == "yes" else remedy)


def _sure(rows: pd.DataFrame, ranking: pd.DataFrame) -> Light:
    half = one(ranking, effect="risk_ratio_50", score="std", value=math.isfinite)
    simple = pick(ranking, effect="risk_over_trivial", value=math.isfinite)
    if half is None or simple.empty:
        return Light("not known", "", "Nobody ranked these forecasts by their std.")
    short = f"kept half {interval(half)}"
    said = f"The half with the smaller std has {interval(half)} times the squared error of all"
    if _ends(half)[1] >= 1:
        rank = one(rows, metric="unc_error_spearman")
        why = "" if rank is None else f": its rank correlation with the error is {interval(rank)}"
        return Light("no", short, f"{said}.", f"Ranking: do not rank by std{why}.")
    best = simple.sort_values("value").iloc[-1]
    by, (least, most) = names.SCORES[best["score"]], _ends(best)
    if most < 1:
        return Light("yes", short, f"{said}; rejecting by {by} leaves more.")
    much, does = ("less", "better") if least > 1 else ("no more", "as well")
    remedy = f"Ranking: {by} does {does}, as far as one can tell, and asks for no uncertainty."
    return Light("in part", short, f"{said}; rejecting by {by} leaves {much}.", remedy)


def lights(rows: pd.DataFrame, ranking: pd.DataFrame) -> dict[str, Light]:
    """The three lights of a forecaster, by question."""
    found = _accurate(rows), calibrated(rows), _sure(rows, ranking)
    if rows["n"].max() < FEWEST:
        found = (Light("not known", "", f"Fewer than {FEWEST} rows cannot tell."),) * 3
    return dict(zip(("Accurate?", "Calibrated?", "Sure where it is right?"), found, strict=True))


def card(title: str, found: dict[str, Light]) -> HTML:
    """The lights under a title, and what to do next."""
    terms = "".join(
        f'<dt style="font-weight:600">{question}</dt><dd>{light.lamp(light.sentence)}</dd>'
        for question, light in found.items()
    )
    steps = [html.escape(light.remedy) for light in found.values() if light.remedy]
    after = f"<p><strong>What to do next</strong></p><ul><li>{'</li><li>'.join(steps)}</li></ul>"
    head = f"<p><strong>{html.escape(title)}</strong></p>"
    return HTML(f'<div class="lights">{head}<dl>{terms}</dl>{after if steps else ""}</div>')

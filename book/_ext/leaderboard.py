"""Sphinx extension: the leaderboard of an assay, made of the cards of the book's forecasters.

In: rows of notebook 02's group arm and of notebook 04's ranking, in ``results/``; with the option
``plain`` those of notebook 05. Out: the directive ``leaderboard``, with an assay's name as its
argument: a line per forecaster, best CRPS first, and the cards, folded; and ``rules``, from when on
a light is what.
"""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from findings import AnswerDirective, table
from front import output
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lib.page import card, names
from lib.page.grammar import interval, one, pick

# Of a forecaster with several kinds of std that which it is best used with.
KINDS = ("ensemble", "single", "constant_sigma")
HEADS = ("forecaster", "CRPS", "r")
PLAIN = {"CRPS": "crps_gaussian", "r": "pearson_r", "RMSE": "rmse"}
# These have one std for all elements too.
BASELINES = ("mean", "gc_ridge", "kmer_ridge", "memoriser")
# What others are asked to compare with, and what chooses it.
ASKED = ("motif_kernel", "stack", "leading")
CONSTANT = card.Light(
    "no",
    "one std for all",
    "Its std is the same for every element, so it cannot say where it is right.",
    "Ranking: not possible, its std is the same for every element.",
)


def forecasters(
    rows: pd.DataFrame, condition: str = ""
) -> list[tuple[str, dict[str, str], pd.DataFrame]]:
    """Name, keys and rows of every forecaster in distribution, the best CRPS first."""
    rows = pick(rows, split="test", shift="", condition=condition, by="", seed=pd.isna)
    found = []
    for (model, prior), own in rows.groupby(["model", "prior"], sort=False):
        kind = next((kind for kind in KINDS if (own["uncertainty"] == kind).any()), None)
        if kind is not None:
            told = names.MODELS["motif_network"] if prior == "motif_jaspar" else None
            word = told or names.MODELS.get(model, model)
            word += ", ensemble" if kind == "ensemble" else ""
            word += ", one std for all" if kind == "constant_sigma" else ""
            keys = {"model": model, "prior": prior, "uncertainty": kind}
            found.append((word, keys, pick(own, uncertainty=kind)))
    return sorted(found, key=lambda one_of: _value(one_of[2], "crps_gaussian"))


def _value(rows: pd.DataFrame, metric: str) -> float:
    row = one(rows, metric=metric)
    return float("inf") if row is None else float(row["value"])


def _cell(rows: pd.DataFrame, metric: str) -> str:
    row = one(rows, metric=metric)
    return "" if row is None or pd.isna(row["value"]) else interval(row, 3)


def board(rows: pd.DataFrame, ranking: pd.DataFrame) -> str:
    """The table of an assay's forecasters, and their cards, as HTML."""
    lines, cards = [], []
    for word, keys, own in forecasters(rows):
        model = "motif_network" if keys["prior"] == "motif_jaspar" else keys["model"]
        known = pick(ranking, model=model, uncertainty=keys["uncertainty"])
        lights = card.lights(own, known)
        if keys["uncertainty"] == "constant_sigma" or keys["model"] in BASELINES:
            lights["Sure where it is right?"] = CONSTANT
        if keys["model"] in ASKED:
            lights["Accurate?"] = lights["Accurate?"]._replace(remedy="")
        cells = [html.escape(word), _cell(own, "crps_gaussian"), _cell(own, "pearson_r")]
        cells += [light.lamp(light.short) for light in lights.values()]
        lines.append("".join(f"<td>{cell}</td>" for cell in cells))
        cards.append(card.card(word, lights).data)
    return (
        f"{_lines((*HEADS, *lights) if lines else (), lines)}"
        f'<details class="folded"><summary>The {len(cards)} cards</summary>{"".join(cards)}'
        "</details>"
    )


def plain_board(rows: pd.DataFrame, condition: str) -> str:
    """That of an assay of which neither R² nor a ranking is published: no cards."""
    lines = []
    for word, _, own in forecasters(rows, condition):
        cells = [html.escape(word), *(_cell(own, metric) for metric in PLAIN.values())]
        light = card.calibrated(own)
        lines.append("".join(f"<td>{cell}</td>" for cell in (*cells, light.lamp(light.short))))
    return _lines((HEADS[0], *PLAIN, "Calibrated?"), lines)


def _lines(heads: Sequence[str], lines: Sequence[str]) -> str:
    if not lines:
        raise LookupError("no forecaster of this assay is in the published tables")
    head = "".join(f"<th>{head}</th>" for head in heads)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table class="leaderboard"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


class LeaderboardDirective(AnswerDirective):
    """The directive ``leaderboard``; ``plain`` names the condition of an assay of notebook 05."""

    required_arguments = 1
    option_spec: ClassVar = {"plain": directives.unchanged}

    def content_nodes(self, folder: Path) -> list[nodes.Node]:
        """Everyone's card on one assay."""
        data = self.arguments[0]
        if "plain" in self.options:
            rows = pick(table(folder, "assay_and_program_shifts"), data=data)
            return [output(plain_board(rows, self.options["plain"]))]
        ranking = table(folder, "selective_prediction/effects")
        ranking = pick(ranking, data=data, shift="none", target="measured")
        return [output(board(pick(table(folder, "mpra_gc_ood"), data=data), ranking))]


class RulesDirective(SphinxDirective):
    """The directive ``rules``."""

    def run(self) -> list[nodes.Node]:
        """In words."""
        return [nodes.paragraph(text=card.RULES)]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directives."""
    app.setup_extension("findings")
    app.add_directive("leaderboard", LeaderboardDirective)
    app.add_directive("rules", RulesDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

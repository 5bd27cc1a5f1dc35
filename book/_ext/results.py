"""Sphinx extension: numbers in prose come from the result tables.

In: ``results/<experiment>.csv`` beside the book's folder. Out: the role ``result``, used as
``{result}`mpra_gc_ood data=wtc11 split=test metric=pearson_r ...```: the experiment, then
``column=value`` for as many columns as it takes to name one row (``column=`` for an empty one; a
value with spaces stands in double quotes).
Rows of single fits, single splits and bins are left out unless their column is named. The role
becomes the row's value with its interval. Naming no row, or several, is a warning, which a strict
build turns into an error; a build with ``results_required`` off (the quick report, whose tables
hold less) says "not in this run" instead.

The role ``minutes``, used as ``{minutes}`mpra_gc_ood```, becomes the duration of an experiment's
run, from ``results/manifest.json``.

The role ``verdict``, used as ``{verdict}`C3```, becomes the verdict's word, and the role ``effect``
the effect of the contrast that decides, with its interval; for a claim without a verdict they
become "not judged yet" and a dash.

The directive ``verdicts`` becomes the table of all claims, from ``results/claims.csv`` and, for
those without a verdict yet, ``results/claims/not_judged.csv``; with its option ``short``, what fits
a front page. With a claim as its argument (``{verdicts} C3``) it becomes that claim's statement and
verdict, and the table of its contrasts from ``results/claims/parts.csv``, folded where it is long.
The page ``claims`` needs a heading for each claim, whose anchor is the claim's name in small
letters. Verdicts need published runs, so the quick report says only that.
"""

import csv
import html
import json
import re
import shlex
from collections import Counter
from functools import cache
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

LOGGER = logging.getLogger(__name__)
Row = dict[str, str]
MOST_OPEN = 9  # contrasts of a claim that stand unfolded
USUALLY_EMPTY = ("seed", "split_seed", "by")


@cache
def read_table(path: Path, changed: float) -> list[Row]:
    """Rows of one table; ``changed`` is the file's modification time and keeps the cache honest."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def find_rows(rows: list[Row], wanted: Row) -> list[Row]:
    """The rows whose columns have all the wanted values."""
    wanted = {key: "" for key in USUALLY_EMPTY if rows and key in rows[0]} | wanted
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def show(row: Row) -> str:
    """The value with its interval, to two decimals."""
    value, lower, upper = (row[column] for column in ("value", "lower", "upper"))
    if not (lower and upper):
        return f"{float(value):.2f}"
    return f"{float(value):.2f} ({float(lower):.2f} to {float(upper):.2f})"


class TableRole(SphinxRole):
    """What the roles share: where the tables lie, and what to do when they lack something."""

    def folder(self) -> Path:
        """The folder of the result tables, beside the book's."""
        return Path(self.env.srcdir).parent / "results"

    def absent(self, message: str) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Say that this run does not hold it, and warn where it must."""
        if self.config.results_required:
            LOGGER.warning(message, location=self.get_location())
        return [nodes.emphasis(text="not in this run")], []


class ResultRole(TableRole):
    """The role ``result``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Replace the query by the row it names."""
        experiment, *filters = shlex.split(self.text)
        wanted = dict(part.split("=", 1) for part in filters)
        path = self.folder() / f"{experiment}.csv"
        self.env.note_dependency(str(path))
        rows = []
        if path.is_file():
            rows = find_rows(read_table(path, path.stat().st_mtime), wanted)
        if len(rows) == 1:
            return [nodes.inline(text=show(rows[0]), classes=["result"])], []
        query = " ".join(filters)
        return self.absent(f"{len(rows)} rows of results/{path.name} match {query}; one must")


def show_duration(entry: dict) -> str:
    """Minutes of a run, and how many of its fits it computed itself."""
    minutes = f"{entry['seconds'] / 60:.1f}"
    if "fits" not in entry:
        return minutes
    shared = f", {entry['fits_shared']} of an earlier notebook" if entry.get("fits_shared") else ""
    return f"{minutes}, with {entry['fits_computed']} of {entry['fits']} fits computed{shared}"


class MinutesRole(TableRole):
    """The role ``minutes``: how long an experiment's published run took."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Replace the experiment's name by minutes."""
        path = self.folder() / "manifest.json"
        self.env.note_dependency(str(path))
        manifest = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        if self.text in manifest:
            return [nodes.inline(text=show_duration(manifest[self.text]))], []
        return self.absent(f"results/manifest.json has no entry {self.text}")


class ClaimRole(TableRole):
    """What the roles ``verdict`` and ``effect`` share: the row of a claim."""

    def row(self) -> Row | None:
        """The claim's row; None where it waits for its tables.

        Raises
        ------
        LookupError
            If neither table of verdicts names the claim.
        """
        found = []
        for name in ("claims.csv", "claims/not_judged.csv"):
            path = self.folder() / name
            self.env.note_dependency(str(path))
            if path.is_file():
                rows = read_table(path, path.stat().st_mtime)
                found += [row for row in rows if row["id"] == self.text]
        if len(found) != 1:
            raise LookupError(f"{len(found)} rows of results/claims.csv are of {self.text}")
        return found[0] if "verdict" in found[0] else None


class VerdictRole(ClaimRole):
    """The role ``verdict``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Replace the claim by its verdict's word."""
        try:
            row = self.row()
        except LookupError as error:
            return self.absent(str(error))
        if row is None:
            return [nodes.emphasis(text="not judged yet")], []
        return [verdict_word(row["verdict"])], []


class EffectRole(ClaimRole):
    """The role ``effect``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Replace the claim by the effect that decides it."""
        try:
            row = self.row()
        except LookupError as error:
            return self.absent(str(error))
        return [nodes.inline(text=show_effect(row) if row else "–", classes=["result"])], []


def text(content: str) -> list[nodes.Node]:
    """Plain text in the shape of a table's cell."""
    return [nodes.Text(content)]


def make_table(header: list[str], rows: list[list[list[nodes.Node]]], kind: str) -> nodes.table:
    """A table of cells that hold inline nodes; ``kind`` is a class for the style sheet."""

    def line(cells: list[list[nodes.Node]]) -> nodes.row:
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))

    group = nodes.tgroup("", cols=len(header))
    group += [nodes.colspec(colwidth=30) for _ in header]
    group += nodes.thead("", line([text(name) for name in header]))
    group += nodes.tbody("", *(line(row) for row in rows))
    return nodes.table("", group, classes=["verdicts", kind, "colwidths-auto"])


def folded(summary: str, content: nodes.Node) -> list[nodes.Node]:
    """Content that a reader opens by its summary."""
    start = f'<details class="folded"><summary>{html.escape(summary)}</summary>'
    ends = (start, "</details>")
    before, after = (nodes.raw("", end, format="html") for end in ends)
    return [before, content, after]


def show_effect(row: Row) -> str:
    """The effect with its interval, to three decimals: margins are close by."""
    value, lower, upper = (float(row[column]) for column in ("effect", "lower", "upper"))
    return f"{value:.3f} ({lower:.3f}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{upper:.3f})"


def show_count(row: Row) -> str:
    """The count behind an effect, kept on one line."""
    return f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{row['n']}"


def show_others(row: Row) -> str:
    """The verdicts at half and at twice the margin."""
    return f"{row['verdict_half']} / {row['verdict_double']}"


def page_link(env: BuildEnvironment, page: str) -> list[nodes.Node]:
    """A link to a page by its title."""
    reference = addnodes.pending_xref(
        "", nodes.inline(text=page), refdomain="std", reftype="doc", reftarget=f"/{page}"
    )
    reference.attributes |= {"refdoc": env.docname, "refexplicit": False, "refwarn": True}
    return [reference]


def verdict_word(verdict: str) -> nodes.strong:
    """The word, which the style sheet colours."""
    return nodes.strong("", verdict, classes=["verdict", f"verdict-{verdict}"])


def show_verdict(row: Row) -> list[nodes.Node]:
    """The verdict, and how it came about where that needs saying."""
    note = f" ({row['note']})" if row["note"] else ""
    return [verdict_word(row["verdict"]), nodes.Text(note)]


def claim_order(row: Row) -> tuple[str, int]:
    """C2 before C10."""
    number = re.sub(r"\D", "", row["id"])
    return row["id"].rstrip("0123456789"), int(number or 0)


class VerdictsDirective(SphinxDirective):
    """The directive ``verdicts``."""

    optional_arguments = 1
    option_spec: ClassVar = {"short": directives.flag}
    files = ("claims.csv", "claims/parts.csv", "claims/not_judged.csv")

    def run(self) -> list[nodes.Node]:
        """The table of all claims, or one claim with its contrasts."""
        folder = Path(self.env.srcdir).parent / "results"
        tables = []
        for name in self.files:
            path = folder / name
            self.env.note_dependency(str(path))
            if not path.is_file():
                return self.absent(f"results/{name} does not exist; make claims writes it")
            tables.append(read_table(path, path.stat().st_mtime))
        judged, parts, waiting = tables
        if not self.arguments:
            short = "short" in self.options
            return [self.overview(judged, parts, waiting, short)]
        claim = self.arguments[0]
        found = [row for row in [*judged, *waiting] if row["id"] == claim]
        if len(found) != 1:
            return self.absent(f"{len(found)} rows of results/claims.csv are of {claim}; one must")
        return self.one_claim(found[0], [row for row in parts if row["id"] == claim])

    def absent(self, message: str) -> list[nodes.Node]:
        """Say that this run holds no verdict, and warn where it must."""
        if self.config.results_required:
            LOGGER.warning(message, location=self.get_location())
        said = "No verdict in this run: only published full runs are judged."
        return [nodes.paragraph("", "", nodes.emphasis(text=said))]

    def link(self, evidence: str) -> list[nodes.Node]:
        """The page of the evidence by its title, or what the table says where it has no page."""
        page = evidence.split(", ")[0].removesuffix(".html")
        if page not in self.env.found_docs:
            return text(evidence)
        return page_link(self.env, page)

    def anchor(self, claim: str) -> nodes.reference:
        """A link to the claim's section, from whichever page."""
        page = "" if self.env.docname == "claims" else "claims.html"
        return nodes.reference("", claim, refuri=f"{page}#{claim.lower()}", internal=True)

    def overview(
        self, judged: list[Row], parts: list[Row], waiting: list[Row], short: bool
    ) -> nodes.table:
        """All claims, in their order; a claim's own note is left to its section."""
        header = ["claim", "statement", "verdict", "effect, interval, n", "margin"]
        notes = {(row["id"], row["part"]): row["note"] for row in parts}
        lines = []
        for row in sorted([*judged, *waiting], key=claim_order):
            cells = [[self.anchor(row["id"])], text(row["statement"])]
            if "reason" in row:
                said = "not judged yet" if short else f"not judged yet: {row['reason']}"
                cells += [text(said), *(text("–") for _ in range(2 if short else 3))]
                lines.append(cells)
                continue
            if short:
                cells.append([verdict_word(row["verdict"])])
            else:
                note = notes.get((row["id"], row["part"]), "")
                cells.append(show_verdict(row | {"note": note}))
                cells[1] += [nodes.Text(". "), *self.link(row["evidence"])]
            cells += [text(f"{show_effect(row)}, {show_count(row)}"), text(row["margin"])]
            lines.append(cells if short else [*cells, text(show_others(row))])
        if short:
            return make_table(header, lines, "short")
        return make_table([*header, "at half / at twice"], lines, "all")

    def one_claim(self, claim: Row, parts: list[Row]) -> list[nodes.Node]:
        """Statement, verdict and what decided it, then the contrasts."""
        statement = nodes.paragraph("", "", nodes.Text(f"“{claim['statement']}.”"))
        if "reason" in claim:
            return [statement, nodes.paragraph("", f"Not judged yet: {claim['reason']}.")]
        figures = f"{show_effect(claim)}, {show_count(claim)}, margin {claim['margin']}"
        decided = text(f" Decided by: {claim['part']}: {figures}. Evidence: ")
        ending = [*self.link(claim["evidence"]), nodes.Text(".")]
        verdict = nodes.paragraph("", "", *show_verdict(claim), nodes.Text("."), *decided, *ending)
        table = self.contrasts(parts)
        if len(parts) <= MOST_OPEN:
            return [statement, verdict, table]
        counts = Counter(row["verdict"] for row in parts if row["secondary"] != "True")
        said = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
        secondary = len(parts) - sum(counts.values())
        said += f"; {secondary} secondary" if secondary else ""
        return [statement, verdict, *folded(f"All {len(parts)} contrasts: {said}", table)]

    def contrasts(self, parts: list[Row]) -> nodes.table:
        """A claim's contrasts, those that carry no weight marked."""
        header = ["contrast", "effect, interval, n", "margin", "verdict", "at half / at twice"]
        header.append("told from none / supported")
        lines = []
        for row in parts:
            name = row["part"] + (", secondary" if row["secondary"] == "True" else "")
            source = nodes.inline(text=f" {row['table']}.csv", classes=["source"])
            level = f"{100 * float(row['level']):.0f} %, {show_count(row)}"
            cells = [[nodes.Text(name), source], text(f"{show_effect(row)}, {level}")]
            cells += [text(row["margin"]), show_verdict(row), text(show_others(row))]
            cells.append(text(f"{row['told']} / {row['supported']}"))
            lines.append(cells)
        return make_table(header, lines, "contrasts")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the roles, the directive and their switch."""
    app.add_config_value("results_required", True, "env", bool)
    app.add_role("result", ResultRole())
    app.add_role("minutes", MinutesRole())
    app.add_role("verdict", VerdictRole())
    app.add_role("effect", EffectRole())
    app.add_directive("verdicts", VerdictsDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Sphinx extension: numbers in prose come from the result tables.

In: ``results/<experiment>.csv`` beside the book's folder. Out: the role ``result``, used as
``{result}`mpra_gc_ood data=wtc11 split=test metric=pearson_r ...```: the experiment, then
``column=value`` for as many columns as it takes to name one row (``column=`` for an empty one; a
value with spaces stands in double quotes).
Rows of single fits, worlds, folds and bins are left out unless their column is named or the table
has no others. The role becomes the row's value with its interval. Naming no row, or several, is a
warning, which a strict build turns into an error; a build with ``results_required`` off (the quick
report, whose tables hold less) says "not in this run" instead.

The role ``minutes``, used as ``{minutes}`mpra_gc_ood```, becomes the duration of an experiment's
run, from ``results/manifest.json``.

What is said of verdicts stands in the extension ``verdicts``.
"""

import csv
import html
import shlex
from functools import cache
from pathlib import Path

import pandas as pd
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from lib.page.grammar import interval
from lib.statistics.claims import USUALLY_EMPTY
from lib.study.results import read_manifest

LOGGER = logging.getLogger(__name__)
Row = dict[str, str]
ENDS = ("value", "lower", "upper")


@cache
def _read(path: Path, changed: float) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_table(path: Path) -> list[Row]:
    """Rows of one table, read again where the file was changed."""
    return _read(path, path.stat().st_mtime)


def find_rows(rows: list[Row], wanted: Row) -> list[Row]:
    """The rows whose columns have all the wanted values."""
    empty = [key for key in USUALLY_EMPTY if any(row.get(key) == "" for row in rows)]
    wanted = dict.fromkeys(empty, "") | wanted
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def show(row: Row) -> str:
    """The value with its interval if the table has one, as pages write it."""
    return interval(pd.Series({name: float(row.get(name) or "nan") for name in ENDS}))


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
            rows = find_rows(read_table(path), wanted)
        if len(rows) == 1:
            return [nodes.inline(text=show(rows[0]), classes=["result"])], []
        query = " ".join(filters)
        return self.absent(f"{len(rows)} rows of results/{path.name} match {query}; one must")


def minutes(entry: dict) -> str:
    """Minutes of one core that a run took."""
    return f"{max(1, round(entry['seconds'] / 60)):,}"


def show_duration(entry: dict) -> str:
    """The same, and how many of its networks came from elsewhere."""
    if not entry.get("fits_shared"):
        return minutes(entry)
    shared = f"{entry['fits_shared']} of its {entry['fits']} networks are other chapters'"
    return f"{minutes(entry)} ({shared})"


class MinutesRole(TableRole):
    """The role ``minutes``: what an experiment's published run took of one core."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Replace the experiment's name by minutes."""
        self.env.note_dependency(str(self.folder() / "manifest.json"))
        manifest = read_manifest(self.folder())
        if self.text in manifest:
            return [nodes.inline(text=show_duration(manifest[self.text]))], []
        return self.absent(f"results/manifest.json has no entry {self.text}")


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


def page_link(env: BuildEnvironment, page: str) -> list[nodes.Node]:
    """A link to a page by its title."""
    reference = addnodes.pending_xref(
        "", nodes.inline(text=page), refdomain="std", reftype="doc", reftarget=f"/{page}"
    )
    reference.attributes |= {"refdoc": env.docname, "refexplicit": False, "refwarn": True}
    return [reference]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the roles and their switch."""
    app.add_config_value("results_required", True, "env", bool)
    app.add_role("result", ResultRole())
    app.add_role("minutes", MinutesRole())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

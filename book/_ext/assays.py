"""Sphinx extension: what a real assay holds and where it comes from.

In: ``assays.csv`` of the book's folder, which ``python -m tools.describe_assays`` writes, and the
pins of ``lib/assays/sources.tsv``. Out: the directive ``assay``, whose argument names an assay, and
under it the columns of the table to show, each with a head: ``retina_genotypes rho = before rho``.
"""

import csv
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lib.assays.sources import Pin, all_pins
from results import make_table, text

MEASURES = {
    "elements": "rows",
    "length": "letters per row",
    "gc": "GC content: 5 %, median, 95 %",
    "groups": "leak groups",
    "largest": "rows in the largest group",
    "reliability": "reliability",
    "strand": "what two orientations differ by: r of its forecast from 5-mers, over folds",
    "censored": "rows below the limit in some genotype",
}


def facts(path: Path, name: str) -> dict[str, str]:
    """Measures of an assay as they are shown."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["measure"]: float(row["value"]) for row in csv.DictReader(file)
                if row["data"] == name}  # fmt: skip
    if not rows:
        raise KeyError(f"assays.csv has no rows of {name}")
    gc = [f"{rows.pop(f'gc_{quantile}'):.2f}" for quantile in ("05", "50", "95")]
    shown = {what: f"{value:.2f}" if what in ("reliability", "strand") else f"{value:,.0f}"
             for what, value in rows.items()}  # fmt: skip
    return shown | {"gc": ", ".join(gc)}


def sources(pins: list[Pin]) -> nodes.bullet_list:
    """Where the files of an assay lie, under which licence, and as what they are pinned."""
    items = []
    for repository in dict.fromkeys(pin.repository for pin in pins):
        own = [pin for pin in pins if pin.repository == repository]
        address = f"https://github.com/{repository}/tree/{own[0].commit}"
        link = nodes.reference("", repository, refuri=address)
        said = (
            f" at commit {own[0].commit[:12]}, {len(own)} file{'s' * (len(own) > 1)}, each pinned "
            f"by its hash; licence: {own[0].licence}."
        )
        paragraph = nodes.paragraph("", "Source: ", link, nodes.Text(said))
        items.append(nodes.list_item("", paragraph))
    return nodes.bullet_list("", *items)


class AssayDirective(SphinxDirective):
    """The directive ``assay``."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {name: directives.unchanged for name in ("paths", "reliability")}

    def run(self) -> list[nodes.Node]:
        """Its table."""
        path = Path(self.env.srcdir) / "assays.csv"
        self.env.note_dependency(str(path))
        columns = dict(part.split(" = ") for part in self.content)
        found: dict[str, Any] = {head: facts(path, name) for name, head in columns.items()}
        dropped = {what for own in found.values() for what in own if what.startswith("dropped")}
        lines = []
        for what, words in (MEASURES | {what: what for what in sorted(dropped)}).items():
            cells = [own.get(what, "–") for own in found.values()]
            if what == "reliability" and "reliability" in self.options:
                words += f": {self.options['reliability']}"
            if any(cell != "–" for cell in cells):
                lines.append([text(words), *(text(cell) for cell in cells)])
        paths = self.options.get("paths", "").split()
        pins = [pin for pin in all_pins() if pin.dataset == self.arguments[0]
                and (not paths or any(part in pin.path for part in paths))]  # fmt: skip
        return [make_table(["measure", *columns.values()], lines, "assay"), sources(pins)]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directive."""
    app.add_directive("assay", AssayDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Sphinx extension: figures and tables of the book's own pages, made from the published tables.

In: ``results/`` beside the book's folder. Out: the directive ``headline``, the figure of coverage
under every shift. A build with ``results_required`` off (the quick report, whose tables may hold
less) says "not in this run" where a strict one warns.
"""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from lib import headline

LOGGER = logging.getLogger(__name__)


class TablesDirective(SphinxDirective):
    """What the directives share: where the tables lie, and what to do when they lack something."""

    def content_nodes(self, folder: Path) -> list[nodes.Node]:
        """What the directive becomes, from the tables of ``folder``."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """The content, or a note that this run's tables do not hold it."""
        folder = Path(self.env.srcdir).parent / "results"
        try:
            return self.content_nodes(folder)
        except (FileNotFoundError, ValueError) as error:
            if self.config.results_required:
                LOGGER.warning(str(error), location=self.get_location())
            return [nodes.paragraph("", "", nodes.emphasis(text="Not in this run."))]


def output(body: str) -> nodes.raw:
    """HTML in the frame of a notebook's output, which scrolls by itself where it is wide."""
    frame = f'<div class="cell_output"><div class="output text_html">{body}</div></div>'
    return nodes.raw("", frame, format="html")


class HeadlineDirective(TablesDirective):
    """The directive ``headline``."""

    def content_nodes(self, folder: Path) -> list[nodes.Node]:
        """Coverage under every shift."""
        for name in ("simulation_shifts", "mpra_gc_ood", "assay_and_program_shifts"):
            self.env.note_dependency(str(folder / f"{name}.csv"))
        return [output(headline.figure(folder)._repr_html_())]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directive; the roles' extension brings the switch ``results_required``."""
    app.setup_extension("results")
    app.add_directive("headline", HeadlineDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

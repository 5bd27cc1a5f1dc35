"""Sphinx extension: the table of published runs, and the frame of a drawn output.

In: ``results/`` beside the book's folder. Out: the directive ``runs``, the table of published runs:
their time, and whether the code is still the one they ran with. A build with ``results_required``
off (the quick report, whose tables may hold less) says "not in this run" where a strict one warns.
A strict build also warns of every published file that was altered after its run.
"""

from abc import abstractmethod
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lib.study.results import Published, published_runs, read_manifest
from results import LOGGER, make_table, minutes, page_link, text

MOST_NAMED = 6  # modules of a stale page


class TablesDirective(SphinxDirective):
    """What the directives share: where the tables lie, and what to do when they lack something."""

    @abstractmethod
    def content_nodes(self, folder: Path) -> list[nodes.Node]:
        """What the directive becomes, from the tables of ``folder``."""

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


class RunsDirective(TablesDirective):
    """The directive ``runs``."""

    def content_nodes(self, folder: Path) -> list[nodes.Node]:
        """Each published run with its time and the state of its source."""
        self.env.note_dependency(str(folder / "manifest.json"))
        manifest = read_manifest(folder)
        if not manifest:
            raise FileNotFoundError("results/manifest.json does not exist; make publish writes it")
        runs = {run.experiment: run for run in published_runs(folder.parent)}
        lines = []
        for page in sorted(self.env.found_docs):
            name = page.rpartition("/")[2].partition("_")[2]
            if page.startswith("experiments/") and name in runs:
                entry = manifest[name]
                own, fits = entry.get("fits_computed", 0), entry.get("fits", 0)
                machines = entry.get("processors") or [entry.get("machine", "")]
                cells = minutes(entry), f"{own} of {fits}", ", ".join(machines)
                told = [text(cell) for cell in (*cells, entry.get("dtype", ""))]
                lines.append([page_link(self.env, page), *told, source_state(runs[name])])
        header = ["notebook", "minutes of one core", "networks trained for it", "processor"]
        header += ["precision", "computed with"]
        return [make_table(header, lines, "runs")]


def source_state(run: Published) -> list[nodes.Node]:
    """Whether the source is that of the run, and which modules differ."""
    if run.current:
        return text("the present source")
    names = [name.removeprefix("lib.") for name in run.modules]
    if not names:
        return text("an earlier source of modules it did not record")
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    shown = nodes.literal(text=", ".join(names[:MOST_NAMED]))
    return [*text("an earlier source of "), shown, *text(more)]


def warn_of_altered_files(app: Sphinx) -> None:
    """An edited table or page is not what its run wrote."""
    if app.config.results_required:
        for run in published_runs(Path(app.srcdir).parent):
            for name in run.altered:
                LOGGER.warning("%s was altered after its run; make publish writes it anew", name)


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directives; the roles' extension brings the switch ``results_required``."""
    app.setup_extension("verdicts")
    app.add_directive("runs", RunsDirective)
    app.connect("builder-inited", warn_of_altered_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

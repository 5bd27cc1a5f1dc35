"""Sphinx extension: what the site says of itself.

In: ``CITATION.cff`` and ``results/manifest.json`` of the repository, and the setting
``repository_address``, the one place that says where the repository is; it may be empty. Out: an
icon, a description and a social card's texts in the head of each page; version, date of the
results and licence at its foot; the directives ``cite``, a box with what to cite, and
``get-source``, how to get the source. Whatever needs an address is left out while there is none.
"""

import html
import math
import re
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lib.page.charts import BLUE, VERMILION
from lib.study.config import repository_root
from lib.study.results import read_manifest

DESCRIPTION = (
    "What distribution shift does to models of regulatory DNA, and whether they notice: a "
    "simulator with known truth, real reporter assays, and the claims of arXiv 2601.14969, with "
    "code to rerun."
)
LONGEST = 200  # letters of a description
PAPER = "https://arxiv.org/abs/2601.14969"


def icon() -> str:
    """Two bell curves, one beside the other: the picture of a shift.

    Examples
    --------
    >>> icon().count("<path")
    2
    """
    curves = []
    for centre, colour in ((11, BLUE), (20, VERMILION)):
        points = [(x, 28 - 24 * math.exp(-(((x - centre) / 5) ** 2) / 2)) for x in range(1, 32, 2)]
        line = "L".join(f"{x} {y:.1f}" for x, y in points)
        curves.append(f'<path d="M{line}Z" fill="{colour}" fill-opacity=".75"/>')
    view = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    return f"{view}{''.join(curves)}</svg>\n"


def citation() -> dict[str, Any]:
    """Content of ``CITATION.cff``."""
    found: dict[str, Any] = yaml.safe_load((repository_root() / "CITATION.cff").read_text("utf-8"))
    return found


def results_date(folder: Path) -> str:
    """The last day on which a published table was computed; empty where none says so."""
    return max((entry.get("date", "") for entry in read_manifest(folder).values()), default="")


def first_words(body: str) -> str:
    """The first paragraph of a page, as a description."""
    for paragraph in re.findall(r"<p>(.*?)</p>", body, re.S):
        said = " ".join(html.unescape(re.sub(r"<[^>]+>", "", paragraph)).split())
        if len(said) > 60:
            return said if len(said) <= LONGEST else said[: said.rfind(" ", 0, LONGEST)] + " …"
    return DESCRIPTION


def describe(app: Sphinx, pagename: str, template: str, context: dict, doctree: object) -> None:
    """Head and foot of a page."""
    front = pagename == app.config.root_doc
    said = DESCRIPTION if front else first_words(context.get("body", ""))
    title = re.sub(r"<[^>]+>", "", context.get("title", "")) or app.config.project
    tags = {"og:title": title, "og:description": said, "og:site_name": app.config.project}
    tags |= {"og:type": "website" if front else "article"}
    lines = [f'<meta name="description" content="{html.escape(said)}">']
    lines.append('<meta name="twitter:card" content="summary">')
    lines += [
        f'<meta property="{name}" content="{html.escape(html.unescape(text))}">'
        for name, text in tags.items()
    ]
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)
    context["favicon_url"] = context["pathto"]("_static/favicon.svg", resource=True)
    about, computed = citation(), results_date(Path(app.srcdir).parent / "results")
    parts = [f"Version {about['version']}", f"{about['license']} licence"]
    parts += [f"results of {computed}"] if computed else []
    parts.append(f'not by the author of <a href="{PAPER}">arXiv 2601.14969</a>')
    if address := app.config.repository_address:
        parts.append(f'<a href="{html.escape(address)}">source</a>')
    context["theme_extra_footer"] = f"<p>{' · '.join(parts)}</p>"


class CiteDirective(SphinxDirective):
    """The directive ``cite``: a box with what to cite."""

    def run(self) -> list[nodes.Node]:
        """The companion, its version and the paper it examines."""
        about, paper = citation(), citation()["references"][0]
        address = self.config.repository_address
        authors = " and ".join(author["name"] for author in about["authors"])
        year = paper["year"]
        entry = (
            f"@software{{regulatory_shift_companion,\n  author = {{{{{authors}}}}},\n"
            f"  title = {{{about['title']}}},\n  version = {{{about['version']}}},\n"
            f"  year = {{{year}}}"
        )
        entry += f",\n  url = {{{address}}}\n}}" if address else "\n}"
        of_paper = paper["authors"][0]
        names = f"{of_paper['family-names']}, {of_paper['given-names']}"
        ours = f"This companion, version {about['version']}, under the {about['license']} licence:"
        theirs = f"And the paper whose claims it examines: {names} ({year}). {paper['title']}. "
        link = nodes.reference("", "arXiv:2601.14969", refuri=PAPER)
        box = nodes.admonition("", nodes.title(text="To cite"), classes=["note"])
        box += nodes.paragraph(text=ours)
        box += nodes.literal_block(entry, entry, language="bibtex")
        box += nodes.paragraph("", theirs, link, nodes.Text("."))
        return [box]


class GetSourceDirective(SphinxDirective):
    """The directive ``get-source``."""

    def run(self) -> list[nodes.Node]:
        """The command, or what to do with an archive."""
        if address := self.config.repository_address:
            command = f"git clone {address}\ncd {address.rstrip('/').split('/')[-1]}"
            return [nodes.literal_block(command, command, language="sh")]
        said = (
            "This site does not know the address of its source. Ask whoever gave you the site for "
            "the archive, unpack it and go to its folder."
        )
        return [nodes.paragraph(text=said)]


def write_icon(app: Sphinx, config: Any) -> None:
    """Put the icon among the static files."""
    folder = Path(app.outdir).parent / "icon"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "favicon.svg").write_text(icon(), "utf-8")
    config.html_static_path.append(str(folder))


def setup(app: Sphinx) -> dict[str, object]:
    """Register the setting, the directives and the steps."""
    app.add_config_value("repository_address", "", "html", str)
    app.add_directive("cite", CiteDirective)
    app.add_directive("get-source", GetSourceDirective)
    app.connect("config-inited", write_icon)
    app.connect("html-page-context", describe, priority=940)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

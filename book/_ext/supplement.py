"""Sphinx extension: a chapter's supplement is folded.

In: a section with the title "Supplement". Out: the same section, its heading in sight and the rest
in a ``details`` element that names its parts; headings, links to them and the numbers of figures
stay as they were. ``_static/folds.js`` opens a fold that a link leads into, and all of them for
print. A notebook's cells cannot stand inside a directive, or this would be one.
"""

import html

from docutils import nodes
from sphinx.application import Sphinx

TITLE = "Supplement"


def fold(app: Sphinx, doctree: nodes.document) -> None:
    """Put what follows the heading into a fold."""
    for section in list(doctree.findall(nodes.section)):
        if section[0].astext() == TITLE:
            parts = [each[0].astext() for each in section if isinstance(each, nodes.section)]
            said = " · ".join(html.escape(part) for part in parts) or "More"
            start = f'<details class="folded supplement"><summary>{said}</summary>'
            section.insert(1, nodes.raw("", start, format="html"))
            section += nodes.raw("", "</details>", format="html")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the step, which follows once a page is read."""
    app.connect("doctree-read", fold)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

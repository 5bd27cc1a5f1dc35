"""Sphinx extension: drawings made while the book is built, with the code beside them.

In: Python in the body of the directive ``drawn``. A page's directives share their names, from the
first to the last, as the cells of a notebook do. Out: what the last line gives, if it draws itself
as HTML, and under it the code, folded. The role ``drawn`` becomes the value of an expression in the
same names, such as ``{drawn}`f"{share:.0%}"```. What fails is a warning, which a strict build turns
into an error.
"""

import ast
from typing import Any

from docutils import nodes
from front import output
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from results import folded

LOGGER = logging.getLogger(__name__)


def names(env: Any) -> dict[str, Any]:
    """What the page being read has defined so far."""
    found: dict[str, Any] = env.temp_data.setdefault("drawn", {})
    return found


def run(code: str, known: dict[str, Any]) -> Any:
    """Run code; returns the value of its last line where that is an expression, else None."""
    body = ast.parse(code)
    last = body.body.pop() if body.body and isinstance(body.body[-1], ast.Expr) else None
    exec(compile(body, "<page>", "exec"), known)
    return last and eval(compile(ast.Expression(last.value), "<page>", "eval"), known)


class DrawnDirective(SphinxDirective):
    """The directive ``drawn``."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The drawing, and its code."""
        code = "\n".join(self.content)
        try:
            found = run(code, names(self.env))
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            LOGGER.warning("a drawing failed: %s", said, location=self.get_location())
            return [nodes.paragraph("", "", nodes.emphasis(text="Not drawn."))]
        shown = [output(found._repr_html_())] if hasattr(found, "_repr_html_") else []
        block = nodes.literal_block(code, code, language="python")
        return [*shown, *folded("The code", block)]


class DrawnRole(SphinxRole):
    """The role ``drawn``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The value of an expression."""
        try:
            found = run(self.text, names(self.env))
        except Exception as error:
            LOGGER.warning("%s failed: %s", self.text, error, location=self.get_location())
            found = "?"
        return [nodes.inline(text=str(found), classes=["result"])], []


def setup(app: Sphinx) -> dict[str, object]:
    """Register directive and role."""
    app.add_directive("drawn", DrawnDirective)
    app.add_role("drawn", DrawnRole())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

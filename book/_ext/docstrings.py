"""Sphinx extension: the package's docstrings as pages.

In: docstrings as autodoc reads them. Out: the same, with a bar taken as a bar: in a formula such as
``|error|`` it stands for an absolute value, where reStructuredText would look for a substitution.
"""

import re

from sphinx.application import Sphinx

LITERAL = re.compile(r"(``[^`]*``)")


def keep_bars(line: str) -> str:
    """Escape the bars of a line, but not those in literal text or an example."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    parts = LITERAL.split(line)
    return "".join(part if LITERAL.fullmatch(part) else part.replace("|", r"\|") for part in parts)


def process(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Escape the bars of a docstring in place."""
    lines[:] = [keep_bars(line) for line in lines]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the step, before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", process, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

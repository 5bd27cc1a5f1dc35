"""Audits a table of predictions, or a model on an assay: what ``make audit`` calls.

In: a path. Out: ``runs/audit/<name>/`` with the executed notebook, its tables and one HTML file
without scripts that asks nothing of any other place. An error is one line, and leaves the page and
the tables of an earlier audit as they were.
"""

import html
import re
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from lib.study.report import NotebookError, run_notebook
from lib.study.results import write_atomic

NOTEBOOK = "08_audit_your_own"
WAYS = ("predictions", "table", "dataset", "model")
FILES = ("predictions", "table")

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1a1a1a; --link: #0a58ca; }
@media (prefers-color-scheme: dark) {
  :root { --page: #121212; --text: #e8e8e8; --link: #8ab4f8; }
}
html { background: var(--page); color: var(--text); }
a { color: var(--link); }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 sans-serif;
  overflow-wrap: break-word; }
figure { margin: 1.5rem 0; overflow-x: auto; }
figcaption { max-width: 45rem; font-size: .9rem; }
img { max-width: 100%; height: auto; background: #fff; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .2rem .6rem; text-align: left; }
tbody tr { border-top: 1px solid #7f7f7f55; }
.anchor-link { display: none; }
"""
# Even a mistake in the page could then load nothing and run nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def slug(name: str) -> str:
    """A name as a folder's: letters, digits, hyphens and underscores.

    Examples
    --------
    >>> slug("../=my table.csv")
    'my_table'
    """
    return re.sub(r"[^A-Za-z0-9-]+", "_", Path(name).name.split(".")[0]).strip("_") or "audit"


def standalone(body: str, title: str) -> str:
    """A page of its own from the HTML of a notebook's cells: drawings in place of live charts."""
    soup = BeautifulSoup(body, "html.parser")
    for element in soup.select("script, .chart-live"):
        element.decompose()
    for figure in soup.select("figure"):
        figure["tabindex"] = "0"  # a wide one scrolls, by keys too
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{soup}</main></body></html>\n"
    )


def convert(notebook: Path, title: str) -> str:
    """The page of an executed notebook, without its code."""
    from nbconvert import HTMLExporter

    hidden = ("exclude_input", "exclude_input_prompt", "exclude_output_prompt")
    exporter = HTMLExporter(template_name="basic", **dict.fromkeys(hidden, True))
    return standalone(exporter.from_filename(str(notebook))[0], title)


def audit(root: Path, parameters: dict[str, Any], profile: str) -> Path:
    """Run the notebook of the repository ``root`` and write its page; returns the page's path.

    ``parameters`` are those of notebook 08, one of :data:`WAYS` at least.

    Raises
    ------
    ValueError
        With the reason, where a file is missing or the notebook stops.
    """
    for way in FILES:
        if way in parameters and not Path(parameters[way]).is_file():
            raise ValueError(f"there is no file {parameters[way]}; give the path of a table")
    name = next(str(parameters[way]) for way in WAYS if way in parameters)
    out = root / "runs" / "audit" / slug(name)
    try:
        run_notebook(root, NOTEBOOK, profile, out, parameters)
    except NotebookError as error:
        raise ValueError(error.reason) from None
    experiment = NOTEBOOK.partition("_")[2]
    # Tables older than this run's first are those that only an earlier audit of that name wrote.
    start = (out / "results" / f"{experiment}.csv").stat().st_mtime_ns
    for path in (out / "results" / experiment).glob("*.csv"):
        if path.stat().st_mtime_ns < start:
            path.unlink()
    page = out / "audit.html"
    executed = out / "notebooks" / f"{NOTEBOOK}.ipynb"
    write_atomic(page, convert(executed, f"Audit of {Path(name).name}"))
    return page

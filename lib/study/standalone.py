"""An executed notebook as one HTML file that asks nothing of any other place.

In: a notebook whose outputs are those of :mod:`lib.page.charts`. Out: HTML without scripts: text,
tables, every chart as a drawing in the page, light or dark as the reader's system is, and the data
behind it as a link that holds them.
"""

import base64
import html
import re
import subprocess
import sys
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from bs4.element import PreformattedString

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
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .2rem .6rem; text-align: left; }
tbody tr { border-top: 1px solid #7f7f7f55; }
.anchor-link { display: none; }
"""
# Even a mistake in the page could then load nothing and run nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_SVG = "data:image/svg+xml;base64,"
_TEXT = "#333333"  # of the drawings that lib.page.charts embeds
# Parts of a drawing that call themselves pictures would each need a label; the whole has one.
_ROLES = re.compile(r' (?:role="graphics-[^"]*"|aria-roledescription="[^"]*")')


def _drawing(image: Tag, number: int) -> str:
    """An embedded drawing as an element of the page, its names its own."""
    svg = base64.b64decode(str(image["src"]).removeprefix(_SVG)).decode()
    svg = _ROLES.sub("", svg[svg.index("<svg") :]).replace(_TEXT, "currentColor")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="d{number}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#d{number}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#d{number}-\1"', svg)
    label = html.escape(str(image.get("alt", "")))
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def standalone(body: str, title: str) -> str:
    """A page of its own from the HTML of a notebook's cells.

    Parameters
    ----------
    body : str
        What nbconvert's template ``basic`` gives.
    title : str
        Of the page, as text.

    Examples
    --------
    >>> "<script" in standalone("<p>a</p><script>1</script>", "mine")
    False
    """
    soup = BeautifulSoup(body, "html.parser")
    for element in soup.select("script, .chart-live"):
        element.decompose()
    for figure in soup.select("figure"):
        figure["tabindex"] = "0"  # a wide one scrolls, by keys too
    for number, image in enumerate(soup.select(f'img[src^="{_SVG}"]')):
        # As it stands: the parser would write names like viewBox in small letters.
        image.replace_with(PreformattedString(_drawing(image, number)))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{soup}</main></body></html>\n"
    )


def convert(notebook: Path, title: str) -> str:
    """The page of an executed notebook, without its code.

    Raises
    ------
    RuntimeError
        If nbconvert fails, with what it said.
    """
    options = ["--to", "html", "--template", "basic", "--no-input", "--stdout"]
    done = subprocess.run(
        [sys.executable, "-m", "nbconvert", *options, "--log-level=ERROR", str(notebook)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"nbconvert could not convert {notebook}: {done.stderr.strip()[-300:]}")
    return standalone(done.stdout, title)

"""An executed notebook as one HTML file that asks nothing of any other place.

In: a notebook whose outputs are those of :mod:`lib.plots`. Out: HTML without scripts: text, tables,
and every chart as a drawing in the page, light or dark as the reader's system is.
"""

import base64
import re
import subprocess
import sys
from pathlib import Path

_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 sans-serif; }
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
_LIVE = re.compile(r'<div class="chart-live".*?</div>', re.S)
_SCRIPT = re.compile(r"<script\b.*?</script>", re.S | re.I)
_IMAGE = re.compile(
    r'<img class="chart-print" alt="([^"]*)" src="data:image/svg\+xml;base64,([^"]+)"\s*/?>'
)
_TEXT = "#333333"  # of the drawings that lib.plots embeds


def _drawing(label: str, encoded: str, number: int) -> str:
    """An embedded drawing as an element of the page, its names its own."""
    svg = base64.b64decode(encoded).decode().replace(_TEXT, "currentColor")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="([^"]+)"', rf'id="d{number}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#d{number}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#d{number}-\1"', svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def standalone(body: str, title: str) -> str:
    """A page of its own from the HTML of a notebook's cells.

    Parameters
    ----------
    body : str
        What nbconvert's template ``basic`` gives.
    title : str
        Of the page, without markup.

    Examples
    --------
    >>> "<script" in standalone("<p>a</p><script>1</script>", "mine")
    False
    """
    content = _SCRIPT.sub("", _LIVE.sub("", body))
    count = iter(range(len(content)))
    content = _IMAGE.sub(lambda found: _drawing(found[1], found[2], next(count)), content)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{content}</main></body></html>\n"
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

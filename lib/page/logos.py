"""Sequence logos as static pictures, drawn by logomaker.

In: scores per position. Out: SVG, and what a notebook displays.
"""

import html
import io
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import logomaker
import matplotlib as mpl
import numpy as np
import pandas as pd
from IPython.display import HTML
from matplotlib.figure import Figure as Canvas
from numpy.typing import ArrayLike

from lib.arrays import FloatArray
from lib.page.charts import BLUE, GREEN, ORANGE, VERMILION, linked, not_asked

FAINT = 0.1  # letters lower than this share of the highest are left out of a drawing
_STYLE: Any = {"svg.hashsalt": "logos", "svg.fonttype": "path", "font.size": 8}
_COLOURS = dict(zip("ACGT", (GREEN, BLUE, ORANGE, VERMILION), strict=True))

Span = tuple[int, int, str]  # half-open, and its name


def drawing(name: str, svg: str, caption: str) -> HTML:
    """A static picture with its caption, under an anchor unique on its page; see ``Figure``."""
    caption = html.escape(caption)
    if not svg:
        return HTML(not_asked(caption))
    return HTML(
        f'<figure class="drawing" id="{name}">'
        f'<img alt="{caption}" src="{linked("image/svg+xml", svg)}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def spans(names: Iterable[str]) -> list[Span]:
    """Runs of one name along the positions; an empty name is none.

    Examples
    --------
    >>> spans(["", "CRX", "CRX", "NRL"])
    [(1, 3, 'CRX'), (3, 4, 'NRL')]
    """
    found, start = [], 0
    for name, run in groupby(names):
        end = start + len(list(run))
        found += [(start, end, name)] if name else []
        start = end
    return found


def letters(codes: ArrayLike, scores: ArrayLike) -> FloatArray:
    """The letter that stands at each position, as high as its score; the faintest left out."""
    score = np.asarray(scores, dtype=float)
    score = np.where(np.abs(score) < FAINT * np.abs(score).max(), 0.0, score)
    return np.eye(5)[np.asarray(codes, dtype=int)][:, :4] * score[:, None]


def score_logos(panels: Sequence[tuple[str, FloatArray, Sequence[Span]]]) -> str:
    """Titled letters as high as their ``(L, 4)`` scores, negative ones hanging; spans are shaded.

    The same panels give the same bytes; none of them gives nothing.
    """
    if not panels:
        return ""
    every, file = np.concatenate([scores for _, scores, _ in panels]), io.StringIO()
    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(6.5, 1.2 * len(panels)), layout="constrained")
        axes = canvas.subplots(len(panels), squeeze=False).ravel()
        for axis, (title, scores, marked) in zip(axes, panels, strict=True):
            if np.any(scores):  # logomaker has no height for letters that are all 0
                table = pd.DataFrame(scores, columns=list("ACGT"))
                logomaker.Logo(table, ax=axis, color_scheme=_COLOURS, show_spines=False)
            below = {"transform": axis.get_xaxis_transform(), "ha": "center", "va": "top"}
            for start, end, name in marked:
                axis.axvspan(start - 0.5, end - 0.5, color="#DDDDDD", zorder=-2, linewidth=0)
                axis.text((start + end - 1) / 2, 0, name, fontsize=9, **below)
            axis.set_title(title, fontsize=9, loc="left")
            axis.set(xticks=[], ylim=(every.min(), every.max() or 1))  # alike in all panels
        canvas.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    # Outlines to a tenth of a point: less than anybody sees, and half the file.
    return re.sub(
        r'(?<= d=")[^"]*', lambda outline: re.sub(r"(\.\d)\d+", r"\1", outline[0]), file.getvalue()
    )

"""Charts of the book: one theme, tables in, offline HTML out.

In: tidy tables of aggregates. Out: :class:`Figure`: an Altair chart drawn by the bundle that the
book ships, a static SVG for print and for readers without scripts, a caption, and the plotted data
as CSV. Each kind of chart takes an anchor, rows, the names of the columns to show, and of those
that are its axes. Colours are those of Okabe and Ito (2008), which colour-blind readers can tell
apart; text takes the page's colour, light or dark.
"""

import base64
import html
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from lib.study.results import without_formulas

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
BLUE, VERMILION, GREEN, PINK, ORANGE, SKY, GREY = PALETTE
# A thing has one colour on all pages; what is not listed takes the next that is free.
_THINGS = {
    BLUE: "network|CNN|one network|inside|predicted std|GC",
    VERMILION: "shifted|measured|trained below|effect rewiring|effect rewiring, d=0.5",
    GREEN: "transformer|matched|rescaled|order by the errors|cell type|motif density|noise",
    PINK: "frozen oracle|placebo|order by the true std|GC distance|best offset and gain",
    ORANGE: "BiLSTM|leading forecaster|trained above|epistemic std|batch",
    SKY: "simulated twin|sealed forecast|ensemble|depth|mean far from average|from controls",
    GREY: "baseline|none|training mean|random order|in distribution|PWM perturbation",
}
COLOURS = {thing: colour for colour, things in _THINGS.items() for thing in things.split("|")}
MOST_OPEN = 20  # rows of a table that stand unfolded

Spec = dict[str, Any]  # of Vega-Lite, or a part of one

# Of a static picture; on screen a script makes panels as wide as there is room for.
_SIZE: Spec = {"width": 300, "height": 200}
_DASHED: Any = {"strokeDash": [5, 4], "color": GREY}
_TEXT = "currentColor"
# Of a drawing that is shown as an image: words for scripts, and a third decimal of pixels.
_UNSEEN = re.compile(r' ((aria-\w+|class|role)="[^"]*"|opacity="1")|(?<=\.\d\d)\d+(?=[,)"A-Z])')
_MINUS = re.compile(r"^-(?=\d)|(?<=[ (\[])-(?=\d)")  # of a number, not of a word
_WORDS = {"labelColor": _TEXT, "titleColor": _TEXT, "labelFontSize": 12, "titleFontSize": 12}
_LINES = {"tickColor": GREY, "domainColor": GREY, "gridColor": GREY, "gridOpacity": 0.25}
_CONFIG: Spec = {
    "background": None,
    "aria": False,  # the element around the chart carries the label
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": _WORDS | _LINES | {"titleFontWeight": "normal"},
    # More than three columns would run off a narrow page.
    "legend": _WORDS | {"labelLimit": 0, "titleLimit": 0, "orient": "top", "columns": 3},
    "header": _WORDS | {"labelFontSize": 13},
    "title": {"color": _TEXT, "anchor": "start", "fontSize": 13},
    "range": {"category": list(PALETTE)},
}


@dataclass(frozen=True, eq=False)
class Figure:
    """A chart with its caption, ready for display; without data it says what was not asked for.

    ``name`` is its anchor and file name, unique on its page; ``chart`` the Altair chart without
    theme; ``data`` what is plotted, as readers download it.
    """

    name: str
    chart: Any
    data: pd.DataFrame
    caption: str

    @property
    def spec(self) -> Spec:
        """The Vega-Lite specification, with theme and caption, the same bytes on every run."""
        return _renamed(self.chart.to_dict() | {"config": _CONFIG, "description": self.caption})

    def _repr_html_(self) -> str:
        caption = html.escape(self.caption)
        if self.data.empty:
            return not_asked(caption)
        spec = json.dumps(self.spec, separators=(",", ":"))
        svg = _UNSEEN.sub("", vl_convert.vegalite_to_svg(spec)).replace(_TEXT, "#333333")
        data = without_formulas(self.data).to_csv(index=False, float_format="%.6g")
        # A "<" in the data could end the script element that the specification stands in.
        script = spec.replace("<", "\\u003c")
        return (
            f'<figure class="chart" id="{self.name}">'
            f'<div class="chart-live" id="{self.name}-live" role="img" aria-label="{caption}">'
            "</div>"
            f'<img class="chart-print" alt="{caption}" src="{linked("image/svg+xml", svg)}">'
            f"<figcaption>{caption} "
            f'<a download="{self.name}.csv" href="{linked("text/csv", data)}">Data (CSV)</a>'
            f"</figcaption></figure>"
            f"<script>document.addEventListener('DOMContentLoaded',function(){{"
            f"if(window.vegaEmbed)vegaEmbed('#{self.name}-live',{script},"
            f"{{actions:false,renderer:'svg'}})"
            f".then(function(){{document.getElementById('{self.name}').classList.add('drawn')}})"
            f"}});</script>"
        )


@dataclass(frozen=True, eq=False)
class Table:
    """A table with a caption; whatever its cells hold is shown as text.

    A table of more than 20 rows is folded: readers open it. One without rows is not shown.
    """

    data: pd.DataFrame
    caption: str

    def _repr_html_(self) -> str:
        if self.data.empty:
            return ""
        look: Any = {"border": 0, "na_rep": "", "justify": "left"}
        body = self.data.map(_shown).to_html(index=False, escape=True, **look)
        if len(self.data) > MOST_OPEN:
            summary = f"Show all {len(self.data)} rows"
            body = f'<details class="folded"><summary>{summary}</summary>{body}</details>'
        caption = html.escape(self.caption)
        return f'<figure class="table"><figcaption>{caption}</figcaption>{body}</figure>'


def not_asked(caption: str) -> str:
    """What stands where a figure would, had the run asked for it."""
    return f'<figure class="chart"><figcaption>Not asked for: {caption}</figcaption></figure>'


def linked(kind: str, content: str) -> str:
    """A link that holds its content."""
    return f"data:{kind};base64,{base64.b64encode(content.encode()).decode()}"


def _shown(cell: Any) -> Any:
    """A cell as it is read: three significant digits, whole numbers in full, a true minus."""
    if pd.api.types.is_float(cell) or pd.api.types.is_integer(cell):
        number = float(cell)
        whole = number.is_integer() or abs(number) >= 1000
        cell = "" if math.isnan(number) else f"{number:,.0f}" if whole else f"{number:.3g}"
    return _MINUS.sub("\N{MINUS SIGN}", cell) if isinstance(cell, str) else cell


def _table(rows: pd.DataFrame, show: str) -> pd.DataFrame:
    """The columns that a figure shows; rows there are none of may lack some."""
    shown = show.split()
    return rows[shown].round(4) if len(rows) else pd.DataFrame(columns=shown)


def _renamed(spec: Spec) -> Spec:
    """Replace Altair's counters and hashes in names: they differ from session to session."""
    text = json.dumps(spec)
    names = [*spec.get("datasets", {}), *re.findall(r'"(view_\d+)"', text)]
    for index, name in enumerate(dict.fromkeys(names)):
        text = text.replace(json.dumps(name), json.dumps(f"n{index}"))
    return dict(json.loads(text))


def _number(channel: Any, column: str, title: str, ticks: Iterable[float] = ()) -> Any:
    """On a linear scale, or with ``ticks`` on a logarithmic one that has these."""
    at = sorted(set(ticks))
    look: Any = {"scale": alt.Scale(type="log", nice=False), "axis": alt.Axis(values=at)}
    return channel(f"{column}:Q", title=title, **(look if at else {"scale": alt.Scale(zero=False)}))


def _colour(column: str, table: pd.DataFrame) -> "alt.Color":
    names = table[column].dropna().unique().tolist()
    taken = {COLOURS.get(name) for name in names}
    free = cycle([colour for colour in PALETTE if colour not in taken])
    colours = [COLOURS.get(name) or next(free) for name in names]
    scale = alt.Scale(domain=names, range=colours)
    return alt.Color(f"{column}:N", title=None, sort=None, scale=scale)


def _dashed(table: pd.DataFrame, reference: float | str | None, axis: str) -> list[Any]:
    at = {axis: f"{reference}:Q" if isinstance(reference, str) else alt.datum(reference)}
    return [] if reference is None else [alt.Chart(table).mark_rule(**_DASHED).encode(**at)]


def _figure(
    anchor: str,
    table: pd.DataFrame,
    layers: list[Any],
    size: Spec,
    caption: str,
    facet: str | None = None,
    columns: int = 2,
) -> Figure:
    """Layers as one chart, or ``columns`` side by side, one for each value of ``facet``."""
    chart: Any = alt.layer(*layers).properties(**size)
    if facet is not None:
        chart = chart.facet(alt.Facet(f"{facet}:N", title=None), columns=columns)
        chart = chart.resolve_scale(x="independent", y="independent")
    return Figure(anchor, chart, table, caption)


def lines(
    anchor: str,
    rows: pd.DataFrame,
    show: str,
    x: str,
    y: str = "value",
    *,
    colour: str,
    x_title: str,
    y_title: str,
    caption: str,
    reference: float | None = None,
    diagonal: bool = False,
    joined: bool = True,
    log: bool = False,
    marks: Mapping[str, float] | None = None,
    **panels: Any,
) -> Figure:
    """Points, ``joined`` by lines, with bars where there is a ``lower``; ``diagonal`` is y = x.

    ``marks`` are named places along x. With ``log``, x is logarithmic. With ``facet``, a column,
    there are panels, in so many ``columns``.
    """
    table = _table(rows, show)
    along = _number(alt.X, x, x_title, table[x] if log else ())
    base = alt.Chart(table).encode(x=along, color=_colour(colour, table))
    height = _number(alt.Y, y, y_title)
    layers: list[Any] = [base.mark_line(strokeWidth=2).encode(y=height)] if joined else []
    layers.append(base.mark_point(filled=True, size=45).encode(y=height, tooltip=[*table]))
    if {"lower", "upper"} <= set(table.columns):
        ends = {"y": _number(alt.Y, "lower", y_title), "y2": "upper:Q"}
        layers.append(base.mark_rule(opacity=0.6).encode(**ends))
    layers += _dashed(table, reference, "y")
    if marks:
        places = alt.Chart(pd.DataFrame({"mark": [*marks], x: [*marks.values()]}))
        named = places.mark_text(angle=270, align="left", dy=-4, color=_TEXT)
        layers.append(places.mark_rule(**_DASHED, opacity=0.4).encode(x=along))
        layers.append(named.encode(text="mark:N", y=alt.value(_SIZE["height"] - 4), x=along))
    if diagonal:
        layers.append(alt.Chart(table).mark_line(**_DASHED).encode(x=f"{x}:Q", y=f"{x}:Q"))
    return _figure(anchor, table, layers, _SIZE, caption, **panels)


def dots(
    anchor: str,
    rows: pd.DataFrame,
    show: str,
    y: str,
    x: str = "value",
    *,
    colour: str,
    x_title: str,
    caption: str,
    order: str | Iterable[str] | None = None,
    reference: float | str | None = None,
    **panels: Any,
) -> Figure:
    """Values with bars from ``lower`` to ``upper``, one line of dots per ``y``.

    ``order`` names lines from top to bottom, or a column: its categories, or as its values appear.
    ``reference`` is one place, or a column of places. ``facet`` and ``columns`` as for
    :func:`lines`.
    """
    table = _table(rows, show)
    sort: Any = table[order] if isinstance(order, str) else order
    if sort is not None:
        sort = getattr(getattr(sort, "cat", sort), "categories", sort)
        sort = [word for word in dict.fromkeys(sort) if word in set(table[y])]
    base = alt.Chart(table).encode(
        y=alt.Y(f"{y}:N", title=None, sort=sort),
        yOffset=alt.YOffset(f"{colour}:N", sort=None),
        color=_colour(colour, table),
    )
    place = {"x": _number(alt.X, x, x_title), "tooltip": [*table]}
    layers = [
        base.mark_rule(strokeWidth=2).encode(x=_number(alt.X, "lower", x_title), x2="upper:Q"),
        base.mark_point(filled=True, size=60, opacity=1).encode(**place),
        *_dashed(table, reference, "x"),
    ]
    # A height by steps: with a fixed one, Vega-Lite loses the offsets inside facets.
    step = alt.Step(12, **{"for": "offset"})
    size = {"width": 230 if panels.get("facet") else 500, "height": step}
    return _figure(anchor, table, layers, size, caption, **panels)


def heat_map(
    anchor: str,
    rows: pd.DataFrame,
    show: str,
    x: str,
    y: str,
    *,
    x_title: str,
    title: str,
    caption: str,
    domain: tuple[float, float],
    middle: float,
    facet: str,
    columns: int = 3,
) -> Figure:
    """Cells coloured by their ``value`` about a middle one, which stands in them.

    ``x`` and ``y`` stand in the order of the rows. ``title`` is that of the colours; values beyond
    the ``domain`` take its end colours.
    """
    table = _table(rows, show)
    ends = [domain[0], middle, domain[1]]
    scale = alt.Scale(domain=ends, range=[VERMILION, "#F2F2F2", BLUE], clamp=True)
    fill = alt.Color("value:Q", title=title, scale=scale, legend=alt.Legend(format=".2f"))
    # A cell holds its column's label; of a number, its own three digits are the widest.
    width = max([38, *(7 * len(str(label)) for label in table[x].unique())])
    panels = []
    # Panels side by side rather than facets: those cannot size their cells one by one.
    for name, part in table.groupby(facet, sort=False, observed=True):
        base = alt.Chart(part).encode(
            x=alt.X(f"{x}:O", title=x_title, sort=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y(f"{y}:N", title=None, sort=None),
            tooltip=[*table],
        )
        deep = f"(datum.value - {middle}) / {domain[1] - middle} > 0.6"  # blue, too dark for black
        ink = alt.condition(deep, alt.value("#FFFFFF"), alt.value("#222222"))
        layers = (
            base.mark_rect().encode(color=fill),
            base.mark_text(fontSize=11).encode(text=alt.Text("value:Q", format=".2f"), color=ink),
        )
        size = {"width": alt.Step(width), "height": alt.Step(22), "title": str(name)}
        panels.append(alt.layer(*layers).properties(**size))
    return Figure(anchor, alt.concat(*panels, columns=columns), table, caption)

"""Charts of the book: one theme, tables in, offline HTML out.

In: tidy tables of aggregates. Out: :class:`Figure`, which a notebook displays: an interactive Vega
chart drawn by the bundle that the book ships, a static SVG for print and for readers without
scripts, a caption, and the plotted data as CSV. Each kind of chart takes an anchor, rows, the names
of the columns to show, and of those that are its axes. Colours are those of Okabe and Ito (2008),
which colour-blind readers can tell apart; text takes the page's colour, light or dark.
"""

import base64
import html
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from lib.study.results import without_formulas

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
BLUE, VERMILION, GREEN, _, ORANGE, _, GREY = PALETTE
MOST_ROWS = 5000
MOST_OPEN = 20  # rows of a table that stand unfolded
PANEL = {"width": 200, "height": 180}

_TEXT = "currentColor"
_WORDS = {"labelColor": _TEXT, "titleColor": _TEXT}
_LINES = {"tickColor": GREY, "domainColor": GREY, "gridColor": GREY, "gridOpacity": 0.25}
_SIZES = {"labelFontSize": 12, "titleFontSize": 12}
_CONFIG: dict[str, Any] = {
    "background": None,
    "aria": False,  # the element around the chart carries the label
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": _WORDS | _LINES | _SIZES | {"titleFontWeight": "normal"},
    # More than three columns would run off a narrow page.
    "legend": _WORDS | {"labelFontSize": 12, "labelLimit": 0, "orient": "top", "columns": 3},
    "header": _WORDS | {"labelFontSize": 13},
    "title": {"color": _TEXT, "anchor": "start", "fontSize": 13},
    "range": {"category": list(PALETTE)},
}


@dataclass(frozen=True, eq=False)
class Figure:
    """A chart with its caption, ready for display; without data it says what was not asked for.

    Attributes
    ----------
    name : str
        Anchor and file name: letters, digits and hyphens; unique on its page.
    chart : altair chart
    data : DataFrame
        What is plotted, as readers download it.
    caption : str
        What to see.
    """

    name: str
    chart: Any
    data: pd.DataFrame
    caption: str

    def __post_init__(self) -> None:
        if not self.name.replace("-", "").isalnum():
            raise ValueError(f"figure name {self.name!r}; use letters, digits and hyphens")
        if len(self.data) > MOST_ROWS:
            raise ValueError(
                f"figure {self.name!r} plots {len(self.data)} rows (limit {MOST_ROWS}); aggregate"
            )

    @property
    def spec(self) -> dict[str, Any]:
        """The Vega-Lite specification, with theme and caption, the same bytes on every run."""
        alt.data_transformers.disable_max_rows()
        spec = self.chart.configure().to_dict()
        spec["config"] = _CONFIG
        spec["description"] = self.caption
        return _renamed(spec)

    def _repr_html_(self) -> str:
        caption = html.escape(self.caption)
        if self.data.empty:
            return not_asked(caption)
        spec = self.spec
        svg = vl_convert.vegalite_to_svg(json.dumps(spec)).replace(_TEXT, "#333333")
        image = base64.b64encode(svg.encode()).decode()
        data = without_formulas(self.data).to_csv(index=False, float_format="%.6g")
        table = base64.b64encode(data.encode()).decode()
        # A "<" in the data could end the script element that the specification stands in.
        script = json.dumps(spec, separators=(",", ":")).replace("<", "\\u003c")
        return (
            f'<figure class="chart" id="{self.name}">'
            f'<div class="chart-live" id="{self.name}-live" role="img" aria-label="{caption}">'
            "</div>"
            f'<img class="chart-print" alt="{caption}" src="data:image/svg+xml;base64,{image}">'
            f"<figcaption>{caption} "
            f'<a download="{self.name}.csv" href="data:text/csv;base64,{table}">Data (CSV)</a>'
            f"</figcaption></figure>"
            f"<script>document.addEventListener('DOMContentLoaded',function(){{"
            f"if(window.vegaEmbed)vegaEmbed('#{self.name}-live',{script},"
            f"{{actions:false,renderer:'svg'}})"
            f".then(function(){{document.getElementById('{self.name}').classList.add('drawn')}})"
            f"}});</script>"
        )


def not_asked(caption: str) -> str:
    """What stands where a figure would, had the run asked for it."""
    return f'<figure class="chart"><figcaption>Not asked for: {caption}</figcaption></figure>'


def _renamed(spec: dict[str, Any]) -> dict[str, Any]:
    """Replace Altair's counters and hashes in names: they differ from session to session."""
    text = json.dumps(spec)
    names = [*spec.get("datasets", {})]
    names += [p["name"] for p in _with_key(spec, "name") if str(p["name"]).startswith("view_")]
    for index, name in enumerate(dict.fromkeys(names)):
        text = text.replace(json.dumps(name), json.dumps(f"n{index}"))
    renamed: dict[str, Any] = json.loads(text)
    return renamed


def _with_key(node: Any, key: str) -> list[dict[str, Any]]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    found = [item for child in children for item in _with_key(child, key)]
    return [node, *found] if isinstance(node, dict) and key in node else found


def _x(column: str, title: str) -> alt.X:
    return alt.X(f"{column}:Q", title=title, scale=alt.Scale(zero=False))


def _y(column: str, title: str) -> alt.Y:
    return alt.Y(f"{column}:Q", title=title, scale=alt.Scale(zero=False))


def _colour(column: str) -> alt.Color:
    return alt.Color(f"{column}:N", title=None, sort=None)


def _tooltip(rows: pd.DataFrame) -> list[alt.Tooltip]:
    return [alt.Tooltip(column) for column in rows.columns]


def _dashed(rows: pd.DataFrame, reference: float | None, axis: str) -> list[Any]:
    rule = alt.Chart(rows).mark_rule(strokeDash=[5, 4], color=GREY)
    return [] if reference is None else [rule.encode(**{axis: alt.datum(reference)})]


def _panels(chart: Any, facet: str | None, columns: int) -> Any:
    if facet is None:
        return chart
    panels = chart.facet(alt.Facet(f"{facet}:N", title=None), columns=columns)
    return panels.resolve_scale(x="independent", y="independent")


def _table(rows: pd.DataFrame, show: str, digits: int) -> pd.DataFrame:
    """The columns that a figure shows; rows there are none of may lack some."""
    table = rows[show.split()] if len(rows) else pd.DataFrame(columns=show.split())
    return table.round(digits)


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
    facet: str | None = None,
    reference: float | None = None,
    diagonal: bool = False,
    columns: int = 2,
    digits: int = 4,
) -> Figure:
    """Lines with points, and bars where there is a ``lower``; ``diagonal`` draws y = x."""
    table = _table(rows, show, digits)
    base = alt.Chart(table).encode(x=_x(x, x_title), color=_colour(colour))
    height = _y(y, y_title)
    layers = [
        base.mark_line(strokeWidth=2).encode(y=height),
        base.mark_point(filled=True, size=45).encode(y=height, tooltip=_tooltip(table)),
    ]
    if {"lower", "upper"} <= set(table.columns):
        layers.append(base.mark_rule(opacity=0.6).encode(y=_y("lower", y_title), y2="upper:Q"))
    layers += _dashed(table, reference, "y")
    if diagonal:
        line = alt.Chart(table).mark_line(strokeDash=[5, 4], color=GREY)
        layers.append(line.encode(x=f"{x}:Q", y=f"{x}:Q"))
    chart = _panels(alt.layer(*layers).properties(**PANEL), facet, columns)
    return Figure(anchor, chart, table, caption)


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
    facet: str | None = None,
    reference: float | None = None,
    columns: int = 2,
    digits: int = 4,
) -> Figure:
    """Values with bars from ``lower`` to ``upper``, one line of dots per ``y``.

    ``order`` names lines from top to bottom, or a column: its categories, or as its values appear.
    """
    table = _table(rows, show, digits)
    sort: Any = table[order] if isinstance(order, str) else order
    if sort is not None:
        sort = getattr(getattr(sort, "cat", sort), "categories", sort)
        sort = [word for word in dict.fromkeys(sort) if word in set(table[y])]
    base = alt.Chart(table).encode(
        y=alt.Y(f"{y}:N", title=None, sort=sort),
        yOffset=alt.YOffset(f"{colour}:N", sort=None),
        color=_colour(colour),
    )
    points = base.mark_point(filled=True, size=60, opacity=1)
    layers = [
        base.mark_rule(strokeWidth=2).encode(x=_x("lower", x_title), x2="upper:Q"),
        points.encode(x=_x(x, x_title), tooltip=_tooltip(table)),
        *_dashed(table, reference, "x"),
    ]
    # A height by steps: with a fixed one, Vega-Lite loses the offsets inside facets.
    width = PANEL["width"] * (1.5 if facet is None else 1)
    size = {"width": width, "height": alt.Step(12, **{"for": "offset"})}
    chart = _panels(alt.layer(*layers).properties(**size), facet, columns)
    return Figure(anchor, chart, table, caption)


def scatter(
    anchor: str,
    rows: pd.DataFrame,
    show: str,
    x: str,
    y: str,
    *,
    colour: str,
    x_title: str,
    y_title: str,
    caption: str,
    reference: float | None = None,
    digits: int = 4,
) -> Figure:
    """One point per row."""
    table = _table(rows, show, digits)
    points = alt.Chart(table).mark_point(filled=True, size=50, opacity=0.8)
    points = points.encode(
        x=_x(x, x_title), y=_y(y, y_title), color=_colour(colour), tooltip=_tooltip(table)
    )
    size = {"width": 1.5 * PANEL["width"], "height": PANEL["height"]}
    chart = alt.layer(points, *_dashed(table, reference, "y")).properties(**size)
    return Figure(anchor, chart, table, caption)


def histogram(
    anchor: str,
    rows: pd.DataFrame,
    show: str,
    *,
    colour: str,
    x_title: str,
    caption: str,
    facet: str | None = None,
    digits: int = 4,
) -> Figure:
    """Overlaid step histograms from bins: columns ``left``, ``right`` and ``share``."""
    table = _table(rows, show, digits)
    bars = alt.Chart(table).mark_bar(opacity=0.5, stroke=GREY, strokeWidth=0.3)
    bars = bars.encode(
        x=alt.X("left:Q", title=x_title, bin="binned", scale=alt.Scale(zero=False)),
        x2="right:Q",
        y=alt.Y("share:Q", title="share of elements", stack=None, axis=alt.Axis(format="%")),
        color=_colour(colour),
        tooltip=_tooltip(table),
    )
    return Figure(anchor, _panels(bars.properties(**PANEL), facet, 2), table, caption)


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
    digits: int = 4,
) -> Figure:
    """Cells coloured by their ``value`` about a middle one, which stands in them.

    ``x`` and ``y`` stand in the order of the rows. ``title`` is that of the colours; values beyond
    the ``domain`` take its end colours.
    """
    table = _table(rows, show, digits)
    ends = [domain[0], middle, domain[1]]
    scale = alt.Scale(domain=ends, range=[VERMILION, "#F2F2F2", BLUE], clamp=True)
    colour = alt.Color("value:Q", title=title, scale=scale, legend=alt.Legend(format=".2f"))
    # A cell holds its column's label; of a number, its own three digits are the widest.
    width = max([38, *(7 * len(str(label)) for label in table[x].unique())])
    panels = []
    # Panels side by side rather than facets: those cannot size their cells one by one.
    for name in dict.fromkeys(table[facet]):
        base = alt.Chart(table[table[facet] == name]).encode(
            x=alt.X(f"{x}:O", title=x_title, sort=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y(f"{y}:N", title=None, sort=None),
            tooltip=_tooltip(table),
        )
        cells = base.mark_rect().encode(color=colour)
        text = base.mark_text(fontSize=11, color="#222222")
        text = text.encode(text=alt.Text("value:Q", format=".2f"))
        size = {"width": alt.Step(width), "height": alt.Step(22), "title": name}
        panels.append(alt.layer(cells, text).properties(**size))
    return Figure(anchor, alt.concat(*panels, columns=columns), table, caption)


def _plain_number(value: float) -> str:
    """Three significant digits, whole numbers in full."""
    return f"{value:.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"


@dataclass(frozen=True, eq=False)
class Table:
    """A table with a caption; whatever its cells hold is shown as text.

    A table of more than 20 rows is folded: readers open it. One without rows is not shown.

    Attributes
    ----------
    data : DataFrame
    caption : str
    """

    data: pd.DataFrame
    caption: str

    def _repr_html_(self) -> str:
        if self.data.empty:
            return ""
        body = self.data.to_html(
            index=False,
            escape=True,
            border=0,
            na_rep="",
            float_format=_plain_number,
            justify="left",
        )
        if len(self.data) > MOST_OPEN:
            summary = f"Show all {len(self.data)} rows"
            body = f'<details class="folded"><summary>{summary}</summary>{body}</details>'
        caption = html.escape(self.caption)
        return f'<figure class="table"><figcaption>{caption}</figcaption>{body}</figure>'

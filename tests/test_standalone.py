import base64

import pandas as pd

from lib.plots import Figure, Table, lines
from lib.standalone import standalone


def figure(name, colour):
    data = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "part": [colour] * 2})
    chart = lines(data, "x", "y", colour="part", x_title="x", y_title="y")
    return Figure(name, chart, data, "A caption.")


def test_charts_are_drawings_and_nothing_is_asked_of_others():
    evil = "<script>alert(1)</script>"
    table = Table(pd.DataFrame({"name": [evil]}), "A table.")
    body = "".join(part._repr_html_() for part in (figure("a", evil), figure("b", "x"), table))
    page = standalone(body, "mine")
    assert "<script" not in page and "vegaEmbed" not in page
    assert page.count('<svg role="img" aria-label="A caption."') == 2
    assert "&lt;script&gt;" in page  # shown as text
    assert "currentColor" in page and "data:image" not in page
    links = [part.split('"')[0] for part in page.split('href="')[1:]]
    assert all(link.startswith(("data:text/csv", "#")) for link in links)


def test_names_within_drawings_do_not_meet():
    svg = '<svg><clipPath id="c"/><g clip-path="url(#c)"/></svg>'
    image = base64.b64encode(svg.encode()).decode()
    one = f'<img class="chart-print" alt="a" src="data:image/svg+xml;base64,{image}">'
    page = standalone(one * 2, "mine")
    for number in (0, 1):
        assert f'id="d{number}-c"' in page and f"url(#d{number}-c)" in page

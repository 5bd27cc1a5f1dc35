import base64
import io

import pandas as pd
import pytest

from lib.page.charts import Table, dots, heat_map, lines

ROWS = pd.DataFrame({"data": [*"aabb"], "x": [0.1, 0.2] * 2, "kind": ["one", "two"] * 2})
ROWS["value"] = [1.0, 2.0, 3.0, 4.0]
ROWS = ROWS.assign(lower=ROWS["value"] - 0.1, upper=ROWS["value"] + 0.1)
ALL = "data x kind value lower upper"
SAID = {"colour": "kind", "x_title": "x", "caption": "See <this>."}


def figures(rows=ROWS):
    return [
        lines("a-name", rows, ALL, "x", y_title="y", facet="data", reference=2, **SAID),
        lines("a-name", rows, ALL, "x", y_title="y", diagonal=True, **SAID),
        lines("a-name", rows, ALL, "x", y_title="y", marks={"here": 1.5}, **SAID),
        dots("a-name", rows, ALL, "data", reference=1.0, **SAID),
        dots("a-name", rows, ALL, "kind", facet="data", order="kind", **SAID),
        dots("a-name", rows, ALL, "data", reference="lower", **SAID),
        lines("a-name", rows, ALL, "x", y_title="y", joined=False, log=True, **SAID),
        heat_map(
            *("a-name", rows, ALL, "x", "kind"),
            **{"x_title": "x", "title": "v", "caption": "See <this>.", "facet": "data"},
            **{"domain": (0, 4), "middle": 2},
        ),
    ]


@pytest.mark.parametrize("index", range(7))  # the legend of a heat map is numbered in a session
def test_html_is_the_same_on_every_run_and_complete(index):
    page = figures()[index]._repr_html_()
    assert page == figures()[index]._repr_html_()
    assert "See &lt;this&gt;." in page and "<this>" not in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "vegaEmbed" in page
    assert ('"type":"log"' in page) == (index == 6)
    data = page.split('href="data:text/csv;base64,')[1].split('"')[0]
    assert base64.b64decode(data).decode().startswith("data,x,kind,value")
    assert "<svg" in base64.b64decode(page.split("svg+xml;base64,")[1].split('"')[0]).decode()


def test_text_in_tables_cannot_end_the_script_and_is_no_formula():
    rows = ROWS.assign(kind="</script><script>alert(1)</script>")
    page = dots("f", rows, ALL, "data", **SAID)
    body = page._repr_html_().split("<script>", 1)[1]
    assert body.count("</script>") == 1 and body.endswith("</script>")
    rows = ROWS.assign(data="=1+1")
    page = dots("f", rows, ALL, "kind", **SAID)
    data = page._repr_html_().split('href="data:text/csv;base64,')[1].split('"')[0]
    table = pd.read_csv(io.BytesIO(base64.b64decode(data)))
    assert set(table["data"]) == {"'=1+1"} and list(table["value"]) == list(ROWS["value"])


@pytest.mark.parametrize("index", range(6))
def test_a_figure_without_data_says_so(index):
    page = figures(ROWS.iloc[:0])[index]._repr_html_()
    assert "Not asked for: See &lt;this&gt;." in page and "<script" not in page


@pytest.mark.parametrize("order", ["kind", ["two", "one", "none"]])
def test_dots_stand_in_the_order_asked_for(order):
    rows = ROWS.assign(kind=pd.Categorical(ROWS["kind"], ["two", "three", "one"]))
    figure = dots("f", rows, ALL, "kind", order=order, **SAID)
    assert figure.spec["layer"][0]["encoding"]["y"]["sort"] == ["two", "one"]


def test_table_cells_are_text():
    row = {"a": ["<b>x</b>"], "v": [0.123456], "n": [30_000], "low": [-0.25], "t": ["-1 (-2 to 3)"]}
    page = Table(pd.DataFrame(row), "A & B")._repr_html_()
    assert "&lt;b&gt;x" in page and "0.123" in page and "<figcaption>A &amp; B</figcaption>" in page
    assert all(f"<td>{cell}</td>" in page for cell in ("30,000", "−0.25", "−1 (−2 to 3)"))


@pytest.mark.parametrize(("rows", "folded"), [(20, False), (21, True)])
def test_long_tables_are_folded(rows, folded):
    page = Table(pd.DataFrame({"a": range(rows)}), "Many")._repr_html_()
    assert ("<details" in page) == folded
    assert (f"Show all {rows} rows" in page) == folded
    assert page.count("<td>") == rows

import base64
import io
import json

import pandas as pd
import pytest

from lib.page.charts import Figure, Table, dots, histogram, lines

ROWS = pd.DataFrame(
    {
        "data": ["a", "a", "b", "b"],
        "x": [0.1, 0.2, 0.1, 0.2],
        "kind": ["one", "two", "one", "two"],
        "value": [1.0, 2.0, 3.0, 4.0],
        "lower": [0.9, 1.9, 2.9, 3.9],
        "upper": [1.1, 2.1, 3.1, 4.1],
    }
)


def charts():
    return [
        lines(
            ROWS, "x", "value", colour="kind", x_title="x", y_title="y", facet="data", reference=2
        ),
        lines(ROWS, "x", "value", colour="kind", x_title="x", y_title="y", diagonal=True),
        dots(ROWS, "value", "data", colour="kind", x_title="x", reference=1.0),
        dots(ROWS, "value", "kind", colour="kind", x_title="x", facet="data"),
        histogram(
            ROWS.assign(left=ROWS["x"], right=ROWS["x"] + 0.1, share=0.5),
            colour="kind",
            x_title="x",
            facet="data",
        ),
    ]


@pytest.mark.parametrize("index", range(5))
def test_html_is_the_same_on_every_run_and_complete(index):
    first, again = (Figure("a-name", charts()[index], ROWS, "See <this>.") for _ in range(2))
    page = first._repr_html_()
    assert page == again._repr_html_()
    assert "See &lt;this&gt;." in page and "<this>" not in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "vegaEmbed" in page
    data = page.split('href="data:text/csv;base64,')[1].split('"')[0]
    assert base64.b64decode(data).decode().startswith("data,x,kind,value")
    assert "<svg" in base64.b64decode(page.split("svg+xml;base64,")[1].split('"')[0]).decode()


def test_text_in_tables_cannot_end_the_script():
    rows = ROWS.assign(kind="</script><script>alert(1)</script>")
    page = Figure("f", dots(rows, "value", "kind", colour="data", x_title="x"), rows, "c")
    body = page._repr_html_().split("<script>", 1)[1]
    assert body.count("</script>") == 1 and body.endswith("</script>")


def test_names_in_a_charts_csv_are_no_formulas():
    rows = ROWS.assign(data="=1+1")
    page = Figure("f", dots(rows, "value", "kind", colour="data", x_title="x"), rows, "c")
    data = page._repr_html_().split('href="data:text/csv;base64,')[1].split('"')[0]
    table = pd.read_csv(io.BytesIO(base64.b64decode(data)))
    assert set(table["data"]) == {"'=1+1"} and list(table["value"]) == list(ROWS["value"])


def test_data_is_drawn_not_invented():
    spec = Figure("f", charts()[0], ROWS, "c").spec
    (values,) = spec["datasets"].values()
    assert [row["value"] for row in values] == [1.0, 2.0, 3.0, 4.0]
    assert json.dumps(spec)


@pytest.mark.parametrize("name", ["", "a b", "a/b", '"><b>'])
def test_a_bad_name_is_refused(name):
    with pytest.raises(ValueError, match="figure name"):
        Figure(name, charts()[0], ROWS, "c")


def test_too_many_rows_are_refused():
    with pytest.raises(ValueError, match="5001 rows"):
        Figure("f", None, pd.DataFrame({"x": range(5001)}), "c")


def test_table_cells_are_text():
    page = Table(pd.DataFrame({"a": ["<b>x</b>"], "v": [0.123456]}), "A & B")._repr_html_()
    assert "&lt;b&gt;x" in page and "0.123" in page and "<figcaption>A &amp; B</figcaption>" in page


@pytest.mark.parametrize(("rows", "folded"), [(20, False), (21, True)])
def test_long_tables_are_folded(rows: int, folded: bool) -> None:
    page = Table(pd.DataFrame({"a": range(rows)}), "Many")._repr_html_()
    assert ("<details" in page) == folded
    assert (f"Show all {rows} rows" in page) == folded
    assert page.count("<td>") == rows

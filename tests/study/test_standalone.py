import base64

import nbformat
import pandas as pd
import pytest

from lib.page.charts import Table, lines
from lib.study.standalone import convert, standalone

EVIL = "<script>alert(1)</script>"
QUOTED = 'He said "x" & <b>y</b>'


def figure(name, colour, caption="A caption."):
    data = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "part": [colour] * 2})
    said = {"colour": "part", "x_title": "x", "y_title": "y", "caption": caption}
    return lines(name, data, "x y part", "x", "y", **said)


def links(page):
    return [part.split('"')[0] for part in page.split('href="')[1:]]


def test_charts_are_drawings_and_nothing_is_asked_of_others():
    table = Table(pd.DataFrame({"name": [EVIL]}), "A table.")
    body = "".join(part._repr_html_() for part in (figure("a", EVIL), figure("b", "x"), table))
    page = standalone(body, "mine")
    assert "<script" not in page and "vegaEmbed" not in page
    assert page.count('<svg role="img" aria-label="A caption."') == 2
    assert "&lt;script&gt;" in page  # shown as text
    assert "currentColor" in page and "data:image" not in page
    assert all(link.startswith(("data:text/csv", "#")) for link in links(page))


@pytest.mark.parametrize(
    "image",
    [
        '<img class="chart-print" alt="a" src="{}">',
        '<img alt="a" class="chart-print" src="{}"/>',
        "<img src='{}' alt='a' width=\"3\" class=\"chart-print wide\" data-x>",
        '<IMG\n SRC="{}"\n ALT="a" />',
    ],
)
def test_a_drawing_is_found_however_its_element_is_written(image):
    svg = '<svg viewBox="0 0 2 1"><clipPath id="c"/><g clip-path="url(#c)"/></svg>'
    source = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
    page = standalone(image.format(source) * 2, "mine")
    assert "<img" not in page.lower()
    for number in (0, 1):
        assert f'<clipPath id="d{number}-c"/><g clip-path="url(#d{number}-c)"/>' in page
    assert page.count('<svg role="img" aria-label="a" viewBox="0 0 2 1">') == 2


def test_other_pictures_stay_data():
    picture = "data:image/png;base64,iVBORw0KGgo="
    page = standalone(f'<img alt="a" src="{picture}">', "mine")
    assert f'src="{picture}"' in page and "<svg" not in page


def test_titles_and_labels_are_text():
    page = standalone(figure("a", "x", QUOTED)._repr_html_(), QUOTED)
    shown = "He said &quot;x&quot; &amp; &lt;b&gt;y&lt;/b&gt;"
    assert f"<title>{shown}</title>" in page
    assert f'aria-label="{shown}"' in page


def test_an_executed_notebook_becomes_one_page_without_code(tmp_path):
    """Through nbconvert, which writes the attributes of an image in another order."""
    outputs = [
        nbformat.v4.new_output(
            "display_data", {"text/html": figure("a", EVIL, QUOTED)._repr_html_()}
        )
    ]
    cells = [
        nbformat.v4.new_markdown_cell("# A title"),
        nbformat.v4.new_code_cell("secret = 1", outputs=outputs, execution_count=1),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    page = convert(tmp_path / "a.ipynb", "mine")
    assert "secret" not in page and "A title" in page
    assert "<img" not in page and "<script" not in page
    assert page.count("<svg") == page.count("</svg>") == 1
    (link,) = [link for link in links(page) if link.startswith("data:")]
    table = base64.b64decode(link.removeprefix("data:text/csv;base64,")).decode()
    assert table.splitlines() == ["x,y,part", f"0,0,{EVIL}", f"1,1,{EVIL}"]


def test_a_file_that_is_no_notebook_is_one_error(tmp_path):
    (tmp_path / "a.ipynb").write_text("not a notebook", "utf-8")
    with pytest.raises(RuntimeError, match=r"nbconvert could not convert .*a\.ipynb"):
        convert(tmp_path / "a.ipynb", "mine")

import pandas as pd
import pytest

from lib.page.grammar import dots, drop, furthest, heat_map, listed, name, one, pick, say, wide

ROWS = pd.DataFrame(
    {
        "shift": ["noise", "gc", "", "gc"],
        "metric": ["rmse", "rmse", "picp_90", "picp_90"],
        "value": [2.0, 1.5, 0.9, 0.123456],
        "lower": [1.0, 1.0, 0.8, 0.1],
        "upper": [3.0, 2.0, 1.0, 0.2],
    }
)
AXES = {"colour": "metric", "x_title": "x", "caption": "What one would see."}


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ({"shift": "gc"}, [1, 3]),
        ({"shift": ["gc", ""]}, [1, 2, 3]),
        ({"shift": None}, [2]),
        ({"shift": "gc", "value": lambda value: value > 1}, [1]),
        ({"shift": "batch"}, []),
    ],
)
def test_rows_are_picked_by_what_their_cells_hold(keys, kept):
    assert pick(ROWS, **keys).index.tolist() == kept
    if len(keys) == 1:
        assert drop(ROWS, **keys).index.tolist() == [i for i in ROWS.index if i not in kept]


@pytest.mark.parametrize(
    ("order", "drawn"),
    [("shift", ["noise", "GC"]), (["GC", "batch", "noise"], ["GC", "noise"])],
)
def test_categories_stand_in_the_order_asked_for_where_they_are_drawn(order, drawn):
    rows = name(pick(ROWS, metric="rmse"), shift={"gc": "GC"})
    figure = dots("a", rows, "shift metric value lower upper", "shift", order=order, **AXES)
    assert figure.spec["layer"][0]["encoding"]["y"]["sort"] == drawn
    assert figure.data["value"].tolist() == [2.0, 1.5]


def test_without_rows_a_figure_says_what_was_not_asked_for_and_a_table_is_not_shown():
    none = pick(ROWS, shift="batch").assign(facet="")
    scale = {"title": "t", "domain": (0, 1), "middle": 0.5, "facet": "facet"}
    figures = [
        dots("a", none, "shift metric value lower upper", "shift", order="shift", **AXES),
        heat_map("b", none, "facet shift metric value", "metric", "shift", x_title="x",
                 caption="What one would see.", **scale),
    ]  # fmt: skip
    for figure in figures:
        assert "Not asked for: What one would see." in figure._repr_html_()
    assert wide(none, ["shift"], "metric", "c")._repr_html_() == ""


def test_a_table_without_rows_may_lack_columns():
    none = furthest(drop(pick(name(pd.DataFrame(), shift={"gc": "GC"}), shift="gc"), metric="rmse"))
    assert none.empty and one(none, shift="gc") is None
    assert "Not asked for" in dots("a", none, "shift value", "shift", **AXES)._repr_html_()
    assert wide(none, ["shift"], "metric", "c").data.empty


def test_the_furthest_of_each_simulated_shift_and_all_that_was_measured():
    rows = pd.DataFrame(
        {
            "data": ["simulation"] * 4 + ["wtc11"],
            "shift": ["", "gc", "gc", "effect_rewiring", "gc_tilt"],
            "severity": [0.0, 0.5, 1.0, 0.6, 0.2],
            "part": ["", "", "", "d=0.5", "+1 SD"],
        }
    )
    assert furthest(rows).index.tolist() == [0, 2, 3, 4]


def test_lines_of_a_wide_table_come_as_they_came():
    rows = pd.DataFrame(
        {"data": ["b", "a", "b"], "part": [3, 3, 1], "metric": "m", "value": [1.0, 2.0, 3.0]}
    )
    table = wide(rows, ["data", "part"], "metric", "c", cell="value", sort=False).data
    assert table[["data", "part", "m"]].to_numpy().tolist() == [
        ["b", 3, 1],
        ["b", 1, 3],
        ["a", 3, 2],
    ]


def test_a_wide_table_has_a_line_per_index_and_a_named_column_per_value():
    table = wide(ROWS, ["shift"], "metric", "c", names={"picp_90": "coverage", "rmse": "RMSE"})
    assert table.data.columns.tolist() == ["shift", "coverage", "RMSE"]
    assert table.data.set_index("shift").loc["gc"].tolist() == [
        "0.12 (0.10 to 0.20)",
        "1.50 (1.00 to 2.00)",
    ]


def test_a_sentence_is_said_only_where_its_rows_are():
    row = one(ROWS, shift="noise")
    assert say("{row:1} under {what}, {row.upper:.0f}", row=row, what="noise") == (
        "2.0 (1.0 to 3.0) under noise, 3"
    )
    assert say("{row}", row=one(ROWS, shift="batch")) == ""
    assert [listed(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]

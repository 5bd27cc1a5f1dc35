"""The grammar of pages: rows picked, ordered and named; tables and sentences made of them."""

import numpy as np
import pandas as pd
import pytest

from lib.page import grammar as page
from lib.page import names

ROWS = pd.DataFrame(
    {
        "data": ["b", "b", "b", "a"],
        "shift": ["", "gc", "gc", None],
        "uncertainty": ["single", "single", "ensemble", "single"],
        "metric": ["rmse", "rmse", "rmse", "zms"],
        "seed": [np.nan, np.nan, 1.0, np.nan],
        "value": [1.0, 2.0, 3.0, 4.0],
        "lower": [0.5, 1.5, 2.5, np.nan],
        "upper": [1.5, 2.5, 3.5, np.nan],
    }
)


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        ({"shift": ""}, [1, 4]),
        ({"seed": None}, [1, 2, 4]),
        ({"seed": 1}, [3]),
        ({"shift": ["gc", "noise"], "value": lambda v: v > 2}, [3]),
        ({"value": np.int64(2)}, [2]),
    ],
)
def test_rows_are_picked_by_what_their_cells_hold(keys, values):
    picked = page.pick(ROWS, **keys)
    assert picked["value"].tolist() == values
    (first, wanted), *_ = keys.items()
    both = page.pick(ROWS, **{first: wanted}), page.drop(ROWS, **{first: wanted})
    assert sorted(pd.concat(both)["value"]) == [1, 2, 3, 4]


def test_rows_are_chosen_ordered_and_named_for_readers():
    assert page.one(ROWS, shift="gc")["value"] == 2 and page.one(ROWS, shift="noise") is None
    best = page.prefer(ROWS, ["data", "shift"], uncertainty=["ensemble", "single"])
    assert best["value"].tolist() == [3, 1, 4]
    assert page.ordered(ROWS, shift=["gc", ""], value=[])["value"].tolist() == [2, 3, 1, 4]
    assert page.ordered(ROWS, data=["a"])["value"].tolist() == [4, 1, 2, 3]
    named = page.name(ROWS, shift=names.SHIFTS, twice=lambda rows: 2 * rows["value"])
    assert named["shift"].tolist()[1] == "GC" and named["twice"].tolist() == [2, 4, 6, 8]
    own = pd.DataFrame({"model": ["cnn", "my.package:Net"]})
    assert names.model_name(own).tolist() == ["CNN", "my.package:Net"]


def test_a_wide_table_has_a_line_per_index_and_named_columns():
    labels = {"zms": "ZMS", "rmse": "RMSE", "nll": "NLL"}
    home = page.pick(ROWS, shift="")
    table = page.wide(home, {"data": "assay"}, "metric", "c", names=labels).data
    assert table.to_dict("list") == {
        "assay": ["a", "b"],
        "ZMS": ["4.00", np.nan],
        "RMSE": [np.nan, "1.00 (0.50 to 1.50)"],
    }
    named = {"cell": "value", "sort": False, "data": {"a": "A"}}
    assert page.wide(ROWS, ["data"], "metric", "c", **named).data["data"].tolist() == ["b", "A"]
    assert page.wide(ROWS.iloc[:0], ["data"], "metric", "c")._repr_html_() == ""


def test_an_interval_may_have_one_infinite_end():
    for lower, upper, text in (
        (0.4, 0.6, "0.50 (0.40 to 0.60)"),
        (0.4, np.inf, "0.50 (0.40 to \N{INFINITY})"),  # a dose that some worlds never reach
        (-np.inf, np.inf, "0.50"),
        (np.nan, np.nan, "0.50"),
    ):
        assert page.interval(pd.Series({"value": 0.5, "lower": lower, "upper": upper})) == text


def test_columns_hold_intervals_or_numbers_of_metrics():
    cells = {"error": ("rmse", "interval"), "least": ("rmse", "lower")}
    table = page.columns(page.pick(ROWS, uncertainty="single"), {"shift": "part"}, cells, "c").data
    assert table["part"].tolist() == ["", "gc"]
    assert table["error"].tolist() == ["1.00 (0.50 to 1.50)", "2.00 (1.50 to 2.50)"]
    assert table["least"].tolist() == ["0.50", "1.50"]


def test_an_answer_leaves_out_what_it_cannot_say():
    row = ROWS.iloc[0]
    lines = [page.say("It is {r}, n {r.data}, {word}.", r=row, word="so")]
    lines.append(page.say("And {r}.", r=None))
    text = page.said("smoke", *lines).data
    assert "not for conclusions" in text and "It is 1.00 (0.50 to 1.50), n b, so." in text
    assert page.say("{r:1}", r=row) == "1.0 (0.5 to 1.5)"
    assert "And" not in text and page.said("full", *lines).data.startswith("It is")
    assert page.say("{data}", data="{r} {0}") == "{r} {0}"


def test_lists_are_english():
    assert [page.listed(items) for items in ([], ["a"], [*"abc"])] == ["", "a", "a, b and c"]


def test_shares_in_per_cent_end_at_0_and_100_and_changes_do_not():
    row = pd.Series({"value": 0.816, "lower": 0.7, "upper": 1.04})
    assert page.say("{r:%}, {r:+%}", r=row) == "82\xa0% (70 to 100), 82\xa0% (70 to 104)"
    row = pd.Series({"value": -0.001, "lower": np.nan, "upper": np.nan})
    assert page.say("{r:%} or {r}", r=row) == "0\xa0% or 0.00"


@pytest.mark.parametrize(("ends", "word"), [((0.5, 0.9), "a"), ((0.9, 1.1), "b"), ((1.1, 2), "c")])
def test_a_word_is_chosen_by_where_an_interval_lies(ends, word):
    row = pd.Series(dict(zip(("lower", "upper"), ends, strict=True)))
    assert page.worded(row, "abc") == word
    assert page.worded(row, "abc", 3) == "a" and page.worded(None, "abc") is None

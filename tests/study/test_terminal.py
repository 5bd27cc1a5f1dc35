import os

import numpy as np
import pandas as pd
import pytest
import yaml

from lib.study import results
from lib.study.terminal import summary
from lib.study.units import Result, Store, Unit, run_units

HEADLINES = {
    "01_one": {"says": "coverage", "row": {"data": "a", "metric": "picp_90"}},
    "02_two": {"says": "ratio", "table": "two/effects", "row": {"shift": "gc"}},
    "03_three": {"says": "r", "row": {"data": "a"}},
}


def nothing(config):
    return Result({"x": np.zeros(1)}, {})


def test_a_line_per_notebook_holds_its_value_and_the_published_one(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "headlines.yml").write_text(yaml.safe_dump(HEADLINES), "utf-8")
    rows = pd.DataFrame(
        [("a", "rmse", 500, 9.0), ("a", "picp_90", 500, 0.5), ("a", "picp_90", 8000, 0.75)],
        columns=["data", "metric", "n_train", "value"],
    )
    effects = {"effects": pd.DataFrame({"shift": ["", "gc"], "value": [1.0, 1.254]})}
    for folder, off in (("run", 0.0), ("results", 0.1)):
        moved = rows.assign(value=rows["value"] + off)
        results.write(tmp_path / folder, "one", moved, {}, {})
        standin = rows.assign(data="standin")
        results.write(tmp_path / folder, "two", standin, effects if off == 0 else {}, {})
        results.write(tmp_path / folder, "three", standin, {}, {})
    said = list(summary(tmp_path, tmp_path / "run", ["01_one", "02_two", "03_three", "04_four"]))
    assert said == [
        "01 coverage: 0.75 (published: 0.85)",
        "02 ratio: 1.25",
        "03 r: not measured here",
    ]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_bars_of_a_notebook_beside_others_reach_its_terminal(tmp_path, monkeypatch):
    master, terminal = os.openpty()
    monkeypatch.setenv("SHIFT_BAR", f"{os.ttyname(terminal)} 1 02_two")
    run_units([Unit(nothing, {"seed": 1})], Store(tmp_path), label="fits")
    said = os.read(master, 10_000).decode()
    assert "02_two: fits" in said and "0/1" in said  # which, of what, how many of how many


def test_every_notebook_has_a_headline_whose_columns_its_tables_have(root):
    headlines = yaml.safe_load((root / "book" / "headlines.yml").read_text("utf-8"))
    names = sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))
    assert sorted(headlines) == names
    for name, told in headlines.items():
        folder, experiment = root / "results", name.partition("_")[2]
        table = results.read_csv(folder / f"{told.get('table', experiment)}.csv")
        assert {*told["row"], "value"} <= set(table), name

import json
import os

import pandas as pd
import pytest

from lib import results
from lib.results import COLUMNS


def rows(**more):
    return pd.DataFrame(
        {"experiment": "e", "metric": ["rmse", "mae"], "value": [1 / 3, 2.0]} | more
    )


def test_columns_stand_in_the_contract_s_order_with_others_after():
    table = results.tidy(rows(splits=5))
    assert list(table.columns) == [*COLUMNS, "splits"]
    assert table["oracle"].isna().all()


def test_rows_with_the_same_keys_are_refused():
    with pytest.raises(ValueError, match=r"share their keys.*rmse"):
        results.tidy(rows(metric=["rmse", "rmse"]))
    assert len(results.tidy(rows(metric=["rmse", "rmse"], split_seed=[0, 1]))) == 2


def test_write_and_read_back(tmp_path):
    shape = pd.DataFrame({"name": ["<b>"], "x": [1e-9]})
    results.write(tmp_path, "e", rows(), {"curve": shape}, {"config": {"a": 1}})
    results.write(tmp_path, "other", rows(), {}, {"config": {}})
    assert results.read(tmp_path, "e")["value"].tolist() == [0.33333, 2.0]
    assert (tmp_path / "e" / "curve.csv").read_text() == "name,x\n<b>,1e-09\n"
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert set(manifest) == {"e", "other"} and manifest["e"]["versions"]["numpy"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    results.write_atomic(path, "old")

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        results.write_atomic(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_reading_what_was_never_run_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="run its notebook first"):
        results.read(tmp_path, "e")
    (tmp_path / "e.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="lacks the columns"):
        results.read(tmp_path, "e")

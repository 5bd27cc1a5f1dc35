import csv
import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from lib.staleness import main
from lib.study import results, units
from lib.study.results import COLUMNS


def rows(**more):
    own = {"experiment": "e", "metric": ["rmse", "mae"], "value": [1 / 3, 2.0]}
    return pd.DataFrame(own | more)


def test_columns_stand_in_the_contract_s_order_and_equal_keys_are_refused():
    table = results.tidy(rows(splits=5))
    assert list(table.columns) == [*COLUMNS, "splits"]
    assert table["oracle"].isna().all()
    with pytest.raises(ValueError, match=r"share their keys.*rmse"):
        results.tidy(rows(metric=["rmse", "rmse"]))
    assert len(results.tidy(rows(metric=["rmse", "rmse"], n_train=[1, 2]))) == 2


def test_write_and_read_back_and_experiments_that_end_together_enter_the_manifest(tmp_path):
    shape = pd.DataFrame({"name": ["<b>", "'=b"], "x": [1e-9, 1]})
    results.write(tmp_path, "e", rows(), {"curve": shape}, {"config": {"a": 1}})
    results.write(tmp_path, "other", rows(), {}, {"config": {}})
    assert results.read_csv(tmp_path / "e.csv")["value"].tolist() == [0.33333, 2.0]
    assert (tmp_path / "e" / "curve.csv").read_text() == "name,x\n<b>,1e-09\n''=b,1\n"
    results.write(tmp_path, "e", rows(), {"shape": shape}, {})
    assert [path.name for path in (tmp_path / "e").iterdir()] == ["shape.csv"]  # of this run alone
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert set(manifest) == {"e", "other"} and manifest["e"]["versions"]["numpy"]
    table = pd.DataFrame({"x": [-1.0, 2.0], "mixed": pd.Series([-1, "=1"], dtype=object)})
    assert results.to_csv(table) == "x,mixed\n-1,-1\n2,'=1\n"
    assert table["mixed"].tolist() == [-1, "=1"]
    names = [f"e{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: results.write(tmp_path, name, rows(), {}, {}), names))
    assert set(json.loads((tmp_path / "manifest.json").read_text())) == {"e", "other", *names}


def test_a_failed_write_leaves_the_old_file_and_names_a_full_disk(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    results.write_atomic(path, "old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}'"):
        results.write_atomic(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


FORMULAS = ("=1+1", "=cmd|' /C calc'!A0", "@SUM(A1)", "+A1", "-2+3", "-A1", "\t=1", "\n=1")
FORMULAS += ("-1, =A1(2)",)
NAMES = ("-0.5", "+1.5 SD", "-0.31 to -0.2", "-1e-05", "-inf", "-5 %", "-1 SD, k=10", "a=b", "<b>")
NAMES += ("+0.5 SD, estimated weights", "'quoted'", "2024", "01", "1.0", "1e3", "NA", "None", "nan")


@pytest.mark.parametrize("name", [*FORMULAS, *NAMES, "True", ""])
def test_names_are_read_back_and_those_that_a_spreadsheet_would_run_are_written_as_text(
    tmp_path, name
):
    table = rows(data=name, condition=[name, "plain"], bin=name)
    results.write(tmp_path, "e", table, {"bins": table.assign(part=name)}, {})
    for path in (tmp_path / "e.csv", tmp_path / "e" / "bins.csv"):
        with path.open(newline="") as file:
            cells = {cell["data"] for cell in csv.DictReader(file)}
        assert cells == {f"'{name}" if name in FORMULAS else name}
        read = results.read_csv(path)
        assert set(read["data"]) == set(read["bin"]) == set(read.get("part", [name])) == {name}
        assert read["condition"].tolist() == [name, "plain"]


def test_a_table_that_holds_nothing_is_read_as_one_and_a_carriage_return_ends_no_row(tmp_path):
    results.write(tmp_path, "e", rows(), {"none": pd.DataFrame()}, {})
    assert results.read_csv(tmp_path / "e" / "none.csv").empty
    results.write(tmp_path, "e", rows(data=["\r=1", "a\r\nb"]), {}, {})
    assert results.read_csv(tmp_path / "e.csv")["data"].tolist() == ["\n=1", "a\nb"]


EXPERIMENT = "uncertainty_repair"
FILES = [f"results/{EXPERIMENT}.csv", f"results/{EXPERIMENT}/more.csv"]
FILES.append(f"book/experiments/06_{EXPERIMENT}.ipynb")


def test_a_run_is_stale_where_a_module_s_hash_differs(tmp_path):
    recorded = units.module_hashes(f"lib.experiments.{EXPERIMENT}")
    (tmp_path / "results").mkdir()
    path = tmp_path / "results" / "manifest.json"
    path.write_text(json.dumps({EXPERIMENT: {"sources": recorded}}), "utf-8")
    assert results.published_runs(tmp_path)[0].current
    edited = recorded | {"lib.metrics.columns": "0"}
    path.write_text(json.dumps({EXPERIMENT: {"sources": edited}}), "utf-8")
    stale = results.Published(EXPERIMENT, False, ("lib.metrics.columns",), ())
    assert results.published_runs(tmp_path) == [stale]


@pytest.fixture
def repository(tmp_path):
    """One published experiment with a table, a further table and a page."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a\n1\n", "utf-8")
    manifest = {EXPERIMENT: {"source": "old"}, "other": {"source": "old"}}
    (tmp_path / "results" / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return tmp_path


def altered(root):
    (found,) = (run.altered for run in results.published_runs(root) if run.experiment == EXPERIMENT)
    return found


@pytest.mark.parametrize("name", FILES)
def test_an_altered_file_is_named(repository, name):
    results.record_files(repository, EXPERIMENT)
    assert altered(repository) == ()
    (repository / name).write_text("a\n3\n", "utf-8")
    assert altered(repository) == (name,)
    (repository / name).unlink()
    assert altered(repository) == (name,)


def test_command_says_what_is_stale_or_gone_and_fails_on_an_edit(repository, monkeypatch, capsys):
    monkeypatch.chdir(repository)
    results.record_files(repository, EXPERIMENT)
    assert main() == 0
    assert "other: an earlier source of modules it did not record" in capsys.readouterr().out
    (repository / "results" / f"{EXPERIMENT}.csv").write_text("a\n9\n", "utf-8")
    assert main() == 1
    said = capsys.readouterr().out
    assert f"altered since its run: results/{EXPERIMENT}.csv" in said
    path = repository / "results" / "manifest.json"
    path.write_text(json.dumps({EXPERIMENT: {"sources": {"lib.gone": "1"}}}), "utf-8")
    stale = results.Published(EXPERIMENT, False, ("lib.gone",), ())
    assert results.published_runs(repository) == [stale]


def test_published_files_are_those_of_their_runs(root):
    """Editing a published table or page by hand turns this red until ``make publish``."""
    assert [run for run in results.published_runs(root) if run.altered] == []

import json
import os
import sys
from textwrap import dedent

import nbformat
import pandas as pd
import pytest
import yaml

from lib.study import report, results

EXPERIMENTS = [{"file": "experiments/02_two"}, {"file": "experiments/01_one"}]
PARTS = [
    {"caption": "a", "chapters": [{"file": "data"}]},
    {"caption": "b", "chapters": EXPERIMENTS},
]
CONTENTS = {"format": "jb-book", "root": "index", "parts": PARTS}


def write_notebook(path, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


@pytest.fixture
def small(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_toc.yml").write_text(yaml.safe_dump(CONTENTS), "utf-8")
    config = {"html": {"home_page_in_navbar": False}, "sphinx": {"config": {"language": "en"}}}
    (tmp_path / "book" / "_config.yml").write_text(yaml.safe_dump(config), "utf-8")
    (tmp_path / "book" / "index.md").write_text("# Front\n", "utf-8")
    for name in ("01_one", "02_two"):
        write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", "profile = 'quick'", "1 + 1")
    return tmp_path


def test_notebooks_come_in_the_order_of_the_contents_and_must_exist(small):
    assert report.listed_notebooks(small) == ["02_two", "01_one"]
    assert report.listed_notebooks(small, ["01_one", "02_two"]) == ["02_two", "01_one"]
    assert report.listed_notebooks(small, ["01_one"]) == ["01_one"]
    with pytest.raises(ValueError, match="no notebook 03_tree; there are 02_two, 01_one"):
        report.listed_notebooks(small, ["03_tree"])
    (small / "notebooks" / "01_one.ipynb").unlink()
    with pytest.raises(ValueError, match=r"notebooks/01_one\.ipynb does not exist"):
        report.listed_notebooks(small)


def test_run_notebook_injects_profile_and_relative_folder(small, monkeypatch, capsys):
    monkeypatch.setenv("JUPYTER_PATH", os.environ.get("JUPYTER_PATH", ""))
    write_notebook(
        small / "notebooks" / "01_one.ipynb",
        "profile = 'full'\nrun_folder = None",
        "import sys\nfrom pathlib import Path\nprint('a warning', file=sys.stderr)",
        "Path(run_folder).mkdir(parents=True)\nprint(profile, run_folder, sys.prefix)",
    )
    seconds = report.run_notebook(small, "01_one", "quick", small / "runs" / "quick")
    assert 0 < seconds < 120
    path = small / "runs" / "quick" / "notebooks" / "01_one.ipynb"
    output = nbformat.read(path, as_version=4).cells[-1].outputs[0].text.split()
    assert output[:2] == ["quick", "runs/quick/results"]
    assert (small / "runs" / "quick" / "results").is_dir()
    assert output[2] == sys.prefix
    assert "a warning" in capsys.readouterr().err
    text = path.read_text("utf-8").replace(sys.prefix, "")
    assert str(small) not in text
    assert "stderr" not in text.replace("file=sys.stderr", "")
    assert "papermill" not in json.loads(text)["metadata"]


def test_stage_book_copies_sources_and_marks_every_page(small):
    executed = small / "runs" / "quick" / "notebooks"
    write_notebook(executed / "01_one.ipynb", "1")
    target = small / "runs" / "quick" / "book"
    report.stage_book(small, executed, target, "Not for conclusions.")
    assert (target / "index.md").is_file()
    assert (target / "experiments" / "01_one.ipynb").is_file()
    config = yaml.safe_load((target / "_config.yml").read_text("utf-8"))
    assert config["html"]["announcement"] == "Not for conclusions."
    assert config["html"]["home_page_in_navbar"] is False
    assert config["sphinx"]["config"] == {"language": "en", "results_required": False}
    assert yaml.safe_load((target / "_toc.yml").read_text("utf-8")) == CONTENTS


def rows(**columns):
    return {"experiment": "mpra_gc_ood", "profile": "quick", "data": "wtc11", **columns}


def test_publish_tables_leaves_other_experiments(tmp_path, monkeypatch):
    source, target = tmp_path / "run", tmp_path / "results"
    first = pd.DataFrame([rows(metric="rmse", value=1.0)])
    results.write(target, "one", first, {"curve": first}, {"seed": 1})
    results.write(target, "two", first, {"old": first}, {"seed": 1})
    results.write(source, "two", first.assign(value=2.0), {"new": first}, {"seed": 2})
    report.publish_tables(source, target, "two")
    assert results.read_csv(target / "two.csv")["value"].tolist() == [2.0]
    assert results.read_csv(target / "one.csv")["value"].tolist() == [1.0]
    assert [path.name for path in (target / "two").iterdir()] == ["new.csv"]
    manifest = json.loads((target / "manifest.json").read_text("utf-8"))
    assert {name: entry["seed"] for name, entry in manifest.items()} == {"one": 1, "two": 2}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report.shutil, "copytree", full)
    with pytest.raises(OSError, match="No space"):
        report.publish_tables(source.replace(tmp_path / "again"), target, "two")
    assert [path.name for path in (target / "two").iterdir()] == ["new.csv"]


def test_notebooks_run_side_by_side_and_a_failure_stops_those_that_wait(small, monkeypatch, capfd):
    monkeypatch.setenv("JUPYTER_PATH", os.environ.get("JUPYTER_PATH", ""))
    meet = """
        import time
        from pathlib import Path
        Path(f"{me}.here").touch()
        end = time.monotonic() + 60
        while not Path(f"{other}.here").exists():
            assert time.monotonic() < end, "alone"
            time.sleep(0.05)
    """
    for me, other in (("01_one", "02_two"), ("02_two", "01_one")):
        write_notebook(
            small / "notebooks" / f"{me}.ipynb",
            "profile, run_folder = 'full', None",
            f"me, other = {me!r}, {other!r}\n{dedent(meet)}",
        )
    failing = "raise ValueError('seen\\n  twice')"
    write_notebook(small / "notebooks" / "03_bad.ipynb", "profile, run_folder = 1, 2", failing)
    waiting = [f"{number:02d}_waits" for number in range(12)]
    for name in waiting:
        cells = "profile, run_folder = 1, 2", "import time; time.sleep(2)"
        write_notebook(small / "notebooks" / f"{name}.ipynb", *cells)
    out, message = small / "runs" / "quick", "03_bad failed: ValueError: seen; twice"
    with pytest.raises(report.NotebookError, match=message) as failed:
        report.run_notebooks(small, ["02_two", "01_one", "03_bad", *waiting], "quick", out)
    assert failed.value.args[1] == "seen; twice"
    said = {line.split(":")[0] for line in capfd.readouterr().out.splitlines()}
    assert said & {"01_one", "02_two"} and "03_bad" not in said  # which of the two may end too late
    assert not (out / "notebooks" / f"{waiting[-1]}.ipynb").exists()


def test_publishing_judges_the_claims_anew(small, monkeypatch):
    def run(root, name, profile, out):
        write_notebook(out / "notebooks" / f"{name}.ipynb", "1")
        own = rows(profile=profile, metric="r", value=2, lower=1.5, upper=2.5, n=9)
        table = pd.DataFrame([own])
        entry = {"config": {"profile": profile}}
        results.write(out / "results", name.split("_", 1)[1], table, {"t": table}, entry)
        return 1.0

    monkeypatch.setattr(report, "run_notebook", run)
    part = {"name": "r", "where": {"metric": "r"}, "direction": "greater", "margin": 1}
    claim = {"id": "C1", "reading": "first", "statement": "a", "table": "one", "parts": [part]}
    ledger = {"claims": [claim]}
    (small / "claims.yaml").write_text(yaml.safe_dump(ledger), "utf-8")
    report.publish(small, ["02_two"])
    published = small / "results" / "claims.csv"
    assert len(published.read_text("utf-8").splitlines()) == 1  # its table is not there yet
    report.publish(small, ["01_one"])
    manifest = json.loads((small / "results" / "manifest.json").read_text("utf-8"))
    files = {"results/one.csv", "results/one/t.csv", "book/experiments/01_one.ipynb"}
    assert set(manifest["one"]["files"]) == files
    row = published.read_text("utf-8").splitlines()[1]
    assert row.startswith("C1,first,a,supported,r,2,1.5,2.5,9,")


def test_results_of_the_standin_are_never_published(tmp_path):
    table = tmp_path / "e.csv"
    table.write_text("data,value\nwtc11,1\n")
    report.refuse_standin(table)
    table.write_text("data,value\nwtc11,1\nstandin,2\n")
    with pytest.raises(ValueError, match="stand-in"):
        report.refuse_standin(table)

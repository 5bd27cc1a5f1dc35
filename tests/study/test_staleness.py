"""What makes a published page stale: a line of code does, a docstring does not, an edit shows."""

import json
import os
import shutil
from pathlib import Path

import pytest

from lib.study.source import module_hashes
from lib.study.staleness import (
    Published,
    altered_files,
    changed,
    main,
    present_hashes,
    published_runs,
    record_files,
)

EXPERIMENT = "uncertainty_repair"


def test_a_line_of_a_metric_is_stale_and_a_docstring_is_not(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    recorded = module_hashes(f"lib.experiments.{EXPERIMENT}")
    (tmp_path / "results").mkdir()
    manifest = {EXPERIMENT: {"sources": recorded}}
    (tmp_path / "results" / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert published_runs(tmp_path, tmp_path)[0].current

    metric = tmp_path / "lib" / "metrics" / "scores.py"
    source = metric.read_text("utf-8")
    docstring = source.replace('"""', '"""Said otherwise: ', 1) + "\n# a remark\n"
    assert docstring != source
    rewrite(metric, docstring)
    assert published_runs(tmp_path, tmp_path)[0].current

    rewrite(metric, source + "\nONE_MORE = 1\n")
    assert published_runs(tmp_path, tmp_path) == [
        Published(EXPERIMENT, False, ("lib.metrics.scores",), ())
    ]


def rewrite(path: Path, content: str) -> None:
    """Write at a later time than before, however coarse the clock."""
    before = path.stat().st_mtime
    path.write_text(content, "utf-8")
    os.utime(path, (before + 10, before + 10))


def test_names_that_come_and_go_count() -> None:
    assert changed({"a": "1", "b": "2"}, {"a": "1", "c": "3"}) == ("b", "c")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One published experiment with a table, a further table and a page."""
    (tmp_path / "results" / EXPERIMENT).mkdir(parents=True)
    (tmp_path / "book" / "experiments").mkdir(parents=True)
    (tmp_path / "results" / f"{EXPERIMENT}.csv").write_text("a\n1\n", "utf-8")
    (tmp_path / "results" / EXPERIMENT / "more.csv").write_text("a\n2\n", "utf-8")
    (tmp_path / "book" / "experiments" / f"06_{EXPERIMENT}.ipynb").write_text("{}", "utf-8")
    manifest = {EXPERIMENT: {"source": "old"}, "other": {"source": "old"}}
    (tmp_path / "results" / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        f"results/{EXPERIMENT}.csv",
        f"results/{EXPERIMENT}/more.csv",
        f"book/experiments/06_{EXPERIMENT}.ipynb",
    ],
)
def test_an_altered_file_is_named(repository: Path, name: str) -> None:
    record_files(repository, EXPERIMENT)
    assert altered_files(repository) == {EXPERIMENT: ()}
    (repository / name).write_text("a\n3\n", "utf-8")
    assert altered_files(repository) == {EXPERIMENT: (name,)}
    (repository / name).unlink()
    assert altered_files(repository) == {EXPERIMENT: (name,)}


def test_command_says_what_is_stale_and_fails_on_an_edit(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(repository)
    record_files(repository, EXPERIMENT)
    assert main([]) == 0
    assert "other: an earlier source of modules it did not record" in capsys.readouterr().out
    assert main(["--strict"]) == 1
    (repository / "results" / f"{EXPERIMENT}.csv").write_text("a\n9\n", "utf-8")
    assert main([]) == 1
    said = capsys.readouterr().out
    assert f"altered since its run: results/{EXPERIMENT}.csv" in said


def test_a_module_that_is_gone_is_named(repository: Path) -> None:
    assert "lib.gone" not in present_hashes(["lib.gone", "lib.statistics.claims"])
    path = repository / "results" / "manifest.json"
    path.write_text(json.dumps({EXPERIMENT: {"sources": {"lib.gone": "1"}}}), "utf-8")
    assert published_runs(repository) == [Published(EXPERIMENT, False, ("lib.gone",), ())]


def test_published_files_are_those_of_their_runs(root: Path) -> None:
    """Editing a published table or page by hand turns this red until ``make publish``."""
    altered = altered_files(root)
    assert altered, "no run recorded its files; make publish does"
    assert {name: files for name, files in altered.items() if files} == {}

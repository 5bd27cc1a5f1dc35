"""The command in each chapter's box "Run it with other parameters" runs as it was copied."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from papermill.inspection import inspect_notebook

from lib.study.results import read_manifest

ROOT = Path(__file__).resolve().parents[2]
AUDIT = "08_audit_your_own"  # its command is make audit: the page stands alone, without boxes
NAMES = sorted({path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} - {AUDIT})
BOX = re.compile(r"^:::\{admonition\} Run it with other parameters\n(.*?)^:::$", re.M | re.S)
PREFIX = ".venv/bin/"  # as README.md has it


def box(name):
    """What a chapter's box says, and the two commands in it."""
    (said,) = BOX.findall((ROOT / "notebooks" / f"{name}.md").read_text("utf-8"))
    run, show = (text.strip() for text in re.findall(r"```sh\n(.*?)```", said, re.S))
    return said, run, show


def given(run):
    """Parameters of a command of papermill, ``-p name value`` or ``-y`` with YAML."""
    words = shlex.split(run)[3:]
    found = {}
    while words:
        option, *words = words
        if option == "-y":
            found |= yaml.safe_load(words.pop(0))
        else:
            assert option == "-p", run
            found[words[0]] = yaml.safe_load(words[1])
            words = words[2:]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_box_names_what_its_command_sets(name):
    said, run, show = box(name)
    assert shlex.split(run)[:3] == [f"{PREFIX}papermill", f"notebooks/{name}.ipynb", "mine.ipynb"]
    assert show == f"{PREFIX}jupyter nbconvert --to html --no-input mine.ipynb"
    named = re.findall(r"^- `(\w+)`", said, re.M)
    assert len(named) == 3 and set(named) == set(given(run))
    assert set(named) < set(inspect_notebook(str(ROOT / "notebooks" / f"{name}.ipynb")))
    assert f"{{minutes}}`{name.partition('_')[2]}`" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_command_of_a_box_runs(name, tmp_path, monkeypatch):
    """With just its parameters, and the smallest profile."""
    monkeypatch.setenv("SHIFT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix) / "share" / "jupyter"))
    _, run, show = box(name)
    _, notebook, _, *words = shlex.split(run)
    out, folder = tmp_path / "mine.ipynb", tmp_path / "tables"
    small = ["-p", "profile", "smoke", "-p", "run_folder", str(folder)]
    quiet = ["--no-progress-bar", "-k", "python3"]
    command = [sys.executable, "-m", "papermill", notebook, str(out), *words, *small, *quiet]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (entry,) = read_manifest(folder).values()
    for parameter, value in given(run).items():
        assert entry["config"][parameter] == value, parameter
    cells = nbformat.read(out, as_version=4).cells
    shown = [output for cell in cells for output in cell.get("outputs", [])]
    assert any("text/html" in output.get("data", {}) for output in shown)
    page = [sys.executable, "-m", *shlex.split(show)[0].split("/")[-1:], *shlex.split(show)[1:]]
    done = subprocess.run(page, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Run it with other parameters" in (tmp_path / "mine.html").read_text("utf-8")

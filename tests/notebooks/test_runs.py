"""Notebooks as papermill users run them: any parameter, a clear stop for a wrong one."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from tests.shown import render

GC_SHIFT = "02_mpra_gc_ood"


@pytest.fixture
def notebook(root, tmp_path, monkeypatch):
    """Notebook 02, with fits stored for this test alone and this environment's kernel first."""
    monkeypatch.setenv("SHIFT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix) / "share" / "jupyter"))
    return root / "notebooks" / f"{GC_SHIFT}.ipynb"


def shown(notebook):
    """All that the cells' outputs show, as text."""
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return "\n".join(str(out.get("data", out.get("text", ""))) for out in outputs)


def test_a_wrong_parameter_stops_the_notebook(tmp_path):
    """As papermill gives it, after the cell of parameters."""
    unknown = "unknown parameter 'gc_quantil'; did you mean 'gc_quantile'"
    for wrong, said in (
        *(({"gc_quantil": 0.9}, unknown), ({"gc_quantile": 1.5}, "gc_quantile")),
        ({"dataset": "wtc12"}, "wtc12"),
    ):
        with pytest.raises(ValueError, match=said):
            render(GC_SHIFT, **wrong, run_folder=str(tmp_path / "tables"))
    assert not (tmp_path / "tables").exists()


def test_smoke_run_of_the_stand_in(notebook, tmp_path):
    """The whole pipeline through papermill's command line, a list given as papermill users do."""
    folder, out = tmp_path / "tables", tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", str(notebook), str(out), "-k", "python3"]
    command += ["-p", "profile", "smoke", "-p", "gc_quantile", "0.7"]
    command += ["-y", "{seeds: [3, 4], arm: [group, tail], workers: 1, standin_size: 300}"]
    command += ["-p", "run_folder", str(folder), "--no-progress-bar"]
    done = subprocess.run(command, cwd=notebook.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    executed = nbformat.read(out, as_version=4)
    text = shown(executed)
    assert 'id="standin-banner"' in text
    assert "not for conclusions" in text
    rows = pd.read_csv(folder / "mpra_gc_ood.csv")
    assert set(rows["data"]) == {"standin"}
    assert set(rows["profile"]) == {"smoke"}
    assert {3.0, 4.0} <= set(rows["seed"].dropna())
    assert {"gc_high", "gc_low", "placebo"} <= set(rows["shift"].dropna())
    measured = rows[rows["metric"] == "picp_90"]
    assert measured["value"].between(0, 1).all()

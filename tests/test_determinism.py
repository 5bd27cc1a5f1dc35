"""Equal parameters give equal bytes, in fresh processes, by any number and kind of workers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from . import test_dask as on_dask
from .faults.runs import ROOT, SMALL

pytestmark = pytest.mark.slow
cluster = on_dask.cluster  # a scheduler and two workers

GC, SIMULATION = "mpra_gc_ood", "simulation_shifts"
EXPERIMENTS: dict[str, dict[str, Any]] = {
    GC: SMALL | {"standin_size": 300},
    SIMULATION: {"profile": "smoke", "shifts": ["gc"], "world_seeds": [0, 1]}
    | {"n_train": 150, "n_test": 200, "sizes": [100]},
}
RUN = """
import importlib, json, sys
from lib.study.results import run_experiment
name, parameters = sys.argv[1], json.loads(sys.argv[2])
module = importlib.import_module(f"lib.experiments.{name}")
run_experiment(module, module.Config.create(**parameters))
"""


def tables(name: str, folder: Path, **placement: Any) -> dict[str, bytes]:
    """What a run in a process of its own, with an empty store, writes by the name of each file."""
    parameters = EXPERIMENTS[name] | placement | {"run_folder": str(folder / "tables")}
    environment = os.environ | {"SHIFT_STORE": str(folder / "store"), "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONHASHSEED", None)  # each process orders its sets in its own way
    command = [sys.executable, "-W", "ignore", "-c", RUN, name, json.dumps(parameters)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    paths = sorted((folder / "tables").rglob("*.csv"))
    assert len(paths) > 3
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def gc(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return tables(GC, tmp_path_factory.mktemp("first"), workers=1)


def test_another_process_and_two_workers_write_the_same_bytes(gc, tmp_path) -> None:
    assert tables(GC, tmp_path, workers=2) == gc


def test_workers_on_dask_write_the_same_bytes(gc, tmp_path, cluster) -> None:
    address, _ = cluster
    assert tables(GC, tmp_path, executor="dask", scheduler=address) == gc


def test_another_seed_writes_other_bytes(gc, tmp_path) -> None:
    """Or equal bytes would say nothing."""
    other = tables(GC, tmp_path, workers=1, seeds=[1])
    name = f"tables/{GC}.csv"
    assert other.keys() == gc.keys() and other[name] != gc[name]


def test_simulation_writes_the_same_bytes_whatever_the_workers(tmp_path) -> None:
    one, two = (tables(SIMULATION, tmp_path / str(n), workers=n) for n in (1, 2))
    assert one == two

"""Units on a Dask cluster: a scheduler and two workers on loopback, as a user would start them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lib.data.folds import fold_split, group_folds
from lib.simulator import standin
from lib.study.units import Placement, Store, Unit, run_units
from lib.training.simple import baseline_unit

ROOT = Path(__file__).resolve().parents[1]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def cluster(tmp_path, request):
    """Address of a scheduler with two single-threaded workers, and their processes.

    ``other_source`` starts them with a source of which one line differs.
    """
    address = f"tcp://127.0.0.1:{free_port()}"
    dask = [sys.executable, "-m", "dask"]
    port = address.rsplit(":", 1)[1]
    quiet = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if getattr(request, "param", "") == "other_source":
        shutil.copytree(ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pyc*"))
        with (tmp_path / "lib" / "training" / "simple.py").open("a", encoding="utf-8") as file:
            file.write("\nCHANGED = True\n")
        quiet["env"] = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'tests'}"}
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    started = [subprocess.Popen([*dask, "scheduler", *local, "--port", port], **quiet)]
    worker = [*dask, "worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard"]
    started += [subprocess.Popen([*worker, "--no-nanny"], **quiet) for _ in range(2)]
    yield address, started
    for process in started:
        process.kill()
        process.wait()


def missing_units(units, store):
    """How many of the units are not in the store yet."""
    return sum(not store.path(key).exists() for key in {unit.key for unit in units})


def units(seeds):
    data = standin(n=400, seed=0)
    dealt = [fold_split(group_folds(data.group, seed), data.group, 0, seed) for seed in seeds]
    config = {"baseline": "kmer_ridge"}
    return [Unit(baseline_unit, config, {"data": data, "split": split}) for split in dealt]


@pytest.mark.slow
def test_a_killed_worker_costs_its_unit_only(tmp_path, cluster):
    address, (_, *workers) = cluster
    made, store = units(range(24)), Store(tmp_path / "store")
    code = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from pathlib import Path
from test_dask import units
from lib.study.units import Placement, Store, run_units
run_units(units(range(24)), Store(Path({str(tmp_path / "store")!r})),
          Placement(executor="dask", scheduler={address!r}))
"""
    run = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], cwd=os.getcwd())
    while missing_units(made, store) > 20 and run.poll() is None:
        time.sleep(0.05)
    workers[0].send_signal(signal.SIGKILL)
    assert run.wait(timeout=120) == 0
    assert missing_units(made, store) == 0


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["other_source"], indirect=True)
def test_a_worker_with_another_source_is_an_error_and_stores_nothing(tmp_path, cluster):
    address, _ = cluster
    made, store = units([0]), Store(tmp_path / "store")
    with pytest.raises(RuntimeError, match="this worker's lib is not the client's"):
        run_units(made, store, Placement(executor="dask", scheduler=address))
    assert missing_units(made, store) == 1


@pytest.mark.slow
def test_a_lost_scheduler_is_an_error_and_finished_units_stay(tmp_path, cluster):
    address, (scheduler, *_) = cluster
    made, store = units(range(24)), Store(tmp_path / "store")

    def lose():
        while missing_units(made, store) > 20:
            time.sleep(0.05)
        scheduler.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=lose)
    killer.start()
    with pytest.raises(OSError, match="lost the Dask scheduler tcp"):
        run_units(made, store, Placement(executor="dask", scheduler=address))
    killer.join()
    assert missing_units(made, store) <= 20


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_an_error_within_15_seconds(tmp_path):
    start = time.monotonic()
    where = Placement(executor="dask", scheduler=f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(OSError, match=r"Timed out|127"):
        run_units(units([0]), Store(tmp_path), where)
    assert time.monotonic() - start < 20

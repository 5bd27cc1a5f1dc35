"""What breaks while a run is under way, or lies broken when it starts: one function per fault.

In: an empty folder and a generator. Out: a :class:`Row` of the page's table. ``python -m
tests.faults.record`` runs them all and writes ``results/trust/faults.csv``.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .runs import ROOT, Run, kill

NOBODY = 65534


class Row(NamedTuple):
    """One line of the table of faults; ``held`` says whether the project did what it promises."""

    fault: str
    happened: str
    lost: str
    held: bool


def undisturbed(folder: Path, **parameters: Any) -> Run:
    """A finished run that nothing happened to."""
    run = Run(folder / "undisturbed", folder / "undisturbed_store", parameters)
    code, error = run.finish()
    if code != 0:
        raise RuntimeError(f"the undisturbed run failed: {error}")
    return run


def kills(calm: Run, folder: Path, rng: np.random.Generator, times: int, whole: float) -> Row:
    """``kill -9`` at random moments of ``whole`` seconds; runs are started again until they end."""
    done, chains, equal, torn, kept = 0, 0, 0, 0, []
    while done < times:
        run = Run(folder / f"killed{chains}", folder / f"killed{chains}_store", calm.parameters)
        while done < times:
            process = run.start()
            time.sleep(rng.uniform(0, 0.7 * whole))
            if process.poll() is not None:
                process.communicate()
                break
            kill(process, workers_too=bool(rng.integers(2)))
            kept.append(len(run.units))
            torn += not run.tables.items() <= calm.tables.items()  # whole, or not there yet
            done += 1
        code, _ = run.finish()
        equal += code == 0 and run.tables == calm.tables and run.sound
        chains += 1
    happened = (
        f"killed {done} times with {min(kept)} to {max(kept)} of {len(calm.units)} units finished; "
        f"started again until they ended, {equal} of {chains} runs wrote the undisturbed tables"
    )
    held = equal == chains and not torn
    return Row("kill -9 at random moments", happened, "units under way", held)


def killed_at(calm: Run, folder: Path, rng: np.random.Generator, place: str, times: int) -> Row:
    """``kill -9`` at steps of training, or at writes before the file has its name."""
    run = Run(folder / place, folder / f"{place}_store", calm.parameters)
    died = torn = 0
    for turn in range(times):
        # At the first to fourth step of a fit; at the second file, so that each run adds one.
        one = replace(run, dies=(place, 1 + turn % 4 if place == "step" else 2))
        died += one.finish()[0] == -signal.SIGKILL
        torn += not run.tables.items() <= calm.tables.items() or not run.sound
    code, _ = run.finish()
    held = code == 0 and run.tables == calm.tables and run.sound and not torn and died == times
    told = {"step": ("training", "the fit under way"), "replace": ("a write", "that file")}
    what, lost = told[place]
    happened = f"killed {died} times, no file torn; then it ended with the undisturbed tables"
    return Row(f"kill -9 during {what}", happened, lost, held)


SURROUNDINGS: dict[str, dict[str, str | None]] = {
    "HOME unset": {"HOME": None},
    "LANG=C": dict.fromkeys(("LANG", "LC_ALL"), "C") | {"PYTHONUTF8": "0"},
    "no git": {"PATH": str(Path(sys.executable).parent)},
    "path with späces": {},
}


def surrounded(calm: Run, folder: Path, rng: np.random.Generator, fault: str, **given: Any) -> Row:
    """A run in other surroundings, which should not matter."""
    place = folder / fault
    around = SURROUNDINGS.get(fault, {})
    run = Run(place / "out", place / "store", calm.parameters, around=around, **given)
    code, error = run.finish()
    held = code == 0 and run.tables == calm.tables and run.sound
    return Row(fault, "ended with the same tables" if held else error, "nothing", held)


def another_user(calm: Run, folder: Path, rng: np.random.Generator) -> Row:
    """Run by ``nobody``, who owns nothing but the folder of its tables; needs root."""
    own = folder / "another user"
    own.mkdir()
    os.chown(own, NOBODY, NOBODY)
    for above in (folder, *folder.parents):
        if Path(tempfile.gettempdir()) in above.parents:
            above.chmod(0o755)
    return surrounded(calm, folder, rng, "another user", user=NOBODY)


def read_only_checkout(calm: Run, folder: Path, rng: np.random.Generator) -> Row:
    """The package on a disk that cannot be written."""
    with small_disk(folder / "checkout", 65536) as disk:
        shutil.copytree(ROOT / "lib", disk / "lib")
        for name in ("_toc.yml", "claims.yaml"):
            shutil.copyfile(ROOT / name, disk / name)
        _remount(disk, "ro")
        return surrounded(calm, folder, rng, "read-only checkout", root=disk)


def _spoil(content: bytes, how: str, rng: np.random.Generator) -> bytes:
    if how == "truncated":
        return content[: int(rng.integers(len(content)))]
    changed = bytearray(content)
    changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def spoilt_store(calm: Run, folder: Path, rng: np.random.Generator) -> Row:
    """Half of the finished units truncated, the others with one flipped bit."""
    run = Run(folder / "spoilt", folder / "spoilt_store", calm.parameters)
    shutil.copytree(calm.store, run.store)
    for index, path in enumerate(run.units):
        path.write_bytes(_spoil(path.read_bytes(), ("truncated", "flipped")[index % 2], rng))
    code, _ = run.finish()
    held = code == 0 and run.tables == calm.tables and run.sound
    happened = (
        f"each of the {len(calm.units)} was noticed and computed again; the tables are the same"
    )
    return Row("all units of the store truncated or bit-flipped", happened, "those units", held)


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Path]:
    """A disk of its own in memory; needs the rights to mount.

    Raises
    ------
    PermissionError
        Without them.
    """
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PermissionError(f"mounting a small disk needs root: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def full_disk(calm: Run, folder: Path, rng: np.random.Generator) -> Row:
    """A store that fills up half-way, then is given room."""
    used = sum(4 * -(-path.stat().st_size // 4096) for path in calm.units)  # KiB in whole pages
    with small_disk(folder / "disk", used // 2) as disk:
        run = Run(folder / "full", disk / "store", calm.parameters)
        code, error = run.finish()
        finished, clean = len(run.units), not run.leftovers and not run.tables and run.sound
        named = code != 0 and "unit store" in error and "SHIFT_STORE" in error
        _remount(disk, "size=64m")
        again, _ = run.finish()
        held = named and clean and again == 0 and run.tables == calm.tables
    happened = (
        f"stopped with an error that names the store and the remedy, {finished} of "
        f"{len(calm.units)} units kept, no part file; with room it went on to the same tables"
    )
    return Row("disk full", happened, "the unit under way", held)


def read_only_store(calm: Run, folder: Path, rng: np.random.Generator) -> Row:
    """A store that cannot be written: empty it stops the run, complete it serves it."""
    with small_disk(folder / "locked", 65536) as disk:
        empty = Run(folder / "refused", disk / "empty", calm.parameters)
        whole = Run(folder / "served", disk / "whole", calm.parameters)
        shutil.copytree(calm.store, whole.store)
        _remount(disk, "ro")
        code, error = empty.finish()
        named = code != 0 and "unit store" in error and "SHIFT_STORE" in error and not empty.tables
        again, _ = whole.finish()
        held = named and again == 0 and whole.tables == calm.tables
    happened = (
        "an empty store stopped the run with an error that names it and the remedy; a complete one "
        "served it"
    )
    return Row("store read-only", happened, "nothing", held)


def two_at_once(calm: Run, folder: Path, rng: np.random.Generator) -> Row:
    """Two runs that share store and folder of tables."""
    run = Run(folder / "shared", folder / "shared_store", calm.parameters)
    processes = [run.start() for _ in range(2)]
    codes = []
    for process in processes:
        process.communicate()
        codes.append(process.returncode)
    held = codes == [0, 0] and run.tables == calm.tables and run.sound and not run.leftovers
    return Row("two runs at once", "both ended, the tables are the same", "time", held)


def clock_backwards(calm: Run, folder: Path, rng: np.random.Generator) -> Row:
    """``time.time`` falls by an hour each time it is asked; stored units date from tomorrow."""
    run = Run(folder / "clock", folder / "clock_store", calm.parameters, backwards=True)
    code, _ = run.finish()
    tomorrow = int(time.time()) + 86_400
    for path in run.units:
        os.utime(path, (tomorrow, tomorrow))
    again, _ = run.finish()
    reused = all(path.stat().st_mtime == tomorrow for path in run.units)
    held = code == again == 0 and run.tables == calm.tables and reused
    happened = "ended with the same tables; units dated tomorrow were read, none computed again"
    return Row("clock going backwards", happened, "nothing", held)


def dask(calm: Run, folder: Path, rng: np.random.Generator) -> Row:
    """A worker killed or of another source, a scheduler killed or absent: tests with a cluster."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_dask.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    happened = (
        "the other worker took over and all units ended; one of another source was refused; "
        "without its scheduler the run stopped with an error that names it, and within 15 s where "
        "there was none "
        f"({done.stdout.strip().splitlines()[-1]})"
    )
    fault = "Dask worker killed or of another source, scheduler lost"
    lost = "the unit of the worker; units not finished"
    return Row(fault, happened, lost, done.returncode == 0)


FAULTS: tuple[Callable[[Run, Path, np.random.Generator], Row], ...] = (
    *(spoilt_store, full_disk, read_only_store),
    *(partial(killed_at, place=place, times=10) for place in ("step", "replace")),
    *(partial(surrounded, fault=fault) for fault in SURROUNDINGS),
    *(another_user, read_only_checkout, two_at_once, clock_backwards, dask),
)

"""A small run of notebook 02's experiment in a process of its own, for faults to hit.

In: a folder, parameters. Out: the process and, when it is done, the bytes of its tables.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.study.units import Store

ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, Any] = {
    "profile": "smoke",
    "dataset": "standin",
    "standin_size": 400,
    "arm": ["group", "tail"],
    "seeds": [0],
    "dropout_samples": 0,
    "workers": 1,
}
# The clock of the process can be made to run backwards, an hour each time that it is asked; and it
# can be made to kill itself at the n-th step of training, or when a file is written but not named.
CHILD = """
import json, os, signal, sys, time
backwards, dies = json.loads(sys.argv[2])
if dies:
    import torch
    place, left = dies
    holder = os if place == "replace" else torch.optim.AdamW
    whole = getattr(holder, place)
    def dying(*given, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*given, **named)
    setattr(holder, place, dying)
if backwards:
    asked = [time.time()]
    def earlier():
        asked[0] -= 3600.0
        return asked[0]
    time.time = earlier
from lib.experiments import mpra_gc_ood
from lib.study.results import run_experiment
print("ready", flush=True)
run_experiment(mpra_gc_ood, mpra_gc_ood.Config.create(**json.loads(sys.argv[1])))
"""
PATIENCE = 900  # seconds for one run on a busy machine


@dataclass(frozen=True)
class Run:
    """Where one run keeps its tables and its units, and what is wrong with it."""

    folder: Path  # of the tables
    store: Path
    parameters: dict[str, Any] = field(default_factory=dict)  # over SMALL if profile is smoke
    backwards: bool = False  # the clock
    dies: tuple[str, int] | None = None  # "step" or "replace", and at which of them
    root: Path = ROOT  # the checkout
    around: dict[str, str | None] = field(default_factory=dict)  # None takes a variable away
    user: int | None = None

    def start(self) -> subprocess.Popen[str]:
        """Start it in a process group of its own and wait until its imports are done."""
        base = SMALL if self.parameters.get("profile", "smoke") == "smoke" else {}
        given = base | self.parameters | {"run_folder": str(self.folder)}
        arguments = json.dumps(given), json.dumps([self.backwards, self.dies])
        own = {"SHIFT_STORE": str(self.store), "PYTHONPATH": str(self.root)}
        around = os.environ | own | self.around
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", CHILD, *arguments],
            cwd=self.root,
            env={name: value for name, value in around.items() if value is not None},
            user=self.user,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def finish(self) -> tuple[int, str]:
        """Run to the end: exit status, and its last words on stderr."""
        process = self.start()
        _, errors = process.communicate(timeout=PATIENCE)
        return process.returncode, (errors.strip().splitlines() or [""])[-1]

    @property
    def tables(self) -> dict[str, bytes]:
        """Every table by its path below the folder."""
        paths = sorted(self.folder.rglob("*.csv"))
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}

    @property
    def units(self) -> list[Path]:
        """Finished units, in order of their keys."""
        return sorted(self.store.rglob("*.safetensors"))

    @property
    def leftovers(self) -> list[Path]:
        """Temporary files of writes that did not end; the manifest's lock stays by design."""
        hidden = [path for path in self.folder.rglob(".*") if path.is_file()]
        left = [*self.store.rglob("*.part"), *hidden]
        return [path for path in left if path.name != ".manifest.lock"]

    @property
    def sound(self) -> bool:
        """Whether every finished unit passes its check."""
        return all(Store(self.store).get(path.stem) is not None for path in self.units)


def kill(process: subprocess.Popen[str], workers_too: bool = True) -> None:
    """``kill -9`` of the process, with or without the workers that it started.

    Workers that are left finish their unit, store it and end after minutes without another; until
    then they hold the pipes, so these are closed, not read to their end.
    """
    if workers_too:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()

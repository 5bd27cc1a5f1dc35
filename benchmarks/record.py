"""How benchmarks time, compare and record.

In: callables. Out: rows of ``benchmarks/results.json``, a list of objects with the keys
:data:`KEYS`, names unique: those of a processor without bfloat16 end in :data:`WITHOUT`, those of a
graphics processor in :data:`GPU`, so that all kinds stand side by side. A ratio above 1 means this
project is ahead: ours/peer for rates, peer/ours for seconds. A script records row by row, so that
an interrupted one keeps what it has.
"""

import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np

from lib.study.results import write_atomic
from lib.study.stamps import machine

KEYS = (
    *("name", "unit", "ours", "peer", "peer_name", "ratio", "n", "peak_mib"),
    *("exponent", "exponent_note", "processor", "dtype"),
)
WITHOUT = "__avx2"
GPU = "__gpu"
RESULTS = Path(__file__).parent / "results.json"


def here(name: str) -> str:
    """The name of what is measured on this machine."""
    return name if "bf16" in machine() else f"{name}{WITHOUT}"


def trained_in() -> str:
    """The floating-point type that a fit takes by itself on this machine."""
    import torch

    from lib.training.config import pick_dtype

    return str(pick_dtype("auto", torch.device("cpu"))).removeprefix("torch.")


def seconds(work: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(repeats: int, *works: Callable[[], Any]) -> list[tuple[float, float]]:
    """Median and half the range of each, the calls interleaved so that drift hits all alike."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for index, work in enumerate(works):
            times[index].append(seconds(work))
    return [(statistics.median(ts), (max(ts) - min(ts)) / 2) for ts in times]


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Slope of log time against log size."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def highest_mib() -> float:
    """Peak resident memory of this process so far, in MiB.

    Linux counts the parent's peak into ``ru_maxrss`` of a process that it forked; ``VmHWM`` is of
    the process alone.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text("utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20


def children_mib() -> float:
    """Peak resident memory of the largest process that this one has started so far, in MiB.

    What a later, smaller process took cannot be told from it.
    """
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * scale / 2**20


def _said(queue: Any, work: Callable[[], Any]) -> None:
    try:
        queue.put((work(), ""))
    except BaseException as error:
        queue.put((None, f"{type(error).__name__}: {error}"))
        raise


def alone(work: Callable[[], Any]) -> Any:
    """What ``work`` (picklable) returns in a fresh process, which may start no others.

    Raises
    ------
    RuntimeError
        If it fails or is killed, with what it said.
    """
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_said, args=(queue, work))
    child.start()
    found, error, running = None, "it was killed", True
    while running:
        running = child.is_alive()  # asked first: what it said before it ended is still to be read
        with suppress(Empty):
            found, error = queue.get(timeout=1)
            break
    child.join()
    if error:
        raise RuntimeError(f"a benchmark failed in its own process: {error}")
    return found


def _peak(work: Callable[[], Any]) -> float:
    work()
    return highest_mib()


def peak_mib(work: Callable[[], Any]) -> float:
    """Peak resident memory in MiB of a fresh process that does ``work`` (picklable)."""
    return float(alone(partial(_peak, work)))


def row(name: str, unit: str, ours: float, n: int, **more: Any) -> dict[str, Any]:
    """One row; the ratio follows from ``peer`` where there is one."""
    filled: dict[str, Any] = dict.fromkeys(KEYS) | {
        "name": here(name),
        "unit": unit,
        "ours": ours,
        "n": n,
    }
    filled |= more
    if filled["peer"] is not None:
        rate = ours / filled["peer"]
        filled["ratio"] = rate if unit.endswith("/s") else 1 / rate
    return filled | {"processor": machine()}


def on_gpu(row: dict[str, Any]) -> dict[str, Any]:
    """The row as one of this machine's graphics processor."""
    import torch

    name = row["name"].removesuffix(WITHOUT) + GPU
    return row | {"name": name, "processor": torch.cuda.get_device_name()}


def record(rows: Sequence[dict[str, Any]]) -> None:
    """Merge rows into the results by name, and print them."""
    held = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else []
    merged = {item["name"]: item for item in held} | {item["name"]: item for item in rows}
    text = json.dumps([_rounded(merged[name]) for name in sorted(merged)], indent=1)
    write_atomic(RESULTS, text + "\n")
    for item in rows:
        print({key: value for key, value in _rounded(item).items() if value is not None})


def _rounded(item: dict[str, Any]) -> dict[str, Any]:
    return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in item.items()}

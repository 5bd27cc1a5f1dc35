"""How time and memory grow up to ten million elements, and what share of the machine is used.

Each size is measured in a fresh process, on inputs made before the clock starts: the median time of
up to five calls, and the peak of resident memory beside the peak before (libraries and a warm-up).
Out: ``benchmarks/growth.json``, written after every size, so that ``--resume`` goes on where an
interrupted run stopped; names are those of :func:`record.here`. The share of the machine compares
the floating-point operations that training and prediction need with matrix products on all cores.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import attribution
import leaks
import metrics
import numpy as np
import torch
import training
from record import alone, exponent, here, highest_mib, seconds
from torch.utils.flop_counter import FlopCounterMode

from lib.data.leakage import leak_groups
from lib.metrics.evaluate import all_metrics
from lib.models import build
from lib.simulator import draw_world, simulate
from lib.study.results import write_atomic
from lib.study.stamps import machine
from lib.study.units import cores
from lib.training.attribution import integrated_gradients, mutagenesis
from lib.training.fitted import laid_out, one_hot, predict

RESULTS = Path(__file__).parent / "growth.json"
REPEATS, ENOUGH = 5, 5.0  # calls, seconds in all
LEAST_MIB = 8.0  # below this, memory above the start is the allocator's mood
SIDE = 4096  # of the matrices whose product is the measure of the machine
BATCH = 256


class Work(NamedTuple):
    """Something whose growth is measured.

    Attributes
    ----------
    what : str
        In the words of the page.
    sizes : tuple of int
        Elements.
    prepare : callable
        From a size to the input.
    call : callable
        What is timed.
    """

    what: str
    sizes: tuple[int, ...]
    prepare: Callable[[int], Any]
    call: Callable[[Any], Any]


def _simulate(n: int) -> None:
    simulate(draw_world(0), n, seed=1, workers=cores())


def _numbers(n: int) -> np.ndarray:
    return np.random.default_rng(0).random(n)


def _table(n: int) -> tuple[tempfile.TemporaryDirectory, Path]:
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "forecasts.parquet"
    metrics.write_parquet(path, n)
    return folder, path


def _fitted(n: int) -> tuple[Any, Any]:
    return attribution.model(), attribution.library(n)


TO_TEN_MILLION = (10_000, 100_000, 1_000_000, 10_000_000)
TO_A_MILLION = TO_TEN_MILLION[:3]
WORKS: Mapping[str, Work] = {
    "simulate": Work("simulation, all cores", TO_TEN_MILLION, int, _simulate),
    "metrics": Work(
        "all metrics", TO_TEN_MILLION, metrics.forecast, lambda given: all_metrics(*given)
    ),
    "audit": Work(
        "audit of a Parquet file",
        TO_TEN_MILLION,
        _table,
        lambda given: metrics.audit_file(given[1]),
    ),
    "leak_groups": Work(
        "leak groups", TO_A_MILLION, leaks.library, lambda codes: leak_groups(codes, leaks.K)
    ),
    "sort": Work("ranking random numbers (numpy), one core", TO_TEN_MILLION, _numbers, np.argsort),
    "train_epoch": Work(
        "one epoch of the reference CNN, one core",
        (10_000, 100_000, 300_000, 1_000_000),
        training.data,
        partial(training.engine, "reference_cnn"),
    ),
    "predict": Work(
        "prediction on both strands, one core",
        TO_A_MILLION,
        _fitted,
        lambda given: predict(*given),
    ),
    "integrated_gradients": Work(
        "integrated gradients, one core",
        (100, 1_000, 10_000),
        _fitted,
        lambda given: integrated_gradients(*given),
    ),
    "mutagenesis": Work(
        "every single-letter change, one core",
        (10, 100, 1_000),
        _fitted,
        lambda given: mutagenesis(*given),
    ),
}


def measure(name: str, n: int) -> tuple[float, float, float]:
    """Seconds of one call, MiB at the start, MiB at the peak; of a process that did nothing else.

    The smallest size goes first: it compiles, loads libraries and starts threads.
    """
    work = WORKS[name]
    work.call(work.prepare(work.sizes[0]))
    start = highest_mib()
    given = work.prepare(n)
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < ENOUGH:
        times.append(seconds(partial(work.call, given)))
    return float(np.median(times)), start, highest_mib()


def with_exponents(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with the slopes of log time and of log memory above the start against log size.

    Null where fewer than two sizes speak.
    """
    sizes = [point["n"] for point in entry["points"]]
    times = [point["seconds"] for point in entry["points"]]
    grown = {point["n"]: point["peak_mib"] - point["start_mib"] for point in entry["points"]}
    seen = {n: mib for n, mib in grown.items() if mib >= LEAST_MIB}
    slopes = {
        "time_exponent": exponent(sizes, times) if len(sizes) > 1 else None,
        "memory_exponent": exponent([*seen], [*seen.values()]) if len(seen) > 1 else None,
    }
    return {**entry, **slopes}


def matrix_product(kind: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product, all cores, at its fastest."""
    torch.set_num_threads(cores())
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.randn(SIDE, SIDE, generator=draw).to(kind) for _ in range(2))
    torch.mm(left, right)
    fastest = min(seconds(partial(torch.mm, left, right)) for _ in range(2 * REPEATS))
    return 2 * SIDE**3 / fastest


def operations(model: str, training_step: bool) -> float:
    """Floating-point operations per sequence of one pass forward, or of one training step."""
    network = laid_out(build(model, training.LENGTH), torch.device("cpu"), torch.float32)
    codes = torch.from_numpy(training.data(BATCH)[0])
    with FlopCounterMode(display=False) as counter:
        output = network(one_hot(codes), None)
        if training_step:
            output.sum().backward()
    return float(counter.get_total_flops() / BATCH)


def share_of_machine() -> dict[str, Any]:
    """Measured peaks, and operations per sequence of the rows of ``results.json``."""
    step = operations("reference_cnn", training_step=True)
    kinds = (torch.float32, *([torch.bfloat16] if training.trained_in() == "bfloat16" else []))
    return {
        **{f"{str(kind).removeprefix('torch.')}_flops": matrix_product(kind) for kind in kinds},
        "operations": {
            "train_cnn": step,
            "train_cnn_ensemble": step,
            "train_book_cnn": operations("cnn", training_step=True),
            "predict_cnn": 2 * operations("reference_cnn", training_step=False),  # both strands
        },
        "processor": machine(),
    }


def rounded(content: Any) -> Any:
    """Four significant digits everywhere."""
    if isinstance(content, float):
        return float(f"{content:.4g}")
    if isinstance(content, dict):
        return {key: rounded(value) for key, value in content.items()}
    return [rounded(value) for value in content] if isinstance(content, list) else content


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(WORKS)} and share; all by default")
    parser.add_argument("--resume", action="store_true", help="keep the sizes that are there")
    parser.add_argument("--largest", type=int, help="leave out larger sizes")
    parser.add_argument("--into", type=Path, default=RESULTS, help="another file to write")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.names) - {*WORKS, "share"}
    if unknown:
        parser.error(f"no work {', '.join(unknown)}; there are {', '.join(WORKS)} and share")
    held = json.loads(chosen.into.read_text("utf-8")) if chosen.into.exists() else {}

    def keep(name: str, content: dict[str, Any]) -> None:
        held[here(name)] = rounded(content)
        write_atomic(chosen.into, json.dumps(held, indent=1) + "\n")

    for name in chosen.names or [*WORKS, "share"]:
        if name == "share":
            keep(name, alone(share_of_machine))
            print(held[here(name)], flush=True)
            continue
        points = held[here(name)]["points"] if chosen.resume and here(name) in held else []
        for n in WORKS[name].sizes:
            if (chosen.largest and n > chosen.largest) or n in {point["n"] for point in points}:
                continue
            found = alone(partial(measure, name, n))
            names = ("n", "seconds", "start_mib", "peak_mib")
            points = [*points, dict(zip(names, (n, *found), strict=True))]
            entry = {"what": WORKS[name].what, "processor": machine(), "points": points}
            keep(name, with_exponents(entry))
            print(name, held[here(name)]["points"][-1], flush=True)


if __name__ == "__main__":
    main()

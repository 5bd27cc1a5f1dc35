"""What a user waits for: the quick report, the build of the published book, audits of tables.

The report starts from an empty store, so that it fits every network; its site replaces the one in
``runs/quick``. The book is built from a copy.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from record import record, row, seconds

from lib.study.report import build_book, listed_notebooks

ROOT = Path(__file__).resolve().parents[1]
LAUNCHER = (
    "import subprocess, sys; from benchmarks.record import children_mib; "
    "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); print(children_mib())"
)
PARTS = ("book", "results", "benchmarks")


def quick_report(store: Path) -> None:
    """All notebooks at the quick profile, and their site."""
    command = [sys.executable, "-m", "lib.report", "quick"]
    environment = os.environ | {"SHIFT_STORE": str(store)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


def copy_book(folder: Path) -> Path:
    """The book's sources and the tables beside them."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("_build"))
    shutil.copyfile(ROOT / "claims.yaml", folder / "claims.yaml")
    return folder / "book"


def write_forecasts(path: Path, n: int) -> None:
    """A table of forecasts with every optional column but sequences."""
    rng = np.random.default_rng(0)
    number, (mean, noise) = np.arange(n), rng.normal(size=(2, n))
    std, part = rng.uniform(0.3, 1.2, n), np.array(["calibration", "test", "shifted"])[number % 3]
    table = pd.DataFrame({"id": number, "mean": mean, "std": std, "target": mean + std * noise})
    table["std_aleatoric"], table["std_epistemic"] = 0.8 * std, 0.6 * std
    more = {"group": number // 2, "gc": rng.uniform(0.3, 0.7, n), "split": part}
    table = table.assign(**more, shift=np.where(part == "shifted", "cell", ""))
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)


def audit_command(path: Path) -> tuple[float, float]:
    """Seconds and peak MiB of what ``make audit`` runs.

    A small process starts it: a large one's own memory would count as its child's.
    """
    audit = [sys.executable, "-m", "lib.audit", f"--predictions={path}"]
    start = time.perf_counter()
    command = [sys.executable, "-c", LAUNCHER, *audit]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return time.perf_counter() - start, float(done.stdout)


def main() -> None:
    """Measure and record; ``--small`` leaves out the report (minutes)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="without the report")
    small = parser.parse_args().small
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not small:
            took = seconds(partial(quick_report, folder / "store"))
            record([row("report_quick", "s", took, len(listed_notebooks(ROOT)))])
        source = copy_book(folder)
        took = seconds(partial(build_book, source))
        pages = len(list((source / "_build" / "html").rglob("*.html")))
        record([row("book_build", "s", took, pages)])
        for name, n in {"100k.csv": 100_000, "10m.parquet": 10_000_000}.items():
            write_forecasts(folder / name, n)
            took, peak = map(
                median, zip(*(audit_command(folder / name) for _ in range(3)), strict=True)
            )
            told = f"audit_{name.partition('.')[0]}__command"
            record([row(told, "s", took, n, peak_mib=peak)])


if __name__ == "__main__":
    main()

"""What a user waits for: the quick report of all notebooks, and the build of the published book.

The report starts from an empty store, so that it fits every network; its site replaces the one in
``runs/quick``. The book is built from a copy.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from record import record, row, seconds

from lib.study.report import build_book, listed_notebooks

ROOT = Path(__file__).resolve().parents[1]
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


def main() -> None:
    """Measure and record; ``--small`` leaves out the report (minutes)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="the book alone")
    small = parser.parse_args().small
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        if not small:
            took = seconds(partial(quick_report, folder / "store"))
            rows.append(row("report_quick", "s", took, len(listed_notebooks(ROOT))))
        source = copy_book(folder)
        took = seconds(partial(build_book, source))
        pages = len(list((source / "_build" / "html").rglob("*.html")))
        rows.append(row("book_build", "s", took, pages))
    record(rows)


if __name__ == "__main__":
    main()

"""Command line: ``python -m lib.staleness`` says whether what is published is of today's source.

Run in the repository's top folder, it returns 1 if a published file was altered, with ``--strict``
also if a source differs; see :mod:`lib.study.results`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.study.results import published_runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Say the state of every published run."""
    parser = argparse.ArgumentParser(prog="python -m lib.staleness")
    parser.add_argument("--strict", action="store_true", help="fail also where a source differs")
    strict = parser.parse_args(arguments).strict
    runs = published_runs(Path.cwd())
    for run in runs:
        said = "present source"
        if not run.current:
            said = f"an earlier source of {', '.join(run.modules) or 'modules it did not record'}"
        print(f"{run.experiment}: {said}")
        for name in run.altered:
            print(f"  altered since its run: {name}; make publish writes it anew")
    stale = any(not run.current for run in runs)
    return int(any(run.altered for run in runs) or (strict and stale))


if __name__ == "__main__":
    sys.exit(main())

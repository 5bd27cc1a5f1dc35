"""Command line: ``python -m lib.staleness`` says whether what is published is of today's source.

Run in the repository's top folder, it returns 1 if a published file was altered; see
:mod:`lib.study.results`.
"""

import sys
from pathlib import Path

from lib.study.results import published_runs


def main() -> int:
    """Say the state of every published run."""
    runs = published_runs(Path.cwd())
    for run in runs:
        earlier = f"an earlier source of {', '.join(run.modules) or 'modules it did not record'}"
        print(f"{run.experiment}: {'present source' if run.current else earlier}")
        for name in run.altered:
            print(f"  altered since its run: {name}; make publish writes it anew")
    return int(any(run.altered for run in runs))


if __name__ == "__main__":
    sys.exit(main())

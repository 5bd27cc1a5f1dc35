"""Command line: ``python -m lib.claims`` judges the claims and writes the files of verdicts.

Verdicts are those of :mod:`lib.statistics.claims`; run it in the repository's top folder.
"""

import sys
from pathlib import Path
from typing import Any

from lib.study.results import write_verdicts
from lib.study.terminal import command


@command
def main() -> None:
    """Say the verdicts."""
    judged = write_verdicts(Path.cwd())
    for row in judged.claims.itertuples():
        built = ", by construction" if row.by_construction == "true" else ""
        print(f"{_name(row)}: {row.verdict}{built} ({row.part})")
    for row in judged.not_judged.itertuples():
        print(f"{_name(row)}: not judged, {row.reason}")


def _name(row: Any) -> str:
    return " ".join(filter(None, (row.id, row.reading, row.variant)))


if __name__ == "__main__":
    sys.exit(main())

"""Command line: ``python -m lib.claims`` judges the claims and writes the files of verdicts.

Verdicts are those of :mod:`lib.statistics.claims`; run it in the repository's top folder.
"""

import sys
from pathlib import Path

from lib.study.results import write_verdicts


def main() -> int:
    """Say the verdicts, or what is wrong and return 1."""
    try:
        judged = write_verdicts(Path.cwd())
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, verdict, part in judged.claims[["id", "verdict", "part"]].itertuples(index=False):
        print(f"{name}: {verdict} ({part})")
    for name, _, reason in judged.not_judged.itertuples(index=False):
        print(f"{name}: not judged, {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

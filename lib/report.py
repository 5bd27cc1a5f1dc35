"""Command line: ``python -m lib.report quick [NAME ...]``; see :mod:`lib.study.report`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.study.report import pages, publish, report
from lib.study.terminal import command


@command
def main(arguments: Sequence[str] | None = None) -> int | None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m lib.report")
    parser.add_argument("what", choices=["smoke", "quick", "publish", "pages", "verify"])
    parser.add_argument("only", nargs="*", metavar="NAME", help="notebooks to run; all by default")
    parser.add_argument("--minutes", type=float, default=10, help="that verify may take")
    parser.add_argument("--seed", type=int, default=0, help="of the sample that verify draws")
    choice = parser.parse_args(arguments)
    if choice.what == "verify":
        from lib.study.verify import verify  # the other ways need not wait for what it imports

        return verify(Path.cwd(), choice.minutes, choice.seed)
    if choice.what == "publish":
        publish(Path.cwd(), choice.only)
    elif choice.what == "pages":
        pages(Path.cwd(), choice.only)
    else:
        report(Path.cwd(), choice.what, choice.only)
    return None


if __name__ == "__main__":
    sys.exit(main())

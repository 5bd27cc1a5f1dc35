"""Command line: ``python -m lib.audit --predictions mine.csv``; see :mod:`lib.study.report`."""

import argparse
import os
import sys
from pathlib import Path

from lib.study.report import audit, check
from lib.study.terminal import command

ROOT = Path(__file__).resolve().parents[1]  # of the checkout, whatever folder this is called from


@command
def main(arguments: list[str] | None = None) -> None:
    """Audit what was given."""
    parser = argparse.ArgumentParser(prog="python -m lib.audit")
    parser.add_argument("--predictions", help="a table with the columns id, target, mean, std")
    parser.add_argument("--table", help="an assay with the columns sequence and activity")
    parser.add_argument("--dataset", help="one of the book's assays")
    parser.add_argument("--model", help="package.module:Class, trained on either")
    parser.add_argument("--rename", help="theirs=ours,theirs=ours")
    parser.add_argument("--by", help="further columns to ask coverage by")
    parser.add_argument("--trim-prefix", help="an adapter that every sequence starts with")
    parser.add_argument("--trim-suffix", help="one that every sequence ends with")
    parser.add_argument("--keep-shared-ends", help="True: ends that all share are no adapters")
    parser.add_argument("--profile", help="of training: smoke, quick or full")
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value}
    profile = given.pop("profile", "quick")
    check(given, profile)
    page = Path(os.path.relpath(audit(ROOT, given, profile)))
    print(f"Open {page}; the tables are in {page.parent / 'results'}")


if __name__ == "__main__":
    os.environ.setdefault("SHIFT_CALLER", "python")  # remedies are said in the words typed
    sys.exit(main())

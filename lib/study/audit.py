"""Audits a table of predictions, or a model on an assay: what ``make audit`` calls.

In: a path. Out: ``runs/audit/<name>/`` with the executed notebook, its tables and one HTML file. An
error is one line, and leaves the page and the tables of an earlier audit as they were.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.study.report import NotebookError, run_notebook
from lib.study.results import write_atomic
from lib.study.standalone import convert

NOTEBOOK = "08_audit_your_own"
WAYS = ("predictions", "table", "dataset", "model")
FILES = ("predictions", "table")


def slug(name: str) -> str:
    """A name as a folder's: letters, digits, hyphens and underscores.

    Examples
    --------
    >>> slug("../=my table.csv")
    'my_table'
    """
    return re.sub(r"[^A-Za-z0-9-]+", "_", Path(name).name.split(".")[0]).strip("_") or "audit"


def _forget_earlier(results: Path) -> None:
    """Remove what only an earlier audit of that name wrote: tables older than this run's first."""
    experiment = NOTEBOOK.partition("_")[2]
    start = (results / f"{experiment}.csv").stat().st_mtime_ns
    for path in (results / experiment).glob("*.csv"):
        if path.stat().st_mtime_ns < start:
            path.unlink()


def audit(root: Path, parameters: dict[str, Any], profile: str) -> Path:
    """Run the notebook and write its page; returns the page's path.

    Parameters
    ----------
    root : Path
        The repository's top folder.
    parameters : dict
        Of notebook 08; one of :data:`WAYS` at least.
    profile : str

    Raises
    ------
    ValueError
        With the reason, where a file is missing or the notebook stops.
    """
    for way in FILES:
        if way in parameters and not Path(parameters[way]).is_file():
            raise ValueError(f"there is no file {parameters[way]}; give the path of a table")
    name = next(str(parameters[way]) for way in WAYS if way in parameters)
    out = root / "runs" / "audit" / slug(name)
    try:
        run_notebook(root, NOTEBOOK, profile, out, parameters)
    except NotebookError as error:
        raise ValueError(error.reason) from None
    _forget_earlier(out / "results")
    page = out / "audit.html"
    executed = out / "notebooks" / f"{NOTEBOOK}.ipynb"
    write_atomic(page, convert(executed, f"Audit of {Path(name).name}"))
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: ``python -m lib.audit --predictions mine.csv``."""
    parser = argparse.ArgumentParser(prog="python -m lib.audit", description=__doc__)
    parser.add_argument("--predictions", help="a table with the columns id, target, mean, std")
    parser.add_argument("--table", help="an assay with the columns sequence and activity")
    parser.add_argument("--dataset", help="one of the book's assays")
    parser.add_argument("--model", help="package.module:Class, trained on either")
    parser.add_argument("--rename", help="theirs=ours,theirs=ours")
    parser.add_argument("--by", help="further columns to ask coverage by")
    parser.add_argument("--profile", default="quick", help="of training: smoke, quick or full")
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value}
    profile = given.pop("profile", "quick")
    if not set(given) & set(WAYS):
        print("error: name a table: make audit PREDICTIONS=mine.csv", file=sys.stderr)
        return 1
    root = Path.cwd()
    try:
        page = audit(root, given, profile)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    shown = page.relative_to(root)
    print(f"Open {shown}; the tables are in {shown.parent / 'results'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

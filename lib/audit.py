"""Audits a table of predictions, or a model on an assay: what ``make audit`` calls.

In: a path. Out: ``runs/audit/<name>/`` with the executed notebook, its tables and one HTML file. An
error is one line.
"""

import argparse
import html
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.report import KERNEL, clean_executed
from lib.results import write_atomic
from lib.standalone import convert

NOTEBOOK = "08_audit_your_own"
WAYS = ("predictions", "table", "dataset", "model")


def slug(name: str) -> str:
    """A name as a folder's: letters, digits, hyphens and underscores.

    Examples
    --------
    >>> slug("../=my table.csv")
    'my_table'
    """
    return re.sub(r"[^A-Za-z0-9-]+", "_", Path(name).name.split(".")[0]).strip("_") or "audit"


def audit(root: Path, parameters: dict[str, Any], profile: str) -> Path:
    """Run the notebook and write its page; returns the page's path.

    Raises
    ------
    ValueError
        With the reason, where the notebook stops.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    # A kernel "python3" of the user's own would come before the one of this environment.
    os.environ["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
    name = next(str(parameters[way]) for way in WAYS if way in parameters)
    out = root / "runs" / "audit" / slug(name)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    executed = out / f"{NOTEBOOK}.ipynb"
    folder = (out / "results").relative_to(root).as_posix()
    try:
        papermill.execute_notebook(
            str(root / "notebooks" / f"{NOTEBOOK}.ipynb"),
            str(executed),
            parameters={"profile": profile, "run_folder": folder, **parameters},
            kernel_name=KERNEL,
            cwd=str(root),
            progress_bar=False,
            start_timeout=300,
            extra_arguments=["--log-level=ERROR"],
        )
    except PapermillExecutionError as error:
        raise ValueError(" ".join(str(error.evalue).split())) from None
    clean_executed(executed)
    page = out / "audit.html"
    write_atomic(page, convert(executed, html.escape(f"Audit of {Path(name).name}")))
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

"""What commands say on a terminal: where each notebook is, last what each found, or what is wrong.

In: ``book/headlines.yml``, the tables of a run and the published ones. Out: lines of text.
"""

import multiprocessing
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import yaml


def command(work: Callable[..., int | None]) -> Callable[..., int]:
    """Of a command: what is wrong with its input becomes one line and 1; without a result 0."""

    @wraps(work)
    def main(*arguments: Any) -> int:
        try:
            return work(*arguments) or 0
        except (ValueError, RuntimeError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1

    return main


def bars(name: str) -> dict[str, str]:
    """What makes a kernel of this process draw its progress on a line of the terminal, if any."""
    if os.name != "posix" or not sys.stderr.isatty():
        return {}
    place = int(re.sub(r"\D", "", multiprocessing.current_process().name) or 1) - 1
    return {"SHIFT_BAR": f"{os.ttyname(2)} {place} {name}"}


def summary(root: Path, run: Path, names: Sequence[str]) -> Iterator[str]:
    """The line of each notebook: its value in the tables of ``run``, and in ``root/results``.

    A value that is not there, as on a stand-in assay, reads "not measured here".
    """
    headlines = yaml.safe_load((root / "book" / "headlines.yml").read_text("utf-8"))
    for name in names:
        if told := headlines.get(name):
            own, known = (_value(folder, name, told) for folder in (run, root / "results"))
            said = "not measured here" if own is None else f"{own:.2f}"
            said += "" if known is None else f" (published: {known:.2f})"
            yield f"{name.partition('_')[0]} {told['says']}: {said}"


def _value(folder: Path, name: str, told: Mapping[str, Any]) -> float | None:
    from lib.study import results  # commands wait for what stands above

    path = folder / f"{told.get('table', name.partition('_')[2])}.csv"
    rows = results.read_csv(path) if path.is_file() else None
    if rows is None or not set(told["row"]) <= set(rows):
        return None
    for column, wanted in told["row"].items():
        rows = rows[rows[column] == wanted]
    if "n_train" in rows:
        rows = rows[rows["n_train"] == rows["n_train"].max()]
    return None if rows.empty else float(rows["value"].iloc[0])

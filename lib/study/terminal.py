"""What a report says on a terminal: where each notebook is, and last what each found.

In: ``book/headlines.yml``, the tables of a run and the published ones. Out: lines of text.
"""

import multiprocessing
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


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

    experiment = name.partition("_")[2]
    path = folder / experiment / f"{told['table']}.csv" if "table" in told else None
    path = path or folder / f"{experiment}.csv"
    rows = results.read_csv(path) if path.is_file() else None
    if rows is None or not set(told["row"]) <= set(rows):
        return None
    for column, wanted in told["row"].items():
        rows = rows[rows[column] == wanted]
    if "n_train" in rows:
        rows = rows[rows["n_train"] == rows["n_train"].max()]
    return None if rows.empty else float(rows["value"].iloc[0])

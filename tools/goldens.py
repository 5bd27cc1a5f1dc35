"""Goldens: what a redesign must leave as it is. Nothing of what this writes is committed.

``python -m tools.goldens tables PROFILE OUT [NOTEBOOK ...]`` runs experiments and keeps their
tables before they are formatted; ``compare BEFORE AFTER [NOTEBOOK ...]`` names each difference
between two such folders. ``pages [NOTEBOOK ...]`` renders pages from the published tables, without
training, and names each difference from the published pages (``--published`` names another folder
of them). Both return 1 if anything differs.
"""

import argparse
import pickle
import re
import sys
import time
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.testing import assert_series_equal

from lib.study.results import default_store
from tests.shown import ROOT, as_text, cells_of, described, render

TOLERANCE = 1e-12
# Tables are published with five digits: of what is drawn from them, the last may differ.
SHOWN = 1.01e-4
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def names() -> list[str]:
    """All notebooks."""
    return sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def differences(kind: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What is gone and what is new."""
    found = [f"{kind} {name} is gone" for name in old if name not in new]
    return found + [f"{kind} {name} is new" for name in new if name not in old]


def report(name: str, found: list[str]) -> int:
    """How many differences there are, all of them printed."""
    print("\n  ".join([f"{name}: {len(found)} differences", *found]), flush=True)
    return len(found)


def tables(profile: str, out: Path, only: list[str]) -> None:
    """Each notebook's tables, as they are before they are formatted."""
    out.mkdir(parents=True, exist_ok=True)
    for name in only or names():
        module = import_module(f"lib.experiments.{name.split('_', 1)[1]}")
        start = time.perf_counter()
        found = module.run(module.Config.create(profile=profile), default_store())
        content = pickle.dumps({"rows": found.rows, **found.tables})
        (out / f"{name}.{profile}.pkl").write_bytes(content)
        print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)


def compare(before: Path, after: Path, only: list[str]) -> int:
    """Names each difference between tables of both folders; how many there are."""
    count = 0
    for path in sorted(before.glob("*.pkl")):
        other = after / path.name
        if other.exists() and (not only or path.name.split(".")[0] in only):
            old, new = pickle.loads(path.read_bytes()), pickle.loads(other.read_bytes())
            found = differences("table", old, new)
            for name in sorted(old.keys() & new.keys()):
                found += [f"{name}: {text}" for text in frame_differences(old[name], new[name])]
            count += report(path.stem, found)
    return count


def frame_differences(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """How two tables differ, a line per column; the order of rows counts for nothing."""
    found = differences("column", dict(old), dict(new))
    if len(old) != len(new):
        return [*found, f"{len(old)} rows became {len(new)}"]
    both = [column for column in old if column in new]
    left, right = ordered(old[both]), ordered(new[both])
    for column in both:
        try:
            assert_series_equal(left[column], right[column], rtol=TOLERANCE, atol=1e-300)
        except AssertionError as error:
            found.append(f"{column}: {' '.join(str(error).split())[:300]}")
    return found


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers as float64, all else as text; rows in order of the texts, then of the numbers."""
    made: dict[str, Any] = {}
    for column, cells in table.items():
        numbers = pd.to_numeric(cells, errors="coerce")
        if cells.dtype != bool and (numbers.notna() | cells.isna()).all():
            made[str(column)] = numbers.astype(float)
        else:
            made[str(column)] = cells.map(lambda v: "" if pd.isna(v) else str(v)).astype(object)
    found = pd.DataFrame(made).reset_index(drop=True)
    numbers = found.select_dtypes(float)
    order = found.drop(columns=numbers.columns).join(numbers.round(9))
    return found.loc[order.sort_values([*order], kind="stable").index].reset_index(drop=True)


def published(notebook: Path) -> list[str]:
    """What the cells of an executed notebook show."""
    return as_text([out.get("data", {}) for c in cells_of(notebook) for out in c["outputs"]])


def same_text(old: str, new: str) -> bool:
    """Equal words, and numbers equal but for one unit of the last digit that is shown."""
    if _NUMBER.sub("#", old) != _NUMBER.sub("#", new):
        return False
    pairs = zip(_NUMBER.findall(old), _NUMBER.findall(new), strict=True)
    return all(_near(a, b) for a, b in pairs)


def _near(a: str, b: str) -> bool:
    unit = 10.0 ** -len(a.partition(".")[2]) if "." in a and "e" not in a else 0.0
    return abs(float(a) - float(b)) <= max(1.01 * unit, SHOWN * abs(float(a)), TOLERANCE)


def page_differences(old: list[str], new: list[str]) -> list[str]:
    """How two renderings of a page differ, the first lines of each part."""
    left, right = described(old), described(new)
    found = differences("shown", left, right)
    for label in left.keys() & right.keys():
        for part, text in left[label].items():
            lines = zip_longest(text.split("\n"), right[label].get(part, "").split("\n"))
            differ = [pair for pair in lines if None in pair or not same_text(*pair)][:3]
            found += [f"{label}: {part}: {str(a)[:500]} became {str(b)[:500]}" for a, b in differ]
    return found


def pages(folder: Path, only: list[str]) -> int:
    """Pages made from the published tables beside the published pages."""
    count = 0
    for name in only or names():
        new = render(name, profile="full", tables_from=str(ROOT / "results"))
        count += report(name, page_differences(published(folder / f"{name}.ipynb"), new))
    return count


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--published", type=Path, default=ROOT / "book" / "experiments")
    parser.add_argument("what", choices=["tables", "compare", "pages"])
    parser.add_argument("arguments", nargs="*")
    asked = parser.parse_args()
    if asked.what == "pages":
        return int(pages(asked.published, asked.arguments) > 0)
    first, second, *only = asked.arguments
    if asked.what == "compare":
        return int(compare(Path(first), Path(second), only) > 0)
    tables(first, Path(second), only)
    return 0


if __name__ == "__main__":
    sys.exit(main())

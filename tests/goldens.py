"""Goldens: what a redesign must leave as it is. Nothing of what this writes is committed.

``python tests/goldens.py pages OUT`` renders every page from the published tables, without
training; ``python tests/goldens.py tables PROFILE OUT [NOTEBOOK ...]`` runs notebooks and keeps
their tables before they are formatted; ``python tests/goldens.py compare BEFORE AFTER`` names each
difference and returns 1 if there is one. ``--root`` names the checkout whose ``lib`` and
``notebooks`` are taken, so that one script judges two states of the source.
"""

import argparse
import contextlib
import io
import json
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TOLERANCE = 1e-12
# Columns of texts, also where a table leaves them empty throughout.
TEXTS = {"shift", "family", "condition", "cell", "by", "bin", "part", "variant", "arm", "contrast"}


def cells(notebook: Path) -> list[tuple[list[str], str]]:
    """Tags and source of each code cell."""
    found = json.loads(notebook.read_text("utf-8"))["cells"]
    return [
        (cell["metadata"].get("tags", []), "".join(cell["source"]))
        for cell in found
        if cell["cell_type"] == "code"
    ]


def render(root: Path, name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """What each cell of a notebook displays: figures, tables and texts, in order."""
    from IPython.core.displayhook import CapturingDisplayHook  # noqa: F401
    from IPython.core.interactiveshell import InteractiveShell

    shown: list[dict[str, Any]] = []
    shell = InteractiveShell.instance()
    shell.reset()
    shell.display_pub.publish = lambda *a, **k: None  # type: ignore[method-assign]
    sys.displayhook_value = None  # type: ignore[attr-defined]
    for tags, source in cells(root / "notebooks" / f"{name}.ipynb"):
        values: list[Any] = []
        with _catch_display(values), contextlib.redirect_stdout(io.StringIO()):
            done = shell.run_cell(source, store_history=False)
        done.raise_error()
        if done.result is not None:
            values.append(done.result)
        for value in values:
            shown += described(value)
        if "parameters" in tags:
            shell.user_ns.update(parameters)
    return shown


@contextlib.contextmanager
def _catch_display(values: list[Any]) -> Iterator[None]:
    from IPython import display as module
    from IPython.core import display_functions

    before = display_functions.display

    def display(*objects: Any, **_: Any) -> None:
        values.extend(objects)

    display_functions.display = module.display = display  # type: ignore[assignment]
    import builtins

    builtins.display = display  # type: ignore[attr-defined]
    try:
        yield
    finally:
        display_functions.display = module.display = before  # type: ignore[assignment]


def described(value: Any) -> list[dict[str, Any]]:
    """A displayed object as plain values; a list of them item by item."""
    if isinstance(value, list | tuple):
        return [item for one in value for item in described(one)]
    if hasattr(value, "spec") and hasattr(value, "caption"):
        return [
            {
                "kind": "figure",
                "name": value.name,
                "caption": value.caption,
                "spec": value.spec,
                "data": value.data.reset_index(drop=True),
            }
        ]
    if hasattr(value, "caption") and hasattr(value, "data"):
        data = value.data
        return [{"kind": "table", "caption": value.caption, "data": data.reset_index(drop=True)}]
    text = getattr(value, "data", None)
    if text is None and hasattr(value, "_repr_html_"):
        text = value._repr_html_()
    return [{"kind": type(value).__name__, "text": str(text if text is not None else value)}]


def published(folder: Path, experiment: str) -> tuple[pd.DataFrame, dict[str, pd.DataFrame], dict]:
    """An experiment's published rows, tables and entry of the manifest."""
    rows = pd.read_csv(folder / f"{experiment}.csv")
    tables = {path.stem: pd.read_csv(path) for path in sorted((folder / experiment).glob("*.csv"))}
    return rows, tables, json.loads((folder / "manifest.json").read_text("utf-8"))[experiment]


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Empty cells of a column of texts as empty texts, as a run has them."""
    texts = [
        c
        for c in table
        if not pd.api.types.is_numeric_dtype(table[c]) or (table[c].isna().all() and c in TEXTS)
    ]
    return table.assign(**{c: table[c].fillna("") for c in texts})


def pages(root: Path, out: Path, only: list[str]) -> None:
    """Every page from the published tables."""
    for name in only or names(root):
        experiment = name.split("_", 1)[1]
        with tempfile.TemporaryDirectory() as folder:
            parameters = {"profile": "full", "run_folder": folder}
            if has_tables_from(root, name):
                parameters["tables_from"] = str(root / "results")
            else:
                _patch_run(root)
                entry = published(root / "results", experiment)[2]["config"]
                parameters = {**entry, "run_folder": folder}
            start = time.perf_counter()
            shown = render(root, name, parameters)
        save(out / f"{name}.pages.pkl", shown)
        print(f"{name}: {len(shown)} outputs, {time.perf_counter() - start:.1f} s", flush=True)


def has_tables_from(root: Path, name: str) -> bool:
    """Whether the notebook can read its tables."""
    return any("tables_from" in source for _, source in cells(root / "notebooks" / f"{name}.ipynb"))


def _patch_run(root: Path) -> None:
    """Let ``run_experiment`` of the first house read what is published."""
    from lib.experiments.found import Tables

    from lib.experiments import run

    def read(experiment: Any, config: Any) -> Any:
        rows, tables, entry = published(root / "results", config.experiment)
        return Tables(rows, tables, entry, False)

    run.run_experiment = read


def names(root: Path) -> list[str]:
    """All notebooks."""
    return sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))


def tables(root: Path, profile: str, out: Path, only: list[str]) -> None:
    """Each notebook's tables, as they are before they are formatted."""
    from importlib import import_module

    for name in only or names(root):
        experiment = name.split("_", 1)[1]
        module = import_module(f"lib.experiments.{experiment}")
        config = module.Config.create(profile=profile)
        try:
            from lib.study.run import default_store
        except ImportError:
            from lib.experiments.run import default_store
        start = time.perf_counter()
        found = module.run(config, default_store())
        save(out / f"{name}.{profile}.pkl", {"rows": found.rows, **found.tables})
        print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)


def save(path: Path, content: Any) -> None:
    """Pickle: only this script reads it, from a folder of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))


def compare(before: Path, after: Path, only: list[str]) -> int:
    """Names each difference; 1 if there is any."""
    differences = []
    for path in sorted(before.glob("*.pkl")):
        if only and not any(path.name.startswith(name) for name in only):
            continue
        other = after / path.name
        if not other.exists():
            continue
        old, new = pickle.loads(path.read_bytes()), pickle.loads(other.read_bytes())
        differ = compare_tables if isinstance(old, dict) else compare_pages
        found = differ(old, new)
        print(f"{path.stem}: {len(found)} differences among {len(old)}")
        differences += [f"{path.stem}: {text}" for text in found]
    print("\n".join(differences))
    return int(bool(differences))


def compare_tables(old: dict[str, pd.DataFrame], new: dict[str, pd.DataFrame]) -> list[str]:
    """Differences between two runs' tables; the order of rows and of columns counts for nothing."""
    found = [f"{name} is gone" for name in old if name not in new]
    found += [f"{name} is new" for name in new if name not in old]
    for name in set(old) & set(new):
        found += [f"{name}: {text}" for text in frame_differences(old[name], new[name])]
    return found


def frame_differences(old: pd.DataFrame, new: pd.DataFrame, ordered: bool = False) -> list[str]:
    """How two tables differ, a line per column."""
    gone = [c for c in old.columns if c not in new.columns]
    more = [c for c in new.columns if c not in old.columns]
    found = [f"columns gone {gone}"] if gone else []
    found += [f"columns new {more}"] if more else []
    if len(old) != len(new):
        return [*found, f"{len(old)} rows became {len(new)}"]
    both = [c for c in old.columns if c in new.columns]
    left, right = plain(old[both]), plain(new[both])
    if not ordered:
        keys = [c for c in both if left[c].dtype == object]
        numbers = [c for c in both if c not in keys]
        left, right = (
            t.assign(**{f"#{c}": t[c].round(9) for c in numbers})
            .sort_values([*keys, *(f"#{c}" for c in numbers)], kind="stable")
            .reset_index(drop=True)
            for t in (left, right)
        )
    for column in both:
        a, b = left[column], right[column]
        if a.dtype == object or b.dtype == object:
            same = a.astype(str) == b.astype(str)
        else:
            same = np.isclose(a, b, rtol=TOLERANCE, atol=1e-300, equal_nan=True)
        if not np.all(same):
            row = int(np.flatnonzero(~np.asarray(same))[0])
            count = int((~np.asarray(same)).sum())
            found.append(f"{column}: {count} cells, first {a[row]!r} became {b[row]!r}")
    return found


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers as float64, all others as text; empty is empty."""
    made = {}
    for column in table.columns:
        cells_ = table[column]
        if cells_.dtype == bool or not pd.api.types.is_numeric_dtype(cells_):
            numbers = pd.to_numeric(cells_, errors="coerce")
            if cells_.dtype != bool and (numbers.notna() | cells_.isna()).all():
                made[column] = numbers.astype(float)
            else:
                made[column] = cells_.map(lambda v: "" if pd.isna(v) else str(v)).astype(object)
        else:
            made[column] = cells_.astype(float)
    return pd.DataFrame(made).reset_index(drop=True)


def compare_pages(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    """Differences between two renderings; outputs are paired by caption or name, texts in order."""
    found = []
    left, right = by_label(old), by_label(new)
    found += [f"gone: {label}" for label in left if label not in right]
    found += [f"new: {label}" for label in right if label not in left]
    for label in left:
        if label in right:
            a, b = left[label], right[label]
            if "text" in a and a["text"] != b.get("text"):
                found.append(f"{label}: text\n  - {a['text']}\n  + {b.get('text')}")
            if "data" in a:
                found += [f"{label}: {t}" for t in frame_differences(a["data"], b["data"], True)]
                if a["caption"] != b["caption"]:
                    found.append(f"{label}: caption\n  - {a['caption']}\n  + {b['caption']}")
            if "spec" in a and json.dumps(a["spec"]) != json.dumps(b["spec"]):
                found.append(f"{label}: spec {spec_difference(a['spec'], b['spec'])}")
    return found


def by_label(shown: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Outputs under a name that tells them apart."""
    made: dict[str, dict[str, Any]] = {}
    for item in shown:
        label = item.get("name") or f"{item['kind']} {item.get('caption', '')[:60]}".strip()
        while label in made:
            label += "'"
        made[label] = item
    return made


def spec_difference(old: Any, new: Any, path: str = "") -> str:
    """Where two specifications part."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old)]:
            if key not in old or key not in new:
                return f"{path}/{key} in one only"
            if json.dumps(old[key]) != json.dumps(new[key]):
                return spec_difference(old[key], new[key], f"{path}/{key}")
        return f"{path}: order of keys"
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            if json.dumps(a) != json.dumps(b):
                return spec_difference(a, b, f"{path}[{index}]")
    return f"{path}: {str(old)[:200]} became {str(new)[:200]}"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path.cwd())
    parser.add_argument("what", choices=["pages", "tables", "compare"])
    parser.add_argument("arguments", nargs="+")
    asked = parser.parse_args()
    root = asked.root.resolve()
    sys.path.insert(0, str(root))
    os.environ["PYTHONPATH"] = str(root)
    first, *rest = asked.arguments
    if asked.what == "compare":
        return compare(Path(first), Path(rest[0]), rest[1:])
    if asked.what == "tables":
        tables(root, first, Path(rest[0]), rest[1:])
    else:
        pages(root, Path(first), rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Goldens: what a redesign must leave as it is. Nothing of what this writes is committed.

``python tests/goldens.py tables PROFILE OUT [NOTEBOOK ...]`` runs experiments and keeps their
tables before they are formatted; ``compare BEFORE AFTER [NOTEBOOK ...]`` names each difference
between two such folders. ``pages [NOTEBOOK ...]`` renders pages from the published tables, without
training, and names each difference from the published pages (``--published`` names another folder
of them). Both return 1 if anything differs.
"""

import argparse
import base64
import io
import json
import pickle
import re
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
TOLERANCE = 1e-12
# Tables are published with five digits: of what is drawn from them, the last may differ.
SHOWN = 1.01e-4
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_SPEC = re.compile(r"vegaEmbed\('#[^']*',(.*),\{actions:false", re.DOTALL)


def names() -> list[str]:
    """All notebooks."""
    return sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


# --- tables


def tables(profile: str, out: Path, only: list[str]) -> None:
    """Each notebook's tables, as they are before they are formatted."""
    from lib.study.results import default_store

    out.mkdir(parents=True, exist_ok=True)
    for name in only or names():
        module = import_module(f"lib.experiments.{name.split('_', 1)[1]}")
        start = time.perf_counter()
        found = module.run(module.Config.create(profile=profile), default_store())
        content = pickle.dumps({"rows": found.rows, **found.tables})
        (out / f"{name}.{profile}.pkl").write_bytes(content)
        print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)


def compare(before: Path, after: Path, only: list[str]) -> int:
    """Names each difference; 1 if there is any."""
    differences = []
    for path in sorted(before.glob("*.pkl")):
        other = after / path.name
        if not other.exists() or (only and path.name.split(".")[0] not in only):
            continue
        old, new = pickle.loads(path.read_bytes()), pickle.loads(other.read_bytes())
        found = [f"{name} is gone" for name in old if name not in new]
        found += [f"{name} is new" for name in new if name not in old]
        for name in sorted(set(old) & set(new)):
            found += [f"{name}: {text}" for text in frame_differences(old[name], new[name])]
        print(f"{path.stem}: {len(found)} differences among {len(old)} tables")
        differences += [f"{path.stem}: {text}" for text in found]
    print("\n".join(differences))
    return int(bool(differences))


def frame_differences(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """How two tables differ, a line per column; the order of rows counts for nothing."""
    gone = [c for c in old.columns if c not in new.columns]
    more = [c for c in new.columns if c not in old.columns]
    found = [f"columns gone {gone}"] if gone else []
    found += [f"columns new {more}"] if more else []
    if len(old) != len(new):
        return [*found, f"{len(old)} rows became {len(new)}"]
    both = [c for c in old.columns if c in new.columns]
    left, right = plain(old[both]), plain(new[both])
    keys = [c for c in both if left[c].dtype == object]
    numbers = [c for c in both if c not in keys]
    left, right = (
        table.assign(**{f"#{c}": table[c].round(9) for c in numbers})
        .sort_values([*keys, *(f"#{c}" for c in numbers)], kind="stable")
        .reset_index(drop=True)
        for table in (left, right)
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
    made: dict[str, Any] = {}
    for column in table.columns:
        cells = table[column]
        numbers = pd.to_numeric(cells, errors="coerce")
        if cells.dtype != bool and (numbers.notna() | cells.isna()).all():
            made[column] = numbers.astype(float)
        else:
            made[column] = cells.map(lambda v: "" if pd.isna(v) else str(v)).astype(object)
    return pd.DataFrame(made).reset_index(drop=True)


# --- pages


def render(name: str, **parameters: Any) -> list[str]:
    """What each cell of a notebook shows, run in this process; cells that train nothing."""
    from IPython.core.interactiveshell import InteractiveShell

    cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8"))["cells"]
    main = sys.modules["__main__"]  # the shell puts its own in this place
    shell = InteractiveShell.instance()
    shell.reset()
    shown: list[Any] = []
    try:
        _run_cells(shell, cells, shown, parameters)
    finally:
        sys.modules["__main__"] = main
    return [text for item in shown for text in as_text(item)]


def _run_cells(shell: Any, cells: list[Any], shown: list[Any], parameters: dict[str, Any]) -> None:
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        quiet = io.StringIO()
        sys.stdout, before = quiet, sys.stdout
        try:
            shell.user_ns["display"] = lambda *objects: shown.extend(objects)
            done = shell.run_cell("".join(cell["source"]))
        finally:
            sys.stdout = before
        done.raise_error()
        if done.result is not None:
            shown.append(done.result)
        if "parameters" in cell["metadata"].get("tags", []):
            shell.user_ns.update(parameters)


def as_text(item: Any) -> list[str]:
    """An output as HTML or Markdown."""
    if isinstance(item, list | tuple):
        return [text for one in item for text in as_text(one)]
    for kind in ("_repr_html_", "_repr_markdown_"):
        text = getattr(item, kind, lambda: None)()
        if text:
            return [text]
    return [] if hasattr(item, "_repr_html_") or hasattr(item, "_repr_markdown_") else [str(item)]


def published(notebook: Path) -> list[str]:
    """What the cells of an executed notebook show."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    shown = []
    for cell in cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            text = data.get("text/html") or data.get("text/markdown") or data.get("text/plain")
            words = "".join(text or "")
            if words.strip() and not words.startswith("<IPython"):
                shown.append(words)
    return shown


def described(shown: list[str]) -> dict[str, dict[str, Any]]:
    """Figures, tables and texts by a label that tells them apart."""
    from bs4 import BeautifulSoup

    made: dict[str, dict[str, Any]] = {}

    def keep(label: str, item: dict[str, Any]) -> None:
        while label in made:
            label += "'"
        made[label] = item

    for text in shown:
        if "<figure" not in text:
            if text.strip():
                keep(f"text {text.strip()[:40]}", {"text": text.strip()})
            continue
        soup = BeautifulSoup(text, "html.parser")
        scripts = [script.string or "" for script in soup.find_all("script")]
        for figure in soup.find_all("figure"):
            caption = figure.find("figcaption")
            words = caption.get_text() if caption else ""
            if words.startswith("Effective configuration"):
                continue  # fields come and go
            if "chart" in figure.get("class", []) and "id" in figure.attrs:
                name = str(figure["id"])
                spec = next(s for s in scripts if f"'#{name}-live'" in s)
                found = _SPEC.search(spec)
                assert found is not None, name
                link = caption.find("a")["href"].partition("base64,")[2]
                data = base64.b64decode(link).decode()
                keep(name, {"text": words, "spec": json.loads(found[1]), "data": data})
            else:
                cells = figure.find_all(["th", "td"])
                data = "\n".join(cell.get_text() for cell in cells)
                keep(f"table {words[:50]}", {"text": words, "data": data})
    return made


def same_text(old: str, new: str) -> bool:
    """Equal words, and numbers equal but for one unit of the last digit that is shown."""
    if _NUMBER.sub("#", old) != _NUMBER.sub("#", new):
        return False
    pairs = zip(_NUMBER.findall(old), _NUMBER.findall(new), strict=True)
    return all(_near(a, b) for a, b in pairs)


def _near(a: str, b: str) -> bool:
    unit = 10.0 ** -len(a.partition(".")[2]) if "." in a and "e" not in a else SHOWN * abs(float(a))
    return abs(float(a) - float(b)) <= max(1.01 * unit, SHOWN * abs(float(a)))


def spec_difference(old: Any, new: Any, path: str = "") -> str:
    """Where two specifications part; empty where they are the same."""
    if isinstance(old, dict) and isinstance(new, dict):
        if set(old) != set(new):
            return f"{path}: keys {sorted(set(old) ^ set(new))}"
        return next(filter(None, (spec_difference(old[k], new[k], f"{path}/{k}") for k in old)), "")
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return next(
            filter(None, (spec_difference(a, b, f"{path}[{i}]") for i, (a, b) in pairs)), ""
        )
    numbers = isinstance(old, int | float) and isinstance(new, int | float)
    if old == new or (numbers and abs(old - new) <= max(SHOWN, SHOWN * abs(old))):
        return ""
    if isinstance(old, str) and isinstance(new, str) and same_text(old, new):
        return ""
    return f"{path}: {str(old)[:160]} became {str(new)[:160]}"


def page_differences(old: list[str], new: list[str]) -> list[str]:
    """How two renderings of a page differ."""
    left, right = described(old), described(new)
    found = [f"gone: {label}" for label in left if label not in right]
    found += [f"new: {label}" for label in right if label not in left]
    for label in left.keys() & right.keys():
        a, b = left[label], right[label]
        for part in ("text", "data"):
            if part in a and not same_text(a[part], b.get(part, "")):
                found.append(f"{label}: {part}\n  - {a[part][:1500]}\n  + {b.get(part, '')[:1500]}")
        if difference := spec_difference(a.get("spec"), b.get("spec")):
            found.append(f"{label}: spec {difference}")
    return found


def pages(folder: Path, only: list[str]) -> int:
    """Pages made from the published tables beside the published pages."""
    differ = 0
    for name in only or names():
        start = time.perf_counter()
        new = render(name, profile="full", tables_from=str(ROOT / "results"))
        found = page_differences(published(folder / f"{name}.ipynb"), new)
        print(f"{name}: {len(found)} differences, {time.perf_counter() - start:.1f} s", flush=True)
        print("".join(f"  {text}\n" for text in found), end="", flush=True)
        differ += len(found)
    return int(differ > 0)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--published", type=Path, default=ROOT / "book" / "experiments")
    parser.add_argument("what", choices=["tables", "compare", "pages"])
    parser.add_argument("arguments", nargs="*")
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if asked.what == "pages":
        return pages(asked.published, asked.arguments)
    first, second, *only = asked.arguments
    if asked.what == "compare":
        return compare(Path(first), Path(second), only)
    tables(first, Path(second), only)
    return 0


if __name__ == "__main__":
    sys.exit(main())

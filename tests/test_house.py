"""The house: who may import whom, how large it may be, and that a name means one thing."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

# A folder may import those before it; the lists say what else it may not know.
ORDER = (
    *("arrays", "sequences", "data", "motifs", "assays", "simulator", "models", "training"),
    *("metrics", "statistics", "repair", "study", "published", "page", "experiments"),
)
TABLES_ONLY = ("metrics", "statistics", "repair")  # they know arrays and tables
BIOLOGY = ("sequences", "data", "motifs", "assays", "simulator", "models", "training")
ENTRIES = ("audit", "claims", "folds", "report", "staleness")  # commands

# Ceilings follow what was reached; lines only come down.
MOST_LINES, MOST_CODE, MOST_MODULES = 18_950, 12_000, 105
MODULE_LINES, EXPERIMENT_LINES, ENTRY_LINES = 400, 350, 40


def place(name: str) -> str:
    """The folder of ``lib`` that a dotted name lies in."""
    return name.split(".")[1] if "." in name else ""


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Modules that a file names, with each name it takes from them."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def of_ours(path: Path) -> list[tuple[str, str]]:
    return [found for found in imports(path) if found[0].split(".")[0] == "lib"]


@pytest.fixture(scope="module")
def modules(root: Path) -> dict[str, Path]:
    found = {}
    for path in sorted((root / "lib").rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def code_lines(path: Path) -> int:
    """Lines that are neither blank nor comment nor docstring."""
    text = path.read_text("utf-8")
    dropped: set[int] = set()
    holds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, holds) and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            dropped |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(bool(s.strip()) and s.strip()[0] != "#" and n not in dropped for n, s in lines)


def test_imports_point_one_way(modules: dict[str, Path]) -> None:
    wrong = []
    for name, path in modules.items():
        own = place(name)
        if own in ENTRIES or not own:
            continue
        assert own in ORDER, f"{path} lies in no folder of the house"
        for module, item in of_ours(path):
            other = place(f"{module}.{item}") if module == "lib" else place(module)
            later = ORDER.index(other) > ORDER.index(own)
            if later or (own in TABLES_ONLY and other in BIOLOGY):
                wrong.append(f"{name} imports {module}")
    assert not wrong


def test_nothing_imports_an_experiment_s_neighbour_s_private_names(root: Path) -> None:
    wrong = [
        f"{path.relative_to(root)} takes {item} from {module}"
        for folder in ("lib", "book/_ext", "tools")
        for path in sorted((root / folder).rglob("*.py"))
        for module, item in of_ours(path)
        if item.startswith("_")
    ]
    assert not wrong


def test_a_class_s_name_means_one_class(modules: dict[str, Path]) -> None:
    names = Counter(
        node.name
        for path in modules.values()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and node.name != "Config"
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_the_house_is_small(modules: dict[str, Path]) -> None:
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in modules.items()}
    code = sum(code_lines(path) for path in modules.values())
    assert sum(lines.values()) <= MOST_LINES
    assert code <= MOST_CODE
    assert len(modules) <= MOST_MODULES
    for name, count in lines.items():
        experiment = place(name) == "experiments"
        limit = EXPERIMENT_LINES if experiment else MODULE_LINES
        if place(name) in ENTRIES:
            limit = ENTRY_LINES
        assert count <= limit, f"{name} has {count} lines, {limit} at most"

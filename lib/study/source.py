"""Which source a result depends on: the files of this package that a module imports.

In: a dotted module name. Out: hashes of syntax trees, so that comments and docstrings do not count.
"""

import ast
import hashlib
import importlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = "lib"
DIGITS = 12  # of a file's hash where it stands in a manifest


def source_files(module: str) -> dict[str, Path]:
    """The files of this package that ``module`` consists of: itself and all it imports."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = None if name in found else _source_file(name)
        if path is None:
            continue
        found[name] = path
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        relative_to = f"{package}.__init__" if path.name == "__init__.py" else name
        waiting.extend(_imports(ast.parse(path.read_text("utf-8")), relative_to))
    return found


def _imports(tree: ast.Module, module: str) -> Iterator[str]:
    """Modules of this package that ``tree`` names in import statements, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), module)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _source_file(module: str) -> Path | None:
    if module.split(".")[0] != PACKAGE:
        return None
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a name imported from a module, not a module
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None


def file_hash(path: Path) -> str:
    """SHA-256 of a file's syntax, without comments and docstrings."""
    return _file_hash(path, path.stat().st_mtime_ns)


@cache
def _file_hash(path: Path, modified: int) -> str:
    # The modification time is the memo's key: a changed file is read again.
    tree = ast.parse(path.read_text("utf-8"))
    holds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, holds) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def module_hashes(module: str) -> dict[str, str]:
    """First digits of the hash of each file that a module consists of, by module name."""
    files = sorted(source_files(module).items())
    return {name: file_hash(path)[:DIGITS] for name, path in files}


@cache
def source_hash(module: str) -> str:
    """One hash over all files that a module consists of.

    A module outside the package (a user's own network) counts by its own file alone.
    """
    files = source_files(module)
    if not files:
        origin = importlib.import_module(module).__file__
        files = {module: Path(origin)} if origin is not None else {}
    lines = [f"{name} {file_hash(path)}\n" for name, path in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()

"""Nothing that is read can run code: no module loads pickles or evaluates text."""

import ast
from pathlib import Path

import pytest

MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
OWN = {"drawn.py"}  # runs the code of the book's own pages, as notebooks do
CALLS = {"eval", "exec", "compile", "torch.load", "pd.read_pickle", "pandas.read_pickle"}


def dangers(source: str) -> list[str]:
    """What a module imports or calls that can run code held in a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        found += [name for name in names if name.split(".")[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        options = {word.arg: ast.unparse(word.value) for word in node.keywords}
        unsafe_yaml = called == "yaml.load" and "Safe" not in ast.unparse(node)
        if called in CALLS or unsafe_yaml or options.get("allow_pickle") == "True":
            found.append(called)
    return found


@pytest.mark.parametrize("folder", ["lib", "benchmarks", "book/_ext"])
def test_no_module_unpickles_or_evaluates(root: Path, folder: str) -> None:
    paths = sorted((root / folder).rglob("*.py"))
    assert paths
    found = {path.name: dangers(path.read_text("utf-8")) for path in paths}
    assert {name: what for name, what in found.items() if what and name not in OWN} == {}


def test_dangers_are_noticed_and_harmless_calls_pass() -> None:
    for source in (
        *("import pickle", "from marshal import loads", "eval(text)", "torch.load(path)"),
        *("np.load(path, allow_pickle=True)", "yaml.load(text)", "yaml.load(text, yaml.Loader)"),
    ):
        assert len(dangers(source)) == 1, source
    for source in ("np.load(path)", "yaml.safe_load(text)", "model.eval()"):
        assert dangers(source) == []

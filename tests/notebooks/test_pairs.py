"""Notebooks: the text that people edit and the file that papermill runs are in step."""

import ast
from importlib import import_module
from pathlib import Path

import jupytext
import nbformat
import pytest
from papermill.inspection import inspect_notebook

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
NAMES = sorted({path.stem for path in NOTEBOOKS.glob("*") if path.suffix in {".md", ".ipynb"}})


def cells(notebook):
    return [
        (cell.cell_type, cell.source.strip(), sorted(cell.metadata.get("tags", [])))
        for cell in notebook.cells
    ]


@pytest.mark.parametrize("name", NAMES)
def test_pair_is_in_step(name):
    text, runnable = NOTEBOOKS / f"{name}.md", NOTEBOOKS / f"{name}.ipynb"
    assert text.exists(), f"{name}.ipynb has no text; run make pairs"
    assert runnable.exists(), f"{name}.md has no notebook; run make pairs"
    notebook = nbformat.read(runnable, as_version=4)
    assert cells(jupytext.read(text)) == cells(notebook), f"{name}: run make pairs"


@pytest.mark.parametrize("name", NAMES)
def test_runnable_notebook_is_clean_with_one_parameters_cell_and_no_logic(name):
    """papermill finds parameters by the tag; jupytext can lose tags."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    (tagged,) = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    lines = ast.parse(tagged.source).body
    assert all(isinstance(line, ast.AnnAssign) and line.value for line in lines)  # name: type = x
    for cell in code:
        if cell is not tagged:
            assert len(cell.source.splitlines()) <= 30, f"long cell:\n{cell.source}"
            assert "def " not in cell.source and "class " not in cell.source


JSON_TYPES = {"integer": "int", "number": "float", "string": "str", "boolean": "bool"}


@pytest.mark.parametrize("name", NAMES)
def test_papermill_lists_every_parameter_with_type_and_meaning(name):
    """As ``papermill --help-notebook`` does; types are those that the config checks."""
    found = inspect_notebook(str(NOTEBOOKS / f"{name}.ipynb"))
    config = import_module(f"lib.experiments.{name.partition('_')[2]}").Config
    known = config.model_json_schema()["properties"]
    assert set(found) == set(known)
    for parameter, said in found.items():
        assert len(said["help"]) > 5, f"{parameter} has no meaning"
        options = [known[parameter], *known[parameter].get("anyOf", [])]
        kind = next(option["type"] for option in options if option.get("type", "null") != "null")
        given = said["inferred_type_name"]
        if kind == "array":
            assert given.startswith("list[")
        elif kind != "object":  # of names, given as text
            assert given == JSON_TYPES[kind]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_checked_before_pages_and_charts_are_imported(name):
    """A wrong one is said some seconds earlier."""
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4).cells
    first, _, run, *_ = (cell.source for cell in cells if cell.cell_type == "code")
    imported = [line.split()[1] for line in first.splitlines()]
    assert imported == ["lib.experiments", "lib.study.results"]
    assert "from_notebook(globals())" in run

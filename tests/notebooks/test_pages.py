"""Pages are made of tables, and stand without any rows; a wrong parameter stops them."""

import shutil
from importlib import import_module

import pytest

from tests.shown import render

PAGES = (  # those with arms of which a run may ask for none
    "02_mpra_gc_ood",
    "03_structural_priors",
    "04_selective_prediction",
    "05_assay_and_program_shifts",
    "06_uncertainty_repair",
)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_stands_on_tables_without_rows(page, root, tmp_path, monkeypatch):
    name = page.split("_", 1)[1]
    shutil.copytree(root / "results" / name, tmp_path / name)
    for file in (f"{name}.csv", "manifest.json"):
        shutil.copy(root / "results" / file, tmp_path)
    for table in tmp_path.rglob("*.csv"):
        table.write_text(table.read_text("utf-8").partition("\n")[0] + "\n", encoding="utf-8")
    monkeypatch.delattr(import_module(f"lib.experiments.{name}"), "run")  # nothing may compute
    *shown, settings = render(page, profile="full", tables_from=str(tmp_path))
    assert "Effective configuration" in settings
    assert shown and all("<figcaption>Not asked for: " in text for text in shown)


def test_a_wrong_parameter_stops_the_notebook(tmp_path):
    """As papermill gives it, after the cell of parameters."""
    unknown = "unknown parameter 'gc_quantil'; did you mean 'gc_quantile'"
    for wrong, said in (
        *(({"gc_quantil": 0.9}, unknown), ({"gc_quantile": 1.5}, "gc_quantile")),
        ({"dataset": "wtc12"}, "wtc12"),
    ):
        with pytest.raises(ValueError, match=said):
            render("02_mpra_gc_ood", **wrong, run_folder=str(tmp_path / "tables"))
    assert not (tmp_path / "tables").exists()

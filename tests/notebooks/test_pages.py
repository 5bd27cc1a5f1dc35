"""Pages are made of tables: nothing is computed for them, and they stand without any rows."""

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

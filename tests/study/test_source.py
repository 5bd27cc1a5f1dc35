"""What counts as the source of a result."""

import ast
import sys

from lib.study import source
from lib.study.source import source_files, source_hash

FITS = {"arrays", "sequences", "data", "simulator", "assays", "motifs", "models", "training"}
READERS = {"lib.data.table", "lib.data.reading", "lib.data.predictions"}


def package(tmp_path, monkeypatch, body):
    """A package of its own, so that no file of ours is touched."""
    root = tmp_path / "madepackage"
    root.mkdir(exist_ok=True)
    (root / "__init__.py").write_text("")
    (root / "low.py").write_text(body)
    (root / "high.py").write_text("from madepackage.low import f\n\n\ndef g():\n    return f()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(source, "PACKAGE", "madepackage")
    for name in [name for name in sys.modules if name.startswith("madepackage")]:
        del sys.modules[name]
    source_hash.cache_clear()
    return source_hash("madepackage.high")


def test_a_line_makes_stale_a_docstring_or_comment_does_not(tmp_path, monkeypatch):
    plain = package(tmp_path, monkeypatch, "def f():\n    return 1\n")
    documented = '"""Module."""\n\n\ndef f():\n    """Say."""\n    # why\n    return 1\n'
    assert package(tmp_path, monkeypatch, documented) == plain
    assert package(tmp_path, monkeypatch, "def f():\n    return 2\n") != plain
    source_hash.cache_clear()


def test_every_import_of_the_package_counts():
    files = source_files("lib.data.leakage")
    assert {"lib.data.leakage", "lib.arrays", "lib.sequences"} <= set(files)
    assert "lib.study.units" not in files
    assert all(ast.parse(path.read_text("utf-8")) for path in files.values())


def test_a_fit_depends_on_the_source_that_fits_alone():
    """An edit of what judges, shows or reads strangers' tables computes no fit again."""
    files = set(source_files("lib.training.units"))
    assert {name.split(".")[1] for name in files if "." in name} <= FITS
    assert not files & READERS

"""The book's extensions: numbers of the tables in prose, local assets, accessible outputs."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

EXTENSIONS = Path(__file__).resolve().parents[2] / "book" / "_ext"
TABLE = (
    "data,shift,seed,metric,value,lower,upper\n"
    "wtc11,,,rmse,1.006,0.95,1.1\n"
    "wtc11,,4,rmse,1.2,,\n"
    "wtc11,gc_high,,rmse,1.5,,\n"
    "plant_leaf,,,rmse,2,1.9,2.1\n"
)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXTENSIONS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(
    folder: Path, text: str, monkeypatch: pytest.MonkeyPatch, strict: bool = True
) -> tuple[str, str]:
    """Build one page; returns its text and the warnings."""
    import io

    monkeypatch.syspath_prepend(str(EXTENSIONS))
    source = folder / "book"
    source.mkdir()
    (source / "index.md").write_text(f"# Page\n\n{text}\n", "utf-8")
    (folder / "results").mkdir()
    (folder / "results" / "two.csv").write_text(TABLE, "utf-8")
    (folder / "results" / "manifest.json").write_text('{"two": {"seconds": 90}}', "utf-8")
    warnings = io.StringIO()
    settings = {"extensions": ["myst_parser", "results"], "results_required": strict}
    with docutils_namespace():
        app = Sphinx(
            str(source),
            None,
            str(folder / "out"),
            str(folder / "trees"),
            "text",
            confoverrides=settings,
            status=None,
            warning=warnings,
        )
        app.build()
    return (folder / "out" / "index.txt").read_text("utf-8"), warnings.getvalue()


def test_one_row_is_shown_with_its_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = ["data=wtc11 shift= metric=rmse", "shift=gc_high", "seed=4"]
    text = ", ".join(f"{{result}}`two {query}`" for query in queries)
    page, warnings = build(tmp_path, text, monkeypatch)
    assert "1.01 (0.95 to 1.10), 1.50, 1.20" in page
    assert "results/two.csv" not in warnings


@pytest.mark.parametrize(
    ("query", "count"), [("two metric=rmse", 3), ("two data=other", 0), ("absent data=wtc11", 0)]
)
def test_no_row_or_several_warn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, count: int
) -> None:
    page, warnings = build(tmp_path, f"{{result}}`{query}`", monkeypatch)
    assert f"{count} rows of results/{query.split()[0]}.csv match" in warnings
    assert "not in this run" in page


def test_a_build_that_may_lack_rows_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, warnings = build(tmp_path, "{result}`two data=other`", monkeypatch, strict=False)
    assert "not in this run" in page
    assert "results/two.csv" not in warnings


def test_minutes_come_from_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, warnings = build(tmp_path, "{minutes}`two`, {minutes}`three`", monkeypatch)
    assert "1.5, *not in this run*" in page
    assert "results/manifest.json has no entry three" in warnings


def test_assets_are_written_once_and_mended(tmp_path: Path) -> None:
    offline = load("offline")
    folder = tmp_path / "offline"
    offline.write_assets(folder)
    bundle = (folder / "vega.js").read_text("utf-8")
    assert bundle.startswith("(function () {")
    assert "vegaEmbed" in bundle
    first = (folder / "vega.js").stat().st_mtime_ns
    offline.write_assets(folder)
    assert (folder / "vega.js").stat().st_mtime_ns == first
    (folder / "versions.txt").write_text("older\n", "utf-8")
    (folder / "stale.js").write_text("", "utf-8")
    offline.write_assets(folder)
    assert not (folder / "stale.js").exists()


def test_outputs_take_the_focus_and_references_are_a_list() -> None:
    body = '<div class="output text_html"><p role="doc-biblioentry"></p></div>'
    mended = '<div class="output text_html" tabindex="0"><p role="listitem"></p></div>'
    assert load("offline").make_accessible(body) == mended

"""The book's extensions: numbers of the tables in prose, local assets, accessible outputs."""

import importlib.util
import io
import json
from pathlib import Path

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
VERDICTS = {
    "claims.csv": (
        "id,statement,verdict,effect,lower,upper,n,margin,evidence,verdict_half,verdict_double,"
        "part,note\n"
        "C10,It rejects well,contradicted,0.9,0.88,0.9214,10,< 0.85,results/e.csv,supported,"
        "undecided,risk,present but below margin; a remark\n"
        'C1,It is accurate,supported,1.5,1.4,1.6,5,> 1.25,"other.html, results/e.csv",supported,'
        "supported,ratio (cnn),\n"
    ),
    "claims/parts.csv": (
        "id,part,secondary,verdict,effect,lower,upper,level,n,margin,verdict_half,verdict_double,"
        "told,supported,table,row,note\n"
        "C1,ratio (cnn),False,supported,1.5,1.4,1.6,0.95,5,> 1.25,supported,supported,"
        "> 1.14,> 1.39,e,,\n"
        "C1,twin,True,undecided,0.9,0.84,0.94,0.9,7,0.85 to 0.95,undecided,supported,"
        "–,0.8 to 1,e,,\n"
        "C10,risk,False,contradicted,0.9,0.88,0.92,0.95,10,< 0.85,supported,undecided,"
        "< 0.97,< 0.82,e,,present but below margin\n"
    ),
    "claims/not_judged.csv": "id,statement,reason\nC2,It stays so,no contrast set yet\n",
}


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXTENSIONS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def render(folder, kind, **settings):
    """Build ``folder/book`` as ``kind``; returns the folder of the output and the warnings."""
    warnings, names = io.StringIO(), ("out", "trees")
    settings["extensions"] = ["myst_parser", settings["extensions"]]
    folders = [str(folder / "book"), None, *(str(folder / name) for name in names)]
    with docutils_namespace():
        Sphinx(*folders, kind, settings, status=None, warning=warnings).build()
    return folder / "out", warnings.getvalue()


def build(folder, text, monkeypatch, strict=True, more=None):
    """Build one page beside another, with ``more`` tables; returns its text and the warnings."""
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    source = folder / "book"
    (source / "experiments").mkdir(parents=True)
    (source / "index.md").write_text(f"# Page\n\n{text}\n", "utf-8")
    for name in ("other", "experiments/02_two"):
        orphan = "---\norphan: true\n---\n# Evidence in full\n"
        (source / f"{name}.md").write_text(orphan, "utf-8")
    (folder / "results" / "claims").mkdir(parents=True)
    manifest = {"two": {"seconds": 90}, "unlisted": {"seconds": 1}}
    tables = {"two.csv": TABLE, "manifest.json": json.dumps(manifest)} | (more or {})
    for name, content in tables.items():
        (folder / "results" / name).write_text(content, "utf-8")
    out, warnings = render(folder, "text", extensions="front", results_required=strict)
    return (out / "index.txt").read_text("utf-8"), warnings


def test_one_row_is_shown_with_its_interval(tmp_path, monkeypatch):
    queries = ["data=wtc11 shift= metric=rmse", "shift=gc_high", "seed=4"]
    text = ", ".join(f"{{result}}`two {query}`" for query in queries)
    page, warnings = build(tmp_path, text, monkeypatch)
    assert "1.01 (0.95 to 1.10), 1.50, 1.20" in page
    assert "results/two.csv" not in warnings


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("query", "count"), [("two metric=rmse", 3), ("two data=other", 0), ("absent data=wtc11", 0)]
)
def test_no_row_or_several_warn_where_none_may_lack(tmp_path, monkeypatch, query, count, strict):
    page, warnings = build(tmp_path, f"{{result}}`{query}`", monkeypatch, strict)
    said = f"{count} rows of results/{query.split()[0]}.csv match"
    assert (said in warnings) == strict
    assert "not in this run" in page


def cells(page):
    """Rows of a page's tables, each cell's lines joined."""
    rows: list[list[str]] = []
    for line in page.splitlines():
        if line.startswith(("+", "|=")):
            rows.append([])
        elif line.startswith("|"):
            parts = [part.strip() for part in line.replace("\u00a0", " ").strip("|").split("|")]
            rows[-1] = [
                f"{a} {b}".strip()
                for a, b in zip(rows[-1] or [""] * len(parts), parts, strict=True)
            ]
    return [row for row in rows if row]


def test_verdicts_of_all_claims_in_order(tmp_path, monkeypatch):
    page, warnings = build(tmp_path, "```{verdicts}\n```", monkeypatch, more=VERDICTS)
    _, first, second, tenth = cells(page)
    assert first == [
        *("C1", "It is accurate. Evidence in full", "**supported**"),
        *("1.500 (1.400 to 1.600), n = 5", "> 1.25", "supported / supported"),
    ]
    assert second == ["C2", "It stays so", "not judged yet: no contrast set yet", "–", "–", "–"]
    assert tenth[1:4] == [
        "It rejects well. results/e.csv",
        "**contradicted** (present but below margin)",
        "0.900 (0.880 to 0.921), n = 10",
    ]
    assert tenth[5] == "supported / undecided"
    assert "results/" not in warnings


def test_words_and_effects_in_a_sentence(tmp_path, monkeypatch):
    text = ", ".join(f"{{verdict}}`{name}` {{effect}}`{name}`" for name in ("C10", "C2", "C9"))
    page, warnings = build(tmp_path, text, monkeypatch, more=VERDICTS)
    said = " ".join(page.replace("\u00a0", " ").split())
    assert "**contradicted** 0.900 (0.880 to 0.921), *not judged yet* –, *not in this" in said
    assert warnings.count("0 rows of results/claims.csv are of C9") == 2


def test_verdict_of_one_claim_with_its_contrasts(tmp_path, monkeypatch):
    text = "```{verdicts} C1\n```\n\n```{verdicts} C2\n```"
    page, _ = build(tmp_path, text, monkeypatch, more=VERDICTS)
    said = " ".join(page.replace("\u00a0", " ").split())
    assert "“It is accurate.”" in said
    assert (
        "**supported**. Decided by: ratio (cnn): 1.500 (1.400 to 1.600), n = 5, margin > 1.25. "
        "Evidence: Evidence in full."
    ) in said
    assert "Not judged yet: no contrast set yet." in said
    _, ratio, twin = cells(page)
    assert ratio[:3] == ["ratio (cnn) e.csv", "1.500 (1.400 to 1.600), 95 %, n = 5", "> 1.25"]
    assert twin == [
        *("twin, secondary e.csv", "0.900 (0.840 to 0.940), 90 %, n = 7", "0.85 to 0.95"),
        *("**undecided**", "undecided / supported", "– / 0.8 to 1"),
    ]


def test_runs_say_how_long_and_with_which_source(tmp_path, monkeypatch):
    page, _ = build(tmp_path, "```{runs}\n```", monkeypatch)
    _, run = cells(page)
    assert run == ["Evidence in full", "1.5", "an earlier source of modules it did not record"]


def test_an_altered_table_warns(tmp_path, monkeypatch):
    manifest = {"two": {"seconds": 90, "files": {"results/two.csv": "not this"}}}
    more = {"manifest.json": json.dumps(manifest)}
    _, warnings = build(tmp_path, "Text", monkeypatch, more=more)
    assert "results/two.csv was altered after its run; make publish writes it anew" in warnings


def test_a_figure_without_its_tables_warns(tmp_path, monkeypatch):
    page, warnings = build(tmp_path, "```{headline}\n```", monkeypatch)
    assert "Not in this run." in page
    assert "no results of 'simulation_shifts'" in warnings


def test_missing_verdicts_warn_in_a_published_build_alone(tmp_path, monkeypatch):
    said = "No verdict in this run"
    unknown, no_files, quick = (tmp_path / name for name in ("unknown", "none", "quick"))
    page, warnings = build(unknown, "```{verdicts} C9\n```", monkeypatch, more=VERDICTS)
    assert said in page
    assert "0 rows of results/claims.csv are of C9; one must" in warnings
    page, warnings = build(no_files, "```{verdicts}\n```", monkeypatch)
    assert said in page
    assert "results/claims.csv does not exist; make claims writes it" in warnings
    page, warnings = build(quick, "```{verdicts}\n```", monkeypatch, strict=False)
    assert said in page
    assert "results/" not in warnings


def test_assets_are_written_once_and_mended(tmp_path):
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


def test_outputs_take_the_focus_and_references_are_a_list():
    body = '<div class="output text_html"><p role="doc-biblioentry"></p></div>'
    mended = '<div class="output text_html" tabindex="0"><p role="listitem"></p></div>'
    assert load("offline").make_accessible(body) == mended


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("mean |error| of ``|x|``", r"mean \|error\| of ``|x|``"),
        (">>> a | b", ">>> a | b"),
        ("no bar", "no bar"),
    ],
)
def test_bars_in_docstrings_are_bars(line, kept):
    assert load("docstrings").keep_bars(line) == kept

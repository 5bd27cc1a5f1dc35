"""The book's extensions: numbers of the tables in prose, local assets, accessible outputs."""

import importlib.util
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from lib.simulator.assay import ANCHORS

EXTENSIONS = Path(__file__).resolve().parents[2] / "book" / "_ext"
TABLE = (
    "data,shift,seed,metric,value,lower,upper\n"
    "wtc11,,,rmse,1.006,0.95,1.1\n"
    "wtc11,,4,rmse,1.2,,\n"
    "wtc11,gc_high,,rmse,1.5,,\n"
    "plant_leaf,,,rmse,2,1.9,2.1\n"
)
KEYS = "id,reading,variant,"
VERDICTS = {
    "claims.csv": (
        KEYS + "statement,verdict,quantity,effect,lower,upper,n,margin,parts_passed,parts,"
        "evidence,by_construction,verdict_half,verdict_double,part,note\n"
        "C10,first,,It rejects well,contradicted,risk,0.9,0.88,0.9214,10,< 0.85,0,1,"
        "results/e.csv,false,supported,undecided,risk,smaller than claimed; a remark\n"
        "C1,first,,It is accurate,undecided,ratio,1.5,1.2,1.6,5,> 1.25,1,2,"
        "results/e.csv,false,supported,undecided,ratio (cnn),\n"
        "C1,strict,,It is more accurate,contradicted,dose,1.1,1.0,1.2,10,> 1.25,0,1,"
        "results/e.csv,true,supported,undecided,crossing,smaller than claimed\n"
        "C1,stated,,It is accurate,supported,ratio of errors,1.5,1.4,1.6,5,> 1.25,1,1,"
        '"other.html, results/e.csv",false,supported,supported,ratio (cnn),\n'
        "C11,stated,tilt,It holds,supported,risk,0.8,0.7,0.82,10,< 0.85,1,1,"
        "results/e.csv,false,undecided,undecided,risk,\n"
    ),
    "claims/parts.csv": (
        KEYS + "part,quantity,secondary,verdict,effect,lower,upper,level,n,margin,p_short,"
        "by_construction,verdict_half,verdict_double,told,supported,table,row,note\n"
        "C1,stated,,ratio (cnn),ratio of errors,False,supported,1.5,1.4,1.6,0.95,5,> 1.25,1,"
        "false,supported,supported,> 1.14,> 1.39,e,,\n"
        "C1,stated,,twin,ratio of errors,True,undecided,0.9,0.84,0.94,0.9,7,0.85 to 0.95,1,"
        "false,undecided,supported,–,0.8 to 1,e,,\n"
        "C1,stated,,gone,ratio of errors,True,not run,,,,,,,,false,not run,not run,,,e,,no time\n"
        "C1,strict,,crossing,dose,False,contradicted,1.1,1.0,1.2,0.95,10,> 1.25,0.01,"
        "true,supported,undecided,> 1.2,> 1.4,e,,smaller than claimed\n"
        "C10,first,,risk,risk,False,contradicted,0.9,0.88,0.92,0.95,10,< 0.85,0.01,false,"
        "supported,undecided,< 0.97,< 0.82,e,,smaller than claimed\n"
    ),
    "claims/not_judged.csv": (
        KEYS + "statement,reason\n"
        "C2,first,,It stays so,no contrast set yet\n"
        "C11,stated,tail,It holds,not run: no time\n"
    ),
    "claims/first_round.csv": "id,verdict,effect,lower,upper\nC1,supported,1.4,1.3,1.5\n",
    "claims/changes.csv": (
        KEYS + "what,direction,why\nC1,stated,,The margin,for,it was arbitrary\n"
    ),
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
def test_no_row_or_several_warn_where_none_may_lack(tmp_path, monkeypatch, strict):
    counts = {"two metric=rmse": 3, "two data=other": 0, "absent data=wtc11": 0}
    text = ", ".join(f"{{result}}`{query}`" for query in counts)
    page, warnings = build(tmp_path, text, monkeypatch, strict)
    for query, count in counts.items():
        assert (f"{count} rows of results/{query.split()[0]}.csv match" in warnings) == strict
    assert page.count("not in this run") == 3


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


def joined(page):
    return " ".join(page.replace("\u00a0", " ").split())


def test_verdicts_of_all_claims_in_order(tmp_path, monkeypatch):
    text = "```{verdicts}\n```\n\n```{verdicts}\n:short:\n```"
    page, warnings = build(tmp_path, text, monkeypatch, more=VERDICTS)
    _, first, second, tenth, tilt, tail, _, short, *_ = cells(page)
    assert first == [
        *("C1", "It is accurate. Evidence in full", "**supported** (rule-dependent)"),
        "**contradicted** (by construction) / **undecided**",
        *("ratio of errors: 1.500 (1.400 to 1.600), n = 5", "> 1.25", "1 of 1"),
        "supported / supported",
    ]
    assert second[2:5] == ["*not judged yet*: no contrast set yet", "– / –", "–"]
    assert tenth[1:5] == [
        *("It rejects well. results/e.csv", "**contradicted** (smaller than claimed)", "– / –"),
        "0.900 (0.880 to 0.921), n = 10",
    ]
    assert tenth[6:] == ["0 of 1", "supported / undecided"]
    assert (tilt[2], tail[2]) == ("**supported** (tilt)", "*not run* (tail): not run: no time")
    assert "As stated: 2 supported. Strict: 1 by construction, counted apart." in joined(page)
    # 3 times .025
    assert "Of the 3 verdicts as stated and strict, at most 0.1 false calls" in joined(page)
    assert "results/" not in warnings
    assert short == [
        *("C1", "It is accurate", "**supported**", "**contradicted** (by construction)"),
        *("1.500 (1.400 to 1.600), n = 5", "> 1.25"),
    ]


def test_words_and_effects_in_a_sentence(tmp_path, monkeypatch):
    names = ("C10", "C1", "C1 strict", "C11", "C11 tilt", "C2", "C9")
    text = ", ".join(f"{{verdict}}`{name}` {{effect}}`{name}`" for name in names)
    page, warnings = build(tmp_path, text, monkeypatch, more=VERDICTS)
    assert (
        "**contradicted** 0.900 (0.880 to 0.921), **supported** 1.500 (1.400 to 1.600), "
        "**contradicted** 1.100 (1.000 to 1.200), **supported** (tilt), *not run* (tail) "
        "0.800 (0.700 to 0.820), –, **supported** 0.800 (0.700 to 0.820), *not judged yet* –, "
        "*not in this run*"
    ) in joined(page)
    assert warnings.count("0 rows of results/claims.csv are of C9") == 2


def test_readings_of_one_claim_with_their_contrasts(tmp_path, monkeypatch):
    text = "```{verdicts} C1\n```\n\n```{verdicts} C2\n```"
    page, _ = build(tmp_path, text, monkeypatch, more=VERDICTS)
    said = joined(page)
    assert (
        "**As stated.** “It is accurate.” **supported** (rule-dependent). 1 of 1 parts passed; "
        "decided by: ratio (cnn): ratio of errors: 1.500 (1.400 to 1.600), n = 5, margin > 1.25. "
        "Evidence: Evidence in full."
    ) in said
    assert "**Strict.** “It is more accurate.” **contradicted** (by construction; smaller" in said
    assert "**First rule.** “It stays so.” *not judged yet*: no contrast set yet." in said
    assert said.index("As stated") < said.index("Strict") < said.index("First rule")
    _, ratio, twin, gone, *_ = cells(page)
    source = "ratio of errors: e.csv"
    assert ratio[:3] == [f"ratio (cnn) {source}", "1.500 (1.400 to 1.600), 95 %, n = 5", "> 1.25"]
    assert twin == [
        *(f"twin, secondary {source}", "0.900 (0.840 to 0.940), 90 %, n = 7", "0.85 to 0.95"),
        *("**undecided**", "undecided / supported", "– / 0.8 to 1"),
    ]
    assert gone[3] == "**not run** (no time)"


def test_the_first_round_beside_today_s_readings(tmp_path, monkeypatch):
    page, _ = build(tmp_path, "```{rounds}\n```", monkeypatch, more=VERDICTS)
    _, line = cells(page)
    assert line == [
        *("C1 rule-dependent", "**supported** 1.400 (1.300 to 1.500)", "**undecided**"),
        *("**supported**", "**contradicted** (by construction)"),
        "as stated: The margin (for the abstract): it was arbitrary.",
    ]


def test_runs_say_how_long_with_which_source_and_what_was_altered(tmp_path, monkeypatch):
    manifest = {"two": {"seconds": 90, "files": {"results/two.csv": "not this"}}}
    more = {"manifest.json": json.dumps(manifest)}
    text = "```{runs}\n```\n\n```{headline}\n```"
    page, warnings = build(tmp_path, text, monkeypatch, more=more)
    _, run = cells(page)
    assert run == ["Evidence in full", "1.5", "an earlier source of modules it did not record"]
    assert "results/two.csv was altered after its run; make publish writes it anew" in warnings
    assert "Not in this run." in page and "no results of 'simulation_shifts'" in warnings


def test_missing_verdicts_warn_in_a_published_build_alone(tmp_path, monkeypatch):
    said = "No verdict in this run"
    unknown, no_files, quick = (tmp_path / name for name in ("unknown", "none", "quick"))
    page, warnings = build(unknown, "```{verdicts} C9\n```", monkeypatch, more=VERDICTS)
    assert said in page
    assert "0 rows of results/claims.csv are of C9" in warnings
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


def test_bars_in_docstrings_are_bars():
    keep = load("docstrings").keep_bars
    assert keep("mean |error| of ``|x|``") == r"mean \|error\| of ``|x|``"
    assert keep(">>> a | b") == ">>> a | b" and keep("no bar") == "no bar"


def test_every_number_of_the_simulator_stands_on_the_page_of_methods(monkeypatch):
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    defaults = load("defaults")
    shown = {row.at for table in defaults.ROWS.values() for row in table}
    # Technical, the same under another name, or only compared with.
    apart = {"MATCHING_STEPS", "TOLERANCE", "FAINT", "SEVERITIES", "LOCATION", "SD"}
    apart |= {"trinucleotide_odds", "site_effect", "barcodes", "barcode_size"}
    for name in ("activity", "assay", "background", "programs", "shifts"):
        module = importlib.import_module(f"lib.simulator.{name}")
        source = Path(module.__file__).read_text("utf-8")
        found = re.findall(r"^([A-Z_]{2,}(?:, [A-Z_]+)*)[^=\n]* = ", source, re.M)
        numbers = {key for line in found for key in line.split(", ")
                   if np.asarray(getattr(module, key)).dtype.kind in "if"}  # fmt: skip
        assert {f"{name}:{key}" for key in numbers - apart} <= shown
    assert {f"assay:ANCHORS.{key}" for key in set(ANCHORS) - apart} <= shown
    assert defaults.show(defaults.value("programs:GAPS")) == "2, 10"
    assert defaults.show(defaults.value("background:SequenceLaw.units_mean")) == "1.8"


def test_a_drawing_stands_over_its_code_and_a_failing_one_warns(tmp_path, monkeypatch):
    text = "```{drawn}\nx = 2\n```\n\nIt is {drawn}`f'{x:.1f}'`.\n\n```{drawn}\n1 / 0\n```"
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "index.md").write_text(f"# Page\n\n{text}\n", "utf-8")
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    out, warnings = render(tmp_path, "text", extensions="drawn")
    page = (out / "index.txt").read_text("utf-8")
    assert "x = 2" in page and "It is 2.0." in page and "Not drawn." in page
    assert "a drawing failed: ZeroDivisionError" in warnings


SUPPLEMENT = """## Supplement

### Two & parts

Text under a part.

#### Deeper

### The other

More text.

## After

Not folded.
"""


def test_a_supplement_is_folded_whole_with_its_parts_named(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "index.md").write_text(f"# Page\n\nBefore.\n\n{SUPPLEMENT}", "utf-8")
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    out, warnings = render(tmp_path, "html", extensions="supplement")
    page = BeautifulSoup((out / "index.html").read_text("utf-8"), "html.parser")
    assert warnings == ""
    (fold,) = page.select("details")
    assert "open" not in fold.attrs and fold.parent["id"] == "supplement"
    assert fold.find_previous_sibling("h2").get_text().startswith("Supplement")
    assert fold.summary.get_text() == "Two & parts · The other"
    inside = fold.get_text()
    assert "Text under a part." in inside and "More text." in inside
    assert "Before." not in inside and "Not folded." not in inside
    # Headings keep their links, and stand where they stood in the page's own contents.
    anchors = [section["id"] for section in fold.select("section")]
    assert anchors == ["two-parts", "deeper", "the-other"]
    links = [link["href"] for link in page.select(".headerlink")]
    assert all(f"#{anchor}" in links for anchor in [*anchors, "after"])

"""The book's extensions: numbers of the tables in prose, local assets, accessible outputs."""

import importlib.util
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from lib.simulator.assay import ANCHORS

from .conftest import EXTENSIONS

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
        KEYS + "part,quantity,secondary,verdict,effect,lower,upper,level,n,margin,p_verdict,"
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


def render(folder, kind, text, **settings):
    """Build ``folder/book``, whose page says this, as ``kind``; returns the page and warnings."""
    (folder / "book").mkdir(parents=True, exist_ok=True)
    (folder / "book" / "index.md").write_text(f"# Page\n\n{text}\n", "utf-8")
    warnings, names = io.StringIO(), ("out", "trees")
    settings["extensions"] = ["myst_parser", settings["extensions"]]
    folders = [str(folder / "book"), None, *(str(folder / name) for name in names)]
    with docutils_namespace():
        Sphinx(*folders, kind, settings, status=None, warning=warnings).build()
    ending = {"text": "txt"}.get(kind, kind)
    return (folder / "out" / f"index.{ending}").read_text("utf-8"), warnings.getvalue()


def build(folder, text, strict=True, more=None, extension="front"):
    """Build one page beside another, with ``more`` tables; returns its text and the warnings."""
    source = folder / "book"
    (source / "experiments").mkdir(parents=True)
    for name in ("other", "experiments/02_two"):
        orphan = "---\norphan: true\n---\n# Evidence in full\n"
        (source / f"{name}.md").write_text(orphan, "utf-8")
    (folder / "results" / "claims").mkdir(parents=True, exist_ok=True)
    manifest = {"two": {"seconds": 90}, "unlisted": {"seconds": 1}}
    tables = {"two.csv": TABLE, "manifest.json": json.dumps(manifest)} | (more or {})
    for name, content in tables.items():
        (folder / "results" / name).write_text(content, "utf-8")
    return render(folder, "text", text, extensions=extension, results_required=strict)


def test_one_row_is_shown_with_its_interval(tmp_path):
    queries = ["data=wtc11 shift= metric=rmse", "shift=gc_high", "seed=4"]
    text = ", ".join(f"{{result}}`two {query}`" for query in queries)
    page, warnings = build(tmp_path, text)
    assert "1.01 (0.95 to 1.10), 1.50, 1.20" in page
    assert "results/two.csv" not in warnings


@pytest.mark.parametrize("strict", [True, False])
def test_no_row_or_several_warn_where_none_may_lack(tmp_path, strict):
    counts = {"two metric=rmse": 3, "two data=other": 0, "absent data=wtc11": 0}
    text = ", ".join(f"{{result}}`{query}`" for query in counts)
    page, warnings = build(tmp_path, text, strict)
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


def test_verdicts_of_all_claims_in_order(tmp_path):
    page, warnings = build(tmp_path, "```{verdicts}\n```", more=VERDICTS)
    _, first, second, tenth, tilt, tail, *_ = cells(page)
    assert first == [
        "C1 It is accurate",
        "as stated: **supported** (rule-dependent); strict: **smaller than claimed** (by "
        "construction); first rule: **undecided**",
        "All three kinds of network come close to what is possible, and beat a ridge on six-letter "
        "words. Evidence in full",
        "ratio of errors: 1.500 (1.400 to 1.600), n = 5; margin > 1.25; at half / at twice the "
        "margin: supported / supported",
        "1 of 1",
    ]
    assert second[1:] == ["first rule: *not judged yet*: no contrast set yet", *"–––"]
    assert tenth[1] == "first rule: **smaller than claimed**"
    assert tenth[2].endswith("hardly less squared error than all. results/e.csv")
    assert tenth[4] == "0 of 1"
    assert "**supported** (tilt)" in tilt[1]
    assert "*not run* (tail): no time" in tail[1]
    assert "As stated: 2 supported, 1 not run. Strict: 1 by construction, counted" in joined(page)
    # 3 times .025
    assert "Of the 3 verdicts as stated and strict, at most 0.1 false calls" in joined(page)
    assert "results/" not in warnings


@pytest.mark.parametrize(
    ("margin", "effect", "ground"),
    [("> 1.25", (1.5, 1.4, 1.6), "right"), ("< 0.85", (0.9, 0.88, 0.92), "left"),
     ("0.85 to 0.95", (0.9, 0.88, 0.92), "middle")],
)  # fmt: skip
def test_an_interval_is_drawn_against_its_margin(margin, effect, ground):
    row = dict(zip(("effect", "lower", "upper"), map(str, effect), strict=True)) | {
        "margin": margin
    }
    picture = BeautifulSoup(load("verdicts").drawing(row).astext(), "html.parser").svg
    assert picture["role"] == "img" and f"against the margin {margin}" in picture["aria-label"]
    x, width = (float(picture.rect[key]) for key in ("x", "width"))
    shaded = {"right": x > 1 and x + width >= 149, "left": x <= 1 and x + width < 149}
    assert shaded.get(ground, x > 1 and x + width < 149)
    dot = float(picture.circle["cx"])
    assert (x <= dot <= x + width) == (ground != "left")  # 0.9 is not below 0.85


def test_words_and_effects_in_a_sentence(tmp_path):
    names = ("C10", "C1", "C1 strict", "C11", "C11 tilt", "C2", "C9")
    text = ", ".join(f"{{verdict}}`{name}` {{effect}}`{name}`" for name in names)
    page, warnings = build(tmp_path, text, more=VERDICTS)
    assert (
        "**smaller than claimed** 0.900 (0.880 to 0.921), **supported** 1.500 (1.400 to 1.600), "
        "**smaller than claimed** 1.100 (1.000 to 1.200), **supported** (tilt), *not run* (tail) "
        "0.800 (0.700 to 0.820), –, **supported** 0.800 (0.700 to 0.820), *not judged yet* –, "
        "*not in this run*"
    ) in joined(page)
    assert warnings.count("0 rows of results/claims.csv are of C9") == 2


def test_readings_of_one_claim_with_their_contrasts(tmp_path):
    text = "```{verdicts} C1\n```\n\n```{verdicts} C2\n```"
    page, _ = build(tmp_path, text, more=VERDICTS)
    said = joined(page)
    words = "“It is accurate.” **supported** (rule-dependent). 1 of 1 parts passed; decided by: "
    words += "ratio (CNN): ratio of errors: 1.500 (1.400 to 1.600), n = 5, margin > 1.25. Evidence"
    assert f"**As stated.** {words}: Evidence in full." in said
    assert "**Strict.** “It is more accurate.” **smaller than claimed** (by construction)" in said
    assert "**First rule.** “It stays so.” *not judged yet*: no contrast set yet." in said
    assert said.index("As stated") < said.index("Strict") < said.index("First rule")
    _, ratio, twin, gone, *_ = cells(page)
    source = 'ratio of errors: "e.csv"'
    assert ratio[:3] == [f"ratio (CNN) {source}", "1.500 (1.400 to 1.600), 95 %, n = 5", "> 1.25"]
    assert twin == [
        *(f"twin, secondary {source}", "0.900 (0.840 to 0.940), 90 %, n = 7", "0.85 to 0.95"),
        *("**undecided**", "undecided / supported", "– / 0.8 to 1"),
    ]
    assert gone[3] == "**not run** (no time)"


def test_the_first_round_beside_today_s_readings(tmp_path):
    page, _ = build(tmp_path, "```{rounds}\n```", more=VERDICTS)
    _, line = cells(page)
    assert line == [
        *("C1 rule-dependent", "**supported** 1.400 (1.300 to 1.500)", "**undecided**"),
        *("**supported**", "**smaller than claimed** (by construction)"),
        "as stated: The margin (for the abstract): it was arbitrary.",
    ]


def test_runs_say_how_long_with_which_source_and_what_was_altered(tmp_path):
    said = {"fits": 5, "fits_computed": 3, "processors": ["a", "b"], "dtype": "float32"}
    manifest = {"two": said | {"seconds": 90, "files": {"results/two.csv": "not this"}}}
    more = {"manifest.json": json.dumps(manifest)}
    page, warnings = build(tmp_path, "```{runs}\n```", more=more)
    _, run = cells(page)
    source = "an earlier source of modules it did not record"
    assert run == ["Evidence in full", "2", "3 of 5", "a, b", "float32", source]
    assert "results/two.csv was altered after its run; make publish writes it anew" in warnings


LADDER = (
    "shift,condition,rung,metric,value,lower,upper,n\n"
    "genotype,Ehom,reference,picp_90,0.91,0.9,0.92,100\n"
    "genotype,Ehom,raw,picp_90,{raw},0.5,0.95,100\n"
    "genotype,Ehom,matched_moments,picp_90,0.88,0.8,1.02,100\n"
)
MEAN = (
    "data,split,shift,condition,model,uncertainty,metric,by,value,lower,upper,n\n"
    "retina_genotypes,shifted,genotype,Ehom,mean,single,picp_90,,0.64,0.6,0.7,100\n"
)
TWINS = (
    "shift,condition,metric,axis,forecast,lower,upper\n"
    "genotype,Ehom,coverage_drop,signal,0.3,-0.2,0.4\n"
)
PRIORS = (
    "effect,data,model,n_train,split,shift,prior,against,value,lower,upper\n"
    "rmse_f_ratio,simulation,cnn,250,test,,motif_decoy,none,0.5,0.4,0.6\n"
    "rmse_f_ratio,simulation,cnn,8000,test,,motif_decoy,none,{ratio}\n"
)
RANKING = (
    "effect,data,model,shift,target,score,value,lower,upper\n"
    "risk_ratio_50,wtc11,cnn,none,measured,std,0.6,0.5,0.7\n"
    "risk_over_trivial,wtc11,cnn,none,measured,mean,{over}\n"
)


def answer(raw="0.55", ratio="0.9,0.85,0.95", over="1,0.9,1.1"):
    return {
        "assay_and_program_shifts.csv": MEAN,
        "assay_and_program_shifts/ladder.csv": LADDER.format(raw=raw),
        "assay_and_program_shifts/twins.csv": TWINS,
        "structural_priors/effects.csv": PRIORS.format(ratio=ratio),
        "selective_prediction/effects.csv": RANKING.format(over=over),
    }


def front(folder, text, **values):
    for name in ("assay_and_program_shifts", "structural_priors", "selective_prediction"):
        (folder / "results" / name).mkdir(parents=True)
    more = answer(**values) | VERDICTS
    page, warnings = build(folder, text, more=more, extension="findings")
    return joined(page), warnings


def test_findings_choose_their_words_by_the_values(tmp_path):
    text = "```{findings}\n```"
    said, _ = front(tmp_path / "one", text)
    assert "changed (rewiring), 55 % do. Rescaling to the mean and spread there brings most" in said
    assert "helps in simulation.**" in said and "10.0 % lower." in said
    assert "60 % of that of all; choosing by the predicted activity alone leaves as litt" in said
    values = {"raw": "0.9", "ratio": "1.02,0.99,1.05", "over": "0.8,0.7,0.9"}
    said, _ = front(tmp_path / "two", text, **values)
    assert "hardly cost coverage" in said and "90 % do." in said
    assert "helps only where data are few.**" in said
    assert "2.0 % higher, within chance; only with few" in said
    assert "less than any rule leaves that knows nothing of uncertainty" in said


def test_the_picture_and_the_strip(tmp_path):
    said, _ = front(tmp_path, "```{strip}\n```")
    # C1 and a variant of C11; its other variant waits.
    assert "As stated: **2 supported, 0 contradicted, 0 undecided, 1 not run" in said
    assert "strict: **0 supported, 1 contradicted, 0 undecided, 1 of these by construction" in said
    figure = load("findings").picture(tmp_path / "results")
    names = ["network", "network", "rescaled", "simulated twin", "training mean"]
    assert figure.data["forecast"].tolist() == names
    assert figure.data["coverage"].tolist() == [0.91, 0.55, 0.88, 0.61, 0.64]
    assert figure.data[["lower", "upper"]].to_numpy().max() <= 1
    assert '"datum": 0.9' in json.dumps(figure.spec)


def test_an_answer_without_its_tables_warns_and_a_quick_report_shows_the_published_one(tmp_path):
    given = {"extension": "findings"}
    page, warnings = build(tmp_path / "one", "```{findings}\n```", **given)
    assert "No published answer yet." in page and "ladder.csv does not exist" in warnings
    page, warnings = build(tmp_path / "two", "```{findings}\n```", strict=False, **given)
    assert "Published answer" in page and "mean squared error" in page
    assert "results/" not in warnings


def test_missing_verdicts_warn_in_a_published_build_alone(tmp_path):
    said = "No verdict in this run"
    unknown, no_files, quick = (tmp_path / name for name in ("unknown", "none", "quick"))
    page, warnings = build(unknown, "```{verdicts} C9\n```", more=VERDICTS)
    assert said in page
    assert "0 rows of results/claims.csv are of C9" in warnings
    page, warnings = build(no_files, "```{verdicts}\n```")
    assert said in page
    assert "results/claims.csv does not exist; make claims writes it" in warnings
    page, warnings = build(quick, "```{verdicts}\n```", strict=False)
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


def test_every_number_of_the_simulator_stands_on_the_page_of_methods():
    defaults = load("defaults")
    shown = {row.at for table in defaults.ROWS.values() for row in table}
    # Technical, the same under another name, made of others, or only compared with.
    apart = {"MATCHING_STEPS", "TOLERANCE", "FAINT", "SEVERITIES", "LOCATION", "SD"}
    apart |= {"TYPICAL_DEPTH"}
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


def test_a_drawing_stands_over_its_code_and_a_failing_one_warns(tmp_path):
    text = "```{drawn}\nx = 2\n```\n\nIt is {drawn}`f'{x:.1f}'`.\n\n```{drawn}\n1 / 0\n```"
    page, warnings = render(tmp_path, "text", text, extensions="drawn")
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


def test_a_supplement_is_folded_whole_with_its_parts_named(tmp_path):
    text = f"Before.\n\n{SUPPLEMENT}"
    page, warnings = render(tmp_path, "html", text, extensions="supplement")
    page = BeautifulSoup(page, "html.parser")
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


def test_a_leaderboard_ranks_by_crps_and_takes_each_forecaster_at_its_best():
    keys = ("model", "prior", "uncertainty", "seed", "metric", "value", "n")
    made = [("cnn", "none", "ensemble", None, 0.5), ("cnn", "none", "single", None, 0.9),
            ("cnn", "none", "single", 1, 0.1), ("cnn", "motif_jaspar", "single", None, 0.4),
            ("motif_kernel", "none", "single", None, 0.3), ("motif_kernel", "none",
             "std_scaling", None, 0.2), ("memoriser", "none", "single", None, 0.8)]  # fmt: skip
    rows = pd.DataFrame([(*row[:4], "crps_gaussian", row[4], 99) for row in made], columns=keys)
    rows = rows.assign(split="test", shift="", condition="", by="", lower=np.nan, upper=np.nan)
    ranking = pd.DataFrame(columns=["model", "uncertainty", "effect", "score", "value"])
    page = BeautifulSoup(load("leaderboard").board(rows, ranking), "html.parser")
    lines = [[cell.get_text() for cell in line.find_all("td")] for line in page.select("tr")[1:]]
    assert [(line[0], line[1]) for line in lines] == [
        *(("motif kernel", "0.300"), ("network with motif scores", "0.400")),
        *(("CNN, ensemble", "0.500"), ("nearest neighbour", "0.800")),
    ]
    assert [line[-1].strip() for line in lines] == [*["not known"] * 3, "no one std for all"]
    assert page.details.summary.get_text() == "The 4 cards"
    plain = BeautifulSoup(load("leaderboard").plain_board(rows, ""), "html.parser")
    assert [line.td.get_text() for line in plain.select("tr")[1:]] == [line[0] for line in lines]

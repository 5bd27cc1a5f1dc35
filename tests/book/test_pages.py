"""The built book as files: all pages, nothing foreign, no dead link, sizes."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

LARGEST_PAGE = 1_500_000
LARGEST_SITE = 25_000_000
KEY_STRINGS = {
    "index": ["independent reconstruction", "not endorsed by the author", "five sentences"],
    "data": ["lentiMPRA", "STARR-seq", "MPRA_DATA_DIR"],
    "methods": ["aleatoric", "Where miscalibration comes from", "bootstrap"],
    "claims": ["margin", "all parts hold", "True by construction", "four of five", "C12"],
    "choices": ["The abstract", "With another", "What no run has checked"],
    "reproduce": ["make report", "make test", "papermill"],
    "published": ["predict_fasta", "bfloat16", "split"],
    "benchmarks": ["plain loop", "exponent", "in the hands of those who wrote it"],
    "trust": ["byte by byte", "unpickled or evaluated", "Python 3.11"],
    "limitations": ["abstract"],
    "glossary": ["distribution shift", "coverage", "leak group"],
    "references": ["Strictly proper scoring rules", "Not checked"],
    "api/data": ["leak_groups", "SequenceDataset", "Raises"],
    "api/simulator": ["Returns"],
    "api/models": ["fit(", "Parameters"],
    "api/metrics": ["zms(", "picp("],
    "api/repair": ["std_scaling(", "split_cp(", "decide("],
    "experiments/01_simulation_shifts": ["effect rewiring", "oracle", "True by construction"],
    "experiments/02_mpra_gc_ood": ["coverage", "GC"],
    "experiments/03_structural_priors": ["placebo", "True by construction", "decoys"],
    "experiments/04_selective_prediction": ["risk", "set aside", "True by construction"],
    "experiments/05_assay_and_program_shifts": ["forecast", "rewiring", "Scrambled elements"],
    "experiments/06_uncertainty_repair": ["calibration elements", "Statement 1", "conformal"],
    "experiments/07_motif_recovery": ["planted sites", "random scores", "True by construction"],
    "experiments/08_audit_your_own": ["perfect forecasters", "digit for digit", "promised"],
}


class Page(HTMLParser):
    """Links, ids, loaded addresses, headings and words of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.images_without_text = 0
        self.headings: list[int] = []
        self.prose = ""
        self.in_article = False
        self.text = path.read_text("utf-8")
        self.feed(self.text)

    def handle_data(self, data: str) -> None:
        if self.in_article:
            self.prose += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self.in_article = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in {"script", "img", "iframe", "source", "video", "audio", "embed"}:
            self.loaded.append(found.get("src", ""))
        if tag == "link" and found.get("rel", "") not in {"index", "search", "next", "prev"}:
            self.loaded.append(found.get("href", ""))
        if tag == "img" and "alt" not in found:
            self.images_without_text += 1
        if tag == "article":
            self.in_article = True
        if self.in_article and re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Page]:
    return {
        path.relative_to(site).with_suffix("").as_posix(): Page(path)
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.parts
    }


def listed(root: Path) -> list[str]:
    contents = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    chapters = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    return [contents["root"], *chapters]


def test_exactly_the_listed_pages_are_built(root: Path, pages: dict[str, Page]) -> None:
    assert set(pages) - {"genindex", "search", "py-modindex"} == set(listed(root))


@pytest.mark.parametrize("name", sorted(KEY_STRINGS))
def test_page_says_what_it_must(pages: dict[str, Page], name: str) -> None:
    for text in KEY_STRINGS[name]:
        assert text in pages[name].prose


def test_every_page_is_checked_for_its_text(root: Path) -> None:
    assert set(listed(root)) == set(KEY_STRINGS)


def test_nothing_is_loaded_from_elsewhere(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        foreign = [url for url in page.loaded if re.match(r"(?:https?:)?//", url)]
        assert foreign == [], name


def test_styles_and_own_scripts_name_no_other_host(site: Path) -> None:
    for path in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", path.read_text("utf-8"))
    assert (site / "_static" / "mathjax" / "MathJax.js").is_file()


def test_vega_is_loaded_by_pages_with_charts_alone(pages: dict[str, Page]) -> None:
    with_charts = {name for name, page in pages.items() if "vegaEmbed(" in page.text}
    with_vega = {
        name for name, page in pages.items() if any("vega.js" in url for url in page.loaded)
    }
    assert with_charts == with_vega
    assert "experiments/02_mpra_gc_ood" in with_charts


def test_links_and_anchors_resolve(site: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        folder = (site / name).parent
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link in {"", "#"}:
                continue
            path = (folder / unquote(parts.path)).resolve() if parts.path else site / f"{name}.html"
            assert path.exists(), f"{name} links to {link}"
            target = path.relative_to(site.resolve()).with_suffix("").as_posix()
            if parts.fragment and target in pages and path.suffix == ".html":
                assert unquote(parts.fragment) in pages[target].ids, f"{name} links to {link}"


def test_ids_are_unique_where_readers_link(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        charts = [found for found in page.ids if found.endswith("-live")]
        assert len(charts) == len(set(charts)), name


def test_pages_read_well_aloud(root: Path, pages: dict[str, Page]) -> None:
    for name in listed(root):
        page = pages[name]
        assert page.images_without_text == 0, f"{name} has images without alt"
        assert page.headings.count(1) == 1, f"{name} has {page.headings.count(1)} main headings"
        steps = [b - a for a, b in zip(page.headings, page.headings[1:], strict=False)]
        assert max(steps, default=0) <= 1, f"{name} skips a heading level: {page.headings}"


def test_sizes(site: Path) -> None:
    sizes = {path: path.stat().st_size for path in site.rglob("*") if path.is_file()}
    large = [path for path, size in sizes.items() if path.suffix == ".html" and size > LARGEST_PAGE]
    assert large == []
    assert sum(sizes.values()) <= LARGEST_SITE
    assert [path for path in sizes if path.suffix == ".map"] == []


def test_quick_pages_say_so_and_published_ones_do_not(site: Path, pages: dict[str, Page]) -> None:
    note = "not for conclusions"
    quick = "quick" in site.parts
    for name in ("index", "methods", "experiments/02_mpra_gc_ood"):
        banner = re.search(r"bd-header-announcement.*?</div>", pages[name].text, re.S)
        assert (banner is not None and note in banner[0]) == quick


def test_no_verdict_from_a_quick_run(site: Path, pages: dict[str, Page]) -> None:
    if "quick" in site.parts:
        for page in pages.values():
            assert 'class="verdict ' not in page.text


def test_no_path_of_the_building_machine(root: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        assert str(root) not in page.text, name

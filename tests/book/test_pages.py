"""The built book as files: all pages, nothing foreign, no dead link, sizes."""

import json
import re
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from .conftest import listed

LARGEST_PAGE = 1_000_000
LARGEST_SITE = 20_000_000
NAMES = {"x86_64", "avx512_bf16", "noise_std", "human_legnet"}  # of machines, columns, a repository
NEIGHBOURS = {"index", "search", "next", "prev"}  # linked, not loaded
KEY_STRINGS = {
    "index": ["independent reconstruction", "not endorsed by the author"],
    "api/data": ["leak_groups", "SequenceDataset", "Raises"],  # docstrings are rendered
    "experiments/08_audit_your_own": ["perfect forecasters"],  # and executed notebooks
}


class Page:
    """Links, ids, loaded addresses, headings and words of one page."""

    def __init__(self, path):
        self.text = path.read_text("utf-8")
        soup = BeautifulSoup(self.text, "html.parser")
        self.links = [link["href"] for link in soup.select("a[href]")]
        self.ids = [element["id"] for element in soup.select("[id]")]
        embedded = soup.select("script, img, iframe, source, video, audio, embed")
        beside = [e for e in soup.select("link") if not {*e.get("rel", [])} & NEIGHBOURS]
        self.loaded = [e.get("src", "") for e in embedded] + [e.get("href", "") for e in beside]
        self.images_without_text = len(soup.select("img:not([alt])"))
        article = soup.article or soup.new_tag("article")
        self.headings = [int(e.name[1]) for e in article.find_all(re.compile("^h[1-6]$"))]
        self.prose = article.get_text()
        for element in article.select("code, pre, script, style, a.external, #settings"):
            element.decompose()
        self.words = article.get_text(" ")


@pytest.fixture(scope="session")
def pages(site):
    return {
        path.relative_to(site).with_suffix("").as_posix(): Page(path)
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.parts
    }


def test_exactly_the_listed_pages_are_built(root, pages):
    assert set(pages) - {"genindex", "search", "py-modindex"} == set(listed(root))


@pytest.mark.parametrize("name", sorted(KEY_STRINGS))
def test_page_says_what_it_must(pages, name, site):
    quick = "runs" in site.parts  # has no docstrings
    for text in ["make book"] if quick and name == "api/data" else KEY_STRINGS[name]:
        assert text in pages[name].prose


def test_the_front_page_is_read_in_thirty_seconds(site):
    """Up to the picture, the title and the contents beside it apart."""
    soup = BeautifulSoup((site / "index.html").read_text("utf-8"), "html.parser")
    before = soup.article.find("figure").find_all_previous(["p", "h1"])
    said = " ".join(part.get_text() for part in before if part.find_parent("article"))
    note = "Published answer, not of this run, which is too small for one of its own."
    assert 60 <= len(said.replace(note, "").split()) <= 180
    assert 3 <= len(re.findall(r"\d[\d.,]*", said)) <= 8
    findings = soup.article.select("ol.findings > li")
    assert [len(re.findall(r"\d[\d.]* %", one.get_text())) for one in findings] == [1, 1, 1]
    assert ("Published answer" in said) == ("quick" in site.parts)
    links = [link["href"] for link in soup.article.select("a.sd-btn")]
    buttons = ["start.html", "08_audit_your_own.html", "reproduce.html"]
    assert [link.split("/")[-1] for link in links] == buttons


def test_nothing_is_loaded_from_elsewhere_and_styles_name_no_other_host(pages, site):
    for name, page in pages.items():
        foreign = [url for url in page.loaded if re.match(r"(?:https?:)?//", url)]
        assert foreign == [], name
    for path in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", path.read_text("utf-8"))
    assert (site / "_static" / "mathjax" / "MathJax.js").is_file()


def test_vega_is_loaded_by_pages_with_charts_alone(pages):
    with_charts = {name for name, page in pages.items() if "vegaEmbed(" in page.text}
    with_vega = {name for name, p in pages.items() if any("vega.js" in url for url in p.loaded)}
    assert with_charts == with_vega
    assert "experiments/02_mpra_gc_ood" in with_charts


def test_a_thing_has_one_colour_on_all_pages(pages):
    scales = r'"domain": ?(\[[^]]*\]), ?"range": ?(\[[^]]*\])'
    found = {scale for page in pages.values() for scale in re.findall(scales, page.text)}
    pairs = {p for s in found if '"#' in s[1] for p in zip(*map(json.loads, s), strict=True)}
    things = [thing for thing, _ in pairs if isinstance(thing, str)]  # not a heat map's numbers
    assert len(things) > 40 and len(things) == len(set(things))


def test_links_and_anchors_resolve(site, pages):
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


def test_ids_are_unique_where_readers_link_and_pages_read_well_aloud(pages, root):
    for name, page in pages.items():
        charts = [found for found in page.ids if found.endswith("-live")]
        assert len(charts) == len(set(charts)), name
    for name in listed(root):
        page = pages[name]
        assert page.images_without_text == 0, f"{name} has images without alt"
        assert page.headings.count(1) == 1, f"{name} has {page.headings.count(1)} main headings"
        steps = [b - a for a, b in zip(page.headings, page.headings[1:], strict=False)]
        assert max(steps, default=0) <= 1, f"{name} skips a heading level: {page.headings}"


def test_words_are_readers_words_and_numbers_are_numbers(pages, root, site):
    for name in listed(root):
        found = set(re.findall(r"\b\w*[a-z0-9]_\w+", pages[name].words)) - NAMES
        # Parameters of an interface, fits as they were recorded and lines of code keep their names.
        assert not found or name.startswith(("api/", "methods", "trust")), f"{name}: {found}"
        wrong = re.findall(r"(?<!np\.)\bnan\b|[-\N{MINUS SIGN}]0\.0+\b(?!\.)", pages[name].words)
        assert wrong == [], name
        assert "quick" in site.parts or "not in this run" not in pages[name].words, name


def test_references_are_checked_and_links_lead_out_by_https(pages):
    links = pages["references"].links
    assert "not checked" not in pages["references"].prose.lower()
    assert sum(link.startswith(("https://doi.org/", "https://arxiv.org/")) for link in links) >= 15
    for name, page in pages.items():
        out = {link for link in page.links if urlsplit(link).netloc}
        assert all(re.match(r"https://[\w.-]+/", link) for link in out) and out <= {*links}, name


def test_pages_say_what_they_are(root, pages, site):
    assert (site / "_static" / "favicon.svg").is_file()
    for name in listed(root):
        for tag in ('rel="icon"', 'name="description"', 'property="og:title"'):
            assert pages[name].text.count(tag) == 1, f"{name}: {tag}"


def test_sizes_and_no_path_of_the_building_machine(site, root, pages):
    sizes = {path: path.stat().st_size for path in site.rglob("*") if path.is_file()}
    large = [path for path, size in sizes.items() if path.suffix == ".html" and size > LARGEST_PAGE]
    assert large == []
    assert sum(sizes.values()) <= LARGEST_SITE
    assert [path for path in sizes if path.suffix == ".map"] == []
    for name, page in pages.items():
        assert str(root) not in page.text, name


def test_quick_pages_say_so_and_give_no_verdict(site, pages):
    note = "not for conclusions"
    quick = "quick" in site.parts
    for name in ("index", "methods", "experiments/02_mpra_gc_ood"):
        banner = re.search(r"bd-header-announcement.*?</div>", pages[name].text, re.S)
        assert (banner is not None and note in banner[0]) == quick
    if quick:
        assert not any('class="verdict ' in page.text for page in pages.values())

"""The built book in a real browser, opened as files, with the network blocked."""

import json
import shutil
import time
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

from lib.study.report import convert

from .conftest import EXTENSIONS, listed
from .test_extensions import SUPPLEMENT, render

pytestmark = pytest.mark.browser

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"),
    "--window-size=1280,1600",
)
MARKS = ".chart-live svg :is(.mark-symbol, .mark-line, .mark-rect, .mark-rule, .mark-area) path"
STRUCTURE = {"heading-order", "landmark-one-main", "page-has-heading-one"}
AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations']}).then(
  found => done(found.violations.map(v => ({
    id: v.id, impact: v.impact, nodes: v.nodes.slice(0, 3).map(n => n.target.join(' ')),
  }))),
  error => done([{id: String(error), impact: 'critical', nodes: []}]));
"""
PATIENCE = 20.0  # seconds for scripts of one page on a busy machine
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("Debian's chromium and chromium-driver are not installed")
    options = Options()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=Service(driver))
    yield session
    session.quit()


def wait(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def count(browser, selector):
    return browser.execute_script("return document.querySelectorAll(arguments[0]).length", selector)


def open_page(browser, site, name):
    """Open a page and wait for its charts and formulas."""
    browser.get((site / f"{name}.html").as_uri())
    wait(
        lambda: count(browser, "figure.chart") == count(browser, "figure.chart.drawn"),
        f"{name}: a chart did not draw",
    )
    wait(
        # MathJax's own output is of class "math" too, so only Sphinx's elements are counted.
        lambda: (
            count(browser, ".math.notranslate:not(:has(.MathJax .math))") == 0
            and count(browser, ".MathJax_Processing, .MathJax_Processed") == 0
        ),
        f"{name}: a formula did not render",
    )
    assert count(browser, ".MathJax_Error, .MathJax .merror") == 0, f"{name}: a formula is wrong"


def requested(browser):
    log = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [said for said in log if said["method"] == "Network.requestWillBeSent"]
    return [said["params"]["request"]["url"] for said in sent]


def errors(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_charts_draw_marks(browser, site):
    open_page(browser, site, "experiments/02_mpra_gc_ood")
    charts = count(browser, "figure.chart")
    assert charts >= 1
    for index in range(charts):
        nth = "document.querySelectorAll('figure.chart')[arguments[0]]"
        found = f"return {nth}.querySelectorAll(arguments[1]).length"
        assert browser.execute_script(found, index, MARKS) > 0, f"chart {index} is empty"


def test_print_shows_the_static_picture(browser, site):
    open_page(browser, site, "experiments/02_mpra_gc_ood")
    shown = "return getComputedStyle(document.querySelector(arguments[0])).display != 'none'"
    live, still = "figure.chart .chart-live", "figure.chart .chart-print"
    assert browser.execute_script(shown, live)
    assert not browser.execute_script(shown, still)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not browser.execute_script(shown, live)
    assert browser.execute_script(shown, still)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@contextmanager
def screen(browser, width):
    """A window of this width, a phone's or a desk's."""
    told = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", told)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


FITS = """
const wide = e => e.getBoundingClientRect();
const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
  && a.top < b.bottom - 1 && b.top < a.bottom - 1;
return [...document.querySelectorAll('figure.chart')].flatMap(figure => {
  const svg = wide(figure.querySelector('.chart-live svg'));
  const column = wide(figure.closest('section'));
  const clash = [...figure.querySelectorAll('.role-axis-label')].flatMap(axis => {
    const shown = [...axis.querySelectorAll('text')].filter(t => t.getAttribute('opacity') !== '0');
    return shown.filter((t, i) => i && meet(wide(shown[i - 1]), wide(t)));
  });
  const cut = [...figure.querySelectorAll('svg text')].filter(t => t.textContent.includes('…'));
  const small = svg.width < 0.9 * column.width || svg.right > column.right + 1;
  return small || clash.length || cut.length ? [figure.id] : [];
});"""


def test_search_finds_coverage(browser, site):
    browser.get((site / "search.html").as_uri() + "?q=coverage")
    wait(lambda: count(browser, "#search-results li") >= 2, "search finds nothing")
    links = "return [...document.querySelectorAll('#search-results a')].map(a => a.href)"
    found = browser.execute_script(links)
    assert any("glossary" in link for link in found)


def test_dark_mode_reaches_charts(browser, site):
    open_page(browser, site, "experiments/02_mpra_gc_ood")
    colours = []
    for mode in ("light", "dark"):
        browser.execute_script("document.documentElement.dataset.theme = arguments[0]", mode)
        script = "return getComputedStyle(document.querySelector('.chart-live svg text')).fill"
        colours.append(browser.execute_script(script))
    assert colours[0] != colours[1]


def violations(browser):
    """What axe-core holds against the open page: serious, critical, or of its structure."""
    script = resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    browser.execute_script(script)
    browser.set_script_timeout(60)
    found: list[dict[str, object]] = browser.execute_async_script(AXE)
    grave = ("serious", "critical")
    return [one for one in found if one["impact"] in grave or one["id"] in STRUCTURE]


STILL = "document.head.insertAdjacentHTML('beforeend', '<style>*{transition:none!important}')"
TALL, MOST_TALL = "return document.querySelector('article').offsetHeight", 8000
OPENED = "for (const fold of document.querySelectorAll('details:not([open])')) {"
OPENED += "fold.open = true; fold.classList.add('opened')}"
FOLDED = "for (const fold of document.querySelectorAll('details.opened')) fold.open = false"
SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


# Of the quick report the pages that its run makes; the others are as published.
MADE = [name for name in listed(ROOT) if name == "index" or name.startswith("experiments/")]
PAGES = [("published", name) for name in (*listed(ROOT), "search")]
PAGES += [("quick", name) for name in MADE]


@pytest.mark.parametrize(("site", "name"), PAGES, indirect=["site"])
def test_page_loads_alone_fits_any_screen_and_is_accessible(browser, site, name):
    """One opening for all of it: a page takes longer to draw than to check."""
    browser.get_log("browser")
    browser.get_log("performance")
    open_page(browser, site, name)
    assert errors(browser) == []
    outside = [url for url in requested(browser) if url.startswith(("http", "ws", "ftp"))]
    assert outside == []
    browser.execute_script(STILL)  # a colour on its way to another is neither
    # Colours do not hang on the width, nor does what a narrow page folds on colours.
    for width, mode in ((1400, "light"), (390, "dark")):
        with screen(browser, width):
            what = f"{name} scrolls sideways at {width} px"
            wait(lambda: browser.execute_script(SIDEWAYS) <= 0, what)
            browser.execute_script("document.documentElement.dataset.theme = arguments[0]", mode)
            assert violations(browser) == [], (mode, width)
            if width == 1400 and name.startswith("experiments/"):
                assert browser.execute_script(TALL) <= MOST_TALL, name
            browser.execute_script(OPENED)  # a chart is fitted again once it is seen
            wait(lambda: browser.execute_script(FITS) == [], f"{name}: charts do not fit")
            browser.execute_script(FOLDED)


def test_axe_sees_what_is_wrong(browser, tmp_path):
    page = "<html lang=en><title>t</title><main><h1>a</h1><h3>b</h3><img src=x.png></main>"
    (tmp_path / "page.html").write_text(page, "utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    assert {entry["id"] for entry in violations(browser)} == {"heading-order", "image-alt"}


@pytest.fixture(scope="module")
def audit_page(tmp_path_factory):
    """The published audit as ``make audit`` gives one's own: one file."""
    path = tmp_path_factory.mktemp("audit") / "audit.html"
    page = convert(ROOT / "book/experiments/08_audit_your_own.ipynb", "An <audit>")
    path.write_text(page, "utf-8")
    return path


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_standalone_audit_reads_alone(browser, audit_page, mode):
    scheme = {"name": "prefers-color-scheme", "value": mode}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get_log("browser")
    browser.get_log("performance")
    try:
        for width in (1280, 400):
            with screen(browser, width):
                browser.get(audit_page.as_uri())
                wide = browser.execute_script("return document.documentElement.scrollWidth")
                assert wide <= width
                assert count(browser, "figure.chart") == count(browser, "figure.chart > img") >= 5
                assert count(browser, "script, .chart-live") == 0
                assert errors(browser) == [] and violations(browser) == []
        assert not [url for url in requested(browser) if not url.startswith(("file:", "data:"))]
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


CELL = """<div class="cell"><details class="hide above-input"><summary>Show</summary>

    folded = 1

</details></div>
"""


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """The address of a page with a supplement and a cell of code."""
    folder = tmp_path_factory.mktemp("folded")
    text = f"[A link](#the-other)\n\n{CELL}\n{SUPPLEMENT}"
    looks = {"html_static_path": [str(EXTENSIONS.parent / "_static")]}
    looks |= {"html_css_files": ["book.css"], "html_js_files": ["folds.js"]}
    render(folder, "html", text, extensions="supplement", myst_heading_anchors=4, **looks)
    return (folder / "out" / "index.html").as_uri()


def visible(browser, anchor):
    seen = "return document.querySelector(`${arguments[0]} > :is(h2, h3, p)`).checkVisibility()"
    return browser.execute_script(seen, anchor)


def test_a_supplement_opens_by_keys_by_links_and_for_print(browser, folded):
    browser.get(folded)
    assert visible(browser, "#supplement") and not visible(browser, "#the-other")
    browser.execute_script("document.querySelector('details.supplement > summary').focus()")
    for shown in (True, False):
        browser.switch_to.active_element.send_keys(Keys.ENTER)
        assert visible(browser, "#the-other") == shown
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert visible(browser, "#the-other")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    for address in ("#the-other", "#deeper", "#supplement"):
        browser.get("about:blank")
        browser.get(folded + address)
        wait(lambda: visible(browser, "#the-other"), f"{address} opens nothing")
    browser.get("about:blank")
    browser.get(folded)
    link = "document.querySelector('a[href=\"#the-other\"]').click()"
    browser.execute_script(link)
    wait(lambda: visible(browser, "#the-other"), "a link opens nothing")
    # Once it was closed again, the same link opens it, though the address does not change.
    browser.execute_script("document.querySelector('details.supplement').open = false")
    browser.execute_script(link)
    wait(lambda: visible(browser, "#the-other"), "a link opens nothing the second time")


def test_one_switch_shows_the_code(browser, folded):
    browser.get("about:blank")
    browser.get(folded)
    switch = browser.find_element("css selector", "button.code-switch")
    code = browser.find_element("css selector", ".cell details.hide")
    for said in ("Show", "Hide", "Show"):
        assert (switch.text, code.is_displayed()) == (f"{said} the code", said == "Hide")
        switch.send_keys(Keys.ENTER)

"""The built book in a real browser, opened as files, with the network blocked."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest
import yaml
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from lib.study.report import convert

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
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


def page_names() -> list[str]:
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    chapters = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    return [contents["root"], *chapters]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
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


def wait(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def count(browser: webdriver.Chrome, selector: str) -> int:
    return browser.execute_script("return document.querySelectorAll(arguments[0]).length", selector)


def _wait_until_drawn(browser: webdriver.Chrome, name: str) -> None:
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


def open_page(browser: webdriver.Chrome, site: Path, name: str) -> None:
    """Open a page and wait for its charts and formulas."""
    browser.get((site / f"{name}.html").as_uri())
    _wait_until_drawn(browser, name)


def requested(browser: webdriver.Chrome) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


@pytest.mark.parametrize("name", page_names())
def test_page_loads_alone_and_without_errors(
    browser: webdriver.Chrome, site: Path, name: str
) -> None:
    browser.get_log("browser")
    browser.get_log("performance")
    open_page(browser, site, name)
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []
    outside = [url for url in requested(browser) if url.startswith(("http", "ws", "ftp"))]
    assert outside == []


def test_charts_draw_marks(browser: webdriver.Chrome, site: Path) -> None:
    open_page(browser, site, "experiments/02_mpra_gc_ood")
    charts = count(browser, "figure.chart")
    assert charts >= 1
    for index in range(charts):
        marks = browser.execute_script(
            "return document.querySelectorAll('figure.chart')[arguments[0]]"
            ".querySelectorAll(arguments[1]).length",
            index,
            MARKS,
        )
        assert marks > 0, f"chart {index} is empty"


def test_print_shows_the_static_picture(browser: webdriver.Chrome, site: Path) -> None:
    open_page(browser, site, "experiments/02_mpra_gc_ood")
    shown = "return getComputedStyle(document.querySelector(arguments[0])).display != 'none'"
    live, still = "figure.chart .chart-live", "figure.chart .chart-print"
    assert browser.execute_script(shown, live)
    assert not browser.execute_script(shown, still)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not browser.execute_script(shown, live)
    assert browser.execute_script(shown, still)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("name", page_names())
def test_narrow_screen_does_not_scroll_sideways(
    browser: webdriver.Chrome, site: Path, name: str
) -> None:
    screen = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        open_page(browser, site, name)
        width = browser.execute_script("return document.documentElement.scrollWidth")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width <= 400


def test_search_finds_coverage(browser: webdriver.Chrome, site: Path) -> None:
    browser.get((site / "search.html").as_uri() + "?q=coverage")
    wait(lambda: count(browser, "#search-results li") >= 2, "search finds nothing")
    found = browser.execute_script(
        "return [...document.querySelectorAll('#search-results a')].map(a => a.href)"
    )
    assert any("glossary" in link for link in found)


def test_dark_mode_reaches_charts(browser: webdriver.Chrome, site: Path) -> None:
    open_page(browser, site, "experiments/02_mpra_gc_ood")
    colours = []
    for mode in ("light", "dark"):
        browser.execute_script("document.documentElement.dataset.theme = arguments[0]", mode)
        script = (
            "const t = document.querySelector('.chart-live svg text');"
            "return getComputedStyle(t).fill"
        )
        colours.append(browser.execute_script(script))
    assert colours[0] != colours[1]


def violations(browser: webdriver.Chrome) -> list[dict[str, object]]:
    """What axe-core holds against the open page: serious, critical, or of its structure."""
    script = resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    browser.execute_script(script)
    browser.set_script_timeout(60)
    found: list[dict[str, object]] = browser.execute_async_script(AXE)
    return [
        entry
        for entry in found
        if entry["impact"] in ("serious", "critical") or entry["id"] in STRUCTURE
    ]


@pytest.mark.parametrize("name", [*page_names(), "search"])
def test_page_is_accessible(browser: webdriver.Chrome, site: Path, name: str) -> None:
    open_page(browser, site, name)
    still = "document.head.insertAdjacentHTML('beforeend', '<style>*{transition:none!important}')"
    browser.execute_script(still)  # a colour on its way to another is neither
    for mode in ("light", "dark"):
        browser.execute_script("document.documentElement.dataset.theme = arguments[0]", mode)
        assert violations(browser) == [], mode


def test_axe_sees_what_is_wrong(browser: webdriver.Chrome, tmp_path: Path) -> None:
    page = "<html lang=en><title>t</title><main><h1>a</h1><h3>b</h3><img src=x.png></main>"
    (tmp_path / "page.html").write_text(page, "utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    assert {entry["id"] for entry in violations(browser)} == {"heading-order", "image-alt"}


@pytest.fixture(scope="module")
def audit_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published audit as ``make audit`` gives one's own: one file."""
    path = tmp_path_factory.mktemp("audit") / "audit.html"
    path.write_text(
        convert(ROOT / "book/experiments/08_audit_your_own.ipynb", "An <audit>"), "utf-8"
    )
    return path


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_standalone_audit_reads_alone(
    browser: webdriver.Chrome, audit_page: Path, mode: str
) -> None:
    scheme = {"name": "prefers-color-scheme", "value": mode}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get_log("browser")
    browser.get_log("performance")
    try:
        for width in (1280, 400):
            screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
            browser.get(audit_page.as_uri())
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            assert count(browser, "figure.chart") == count(browser, "figure.chart > img") >= 5
            assert count(browser, "script, .chart-live") == 0
            errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
            assert errors == []
            assert violations(browser) == []
        assert not [url for url in requested(browser) if not url.startswith(("file:", "data:"))]
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_front_page_is_there_within_a_second(browser: webdriver.Chrome, site: Path) -> None:
    script = (
        "const paint = performance.getEntriesByName('first-contentful-paint')[0];"
        "return paint ? paint.startTime : Infinity"
    )
    painted = []
    for _ in range(5):  # the best of five: a busy machine is not the page's fault
        open_page(browser, site, "index")
        painted.append(browser.execute_script(script))
    assert min(painted) <= 1000

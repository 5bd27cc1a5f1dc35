"""Sphinx extension: the built site loads nothing from outside itself.

In: the installed packages vl-convert-python (Vega) and jupyter-server-mathjax (MathJax 2). Out:
their files under ``_static`` of the built site, loaded only by pages that hold charts or formulas;
script and style entries that point at another host are dropped from every page, as are the theme's
source maps, which only its developers' tools read (3 MB). ``charts.js`` fits each chart to its
column, and figures get numbers, which are links to them.
"""

import itertools
import re
import shutil
from pathlib import Path

import jupyter_server_mathjax
import vl_convert
from sphinx.application import Sphinx
from sphinx.config import Config

MATHJAX_FILES = (  # TeX in, HTML out; the rest of the package (8 MB) is not loaded
    "MathJax.js",
    "LICENSE",
    "config/TeX-AMS-MML_HTMLorMML-full.js",
    "extensions/a11y/accessibility-menu.js",
    "fonts",
    "jax/element",
    "jax/output/HTML-CSS",
)
MATHJAX_OPTIONS = {
    "config": ["TeX-AMS-MML_HTMLorMML-full.js"],  # the one configuration in the package
    "jax": ["input/TeX", "output/HTML-CSS"],
    "HTML-CSS": {
        "availableFonts": [],
        "webFont": "STIX-Web",
        "imageFont": None,
        # Its own blank font points at about:blank, which a page opened as a file may not load.
        "styles": {"@font-face": {"font-family": "MathJax_Blank", "src": "local('serif')"}},
    },
    "fast-preview": {"disabled": True},  # would ask for fonts the package does not hold
    "tex2jax": {
        "inlineMath": [["\\(", "\\)"]],
        "displayMath": [["\\[", "\\]"]],
        "ignoreClass": "bd-content",
        "processClass": "math",
    },
    "showMathMenu": False,
    "messageStyle": "none",
}

FIGURE = re.compile(r'<figure class="(?:chart|drawing)" id="([^"]+)">.*?<figcaption>', re.DOTALL)
FIT = Path(__file__).with_name("charts.js")


def write_assets(folder: Path) -> None:
    """Copy MathJax and write the Vega bundle into ``folder``, unless an earlier build did."""
    stamp = folder / "versions.txt"
    fit = FIT.read_text("utf-8")
    versions = f"vl-convert-python {vl_convert.__version__}, MathJax 2.7.9\n{fit}"
    if stamp.is_file() and stamp.read_text("utf-8") == versions:
        return
    shutil.rmtree(folder, ignore_errors=True)
    source = Path(jupyter_server_mathjax.__file__).parent / "static"
    for name in MATHJAX_FILES:
        target = folder / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target)
        else:
            shutil.copyfile(source / name, target)
    # Inside a function, or its top-level names collide with those of Sphinx's own scripts.
    bundle = f"(function () {{\n{vl_convert.javascript_bundle()}\n{fit}}})();\n"
    (folder / "vega.js").write_text(bundle, "utf-8")
    stamp.write_text(versions, "utf-8")


def use_local_assets(app: Sphinx, config: Config) -> None:
    """Point Sphinx at the local MathJax and at the folder that holds it."""
    folder = Path(app.outdir).parent / "offline"
    write_assets(folder)
    config.html_static_path.append(str(folder))
    config.mathjax_path = "mathjax/MathJax.js"
    config.mathjax2_config = MATHJAX_OPTIONS
    config.mathjax3_config = None
    config.myst_update_mathjax = False


def _is_foreign(entry: object) -> bool:
    """Whether a script or style comes from another host, or serves only such a one (Thebe)."""
    name = str(getattr(entry, "filename", entry) or "")
    body = str(getattr(entry, "attributes", {}).get("body", ""))
    return name.startswith(("http:", "https:", "//")) or "thebe" in f"{name} {body}".lower()


def make_accessible(body: str) -> str:
    """Mend what keeps keyboard and screen-reader users out.

    Outputs may scroll sideways, so they take the focus, or the keyboard could not scroll them; the
    entries of a list of references are list items.
    """
    body = body.replace(
        '<div class="output text_html">', '<div class="output text_html" tabindex="0">'
    )
    return body.replace('role="doc-biblioentry"', 'role="listitem"')


def number_figures(body: str) -> str:
    """Count a page's figures from 1, each number a link to its figure."""
    count = itertools.count(1)
    return FIGURE.sub(
        lambda found: f'{found[0]}<a class="number" href="#{found[1]}">Figure {next(count)}.</a> ',
        body,
    )


def trim_page(app: Sphinx, pagename: str, template: str, context: dict, doctree: object) -> None:
    """Add Vega where the page draws charts, and drop what would be fetched from another host."""
    context["body"] = number_figures(make_accessible(context.get("body", "")))
    if "vegaEmbed" in context["body"]:
        app.add_js_file("vega.js", loading_method="defer")
    for key in ("script_files", "css_files"):
        context[key][:] = [entry for entry in context[key] if not _is_foreign(entry)]


def drop_source_maps(app: Sphinx, exception: Exception | None) -> None:
    """Remove the theme's source maps from the built site."""
    if exception is None:
        for path in Path(app.outdir).rglob("*.map"):
            path.unlink()


def setup(app: Sphinx) -> dict[str, object]:
    """Register the steps: before the builder reads its settings, and after all others."""
    app.connect("config-inited", use_local_assets, priority=100)
    app.connect("html-page-context", trim_page, priority=950)
    app.connect("build-finished", drop_source_maps)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Runs the notebooks, builds the book and audits tables: what ``make`` calls for each of these.

In: ``notebooks/*.ipynb`` (without outputs) and ``book/`` of the working directory. Out:
``runs/<profile>/`` with the executed notebooks, their tables and, for the quick profile, the site.
``publish`` runs the full profile there and then, alone of all commands, writes
``book/experiments/`` and ``results/``, and judges the claims anew. An audit writes
``runs/audit/<name>/``, also as one HTML file that runs no script and loads nothing; an error leaves
the page and the tables of an earlier audit as they were.
"""

import html
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import yaml

from lib.data.files import regular
from lib.study.terminal import bars, summary

# A wrong name should not wait for what runs and draws: the functions that need them import
# nbformat, pandas, BeautifulSoup and the modules of results.

PAGE_LIMIT = 1_500_000  # bytes of a published notebook
# A notebook fits on many cores, but starts, judges and draws on one: a second fills the others.
AT_ONCE = 2

AUDIT = "08_audit_your_own"
WAYS = ("predictions", "table", "dataset", "model")
PROFILES = ("smoke", "quick", "full")
# Names of modules that take seconds to import; a wrong one is said before that.
ASSAYS = (
    *("wtc11", "plant_leaf", "plant_proto", "retina_libraries", "retina_genotypes"),
    *("lentimpra_HepG2", "lentimpra_K562", "lentimpra_WTC11", "standin", "default"),
)
NETWORKS = ("cnn", "bilstm", "transformer", "reference_cnn")
NEEDED = {"predictions": ("id", "target", "mean", "std"), "table": ("sequence", "activity")}
SMALL = 50_000_000  # bytes; a larger table is read once, where it is audited

# Even a mistake in the page could then load nothing and run nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class NotebookError(RuntimeError):
    """A cell of a notebook failed: a message, and what the cell said in one line."""

    def __str__(self) -> str:
        return str(self.args[0])


def listed_notebooks(root: Path, only: Sequence[str] = ()) -> list[str]:
    """Names of the notebooks in the table of contents, in its order; of ``only`` those if any."""
    contents = yaml.safe_load((root / "book" / "_toc.yml").read_text("utf-8"))
    files = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    names = [name.removeprefix("experiments/") for name in files if name.startswith("experiments/")]
    for name in names:
        if not (root / "notebooks" / f"{name}.ipynb").is_file():
            raise ValueError(f"_toc.yml lists {name}; notebooks/{name}.ipynb does not exist")
    if unknown := sorted(set(only) - set(names)):
        raise ValueError(f"no notebook {', '.join(unknown)}; there are {', '.join(names)}")
    return [name for name in names if not only or name in only]


def run_notebook(
    root: Path, name: str, profile: str, out: Path, parameters: Mapping[str, Any] = {}
) -> float:
    """Execute one notebook through papermill with this interpreter's kernel; returns seconds.

    The executed copy is ``out/notebooks/<name>.ipynb``, up to a cell that fails with a
    :class:`NotebookError`; its tables go to ``out/results``. ``out`` lies below ``root``.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    # A kernel "python3" of the user's own would come before the one of this environment.
    os.environ["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
    os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")  # a library's, of a bar
    os.environ |= bars(name) | {"ARROW_DEFAULT_MEMORY_POOL": "system"}  # gives memory back
    target = out / "notebooks" / f"{name}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    folder = (out / "results").relative_to(root).as_posix()  # shown on the page: no machine's path
    try:
        papermill.execute_notebook(
            str(root / "notebooks" / f"{name}.ipynb"),
            str(target),
            parameters={"profile": profile, "run_folder": folder, **parameters},
            kernel_name="python3",
            cwd=str(root),
            **dict.fromkeys(("progress_bar", "request_save_on_cell_execute"), False),
            start_timeout=300,
            # Or each kernel warns of its local sockets, and of its end.
            extra_arguments=["--log-level=CRITICAL"],
        )
    except PapermillExecutionError as error:
        lines = [" ".join(line.split()) for line in str(error.evalue).splitlines()]
        reason = "; ".join(filter(None, lines))
        said = f"{name} failed: {error.ename}: {reason}; see {target.relative_to(root)}"
        raise NotebookError(said, reason) from None
    print(clean_executed(target), file=sys.stderr, end="")
    return time.perf_counter() - start


def clean_executed(path: Path) -> str:
    """Take what belongs to one run out of an executed notebook; returns what it said on stderr.

    Clock times and warnings are the machine's; the page shows the effective configuration instead
    of the injected parameters.
    """
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("papermill", None)
    said = []
    # What was injected differs between a run and a page drawn again; the page shows the settings.
    given = "injected-parameters"
    notebook.cells = [c for c in notebook.cells if given not in c.metadata.get("tags", [])]
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            said += [out.text for out in cell.outputs if out.get("name") == "stderr"]
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    nbformat.write(notebook, path)
    return "".join(said)


def run_notebooks(
    root: Path, names: Sequence[str], profile: str, out: Path, parameters: Mapping[str, Any] = {}
) -> None:
    """Execute notebooks, :data:`AT_ONCE` at a time and in order, and say how long each took.

    Where a cell fails, those that run end first and the others do not start.
    """
    from lib.study.units import cores

    # Threads of several kernels that wait for each other spin, and take a third of the machine.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    at_once = min(AT_ONCE, len(names))
    share = {"workers": max(1, cores() // at_once), **parameters}
    with ProcessPoolExecutor(at_once, multiprocessing.get_context("spawn")) as pool:
        runs = {pool.submit(run_notebook, root, name, profile, out, share): name for name in names}
        try:
            for run in as_completed(runs):
                print(f"{runs[run]}: {run.result():.0f} s", flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def stage_book(root: Path, executed: Path, target: Path, note: str) -> None:
    """Copy the book's sources to ``target``, with executed notebooks and a note on every page."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root / "book", target, ignore=shutil.ignore_patterns("_build", "__pycache__"))
    shutil.copytree(executed, target / "experiments", dirs_exist_ok=True)
    for page in (target / "api").glob("*.md"):  # docstrings take a third of the time of the rest
        title = page.read_text("utf-8").splitlines()[0]
        page.write_text(f"{title}\n\nThis page is in the book that `make book` builds.\n", "utf-8")
    config = yaml.safe_load((target / "_config.yml").read_text("utf-8"))
    config["html"]["announcement"] = note
    config["sphinx"]["config"]["results_required"] = False
    (target / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")


def build_book(source: Path) -> Path:
    """Build the HTML of ``source`` with jupyter-book; returns the front page."""
    command = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    build = [sys.executable, "-c", command, "build", str(source), "-q"]
    done = subprocess.run(build, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    page = source / "_build" / "html" / "index.html"
    if done.returncode != 0 or not page.is_file():
        raise RuntimeError(f"jupyter-book could not build {source}:\n{done.stdout}")
    return page


def report(root: Path, profile: str, only: Sequence[str]) -> None:
    """Run the notebooks at a small profile, build the site, and say what was found and where."""
    out = root / "runs" / profile
    for folder in ("notebooks", "results"):
        shutil.rmtree(out / folder, ignore_errors=True)
    names = listed_notebooks(root, only)
    run_notebooks(root, names, profile, out)
    note = f"{profile.capitalize()} profile: not for conclusions."
    stage_book(root, out / "notebooks", out / "book", note)
    page = build_book(out / "book")
    print(*summary(root, out / "results", names), sep="\n")
    print(f"{note}\nOpen {page.relative_to(root)}")


def publish(root: Path, only: Sequence[str]) -> None:
    """Run the notebooks at the full profile, replace the published pages and tables, and judge.

    An executed notebook that is too large to publish or ran on the stand-in assay is an error; so
    is a claim that finds no row in the published tables, which are in place then.
    """
    from lib.study import results

    out = root / "runs" / "full"
    for name in listed_notebooks(root, only):
        seconds = run_notebook(root, name, "full", out)
        experiment = name.split("_", 1)[1]
        refuse_standin(out / "results" / f"{experiment}.csv")
        publish_page(root, out / "notebooks" / f"{name}.ipynb")
        publish_tables(out / "results", root / "results", experiment)
        results.record_files(root, experiment)
        print(f"{name}: {seconds / 60:.1f} min, published", flush=True)
    results.write_verdicts(root)


def pages(root: Path, only: Sequence[str]) -> None:
    """Render the published pages again from the published tables: no training.

    The manifest's hashes of files follow; what it says of the runs stays.
    """
    from lib.study import results

    out = root / "runs" / "pages"
    names = listed_notebooks(root, only)
    run_notebooks(root, names, "full", out, {"tables_from": "results", "run_folder": None})
    for name in names:
        publish_page(root, out / "notebooks" / f"{name}.ipynb")
        results.record_files(root, name.split("_", 1)[1])


def publish_page(root: Path, page: Path) -> None:
    """Put an executed notebook into the book; a ValueError where it is too large."""
    if page.stat().st_size > PAGE_LIMIT:
        raise ValueError(f"{page} has {page.stat().st_size} bytes, {PAGE_LIMIT} are allowed")
    published = root / "book" / "experiments"
    published.mkdir(exist_ok=True)
    shutil.copyfile(page, published / page.name)


def refuse_standin(table: Path) -> None:
    """A ValueError if a table holds results of the stand-in assay: they are never published."""
    import pandas as pd

    if "standin" in set(pd.read_csv(table, usecols=["data"])["data"]):
        remedy = "set MPRA_DATA_DIR, or connect to the network, and publish again"
        raise ValueError(f"{table.name} holds results of the stand-in assay; {remedy}")


def publish_tables(source: Path, target: Path, experiment: str) -> None:
    """Replace one experiment's tables and manifest entry; the others stay as they are.

    Where every unit is what it was, the entry says what it said of their computation and its date:
    some may have been lost and computed again.
    """
    from lib.study import results
    from lib.study.units import Store, provenance

    target.mkdir(exist_ok=True)
    entry = results.read_manifest(source)[experiment]
    before, now = (folder / experiment / "units.csv" for folder in (target, source))
    if before.is_file() and now.is_file() and before.read_bytes() == now.read_bytes():
        known = results.read_manifest(target)[experiment]
        entry |= {name: known[name] for name in (*provenance(Store(target)), "date", "machine")}
    ready = target / f".{experiment}"  # whole before the old tables go: a disk may be full
    shutil.rmtree(ready, ignore_errors=True)
    shutil.copytree(source / experiment, ready)
    rows = (source / f"{experiment}.csv").read_text("utf-8")
    results.write_atomic(target / f"{experiment}.csv", rows)
    shutil.rmtree(target / experiment, ignore_errors=True)
    ready.rename(target / experiment)
    results.write_entry(target, experiment, entry)


def slug(name: str) -> str:
    """A name as a folder's: letters, digits, hyphens and underscores."""
    return re.sub(r"(\.(csv|tsv|parquet|gz))+$|[^\w-]+", "_", Path(name).name).strip("_") or "audit"


def standalone(body: str, title: str) -> str:
    """A page of its own from the HTML of a notebook's cells: drawings in place of live charts."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(body, "html.parser")
    for element in soup.select("script, .chart-live"):
        element.decompose()
    for link in soup.select("a[href$='.md']"):  # to a page of the book
        link.unwrap()
    for figure in soup.select("figure"):
        figure["tabindex"] = "0"  # a wide one scrolls, by keys too
    style = (Path(__file__).parents[1] / "page" / "audit.css").read_text("utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style></head><body><main>{soup}</main></body></html>\n"
    )


def convert(notebook: Path, title: str) -> str:
    """The page of an executed notebook, without its code."""
    from nbconvert import HTMLExporter

    hidden = ("exclude_input", "exclude_input_prompt", "exclude_output_prompt")
    exporter = HTMLExporter(template_name="basic", **dict.fromkeys(hidden, True))
    return standalone(exporter.from_filename(str(notebook))[0], title)


def check(given: Mapping[str, str], profile: str) -> None:
    """A ValueError of what is wrong at first sight: an audit takes many seconds to start."""
    if not set(given) & set(WAYS):
        from lib.data.cells import remedy

        raise ValueError(f"name a table: {remedy('predictions', 'mine.csv')}")
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}; use one of {', '.join(PROFILES)}")
    model = given.get("model", "cnn")
    if model not in NETWORKS and ":" not in model:
        raise ValueError(
            f"model {model!r} is not known; use one of {', '.join(NETWORKS)}, or your own as "
            "'package.module:Class'"
        )
    for name in filter(None, given.get("dataset", "").split(",")):
        if name.strip() not in ASSAYS:
            raise ValueError(f"data set {name.strip()!r} is not known; known: {', '.join(ASSAYS)}")
    for way in ("predictions", "table"):
        path = regular(given[way], "give the path of a table") if way in given else None
        if path and path.stat().st_size <= SMALL:
            _check_columns(way, path, given)


def _check_columns(way: str, path: Path, given: Mapping[str, str]) -> None:
    from lib.data.cells import as_rename, renaming, require_roles
    from lib.data.reading import read_table

    rename: Any = as_rename(given.get("rename"))
    if way == "table":
        require_roles(rename or {})
    by = [name.strip() for name in given.get("by", "").split(",") if name.strip()]
    read_table(path, [*NEEDED[way], *by], rename=rename, how=renaming)


def audit(root: Path, parameters: dict[str, Any], profile: str) -> Path:
    """Run notebook 08 of the repository ``root`` and write its page; returns the page's path.

    ``parameters`` are the notebook's, one of :data:`WAYS` at least, paths as seen from the working
    directory. A ValueError holds the reason where the notebook stops.
    """
    from lib.study import results

    for way in {"predictions", "table"} & parameters.keys():
        if not Path(parameters[way]).is_absolute():  # the notebook runs at the top of the checkout
            parameters = parameters | {way: os.path.relpath(parameters[way], root)}
    if ":" in str(parameters.get("model")):  # a network beside the table
        known = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (known, str(Path.cwd()))))
    name = next(str(parameters[way]) for way in WAYS if way in parameters)
    out = root / "runs" / "audit" / slug(name)
    try:
        run_notebook(root, AUDIT, profile, out, parameters)
    except NotebookError as error:
        raise ValueError(error.args[1]) from None
    page = out / "audit.html"
    executed = out / "notebooks" / f"{AUDIT}.ipynb"
    results.write_atomic(page, convert(executed, f"Audit of {Path(name).name}"))
    return page

"""The sites under test: the published book, built strictly here, and the quick report."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

EXTENSIONS = Path(__file__).resolve().parents[2] / "book" / "_ext"
BUILD = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"


def listed(root):
    """Every page of the table of contents."""
    contents = yaml.safe_load((root / "book" / "_toc.yml").read_text("utf-8"))
    chapters = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    return [contents["root"], *chapters]


@pytest.fixture(scope="module", autouse=True)
def importable():
    """The book's extensions are found by their names, as in a build."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXTENSIONS))
        yield


@pytest.fixture(scope="session")
def published(root, tmp_path_factory):
    """HTML of the published book, from a copy of its sources, every warning an error."""
    copy = tmp_path_factory.mktemp("published")
    shutil.copytree(root / "book", copy / "book", ignore=shutil.ignore_patterns("_build"))
    shutil.copytree(root / "results", copy / "results")
    shutil.copytree(root / "benchmarks", copy / "benchmarks")
    shutil.copyfile(root / "claims.yaml", copy / "claims.yaml")
    command = [sys.executable, "-c", BUILD, "build", "book", "-n", "-W", "--keep-going"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return copy / "book" / "_build" / "html"


@pytest.fixture(scope="session", params=["published", "quick"])
def site(request, root):
    """HTML folder of each site in turn."""
    if request.param == "published":
        return request.getfixturevalue("published")
    html = root / "runs" / "quick" / "book" / "_build" / "html"
    if not (html / "index.html").is_file():
        pytest.skip("no quick report here; make report builds one")
    return html

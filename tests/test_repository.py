"""Rules of the repository: what is listed exists, what is stated twice agrees."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.book.conftest import listed
from tests.test_house import imports

LARGEST_FILE = 3_000_000
IMPORT_NAMES = {  # import name -> distribution, where they differ
    "bs4": "beautifulsoup4",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
    "vl_convert": "vl-convert-python",
    "jupyter_book": "jupyter-book",
    "jupyter_server_mathjax": "jupyter-server-mathjax",
}
# Parts of jupyter-book and ipykernel.
COME_ALONG = {"nbformat", "nbclient", "nbconvert", "packaging", "sphinx", "docutils", "IPython"}


@pytest.fixture(scope="module")
def tracked(root):
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout: tracked files are unknown")
    return [root / name for name in listing.stdout.split("\0") if name and (root / name).is_file()]


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


def requirements(project):
    table = project["project"]
    extras = [item for group in table["optional-dependencies"].values() for item in group]
    return [Requirement(item) for item in [*table["dependencies"], *extras]]


def text_of(path):
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def mappings(node):
    """Every mapping in a node of YAML."""
    if isinstance(node, yaml.MappingNode):
        yield node
        inner = [part for pair in node.value for part in pair]
    else:
        inner = node.value if isinstance(node, yaml.SequenceNode) else []
    for part in inner:
        yield from mappings(part)


def test_no_duplicate_keys_in_yaml(tracked):
    """Of a key given twice YAML silently lets the last win."""
    files = [path for path in tracked if path.suffix in {".yml", ".yaml", ".cff"}]
    assert files
    for path in files:
        for node in mappings(yaml.compose(path.read_text("utf-8"))):
            keys = [key.value for key, _ in node.value]
            assert len(set(keys)) == len(keys), f"a key twice in {path}, {node.start_mark}"


def test_listed_pages_are_those_that_exist(root):
    for name in listed(root):
        found = [path for path in (root / "book").glob(f"{name}.*") if path.suffix != ".bib"]
        assert len(found) == 1, f"_toc.yml lists {name}: {found or 'no such page'}"
    known = set(listed(root))
    notebooks = {f"experiments/{path.stem}" for path in (root / "notebooks").glob("*.ipynb")}
    pages = {path.stem for path in (root / "book").glob("*.md")}
    published = {f"experiments/{path.stem}" for path in (root / "book/experiments").glob("*")}
    assert notebooks
    assert (notebooks | pages | published) - known == set()


def test_a_checkout_without_links_holds_the_book_whole(root):
    for name in ("_config.yml", "_toc.yml"):
        assert not (root / "book" / name).is_symlink()  # at the top they may be links' texts
        if (root / name).is_symlink():
            assert (root / name).samefile(root / "book" / name)
    tracked = subprocess.run(["git", "ls-files", "-s"], cwd=root, capture_output=True, text=True)
    links = [line.split("\t")[1] for line in tracked.stdout.splitlines() if line[:6] == "120000"]
    assert set(links) <= {"_config.yml", "_toc.yml"}


def test_dependencies_are_pinned_within_their_ranges_and_pins_are_complete(root, project):
    lines = (root / "constraints.txt").read_text("utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs), "constraints.txt holds exact pins only"
    pins = {canonicalize_name(name): version for name, version in pairs}
    for requirement in requirements(project):
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} is not pinned in constraints.txt"
        assert Version(pin) in requirement.specifier, f"{requirement} excludes its pin {pin}"
    # Whatever the pinned packages require on this platform is pinned too.
    waiting, seen = requirements(project), set()
    found = importlib.metadata.distributions()
    installed = {canonicalize_name(one.name): one.requires or [] for one in found}
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, tuple(requirement.extras)) in seen:
            continue
        seen.add((name, tuple(requirement.extras)))
        assert name in pins, f"{name} is required but not pinned"
        # What `make lint` alone installs is not there after `make test`.
        for line in installed.get(name, []):
            further = Requirement(line)
            environments = [{"extra": extra} for extra in ("", *requirement.extras)]
            if further.marker is None or any(map(further.marker.evaluate, environments)):
                waiting.append(further)


def test_environment_and_citation_agree(root, project):
    environment = yaml.safe_load((root / "environment.yml").read_text("utf-8"))
    assert environment["name"] == project["project"]["name"]
    python, _, pip = environment["dependencies"]
    version = python.removeprefix("python=")
    assert pip == {"pip": ["-c constraints.txt", "-e .[test,dev]"]}
    assert f">={version}" == project["project"]["requires-python"]
    assert project["tool"]["mypy"]["python_version"] == version
    assert project["tool"]["ruff"]["target-version"] == "py" + version.replace(".", "")
    citation = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == project["project"]["version"]
    assert citation["license"] == project["project"]["license"]
    assert {"message", "title", "authors"} <= set(citation)
    assert project["project"]["version"] in (root / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize("folder", ["lib", "tests", "book/_ext"])
def test_imports_are_declared(root, project, folder):
    declared = {canonicalize_name(requirement.name) for requirement in requirements(project)}
    for path in sorted((root / folder).rglob("*.py")):
        ours = {"lib", "book", "tests", "tools", *(p.stem for p in path.parent.glob("*.py"))}
        names = {module.split(".")[0] for module, _ in imports(path)}
        for name in names - sys.stdlib_module_names - ours - COME_ALONG:
            distribution = canonicalize_name(IMPORT_NAMES.get(name, name))
            assert distribution in declared, f"{path} imports {name}, pyproject.toml lacks it"


def test_nothing_large_unfinished_or_of_one_machine(tracked, root):
    assert [str(path) for path in tracked if path.stat().st_size > LARGEST_FILE] == []
    words = ["TO" + "DO", "FIX" + "ME", "X" * 3, r"\bNot" + "ImplementedError"]
    marks = re.compile("|".join(words))
    where = [path for path in tracked if path.suffix in {".py", ".md", ".ipynb", ".yml", ".toml"}]
    assert [str(path) for path in where if marks.search(text_of(path))] == []
    tops = "|".join(["wo" + "rk", "ro" + "ot", "ho" + "me", "Us" + "ers", "tm" + "p"])
    pattern = re.compile(rf"(?<![\w.$~\]}}>-])/(?:{tops})/\w")
    found = {str(path): match[0] for path in tracked if (match := pattern.search(text_of(path)))}
    assert found == {}


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "book/reproduce.md", "book/index.md", ".ci/run"]
)
def test_named_make_targets_exist(root, name):
    text = (root / name).read_text("utf-8")
    named = set(re.findall(r"(?:^|`|step \S+ |data )make ([a-z][a-z-]*)", text, re.M))
    makefile = (root / "Makefile").read_text("utf-8")
    assert named <= set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))


def test_readme_commands_are_those_of_ci_and_the_makefile(root):
    readme, script, makefile = (
        (root / name).read_text("utf-8") for name in ("README.md", ".ci/run", "Makefile")
    )
    assert readme.split("```sh\n")[1].split("```")[0] == "make report\nmake test\n"
    for command in ("make report", "make test"):
        assert re.search(rf"^step \S+ {command}$", script, re.M)
    there = {"install -q": "install", "'.[$*]'": ".[test]", '"$$PROFILE"': "quick", "$(JOBS)": "2"}
    for command in (
        "-m pip install -q -c constraints.txt -e .\n",
        "-m pip install -q -c constraints.txt -e '.[$*]'\n",
        '-m lib.report "$$PROFILE"',
        "-m pytest -q -n $(JOBS) --dist worksteal",
        '-m "not slow and not browser"\n',
    ):
        assert command in makefile
        for unix, windows in there.items():
            command = command.replace(unix, windows)
        assert command in readme.split("for example on Windows")[1]


def test_edit_table_names_what_exists(root):
    text = (root / "CONTRIBUTING.md").read_text("utf-8")
    table = [line for line in text.splitlines() if line.startswith("| ")]
    named = [path for line in table for path in re.findall(r"`([\w./-]+(?:/|\.\w+))`", line)]
    assert len(named) > 10
    for path in named:
        assert (root / path).exists(), f"CONTRIBUTING.md names {path}"

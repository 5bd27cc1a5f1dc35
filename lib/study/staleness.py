"""Whether what is published still follows from the code and the tables.

In: ``results/manifest.json``, the published tables and pages, the source of ``lib``. Out: for each
experiment, the modules whose source differs from that of its published run (comments and
docstrings do not count), and the published files that were altered since.

Command line: ``python -m lib.staleness`` in the repository's top folder says both; it returns 1 if
a file was altered, with ``--strict`` also if a source differs. A difference of source means that
nobody has shown the numbers to be the same, not that they are not.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lib.study.results import read_manifest, write_atomic
from lib.study.source import DIGITS, file_hash

SOURCE = Path(__file__).parents[2]  # the folder that holds the package


class Published(NamedTuple):
    """One experiment's published run.

    Attributes
    ----------
    experiment : str
    current : bool
        The experiment's source is that of its run.
    modules : tuple of str
        Modules that differ or are gone; empty where the run did not record them.
    altered : tuple of str
        Published files that are not those of the run, relative to the repository.
    """

    experiment: str
    current: bool
    modules: tuple[str, ...]
    altered: tuple[str, ...]


def present_hashes(modules: Iterable[str], source: Path = SOURCE) -> dict[str, str]:
    """Hashes of these modules below ``source``; those that are gone are left out.

    A module that an experiment imports only now is not asked for: the line that imports it stands
    in a module that is.
    """
    found = {}
    for name in modules:
        path = source.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if path.is_file():
            found[name] = file_hash(path)[:DIGITS]
    return found


def changed(recorded: Mapping[str, str], present: Mapping[str, str]) -> tuple[str, ...]:
    """Names whose hashes differ, or that only one of the two holds."""
    names = sorted(set(recorded) | set(present))
    return tuple(name for name in names if recorded.get(name) != present.get(name))


def published_files(root: Path, experiment: str) -> list[Path]:
    """An experiment's tables and its page."""
    tables = [root / "results" / f"{experiment}.csv"]
    tables += sorted((root / "results" / experiment).glob("*.csv"))
    return [*tables, *sorted((root / "book" / "experiments").glob(f"*_{experiment}.ipynb"))]


def file_hashes(root: Path, experiment: str) -> dict[str, str]:
    """Hash of each published file of an experiment, by its path in the repository."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]
        for path in published_files(root, experiment)
        if path.is_file()
    }


def record_files(root: Path, experiment: str) -> None:
    """Write the hashes of an experiment's published files into its entry of the manifest.

    Raises
    ------
    KeyError
        If the manifest has no such entry.
    """
    manifest = read_manifest(root / "results")
    manifest[experiment]["files"] = file_hashes(root, experiment)
    content = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    write_atomic(root / "results" / "manifest.json", content)


def altered_files(root: Path) -> dict[str, tuple[str, ...]]:
    """Published files that are not those of their run, by experiment; runs without hashes pass."""
    found = {}
    for experiment, entry in read_manifest(root / "results").items():
        if "files" in entry:
            present = file_hashes(root, experiment)
            found[experiment] = changed(entry["files"], present)
    return found


def published_runs(root: Path, source: Path = SOURCE) -> list[Published]:
    """The state of every published run, in the order of the notebooks' names.

    Parameters
    ----------
    root : Path
        Holds ``results/`` and ``book/``.
    source : Path
        Holds ``lib/``.
    """
    altered = altered_files(root)
    states = []
    for experiment, entry in sorted(read_manifest(root / "results").items()):
        recorded = entry.get("sources", {})
        modules = changed(recorded, present_hashes(recorded, source))
        current = bool(recorded) and not modules
        states.append(Published(experiment, current, modules, altered.get(experiment, ())))
    return states


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lib.staleness")
    parser.add_argument("--strict", action="store_true", help="fail also where a source differs")
    strict = parser.parse_args(arguments).strict
    runs = published_runs(Path.cwd())
    for run in runs:
        said = "present source"
        if not run.current:
            said = f"an earlier source of {', '.join(run.modules) or 'modules it did not record'}"
        print(f"{run.experiment}: {said}")
        for name in run.altered:
            print(f"  altered since its run: {name}; make publish writes it anew")
    stale = any(not run.current for run in runs)
    return int(any(run.altered for run in runs) or (strict and stale))


if __name__ == "__main__":
    sys.exit(main())

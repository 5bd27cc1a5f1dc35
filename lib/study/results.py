"""Runs experiments and keeps their tables: the files that others rely on, and their manifest.

In: an experiment's module and its config. Out: :class:`Found`, the tables as they stand in the
folder of results: ``<experiment>.csv``, ``<experiment>/<table>.csv`` and one entry of
``manifest.json``, each written under a temporary name and renamed, so that a kill leaves the old
file or the new one. Names in tables may be a stranger's: a cell that a spreadsheet would run as a
formula gets an apostrophe in front when it is written, and loses it when it is read back.

The manifest says of each published run which source it ran with (comments and docstrings do not
count) and what it wrote. A difference of source means that nobody has shown the numbers to be the
same, not that they are not.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pandas as pd
from filelock import FileLock
from pandas.api.types import is_numeric_dtype

from lib.statistics import claims
from lib.statistics.ledger import read_claims
from lib.study.config import ExperimentConfig, ParameterError, repository_root
from lib.study.stamps import machine, versions
from lib.study.units import DIGITS, Store, file_hash, module_hashes, provenance, source_file

KEYS = (
    *("experiment", "profile", "data", "split", "shift", "family", "severity", "condition"),
    *("model", "prior", "uncertainty", "seed", "metric", "by", "bin"),
)
COLUMNS = (*KEYS, "value", "lower", "upper", "n", "oracle")
# Columns of text, whatever stands in them: a stranger's name may be 2024 or NA, or there is none.
TEXTS = frozenset(
    {*KEYS, "cell", "part", "variant", "arm", "contrast", "reference"} - {"severity", "seed"}
)

# A number and words, such as "-0.5 to 0.3" or "+1 SD, k=10", starts with a sign and is no formula:
# without brackets, bars and further operators it can call and fetch nothing.
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+|inf)(?:e[+-]?\d+)?[\w.% ,=]*"
_QUANTITY = re.compile(rf"{_NUMBER}(?: to {_NUMBER})?", re.ASCII)

Frames = Mapping[str, pd.DataFrame]  # by name


class Found(NamedTuple):
    """What a page is made of: tables, and of the run that computed them parameters and entry.

    Empty cells of columns of text are ``""``; ``entry`` is what the manifest says of the run.
    """

    rows: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    config: SimpleNamespace
    entry: dict[str, Any]


def default_store(label: str = "") -> Store:
    """``SHIFT_STORE`` if it is set, else ``runs/store`` of the checkout."""
    return Store(Path(os.environ.get("SHIFT_STORE", repository_root() / "runs" / "store")), label)


def run_experiment(experiment: ModuleType, config: ExperimentConfig) -> Found:
    """Run an experiment, write its tables and read them back; only read with ``tables_from``.

    A ValueError says what is wrong with parameters or data; nothing is written then.
    """
    if config.tables_from is not None:
        return read_found(repository_root() / config.tables_from, experiment, config)
    store = default_store(config.experiment)
    sources = module_hashes(experiment.__name__)  # before a long run, in which they may be edited
    computed = experiment.run(config, store)
    entry = {"data": computed.data, "config": config.parameters, "config_hash": config.hash}
    entry |= provenance(store) | {"sources": sources}
    tables = computed.tables | ({"units": units_used(store)} if store.used else {})
    rows = computed.rows.assign(experiment=config.experiment, profile=config.profile)
    write(config.folder, config.experiment, rows, tables, entry)
    return read_found(config.folder, experiment, config)


def units_used(store: Store) -> pd.DataFrame:
    """What every unit that a run asked for is known by; nothing of it differs between runs."""
    table = pd.DataFrame.from_dict(store.used, orient="index").rename_axis("key").sort_index()
    return table[["function", "source", "content", "score", "kind"]].reset_index()


def read_found(folder: Path, experiment: ModuleType, config: ExperimentConfig) -> Found:
    """The tables of a folder, and what follows from them, under the parameters of their run."""
    entry = read_manifest(folder).get(config.experiment)
    if entry is None:
        raise ParameterError(
            f"parameter tables_from: {folder} holds no run of {config.experiment}; name a folder "
            "of results, such as results"
        )
    further = sorted((folder / config.experiment).glob("*.csv"))
    tables = {path.stem: read_csv(path) for path in further}
    rows = read_csv(folder / f"{config.experiment}.csv")
    # Tables that follow from others are made anew: an earlier run may have lacked them.
    if derive := getattr(experiment, "derive", None):
        tables |= derive(rows, tables)
    # What the tables' own run did not know yet.
    known = dict.fromkeys(config.parameters, "not recorded") | entry["config"]
    return Found(rows, tables, SimpleNamespace(**known), entry)


def tidy(rows: pd.DataFrame) -> pd.DataFrame:
    """The contract's columns first and in order, others after them; missing ones added empty.

    Two rows that share all their keys are an error: the table would not say which holds.
    """
    more = [column for column in rows.columns if column not in COLUMNS]
    table = rows.reindex(columns=[*COLUMNS, *more]).reset_index(drop=True)
    keys = [*KEYS, *({"n_train"} & {*more})]
    twice = table[keys].astype(str).duplicated()
    if twice.any():
        row = table.loc[twice, keys].iloc[0].dropna().to_dict()
        raise ValueError(f"two rows of the results share their keys: {row}")
    return table


def write_atomic(path: Path, content: str) -> None:
    """Write text under a temporary name, then rename it; an OSError names the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", text=True)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:  # a full disk says neither which nor for what
        raise OSError(error.errno, error.strerror or str(error), str(path.parent)) from None
    finally:
        Path(temporary).unlink(missing_ok=True)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may run a cell of this text when it opens a CSV.

    Examples
    --------
    >>> is_formula("=1+1"), is_formula("-2+3"), is_formula("-0.5 to 0.3"), is_formula("a=b")
    (True, True, False, False)
    """
    return text.startswith(("=", "+", "-", "@", "\t", "\n")) and not _QUANTITY.fullmatch(text)


def _change_texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """The table with ``change`` applied to its texts."""
    texts = table.select_dtypes(exclude=["number", "bool"]).astype(object)
    return table.assign(**texts.map(lambda cell: change(cell) if isinstance(cell, str) else cell))


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe in front of every text that :func:`is_formula` finds.

    Carriage returns become line feeds: a lone one would not be quoted, and end the row.
    """

    def as_cell(text: str) -> str:
        one = text.replace("\r\n", "\n").replace("\r", "\n")
        return f"'{one}" if is_formula(one.lstrip("'")) else one

    return _change_texts(table, as_cell)


def to_csv(table: pd.DataFrame) -> str:
    """CSV text :func:`without_formulas`, numbers to five digits: few enough to compare runs."""
    safe = without_formulas(table)
    return safe.to_csv(index=False, float_format="%.5g", lineterminator="\n")


def write(
    folder: Path, experiment: str, rows: pd.DataFrame, tables: Frames, entry: Mapping[str, Any]
) -> None:
    """Write an experiment's tidy rows, its tables of other shapes and its JSON-able entry."""
    write_atomic(folder / f"{experiment}.csv", to_csv(tidy(rows)))
    for path in (folder / experiment).glob("*.csv"):
        if path.stem not in tables:  # of an earlier run, whose page would show it
            path.unlink()
    for name, table in tables.items():
        write_atomic(folder / experiment / f"{name}.csv", to_csv(table))
    stamped = {**entry, "versions": versions(), "machine": machine()}
    write_entry(folder, experiment, stamped | {"date": date.today().isoformat()})


def write_entry(folder: Path, experiment: str, entry: Mapping[str, Any]) -> None:
    """Put an experiment's entry into the manifest; the others stay as they are."""
    # Other experiments may end at the same time, and no entry may be lost.
    with FileLock(folder / ".manifest.lock"):
        manifest = read_manifest(folder) | {experiment: dict(entry)}
        content = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
        write_atomic(folder / "manifest.json", content)


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the manifest of a folder says, by experiment; empty where there is none."""
    path = folder / "manifest.json"
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def read_csv(path: Path) -> pd.DataFrame:
    """One table as :func:`write` was given it, but for the digits: texts without apostrophes."""
    if not path.read_text("utf-8").strip():
        return pd.DataFrame()  # nothing was found that could stand in it
    table, cells = pd.read_csv(path), pd.read_csv(path, dtype=str, keep_default_na=False)
    texts = [c for c in table if c in TEXTS or not is_numeric_dtype(table[c])]
    return _change_texts(
        table.assign(**cells[texts].astype(object)),
        lambda text: text[1:] if text.startswith("'") and is_formula(text.lstrip("'")) else text,
    )


def verdict_files(judged: claims.Verdicts) -> dict[str, str]:
    """Content of each file of verdicts, by its name within the folder of results."""
    names = ("claims.csv", *(f"claims/{name}.csv" for name in judged._fields[1:]))
    return {name: to_csv(table) for name, table in zip(names, judged, strict=True)}


def write_verdicts(root: Path) -> claims.Verdicts:
    """Judge the claims of a repository and write its files of verdicts; none on an error."""
    folder = root / "results"
    judged = claims.judge(folder, read_claims(root / "claims.yaml"))
    for name, content in verdict_files(judged).items():
        write_atomic(folder / name, content)
    return judged


class Published(NamedTuple):
    """One experiment's published run."""

    experiment: str
    current: bool  # its source is that of the run
    modules: tuple[str, ...]  # that differ or are gone; none where the run did not record them
    altered: tuple[str, ...]  # its files, relative to the repository, that are not those of the run


def changed(recorded: Mapping[str, str], present: Mapping[str, str]) -> tuple[str, ...]:
    """Names whose hashes differ, or that only one of the two holds."""
    names = sorted(set(recorded) | set(present))
    return tuple(name for name in names if recorded.get(name) != present.get(name))


def file_hashes(root: Path, experiment: str) -> dict[str, str]:
    """Hash of each published table and page of an experiment, by its path in the repository."""
    tables, page = f"results/{experiment}", f"book/experiments/*_{experiment}.ipynb"
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]
        for pattern in (f"{tables}.csv", f"{tables}/*.csv", page)
        for path in root.glob(pattern)
    }


def record_files(root: Path, experiment: str) -> None:
    """Write the hashes of an experiment's published files into its entry of the manifest."""
    entry = read_manifest(root / "results")[experiment]
    write_entry(root / "results", experiment, entry | {"files": file_hashes(root, experiment)})


def published_runs(root: Path) -> list[Published]:
    """The state of every published run below ``root``, by name."""
    states = []
    for experiment, entry in sorted(read_manifest(root / "results").items()):
        recorded = entry.get("sources", {})
        # A module that is imported only now is not asked for: the line that imports it stands in
        # a module that is.
        found = {name: source_file(name, name.partition(".")[0]) for name in recorded}
        present = {name: file_hash(path)[:DIGITS] for name, path in found.items() if path}
        modules = changed(recorded, present)
        files = entry.get("files")
        altered = changed(files, file_hashes(root, experiment)) if files else ()
        states.append(Published(experiment, bool(recorded) and not modules, modules, altered))
    return states

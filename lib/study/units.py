"""Units of work: pure functions whose finished results are stored under their content hash.

In: :class:`Unit`, a module-level function with a JSON-able config and data sets. Out:
:class:`Result`, named arrays with a JSON-able description, or tables. A result is one safetensors
file, written whole or not at all and verified when read; its key covers the config, the data and
the source of every module of this package that the function's module imports, without comments and
docstrings. So a killed run resumes, an edited docstring costs nothing and an edited line recomputes
what depends on it.
"""

import ast
import hashlib
import importlib
import importlib.util
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from lib.data.dataset import Result as Result
from lib.data.dataset import Stored as Stored

PACKAGE = "lib"
DIGITS = 12  # of a file's hash where it stands in a manifest


class DamagedUnit(UserWarning):
    """A stored unit failed its check and is computed again."""


@dataclass(frozen=True, eq=False)
class Unit:
    """One piece of work: ``function(config, **data) -> Result``, module-level and pure.

    It depends on its JSON-able ``config``, on ``data``, objects with a ``fingerprint`` (data sets,
    or an earlier :class:`Result` as :class:`Stored`), and the source of further ``modules``.
    """

    function: Callable[..., Result]
    config: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    modules: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """SHA-256 over function, source, config and data, as hex."""
        parts = {
            "function": f"{self.function.__module__}:{self.function.__qualname__}",
            "source": [source_hash(m) for m in (self.function.__module__, *self.modules)],
            "config": self.config,
            "data": {name: value.fingerprint for name, value in sorted(self.data.items())},
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def source_files(module: str) -> dict[str, Path]:
    """The files of this package that ``module`` consists of: itself and all it imports."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or (path := _source_file(name)) is None:
            continue
        found[name] = path
        # A package's own imports are relative to itself, a module's to its package.
        importer = f"{name}.__init__" if path.name == "__init__.py" else name
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), importer)
                waiting += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return found


def _source_file(module: str) -> Path | None:
    if module.split(".")[0] != PACKAGE:
        return None
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a name imported from a module, not a module
        return None
    return Path(spec.origin) if spec and spec.origin else None


def file_hash(path: Path) -> str:
    """SHA-256 of a file's syntax, without comments and docstrings."""
    return _file_hash(path, path.stat().st_mtime_ns)


@cache
def _file_hash(path: Path, modified: int) -> str:
    # The modification time is the memo's key: a changed file is read again.
    tree = ast.parse(path.read_text("utf-8"))
    holds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, holds) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def module_hashes(module: str) -> dict[str, str]:
    """First digits of the hash of each file that a module consists of, by module name."""
    return {name: file_hash(p)[:DIGITS] for name, p in sorted(source_files(module).items())}


@cache
def source_hash(module: str) -> str:
    """One hash over all files that a module consists of; one outside the package is one file."""
    files = source_files(module)
    if not files and (origin := importlib.import_module(module).__file__):
        files = {module: Path(origin)}
    lines = [f"{name} {file_hash(path)}\n" for name, path in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _checksum(arrays: Mapping[str, NDArray[Any]], meta: str) -> str:
    digest = hashlib.sha256(meta.encode())
    for name in sorted(arrays):
        values = np.asarray(arrays[name], order="C")
        digest.update(f"{name}{values.shape}{values.dtype}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Store:
    """A folder of finished units, safe to share between runs and processes."""

    root: Path

    def path(self, key: str) -> Path:
        """Where the unit ``key`` lies or would lie."""
        return self.root / key[:2] / f"{key}.safetensors"

    def get(self, key: str) -> Result | None:
        """The stored result, or None when there is none or it is damaged (then with a warning)."""
        path = self.path(key)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                header = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if header["checksum"] != _checksum(arrays, header["meta"]):
                raise ValueError("its checksum does not match")
            return Result(arrays, json.loads(header["meta"]))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            said = f"stored unit {path.name} is damaged ({error}); it is computed again"
            warnings.warn(said, DamagedUnit, stacklevel=2)
            return None

    def put(self, key: str, result: Result) -> None:
        """Write a result under a temporary name, then rename it; an OSError names the store."""
        meta = json.dumps(result.meta, sort_keys=True)
        # Not ascontiguousarray, which gives a scalar an axis.
        arrays = {name: np.asarray(values, order="C") for name, values in result.arrays.items()}
        header = {"meta": meta, "checksum": _checksum(arrays, meta)}
        path, temporary = self.path(key), ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
            os.close(handle)
            save_file(arrays, temporary, metadata=header)
            os.replace(temporary, path)
        except (OSError, SafetensorError) as error:
            raise OSError(
                f"cannot write to the unit store {self.root} ({error}); make room there, or name "
                "another folder by SHIFT_STORE; units finished before stay"
            ) from error
        finally:
            if temporary:
                Path(temporary).unlink(missing_ok=True)


def missing_units(units: Sequence[Unit], store: Store) -> int:
    """How many of the units are not in the store yet."""
    return sum(not store.path(key).exists() for key in {unit.key for unit in units})


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Placement(NamedTuple):
    """Where units run; results do not depend on it.

    ``workers`` are processes side by side, one thread each, by default one per core; ``executor``
    is ``local`` or ``dask``, ``scheduler`` the ``tcp://host:port`` of a running Dask scheduler.
    """

    workers: int | None = None
    executor: str = "local"
    scheduler: str | None = None


HERE = Placement()


def run_units(
    units: Sequence[Unit], store: Store, where: Placement = HERE, label: str = "units"
) -> list[Result]:
    """Results of all units in order; finished ones are read, the others computed and stored.

    ``store`` lies on a disk that all workers see; ``label`` is that of a terminal's progress bar.
    ``dask`` without a scheduler is a ValueError; a scheduler that is not reached within 15 seconds
    or lost later, and a store that cannot be written, are an OSError.
    """
    if where.executor == "dask" and where.scheduler is None:
        raise ValueError("executor='dask' needs scheduler='tcp://host:port'")
    keys = [unit.key for unit in units]
    found = {key: store.get(key) for key in dict.fromkeys(keys)}
    results = {key: result for key, result in found.items() if result is not None}
    missing = {key: unit for key, unit in zip(keys, units, strict=True) if key not in results}
    finish = _finish_on_dask if where.executor == "dask" else _finish_locally
    with tqdm(total=len(found), initial=len(results), desc=label, disable=None) as bar:
        for key, result in finish(missing, store, where):
            results[key] = result
            bar.update()
    return [results[key] for key in keys]


class Fit(NamedTuple):
    """A unit that fits a network, and its result."""

    unit: Unit
    model: Result


def run_fits(
    units: Sequence[Unit], store: Store, where: Placement, label: str = "fits"
) -> tuple[list[Fit], dict[str, int]]:
    """Finished fits in order, and how many there are and were computed now."""
    counts = {"fits": len(units), "fits_computed": missing_units(units, store)}
    models = run_units(units, store, where, label)
    return [Fit(*pair) for pair in zip(units, models, strict=True)], counts


def _compute(key: str, unit: Unit, store: Store) -> tuple[str, Result]:
    result = unit.function(unit.config, **unit.data)
    store.put(key, result)
    return key, result


def _finish_locally(
    missing: Mapping[str, Unit], store: Store, where: Placement
) -> Iterator[tuple[str, Result]]:
    count = min(where.workers or cores(), max(len(missing), 1))
    jobs = (delayed(_compute)(key, unit, store) for key, unit in missing.items())
    yield from Parallel(count, return_as="generator_unordered", pre_dispatch="2*n_jobs")(jobs)


def _finish_on_dask(
    missing: Mapping[str, Unit], store: Store, where: Placement
) -> Iterator[tuple[str, Result]]:
    if not missing:
        return
    from dask.distributed import Client, as_completed
    from distributed.comm.core import CommClosedError

    with Client(where.scheduler, timeout=15) as client:
        futures = [
            client.submit(_compute, key, unit, store, pure=False) for key, unit in missing.items()
        ]
        try:
            for future in as_completed(futures):
                yield future.result()
        except (CancelledError, CommClosedError) as error:
            raise ConnectionError(
                f"lost the Dask scheduler {where.scheduler}; finished units are stored: start a "
                "scheduler and run again to go on from there"
            ) from error

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
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, cpu_count, delayed
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from lib.data.dataset import Result as Result
from lib.study.stamps import machine, versions

PACKAGE = "lib"
DIGITS = 12  # of a hash where it stands in a manifest
_SEEDS = re.compile(r'"(world_)?seed": \d+')  # in JSON


class DamagedUnit(UserWarning):
    """A stored unit failed its check and is computed again."""


@dataclass(frozen=True, eq=False)
class Unit:
    """One piece of work: ``function(config, **data) -> Result``, module-level and pure.

    It depends on its JSON-able ``config``, on ``data``, objects with a ``fingerprint`` (data sets,
    or an earlier :class:`Result`), and the source of further ``modules``.
    """

    function: Callable[..., Result]
    config: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    modules: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Module and name of the function."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @property
    def source(self) -> str:
        """First digits of the hash of the function's source, for a stamp."""
        return source_hash(self.function.__module__)[:DIGITS]

    @property
    def key(self) -> str:
        """SHA-256 over function, source, config and data, as hex."""
        parts = {
            "function": self.name,
            "source": [source_hash(m) for m in (self.function.__module__, *self.modules)],
            "config": self.config,
            "data": {name: value.fingerprint for name, value in sorted(self.data.items())},
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def described(self, result: Result) -> dict[str, Any]:
        """What its result is known by when it is computed again.

        ``content`` is the fingerprint; ``score`` the lowest validation loss of a fit, of others the
        root mean square of their floats. Units of one ``kind`` differ in seed, world or fold.
        """
        told = []
        for name, value in sorted(self.data.items()):
            trained = len(getattr(value, "parts", {}).get("train", ()))
            # Folds differ a little in size.
            told.append((name, getattr(value, "name", ""), trained.bit_length()))
        kind = _SEEDS.sub("", json.dumps([self.name, self.config, told], sort_keys=True))
        floats = [each.ravel() for each in result.arrays.values() if each.dtype.kind == "f"]
        values = np.concatenate([*floats, np.empty(0)])
        values = values[np.isfinite(values)]
        size = float(np.linalg.norm(values) / max(len(values), 1) ** 0.5)
        losses = [epoch["nll"] for epoch in result.meta.get("history", ()) if "nll" in epoch]
        own = {"function": self.name, "source": self.source}
        own["kind"] = hashlib.sha256(kind.encode()).hexdigest()[:DIGITS]
        return own | {"content": result.fingerprint, "score": min(losses, default=size)}


def source_files(module: str) -> dict[str, Path]:
    """The files that a module consists of: itself, its packages and all that it imports.

    Of this package those of it; of a stranger's module those below the folder it lies in.
    """
    package = module.partition(".")[0]
    found, waiting = dict[str, Path](), [module]
    while waiting:
        name = waiting.pop()
        if name in found or (path := source_file(name, package)) is None:
            continue
        found[name] = path
        # A package's own imports are relative to itself, a module's to its package.
        above = name.rpartition(".")[0]
        importer = name if path.name == "__init__.py" else above
        waiting.append(above)
        for base, names in _read(path, path.stat().st_mtime_ns)[1]:
            base = importlib.util.resolve_name(base, importer)
            waiting += [base, *(f"{base}.{name}" for name in names)]
    return found


def source_file(module: str, package: str) -> Path | None:
    """Where a module lies, if it is of the package or, for a stranger's, beside it."""
    if not module or (package == PACKAGE and module.split(".")[0] != PACKAGE):
        return None
    try:
        spec, own = map(importlib.util.find_spec, (module, package))
    except (ModuleNotFoundError, ValueError):  # a name imported from a module, not a module
        return None
    if spec is None or own is None or not spec.has_location or not str(spec.origin).endswith(".py"):
        return None
    # A folder needs no __init__.py to be a package; its own place is then the only one told.
    places = list(own.submodule_search_locations or [str(own.origin)])
    path, home = Path(str(spec.origin)), Path(places[0]).parent
    # An environment may lie in that folder too: what is installed there counts by its version.
    beside = path.is_relative_to(home) and "site-packages" not in path.relative_to(home).parts
    return path if beside else None


def file_hash(path: Path) -> str:
    """SHA-256 of a file's syntax without comments and docstrings, the same by every Python."""
    return _read(path, path.stat().st_mtime_ns)[0]


@cache
def _read(path: Path, modified: int) -> tuple[str, list[tuple[str, list[str]]]]:
    """Hash of a file, and what it imports: a module, and names from it."""
    # The modification time is the memo's key: a changed file is read again.
    tree, imports = ast.parse(path.read_text("utf-8")), list[tuple[str, list[str]]]()
    holds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            imports.append((base, [alias.name for alias in node.names]))
        elif isinstance(node, holds) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    told: dict[str, Any] = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    text = ast.dump(tree, **told).replace(", type_params=[]", "")  # of 3.12 and later
    return hashlib.sha256(text.encode()).hexdigest(), imports


def module_hashes(module: str) -> dict[str, str]:
    """First digits of the hash of each file that a module consists of, by module name."""
    return {name: file_hash(p)[:DIGITS] for name, p in sorted(source_files(module).items())}


@cache
def source_hash(module: str) -> str:
    """One hash over all files that a module consists of."""
    lines = [f"{name} {file_hash(path)}\n" for name, path in sorted(source_files(module).items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class Store:
    """A folder of finished units, safe to share between runs and processes.

    ``label`` is who asks: units computed now bear it in their stamp. ``used`` collects the stamps
    of all units that were asked for, with what they are known by, by key. A ``plan`` answers in
    place of the store, and nothing is computed (:mod:`lib.study.verify`).
    """

    root: Path
    label: str = ""
    used: dict[str, Mapping[str, Any]] = field(default_factory=dict, compare=False)
    plan: "Callable[[Sequence[Unit]], list[Result]] | None" = field(default=None, compare=False)

    def path(self, key: str) -> Path:
        """Where the unit ``key`` lies or would lie."""
        return self.root / key[:2] / f"{key}.safetensors"

    def get(self, key: str, source: str = "") -> Result | None:
        """The stored result, or None when there is none or it is damaged (then with a warning).

        So is one whose stamp names another ``source``, where one is given.
        """
        path = self.path(key)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                header = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            found = Result(arrays, json.loads(header["meta"]), json.loads(header["stamp"]))
            if header["key"] != key:
                raise ValueError("it is another unit's file")
            own = hashlib.sha256(header["stamp"].encode()).hexdigest()
            if (header["checksum"], header.get("stamped", own)) != (found.fingerprint, own):
                raise ValueError("its checksum does not match")
            if source and found.stamp["source"] != source:
                raise ValueError("its stamp is of another source")
            return found
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            said = f"stored unit {path.name} is damaged ({error}); it is computed again"
            warnings.warn(said, DamagedUnit, stacklevel=2)
            return None

    def put(self, key: str, result: Result) -> None:
        """Write a result under a temporary name, then rename it; an OSError names the store."""
        # Not ascontiguousarray, which gives a scalar an axis.
        arrays = {name: np.asarray(values, order="C") for name, values in result.arrays.items()}
        texts = {"meta": result.meta, "stamp": result.stamp}
        header = {name: json.dumps(value, sort_keys=True) for name, value in texts.items()}
        stamped = hashlib.sha256(header["stamp"].encode()).hexdigest()
        header |= {"key": key, "checksum": result.fingerprint, "stamped": stamped}
        path, temporary = self.path(key), ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
            os.close(handle)
            save_file(arrays, temporary, metadata=header)
            os.chmod(temporary, 0o644)  # for others who share the store
            os.replace(temporary, path)
        except (OSError, SafetensorError) as error:
            raise OSError(
                f"cannot write to the unit store {self.root} ({error}); make room there, or name "
                "another folder by SHIFT_STORE; units finished before stay"
            ) from error
        finally:
            if temporary:
                Path(temporary).unlink(missing_ok=True)


def cores() -> int:
    """Cores this process may use."""
    return int(cpu_count())


class Placement(NamedTuple):
    """Where units run; results do not depend on it.

    ``workers`` are processes side by side, one thread each, by default one per core; ``executor``
    is ``local`` or ``dask``, ``scheduler`` the ``tcp://host:port`` of a running Dask scheduler.
    """

    workers: int | None = None
    executor: str = "local"
    scheduler: str | None = None


HERE = Placement()
Finished = Iterator[tuple[str, Result]]  # by key


@contextmanager
def _bar(label: str, **counts: int) -> Iterator[tqdm]:
    """A bar on standard error where that is a terminal.

    ``SHIFT_BAR`` is the terminal, line and name of a notebook that runs beside others.
    """
    if not (given := os.environ.get("SHIFT_BAR")):
        with tqdm(desc=label, disable=None, **counts) as bar:
            yield bar
        return
    terminal, line, name = given.split(" ")
    with open(terminal, "w", encoding="utf-8") as file:
        own: dict[str, Any] = {"file": file, "position": int(line), "leave": False}
        with tqdm(desc=f"{name}: {label}", **counts, **own) as bar:
            yield bar


def run_units(
    units: Sequence[Unit], store: Store, where: Placement = HERE, label: str = "units"
) -> list[Result]:
    """Results of all units in order; finished ones are read, the others computed and stored.

    ``store`` lies on a disk that all workers see; ``label`` is that of a terminal's progress bar.
    A scheduler that is not reached within 15 seconds or lost later, and a store that cannot be
    written, are an OSError.
    """
    if store.plan is not None:
        return store.plan(units)
    keys = [unit.key for unit in units]
    asked = dict(zip(keys, units, strict=True))
    found = {key: store.get(key, unit.source) for key, unit in asked.items()}
    results = {key: result for key, result in found.items() if result is not None}
    missing = {key: unit for key, unit in asked.items() if key not in results}
    finish = _finish_on_dask if where.executor == "dask" else _finish_locally
    with _bar(label, total=len(found), initial=len(results)) as bar:
        for key, result in finish(missing, store, where):
            results[key] = result
            bar.update()
    for key, unit in asked.items():
        store.used[key] = {**results[key].stamp, **unit.described(results[key])}
    return [results[key] for key in keys]


class Fit(NamedTuple):
    """A unit that fits a network, and its result."""

    unit: Unit
    model: Result


def run_fits(
    units: Sequence[Unit], store: Store, where: Placement, label: str = "fits"
) -> list[Fit]:
    """Finished fits in order."""
    return list(map(Fit, units, run_units(units, store, where, label)))


def provenance(store: Store) -> dict[str, Any]:
    """What the stamps say of all units that were asked of a store, for a manifest.

    ``fits_computed`` bear the store's label, ``fits_shared`` another's; ``seconds`` of a processor
    are those of the units that bear it, ``unit_seconds`` the means by kind of all. A run that is
    resumed or repeated says the same.
    """
    stamps = list(store.used.values())
    own = [stamp for stamp in stamps if stamp["label"] == store.label]
    fits = [stamp for stamp in stamps if stamp["dtype"]]
    computed = sum(stamp["label"] == store.label for stamp in fits)
    by_kind: dict[str, list[float]] = {}
    for stamp in stamps:
        by_kind.setdefault(stamp["kind"], []).append(stamp["seconds"])
    return {
        "fits": len(fits),
        "fits_computed": computed,
        "fits_shared": len(fits) - computed,
        "seconds": round(sum(stamp["seconds"] for stamp in own), 1),
        "unit_seconds": {kind: round(fmean(each), 1) for kind, each in sorted(by_kind.items())},
        "dtype": ", ".join(sorted({stamp["dtype"] for stamp in fits})),
        "fit_source": ", ".join(sorted({stamp["source"] for stamp in fits})),
        "processors": sorted({stamp["machine"] for stamp in stamps}),
    }


@threadpool_limits.wrap(limits=1, user_api="blas")  # more threads add up in another order
def _compute(key: str, unit: Unit, store: Store) -> tuple[str, Result]:
    if unit.key != key:
        said = "this worker's lib is not the client's: install the same source on both, then run"
        raise RuntimeError(f"{said} again; finished units stay")
    start = time.process_time()  # a run that waits or is stopped meanwhile costs no more
    result = unit.function(unit.config, **unit.data)
    stamp = {
        "label": store.label,
        "source": unit.source,
        "machine": machine(),
        "dtype": unit.config.get("precision", ""),
        "seconds": round(time.process_time() - start, 3),
        "versions": versions(),
    }
    result = replace(result, stamp=stamp)
    store.put(key, result)
    return key, result


def _finish_locally(missing: Mapping[str, Unit], store: Store, where: Placement) -> Finished:
    count = min(where.workers or cores(), max(len(missing), 1))
    jobs = (delayed(_compute)(key, unit, store) for key, unit in missing.items())
    yield from Parallel(count, return_as="generator_unordered", pre_dispatch="2*n_jobs")(jobs)


def _finish_on_dask(missing: Mapping[str, Unit], store: Store, where: Placement) -> Finished:
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

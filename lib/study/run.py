"""Computes an experiment's tables, or reads them; a page shows what was written, nothing else.

In: an experiment's module and its config. Out: :class:`Found`, the tables as they stand in the
folder of results. Finished fits lie in ``runs/store`` of the checkout and are shared by all runs.
"""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol, TypeVar

import pandas as pd

from lib.study import results
from lib.study.config import ExperimentConfig, ParameterError, Tables, repository_root
from lib.study.units import Store, module_hashes

C = TypeVar("C", bound=ExperimentConfig, contravariant=True)
NEWER = "not recorded"  # a parameter that the tables' own run did not know


class Found(NamedTuple):
    """What a page is made of: tables, and of the run that computed them parameters and entry.

    Empty cells of columns of text are ``""``; ``entry`` is what the manifest says of the run.
    """

    rows: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    config: SimpleNamespace
    entry: dict[str, Any]

    @property
    def standin(self) -> bool:
        """Whether the stand-in assay took the place of real data."""
        return bool((self.rows["data"] == "standin").any())


class Experiment(Protocol[C]):
    """A module with a pure function from config to tables."""

    __name__: str

    def run(self, config: C, store: Store) -> Tables:
        """Fit, forecast, score."""


def default_store() -> Store:
    """``SHIFT_STORE`` if it is set, else ``runs/store`` of the checkout."""
    given = os.environ.get("SHIFT_STORE")
    return Store(repository_root() / "runs" / "store" if given is None else Path(given))


def run_experiment(experiment: Experiment[C], config: C) -> Found:
    """Run an experiment, write its tables and read them back; only read with ``tables_from``.

    Raises
    ------
    ValueError
        For bad parameters or data; nothing is written then.
    """
    if config.tables_from is not None:
        return read_found(repository_root() / config.tables_from, experiment, config)
    start = time.perf_counter()
    computed = experiment.run(config, default_store())
    entry = computed.entry | {
        "config": config.parameters,
        "config_hash": config.hash,
        "sources": module_hashes(experiment.__name__),
        # Of this run: units that an earlier one had stored cost nothing here.
        "seconds": round(time.perf_counter() - start, 1),
    }
    results.write(config.folder, config.experiment, computed.rows, computed.tables, entry)
    return read_found(config.folder, experiment, config)


def read_found(folder: Path, experiment: Experiment[Any], config: ExperimentConfig) -> Found:
    """The tables of a folder, and what follows from them, under the parameters of their run.

    Raises
    ------
    ParameterError
        If the folder holds no run of this experiment.
    """
    entry = results.read_manifest(folder).get(config.experiment)
    if entry is None:
        raise ParameterError(
            f"parameter tables_from: {folder} holds no run of {config.experiment}; name a folder "
            "of results, such as results"
        )
    rows = results.read(folder, config.experiment)
    tables = results.read_tables(folder, config.experiment)
    # Tables that follow from others are made anew: an earlier run may have lacked them.
    if derive := getattr(experiment, "derive", None):
        tables |= derive(rows, tables)
    known = dict.fromkeys(config.parameters, NEWER)
    return Found(rows, tables, SimpleNamespace(**{**known, **entry["config"]}), entry)

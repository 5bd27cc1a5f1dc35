"""Runs an experiment from a notebook: fit, score, write the tables.

In: an experiment's module and its config. Out: its tables, written to ``config.folder`` whole or
not at all. Finished fits lie in ``runs/store`` of the checkout and are shared by all runs.
"""

import os
import time
from pathlib import Path
from typing import Protocol, TypeVar

from lib.study import results
from lib.study.config import ExperimentConfig, repository_root
from lib.study.found import Tables
from lib.study.staleness import module_hashes
from lib.study.units import Store, source_hash

C = TypeVar("C", bound=ExperimentConfig, contravariant=True)


class Experiment(Protocol[C]):
    """A module with a pure function from config to tables."""

    __name__: str

    def run(self, config: C, store: Store) -> Tables:
        """Fit, forecast, score."""


def default_store() -> Store:
    """``SHIFT_STORE`` if it is set, else ``runs/store`` of the checkout."""
    given = os.environ.get("SHIFT_STORE")
    return Store(repository_root() / "runs" / "store" if given is None else Path(given))


def run_experiment(experiment: Experiment[C], config: C) -> Tables:
    """Run an experiment and write its tables.

    Parameters
    ----------
    experiment : module
        Holds ``run(config, store)``.
    config : ExperimentConfig

    Returns
    -------
    The experiment's tables.

    Raises
    ------
    ValueError
        For bad parameters or data; nothing is written then.
    """
    start = time.perf_counter()
    found = experiment.run(config, default_store())
    entry = found.entry | {
        "config": config.model_dump(mode="json", exclude=set(config.placement)),
        "config_hash": config.hash,
        "source": source_hash(experiment.__name__),
        "sources": module_hashes(experiment.__name__),
        # Of this run: units that an earlier one had stored cost nothing here.
        "seconds": round(time.perf_counter() - start, 1),
    }
    results.write(config.folder, config.experiment, found.rows, found.tables, entry)
    return found

"""Runs an experiment from a notebook: fit, score, write the tables.

In: an experiment's module and its config. Out: its tables, written to ``config.folder`` whole or
not at all. Finished fits lie in ``runs/store`` of the checkout and are shared by all runs.
"""

import os
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pandas as pd

from lib import results
from lib.experiments.config import ExperimentConfig, repository_root
from lib.staleness import module_hashes
from lib.units import Store


class Found(Protocol):
    """What an experiment returns."""

    rows: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    entry: dict[str, Any]


C = TypeVar("C", bound=ExperimentConfig, contravariant=True)
F = TypeVar("F", covariant=True)


class Experiment(Protocol[C, F]):
    """A module with a pure function from config to tables."""

    __name__: str

    def run(self, config: C, store: Store) -> F:
        """Fit, forecast, score."""


def default_store() -> Store:
    """``SHIFT_STORE`` if it is set, else ``runs/store`` of the checkout."""
    given = os.environ.get("SHIFT_STORE")
    return Store(repository_root() / "runs" / "store" if given is None else Path(given))


def run_experiment(experiment: Experiment[C, F], config: C) -> F:
    """Run an experiment and write its tables.

    Parameters
    ----------
    experiment : module
        Holds ``run(config, store)``; the manifest takes the hashes of its source.
    config : ExperimentConfig

    Returns
    -------
    The experiment's tables.

    Raises
    ------
    ValueError
        For bad parameters or data; nothing is written then.
    """
    found: Any = experiment.run(config, default_store())
    entry = found.entry | {"sources": module_hashes(experiment.__name__)}
    results.write(config.folder, config.experiment, found.rows, found.tables, entry)
    return found

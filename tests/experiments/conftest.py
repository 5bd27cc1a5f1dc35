import os
from functools import cache

import pytest

from lib.study import results
from lib.study.units import Store


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Fits of all smoke runs: what two experiments share is trained once, as in a report.

    Test processes side by side have one store, below the folder of their common run.
    """
    base = tmp_path_factory.getbasetemp()
    return Store((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "store")


@pytest.fixture(scope="session")
def smoke(store, tmp_path_factory):
    """The smoke run of an experiment, made once and shared; its tables can be written."""

    @cache
    def made(experiment, **given):
        config = experiment.Config.create(profile="smoke", workers=1).model_copy(update=given)
        tables, folder = experiment.run(config, store), tmp_path_factory.mktemp("run")
        rows = tables.rows.assign(experiment=config.experiment, profile=config.profile)
        results.write(folder, config.experiment, rows, tables.tables, {"data": tables.data})
        return tables

    return made


@pytest.fixture(scope="module")
def found(request, smoke):
    """The smoke run of the experiment that a test module names, with the module's parameters."""
    return smoke(request.module.EXPERIMENT, **getattr(request.module, "GIVEN", {}))

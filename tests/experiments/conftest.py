import pytest

from lib.study import results
from lib.study.units import Store


@pytest.fixture(scope="module")
def found(request, tmp_path_factory):
    """The smoke run of the experiment that a test module names; its tables can be written."""
    experiment, folder = request.module.EXPERIMENT, tmp_path_factory.mktemp("run")
    config = experiment.Config.create(profile="smoke", workers=1)
    tables = experiment.run(config, Store(folder / "store"))
    results.write(folder, config.experiment, tables.rows, tables.tables, tables.entry)
    return tables

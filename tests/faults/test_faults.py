"""Faults on a small run: what the page says of them holds here too."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from . import faults
from .runs import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = faults.undisturbed(tmp_path_factory.mktemp("calm"))
    assert len(run.tables) > 3 and len(run.units) > 5
    return run


# The one on Dask consists of tests of its own.
@pytest.mark.parametrize(
    "fault", faults.FAULTS[:-1], ids=lambda f: getattr(f, "__name__", "") or str(f.keywords)
)
def test_fault_does_what_the_page_says(fault, calm: Run, tmp_path: Path) -> None:
    if "times" in getattr(fault, "keywords", {}):
        fault = partial(fault, times=4)  # each of the moments that the recorded ten repeat
    try:
        row = fault(calm, tmp_path, np.random.default_rng(9))
    except PermissionError as error:
        pytest.skip(str(error))
    assert row.held, row


def test_killed_runs_end_with_the_undisturbed_tables(calm: Run, tmp_path: Path) -> None:
    row = faults.kills(calm, tmp_path, np.random.default_rng(9), times=2, whole=20.0)
    assert row.held, row

"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every run and no time limits: a busy machine must not turn a test red.
settings.register_profile("steady", derandomize=True, deadline=None, print_blob=False)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's top folder."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of measured data; skips where none is named."""
    folder = os.environ.get("MPRA_DATA_DIR")
    if not folder:
        pytest.skip("MPRA_DATA_DIR is not set: no measured data here")
    return Path(folder)

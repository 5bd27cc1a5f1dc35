"""Fixtures shared by all tests."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The same examples on every run and no time limits: a busy machine must not turn a test red.
settings.register_profile("steady", derandomize=True, deadline=None, print_blob=False)
settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    """One thread for each of several test processes, which inherit this: they share the cores."""
    if getattr(config.option, "numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of measured data; skips where none is named."""
    folder = os.environ.get("MPRA_DATA_DIR")
    if not folder:
        pytest.skip("MPRA_DATA_DIR is not set: no measured data here")
    return Path(folder)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def random_dna() -> Callable[[int, int, int], list[str]]:
    """Make ``n`` random sequences of one length."""

    def make(n: int, length: int, seed: int) -> list[str]:
        letters = np.random.default_rng(seed).choice(list("ACGT"), (n, length))
        return ["".join(row) for row in letters]

    return make


@pytest.fixture
def write_text(tmp_path: Path) -> Callable[..., Path]:

    def write(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def reverse_complement() -> Callable[[str], str]:
    return lambda sequence: sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))

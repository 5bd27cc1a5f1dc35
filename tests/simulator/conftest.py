"""Worlds are drawn once: they are frozen, and no test writes into their arrays."""

import pytest

from lib.simulator import World, draw_world


@pytest.fixture(scope="session")
def world() -> World:
    return draw_world(1)


@pytest.fixture(scope="session")
def worlds(world: World) -> list[World]:
    return [world, draw_world(2), draw_world(3)]

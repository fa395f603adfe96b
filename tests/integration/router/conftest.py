"""The world of the data plane's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from router.settings import Settings
from tests.integration.router.router_world import World


@pytest.fixture
def worlds() -> Iterator[Callable[[Settings], World]]:
    """Make worlds with limits of one's own."""
    made: list[World] = []

    def make(limits: Settings) -> World:
        made.append(World(limits))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(worlds: Callable[[Settings], World]) -> World:
    """A world with default limits."""
    return worlds(Settings())

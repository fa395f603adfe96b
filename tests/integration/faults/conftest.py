"""The worlds of the tests of faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.faults.fault_world import SHORT, Hole
from tests.integration.router.router_world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A data plane with short times."""
    world = World(SHORT)
    yield world
    world.close()


@pytest.fixture
def hole() -> Iterator[Hole]:
    """An endpoint that never answers a SYN."""
    hole = Hole()
    if not hole.hangs():
        hole.close()
        pytest.skip("this system does not drop connections to a full backlog")
    yield hole
    hole.close()

"""One running platform for each module that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loadtest.local import Platform, platform


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform on free ports; afterwards it ends with 0 and leaves no process."""
    with platform(tmp_path_factory.mktemp("platform")) as started:
        yield started
        assert started.stop() == 0, started.said()
        assert started.children() == []

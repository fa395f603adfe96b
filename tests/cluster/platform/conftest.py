"""One release of the chart for all tests of this folder: installing it takes longer than most of them."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from installed import Platform, installed

HERE = Path(__file__).parent
AFTERWARDS = ExitStack()  # what is done after the folder's last test


@pytest.fixture(scope="session")
def platform() -> Platform:
    """The chart with its defaults."""
    return AFTERWARDS.enter_context(installed())


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Gone before another folder's tests: their routers would share its routes."""
    if nextitem is None or HERE not in nextitem.path.parents:
        AFTERWARDS.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the platform says of itself."""
    report = yield
    release = getattr(item, "funcargs", {}).get("platform")
    if report.when == "call" and report.failed and isinstance(release, Platform):
        report.sections.append(("the platform", release.tell()))
    return report

"""One release of the chart for all tests of this folder: installing it takes longer than most of them.

First those of the defaults; then, as names are sorted, test_with_… with values-ha.yaml, and test_without_…, which takes it away.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.platform import ha
from tests.cluster.platform.held import held
from tests.cluster.platform.installed import BUILDS, NAMESPACE, Platform, installed

HERE = Path(__file__).parent
AFTERWARDS = ExitStack()  # what is done after the folder's last test


@pytest.fixture(scope="session")
def platform() -> Platform:
    """The chart with its defaults."""
    AFTERWARDS.enter_context(ha.operated_kinds())
    return AFTERWARDS.enter_context(installed(before=lambda: held(NAMESPACE, BUILDS)))


@pytest.fixture(scope="session")
def several(platform: Platform) -> Platform:
    """The same release, upgraded to values-ha.yaml, for good."""
    platform.install(**ha.values())
    return platform


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

"""One release of the chart for all tests of the folder: installing it takes longer than most of them."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from installed import Platform, installed


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The chart with its defaults."""
    with installed() as release:
        yield release


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the platform says of itself."""
    report = yield
    release = getattr(item, "funcargs", {}).get("platform")
    if report.when == "call" and report.failed and isinstance(release, Platform):
        report.sections.append(("the platform", release.tell()))
    return report

"""What the idle platform keeps in memory, with the chart's defaults."""

from __future__ import annotations

import sys
import time

import pytest

from tests.cluster.platform.installed import PATIENCE, Failed, Platform, command
from tests.cluster.shared.router_on_a_cluster import MARKS

pytestmark = MARKS


@pytest.mark.slow
def test_the_idle_platform_is_at_most_three_pods_and_160_mib(platform: Platform) -> None:
    ask = (sys.executable, "-m", "loadtest.footprint", "-n", platform.namespace, "--release", platform.release)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return print(command(*ask))
        except Failed as failed:
            if "exit status 2" not in str(failed) or time.monotonic() > deadline:  # the kubelet measures every 10 s
                raise
        time.sleep(1)

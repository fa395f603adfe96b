"""What every test shares: cluster tests skip, in words, where there is no cluster; nothing here judges a machine's speed."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is slow to draw and slow to run: neither says anything about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Ctrl-C reaches the commands that tests start, also where a shell began the whole run in the background: it is ignored there.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Seconds after which a cluster test hangs: with what a folder's first one builds and installs, on a machine that is slow.
CLUSTER_PATIENCE = 1200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `cluster` without KUBECONFIG; with CLOUDBASE_REQUIRE_CLUSTER=1 that is an error instead."""
    for item in items:
        if item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.timeout(CLUSTER_PATIENCE), append=False)
    if os.environ.get("KUBECONFIG"):
        return
    if os.environ.get("CLOUDBASE_REQUIRE_CLUSTER"):
        raise pytest.UsageError("CLOUDBASE_REQUIRE_CLUSTER is set, but KUBECONFIG names no cluster")
    skip = pytest.mark.skip(reason="needs a Kubernetes cluster: set KUBECONFIG")
    for item in items:
        if item.get_closest_marker("cluster"):
            item.add_marker(skip)

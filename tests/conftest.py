"""What every test shares: cluster tests skip, in words, where there is no cluster."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `cluster` without KUBECONFIG; with CLOUDBASE_REQUIRE_CLUSTER=1 that is an error instead."""
    if os.environ.get("KUBECONFIG"):
        return
    if os.environ.get("CLOUDBASE_REQUIRE_CLUSTER"):
        raise pytest.UsageError("CLOUDBASE_REQUIRE_CLUSTER is set, but KUBECONFIG names no cluster")
    skip = pytest.mark.skip(reason="needs a Kubernetes cluster: set KUBECONFIG")
    for item in items:
        if item.get_closest_marker("cluster"):
            item.add_marker(skip)

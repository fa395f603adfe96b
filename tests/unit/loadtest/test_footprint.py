"""What a platform keeps in memory, by the kubelets' words."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.footprint import Share, shares, table

PODS = {
    "items": [
        {"metadata": {"name": "router"}, "spec": {"nodeName": "a"}},
        {"metadata": {"name": "controller"}, "spec": {"nodeName": "b"}},
        {"metadata": {"name": "leaving", "deletionTimestamp": "now"}, "spec": {"nodeName": "a"}},
    ]
}


def told(name: str, *resident: int, namespace: str = "base") -> dict[str, Any]:
    return {"podRef": {"name": name, "namespace": namespace}, "containers": [{"memory": {"rssBytes": one}} for one in resident]}


def world(answers: dict[str, Any]) -> Any:
    return lambda path: answers[path.partition("?")[0]]


def test_the_pods_of_all_nodes_count_with_all_their_containers_and_those_that_leave_do_not() -> None:
    ask = world(
        {
            "/api/v1/namespaces/base/pods": PODS,
            "/api/v1/nodes/a/proxy/stats/summary": {"pods": [told("router", 3 << 20, 1 << 20), told("router", 9, namespace="x")]},
            "/api/v1/nodes/b/proxy/stats/summary": {"pods": [told("controller", 5 << 20)]},
        }
    )
    found = shares(ask, "base", "cloudbase")
    assert found == [Share("controller", 5 << 20), Share("router", 4 << 20)]
    assert table(found).splitlines()[-1].split() == ["2", "pods", "9.0", "MiB"]


def test_a_pod_that_is_not_measured_yet_is_no_zero() -> None:
    ask = world(
        {
            "/api/v1/namespaces/base/pods": PODS,
            "/api/v1/nodes/a/proxy/stats/summary": {"pods": [told("router", 1)]},
            "/api/v1/nodes/b/proxy/stats/summary": {"pods": [told("controller")]},
        }
    )
    with pytest.raises(LookupError, match="not measured controller yet"):
        shares(ask, "base", "cloudbase")

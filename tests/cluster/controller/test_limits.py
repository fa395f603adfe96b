"""What a namespace does not allow: restricted pod security is kept, and what a quota forbids is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kube.resource import NAMESPACES, Resource
from tests.cluster.shared.operator_on_a_cluster import MARKS, Operated, operated

pytestmark = MARKS


def test_what_a_namespace_does_not_allow_is_told_in_the_status(tmp_path: Path) -> None:
    async def scenario(o: Operated) -> None:
        quotas: Resource[dict[str, Any]] = Resource("", "v1", "resourcequotas", "ResourceQuota", dict)
        await o.client.merge(
            NAMESPACES, o.namespace, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
        )
        await o.controller()
        await o.apply("fits")
        await o.wait("fits")  # under restricted pod security
        await o.client.create(quotas, {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}}, o.namespace)

        async def counted() -> bool:
            status = (await o.client.get(quotas, "small", o.namespace)).get("status") or {}
            return bool(status.get("used", {}).get("pods") == "1")

        await o.eventually(counted)  # it counts from then on
        await o.apply("toomuch")

        async def told() -> bool:
            return "exceeded quota" in (await o.condition("toomuch", "Deployed")).get("message", "")

        await o.eventually(told)

    operated(scenario, tmp_path)

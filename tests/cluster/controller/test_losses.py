"""What a cluster loses: a node that says nothing any more, and what a namespace does not allow."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from operator_on_a_cluster import MARKS, Operated, get, operated

from kube.resource import NAMESPACES, PODS, Resource
from kube.watch import Scope

pytestmark = MARKS
NODES: Resource[dict[str, Any]] = Resource("", "v1", "nodes", "Node", dict, namespaced=False)


def test_a_pod_on_a_node_that_is_not_heard_of_is_replaced_within_a_minute(tmp_path: Path) -> None:
    async def scenario(o: Operated) -> None:
        await o.controller()
        router = await o.router()
        await o.apply("hello", scaling={"min": 1})
        await o.wait("hello")
        name = f"lost-{uuid.uuid4().hex[:6]}"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now, "lastTransitionTime": now}
        room = {"cpu": "1", "memory": "1Gi", "pods": "10"}
        await o.client.create(NODES, {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}})
        try:
            status = {"conditions": [ready], "capacity": room, "allocatable": room}
            await o.client.merge(NODES, name, {"status": status}, subresource="status")
            began = time.monotonic()
            labels = {
                "app.kubernetes.io/managed-by": "cloudbase",
                "cloudbase.dev/function": "hello",
                "cloudbase.dev/revision": "hello-00001",
            }
            [alive] = await o.client.list(PODS.decoded_as(dict), Scope(o.namespace, "cloudbase.dev/revision=hello-00001"))
            spec = {key: value for key, value in alive["spec"].items() if key != "nodeName"}
            body = {
                "metadata": {
                    "name": "hello-on-a-lost-node",
                    "labels": {**alive["metadata"]["labels"], **labels},
                    "ownerReferences": alive["metadata"]["ownerReferences"],
                },
                "spec": {**spec, "nodeName": name},
            }
            await o.client.create(PODS.decoded_as(dict), body, o.namespace)
            await o.client.delete(PODS, alive["metadata"]["name"], o.namespace, grace=0)  # the one that is left is lost

            async def replaced() -> bool:
                pods = await o.client.list(PODS.decoded_as(dict), Scope(o.namespace, "cloudbase.dev/revision=hello-00001"))
                elsewhere = [pod for pod in pods if pod["spec"].get("nodeName") not in ("", None, name)]
                conditions = [each for pod in elsewhere for each in (pod.get("status") or {}).get("conditions") or []]
                return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

            await o.eventually(replaced, within=90)
            took = time.monotonic() - began
            print(f"replaced {took:.1f} s after the node was heard of last")
            assert (await get(router.traffic, "/fn/hello/")).status_code == 200
            assert took < 60
        finally:
            await o.client.delete(NODES, name)

    operated(scenario, tmp_path, limit=160)


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
        await asyncio.sleep(1)
        await o.apply("toomuch")

        async def told() -> bool:
            return "exceeded quota" in (await o.condition("toomuch", "Deployed")).get("message", "")

        await o.eventually(told)

    operated(scenario, tmp_path)

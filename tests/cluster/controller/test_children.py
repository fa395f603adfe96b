"""What somebody deletes or edits of a function's children comes back, orphans go, and what is right is not written again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from kube.resource import DEPLOYMENTS, SERVICES
from kube.watch import Scope
from tests.cluster.shared.operator_on_a_cluster import FUNCTIONS, MARKS, REVISIONS, Operated, operated
from tests.cluster.shared.router_on_a_cluster import PATIENCE, reached

pytestmark = MARKS
NAME = "hello-00001"


def test_deleted_and_edited_children_come_back_and_orphans_go(tmp_path: Path) -> None:
    async def scenario(o: Operated) -> None:
        await o.controller()
        await o.apply("hello", scaling={"min": 1})
        await o.wait("hello")
        before = {kind.plural: await version(o, kind, name) for kind, name in CHILDREN}
        for kind, name in CHILDREN:
            uid = (await present(o, kind, name))["metadata"]["uid"]
            await o.client.delete(kind, name, o.namespace)

            async def back(kind: Any = kind, name: str = name, uid: str = uid) -> bool:
                found = await o.there(kind, name)
                return found is not None and found["metadata"]["uid"] != uid

            print(f"{kind.kind} {name} is back after {await o.eventually(back):.2f} s")
        await o.wait("hello")
        assert before.keys() == {"deployments", "services"}

        for kind, name, patch, still in EDITS:
            await o.client.merge(kind, name, patch, o.namespace)

            async def right(kind: Any = kind, name: str = name, still: Any = still) -> bool:
                return bool(still(await present(o, kind, name)))

            print(f"{kind.kind} {name} is right after {await o.eventually(right):.2f} s: {patch}")
        kept = (await present(o, DEPLOYMENTS, NAME))["metadata"]["labels"]
        assert kept["team"] == "ours"  # what others add is theirs

        orphan = await present(o, DEPLOYMENTS, NAME)
        own = {key: value for key, value in orphan["metadata"].items() if key in ("labels", "ownerReferences")}
        own["labels"] = {**own["labels"], "cloudbase.dev/revision": "hello-00099"}
        body = {"metadata": {"name": "hello-00099", **own}, "spec": {**orphan["spec"], "replicas": 0}}
        await o.client.create(DEPLOYMENTS.decoded_as(dict), body, o.namespace)

        async def gone() -> bool:
            return await o.deployment("hello-00099") is None

        print(f"an orphan is gone after {await o.eventually(gone):.2f} s")

    operated(scenario, tmp_path)


def test_a_restarted_controller_writes_nothing_where_nothing_changed(tmp_path: Path) -> None:
    async def scenario(o: Operated) -> None:
        first = await o.controller()
        router = await o.router()
        for number in range(5):
            await o.apply(
                f"f{number}", scaling={"initial": number % 2, "idleGrace": 600}, timeout=float(number), env={"A": str(number)}
            )
        await o.apply("pinned", replicas=1, resources={"cpu": "0.5", "memory": "64Mi"}, envFrom=[])
        for number in range(5):
            await o.wait(f"f{number}")
        await o.wait("pinned")
        await settle(o)
        before = await versions(o)
        assert await first.stop() == 0
        second = await o.controller()
        async with asyncio.timeout(PATIENCE):
            while await second.metric("cloudbase_controller_reconcile_total") < 6:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        await settle(o)
        assert await versions(o) == before
        assert await second.metric("cloudbase_controller_workqueue_retries_total") == 0
        assert (await reached(router.traffic, "/fn/pinned/")).status_code == 200

    operated(scenario, tmp_path)


CHILDREN = ((DEPLOYMENTS, NAME), (SERVICES, NAME), (SERVICES, "hello"))
EDITS: list[tuple[Any, str, dict[str, Any], Any]] = [
    (
        DEPLOYMENTS, NAME, {"metadata": {"labels": {"team": "ours", "cloudbase.dev/function": "other"}}},
        lambda each: each["metadata"]["labels"]["cloudbase.dev/function"] == "hello",
    ),
    (
        DEPLOYMENTS, NAME, {"metadata": {"ownerReferences": None}},
        lambda each: each["metadata"].get("ownerReferences", [{}])[0].get("name") == "hello",
    ),
    (
        DEPLOYMENTS, NAME, {"spec": {"template": {"spec": {"automountServiceAccountToken": True}}}},
        lambda each: each["spec"]["template"]["spec"]["automountServiceAccountToken"] is False,
    ),
    (
        SERVICES, NAME, {"spec": {"selector": {"cloudbase.dev/revision": "hello-00007"}}},
        lambda each: each["spec"]["selector"]["cloudbase.dev/revision"] == NAME,
    ),
    (
        SERVICES, "hello", {"metadata": {"annotations": {"cloudbase.dev/scale-max": "500"}}},
        lambda each: each["metadata"]["annotations"]["cloudbase.dev/scale-max"] == "10",
    ),
    (
        SERVICES, "hello", {"metadata": {"annotations": {"cloudbase.dev/sticky": "cookie:x"}}},
        lambda each: "cloudbase.dev/sticky" not in each["metadata"]["annotations"],
    ),
    (
        SERVICES, "hello", {"metadata": {"labels": {"cloudbase.dev/route": None}}},
        lambda each: each["metadata"]["labels"].get("cloudbase.dev/route") == "hello",
    ),
]  # fmt: skip


async def present(o: Operated, kind: Any, name: str) -> dict[str, Any]:
    found = await o.there(kind, name)
    assert found is not None, f"{kind.kind} {name} is not there"
    return found


async def version(o: Operated, kind: Any, name: str) -> str:
    return str((await present(o, kind, name))["metadata"]["resourceVersion"])


async def versions(o: Operated) -> dict[tuple[str, str], str]:
    """Of everything that the controller writes; a Deployment's by its generation, since its status moves."""
    found = {}
    for kind in (FUNCTIONS, REVISIONS, SERVICES, DEPLOYMENTS):
        for each in await o.client.list(kind.decoded_as(dict), Scope(o.namespace)):
            metadata = each["metadata"]
            found[kind.kind, metadata["name"]] = metadata["generation" if kind is DEPLOYMENTS else "resourceVersion"]
    return found


async def settle(o: Operated) -> None:
    """Until nothing has changed for two seconds."""
    last, same = await versions(o), 0
    async with asyncio.timeout(PATIENCE):
        while same < 4:
            await asyncio.sleep(0.5)
            now = await versions(o)
            same, last = (same + 1 if now == last else 0), now

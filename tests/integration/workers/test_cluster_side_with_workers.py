"""The cluster's side of a router, unchanged, in front of worker processes: a sleeping function is woken and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from kube.client import Client
from kube.fake.server import ApiServer
from kube.resource import DEPLOYMENTS, ENDPOINT_SLICES, SERVICES, Resource
from router.kube.control import Control
from router.kube.settings import KubeSettings
from tests.shared.crew_world import World, run
from tests.shared.kube_objects import KEY
from tests.shared.waiting import until

Story = Callable[[World, Client, Control], Awaitable[None]]


async def create(client: Client, resource: Resource[Any], body: dict[str, Any]) -> None:
    await client.create(resource.decoded_as(dict), body, "default")


async def route(client: Client, replicas: int) -> None:
    """A Deployment and its Service, whose pods are to be found at loopback."""
    own = {"cloudbase.dev/deployment": "hello", "cloudbase.dev/scale-idle-grace": "0"}
    meta = {"name": "hello", "labels": {"cloudbase.dev/route": "hello"}, "annotations": own}
    await create(client, DEPLOYMENTS, {"metadata": {"name": "hello"}, "spec": {"replicas": replicas}})
    await create(
        client, SERVICES, {"metadata": meta, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": 8080}]}}
    )


async def ready(client: Client, address: str) -> None:
    """The pod is there and takes requests."""
    host, _, port = address.rpartition(":")
    body = {
        "metadata": {"name": "hello-1", "labels": {"kubernetes.io/service-name": "hello"}}, "addressType": "IPv4",
        "ports": [{"port": int(port)}],
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}, "targetRef": {"name": "pod-0"}}],
    }  # fmt: skip
    await client.apply(ENDPOINT_SLICES, "hello-1", body, "test", "default", force=True)


def before_workers(story: Story) -> None:
    async def whole(world: World) -> None:
        async with asyncio.timeout(100), ApiServer(bookmark_interval=0.2) as server, Client(server.access()) as client:
            control = Control(client, world.plane, KubeSettings(identity="router-1"))
            world.scaler = control.scaler
            task = asyncio.create_task(control.run())
            try:
                await until(lambda: control.catalog.synced and control.leadership.leading)
                await story(world, client, control)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    run(whole)


def test_a_sleeping_function_is_woken_by_a_worker_and_goes_to_sleep_when_all_of_them_are_idle() -> None:
    async def story(world: World, client: Client, control: Control) -> None:
        async def replicas() -> int:
            return int((await client.get(DEPLOYMENTS, "hello", "default")).spec.replicas)

        await route(client, 0)
        await until(lambda: KEY in control.catalog.entries)
        call = asyncio.create_task((await world.client(1)).answer())
        while await replicas() != 1:  # noqa: ASYNC110 - at the API server
            await asyncio.sleep(0.01)
        await ready(client, world.function.address)
        head = await call
        assert head.startswith(b"HTTP/1.1 200") and b"Server-Timing: wake;" in head
        while await replicas() != 0:  # noqa: ASYNC110 - at the API server
            await asyncio.sleep(0.05)

    before_workers(story)

"""One router's cluster side over the fake API server, with a route to make and to look at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from kube.client import Client
from kube.fake.server import ApiServer
from kube.model import Metadata
from kube.resource import DEPLOYMENTS, ENDPOINT_SLICES, PODS, SERVICES, Resource
from router.kube.control import Control
from router.kube.settings import KubeSettings
from tests.shared.kube_objects import KEY, MemoryPlane
from tests.shared.waiting import until

SCALE = "deployments.apps/scale"


class Stage:
    """One router's control, its remembered data plane, and the API server."""

    def __init__(self, server: ApiServer, client: Client, control: Control, plane: MemoryPlane, task: asyncio.Task[None]) -> None:
        self.server = server
        self.client = client
        self.control = control
        self.plane = plane
        self.task = task

    async def route(self, replicas: int, pods: int | None = None, **annotations: str) -> None:
        """A Deployment, its Service as a route, and ready pods in a slice."""
        own = {f"cloudbase.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
        own["cloudbase.dev/deployment"] = "hello"
        meta = {"name": "hello", "labels": {"cloudbase.dev/route": "hello"}, "annotations": own}
        await self.create(DEPLOYMENTS, {"metadata": {"name": "hello"}, "spec": {"replicas": replicas}})
        await self.create(
            SERVICES, {"metadata": meta, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": 8080}]}}
        )
        count = replicas if pods is None else pods
        for number in range(count):
            await self.create(PODS, {"metadata": {"name": f"pod-{number}"}})
        await self.slice(*(True for _ in range(count)))
        await until(lambda: self.endpoints() == [f"10.0.0.{number}:8080" for number in range(count)])

    async def slice(self, *ready: bool) -> None:
        endpoints = [
            {"addresses": [f"10.0.0.{number}"], "conditions": {"ready": each}, "targetRef": {"name": f"pod-{number}"}}
            for number, each in enumerate(ready)
        ]
        body = {
            "metadata": {"name": "hello-1", "labels": {"kubernetes.io/service-name": "hello"}}, "addressType": "IPv4",
            "ports": [{"port": 8080}], "endpoints": endpoints,
        }  # fmt: skip
        await self.client.apply(ENDPOINT_SLICES, "hello-1", body, "test", "default", force=True)

    async def create(self, resource: Resource[Any], body: dict[str, Any]) -> None:
        await self.client.create(resource.decoded_as(dict), body, "default")

    async def replicas(self) -> int:
        return (await self.client.get(DEPLOYMENTS, "hello", "default")).spec.replicas

    async def wanted(self, replicas: int) -> None:
        async with asyncio.timeout(60):
            while await self.replicas() != replicas:  # noqa: ASYNC110 - at the API server
                await asyncio.sleep(0.005)

    def endpoints(self) -> list[str]:
        route = self.plane.routes.get(KEY)
        backends = route.backends if route else ()
        return [("~" if each.draining else "") + each.address for backend in backends for each in backend.endpoints]

    def ready(self) -> int:
        """Replicas, as the autoscaler saw them last."""
        standing = self.control.autoscaler.standings().get(KEY)
        return standing.ready if standing else 0

    def writes(self) -> int:
        return sum(call.verb == "patch" and call.resource == SCALE and call.status == 200 for call in self.server.calls)

    async def cost(self, pod: str) -> str | None:
        meta = (await self.client.get(PODS.decoded_as(Metadata), pod, "default")).metadata
        return (meta.annotations or {}).get("controller.kubernetes.io/pod-deletion-cost")


@asynccontextmanager
async def staged(leading: bool = True, **settings: Any) -> AsyncIterator[Stage]:
    async with ApiServer(bookmark_interval=0.2) as server, Client(server.access()) as client:
        plane = MemoryPlane()
        control = Control(client, plane, KubeSettings(identity="router-1", **settings))
        task = asyncio.create_task(control.run())
        try:
            await until(lambda: control.catalog.synced and control.leadership.leading)
            yield Stage(server, client, control, plane, task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def on_stage(scenario: Callable[[Stage], Awaitable[None]], **settings: Any) -> None:
    async def whole() -> None:
        async with asyncio.timeout(100), staged(**settings) as stage:
            await scenario(stage)

    asyncio.run(whole())

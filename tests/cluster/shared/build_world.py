"""Where builds are tried on a real cluster: a builds' namespace of its own, its registry, and servers that pods reach."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from starlette.responses import Response

from controller.kube.build.builder import KubeBuilder
from controller.kube.build.handover import Handover
from controller.kube.build.jobs import JOBS
from controller.kube.build.names import BUILD
from controller.kube.build.parts import building
from controller.kube.build.registry import Registry
from controller.kube.build.settings import BuildSettings
from controller.kube.build.sources import KubeSourceStore
from controller.model import Function, FunctionSpec
from controller.ports import BuildResult
from kube.client import Client
from kube.kubeconfig import Kubeconfig
from kube.resource import NAMESPACES, PODS, SECRETS
from kube.watch import Scope
from tests.shared.kube_world import OURS, kubeconfig

HOST = os.environ.get("CLOUDBASE_TEST_HOST", "10.200.0.1")  # this machine, as pods reach it
REGISTRY = os.environ.get("CLOUDBASE_TEST_REGISTRY", "10.200.0.1:5000")  # as pods and this machine reach it, plain HTTP
PULL_REGISTRY = os.environ.get("CLOUDBASE_TEST_PULL_REGISTRY", REGISTRY)  # as nodes reach it
EXECUTOR = os.environ.get("CLOUDBASE_TEST_EXECUTOR", "ghcr.io/osscontainertools/kaniko:latest")
BUSYBOX = os.environ.get("CLOUDBASE_TEST_BUSYBOX", "busybox:stable")
REGISTRY_MAP = {"index.docker.io": REGISTRY}
KANIKO = os.environ.get("CLUSTER_KANIKO", "unknown")
PATIENCE = 300.0  # seconds for what merely takes its time: a slow machine is not what is tested
LIMIT = 850.0  # seconds after which a scenario hangs


def build_settings(namespace: str, **changes: Any) -> BuildSettings:
    """For the cluster under test; a registry path of our own keeps runs apart."""
    known: dict[str, Any] = {
        "registry": f"{REGISTRY}/{namespace}",
        "pull_registry": f"{PULL_REGISTRY}/{namespace}",
        "insecure": True,
        "insecure_pull": True,
        "registry_map": REGISTRY_MAP,
        "namespace": namespace,
        "executor": EXECUTOR,
        "busybox": BUSYBOX,
        "deadline": 400.0,
    }
    return BuildSettings(**{**known, **changes})


@dataclass
class World:
    """A builder at work, and what it needs."""

    client: Client
    settings: BuildSettings
    registry: Registry
    sources: KubeSourceStore
    builder: KubeBuilder
    handover: Handover
    told: list[str] = field(default_factory=list)

    async def function(self, name: str, runtime: str, files: dict[str, bytes] | None = None, **spec: Any) -> Function:
        if files is not None:
            spec["source"] = await self.sources.put(files)
        return Function(name=name, spec=FunctionSpec(runtime=runtime, **spec))

    async def build(self, function: Function) -> BuildResult:
        """Build it; what is told is printed, and kept in `told`."""

        def tell(line: str) -> None:
            print(f"  {function.name}: {line}")
            self.told.append(line)

        self.told.clear()
        result = await self.builder.build(function, tell)
        if result.leftover:
            assert await self.jobs(), "a failed build's Job tells it again until somebody says that it is stored"
            await self.builder.settle(result.leftover)
        print(f"  {function.name}: {result.artifact or f'{result.reason}: {result.message}'} in {result.seconds:.1f} s")
        return result

    async def grow_old(self) -> None:
        """From now on nothing is too young to be collected."""
        self.sources = KubeSourceStore(self.client, self.settings, self.registry, young=-60.0)

    async def jobs(self) -> list[dict[str, Any]]:
        return await self.client.list(JOBS, Scope(self.settings.namespace, BUILD))

    async def tidy(self, within: float = PATIENCE) -> bool:
        """Whether no Job, no pod and no Secret of a build is left, or soon will be."""
        scope = Scope(self.settings.namespace, BUILD)
        return await eventually(lambda: self._nothing(scope), within)

    async def _nothing(self, scope: Scope) -> bool:
        return not (await self.jobs() or await self.client.list(PODS, scope) or await self.client.list(SECRETS, scope))


async def answer(world: World, image: str) -> str:
    """What a pod of this image answers, run as functions are: not as root, and without any right."""
    name, namespace = f"run-{uuid.uuid4().hex[:8]}", world.settings.namespace
    security = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "function", "image": image, "env": [{"name": "PORT", "value": "8080"}], "securityContext": security}
    spec = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}
    await world.client.create(PODS, {"metadata": {"name": name}, "spec": spec}, namespace)
    try:
        async with asyncio.timeout(PATIENCE), httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            while True:
                pod = await world.client.get(PODS, name, namespace)
                try:
                    if pod.status.pod_ip:
                        reply = await http.get(f"http://{pod.status.pod_ip}:8080/")
                        assert reply.status_code == 200, reply.text
                        return reply.text
                except httpx2.TransportError:
                    pass  # it does not listen yet
                await asyncio.sleep(0.2)
    finally:
        await world.client.delete(PODS, name, namespace, grace=0)


def example(name: str) -> dict[str, bytes]:
    """The files of a sample function."""
    folder = Path(__file__).parents[3] / "examples" / name
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def eventually(condition: Callable[[], Awaitable[bool]], within: float = PATIENCE) -> bool:
    try:
        async with asyncio.timeout(within):
            while not await condition():  # noqa: ASYNC110 - it is the cluster's to change
                await asyncio.sleep(0.2)
    except TimeoutError:
        return False
    return True


@asynccontextmanager
async def world(**changes: Any) -> AsyncIterator[World]:
    """A builder with settings of one's own, in a fresh namespace with pod security `baseline`."""
    access = await Kubeconfig.load(kubeconfig())
    name = f"builds-{uuid.uuid4().hex[:8]}"
    label = {"pod-security.kubernetes.io/enforce": "baseline", **OURS}
    async with Client(access, "cloudbase-controller") as client:
        await client.create(NAMESPACES, {"metadata": {"name": name, "labels": label}})
        try:
            async with with_settings(client, build_settings(name, **changes)) as here:
                yield here
        finally:
            await client.delete(NAMESPACES, name)


@asynccontextmanager
async def with_settings(client: Client, settings: BuildSettings) -> AsyncIterator[World]:
    """Another builder in the same namespace: as after a restart of the controller, or with settings that differ."""
    async with serving() as (url, mount):
        settings = settings if settings.handover else replace(settings, handover=url)
        async with building(client, settings) as parts:
            mount(parts.handover.app)
            yield World(client, settings, parts.registry, parts.sources, parts.builder, parts.handover)


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[tuple[str, Callable[[Any], None]]]:
    """An HTTP server that pods reach: its URL, and what mounts an ASGI application in it."""
    mounted: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await mounted[0](scope, receive, send)

    config = uvicorn.Config(app, host=HOST, port=port, log_level="warning", lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    serve = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    bound = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://{HOST}:{bound}", mounted.append
    finally:
        server.should_exit = True
        await serve


class Gate:
    """Holds up builds that come by it, until it is opened."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.open = False

    def files(self, mark: str) -> dict[str, bytes]:
        """A Dockerfile whose RUN step says `begun` and goes on when the gate is open."""
        step = f"echo begun; until wget -q -O /dev/null {self.url}/; do sleep 0.2; done; echo {mark} > /mark"
        return {"Dockerfile": f"FROM busybox:stable\nRUN {step}\nUSER 1000\n".encode()}

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        await Response(status_code=204 if self.open else 503)(scope, receive, send)


@asynccontextmanager
async def gate() -> AsyncIterator[Gate]:
    async with serving() as (url, mount):
        made = Gate(url)
        mount(made.app)
        yield made


def run(scenario: Callable[[World], Awaitable[None]], **changes: Any) -> None:
    async def whole() -> None:
        async with asyncio.timeout(LIMIT), world(**changes) as here:
            print(f"\n[Kaniko: {KANIKO}]")
            await scenario(here)

    asyncio.run(whole())

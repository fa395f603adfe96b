"""A router under its own RBAC in front of a cluster, and ordinary applications that know nothing of it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from kube.client import Client
from kube.errors import NotFound
from kube.model import Deployment
from kube.resource import CONFIG_MAPS, DEPLOYMENTS, ENDPOINT_SLICES, SERVICES, Resource
from kube.watch import Scope
from tests.cluster.shared.pod_program import PROGRAM
from tests.cluster.shared.rights_in_force import in_force
from tests.shared import free_ports
from tests.shared.kube_world import World, kubeconfig, real_world
from tests.shared.waiting import until

ROOT = Path(__file__).parents[3]
IMAGE = os.environ.get("CLUSTER_TEST_IMAGE", "python:3.13-slim")  # has `python`
HERE = os.environ.get("CLUSTER_TEST_ADDRESS", "10.200.0.1")  # of this machine, as pods reach it
PREFIX = "cloudbase.dev/"
PATIENCE = 300.0  # seconds for what merely takes its time: a slow machine is not what is tested
HANGS = 850.0  # seconds after which a scenario hangs: whatever it measures, it asserts
RIGHTS: dict[str, list[dict[str, Any]]] = yaml.safe_load((ROOT / "helm/cloudbase/rbac/router.yaml").read_text())
RBAC = "rbac.authorization.k8s.io"
RESOURCES: dict[str, Resource[dict[str, Any]]] = {
    "ServiceAccount": Resource("", "v1", "serviceaccounts", "ServiceAccount", dict),
    "ClusterRole": Resource(RBAC, "v1", "clusterroles", "ClusterRole", dict, namespaced=False),
    "ClusterRoleBinding": Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", dict, namespaced=False),
    "Role": Resource(RBAC, "v1", "roles", "Role", dict),
    "RoleBinding": Resource(RBAC, "v1", "rolebindings", "RoleBinding", dict),
}


@dataclass
class Router:
    """A router process and how to ask it."""

    process: asyncio.subprocess.Process
    traffic: str = ""
    admin: str = ""
    lines: list[str] = field(default_factory=list)
    _reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._reading = asyncio.create_task(self._read())
        await until(lambda: bool(self.traffic) or self.process.returncode is not None, PATIENCE)
        assert self.traffic, "\n".join(self.lines)

    async def ready(self) -> None:
        async with asyncio.timeout(PATIENCE), httpx2.AsyncClient(trust_env=False, verify=False, timeout=PATIENCE) as http:
            while (await http.get(f"http://{self.admin}/readyz")).status_code != 200:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()
        assert self._reading is not None
        await self._reading

    def said(self, words: str) -> bool:
        return any(words in line for line in self.lines)

    async def metric(self, name: str) -> float:
        """The sum of a metric's series."""
        async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=PATIENCE) as http:
            text = (await http.get(f"http://{self.admin}/metrics")).text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            line = raw.decode().rstrip()
            self.lines.append(line)
            if found := re.match(r"listening on (\S+), admin on (\S+),", line):
                self.traffic, self.admin = found.groups()


@dataclass
class Place:
    """A namespace with a router's rights in it."""

    world: World
    config: Path
    routers: list[Router] = field(default_factory=list)

    @property
    def client(self) -> Client:
        return self.world.client

    @property
    def namespace(self) -> str:
        return self.world.namespace

    async def router(self, *flags: str, listen: str = "127.0.0.1:0") -> Router:
        """Start one; it ends with the place."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "router", "--kube", "--listen", listen, "--kube-admin", "127.0.0.1:0",
            "--kube-config", str(self.config), "--drain-grace", "2", *flags,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        router = Router(process)
        self.routers.append(router)
        await router.start()
        return router

    async def application(self, name: str, replicas: int = 1, env: dict[str, str] | None = None, **pod: Any) -> None:
        """A Deployment and its Service, as anybody would write them."""
        source = {"metadata": {"name": name}, "data": {"program.py": PROGRAM}}
        await self.client.create(CONFIG_MAPS, source, self.namespace)
        container = {
            "name": "program",
            "image": IMAGE,
            "command": ["python", "-u", "/program/program.py"],
            "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
            "ports": [{"name": "web", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "web"}, "periodSeconds": 1},
            "volumeMounts": [{"name": "program", "mountPath": "/program"}],
            **pod,
        }
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {
                "containers": [container],
                "volumes": [{"name": "program", "configMap": {"name": name}}],
                "terminationGracePeriodSeconds": 10,
            },
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        await self.client.create(DEPLOYMENTS.decoded_as(dict), {"metadata": {"name": name}, "spec": spec}, self.namespace)
        service = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "web"}]}
        await self.client.create(SERVICES, {"metadata": {"name": name}, "spec": service}, self.namespace)

    async def label(self, name: str, **annotations: str) -> None:
        """Make the Service a route by hand: `scale_idle_grace="3"` is the annotation cloudbase.dev/scale-idle-grace."""
        own = {PREFIX + key.replace("_", "-"): value for key, value in annotations.items()}
        metadata = {"labels": {PREFIX + "route": name}, "annotations": {PREFIX + "deployment": name, **own}}
        await self.client.merge(SERVICES, name, {"metadata": metadata}, self.namespace)

    async def deployment(self, name: str) -> Deployment:
        return await self.client.get(DEPLOYMENTS, name, self.namespace)

    async def replicas(self, name: str, count: int, within: float = PATIENCE, settled: bool = True) -> None:
        """Wait until so many are wanted and, if settled, so many are there."""
        async with asyncio.timeout(within):
            while True:
                found = await self.deployment(name)
                if found.spec.replicas == count and (
                    not settled or found.status.replicas == found.status.ready_replicas == count
                ):
                    return
                await asyncio.sleep(0.05)

    async def resized(self, name: str, before: int) -> int:
        """The replicas that are wanted once these are more than before."""
        async with asyncio.timeout(PATIENCE):
            while (now := (await self.deployment(name)).spec.replicas) <= before:  # noqa: ASYNC110 - at the API server
                await asyncio.sleep(0.05)
        return now

    async def rolled_out(self, name: str) -> None:
        """Wait until every replica is of the template as it is now, and ready."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.deployment(name)
                now, wanted = found.status, found.spec.replicas
                if now.observed_generation == found.metadata.generation and (
                    now.updated_replicas == now.replicas == now.ready_replicas == wanted
                ):
                    return
                await asyncio.sleep(0.05)

    async def asleep(self, name: str, within: float = PATIENCE) -> None:
        """Wait until none is wanted and the last pod has left the slices."""
        await self.replicas(name, 0, within)
        scope = Scope(self.namespace, f"kubernetes.io/service-name={name}")
        async with asyncio.timeout(within):
            while any(one.endpoints for one in await self.client.list(ENDPOINT_SLICES, scope)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


Scenario = Callable[[Place], Awaitable[None]]


def on_cluster(scenario: Scenario, folder: Path, limit: float = HANGS) -> None:
    """Run a scenario in a namespace of its own."""

    async def whole() -> None:
        async with asyncio.timeout(limit), real_world() as world, rights_given(world, folder) as place:
            try:
                await scenario(place)
            except BaseException:
                for router in place.routers:
                    print(f"--- router {router.process.pid}\n" + "\n".join(router.lines[-60:]))
                raise

    asyncio.run(whole())


def in_a_namespace(scenario: Scenario, limit: float = HANGS) -> None:
    """Run a scenario in a namespace of its own, as somebody who may do anything; the router is another's."""

    async def whole() -> None:
        async with asyncio.timeout(limit), real_world() as world:
            world.tidy = True
            await scenario(Place(world, Path(kubeconfig())))

    asyncio.run(whole())


@asynccontextmanager
async def rights_given(world: World, folder: Path) -> AsyncIterator[Place]:
    """The router's service account and its rights from the chart, here and under names of our own, and a kubeconfig for it."""
    for resource, manifest in _manifests(world.namespace):
        await world.client.create(resource, manifest, world.namespace if resource.namespaced else "")
    config = folder / "router.kubeconfig"
    config.write_text(json.dumps(await _kubeconfig(world)))
    await in_force(world.client, world.namespace, "cloudbase-router", RIGHTS["everywhere"], RIGHTS["own"][1:])
    place = Place(world, config)
    world.tidy = True  # the next test's routes have the same names
    try:
        yield place
    finally:
        for router in place.routers:
            await router.stop()
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            await world.client.delete(RESOURCES[kind], world.namespace)


def _manifests(name: str) -> Iterator[tuple[Resource[dict[str, Any]], dict[str, Any]]]:
    """The service account `cloudbase-router` and the chart's rights for it; what is cluster-wide is called as the namespace."""
    yield RESOURCES["ServiceAccount"], {"metadata": {"name": "cloudbase-router"}}
    subject = {"kind": "ServiceAccount", "name": "cloudbase-router", "namespace": name}
    for kind, own, which in (("ClusterRole", name, "everywhere"), ("Role", "cloudbase-router", "own")):
        yield RESOURCES[kind], {"metadata": {"name": own}, "rules": RIGHTS[which]}
        reference = {"apiGroup": RBAC, "kind": kind, "name": own}
        yield RESOURCES[kind + "Binding"], {"metadata": {"name": own}, "subjects": [subject], "roleRef": reference}


async def _kubeconfig(world: World) -> dict[str, Any]:
    tokens: Resource[dict[str, Any]] = Resource("", "v1", "serviceaccounts/cloudbase-router/token", "TokenRequest", dict)
    request = {"apiVersion": "authentication.k8s.io/v1", "spec": {"expirationSeconds": 3600}}
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                token = (await world.client.create(tokens, request, world.namespace))["status"]["token"]
                break
            except NotFound:
                await asyncio.sleep(0.1)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": world.access.server, **authority()}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": world.namespace}}],
        "current-context": "c",
    }


def authority() -> dict[str, str]:
    cluster = yaml.safe_load(Path(kubeconfig().split(":")[0]).read_text())["clusters"][0]["cluster"]
    if "certificate-authority" in cluster:
        return {"certificate-authority-data": base64.b64encode(Path(cluster["certificate-authority"]).read_bytes()).decode()}
    return {"certificate-authority-data": cluster["certificate-authority-data"]}


async def cloudbase(place: Place, *arguments: str) -> str:
    """Run the command as a person who may do anything."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cloudbase", *arguments, "-n", place.namespace,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


def free_port() -> tuple[str, int]:
    """An address of ours that pods reach, and a port; skips the test where they cannot."""
    try:
        return HERE, free_ports.free_port(HERE)
    except OSError:
        pytest.skip(f"{HERE} is no address of this machine: CLUSTER_TEST_ADDRESS names the one that pods reach")


async def reached(traffic: str, path: str) -> httpx2.Response:
    """The first answer that is not 404: a router hears of a route some time after the API server has."""
    async with asyncio.timeout(PATIENCE), httpx2.AsyncClient(trust_env=False, verify=False, timeout=PATIENCE) as http:
        while (answer := await http.get(f"http://{traffic}{path}")).status_code == 404:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        return answer


async def burst(traffic: str, path: str, count: int, **options: Any) -> list[int]:
    """Status codes of so many requests at once, 0 for a broken one."""
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=PATIENCE, limits=limits) as http:

        async def one() -> int:
            try:
                return (await http.get(f"http://{traffic}{path}", **options)).status_code
            except httpx2.TransportError:
                return 0

        return list(await asyncio.gather(*(one() for _ in range(count))))


def stamp() -> float:
    return time.monotonic()


MARKS = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning"),  # in the official package, from Python 3.12 on
]

"""Where the contract of kube/ is checked: over the fake API server, and over a real one when KUBECONFIG names it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from kube.access import Access
from kube.client import Client
from kube.errors import NotFound
from kube.fake.server import ApiServer
from kube.kubeconfig import Kubeconfig
from kube.model import Metadata
from kube.resource import NAMESPACES, PODS, Resource
from kube.watch import Scope

LIMIT = 110.0  # seconds for one test; none should come near
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", Metadata, namespaced=True)
OURS = {"cloudbase.dev/of-a-test": "yes"}  # of namespaces that may go when their test is no more
REAL_LIMIT = 600.0  # the same over a real API server, which may be slow


@dataclass
class World:
    """An API server, a client, and a namespace that is ours alone."""

    client: Client
    access: Access
    namespace: str
    server: ApiServer | None  # None: it is a real one
    wires: list[Wire] = field(default_factory=list)
    tidy: bool = False  # wait for the namespace to be gone at the end: deleting thousands of objects slows the next test

    async def wire(self) -> Wire:
        """Another way to the server, with a hand on the cable."""
        wire = Wire(self.access)
        await wire.open()
        self.wires.append(wire)
        return wire

    async def forget_history(self) -> None:
        """Compact: versions and continue tokens that `aged` makes of new ones are too old from now on."""
        if self.server is not None:
            self.server.store.touch()
            self.server.store.compact()
        else:
            await compact_etcd()

    def aged(self, continue_token: str) -> str:
        """The token as if its list had been begun long ago: a real server keeps recent snapshots beyond a compaction."""
        content = json.loads(base64.urlsafe_b64decode(continue_token + "=" * (-len(continue_token) % 4)))
        return base64.urlsafe_b64encode(json.dumps({**content, "rv": 1}).encode()).decode().rstrip("=")


class Wire:
    """A TCP relay on loopback that can fall silent and be cut."""

    def __init__(self, access: Access) -> None:
        self._inner = access
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.namespace = access.namespace
        self.server_name = ""
        self.server = ""

    async def open(self) -> None:
        self._listener = await asyncio.start_server(self._join, "127.0.0.1", 0)
        parts = urlsplit(self._inner.server)
        self.server_name = self._inner.server_name or parts.hostname or ""
        self.server = f"{parts.scheme}://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    def silence(self) -> None:
        self._flows.clear()

    def restore(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tls(self) -> ssl.SSLContext | None:
        return self._inner.tls()

    async def authorization(self) -> str:
        return await self._inner.authorization()

    def rejected(self) -> None:
        self._inner.rejected()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        parts = urlsplit(self._inner.server)
        try:
            far_reader, far_writer = await asyncio.open_connection(parts.hostname, parts.port)
            self._writers.add(far_writer)
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the point of this is to break
        finally:
            self._tasks.discard(task)
            for end in (writer, *([far_writer] if "far_writer" in locals() else [])):
                self._writers.discard(end)
                end.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


Scenario = Callable[[World], Awaitable[None]]


def on_both(scenario: Scenario) -> Any:
    """Make a test of a scenario: once over the fake server, once, marked `cluster`, over a real one."""

    @pytest.mark.parametrize("kind", ["fake", pytest.param("cluster", marks=pytest.mark.cluster)])
    @pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning")  # in the official package, from Python 3.12 on
    def test(kind: str) -> None:
        run(fake_world if kind == "fake" else real_world, scenario)

    test.__name__ = getattr(scenario, "__name__", "test")
    test.__doc__ = scenario.__doc__
    return test


def run(world: Callable[[], Any], scenario: Scenario) -> None:
    async def whole() -> None:
        async with asyncio.timeout(LIMIT if world is fake_world else REAL_LIMIT), world() as here:
            await scenario(here)

    asyncio.run(whole())


@asynccontextmanager
async def fake_world() -> AsyncIterator[World]:
    async with ApiServer(bookmark_interval=0.2) as server, Client(server.access()) as client:
        world = World(client, server.access(), "default", server)
        try:
            yield world
        finally:
            for wire in world.wires:
                await wire.close()


def kubeconfig() -> str:
    """The one that the tests are given; skips the test where there is none."""
    path = os.environ.get("KUBECONFIG", "")
    if not path:
        pytest.skip("no cluster: set KUBECONFIG to run this on one")
    return path


@asynccontextmanager
async def real_world() -> AsyncIterator[World]:
    access = await Kubeconfig.load(kubeconfig())
    name = f"kube-contract-{uuid.uuid4().hex[:8]}"
    async with Client(access) as client:
        await client.create(NAMESPACES, {"metadata": {"name": name, "labels": OURS}})
        world = World(client, access, name, None)
        try:
            await _settled(client, name)
            yield world
        finally:
            for wire in world.wires:
                await wire.close()
            await client.delete(NAMESPACES, name)
            if world.tidy:
                await gone(client, name)


async def _settled(client: Client, namespace: str) -> None:
    """Wait until a new namespace has its default service account: without it, a pod is refused."""
    while True:
        try:
            await client.get(SERVICE_ACCOUNTS, "default", namespace)
            return
        except NotFound:
            await asyncio.sleep(0.02)


async def gone(client: Client, namespace: str) -> None:
    """Wait until a namespace that is being deleted is gone with all that was in it.

    Pods are not given their grace: Kubernetes deletes them before all else, and where one is still there at its second look, it
    takes the third only after half of the longest grace, which is 5 minutes for a function's pod.
    """
    with suppress(NotFound):
        while True:
            await client.get(NAMESPACES, namespace)
            for pod in await client.list(PODS, Scope(namespace)):
                with suppress(NotFound):
                    await client.delete(PODS, pod.metadata.name, namespace, grace=0)
            await asyncio.sleep(0.5)


async def compact_etcd() -> None:
    """Compact a real cluster's etcd through its gateway, where it is in reach; skips the test where it is not."""
    import httpx2

    etcd = os.environ.get("ETCD_URL", "http://127.0.0.1:2379")
    async with httpx2.AsyncClient(base_url=etcd, timeout=5, trust_env=False) as http:
        try:
            # A key of our own, so that the compacted revision is newer than every version that was handed out.
            await http.post("/v3/kv/put", json={"key": "Y29udHJhY3Q=", "value": "eA=="})
            reply = await http.post("/v3/kv/range", json={"key": "Y29udHJhY3Q="})
        except httpx2.TransportError:
            pytest.skip(f"etcd is not in reach at {etcd} (ETCD_URL): no compaction")
        revision = reply.json()["header"]["revision"]
        answer = await http.post("/v3/kv/compaction", json={"revision": revision, "physical": True})
        assert answer.status_code == 200, answer.text

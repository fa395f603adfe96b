"""A router before 2,000 Services and 10,000 endpoints: what it keeps, what that costs, and how soon an event is in its table."""

from __future__ import annotations

import asyncio
import statistics
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from kube.informer import Informer
from kube.resource import ENDPOINT_SLICES, SERVICES
from kube.watch import Scope
from loadtest.informer_table import fresh_routes
from router.kube.snapshot import decode
from router.model import Route, RouteKey
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, Router, free_port, on_cluster, stamp

pytestmark = MARKS

SERVICES_MADE = 2_000
ENDPOINTS_EACH = 5
MOST = 4096  # bytes of informer cache for each object
LATE = 0.05  # seconds from an event to the table


@pytest.mark.slow
def test_2000_services_with_10000_endpoints_are_all_in_the_table_and_an_event_is_there_within_50_ms(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        host, port = free_port()
        await make_many(place)
        await informers_keep_little(place)

        began = stamp()
        snapshot = tmp_path / "routes.json"
        router = await place.router("--kube-snapshot", str(snapshot), "--kube-namespaces", place.namespace)
        listening = stamp()
        await router.ready()
        memory = await router.metric("process_resident_memory_bytes")
        print(f"router: listens {listening - began:.1f} s after its start, ready {stamp() - listening:.1f} s later")
        print(f"router: {memory / 2**20:.0f} MiB")
        assert await router.metric("cloudbase_router_kube_routes") == SERVICES_MADE
        await as_a_fresh_list_has_it(place, snapshot)

        async with heard(host, port) as calls:
            delays = [await event_to_table(place, router, host, port, calls, each * 50) for each in range(20)]
        p50 = statistics.median(delays)
        print(f"from the write to the request that waited: p50 {p50 * 1e3:.1f} ms, max {max(delays) * 1e3:.1f} ms")
        assert p50 < LATE
        await as_a_fresh_list_has_it(place, snapshot)

    on_cluster(scenario, tmp_path)


async def make_many(place: Place) -> None:
    """Headless and without selectors, so that the cluster has nothing to do for them."""
    began = stamp()
    numbers = iter(range(SERVICES_MADE))

    async def worker() -> None:
        for number in numbers:
            meta = {"name": name_of(number), "labels": {"cloudbase.dev/route": name_of(number)}}
            spec = {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]}
            await place.client.create(SERVICES, {"metadata": meta, "spec": spec}, place.namespace)
            await place.client.create(ENDPOINT_SLICES, slice_of(number), place.namespace)

    await asyncio.gather(*(worker() for _ in range(16)))
    print(f"{2 * SERVICES_MADE} objects made in {stamp() - began:.1f} s")


def name_of(number: int) -> str:
    return f"many-{number:05}"


def slice_of(number: int) -> dict[str, Any]:
    """Every other Service has one pod that is not ready."""

    def endpoint(replica: int) -> dict[str, Any]:
        address = number * ENDPOINTS_EACH + replica
        target = {"kind": "Pod", "namespace": "default", "name": f"{name_of(number)}-6b7f9c5d4-{replica:05}"}
        ready = {"ready": bool(replica or number % 2)}
        return {"addresses": [f"10.9.{address // 256}.{address % 256}"], "conditions": ready, "targetRef": target}

    return {
        "metadata": {"name": name_of(number), "labels": {"kubernetes.io/service-name": name_of(number)}},
        "addressType": "IPv4",
        "endpoints": [endpoint(replica) for replica in range(ENDPOINTS_EACH)],
        "ports": [{"name": "http", "port": 8080}],
    }


async def informers_keep_little(place: Place) -> None:
    """Memory for each object, and how long it takes to list all of them again."""
    kinds: tuple[Any, ...] = (SERVICES, ENDPOINT_SLICES)
    informers: list[Informer[Any]] = [Informer(place.client, kind, namespaces=[place.namespace]) for kind in kinds]
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tasks = [asyncio.create_task(informer.run()) for informer in informers]
    for informer in informers:
        await informer.wait_synced()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    number = sum(map(len, informers))
    print(f"{number} objects: {kept / number / 1024:.2f} KiB each")
    assert number == 2 * SERVICES_MADE and kept / number <= MOST
    for informer in informers:
        [reflector] = informer._reflectors.values()
        began = stamp()
        await reflector._list()
        print(f"{informer.resource.plural}: resync in {stamp() - began:.2f} s")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def as_a_fresh_list_has_it(place: Place, snapshot: Path) -> None:
    """The snapshot is the router's whole table, written within some seconds after a change."""
    fresh = await fresh_routes(place.client, Scope(place.namespace))
    assert len(fresh) == SERVICES_MADE and sum(len(each.backends[0].endpoints) for each in fresh.values()) > 4 * SERVICES_MADE
    async with asyncio.timeout(PATIENCE):
        while kept(snapshot) != fresh:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)


def kept(snapshot: Path) -> dict[RouteKey, Route]:
    return {route.key: route for route in decode(snapshot.read_bytes())} if snapshot.exists() else {}


@asynccontextmanager
async def heard(host: str, port: int) -> AsyncIterator[list[float]]:
    """A server that notes when each request comes."""
    calls: list[float] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        calls.append(stamp())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, host, port)
    try:
        yield calls
    finally:
        server.close()


async def event_to_table(place: Place, router: Router, host: str, port: int, calls: list[float], number: int) -> float:
    """Seconds from just before the write that gives a route an address until the request that waits for one is there."""
    none: dict[str, Any] = {"endpoints": []}
    await place.client.merge(ENDPOINT_SLICES, name_of(number), none, place.namespace)
    some = {"endpoints": [{"addresses": [host], "conditions": {"ready": True}}], "ports": [{"name": "http", "port": port}]}
    calls.clear()
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        waiting = await parked(http, router, f"http://{router.traffic}/fn/{name_of(number)}")
        began = stamp()
        await place.client.merge(ENDPOINT_SLICES, name_of(number), some, place.namespace)
        assert (await waiting).status_code == 200
    return calls[0] - began


async def parked(http: httpx2.AsyncClient, router: Router, url: str) -> asyncio.Task[httpx2.Response]:
    """A request that waits in the router for an address: it has seen that there is none. Nobody is at those from before."""
    async with asyncio.timeout(PATIENCE):
        while True:
            waiting = asyncio.create_task(http.get(url))
            while not waiting.done():
                if await router.metric("cloudbase_router_waiting"):
                    return waiting
            assert (await waiting).status_code >= 500

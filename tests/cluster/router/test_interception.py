"""Calls to a Service's own address: a pod that knows nothing of routers wakes a function by them, and none is lost on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from kube.errors import NotFound
from kube.model import Service
from kube.resource import ENDPOINT_SLICES, SERVICES
from kube.watch import Scope
from tests.cluster.shared.caller import called_from_a_pod
from tests.cluster.shared.router_on_a_cluster import HERE, MARKS, PATIENCE, Place, cloudbase, free_port, on_cluster, stamp

pytestmark = MARKS


@asynccontextmanager
async def calling(url: str) -> AsyncIterator[Counter[str]]:
    """Calls one after another, each on a connection of its own, from the first answered one until it is left."""
    outcomes: Counter[str] = Counter()
    stop = asyncio.Event()

    async def call() -> None:
        while not stop.is_set():
            try:
                async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
                    outcomes[str((await http.get(url)).status_code)] += 1
            except httpx2.TransportError as error:
                outcomes[repr(error)] += 1
            await asyncio.sleep(0.005)

    task = asyncio.create_task(call())
    try:
        async with asyncio.timeout(PATIENCE):
            while not outcomes["200"]:  # noqa: ASYNC110 - kube-proxy follows the slices when it comes to it
                await asyncio.sleep(0.05)
        outcomes.clear()
        yield outcomes
    finally:
        stop.set()
        await task


async def slices(place: Place) -> dict[str, list[str]]:
    """Addresses of the Service's slices, by who manages them."""
    found: dict[str, list[str]] = {}
    for one in await place.client.list(ENDPOINT_SLICES, Scope(place.namespace, "kubernetes.io/service-name=hello")):
        manager = (one.metadata.labels or {})["endpointslice.kubernetes.io/managed-by"]
        found[manager] = [address for each in one.endpoints or () for address in each.addresses]
    return found


async def sliced_by(place: Place, manager: str) -> None:
    """Wait until nobody else has slices of the Service."""
    async with asyncio.timeout(PATIENCE):
        while list(await slices(place)) != [manager]:  # noqa: ASYNC110 - at the API server
            await asyncio.sleep(0.05)


@pytest.mark.slow
def test_a_pod_that_calls_an_intercepted_service_wakes_it_and_adopting_and_undoing_lose_no_call(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        _, port = free_port()
        await place.application("hello")
        router = await place.router("--kube-advertise", f"{HERE}:{port}", listen=f"{HERE}:{port}")
        await router.ready()
        await place.replicas("hello", 1)
        before = await place.client.get(SERVICES, "hello", place.namespace)
        own = f"hello.{place.namespace}.svc"
        async with calling(f"http://{own}.cluster.local/") as outcomes:
            print(await cloudbase(place, "adopt", "hello", "--to-zero", "--intercept", "--dry-run"))
            assert list(await slices(place)) == ["endpointslice-controller.k8s.io"]
            began = stamp()
            print(await cloudbase(place, "adopt", "hello", "--to-zero", "--intercept"))
            print(f"intercepted in {stamp() - began:.1f} s")
            await sliced_by(place, "router.cloudbase.dev")
            assert await slices(place) == {"router.cloudbase.dev": [HERE]}
            await place.label("hello", scale_idle_grace="1")
            assert "nothing to change" in await cloudbase(place, "adopt", "hello", "--to-zero", "--intercept")
            await asyncio.sleep(1)
        print(dict(outcomes))
        assert set(outcomes) == {"200"}
        await place.replicas("hello", 0)
        await place.label("hello", scale_idle_grace="60")  # it is to be woken once, however slowly its caller calls

        found = await called_from_a_pod(place, own, "hello", f"hello.{place.namespace}", f"{own}.cluster.local", f"{own}:80")
        print("\n".join(f"{host}: {seconds} s" for host, (_, _, seconds) in found.items()))
        assert len(found) == 6
        assert all(answer[:2] == [200, "/fn/own-path?x=1"] for answer in found.values())
        assert await router.metric("cloudbase_router_kube_wakes_total") == 1

        async with calling(f"http://{own}.cluster.local/") as outcomes:
            print(await cloudbase(place, "adopt", "hello", "--undo"))
            await asyncio.sleep(1)
        print(dict(outcomes))
        assert set(outcomes) == {"200"}
        after = await place.client.get(SERVICES, "hello", place.namespace)
        assert given(after) == given(before)
        await sliced_by(place, "endpointslice-controller.k8s.io")
        with pytest.raises(NotFound):
            await place.client.get(SERVICES, "hello-direct", place.namespace)

    on_cluster(scenario, tmp_path)


def given(service: Service) -> tuple[object, ...]:
    """What its owner wrote; the grace is this test's own."""
    own = {key: value for key, value in (service.metadata.annotations or {}).items() if "idle-grace" not in key}
    return service.spec, service.metadata.labels or {}, own

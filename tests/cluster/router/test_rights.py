"""The router's rights in the chart allow what it does, and nothing else: compared with the API server's audit log."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest

from kube.resource import ENDPOINT_SLICES, SERVICES
from kube.watch import Scope
from tests.cluster.shared.audit import Right, asked_by, audit_log, forbidden, right, rights
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, RIGHTS, Place, on_cluster, stamp
from tests.shared.waiting import until

pytestmark = MARKS


def used(log: str, namespace: str) -> tuple[set[Right], set[Right]]:
    """What the router of a namespace asked for, and what of it RBAC refused."""
    asked, refused = set(), set()
    for entry in asked_by(f"system:serviceaccount:{namespace}:cloudbase-router", log):
        asked.add(right(entry))
        if forbidden(entry):
            refused.add(right(entry))
    return asked, refused


ROUTER = "192.0.2.1:8080"  # where nobody is


async def intercepted(place: Place) -> None:
    """A Service whose EndpointSlice a router makes, changes and takes away."""
    own = {
        "cloudbase.dev/intercept": "true",
        "cloudbase.dev/scaling": "external",
        "cloudbase.dev/backends": '[{"service": "hello"}]',
    }
    meta = {"name": "front", "labels": {"cloudbase.dev/route": "front"}, "annotations": own}
    await place.client.create(SERVICES, {"metadata": meta, "spec": {"ports": [{"name": "http", "port": 80}]}}, place.namespace)

    async def names() -> list[str | None]:
        slices = await place.client.list(ENDPOINT_SLICES, Scope(place.namespace, "kubernetes.io/service-name=front"))
        return [port.name for one in slices for port in one.ports or ()]

    async def ports(*expected: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await names() != [*expected]:  # noqa: ASYNC110 - at the API server
                await asyncio.sleep(0.05)

    await ports("http")
    renamed = {"spec": {"ports": [{"name": "web", "port": 80}]}}
    await place.client.merge(SERVICES, "front", renamed, place.namespace)
    await ports("web")
    await place.client.merge(SERVICES, "front", {"metadata": {"annotations": {"cloudbase.dev/intercept": None}}}, place.namespace)
    await ports()


@pytest.mark.slow
def test_its_rights_allow_what_a_router_does_and_no_more(tmp_path: Path) -> None:
    log, given = audit_log(), rights((*RIGHTS["everywhere"], *RIGHTS["own"]))

    async def scenario(place: Place) -> None:
        await place.application("hello", replicas=2)
        first = await place.router("--kube-advertise", ROUTER)
        await first.ready()
        second = await place.router("--kube-advertise", ROUTER)
        await second.ready()
        await place.replicas("hello", 2)
        for timeout in ("soon", "5", "soon", "5"):  # an Event, and its repetition
            wrong = sum("must be a number" in line for line in first.lines)
            await place.label("hello", timeout=timeout, scale_idle_grace="1", scale_min="1")
            if timeout == "soon":
                await until(lambda wrong=wrong: sum("must be a number" in line for line in first.lines) > wrong)
        await place.replicas("hello", 1)  # some of several go, of which the router marks those that do
        await place.label("hello", scale_min="0")
        await intercepted(place)
        await place.asleep("hello")
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            assert (await http.get(f"http://{second.traffic}/fn/hello")).status_code == 200
        await first.stop()
        await until(lambda: second.said("this router scales now"), PATIENCE)
        asked, refused = used(log, place.namespace)
        patience = stamp() + PATIENCE
        while given - asked and stamp() < patience:  # Events are written by and by
            await asyncio.sleep(1)
            asked, refused = used(log, place.namespace)
        print("\n".join(" ".join(each) for each in sorted(asked)))
        assert refused == set()
        assert asked - given == set()
        assert given - asked == set()

    on_cluster(scenario, tmp_path)

"""The EndpointSlices of intercepted Services over the fake API server: made, followed, taken back, by the one who leads only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kube.fake.faults import Refusal
from kube.model import EndpointSlice
from kube.resource import ENDPOINT_SLICES, EVENTS, SERVICES
from router.kube.control import Control
from router.kube.settings import KubeSettings
from tests.integration.router_kube.cluster_stage import Stage, on_stage
from tests.shared.kube_objects import MemoryPlane
from tests.shared.waiting import until

HERE = "10.200.0.1:8080"
INTERCEPT = "cloudbase.dev/intercept"


async def front(stage: Stage, name: str = "hello") -> None:
    own = {INTERCEPT: "true", "cloudbase.dev/backends": f'[{{"service": "{name}-direct"}}]'}
    meta = {"name": name, "labels": {"cloudbase.dev/route": name}, "annotations": own}
    await stage.create(SERVICES, {"metadata": meta, "spec": {"ports": [{"port": 80}]}})
    spec = {"selector": {"a": "b"}, "ports": [{"port": 80}]}
    await stage.create(SERVICES, {"metadata": {"name": f"{name}-direct"}, "spec": spec})


async def routers(stage: Stage, *ips: str) -> None:
    body = {
        "metadata": {"name": "routers-1", "labels": {"kubernetes.io/service-name": "routers"}}, "addressType": "IPv4",
        "endpoints": [{"addresses": [ip], "conditions": {"ready": True}} for ip in ips],
    }  # fmt: skip
    await stage.client.apply(ENDPOINT_SLICES, "routers-1", body, "test", "default", force=True)


def known(stage: Stage, name: str = "hello") -> list[EndpointSlice]:
    return list(stage.control.catalog.slices("default", name))


def addresses(stage: Stage, name: str = "hello") -> list[str]:
    return [address for one in known(stage, name) for each in one.endpoints or () for address in each.addresses]


def writes(stage: Stage) -> int:
    """Of EndpointSlices, by whomever."""
    calls = [call for call in stage.server.calls if call.resource.startswith("endpointslices")]
    return sum(call.verb not in ("list", "watch", "get") for call in calls)


async def annotate(stage: Stage, value: str | None) -> None:
    await stage.client.merge(SERVICES, "hello", {"metadata": {"annotations": {INTERCEPT: value}}}, "default")


def test_a_service_is_led_to_the_routers_and_let_go_again() -> None:
    async def scenario(stage: Stage) -> None:
        await front(stage)
        await until(lambda: addresses(stage) == ["10.200.0.1"])
        assert [one.metadata.name for one in known(stage)] == ["hello-routers-ipv4-8080"]
        await annotate(stage, "leaving")
        await until(lambda: known(stage) == [])
        await annotate(stage, "true")
        await until(lambda: addresses(stage) == ["10.200.0.1"])
        await annotate(stage, None)
        await until(lambda: known(stage) == [])

    on_stage(scenario, advertise=(HERE,))


def test_a_slice_that_somebody_changes_or_deletes_is_put_right() -> None:
    async def scenario(stage: Stage) -> None:
        await front(stage)
        await until(lambda: addresses(stage) == ["10.200.0.1"])
        name = known(stage)[0].metadata.name
        wrong = {"endpoints": [{"addresses": ["10.0.0.66"], "conditions": {"ready": True}}]}
        before = writes(stage)
        await stage.client.merge(ENDPOINT_SLICES, name, wrong, "default")
        await until(lambda: writes(stage) >= before + 2 and addresses(stage) == ["10.200.0.1"])
        before = writes(stage)
        await stage.client.delete(ENDPOINT_SLICES, name, "default")
        await until(lambda: writes(stage) >= before + 2 and addresses(stage) == ["10.200.0.1"])

    on_stage(scenario, advertise=(HERE,))


def test_slices_follow_the_routers_own_service_and_stay_while_no_router_is_seen() -> None:
    async def scenario(stage: Stage) -> None:
        await front(stage)
        await routers(stage, "10.1.0.1")
        await until(lambda: addresses(stage) == ["10.1.0.1"])
        await routers(stage, "10.1.0.1", "10.1.0.2")
        await until(lambda: addresses(stage) == ["10.1.0.1", "10.1.0.2"])
        await routers(stage)
        await until(lambda: not any(one.endpoints for one in known(stage, "routers")))
        await asyncio.sleep(0.05)
        assert addresses(stage) == ["10.1.0.1", "10.1.0.2"]

    on_stage(scenario, service="default/routers")


def test_a_write_that_fails_is_tried_again_and_disturbs_no_other() -> None:
    async def scenario(stage: Stage) -> None:
        stage.server.faults.refusals.append(Refusal(503, 1, "create", "endpointslices.discovery.k8s.io"))
        await front(stage)
        await front(stage, "other")
        await until(lambda: addresses(stage) == addresses(stage, "other") == ["10.200.0.1"])

    on_stage(scenario, advertise=(HERE,))


def test_a_router_that_does_not_know_its_own_address_tells_the_owner_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(stage: Stage) -> None:
        await front(stage)
        notes: list[Any] = []
        async with asyncio.timeout(60):
            while not notes:
                await asyncio.sleep(0.02)
                notes = [event["note"] for event in await stage.client.list(EVENTS) if event["reason"] == "NotIntercepted"]
        assert "--kube-service" in notes[0] and known(stage) == []
        for number in range(3):  # whatever changes: it is told once
            await stage.client.merge(SERVICES, "hello", {"metadata": {"annotations": {"own": str(number)}}}, "default")
            await asyncio.sleep(0.05)
        assert sum("cannot be led to the routers" in each.getMessage() for each in caplog.records) == 1

    on_stage(scenario)


def test_only_the_one_who_leads_writes_and_who_comes_to_lead_looks_at_all() -> None:
    async def scenario(stage: Stage) -> None:
        second = Control(stage.client, MemoryPlane(), KubeSettings(identity="router-2", advertise=("10.200.0.2:8080",)))
        task = asyncio.create_task(second.run())
        await until(lambda: second.catalog.synced)
        await front(stage)
        await until(lambda: addresses(stage) == ["10.200.0.1"])
        writes = [call for call in stage.server.calls if call.resource.startswith("endpointslices") and call.verb == "create"]
        assert len(writes) == 1
        stage.task.cancel()
        await asyncio.gather(stage.task, return_exceptions=True)

        def seen() -> list[str]:
            slices = second.catalog.slices("default", "hello")
            return [address for one in slices for each in one.endpoints or () for address in each.addresses]

        await until(lambda: seen() == ["10.200.0.2"])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    on_stage(scenario, advertise=(HERE,))

"""The cluster's side of a router over the fake API server: wakes, ways down, Events, and an API server that comes and goes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kube.client import Client
from kube.fake.faults import Refusal
from kube.fake.server import ApiServer
from kube.resource import DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, PODS, SERVICES
from router.kube.control import Control
from router.kube.settings import KubeSettings
from tests.integration.router_kube.cluster_stage import SCALE, Stage, on_stage
from tests.shared.kube_objects import KEY, MemoryPlane
from tests.shared.waiting import until


def test_a_wake_writes_one_replica_and_says_when_it_is_done() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(0)
        for _ in range(5):
            stage.control.scaler.wake(KEY)
        await stage.wanted(1)
        await until(lambda: ("woken", KEY) in stage.plane.notes)
        assert stage.writes() == 1 and stage.control.scaler.writes.wakes == 1

    on_stage(scenario)


def test_one_wake_is_counted_whether_a_request_or_the_autoscaler_is_first() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(0)
        await until(lambda: stage.control.leadership.leading)
        stage.control.scaler.scale_to(KEY, 2, "somebody waits")
        stage.control.scaler.wake(KEY)
        await stage.wanted(2)
        await until(lambda: ("woken", KEY) in stage.plane.notes)
        assert stage.control.scaler.writes.wakes == 1

    on_stage(scenario)


def test_a_wake_goes_to_the_minimum_and_never_takes_replicas_away() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(0, scale_min="2", scaling="external")
        stage.control.scaler.wake(KEY)
        await asyncio.sleep(0.05)
        assert await stage.replicas() == 0  # external: not ours
        await stage.client.merge(SERVICES, "hello", {"metadata": {"annotations": {"cloudbase.dev/scaling": None}}}, "default")
        await until(lambda: stage.plane.routes[KEY].policy is not None)
        stage.control.scaler.wake(KEY)
        await stage.wanted(2)
        await stage.client.scale_to(DEPLOYMENTS, "hello", "default", 3)
        before = stage.writes()
        stage.plane.notes.clear()
        stage.control.scaler.wake(KEY)
        await until(lambda: ("woken", KEY) in stage.plane.notes)
        assert await stage.replicas() == 3 and stage.writes() == before

    on_stage(scenario)


def test_a_wake_that_conflicts_is_decided_again_and_one_that_fails_is_said_once() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(0)
        stage.server.faults.refusals.append(Refusal(409, 3, "patch", SCALE, reason="Conflict"))
        stage.control.scaler.wake(KEY)
        await stage.wanted(1)
        await stage.client.scale_to(DEPLOYMENTS, "hello", "default", 0)
        stage.server.faults.refusals.append(Refusal(503, 2, "get", SCALE))
        for _ in range(2):
            stage.control.scaler.wake(KEY)
            await until(lambda: not stage.control.scaler._waking)
        assert stage.control.scaler.writes.failures == 2 and await stage.replicas() == 0
        stage.control.scaler.wake(KEY)
        await stage.wanted(1)

    on_stage(scenario)


def test_a_deployment_that_is_not_there_is_an_event_on_the_service() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(0)
        await stage.client.delete(DEPLOYMENTS, "hello", "default")
        for _ in range(3):
            stage.control.scaler.wake(KEY)
            await until(lambda: not stage.control.scaler._waking)
        await stage.control.events.flush()
        events = await stage.client.list(EVENTS)
        assert [(event["reason"], event["regarding"]["name"]) for event in events] == [("NoDeployment", "hello")]
        assert "404" in events[0]["note"]

    on_stage(scenario)


def test_to_zero_shuts_every_pod_in_the_table_before_it_writes() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(1)
        stage.server.faults.delay = 0.3
        stage.control.scaler.scale_to(KEY, 0, "idle")
        await until(lambda: stage.endpoints() == [])
        assert await stage.replicas() == 1
        await stage.wanted(0)
        assert stage.endpoints() == []

    on_stage(scenario)


def test_an_arrival_cancels_the_way_to_zero_and_the_pods_are_used_again() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(2)
        stage.server.faults.delay = 0.3
        stage.control.scaler.scale_to(KEY, 0, "idle")
        await until(lambda: stage.endpoints() == [])
        stage.plane.is_idle = False
        stage.control.scaler.wake(KEY)
        await until(lambda: len(stage.endpoints()) == 2)
        await until(lambda: not stage.control.scaler._waking)
        assert await stage.replicas() == 2 and stage.writes() == 0
        assert stage.control.scaler.writes.cancelled == 1

    on_stage(scenario)


def test_a_wake_right_after_the_write_of_zero_comes_behind_it() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(1)
        stage.server.faults.delay = 0.05
        stage.control.scaler.scale_to(KEY, 0, "idle")
        await until(lambda: any(call.resource == SCALE and call.verb == "get" for call in stage.server.calls))
        await asyncio.sleep(0.02)  # the write of zero is on its way
        stage.control.scaler.wake(KEY)
        await until(lambda: ("woken", KEY) in stage.plane.notes)
        assert await stage.replicas() == 1 and stage.writes() in (0, 2)

    on_stage(scenario)


def test_a_pod_that_was_to_go_and_was_kept_for_a_wake_is_used_again() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(1)
        stage.control.scaler.scale_to(KEY, 0, "idle")
        await stage.wanted(0)
        stage.control.scaler.wake(KEY)
        await stage.wanted(1)
        assert stage.endpoints() == []
        await until(lambda: stage.endpoints() == ["10.0.0.0:8080"])

    on_stage(scenario)


def test_down_to_some_prices_the_idlest_pods_and_waits_until_they_are_empty() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(3)
        stage.plane.busy = {"10.0.0.0:8080": 5, "10.0.0.1:8080": 1, "10.0.0.2:8080": 2}
        stage.control.scaler.scale_to(KEY, 1, "less")
        await until(lambda: stage.endpoints() == ["10.0.0.0:8080", "~10.0.0.1:8080", "~10.0.0.2:8080"])
        await asyncio.sleep(0.15)
        assert await stage.replicas() == 3
        assert [await stage.cost(f"pod-{number}") for number in range(3)] == [None, "-1000", "-1000"]
        stage.plane.busy = {"10.0.0.0:8080": 5}
        await stage.wanted(1)

    on_stage(scenario)


def test_another_number_ends_the_way_down_and_its_marks_are_taken_back() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(2)
        stage.plane.busy = {"10.0.0.0:8080": 1, "10.0.0.1:8080": 1}
        stage.control.scaler.scale_to(KEY, 1, "less")
        await until(lambda: any(each.startswith("~") for each in stage.endpoints()))
        stage.control.scaler.scale_to(KEY, 4, "more")
        await stage.wanted(4)
        assert stage.endpoints() == ["10.0.0.0:8080", "10.0.0.1:8080"]
        assert [await stage.cost(f"pod-{number}") for number in range(2)] == [None, None]

    on_stage(scenario)


def test_pods_that_are_not_ready_go_first_and_no_ready_one_is_touched_for_them() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(3, pods=2)
        await stage.create(PODS, {"metadata": {"name": "pod-2"}})
        await stage.slice(True, True, False)
        stage.plane.busy = {"10.0.0.0:8080": 1, "10.0.0.1:8080": 1}
        stage.control.scaler.scale_to(KEY, 2, "less")
        await stage.wanted(2)
        assert stage.endpoints() == ["10.0.0.0:8080", "10.0.0.1:8080"]

    on_stage(scenario)


def test_a_pod_that_nobody_reaches_is_replaced_while_kubernetes_counts_it_and_no_longer() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(2, scale_min="2")
        stage.plane.lost = {"10.0.0.1:8080"}
        await stage.wanted(3)
        await stage.slice(True, True, True)
        await until(lambda: stage.ready() == 2)  # the lost one not among them
        assert stage.control.reading()["unreachable", ""] == 1.0
        assert await stage.replicas() == 3 and stage.writes() == 1
        await stage.slice(True, False, True)
        await stage.wanted(2)
        assert stage.writes() == 2
        reasons = [each.decision.reason for each in stage.control.autoscaler.explain(KEY)]
        assert sum("; 1 more cannot be reached" in reason for reason in reasons) == 1

    on_stage(scenario)


def test_a_pod_that_is_reached_again_is_trusted_at_once_and_the_surplus_goes_in_order() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(2, scale_min="2")
        stage.plane.lost = {"10.0.0.1:8080"}
        await stage.wanted(3)
        await stage.create(PODS, {"metadata": {"name": "pod-2"}})
        await stage.slice(True, True, True)
        stage.plane.busy = {"10.0.0.0:8080": 1, "10.0.0.1:8080": 1}
        stage.plane.lost = set()
        await stage.wanted(2)
        assert stage.endpoints() == ["10.0.0.0:8080", "10.0.0.1:8080", "~10.0.0.2:8080"]

    on_stage(scenario)


def test_a_router_that_reaches_nobody_writes_once_and_nothing_goes_beyond_the_maximum() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(2, scale_min="2", scale_max="3")
        stage.plane.lost = {f"10.0.0.{number}:8080" for number in range(9)}
        await stage.wanted(3)
        await stage.slice(True, True, True)
        await until(lambda: stage.control.reading()["unreachable", ""] == 9.0 and len(stage.endpoints()) == 3)
        for _ in range(3):
            stage.control.scaler.scale_to(KEY, 2, "again")
            await until(lambda: not stage.control.scaler._resizing)
        assert await stage.replicas() == 3 and stage.writes() == 1

    on_stage(scenario)


def test_on_the_way_down_a_pod_that_nobody_reaches_goes_first_and_is_not_waited_for() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(3, scale_min="1")
        stage.plane.busy = {"10.0.0.0:8080": 5, "10.0.0.1:8080": 9}
        stage.plane.lost = {"10.0.0.1:8080"}
        stage.control.reach.note(stage.plane.unreachable())
        stage.control.scaler.scale_to(KEY, 1, "less")
        await stage.wanted(1)
        assert [await stage.cost(f"pod-{number}") for number in range(3)] == [None, "-1000", "-1000"]

    on_stage(scenario)


def test_who_does_not_lead_resizes_nothing_but_wakes() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(0)
        other = MemoryPlane()
        second = Control(stage.client, other, KubeSettings(identity="router-2"))
        task = asyncio.create_task(second.run())
        await until(lambda: second.catalog.synced and second.leadership.holder == "router-1")
        second.scaler.scale_to(KEY, 5, "more")
        second.scaler.wake(KEY)
        await stage.wanted(1)
        assert stage.writes() == 1 and not second.leadership.leading
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    on_stage(scenario)


def test_routes_of_a_snapshot_are_served_while_the_api_server_is_away_and_said_to_be_old(tmp_path: Path) -> None:
    path = tmp_path / "routes.json"

    async def first(stage: Stage) -> None:
        await stage.route(1)
        await until(lambda: path.exists() and b"10.0.0.0:8080" in path.read_bytes())

    on_stage(first, snapshot=str(path))

    async def second() -> None:
        server = ApiServer()
        async with server:
            access = server.access()
        async with Client(access) as client:  # nobody listens there any more
            plane = MemoryPlane()
            control = Control(client, plane, KubeSettings(identity="router-1", snapshot=str(path)))
            task = asyncio.create_task(control.run())
            await until(lambda: control.missing() == "" and bool(control.amiss()))
            assert plane.is_starting and plane.routes[KEY].backends[0].endpoints[0].address == "10.0.0.0:8080"
            assert "1 routes of a snapshot" in control.amiss()[0]
            assert any("services" in word and "nothing heard" in word for word in control.amiss())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(second())


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version":2,"routes":[]}', b"\xff", b'{"version":1,"routes":[{"key":1}]}'])
def test_a_snapshot_that_cannot_be_read_is_no_snapshot(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "routes.json"
    path.write_bytes(content)

    async def scenario(stage: Stage) -> None:
        assert stage.plane.routes == {}

    on_stage(scenario, snapshot=str(path))


def test_an_api_server_that_goes_away_leaves_the_table_and_what_happened_meanwhile_is_caught_up_with() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(1)
        await stage.server.stop()
        await until(lambda: len(stage.control.amiss()) == 3)
        assert stage.control.missing() == "" and stage.endpoints() == ["10.0.0.0:8080"]
        assert stage.control.reading()["connected", "services"] == 0.0
        await stage.server.start()
        await stage.slice(True, True)
        await until(lambda: stage.endpoints() == ["10.0.0.0:8080", "10.0.0.1:8080"])
        await until(lambda: stage.control.amiss() == [])

    on_stage(scenario)


def test_a_router_that_sees_another_one_and_does_not_hear_it_scales_nothing_down() -> None:
    async def scenario(stage: Stage) -> None:
        def load() -> Any:
            targets = list(stage.control._targets())
            assert stage.control.reading()["whole", ""] == (not stage.control.amiss())
            return stage.control._recorder.load(KEY, targets[0].policy, asyncio.get_running_loop().time(), 1)

        await stage.route(1)
        stage.control._recorder.record("here", asyncio.get_running_loop().time() - 1, {})
        body = {
            "metadata": {"name": "routers-1", "labels": {"kubernetes.io/service-name": "routers"}}, "addressType": "IPv4",
            "endpoints": [{"addresses": [f"10.1.0.{number}"], "targetRef": {"name": f"router-{number}"}} for number in (1, 2)],
        }  # fmt: skip
        await stage.create(ENDPOINT_SLICES, body)
        await until(lambda: len(list(stage.control.catalog.slices("default", "routers"))) == 1)
        assert not load().complete
        assert stage.control.amiss() == ["other routers are seen, and their samples are not: nothing is scaled down"]
        await stage.client.delete(ENDPOINT_SLICES, "routers-1", "default")
        await until(lambda: not list(stage.control.catalog.slices("default", "routers")))
        load()
        assert stage.control.amiss() == []

    on_stage(scenario, service="default/routers")


def test_what_is_to_begin_as_the_router_ends_is_left_without_a_word() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.route(1)
        stage.task.cancel()
        stage.control.scaler.wake(KEY)  # its task is ended before its first turn
        await asyncio.wait({stage.task})  # a coroutine that nobody awaited would be an error of this test

    on_stage(scenario)

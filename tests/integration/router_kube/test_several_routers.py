"""Two routers' control over the fake API server and a real Redis: what each saw is known, or nothing is scaled down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from autoscaler.model import Sample
from kube.client import Client
from kube.fake.server import ApiServer
from kube.resource import ENDPOINT_SLICES, SERVICES
from router.kube.control import Control
from router.kube.peers.redis import RedisExchange
from router.kube.peers.roster import Terms
from router.kube.settings import KubeSettings
from tests.integration.router_kube.cluster_stage import Stage
from tests.shared.kube_objects import KEY, MemoryPlane
from tests.shared.redis_server import RedisServer, redis_server
from tests.shared.waiting import until

MIN_ZERO = {"cloudbase.dev/scale-min": "0", "cloudbase.dev/scale-idle-grace": "3600"}

SHORT = Terms(lease=3.5, own=2.5, missing=1.5, settle=2.5)  # so that a test need not wait for long


@dataclass
class Town:
    """Routers, first the one that leads, around one API server and one Redis."""

    server: ApiServer
    redis: RedisServer
    clients: list[Client] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    planes: list[MemoryPlane] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def stage(self) -> Stage:
        return self.stage_of(1)

    def stage_of(self, number: int) -> Stage:
        n = number - 1
        return Stage(self.server, self.clients[n], self.controls[n], self.planes[n], self.tasks[n])

    async def router(self, **settings: Any) -> Control:
        number = len(self.controls) + 1
        client = await Client(self.server.access()).__aenter__()
        plane = MemoryPlane()
        known = KubeSettings(identity=f"router-{number}", **settings)
        exchange = RedisExchange(self.redis.url, "default/cloudbase-router")
        control = Control(client, plane, known, exchange=exchange, terms=SHORT)
        self.clients.append(client)
        self.planes.append(plane)
        self.controls.append(control)
        self.tasks.append(asyncio.create_task(control.run()))
        await until(lambda: control.catalog.synced and self.heard(control) >= {f"router-{number}"})
        return control

    @staticmethod
    def heard(control: Control) -> set[str]:
        assert control.fleet.membership is not None
        return {member.partition("@")[0] for member in control.fleet.membership.roster.members}

    async def end(self, number: int) -> None:
        self.tasks[number - 1].cancel()
        await asyncio.gather(self.tasks[number - 1], return_exceptions=True)
        await self.clients[number - 1].__aexit__(None, None, None)


@asynccontextmanager
async def town(folder: Path, routers: int = 2, **settings: Any) -> AsyncIterator[Town]:
    async with ApiServer(bookmark_interval=0.2) as server, redis_server(folder) as redis:
        found = Town(server, redis)
        for _ in range(routers):
            await found.router(**settings)
            await until(lambda: found.controls[0].leadership.leading)
        try:
            await until(lambda: all(len(found.heard(control)) == routers for control in found.controls))
            yield found
        finally:
            for number, task in enumerate(found.tasks, 1):
                if not task.done():
                    await found.end(number)


def in_town(folder: Path, scenario: Callable[[Town], Awaitable[None]], **settings: Any) -> None:
    async def whole() -> None:
        async with asyncio.timeout(110), town(folder, **settings) as found:
            await scenario(found)

    asyncio.run(whole())


def load_of(control: Control) -> Any:
    policy = control.catalog.entries[KEY].translation.route.policy
    assert policy is not None
    return control._recorder.load(KEY, policy, time.monotonic(), 1)


async def whole(control: Control) -> None:
    async with asyncio.timeout(60):
        while control.amiss() or not load_of(control).complete:  # noqa: ASYNC110 - by the clock
            await asyncio.sleep(0.05)


@pytest.mark.slow
def test_the_one_who_leads_knows_what_the_other_counted_and_a_redis_that_was_away_costs_nothing_but_time(tmp_path: Path) -> None:
    async def scenario(town: Town) -> None:
        first, second = town.controls
        town.planes[1].load = {KEY: Sample(0.0, 3.0, 7, 2)}
        body = {
            "metadata": {"name": "routers-1", "labels": {"kubernetes.io/service-name": "routers"}}, "addressType": "IPv4",
            "endpoints": [{"addresses": [f"10.1.0.{n}"], "targetRef": {"name": f"router-{n}"}} for n in (1, 2, 9)],
        }  # fmt: skip
        await town.stage.create(ENDPOINT_SLICES, body)
        await until(lambda: first.amiss() == ["router router-9 is seen, and not heard: nothing is scaled down"])
        await town.stage.route(1, scale_idle_grace="1", scale_panic_window="1")
        await until(lambda: KEY in second.catalog.entries and load_of(first).present == 2)  # else it would be idle for a moment
        await town.stage.client.delete(ENDPOINT_SLICES, "routers-1", "default")
        await whole(first)
        assert load_of(first).present == 2 and load_of(first).panic > 1
        assert first.reading()["routers", ""] == 2 and first.reading()["exchange_connected", ""] == 1

        await town.redis.kill()
        for control in town.controls:
            await until(lambda control=control: control.amiss() != [])  # type: ignore[misc]
            assert "no contact with the other routers" in control.amiss()[0] and control.missing() == ""
            assert control.reading()["exchange_connected", ""] == 0 and control.reading()["whole", ""] == 0
        assert not load_of(first).complete
        town.planes[1].load = {}
        await asyncio.sleep(3)  # longer than the grace
        assert await town.stage.replicas() == 1 and town.stage.writes() == 0
        second.scaler.wake(KEY)
        await until(lambda: ("woken", KEY) in town.planes[1].notes)

        await town.redis.start()
        began = time.monotonic()
        await whole(first)
        await until(lambda: second.amiss() == [])
        await town.stage.wanted(0)  # idle on both, and both are known
        assert time.monotonic() - began < 10

    in_town(tmp_path, scenario, service="default/routers")


@pytest.mark.slow
def test_a_pod_that_only_a_router_that_does_not_lead_finds_unreachable_is_replaced(tmp_path: Path) -> None:
    async def scenario(town: Town) -> None:
        await town.stage.route(2, scale_min="2")
        await until(lambda: town.stage_of(2).endpoints() == ["10.0.0.0:8080", "10.0.0.1:8080"])
        town.planes[1].lost = {"10.0.0.1:8080"}
        await town.stage.wanted(3)
        reach = town.controls[0].reach
        assert reach.lost(KEY, "10.0.0.1:8080") and not reach.lost_here(KEY, "10.0.0.1:8080")
        town.planes[1].lost = set()
        await until(lambda: not reach.count())
        await town.stage.wanted(2)
        assert town.stage.writes() == 2

    in_town(tmp_path, scenario)


def test_who_comes_to_lead_knows_the_last_minute_of_all(tmp_path: Path) -> None:
    async def scenario(town: Town) -> None:
        await town.stage.route(1, scale_min="1", scale_panic_window="1")
        first, second = town.controls
        town.planes[0].load = {KEY: Sample(0.0, 3.0, 7, 2)}
        town.planes[1].load = {KEY: Sample(0.0, 1.0, 1, 1)}
        await whole(first)
        assert load_of(second).stable < 1.05  # its own alone
        await town.end(1)  # gives the lease and its membership back
        await until(lambda: second.leadership.leading)
        async with asyncio.timeout(60):
            while load_of(second).stable < 1.1:  # noqa: ASYNC110 - by the clock
                await asyncio.sleep(0.02)

    in_town(tmp_path, scenario)


def on_both(town: Town) -> list[list[str]]:
    return [town.stage_of(number).endpoints() for number in (1, 2)]


def test_pods_leave_every_table_before_they_go_and_an_arrival_anywhere_keeps_them(tmp_path: Path) -> None:
    async def scenario(town: Town) -> None:
        first, second = town.controls
        await town.stage.route(2, scale_min="1", drain_timeout="30")
        await until(lambda: on_both(town) == [["10.0.0.0:8080", "10.0.0.1:8080"]] * 2)

        # Down to one: busy at the other router only, and it waits for that.
        town.planes[0].busy = {"10.0.0.1:8080": 1}
        town.planes[1].busy = {"10.0.0.0:8080": 1}
        first.scaler.scale_to(KEY, 1, "less")
        await until(lambda: on_both(town) == [["~10.0.0.0:8080", "10.0.0.1:8080"]] * 2)
        await asyncio.sleep(0.2)
        assert await town.stage.replicas() == 2
        town.planes[1].busy = {}
        await town.stage.wanted(1)
        await town.stage.slice(True)
        town.planes[0].busy = {}
        await until(lambda: [len(each) for each in on_both(town)] == [1, 1])

        # To zero: something is in flight at the other router, so that it refuses and both go on.
        await town.stage.client.merge(SERVICES, "hello", {"metadata": {"annotations": MIN_ZERO}}, "default")
        town.planes[1].is_idle = False
        writes = town.stage.writes()
        first.scaler.scale_to(KEY, 0, "idle")
        await until(lambda: first.scaler.writes.cancelled == 1)
        await until(lambda: on_both(town) == [["10.0.0.0:8080"]] * 2)
        assert town.stage.writes() == writes

        # Somebody comes at the other router while the API server is slow: before all agreed it is kept, after it is woken.
        town.planes[1].is_idle = True
        for pause in (0.0, 0.02, 0.12):
            town.server.faults.delay = 0.05
            first.scaler.scale_to(KEY, 0, "idle")
            await until(lambda: on_both(town)[0] == [] or not first.scaler._resizing)
            await asyncio.sleep(pause)
            town.planes[1].is_idle = False
            while first.scaler._resizing or await town.stage.replicas() == 0 or [len(each) for each in on_both(town)] != [1, 1]:
                second.scaler.wake(KEY)  # as long as somebody waits there, whatever was agreed before
                await asyncio.sleep(0.05)
            town.planes[1].is_idle = True
        town.server.faults.delay = 0.0

        # Idle everywhere: also the last wake is over, which would bring back what it finds asleep.
        await until(lambda: not first.scaler._waking and not second.scaler._waking)
        first.scaler.scale_to(KEY, 0, "idle")
        await town.stage.wanted(0)
        assert on_both(town) == [[], []]

    in_town(tmp_path, scenario)


def test_a_member_that_does_not_answer_keeps_the_pods_for_all(tmp_path: Path) -> None:
    async def scenario(town: Town) -> None:
        first, _ = town.controls
        await town.stage.route(1, scale_min="1")
        await until(lambda: on_both(town) == [["10.0.0.0:8080"]] * 2)
        silent = await RedisExchange(town.redis.url, "default/cloudbase-router").open("silent@1")
        await silent.beat(30.0, [], None)
        await until(lambda: "silent" in town.heard(first))
        first.scaler.scale_to(KEY, 0, "idle")
        await until(lambda: on_both(town)[1] == [])
        await until(lambda: first.scaler.writes.cancelled == 1)
        assert await town.stage.replicas() == 1
        await until(lambda: on_both(town) == [["10.0.0.0:8080"]] * 2)
        await silent.close()

    in_town(tmp_path, scenario)

"""A hard limit over two routers with real data planes and a real Redis, as the function itself counts it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kube.client import Client
from kube.fake.server import ApiServer
from kube.resource import ENDPOINT_SLICES, SERVICES
from router.dataplane import DataPlane
from router.kube.control import Control
from router.kube.peers.redis import RedisExchange
from router.kube.peers.roster import Terms
from router.kube.run import Relay
from router.kube.settings import KubeSettings
from router.listening import bind_all
from router.settings import Settings
from router.wire.poller import new_event_loop
from router.workers.plane import WorkersPlane
from tests.shared.crew_world import Client as Caller
from tests.shared.crew_world import Function
from tests.shared.kube_objects import KEY
from tests.shared.redis_server import RedisServer, redis_server
from tests.shared.waiting import until

SERVICE = "default/routers"
SHORT = Terms(lease=3.5, own=2.5, missing=1.5, settle=2.5)  # so that a test need not wait for long


@dataclass
class Member:
    control: Control
    plane: DataPlane | WorkersPlane
    client: Client
    port: int
    task: asyncio.Task[None]
    callers: list[Caller] = field(default_factory=list)

    async def caller(self) -> Caller:
        one = Caller(*await asyncio.open_connection("127.0.0.1", self.port))
        self.callers.append(one)
        return one

    async def load(self, callers: int, seconds: float) -> int:
        """Requests answered by 200 with so many callers at once; anything else fails."""
        end = time.monotonic() + seconds

        async def one() -> int:
            caller, count = await self.caller(), 0
            while time.monotonic() < end:
                assert await caller.get() == 200
                count += 1
            return count

        return sum(await asyncio.gather(*(one() for _ in range(callers))))

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        for caller in self.callers:
            caller.close()
        self.plane.close()
        await self.client.__aexit__(None, None, None)


@dataclass
class Town:
    server: ApiServer
    redis: RedisServer
    function: Function
    workers: int = 0
    members: list[Member] = field(default_factory=list)

    async def member(self) -> Member:
        number = len(self.members) + 1
        client = await Client(self.server.access()).__aenter__()
        relay = Relay()
        plane = WorkersPlane(Settings(workers=self.workers), relay) if self.workers else DataPlane(Settings(), relay)
        exchange = RedisExchange(self.redis.url, "default/cloudbase-router")
        known = KubeSettings(identity=f"router-{number}", service=SERVICE)
        control = Control(client, plane, known, exchange=exchange, terms=SHORT)
        relay.to = control.scaler
        listeners = bind_all("127.0.0.1:0", max(1, self.workers))
        plane.listen(*listeners)
        await plane.up()
        task = asyncio.create_task(control.run())
        one = Member(control, plane, client, listeners[0].getsockname()[1], task)
        self.members.append(one)
        await until(lambda: control.catalog.synced and KEY in control.catalog.entries)
        return one

    async def route(self, concurrency: int) -> None:
        host, _, port = self.function.address.rpartition(":")
        note = {"cloudbase.dev/concurrency": str(concurrency)}
        meta = {"name": "hello", "labels": {"cloudbase.dev/route": "hello"}, "annotations": note}
        client = Client(self.server.access())
        async with client:
            spec = {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": int(port)}]}
            await client.create(SERVICES.decoded_as(dict), {"metadata": meta, "spec": spec}, "default")
            body = {
                "metadata": {"name": "hello-1", "labels": {"kubernetes.io/service-name": "hello"}}, "addressType": "IPv4",
                "ports": [{"port": int(port)}], "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
            }  # fmt: skip
            await client.create(ENDPOINT_SLICES.decoded_as(dict), body, "default")

    async def list_routers(self) -> None:
        """As the cluster does for pods behind the routers' own Service."""
        body = {
            "metadata": {"name": "routers-1", "labels": {"kubernetes.io/service-name": "routers"}}, "addressType": "IPv4",
            "endpoints": [{"addresses": [f"10.1.0.{n}"], "targetRef": {"name": f"router-{n}"}} for n in (1, 2)],
        }  # fmt: skip
        async with Client(self.server.access()) as client:
            await client.create(ENDPOINT_SLICES.decoded_as(dict), body, "default")

    def slots(self) -> list[int]:
        return [int(one.control.reading()["slots", ""]) for one in self.members]


@asynccontextmanager
async def town(folder: Path, concurrency: int, workers: int) -> AsyncIterator[Town]:
    async with ApiServer(bookmark_interval=0.2) as server, redis_server(folder) as redis:
        found = Town(server, redis, Function(), workers)
        await found.function.start()
        await found.route(concurrency)
        try:
            for _ in range(2):
                await found.member()
            memberships = [one.control.fleet.membership for one in found.members]
            await until(lambda: all(len(one.roster.members) == 2 and not one.roster.young() for one in memberships if one))
            yield found
        finally:
            for one in found.members:
                await one.end()
            await found.function.close()


def in_town(folder: Path, concurrency: int, scenario: Callable[[Town], Awaitable[Any]], workers: int = 0) -> None:
    async def whole() -> None:
        async with asyncio.timeout(110), town(folder, concurrency, workers) as found:
            await scenario(found)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(whole())


@pytest.mark.slow
def test_one_slot_serves_both_routers_never_two_at_once_and_comes_back_from_the_dead(tmp_path: Path) -> None:
    async def scenario(town: Town) -> None:
        first, second = town.members
        town.function.seconds = 0.01
        counts = await asyncio.gather(first.load(4, 2), second.load(4, 2))
        assert town.function.most == 1 and min(counts) > 0
        print(f"both: {counts} in 2 s, one router alone {await first.load(8, 2)}")

        # Redis away: who has the slot keeps it, and it is still one.
        holder = first if town.slots()[0] else second
        await town.redis.kill()
        await until(lambda: holder.control.reading()["exchange_connected", ""] == 0)
        assert await holder.load(2, 1) > 20 and town.slots() in ([1, 0], [0, 1])
        await asyncio.sleep(3)  # longer than a silent Redis would be put up with: this one is down for everybody
        assert await holder.load(2, 0.5) > 10

        # Back, empty: nothing moves before everybody can have said what he has, then it does.
        other = second if holder is first else first
        await town.redis.start()
        counts = await asyncio.gather(holder.load(2, 6), other.load(2, 6))
        assert town.function.most == 1 and min(counts) > 0
        print(f"both after Redis was back: {counts} in 6 s")

        # All load on one.
        assert await other.load(4, 1) > 20 and town.slots()[town.members.index(other)] == 1

        # Its holder ends in order: it gives its place back, and its slot is free when it has been missing for a moment.
        other.task.cancel()
        began = time.monotonic()
        assert await (await holder.caller()).get() == 200
        print(f"the slot came back after {time.monotonic() - began:.1f} s")
        assert town.function.most == 1

    in_town(tmp_path, 1, scenario)


@pytest.mark.slow
def test_all_load_on_one_router_has_all_slots_and_a_silent_redis_is_put_up_with_only_so_long(tmp_path: Path) -> None:
    async def scenario(town: Town) -> None:
        first, second = town.members
        town.function.seconds = 0.02
        await asyncio.gather(first.load(2, 0.5), second.load(2, 0.5))
        count = await first.load(8, 2)
        print(f"{count} of {4 * 2 / 0.02:.0f} that are possible")
        assert town.slots()[0] == 4 and town.function.most <= 4

        town.redis.freeze()
        await until(lambda: town.slots() == [0, 0])
        late = asyncio.create_task((await first.caller()).get())
        await asyncio.sleep(0.3)
        assert not late.done()
        town.redis.thaw()
        async with asyncio.timeout(60):
            assert await late == 200
        assert town.function.most <= 4

        # A cluster that lists both as serving is a witness: nobody is cut off, so nobody takes what the other has.
        await town.list_routers()
        await until(lambda: sum(town.slots()) == 4)
        town.redis.freeze()
        await until(lambda: all(one.control.reading()["exchange_connected", ""] == 0 for one in town.members))
        had = town.slots()
        await asyncio.sleep(SHORT.own + 1)
        assert town.slots() == had
        town.redis.thaw()

    in_town(tmp_path, 4, scenario)


@pytest.mark.slow
def test_one_slot_serves_the_workers_of_both_routers_and_never_two_at_once(tmp_path: Path) -> None:
    async def scenario(town: Town) -> None:
        first, second = town.members
        town.function.seconds = 0.01
        counts = await asyncio.gather(first.load(4, 3), second.load(4, 3))
        print(f"two workers each, both: {counts} in 3 s, one router alone {await first.load(8, 2)} in 2 s")
        assert town.function.most == 1 and min(counts) > 0

    in_town(tmp_path, 1, scenario, workers=2)

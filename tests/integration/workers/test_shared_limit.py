"""A hard limit holds over several workers, and nobody starves beside a free slot."""

from __future__ import annotations

import asyncio

from tests.shared.crew_world import World, run
from tests.shared.waiting import until


def test_one_slot_serves_requests_of_both_workers_and_never_two_at_once() -> None:
    async def story(world: World) -> None:
        world.function.seconds = 0.002
        world.put(world.function.address, concurrency=1)
        clients = [await world.client(place) for place in (0, 0, 0, 1, 1)]

        async def load(number: int) -> list[int]:
            return [await clients[number].get() for _ in range(20)]

        async with asyncio.timeout(60):
            statuses = await asyncio.gather(*(load(number) for number in range(5)))
        assert {status for each in statuses for status in each} == {200}
        assert world.function.most == 1 and world.function.served == 100

    run(story)


def test_all_slots_come_to_the_worker_that_has_all_the_load() -> None:
    async def story(world: World) -> None:
        world.put(world.function.address, concurrency=4)
        world.function.go.clear()
        both = [await world.client(place) for place in (0, 1)]
        warm = [asyncio.create_task(one.get()) for one in both]
        await until(lambda: world.function.now == 2)
        world.function.go.set()
        assert await asyncio.gather(*warm) == [200, 200]
        world.function.go.clear()
        clients = [await world.client(0) for _ in range(6)]
        calls = [asyncio.create_task(one.get()) for one in clients]
        await until(lambda: world.function.now == 4)
        world.function.go.set()
        assert await asyncio.gather(*calls) == [200] * 6
        assert world.function.most == 4

    run(story)

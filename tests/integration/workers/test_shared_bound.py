"""The bound on what may wait for a function holds over several workers, and what waited in a dead one does not linger."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter

from tests.shared.crew_world import KEY, Client, World, run
from tests.shared.waiting import until

PATIENCE = 60.0  # seconds


async def wait_but_one(world: World, place: int, waiting: int) -> list[asyncio.Task[int]]:
    """One more than so many requests at a worker, of which exactly one is refused; those that wait."""
    clients: list[Client] = [await world.client(place) for _ in range(waiting + 1)]
    calls = [asyncio.create_task(one.get()) for one in clients]
    done, left = await asyncio.wait(calls, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    assert [one.result() for one in done] == [503]
    return list(left)


def test_as_many_wait_as_the_function_may_have_waiting_wherever_they_are() -> None:
    async def story(world: World) -> None:
        world.put(queue_limit=2)
        first, second = await world.client(0), await world.client(1)
        here = await wait_but_one(world, 0, 2)  # all load on one of them: it has the whole bound
        assert await second.get() == 503, "although nothing waits in this worker"

        world.put(queue_limit=4)
        await world.plane.take_stock(KEY)
        there = await wait_but_one(world, 1, 2)  # load on both
        assert [await first.get(), await second.get()] == [503, 503]

        before = world.process(0)
        os.kill(before.child.pid, signal.SIGKILL)
        lost = await asyncio.gather(*here, return_exceptions=True)
        assert all(isinstance(one, (EOFError, ConnectionError)) for one in lost)
        await until(lambda: world.places().get(0, before) is not before and world.process(0).ready)
        there += await wait_but_one(world, 1, 2)
        again = await world.client(0)
        assert await again.get() == 503

        world.put(world.function.address, queue_limit=4)
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.gather(*there) == [200] * 4
            assert await again.get() == 200

    run(story)


def test_of_a_crowd_at_both_workers_at_once_at_most_one_waits_beyond_the_bound() -> None:
    async def story(world: World) -> None:
        world.put(queue_limit=4)
        clients = [await world.client(place) for place in (0, 1) * 6]
        calls = [asyncio.create_task(one.get()) for one in clients]
        await until(lambda: sum(one.done() for one in calls) >= 7)
        world.put(world.function.address, queue_limit=4)
        async with asyncio.timeout(PATIENCE):
            found = Counter(await asyncio.gather(*calls))
        assert found in (Counter({503: 8, 200: 4}), Counter({503: 7, 200: 5}))

    run(story)

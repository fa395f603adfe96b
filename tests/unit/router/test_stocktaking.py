"""What is in flight in all workers, from their answers: who has not answered is not idle, who died has nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from router.model import RouteKey
from router.workers.messages import Look, Seen
from router.workers.stock import FRESH, Stocktaking

KEY = RouteKey("*", "default", "hello")


class Asked:
    """A worker that answers when the test says so."""

    def __init__(self) -> None:
        self.looks: list[Look] = []

    def send(self, *orders: Look) -> None:
        self.looks += orders

    def seen(self, present: int, **addresses: int) -> Seen:
        return Seen(self.looks[-1].number, present, {"r1": (present, addresses)})


class World:
    def __init__(self) -> None:
        self.now = 100.0
        self.workers = [Asked(), Asked()]
        self.stock = Stocktaking(lambda: self.workers, lambda: self.now)

    async def asked(self) -> asyncio.Task[int | None]:
        task = asyncio.create_task(self.stock.present(KEY))
        await asyncio.sleep(0)
        return task


def told(story: Callable[[World], Awaitable[None]]) -> None:
    asyncio.run(_whole(story))


async def _whole(story: Callable[[World], Awaitable[None]]) -> None:
    await story(World())


def test_what_all_have_is_added_up_and_known_for_a_moment() -> None:
    async def story(world: World) -> None:
        task = await world.asked()
        world.stock.answer(world.workers[0], world.workers[0].seen(2, a=2))
        assert not task.done()
        world.stock.answer(world.workers[1], world.workers[1].seen(1, b=1))
        assert await task == 3
        assert world.stock.in_flight(KEY, "r1") == 3 and world.stock.in_flight(KEY, "r1", "b") == 1
        world.now += FRESH + 0.1
        assert world.stock.in_flight(KEY, "r1", "b") == 1 and world.stock.in_flight(KEY, "r1", "c") == 1  # not known is not 0

    told(story)


def test_a_worker_that_dies_has_nothing_and_keeps_nobody_waiting() -> None:
    async def story(world: World) -> None:
        task = await world.asked()
        world.stock.answer(world.workers[0], world.workers[0].seen(0))
        world.stock.leave(world.workers[1])
        assert await task == 0

    told(story)


def test_an_answer_from_before_a_change_or_a_wake_says_nothing() -> None:
    async def story(world: World) -> None:
        task = await world.asked()
        world.stock.changed(KEY)
        for worker in world.workers:
            world.stock.answer(worker, worker.seen(0))
        assert await task is None
        assert world.stock.in_flight(KEY, "r1") == 1
        assert len(world.workers[0].looks) == 2  # and asks anew
        world.stock.in_flight(KEY, "r1")
        assert len(world.workers[0].looks) == 2  # but not twice

    told(story)


def test_without_workers_there_is_nothing() -> None:
    async def story(world: World) -> None:
        world.workers.clear()
        assert await world.stock.present(KEY) == 0

    told(story)

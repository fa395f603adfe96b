"""What the cluster's side may expect of a data plane: in its own process, or in workers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from router.model import RouteKey
from router.settings import Settings as Limits
from tests.shared.crew_world import KEY, World, run
from tests.shared.waiting import until

Story = Callable[[World], Awaitable[None]]


@pytest.fixture(params=[0, 2], ids=["one process", "two workers"])
def play(request: pytest.FixtureRequest) -> Callable[[Story], None]:
    return lambda story: run(story, workers=request.param)


async def begun(world: World, calls: int) -> list[asyncio.Task[int]]:
    """So many requests that are at the function, or wait."""
    return [asyncio.create_task((await world.client()).get()) for _ in range(calls)]


@contextmanager
def black_hole() -> Iterator[str]:
    """An address where connections are neither taken nor refused: the queue of who listens there is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as queue:
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("workers", [0, 2], ids=["one process", "two workers"])
def test_of_an_address_that_says_nothing_to_three_connections_it_is_known_until_it_is_gone(workers: int) -> None:
    async def story(world: World) -> None:
        with black_hole() as nowhere:
            world.put(world.function.address, nowhere)
            calls = [await world.client() for _ in range(4)]

            async def found() -> dict[RouteKey, frozenset[str]]:
                assert await asyncio.gather(*(each.get() for each in calls)) == [200] * 4
                world.plane.samples()
                return dict(world.plane.unreachable())

            assert await found() == {}
            async with asyncio.timeout(60):
                while await found() != {KEY: frozenset({nowhere})}:  # noqa: ASYNC110 - requests are what finds it
                    await asyncio.sleep(0.02)
            world.put(world.function.address)
            async with asyncio.timeout(60):
                while await found():  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)

    run(story, workers, Limits(connect_timeout=0.05))


def test_routes_come_and_go_and_before_all_are_known_nothing_is_not_found(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        client = await world.client()
        world.plane.starting(True)
        await until_answer(client.get, 503)
        world.put(world.function.address)
        await until_answer(client.get, 200)
        world.plane.starting(False)
        await until_answer(lambda: client.get("other"), 404)
        world.plane.remove(KEY)
        await until_answer(client.get, 404)

    play(story)


async def until_answer(get: Callable[[], Awaitable[int]], status: int) -> None:
    async with asyncio.timeout(60):
        while await get() != status:  # noqa: ASYNC110 - it asks
            await asyncio.sleep(0.005)


def test_who_waits_for_nothing_wakes_and_is_told_what_it_cost(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        world.put()
        client = await world.client()
        call = asyncio.create_task(client.answer())
        await until(lambda: KEY in world.wakes)
        assert not await world.plane.idle(KEY)
        world.plane.woken(KEY)
        world.plane.scheduled(KEY)
        world.put(world.function.address)
        head = await call
        assert head.startswith(b"HTTP/1.1 200") and b"Server-Timing: wake;" in head

    play(story)


def test_idle_means_that_nothing_is_in_flight_or_waiting_anywhere(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        world.put(world.function.address)
        assert await world.plane.idle(KEY)
        world.function.go.clear()
        calls = await begun(world, 3)
        await until(lambda: world.function.now == 3)
        assert not await world.plane.idle(KEY)
        world.function.go.set()
        assert await asyncio.gather(*calls) == [200] * 3
        assert await world.plane.idle(KEY)

    play(story)


def test_after_stock_was_taken_what_is_in_flight_is_known_by_revision_and_address(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        world.put(world.function.address)
        world.function.go.clear()
        calls = await begun(world, 3)
        await until(lambda: world.function.now == 3)
        await world.plane.take_stock(KEY)
        assert world.plane.in_flight(KEY, "r1") == world.plane.in_flight(KEY, "r1", world.function.address) == 3
        assert world.plane.in_flight(KEY, "r1", "10.0.0.1:1") == world.plane.in_flight(KEY, "r2") == 0
        world.function.go.set()
        await asyncio.gather(*calls)
        await until(lambda: world.plane.in_flight(KEY, "r1") == 0)  # by asking alone, too

    play(story)


def test_samples_tell_of_what_is_there_and_of_nothing_that_is_over(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        world.put(world.function.address)
        world.function.go.clear()
        calls = await begun(world, 2)
        await until(lambda: world.function.now == 2)
        await until(lambda: (seen := world.plane.samples().get(KEY)) is not None and seen.present == 2)
        world.function.go.set()
        await asyncio.gather(*calls)
        await until(lambda: KEY not in world.plane.samples())

    play(story)


def test_a_hard_limit_holds_over_everybody_who_waits(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        world.function.seconds = 0.001
        world.put(world.function.address, concurrency=2)
        clients = [await world.client() for _ in range(8)]

        async def calls(number: int) -> list[int]:
            return [await clients[number].get() for _ in range(10)]

        async with asyncio.timeout(15):
            assert await asyncio.gather(*(calls(number) for number in range(8))) == [[200] * 10] * 8
        assert world.function.most <= 2

    play(story)


def test_of_a_shared_limit_only_what_is_granted_is_used(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        world.plane.share(True)
        world.put(world.function.address, concurrency=5)
        world.function.go.clear()
        calls = await begun(world, 3)
        await until(lambda: KEY in world.wakes and world.plane.need(KEY, "r1").waiting == 3)
        assert world.function.now == 0
        world.plane.grant(KEY, "r1", {world.function.address: 2})
        await until(lambda: world.function.now == 2)
        await until(lambda: world.plane.need(KEY, "r1").waiting == 1)
        world.function.go.set()
        assert await asyncio.gather(*calls) == [200] * 3
        assert world.function.most == 2

    play(story)


def test_a_limit_that_is_set_while_requests_are_in_flight_holds_for_those_that_come(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        world.put(world.function.address)
        world.function.go.clear()
        calls = await begun(world, 3)
        await until(lambda: world.function.now == 3)
        world.put(world.function.address, concurrency=1)
        assert not await world.plane.idle(KEY)  # so that every worker knows
        later = await begun(world, 3)
        world.function.most = 0
        world.function.go.set()
        world.function.seconds = 0.002
        assert await asyncio.gather(*calls, *later) == [200] * 6
        assert world.function.most <= 3

    play(story)

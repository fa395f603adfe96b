"""What routers may rely on from the board between them: one suite over the board in memory and over a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from router.kube.peers.memory import Board
from router.kube.peers.ports import Away, Exchange, Session
from router.kube.peers.redis import RedisExchange
from tests.shared.redis_server import RedisServer, redis_server


@dataclass
class World:
    exchange: Exchange
    board: Board | None
    server: RedisServer | None

    async def down(self) -> None:
        if self.board is not None:
            self.board.down = "killed"
        if self.server is not None:
            await self.server.kill()

    async def up(self) -> None:
        if self.board is not None:
            self.board.down = ""
            self.board.restart()
        if self.server is not None:
            await self.server.start()


@asynccontextmanager
async def world(kind: str, folder: Path) -> AsyncIterator[World]:
    if kind == "memory":
        board = Board(time.monotonic)
        yield World(board, board, None)
        return
    async with redis_server(folder) as server:
        yield World(RedisExchange(server.url, "test"), None, server)


Scenario = Callable[[World], Awaitable[None]]


@pytest.fixture(params=["memory", "redis"])
def over(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    def run(scenario: Scenario) -> None:
        async def whole() -> None:
            async with asyncio.timeout(100), world(request.param, tmp_path) as found:
                await scenario(found)

        asyncio.run(whole())

    return run


async def pair(world: World) -> tuple[Session, Session]:
    return await world.exchange.open("a"), await world.exchange.open("b")


async def closed(*sessions: Session) -> None:
    for session in sessions:
        await session.close()


def test_members_are_those_whose_leases_run(over: Callable[[Scenario], None]) -> None:
    async def scenario(world: World) -> None:
        a, b = await pair(world)
        first = await a.beat(30, [], None)
        assert first.members == {"a"} and first.joined and 0 <= first.age < 5
        assert (await b.beat(0.2, [], None)).members == {"a", "b"}
        assert not (await a.beat(30, [], None)).joined
        async with asyncio.timeout(60):
            while (await a.beat(30, [], None)).members != {"a"}:  # noqa: ASYNC110 - on the board
                await asyncio.sleep(0.02)
        assert (await b.beat(30, [], None)).joined
        await b.beat(30, [b"last"], None)
        await b.leave()
        after = await a.beat(30, [], {"b": ""})
        assert (after.members, after.past) == ({"a"}, {"b"}) and after.batches[-1].content == b"last"
        await closed(a, b)

    over(scenario)


def test_batches_are_read_in_order_behind_a_mark_also_by_one_who_came_later(over: Callable[[Scenario], None]) -> None:
    async def scenario(world: World) -> None:
        a, b = await pair(world)
        await a.beat(30, [b"one", b"\x00two"], None)
        found = (await b.beat(30, [], {"a": "", "nobody": ""})).batches
        assert [(each.member, each.content) for each in found] == [("a", b"one"), ("a", b"\x00two")]
        assert all(0 <= each.age < 5 for each in found)
        await a.beat(30, [b"three"], None)
        found = (await b.beat(30, [], {"a": found[-1].mark})).batches
        assert [each.content for each in found] == [b"three"]
        assert (await b.beat(30, [], {"a": found[-1].mark})).batches == []
        for number in range(100):
            await a.beat(30, [str(number).encode()], None)
        kept = (await b.beat(30, [], {"a": ""})).batches
        assert kept[-1].content == b"99" and 60 <= len(kept) <= 80
        await closed(a, b)

    over(scenario)


def test_a_register_is_swapped_by_one_of_those_who_try_at_once(over: Callable[[Scenario], None]) -> None:
    async def scenario(world: World) -> None:
        a, b = await pair(world)
        assert await a.read("r") == b""
        assert await a.swap("r", b"", b"a") == (True, b"a")
        assert await b.swap("r", b"", b"b") == (False, b"a")
        swaps = await asyncio.gather(*(each.swap("r", b"a", name) for each, name in ((a, b"x"), (b, b"y"))))
        assert sorted(one.done for one in swaps) == [False, True]
        assert await a.read("r") in (b"x", b"y")
        assert await a.swap("r", await a.read("r"), b"") == (True, b"")
        assert await b.read("r") == b""
        await closed(a, b)

    over(scenario)


def test_a_swap_among_some_is_refused_while_another_member_lives(over: Callable[[Scenario], None]) -> None:
    async def scenario(world: World) -> None:
        a, b = await pair(world)
        await a.beat(30, [], None)
        await b.beat(1.0, [], None)
        assert await a.swap("r", b"", b"1", among=frozenset({"a"})) == (False, b"")
        assert await a.swap("r", b"", b"1", among=frozenset({"a", "b", "c"})) == (True, b"1")
        async with asyncio.timeout(60):
            while not (await a.swap("r", b"1", b"2", among=frozenset({"a"}))).done:  # noqa: ASYNC110 - on the board
                await asyncio.sleep(0.02)
        await closed(a, b)

    over(scenario)


def test_words_are_heard_in_order_by_all_and_only_those_since_the_session_began(over: Callable[[Scenario], None]) -> None:
    async def scenario(world: World) -> None:
        a, b = await pair(world)
        await a.swap("r", b"", b"1", b"first")
        await a.swap("r", b"wrong", b"2", b"never said")
        await b.swap("r", b"1", b"2", b"second")
        late = await world.exchange.open("c")
        for each in (a, b):
            heard: list[bytes] = []
            while len(heard) < 2:
                heard += await each.listen()
            assert heard == [b"first", b"second"]
        began = time.monotonic()
        assert await late.listen() == [] and time.monotonic() - began > 0.5
        listening = asyncio.create_task(late.listen())
        await asyncio.sleep(0.05)
        await a.swap("r", b"2", b"3", b"third")
        assert await listening == [b"third"]
        await closed(a, b, late)

    over(scenario)


def test_a_board_that_was_away_is_another_one_and_old_sessions_stay_dead(over: Callable[[Scenario], None]) -> None:
    async def scenario(world: World) -> None:
        a, b = await pair(world)
        await a.beat(30, [b"batch"], None)
        await a.swap("r", b"", b"1")
        await world.down()
        with pytest.raises(Away):
            await a.beat(30, [], None)
        with pytest.raises(Away) as caught:
            await world.exchange.open("a")
        assert caught.value.refused
        await world.up()
        for call in (a.beat(30, [], None), a.read("r"), b.swap("r", b"", b"2")):
            with pytest.raises(Away):
                await call
        again = await world.exchange.open("a")
        assert again.epoch != a.epoch and await again.read("r") == b""
        beat = await again.beat(30, [], {"b": ""})
        assert beat.members == {"a"} and beat.joined and beat.age < 5
        await closed(a, b, again)

    over(scenario)


def test_a_server_that_kept_its_data_over_a_restart_begins_anew_all_the_same(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with redis_server(tmp_path) as server:
            exchange = RedisExchange(server.url, "test")
            a = await exchange.open("a")
            await a.swap("r", b"", b"1")
            await server.stop()
            await server.start()
            again = await exchange.open("a")
            assert (await again.read("r")) == b""
            await closed(a, again)

    asyncio.run(scenario())


def test_a_server_that_is_silent_is_away_and_not_known_to_be_down(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with redis_server(tmp_path) as server:
            exchange = RedisExchange(server.url, "test")
            a = await exchange.open("a")
            server.freeze()
            with pytest.raises(Away) as caught:
                await a.beat(30, [], None)
            assert not caught.value.refused
            server.thaw()
            await a.close()

    asyncio.run(scenario())


def test_sets_of_routers_with_different_names_do_not_see_each_other_and_every_key_expires(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with redis_server(tmp_path) as server:
            one = await RedisExchange(server.url, "one").open("a")
            two = await RedisExchange(server.url, "two").open("b")
            await one.beat(30, [b"batch"], None)
            assert (await two.beat(30, [b"batch"], {"a": ""})).batches == []
            await one.swap("r", b"", b"1", b"word")
            redis = one._redis  # type: ignore[attr-defined]
            keys = await redis.keys("*")
            assert len(keys) == 8 and all([await redis.pttl(key) > 0 for key in keys])
            assert all(key.startswith(b"{cloudbase-router:") for key in keys)
            await closed(one, two)

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "redis://host:port"])
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        RedisExchange(url, "test")


def test_a_question_that_is_broken_off_at_any_moment_ends_there(over: Callable[[Scenario], None]) -> None:
    """Whoever asks in a loop would go on for ever else, and with it the router that waits for its end."""

    async def scenario(world: World) -> None:
        session = await world.exchange.open("a")
        for steps in range(40):  # of the loop, from the question's beginning to beyond its answer
            asking = asyncio.create_task(session.read("nothing"))
            for _ in range(steps):
                await asyncio.sleep(0)
            broken_off = asking.cancel()
            await asyncio.wait({asking})
            assert asking.cancelled() is broken_off, f"after {steps} steps of the loop"
        await closed(session)

    over(scenario)

"""One request's way to an endpoint, in virtual time: what is sent a second time, and who refuses or says nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from router.exchange import BACKOFF, WAITING
from router.meters import FAILED, FAILURES, read_functions
from tests.unit.router.exchange_world import KEY, World

OK = [("head", (200, b"")), ("data", b"ok"), ("end", b""), ("finished", b"")]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("method", "second"), [(b"GET", True), (b"DELETE", True), (b"PUT", True), (b"POST", False), (b"PATCH", False)]
)
def test_only_idempotent_methods_are_sent_a_second_time(world: World, method: bytes, second: bool) -> None:
    world.put("a:1", "b:1")
    exchange = world.begin(method, b"body")
    world.streams[0].lose()
    assert (len(world.streams) == 2) == second
    if second:
        assert world.streams[1].body == b"body"
        assert world.streams[1].upstream is not world.streams[0].upstream
    else:
        assert world.of(exchange) == [("problem", 502)]
        assert world.present() == (0, 0)


def test_nothing_is_sent_again_once_a_byte_of_an_answer_came(world: World) -> None:
    world.put("a:1", "b:1")
    exchange = world.begin()
    world.streams[0].lose(answered=True)
    assert world.of(exchange) == [("problem", 502)]


def test_a_body_that_is_not_whole_is_not_sent_again(world: World) -> None:
    world.put("a:1", "b:1")
    exchange = world.begin(b"PUT", b"ab", whole=False, length=4)
    world.streams[0].lose()
    assert world.of(exchange)[-1] == ("problem", 502)
    assert len(world.streams) == 1


def test_any_method_goes_on_when_the_connection_took_nothing(world: World) -> None:
    world.put("a:1")
    first = world.begin()
    world.streams[0].answer()
    upstream = world.streams[0].upstream
    world.streams[0].stale = True
    upstream.idle.append(world.streams[0])
    world.begin(b"POST", b"body")
    assert world.streams[1].body == b"body"
    assert world.of(first) == OK


def test_sends_stop_at_the_limit_of_tries(world: World) -> None:
    world.put("a:1", "b:1", "c:1", "d:1")
    exchange = world.begin()
    for number in range(3):
        world.streams[number].lose()
    assert len(world.streams) == 3
    assert world.of(exchange) == [("problem", 502)]


def test_the_budget_stops_a_storm_of_second_sends(world: World) -> None:
    world.put("a:1", "b:1")
    exchanges = [world.begin() for _ in range(200)]
    for far in list(world.streams):
        far.lose()
    sent_again = len(world.streams) - len(exchanges)
    assert 10 <= sent_again <= 50


def test_a_request_waits_a_moment_for_a_replica_that_refuses(world: World) -> None:
    world.put("a:1")
    world.refusing.add("a:1")
    exchange = world.begin(b"POST", b"body")
    assert exchange.state == BACKOFF
    world.refusing.clear()
    world.pass_time(3)
    assert world.streams[0].body == b"body"


def test_a_request_whose_replica_refuses_goes_to_a_new_one_at_once(world: World) -> None:
    world.put("a:1")
    world.refusing.add("a:1")
    world.begin(b"POST", b"body")
    world.put("b:1")
    world.pass_time(0.1)
    assert world.streams[0].upstream.address == "b:1"


def test_a_request_whose_replicas_are_gone_waits_at_its_old_place(world: World) -> None:
    world.put("a:1")
    world.refusing.add("a:1")
    exchange = world.begin()
    world.put()
    world.pass_time(0.1)
    assert exchange.state == WAITING
    assert world.present() == (0, 1)
    assert world.wakes.at
    world.put("b:1")
    world.streams[0].answer()
    assert world.of(exchange)[-1] == ("finished", b"")


def test_a_replica_that_refuses_for_too_long_is_a_bad_gateway(world: World) -> None:
    world.put("a:1")
    world.refusing.add("a:1")
    exchange = world.begin()
    world.pass_time(20)
    assert world.of(exchange) == [("problem", 502)]
    assert world.present() == (0, 0)


def refused(world: World) -> None:
    world.streams[-1].lose(failure="connect")


def no_way(world: World) -> None:
    world.streams[-1].lose(failure="connect", silent=True)


@pytest.mark.parametrize("how", [refused, no_way])
def test_a_connection_that_cannot_be_opened_is_counted_once(world: World, how: Callable[[World], None]) -> None:
    world.slow.add("a:1")
    world.put("a:1")
    world.begin()
    how(world)
    [cells] = read_functions(world.book).values()
    assert dict(zip(FAILURES, cells[FAILED:], strict=False)) == {"connect": 1, "reset": 0, "malformed": 0, "timeout": 0}


@pytest.mark.parametrize(("how", "found"), [(None, True), (no_way, True), (refused, False)], ids=["silence", "no way", "refused"])
def test_of_who_says_nothing_three_times_a_row_it_is_known_that_nobody_reaches_it(
    world: World, how: Callable[[World], None] | None, found: bool
) -> None:
    world.slow.add("a:1")
    world.put("a:1", timeout=600)
    assert world.board.unreachable() == {}
    for _ in range(4):
        tried = len(world.streams)
        exchange = world.begin()
        while len(world.streams) == tried:  # the others wait for what comes of one trial
            world.pass_time(0.25)
        if how is None:
            world.pass_time(2.1)
            exchange.check(world.clock.now)
        else:
            how(world)
        exchange.client_gone()
        world.pass_time(32)
    assert world.board.unreachable() == ({KEY: frozenset({"a:1"})} if found else {})
    world.board.remove(KEY)
    assert world.board.unreachable() == {} and not world.board.suspected

"""One request's life, without sockets: over a codec that multiplexes streams, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import NoRoute, Refused
from router.exchange import IDLE, TUNNEL, WAITING, Exchange
from router.http1.fields import read_fields
from router.http1.request import Request
from router.http1.response import read_response
from router.model import Backend, Endpoint, Route, Settings
from tests.unit.router.exchange_world import KEY, SENDER, Far, Near, World


@pytest.fixture
def world() -> World:
    return World()


def test_streams_of_one_connection_are_answered_each_with_its_own(world: World) -> None:
    world.put("a:1")
    exchanges = [world.begin() for _ in range(3)]
    for number in (2, 0, 1):
        world.streams[number].answer(body=b"%d" % number)
    for number, exchange in enumerate(exchanges):
        assert world.of(exchange)[:2] == [("head", (200, b"")), ("data", b"%d" % number)]
    assert world.present() == (0, 0)


def test_a_body_goes_on_as_it_comes_once_the_stream_is_open(world: World) -> None:
    world.slow.add("a:1")
    world.put("a:1")
    exchange = world.begin(b"POST", b"ab", whole=False, length=6)
    exchange.request_data(b"cd")
    far = world.streams[0]
    assert far.body == b""
    far.connected = True
    exchange.connected()
    exchange.request_data(b"ef")
    exchange.request_end(b"")
    assert (far.body, far.ended) == (b"abcdef", True)


def test_an_unknown_function_is_refused_before_anything_begins(world: World) -> None:
    with pytest.raises(NoRoute):
        world.begin()
    assert world.present() == (0, 0)


def test_a_waiter_wakes_its_function_again_and_again_but_ever_more_slowly(world: World) -> None:
    world.put()
    world.begin()
    world.pass_time(5)
    gaps = [round(b - a, 1) for a, b in zip(world.wakes.at, world.wakes.at[1:], strict=False)]
    assert gaps[0] == 0.1 and max(gaps) <= 1.05
    assert len(gaps) >= 6


def test_nobody_is_woken_for_once_a_replica_is_there(world: World) -> None:
    world.put()
    world.begin()
    world.put("a:1")
    asked = len(world.wakes.at)
    world.pass_time(3)
    assert len(world.wakes.at) == asked


def test_the_parts_of_a_cold_start_sum_to_the_whole(world: World) -> None:
    world.put()
    world.slow.add("a:1")
    exchange = world.begin()
    world.clock.now += 0.010
    world.board.woken(KEY)
    world.clock.now += 0.020
    world.board.scheduled(KEY)
    world.clock.now += 0.300
    world.put("a:1")
    world.clock.now += 0.004
    world.streams[0].connected = True
    exchange.connected()
    world.streams[0].answer()
    assert world.of(exchange)[0] == (
        "head",
        (200, b"Server-Timing: wake;dur=10.0, schedule;dur=20.0, start;dur=300.0, connect;dur=4.0\r\n"),
    )


def test_a_body_that_was_paused_while_it_waited_comes_on_when_it_goes() -> None:
    world = World(hold=4)
    world.put()
    exchange = world.begin(b"POST", b"abcd", whole=False, length=8)
    assert world.of(exchange) == [("pause", b"")]
    world.put("a:1")
    assert world.of(exchange) == [("pause", b""), ("resume", b"")]


def test_waiters_beyond_the_bound_are_refused_with_a_time_to_come_back(world: World) -> None:
    world.put(queue_limit=1)
    world.begin()
    with pytest.raises(Refused) as caught:
        world.begin()
    assert caught.value.retry_after >= 1


def test_a_request_that_cannot_make_its_deadline_is_refused_at_once_with_the_rest_of_the_cold_start(world: World) -> None:
    world.put()
    world.begin()
    world.clock.now += 8.0
    world.put("a:1")  # so a cold start takes 8 seconds
    world.streams[0].answer()
    world.put(timeout=5.0)
    asked = len(world.wakes.at)
    with pytest.raises(Refused) as refused:
        world.begin()
    assert refused.value.retry_after == pytest.approx(8.0)
    assert len(world.wakes.at) == asked + 1, "it wakes the function all the same, or nobody would ever be let in"
    assert world.present() == (0, 0)
    world.clock.now += 4.0
    world.begin()
    assert world.present() == (0, 1), "4 of the 8 seconds are over, and it has 5"


def test_a_refused_request_leaves_nothing_to_the_next_one_of_its_stream(world: World) -> None:
    world.put("a:1", "b:1", sticky="header:X-User")
    world.board.put(Route(KEY, (Backend("r1", (Endpoint("a:1"),), 0),), Settings(sticky="header:X-User")))
    exchange = Exchange(world.board, Near(1, world.frames))
    request = Request(b"GET", b"hello", b"/x", read_fields(b"Host: a\r\nX-User: u\r\n", b"1", SENDER))
    with pytest.raises(Refused):
        exchange.begin(request, b"", True)
    assert (exchange.sticky, exchange.rare) == (b"", False)


def test_a_slot_goes_from_hand_to_hand_without_recursion(world: World) -> None:
    world.put(concurrency=1, queue_limit=0)
    exchanges = [world.begin() for _ in range(3000)]
    world.refusing.add("a:1")
    world.put("a:1", concurrency=1, queue_limit=0, timeout=0.001)
    world.clock.now += 100
    world.board.tick()
    for exchange in exchanges:
        if exchange.state not in (IDLE, WAITING):
            exchange.check(world.clock.now)
    world.pass_time(1)
    assert world.present() == (0, 0)
    assert {kind for exchange in exchanges for kind, _ in world.of(exchange)} == {"problem"}


def test_the_time_budget_covers_waiting_connecting_and_answering(world: World) -> None:
    world.put("a:1", timeout=1)
    exchange = world.begin()
    world.clock.now += 1
    exchange.check(world.clock.now)
    assert world.of(exchange) == [("problem", 504)]
    assert world.streams[0].aborted


def test_a_client_that_goes_frees_its_slot_in_every_state(world: World) -> None:
    world.put()
    waiting = world.begin()
    waiting.client_gone()
    world.put("a:1")
    sent = world.begin()
    sent.client_gone()
    responding = world.begin()
    far = world.streams[-1]
    responding.respond(read_response(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"), b"abc", False, None)
    responding.client_gone()
    world.refusing.add("a:1")
    backing_off = world.begin()
    backing_off.client_gone()
    assert world.present() == (0, 0)
    assert far.aborted and all(far.aborted for far in world.streams)
    assert not world.board.backing_off


def test_a_tunnel_ends_when_both_directions_have(world: World) -> None:
    world.put("a:1")
    exchange = world.begin(lines=b"Connection: upgrade\r\nUpgrade: websocket\r\n")
    far = world.streams[0]
    response = read_response(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n")
    assert exchange.switch(response)
    exchange.request_data(b"ping")
    exchange.response_data(b"pong")
    exchange.request_end(b"")
    assert exchange.state == TUNNEL
    exchange.response_end(b"")
    assert world.of(exchange) == [("switch", b"websocket"), ("data", b"pong"), ("end", b""), ("finished", b"")]
    assert far.body == b"ping"
    assert world.present() == (0, 0)


class Chaos:
    """Things that happen to a route with two replicas and a hard limit, in any order."""

    def __init__(self, random: Any) -> None:
        self.random = random
        self.world = World()
        self.exchanges: list[Exchange] = []
        self.up()

    def begin(self) -> None:
        self.exchanges.append(self.world.begin(self.random.choice([b"GET", b"POST"])))

    def answer(self) -> None:
        for far in self._stream():
            far.answer()

    def lose(self) -> None:
        for far in self._stream():
            far.lose(self.random.random() < 0.5)

    def refuse(self) -> None:
        self.world.refusing.add("a:1")

    def accept(self) -> None:
        self.world.refusing.clear()

    def hang_up(self) -> None:
        if self.exchanges:
            self.random.choice(self.exchanges).client_gone()

    def up(self) -> None:
        self.world.put("a:1", "b:1", concurrency=2, timeout=5)

    def down(self) -> None:
        self.world.put(concurrency=2, timeout=5)

    def time(self) -> None:
        self.world.pass_time(0.5)

    def end(self) -> None:
        """So late that every deadline is over."""
        for _ in range(2):
            self.world.pass_time(6)
            for exchange in self.exchanges:
                if exchange.state != IDLE:
                    exchange.check(self.world.clock.now)

    def _stream(self) -> list[Far]:
        streams = [far for far in self.world.streams if far.exchange is not None]
        return [self.random.choice(streams)] if streams else []


EVENTS = st.sampled_from(["begin", "begin", "answer", "lose", "refuse", "accept", "hang_up", "up", "down", "time"])


@given(st.lists(EVENTS, min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_whatever_happens_nobody_is_forgotten_and_every_slot_comes_back(events: list[str], random: Any) -> None:
    chaos = Chaos(random)
    for event in events:
        getattr(chaos, event)()
    chaos.end()
    assert chaos.world.present() == (0, 0)
    assert not chaos.world.board.backing_off
    for exchange in chaos.exchanges:
        kinds = [kind for kind, _ in chaos.world.of(exchange)]
        assert exchange.state == IDLE
        assert kinds.count("head") + kinds.count("problem") <= 1


def test_a_sticky_client_stays_with_its_revision_and_with_its_endpoint_there(world: World) -> None:
    backends = (Backend("r1", (Endpoint("a:1"), Endpoint("a:2"))), Backend("r2", (Endpoint("b:1"), Endpoint("b:2"))))
    world.board.put(Route(KEY, backends, Settings(sticky="header:X-User")))
    places: dict[int, set[str]] = {}
    for user in (*range(40), *range(40)):
        world.begin(lines=b"X-User: u%d\r\n" % user)
        far = world.streams[-1]
        places.setdefault(user, set()).add(far.upstream.address)
        far.answer(body=b"ok")
    assert all(len(seen) == 1 for seen in places.values())
    assert set.union(*places.values()) == {"a:1", "a:2", "b:1", "b:2"}

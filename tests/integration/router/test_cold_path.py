"""Requests that find nothing ready: held, woken for, let go in order, or told the truth."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from router.model import Backend, Endpoint, Route
from router.settings import Settings
from tests.integration.router.router_world import KEY, Wire, World

GET = b"GET /fn/hello/%d HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def waiting(world: World, count: int) -> bool:
    return world.settles(lambda: world.present() == (0, count))


def problem(wire: Wire) -> dict[str, object]:
    head, body = wire.answer()
    assert b"Content-Type: application/problem+json\r\n" in head
    document: dict[str, object] = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % document["status"])
    return document


def test_a_cold_request_wakes_its_function_waits_and_is_told_what_it_cost(world: World) -> None:
    world.put()
    client = world.client()
    client.send(GET % 1)
    assert waiting(world, 1)
    assert world.wakes.keys[0] == KEY
    origin = world.origin()
    world.put(origin)
    function = origin.accept()
    assert function.head().startswith(b"GET /1 ")
    function.send(OK)
    head, body = client.answer()
    assert body == b"ok"
    timing = re.search(
        rb"Server-Timing: wake;dur=[0-9.]+, schedule;dur=[0-9.]+, start;dur=[0-9.]+, connect;dur=[0-9.]+\r\n", head
    )
    assert timing
    client.send(GET % 2)
    function.head()
    function.send(OK)
    assert b"Server-Timing" not in client.answer()[0]


def test_a_wake_is_repeated_while_anyone_waits(world: World) -> None:
    world.put()
    world.client().send(GET % 1)
    assert world.settles(lambda: len(world.wakes.keys) >= 3)


def test_waiters_go_in_the_order_of_their_arrival(world: World) -> None:
    world.put(concurrency=1)
    clients = []
    for number in range(5):
        clients.append(world.client())
        clients[-1].send(GET % number)
        assert waiting(world, number + 1)
    origin = world.origin()
    world.put(origin, concurrency=1)
    function = origin.accept()
    for number in range(5):
        assert function.head().startswith(b"GET /%d " % number)
        function.send(OK)
        assert clients[number].answer()[1] == b"ok"
    assert world.present() == (0, 0)


def test_a_waiting_body_is_held_and_goes_whole(world: World) -> None:
    world.put()
    client = world.client()
    client.send(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    assert waiting(world, 1)
    client.send(b"def")
    origin = world.origin()
    world.put(origin)
    function = origin.accept()
    function.head()
    assert function.exactly(6) == b"abcdef"


def test_a_large_waiting_body_is_read_no_further_than_the_bound(worlds: Callable[[Settings], World]) -> None:
    world = worlds(Settings(hold_size=10_000))
    world.put()
    client = world.client()
    size = 20_000_000
    client.send(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    client.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.sock.sendall(bytes(size))
    held = world.call(lambda: max(len(one.exchange.held or b"") for one in world.plane.clients.open))
    assert 10_000 <= held <= 10_000 + 131072


def test_whoever_hangs_up_leaves_the_queue(worlds: Callable[[Settings], World]) -> None:
    world = worlds(Settings(hold_size=1000))
    world.put()
    plain, paused = world.client(), world.client()
    plain.send(GET % 1)
    paused.send(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n" + bytes(30_000))
    assert waiting(world, 2)
    plain.close()
    assert waiting(world, 1)
    paused.close()
    assert waiting(world, 0)


def test_whoever_waits_until_the_deadline_gets_504_and_a_time_to_come_back(world: World) -> None:
    world.put(timeout=0.2)
    client = world.client()
    client.send(GET % 1)
    document = problem(client)
    assert document["status"] == 504
    assert document["retryAfter"] == 1
    assert world.present() == (0, 0)
    client.send(GET % 2)
    assert waiting(world, 1), "the connection stays usable"


def test_a_full_queue_refuses_at_once_with_retry_after(world: World) -> None:
    world.put(queue_limit=1)
    first, second = world.client(), world.client()
    first.send(GET % 1)
    assert waiting(world, 1)
    second.send(GET % 2)
    assert problem(second)["status"] == 503


def test_waiters_of_a_deleted_function_get_404(world: World) -> None:
    world.put()
    client = world.client()
    client.send(GET % 1)
    assert waiting(world, 1)
    world.call(lambda: world.plane.remove(KEY))
    assert problem(client)["status"] == 404


def test_waiters_follow_the_weight_to_another_revision(world: World) -> None:
    world.put()
    client = world.client()
    client.send(GET % 1)
    assert waiting(world, 1)
    origin = world.origin()
    backends = (Backend("r1", (), 0), Backend("r2", (Endpoint(origin.address),), 100))
    world.call(lambda: world.plane.put(Route(KEY, backends)))
    function = origin.accept()
    assert function.head().startswith(b"GET /1 ")


def test_the_parts_of_a_cold_start_are_told_apart(world: World) -> None:
    world.put()
    client = world.client()
    client.send(GET % 1)
    assert waiting(world, 1)
    world.call(lambda: world.plane.woken(KEY))
    world.call(lambda: world.plane.scheduled(KEY))
    origin = world.origin()
    world.put(origin)
    function = origin.accept()
    function.head()
    function.send(OK)
    head, _ = client.answer()
    parts = [float(number) for number in re.findall(rb"dur=([0-9.]+)", head)]
    assert len(parts) == 4 and parts[0] > 0

"""Functions that refuse, swallow or break connections, and slow ends: the outcome as specified, every count back to zero."""

from __future__ import annotations

import time

import pytest

from tests.integration.faults.fault_world import (
    GET,
    HALF,
    OK,
    POST,
    SHORT,
    Hole,
    idle,
    left,
    no_more_connections,
    nothing_is_left,
    read_by_router,
)
from tests.integration.router.router_world import Origin, World


def gone(world: World) -> Origin:
    """An endpoint that refuses connections."""
    origin = world.origin()
    origin.listener.close()
    return origin


def swallowing(world: World, hole: Hole) -> Origin:
    """An endpoint that connecting to hangs."""
    origin = world.origin()
    origin.listener.close()
    origin.address = hole.address
    return origin


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["GET", "POST"])
def test_a_refused_request_goes_to_another_endpoint_once_whatever_its_method(world: World, request_bytes: bytes) -> None:
    good = world.origin()
    world.put(gone(world), gone(world), good)
    for _ in range(6):
        client = world.client()
        client.send(request_bytes)
        function = good.accept() if not good.wires else good.wires[-1]
        function.head()
        function.data = b""
        function.send(OK)
        assert client.answer()[1] == b"hello"
        client.close()
    assert len(good.wires) == 1 and no_more_connections(good, 0.05)
    assert nothing_is_left(world)


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["GET", "POST"])
def test_a_request_that_all_endpoints_refuse_is_502_within_the_patience(world: World, request_bytes: bytes) -> None:
    world.put(gone(world), gone(world))
    client = world.client()
    began = time.monotonic()
    client.send(request_bytes)
    assert client.answer()[0].startswith(b"HTTP/1.1 502")
    assert time.monotonic() - began < SHORT.reconnect_timeout + 1.0
    client.close()
    assert nothing_is_left(world)


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["GET", "POST"])
def test_a_swallowed_connection_is_given_up_for_another_endpoint(world: World, hole: Hole, request_bytes: bytes) -> None:
    good = world.origin()
    world.put(swallowing(world, hole), good)
    served = 0
    while served < 4:
        client = world.client()
        client.send(request_bytes)
        function = good.accept()
        function.head()
        function.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert client.answer()[1] == b"hello"
        client.close()
        function.close()
        served += 1
    assert nothing_is_left(world)


def test_a_function_whose_every_connection_is_swallowed_is_502(world: World, hole: Hole) -> None:
    world.put(swallowing(world, hole))
    client = world.client()
    client.send(POST)
    assert client.answer()[0].startswith(b"HTTP/1.1 502")
    client.close()
    assert nothing_is_left(world)
    assert world.settles(lambda: idle(world) == 0)


def test_a_swallowed_connection_counts_towards_the_deadline(world: World, hole: Hole) -> None:
    world.put(swallowing(world, hole), timeout=0.1)
    client = world.client()
    client.send(GET)
    assert client.answer()[0].split(b" ")[1] in (b"502", b"504")
    client.close()
    assert nothing_is_left(world)


def test_a_post_on_a_connection_that_breaks_after_taking_it_is_502_and_not_sent_again(world: World) -> None:
    first, second = world.origin(), world.origin()
    world.put(first, second)
    client = world.client()
    client.send(POST)
    taken = next(origin for origin in (first, second) if connected(origin))
    taken.wires[-1].until(b"\r\n\r\nabc")
    taken.wires[-1].reset()
    assert client.answer()[0].startswith(b"HTTP/1.1 502")
    assert no_more_connections(first, 0.05) and no_more_connections(second, 0.05)
    client.close()
    assert nothing_is_left(world)


def connected(origin: Origin) -> bool:
    """Was it connected to?"""
    origin.listener.settimeout(0.2)
    try:
        origin.accept()
    except TimeoutError:
        return False
    return True


def test_a_function_that_answers_byte_by_byte_is_passed_on_as_it_comes(world: World) -> None:
    client, function = world.asked(GET)
    function.head()
    for at in range(len(OK)):
        function.send(OK[at : at + 1])
        read_by_router(world)
    assert client.answer()[1] == b"hello"
    client.close()
    assert nothing_is_left(world)


def test_a_request_that_comes_byte_by_byte_goes_on_whole(world: World) -> None:
    origin = world.origin()
    world.put(origin)
    client = world.client()
    for at in range(len(POST)):
        client.send(POST[at : at + 1])
        read_by_router(world)
    function = origin.accept()
    assert function.until(b"\r\n\r\nabc").startswith(b"POST /x ")
    function.send(OK)
    assert client.answer()[1] == b"hello"
    client.close()
    assert nothing_is_left(world)


@pytest.mark.parametrize(("data", "status"), [(GET[:30], b"408"), (HALF, b"408")], ids=["head", "body"])
def test_a_request_that_stops_coming_is_408(world: World, data: bytes, status: bytes) -> None:
    origin = world.origin()
    world.put(origin)
    client = world.client()
    client.send(data)
    assert client.answer()[0].split(b" ")[1] == status
    client.close()
    assert nothing_is_left(world)
    if data is HALF:
        origin.accept().rest()  # what the function got was broken off


def test_a_function_that_reads_slowly_holds_its_client_back_and_gets_all(world: World) -> None:
    origin = world.origin()
    world.put(origin)
    client = world.client()
    size = 24 << 20
    client.send(b"POST /fn/hello/x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
    function = origin.accept()
    client.sock.setblocking(False)
    sent = pushed(client.sock.send, size)
    assert sent < size, "more was read than anybody takes"
    assert world.call(lambda: max(len(one.out) for one in world.plane.pool.open_now)) <= 1 << 20
    client.sock.setblocking(True)
    function.head()
    got = 0
    while got < size:
        client.sock.setblocking(False)
        sent += pushed(client.sock.send, size - sent, patience=0.0)
        got += len(function.exactly(min(1 << 20, sent - got)))
    function.send(OK)
    client.sock.settimeout(5)
    assert client.answer()[1] == b"hello"
    client.close()
    assert nothing_is_left(world)


def pushed(send: object, most: int, patience: float = 0.2) -> int:
    """Bytes that a non-blocking socket takes until it has taken none for so long."""
    total, last = 0, time.monotonic()
    while total < most:
        try:
            total += send(b"x" * min(65536, most - total))  # type: ignore[operator]
            last = time.monotonic()
        except BlockingIOError:
            if time.monotonic() - last > patience:
                break
            time.sleep(0.005)
    return total


def test_a_function_that_takes_a_request_and_says_nothing_is_504(world: World) -> None:
    client, function = world.asked(POST, timeout=0.3)
    function.until(b"\r\n\r\nabc")
    assert client.answer()[0].startswith(b"HTTP/1.1 504")
    assert function.ended()
    client.close()
    assert nothing_is_left(world)
    assert left(world) == {}

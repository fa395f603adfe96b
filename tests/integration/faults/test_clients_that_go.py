"""A client that is gone at any stage of its request: the function learns of it where it must, and nothing of it stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.faults.fault_world import (
    GET,
    HALF,
    OK,
    SWITCHED,
    UPGRADE,
    Hole,
    left,
    nothing_is_left,
)
from tests.integration.router.router_world import Origin, Wire, World

Stage = Callable[[World, Origin], Wire]  # brings a request there; the function's end, if any, is origin.wires[-1]


def half_a_head(world: World, origin: Origin) -> Wire:
    client = world.client()
    client.send(GET[:20])
    return client


def waiting(world: World, origin: Origin) -> Wire:
    world.put()
    return asked(world, GET, "waiting")


def waiting_with_half_a_body(world: World, origin: Origin) -> Wire:
    world.put()
    return asked(world, HALF, "waiting")


def backing_off(world: World, origin: Origin) -> Wire:
    origin.listener.close()
    return asked(world, GET, "backing off")


def sending(world: World, origin: Origin) -> Wire:
    client = asked(world, HALF, "busy")
    origin.accept().until(b"\r\n\r\nabc")
    return client


def sending_more_than_is_taken(world: World, origin: Origin) -> Wire:
    client = asked(world, HALF.replace(b": 9", b": 99999999"), "busy")
    origin.accept()
    client.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        while True:
            client.sock.send(b"x" * 65536)
    return client


def sent(world: World, origin: Origin) -> Wire:
    client = asked(world, GET, "busy")
    origin.accept().head()
    return client


def responding(world: World, origin: Origin) -> Wire:
    client = sent(world, origin)
    origin.wires[-1].send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")
    client.until(b"half")
    return client


def responding_more_than_is_taken(world: World, origin: Origin) -> Wire:
    client = sent(world, origin)
    function = origin.wires[-1]
    function.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
    function.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        while True:
            function.sock.send(b"x" * 65536)
    return client


def in_a_tunnel(world: World, origin: Origin) -> Wire:
    client = asked(world, UPGRADE, "busy")
    origin.accept().head()
    origin.wires[-1].send(SWITCHED)
    client.head()
    client.send(b"ping")
    assert origin.wires[-1].exactly(4) == b"ping"
    return client


def between_requests(world: World, origin: Origin) -> Wire:
    client = sent(world, origin)
    origin.wires[-1].send(OK)
    client.answer()
    return client


def asked(world: World, data: bytes, state: str) -> Wire:
    client = world.client()
    client.send(data)
    assert world.settles(lambda: left(world).get(state) == 1)
    return client


AT_A_FUNCTION = (sending, sending_more_than_is_taken, sent, responding, responding_more_than_is_taken, in_a_tunnel)
STAGES = (half_a_head, waiting, waiting_with_half_a_body, backing_off, *AT_A_FUNCTION, between_requests)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_a_client_that_resets_its_connection_leaves_nothing_behind(world: World, stage: Stage) -> None:
    origin = world.origin()
    world.put(origin)
    client = stage(world, origin)
    client.reset()
    assert nothing_is_left(world)
    if stage in AT_A_FUNCTION:
        origin.wires[-1].rest()  # returns: the function is told


# Behind a whole request a FIN asks for nothing more, and is answered (RFC 9112 9.6): not so here.
CUT_SHORT = (half_a_head, waiting, waiting_with_half_a_body, backing_off, sending, between_requests)


@pytest.mark.parametrize("stage", CUT_SHORT, ids=lambda stage: stage.__name__)
def test_a_client_that_closes_before_its_request_is_whole_or_while_it_waits_leaves_nothing_behind(
    world: World, stage: Stage
) -> None:
    origin = world.origin()
    world.put(origin)
    stage(world, origin).close()
    assert nothing_is_left(world)
    if stage is sending:
        origin.wires[-1].rest()


def test_a_client_that_goes_while_its_function_is_connected_to_ends_the_attempt(world: World, hole: Hole) -> None:
    origin = world.origin()
    origin.address = hole.address
    world.put(origin)
    client = asked(world, GET, "busy")
    client.reset()
    assert nothing_is_left(world)
    assert world.call(lambda: len(world.plane.pool.open_now)) == 0


def test_whoever_waited_behind_a_client_that_went_goes_on(world: World) -> None:
    origin = world.origin()
    world.put(origin, concurrency=1)
    first = sent(world, origin)
    second = asked(world, GET, "waiting")
    third = world.client()
    third.send(GET)
    assert world.settles(lambda: left(world).get("waiting") == 2)
    second.reset()
    assert world.settles(lambda: left(world).get("waiting") == 1)
    first.reset()
    function = origin.accept()
    function.head()
    function.send(OK)
    assert third.answer()[1] == b"hello"
    third.close()
    assert nothing_is_left(world)


def test_a_client_that_stops_reading_is_cut_off_and_so_is_its_function(world: World) -> None:
    origin = world.origin()
    world.put(origin, idle_timeout=0.3)
    responding_more_than_is_taken(world, origin)
    assert nothing_is_left(world)
    origin.wires[-1].rest()

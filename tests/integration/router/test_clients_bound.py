"""More clients than there may be: the one that has been idle for longest goes, or whoever comes waits in the backlog."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from router.listening import room_for_clients
from router.settings import Settings
from tests.integration.router.router_world import Wire, World
from tests.integration.router.test_clients_connections import GET, HEADER, HERE, OK, secure

NOWHERE = b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"
TLS = {"tls_certificate": str(HERE / "localhost.pem"), "tls_key": str(HERE / "localhost.key.pem")}
Worlds = Callable[[Settings], World]


def bounded(worlds: Worlds, most: int, **settings: object) -> World:
    """A world of so many clients, of whom any that is idle may go at once."""
    world = worlds(Settings(client_connections=most, **settings))  # type: ignore[arg-type]
    clients = world.plane.clients
    world.call(lambda: setattr(clients, "times", replace(clients.times, rest=0.0)))
    return world


def answered(client: Wire) -> bool:
    """The router has a place for this client, and an answer."""
    client.send(NOWHERE)
    return client.answer()[0].startswith(b"HTTP/1.1 404 ")


def counts(world: World) -> tuple[int, int, int]:
    """Clients, those yet to be introduced, and listeners that wait for a place."""
    clients = world.plane.clients
    return world.call(lambda: (len(clients.open), len(clients.prefaces), len(clients.places.waiting)))


@pytest.fixture(params=["plain", "TLS"])
def connect(request: pytest.FixtureRequest, worlds: Worlds) -> tuple[World, Callable[[], Wire]]:
    """A world of at most two clients, and how to become one."""
    secured = request.param == "TLS"
    world = bounded(worlds, 2, **(TLS if secured else {}))
    return world, (lambda: secure(world)) if secured else world.client


def test_the_connection_that_has_been_idle_for_longest_is_closed_for_a_new_one(
    connect: tuple[World, Callable[[], Wire]], caplog: pytest.LogCaptureFixture
) -> None:
    world, client = connect
    first, second = client(), client()
    assert answered(first) and answered(second) and answered(first)
    third = client()
    assert answered(third) and answered(first)
    assert second.ended()
    assert counts(world) == (2, 0, 0)
    assert caplog.text.count("(client_connections: 2)") == 1


def test_where_nobody_is_idle_whoever_comes_waits_until_somebody_goes_and_nothing_spins(
    worlds: Worlds, caplog: pytest.LogCaptureFixture
) -> None:
    world = bounded(worlds, 1)
    origin = world.origin()
    world.put(origin)
    busy = world.client()
    busy.send(GET[:-2] + b"Connection: close\r\n\r\n")
    function = origin.accept()
    function.head()
    (listener,) = world.plane.listeners
    asked, serve = [], listener.on_event
    world.call(lambda: world.plane.poller._watched.update({listener.sock.fileno(): lambda e: (asked.append(e), serve(e))}))
    newcomer = world.client()
    newcomer.send(NOWHERE)
    began = time.monotonic()
    assert newcomer.silent(0.6)
    assert 1 <= len(asked) <= 2 + (time.monotonic() - began) / 0.25
    assert world.call(lambda: listener.resting) and counts(world)[0] == 1
    function.send(OK)
    assert busy.answer()[1] == b"ok" and busy.ended()
    busy.close()
    assert newcomer.answer()[0].startswith(b"HTTP/1.1 404 ")
    assert caplog.text.count("none of them is idle") == 1


def test_a_place_that_becomes_free_is_taken_at_once_without_waiting_for_the_clock(worlds: Worlds) -> None:
    world = bounded(worlds, 1)
    world.call(lambda: setattr(world.plane, "_swept", time.monotonic() + 60.0))  # no sweep helps
    client = world.client()
    client.send(GET[:10])
    assert world.settles(lambda: world.call(lambda: [one.begun for one in world.plane.clients.open]) == [True])
    newcomer = world.client()
    assert world.settles(lambda: counts(world)[2] == 1)
    client.close()
    assert answered(newcomer)


def test_who_has_yet_to_be_introduced_takes_a_place_too(worlds: Worlds) -> None:
    world = bounded(worlds, 1, proxy_protocol=("127.0.0.1/32",))
    first, second = world.client(), world.client()
    assert world.settles(lambda: counts(world) == (0, 1, 1))
    first.send(HEADER)
    assert answered(first)
    second.send(HEADER)
    assert answered(second), "the first one was idle"
    assert first.ended()


def test_whoever_waits_for_a_place_when_the_listener_closes_is_answered(worlds: Worlds) -> None:
    world = bounded(worlds, 1)
    client = world.client()
    client.send(GET[:10])
    assert world.settles(lambda: world.call(lambda: [one.begun for one in world.plane.clients.open]) == [True])
    waiting = [world.client() for _ in range(5)]
    for one in waiting:
        one.send(NOWHERE)
    assert world.settles(lambda: counts(world)[2] == 1)
    drained = asyncio.run_coroutine_threadsafe(world.plane.drain(5.0), world.loop)
    for one in waiting:
        assert b"Connection: close\r\n" in one.answer()[0]
        assert one.ended()
        one.close()
    client.close()
    drained.result(10)
    assert counts(world) == (0, 0, 0)


def test_nothing_is_left_of_clients_that_come_and_go_at_the_bound(worlds: Worlds) -> None:
    world = bounded(worlds, 3)
    origin = world.origin()
    world.put(origin)
    for number in range(40):
        client, request = world.client(), (b"", GET[:10], NOWHERE, NOWHERE * 2, GET)[number % 5]
        if number % 2 or request == GET:  # a FIN behind a whole request would be answered, and the function says nothing
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(ConnectionError):  # it was the longest idle one, and had to go
            client.send(request)
        if number % 3:
            client.close()
    for one in world._closing:
        if isinstance(one, Wire):
            one.close()
    assert world.settles(lambda: counts(world) == (0, 0, 0))
    assert world.present() == (0, 0)
    assert not world.call(lambda: world.plane.listeners[0].resting)
    assert answered(world.client())


def test_more_clients_than_descriptors_allow_are_warned_of(worlds: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    room = room_for_clients()
    assert answered(worlds(Settings(client_connections=room + 1)).client())
    assert f"client_connections is {room + 1}: beyond {room} requests may find no descriptor" in caplog.text
    assert worlds(Settings()).plane.clients.places.most == room

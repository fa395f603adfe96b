"""A route that leads back to the router: with a name for Via, a request goes round a few times and no more."""

from __future__ import annotations

from collections.abc import Callable

from router.http1.hops import ROUNDS
from router.model import Backend, Endpoint, Route
from router.settings import Settings
from tests.integration.router.router_world import KEY, World


def test_a_request_that_goes_round_is_ended_by_a_router_with_a_name(worlds: Callable[[Settings], World]) -> None:
    world = worlds(Settings(via="edge"))
    route = Route(KEY, (Backend("r1", (Endpoint(f"127.0.0.1:{world.port}"),)),), hosts=("round",))
    world.call(lambda: world.plane.put(route))
    client = world.client()
    client.send(b"GET /x HTTP/1.1\r\nHost: round\r\n\r\n")
    head, body = client.answer()
    assert head.startswith(b"HTTP/1.1 508 Loop Detected\r\n")
    assert b"%d times" % ROUNDS in body
    assert world.settles(lambda: world.present() == (0, 0))

"""What clients get when a function misbehaves: never a silently short body, never a POST sent twice."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from router.settings import Settings
from tests.integration.router.router_world import KEY, Origin, Wire, World

GET = b"GET /fn/hello/x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /fn/hello/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def begun(world: World, request: bytes) -> tuple[Wire, Origin, Wire]:
    origin = world.origin()
    world.put(origin)
    client = world.client()
    client.send(request)
    function = origin.accept()
    function.head()
    return client, origin, function


def warm(world: World) -> tuple[Wire, Origin, Wire]:
    """One request is over, so that a pooled connection is there."""
    client, origin, function = begun(world, GET)
    function.send(OK)
    client.answer()
    return client, origin, function


def test_a_get_that_got_no_byte_of_an_answer_is_sent_again(world: World) -> None:
    client, origin, function = begun(world, GET)
    function.reset()
    second = origin.accept()
    second.head()
    second.send(OK)
    assert client.answer()[1] == b"ok"


def test_a_post_that_may_have_been_read_is_never_sent_again(world: World) -> None:
    client, origin, function = begun(world, POST)
    function.reset()
    assert client.answer()[0].startswith(b"HTTP/1.1 502 ")
    origin.listener.settimeout(0.1)
    with pytest.raises(TimeoutError):
        origin.accept()
    assert world.present() == (0, 0)


def test_a_get_with_some_of_an_answer_is_never_sent_again(world: World) -> None:
    client, origin, function = begun(world, GET)
    function.send(b"HTTP/1.1 200 OK\r\nContent-")
    function.close()
    assert client.answer()[0].startswith(b"HTTP/1.1 502 ")
    origin.listener.settimeout(0.1)
    with pytest.raises(TimeoutError):
        origin.accept()


def test_an_idle_connection_that_the_function_closed_is_not_used(world: World) -> None:
    client, origin, function = warm(world)
    function.close()
    assert world.settles(lambda: world.call(lambda: not world.plane.pool.open_now))
    client.send(POST)
    second = origin.accept()
    second.head()
    second.send(OK)
    assert client.answer()[1] == b"ok"


def test_a_connection_with_unasked_bytes_is_not_used_again(world: World) -> None:
    client, origin, function = begun(world, GET)
    function.send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert client.answer()[1] == b"ok"
    client.send(GET)
    second = origin.accept()
    second.head()
    second.send(OK)
    assert client.answer()[1] == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
    ],
)
def test_a_body_that_breaks_off_is_never_passed_on_as_whole(world: World, answer: bytes) -> None:
    client, _, function = begun(world, GET)
    function.send(answer)
    client.until(b"short")
    function.close()
    rest = client.rest()
    assert b"0\r\n\r\n" not in rest
    assert world.settles(lambda: world.present() == (0, 0))


def test_a_body_that_would_end_with_the_connection_is_reset_when_it_breaks_off(world: World) -> None:
    client, _, function = begun(world, b"GET /fn/hello HTTP/1.0\r\n\r\n")
    function.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")
    client.until(b"short")
    function.close()
    with pytest.raises(ConnectionResetError):
        client.sock.recv(1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17 + OK,
    ],
)
def test_an_answer_that_is_not_http_is_a_bad_gateway(world: World, answer: bytes) -> None:
    client, _, function = begun(world, GET)
    function.send(answer)
    data = client.until(b" 502 ")
    assert b"200 OK" not in data
    assert world.settles(lambda: world.present() == (0, 0))


def test_a_replica_that_died_is_replaced_before_its_callers_notice(world: World) -> None:
    dead = world.origin()
    world.put(dead)
    dead.close()
    client = world.client()
    client.send(POST)
    assert world.client().silent(0.2)
    alive = world.origin()
    world.put(alive)
    function = alive.accept()
    function.head()
    assert function.exactly(2) == b"hi"
    function.send(OK)
    assert client.answer()[1] == b"ok"
    assert world.present() == (0, 0)


def test_another_replica_is_tried_when_one_refuses(world: World) -> None:
    dead, alive = world.origin(), world.origin()
    world.put(dead, alive)
    dead.close()
    for _ in range(5):
        client = world.client()
        client.send(POST)
        function = alive.accept()
        function.head()
        function.send(OK + b"")
        assert client.answer()[1] == b"ok"
        function.close()


def test_a_function_that_stays_unreachable_is_a_bad_gateway(worlds: Callable[[Settings], World]) -> None:
    world = worlds(Settings(reconnect_timeout=0.2))
    dead = world.origin()
    world.put(dead)
    dead.close()
    client = world.client()
    client.send(GET)
    assert client.answer()[0].startswith(b"HTTP/1.1 502 ")
    assert world.present() == (0, 0)


def test_a_function_that_does_not_answer_is_given_up_at_the_deadline(world: World) -> None:
    client, function = world.asked(GET, timeout=0.2)
    function.head()
    assert client.answer()[0].startswith(b"HTTP/1.1 504 ")
    assert function.ended()
    assert world.present() == (0, 0)


def test_a_response_that_stalls_is_cut_after_the_idle_timeout(world: World) -> None:
    client, function = world.asked(GET, idle_timeout=0.2)
    function.head()
    function.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    client.head()
    assert client.rest() == b"abc"
    assert function.ended()


def test_a_function_learns_that_its_client_is_gone(world: World) -> None:
    client, _, function = begun(world, GET)
    client.reset()
    assert function.ended()
    assert world.settles(lambda: world.present() == (0, 0))


def test_a_fin_behind_a_request_is_answered_unless_the_owner_cancels_on_it(world: World) -> None:
    client, _, function = begun(world, GET)
    client.sock.shutdown(socket.SHUT_WR)
    assert client.silent()
    function.send(OK)
    assert client.answer()[1] == b"ok"
    assert client.ended()

    client, function = world.asked(GET, client_abort="fin")
    function.head()
    client.sock.shutdown(socket.SHUT_WR)
    assert function.ended()


def test_a_truncated_request_is_never_passed_on_as_whole(world: World) -> None:
    client, _, function = begun(world, b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    client.sock.shutdown(socket.SHUT_WR)
    assert b"0\r\n\r\n" not in function.rest()
    assert world.settles(lambda: world.present() == (0, 0))


def test_a_keep_alive_promise_is_honoured_by_a_second_of_margin(world: World) -> None:
    client, _, function = begun(world, GET)
    function.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=1\r\n\r\nok")
    client.answer()
    assert function.ended()


def test_a_defect_of_the_router_while_it_reads_an_answer_is_told_to_the_client(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _, function = begun(world, POST)
    monkeypatch.setattr(world.plane.pool, "responses", "planted")  # whoever looks into it, fails
    function.send(OK)
    assert client.answer()[0].startswith(b"HTTP/1.1 502 ")
    assert world.call(lambda: world.plane.in_flight(KEY, "r1")) == 0


def test_a_route_that_comes_back_with_a_request_in_flight_is_counted_again(world: World) -> None:
    client, origin, function = begun(world, GET)
    world.call(lambda: world.plane.remove(KEY))
    world.put(origin)
    function.send(OK)
    client.answer()
    client.send(GET)
    function.head()
    function.send(OK)
    client.answer()
    row = world.call(lambda: world.plane.board.find_name(b"hello").row)
    assert row is not None and row.page, "its counts go nowhere"

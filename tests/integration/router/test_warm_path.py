"""Requests and answers through real sockets, when a replica is there."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from threading import Thread

import pytest

from tests.integration.router.router_world import Wire, World

GET = b"GET /fn/hello/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nok"


def served(world: World, request: bytes = GET, answer: bytes = OK) -> tuple[Wire, Wire, bytes]:
    """A client and an origin with one request behind them; and the head that the origin saw."""
    client, function = world.asked(request)
    head = function.head()
    function.send(answer)
    client.answer()
    return client, function, head


def test_a_function_is_called_below_its_own_root_and_told_who_asked(world: World) -> None:
    _, _, head = served(world)
    lines = head.decode().split("\r\n")
    assert lines[0] == "GET /x?y HTTP/1.1"
    assert lines[1:6] == [
        "Host: a.example",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: a.example",
        "X-Forwarded-Prefix: /fn/hello",
    ]
    assert lines[6].startswith("X-Request-Id: ")
    assert lines[7].startswith("traceparent: 00-")


def test_connections_are_kept_and_used_again_on_both_sides(world: World) -> None:
    client, function, _ = served(world)
    client.send(GET)
    assert function.head().startswith(b"GET /x?y ")
    function.send(OK)
    assert client.answer()[1] == b"ok"


def test_a_function_may_listen_on_a_unix_socket(world: World, tmp_path: Path) -> None:
    client, function = world.asked(GET, path=str(tmp_path / "f.sock"))
    function.head()
    function.send(OK)
    assert client.answer()[1] == b"ok"


def test_pipelined_requests_are_answered_in_order(world: World) -> None:
    client, function = world.asked(GET + b"GET /fn/nope HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + GET)
    function.head()
    function.send(OK)
    function.head()
    function.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nend")
    answers = [client.answer() for _ in range(5)]
    assert [head[9:12] for head, _ in answers] == [b"200", b"404", b"404", b"404", b"200"]
    assert answers[-1][1] == b"end"


@pytest.mark.parametrize("size", [1, 70_000, 3_000_000])
def test_bodies_by_length_arrive_whole_in_both_directions(world: World, size: int) -> None:
    body = os.urandom(size)
    origin = world.origin()
    world.put(origin)
    client = world.client()
    client.send(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    sender = Thread(target=client.send, args=(body,))
    sender.start()
    function = origin.accept()
    function.head()
    assert function.exactly(size) == body
    sender.join()
    echo = Thread(target=function.send, args=(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body,))
    echo.start()
    assert client.answer()[1] == body
    echo.join()


def test_a_chunked_request_is_framed_anew_with_its_trailers(world: World) -> None:
    client, function = world.asked(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhel")
    assert b"Transfer-Encoding: chunked\r\n" in function.head()
    assert function.until(b"hel\r\n") == b"3\r\nhel\r\n"
    client.send(b"lo\r\n0\r\nX-Sum: 1\r\nContent-Length: 7\r\n\r\n")
    assert function.until(b"\r\n\r\n") == b"2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n"
    function.send(OK)
    assert client.answer()[1] == b"ok"


def test_a_chunked_response_is_streamed_as_it_comes(world: World) -> None:
    client, function = world.asked(GET)
    function.head()
    function.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\none\r\n")
    assert b"Trailer" not in client.head()
    assert client.until(b"one\r\n") == b"3\r\none\r\n"
    function.send(b"3\r\ntwo\r\n0\r\nX-T: 1\r\n\r\n")
    assert client.until(b"\r\n\r\n") == b"3\r\ntwo\r\n0\r\nX-T: 1\r\n\r\n"
    client.send(GET)
    assert function.head()


def test_an_http_1_0_client_gets_a_chunked_response_until_the_connection_closes(world: World) -> None:
    client, function = world.asked(b"GET /fn/hello HTTP/1.0\r\n\r\n")
    assert b"\r\nHost: " in function.head()
    function.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n")
    head = client.head()
    assert b"Connection: close\r\n" in head and b"chunked" not in head
    assert client.rest() == b"one"


def test_a_response_that_ends_with_its_connection_is_chunked_to_the_client(world: World) -> None:
    client, function = world.asked(GET)
    function.head()
    function.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert b"Transfer-Encoding: chunked\r\n" in client.head()
    function.close()
    assert client.until(b"0\r\n\r\n") == b"3\r\nabc\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
def test_answers_without_a_body_leave_the_connections_in_step(world: World, method: bytes, answer: bytes) -> None:
    client, function = world.asked(GET.replace(b"GET", method))
    function.head()
    function.send(answer)
    assert client.head().split(b"\r\n")[0] == answer.split(b"\r\n")[0]
    client.send(GET)
    function.head()
    function.send(OK)
    assert client.answer() == (OK[:-2], b"ok")


def test_expect_continue_and_early_hints_reach_the_client_in_time(world: World) -> None:
    client, function = world.asked(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert b"Expect: 100-continue\r\n" in function.head()
    function.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hi")
    assert function.exactly(2) == b"hi"
    function.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    assert client.head() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert client.answer()[1] == b"ok"


def test_a_websocket_tunnel_carries_bytes_both_ways_until_both_sides_end(world: World) -> None:
    client, function = world.asked(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\nearly")
    head = function.head()
    assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in head
    function.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi")
    assert client.head().endswith(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert client.exactly(2) == b"hi"
    assert function.exactly(5) == b"early"
    client.send(b"\x81\x00")
    assert function.exactly(2) == b"\x81\x00"
    assert world.present() == (1, 0)
    client.sock.shutdown(socket.SHUT_WR)
    assert function.ended()
    function.send(b"last")
    function.close()
    assert client.rest() == b"last"
    assert world.settles(lambda: world.present() == (0, 0))


def test_a_tunnel_whose_function_hangs_up_for_good_is_over_without_a_word_of_the_client(world: World, tmp_path: Path) -> None:
    client, function = world.asked(
        GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n", path=str(tmp_path / "s")
    )  # a unix socket tells a full hang-up at once, and again and again
    function.head()
    function.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    client.head()
    assert world.present() == (1, 0)
    function.send(b"bye")
    function.close()
    assert client.rest() == b"bye"
    assert world.settles(lambda: world.present() == (0, 0))


def test_an_upgrade_to_a_protocol_that_is_not_listed_is_not_offered_to_the_function(world: World) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n"
    _, _, head = served(world, GET[:-2] + upgrade)
    assert b"pgrade" not in head and b"HTTP2" not in head


def test_a_101_that_nobody_asked_for_is_a_bad_gateway(world: World) -> None:
    client, function = world.asked(GET)
    function.head()
    function.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert client.answer()[0].startswith(b"HTTP/1.1 502 ")
    assert function.ended()


def test_an_answer_before_the_whole_request_ends_both_connections_in_order(world: World) -> None:
    client, function = world.asked(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
    function.head()
    function.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    head, body = client.answer()
    assert b"\r\nConnection: close\r\n" in head and body == b"no"
    assert client.ended()
    assert function.rest() == b"abc"


def test_a_slow_client_pauses_the_function_and_costs_no_memory(world: World) -> None:
    origin = world.origin()
    world.put(origin)
    client = world.client()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.send(GET)
    function = origin.accept()
    function.head()
    function.sock.settimeout(0.3)
    size, sent = 50_000_000, 0
    function.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    with contextlib.suppress(TimeoutError):
        while sent < size:
            sent += function.sock.send(bytes(min(1 << 20, size - sent)))
    held = world.call(lambda: sum(len(one.out) for one in world.plane.clients.open))
    assert sent < size and held <= 131072 * 2

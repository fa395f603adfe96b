"""What concerns a client's connection: limits of time, TLS, who it speaks for, draining, the access log."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import shutil
import socket
import ssl
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from router.access_log import AccessLog
from router.proxy_protocol import SIGNATURE
from router.settings import Settings
from router.wire.tls import Certificate
from tests.integration.router.router_world import Wire, World

HERE = Path(__file__).parent
GET = b"GET /fn/hello/x?secret=1 HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ADDRESSES = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 4000, 80)
HEADER = SIGNATURE + b"\x21\x11" + struct.pack("!H", len(ADDRESSES)) + ADDRESSES  # of the PROXY protocol


def served(world: World, client: Wire, request: bytes = GET) -> bytes:
    """Serve one request; returns the head that the function saw."""
    origin = world.origin()
    world.put(origin)
    client.send(request)
    function = origin.accept()
    head = function.head()
    function.send(OK)
    assert client.answer()[1] == b"ok"
    return head


def test_a_head_that_does_not_end_in_time_is_408(worlds: Callable[[Settings], World]) -> None:
    client = worlds(Settings(head_timeout=0.1)).client()
    client.send(b"GET /fn/hello HTTP/1.1\r\nHo")
    assert client.answer()[0].startswith(b"HTTP/1.1 408 ")
    assert client.ended()


def test_a_connection_that_is_idle_for_too_long_is_closed(worlds: Callable[[Settings], World]) -> None:
    world = worlds(Settings(idle_timeout=0.1))
    client = world.client()
    served(world, client)
    assert client.ended()


def test_a_body_that_stops_coming_is_408(worlds: Callable[[Settings], World]) -> None:
    world = worlds(Settings(body_idle_timeout=0.1))
    world.put(world.origin())
    client = world.client()
    client.send(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    assert client.answer()[0].startswith(b"HTTP/1.1 408 ")
    assert world.present() == (0, 0)


def test_a_body_beyond_the_functions_limit_is_413_announced_or_not(world: World) -> None:
    world.put(world.origin(), body_limit=4)
    announced = world.client()
    announced.send(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde")
    assert announced.answer()[0].startswith(b"HTTP/1.1 413 ")
    chunked = world.client()
    chunked.send(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    assert chunked.silent()
    chunked.send(b"2\r\nde\r\n")
    assert chunked.answer()[0].startswith(b"HTTP/1.1 413 ")
    assert world.present() == (0, 0)


def test_forwarded_lines_are_believed_from_trusted_networks_only(worlds: Callable[[Settings], World]) -> None:
    request = GET[:-2] + b"X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n\r\n"
    stranger = worlds(Settings())
    head = served(stranger, stranger.client(), request)
    assert b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n" in head and b"9.9.9.9" not in head
    friend = worlds(Settings(trusted=("127.0.0.0/8",)))
    head = served(friend, friend.client(), request)
    assert b"X-Forwarded-For: 9.9.9.9, 127.0.0.1\r\nX-Forwarded-Proto: https\r\n" in head


def test_the_proxy_protocol_tells_the_clients_address(worlds: Callable[[Settings], World]) -> None:
    world = worlds(Settings(proxy_protocol=("127.0.0.1/32",)))
    client = world.client()
    for byte in HEADER:
        client.send(bytes((byte,)))
    assert b"X-Forwarded-For: 192.0.2.7\r\n" in served(world, client)


def test_without_the_expected_proxy_protocol_a_connection_is_closed(worlds: Callable[[Settings], World]) -> None:
    client = worlds(Settings(proxy_protocol=("127.0.0.1/32",))).client()
    client.send(GET)
    assert client.ended()


def secure(world: World) -> Wire:
    context = ssl.create_default_context(cafile=str(HERE / "localhost.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    wire = world.client()
    wire.sock = context.wrap_socket(wire.sock, server_hostname="localhost")
    assert wire.sock.selected_alpn_protocol() == "http/1.1"
    return wire


def test_clients_may_speak_tls(worlds: Callable[[Settings], World]) -> None:
    world = worlds(Settings(tls_certificate=str(HERE / "localhost.pem"), tls_key=str(HERE / "localhost.key.pem")))
    client = secure(world)
    assert b"X-Forwarded-Proto: https\r\n" in served(world, client)
    origin = world.origin()
    world.put(origin)
    body = bytes(500_000)
    client.send(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 500000\r\n\r\n" + body)
    function = origin.accept()
    function.head()
    assert function.exactly(len(body)) == body
    function.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + body)
    assert client.answer()[1] == body
    assert client.ended()
    client.close()


def test_who_was_idle_for_too_long_is_told_over_tls_that_nothing_was_cut_off(worlds: Callable[[Settings], World]) -> None:
    certificate = {"tls_certificate": str(HERE / "localhost.pem"), "tls_key": str(HERE / "localhost.key.pem")}
    client = worlds(Settings(idle_timeout=0.05, **certificate)).client()
    context = ssl.create_default_context(cafile=str(HERE / "localhost.pem"))
    client.sock = context.wrap_socket(client.sock, server_hostname="localhost", suppress_ragged_eofs=False)
    client.send(GET)
    assert client.answer()[0].startswith(b"HTTP/1.1 404 ")
    assert client.sock.recv(1) == b""  # an end without close_notify would raise (RFC 9112 9.8)


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the system does not tell of a FIN behind what is not read")
def test_whoever_waits_behind_tls_and_is_not_read_is_seen_to_hang_up(worlds: Callable[[Settings], World]) -> None:
    certificate = {"tls_certificate": str(HERE / "localhost.pem"), "tls_key": str(HERE / "localhost.key.pem")}
    world = worlds(Settings(hold_size=1000, **certificate))
    world.put()
    client = secure(world)
    client.send(b"POST /fn/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n" + bytes(30_000))
    assert world.settles(lambda: world.present() == (0, 1))
    client.sock.shutdown(socket.SHUT_WR)  # a FIN; close() would be a RST, as the session tickets were not read
    assert world.settles(lambda: world.present() == (0, 0))


def test_a_changed_certificate_is_taken_up_and_a_broken_one_is_not(
    worlds: Callable[[Settings], World], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    shutil.copy(HERE / "localhost.pem", certificate)
    shutil.copy(HERE / "localhost.key.pem", key)
    world = worlds(Settings(tls_certificate=str(certificate), tls_key=str(key)))
    certificate.write_text("not a certificate")
    assert world.settles(lambda: "cannot be used" in caplog.text)
    secure(world).close()
    caplog.set_level("INFO")
    shutil.copy(HERE / "localhost.pem", certificate)
    assert world.settles(lambda: "was loaded again" in caplog.text)
    secure(world).close()


def test_the_certificate_in_use_is_not_touched_by_files_that_change_while_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [shutil.copy(HERE / name, tmp_path / name) for name in ("localhost.pem", "localhost.key.pem")]
    certificate = Certificate(*files)
    in_use, load = certificate.context, ssl.SSLContext.load_cert_chain
    loaded = []

    def load_once(context: ssl.SSLContext, *paths: Path) -> None:
        loaded.append(context)
        load(context, *paths)
        paths[0].write_text("half of a certi")

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load_once)
    os.utime(files[0], (1, 1))
    certificate.refresh()
    assert loaded and in_use not in loaded
    new = certificate.context
    certificate.refresh()
    assert certificate.context is new


def test_draining_answers_what_is_in_flight_and_closes_what_is_idle_at_the_end(world: World) -> None:
    origin = world.origin()
    world.put(origin)
    busy, idle = world.client(), world.client()
    served(world, idle)
    world.put(origin)
    busy.send(GET)
    function = origin.accept()
    function.head()
    drained = asyncio.run_coroutine_threadsafe(world.plane.drain(1.0), world.loop)
    assert idle.silent(0.1), "a request may be on its way on an idle connection"
    function.send(OK)
    head, body = busy.answer()
    assert b"Connection: close\r\n" in head and body == b"ok"
    assert busy.ended()
    assert idle.ended()
    drained.result(5)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", world.port))


def test_a_tunnel_outlives_every_other_connection_of_a_drain_and_ends_in_order(world: World) -> None:
    origin = world.origin()
    world.put(origin)
    client, idle = world.client(), world.client()
    client.send(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    function = origin.accept()
    function.head()
    function.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    client.head()
    served(world, idle)
    drained = asyncio.run_coroutine_threadsafe(world.plane.drain(0.6), world.loop)
    assert idle.ended()
    drained.result(5)
    client.send(b"x")
    assert function.exactly(1) == b"x"
    world.call(world.plane.close)
    assert client.sock.recv(1) == b"" and function.sock.recv(1) == b"", "the end of a connection, and no reset"


def test_a_router_without_free_descriptors_leaves_clients_in_the_backlog_and_does_not_spin(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    (listener,) = world.plane.listeners
    accept, asked = listener._accept, []

    def short() -> tuple[socket.socket, object]:
        asked.append(time.monotonic())
        if asked[-1] < asked[0] + 0.4:
            raise OSError(errno.EMFILE, "Too many open files")
        return accept()

    world.call(lambda: setattr(listener, "_accept", short))
    served(world, world.client())
    assert len(asked) <= 5, "at most three times in vain, then the client, then nobody"
    assert caplog.text.count("cannot accept connections") == 1


def test_whoever_waits_in_the_backlog_when_the_listener_closes_is_answered(world: World) -> None:
    def connect() -> list[socket.socket]:  # on the loop: nobody accepts meanwhile
        found = [socket.create_connection(("127.0.0.1", world.port)) for _ in range(300)]
        for client in found:
            client.sendall(b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
        world.loop.create_task(world.plane.drain(5.0))
        return found

    for client in world.call(connect):
        client.settimeout(5)
        assert client.recv(4096).startswith(b"HTTP/1.1 404 ")
        client.close()


def test_whoever_has_yet_to_be_introduced_when_the_listener_closes_is_answered(worlds: Callable[[Settings], World]) -> None:
    world = worlds(Settings(proxy_protocol=("127.0.0.1/32",)))
    client = world.client()
    assert world.settles(lambda: world.call(lambda: len(world.plane.clients.prefaces)) == 1)

    async def stop() -> None:
        await world.plane.drain(10.0)
        world.plane.close()

    stopped = asyncio.run_coroutine_threadsafe(stop(), world.loop)
    assert world.settles(lambda: not world.plane.listeners)
    assert client.silent(), "its first words may be on their way"
    client.send(HEADER + b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
    assert client.answer()[0].startswith(b"HTTP/1.1 404 ")
    assert client.ended()
    client.close()
    stopped.result(5)


def test_the_access_log_tells_a_request_in_one_line_without_its_query(world: World) -> None:
    out = io.BytesIO()
    log = AccessLog(out, 1.0, lambda: 0.0)
    world.call(lambda: setattr(world.plane.board, "access", log))
    served(world, world.client())
    assert world.present() == (0, 0)  # asked on the data plane's thread, so the request is over
    log.close()
    world.call(lambda: setattr(world.plane.board, "access", None))
    line = json.loads(out.getvalue())
    assert (line["function"], line["method"], line["path"], line["status"], line["client"]) == (
        "hello",
        "GET",
        "/x",
        200,
        "127.0.0.1",
    )
    assert b"secret" not in out.getvalue()

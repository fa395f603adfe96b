"""A port forward against a WebSocket server that speaks as a kubelet does: bytes both ways, ends, and what went wrong."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from cloudbase.forward import PROTOCOL, Forward, Target

PORT = 8081
Handler = Callable[[ServerConnection], None]


def greeted(handler: Handler) -> Handler:
    """What a kubelet sends first on each channel: the port's number, little endian."""

    def wrapped(connection: ServerConnection) -> None:
        for channel in (0, 1):
            connection.send(bytes([channel]) + struct.pack("<H", PORT))
        handler(connection)

    return wrapped


def echo(connection: ServerConnection) -> None:
    for message in connection:
        assert isinstance(message, bytes) and message[0] == 0
        connection.send(message)


def fails(connection: ServerConnection) -> None:
    connection.send(b"\x01connection refused inside the pod")


def pings(connection: ServerConnection) -> None:
    """Control frames between the bytes."""
    for message in connection:
        connection.ping()
        connection.send(message)
        connection.send(b"")


@contextlib.contextmanager
def forwarding(
    handler: Handler, admit: Callable[[Request], bool] = lambda request: True
) -> Iterator[tuple[Forward, list[Request]]]:
    asked: list[Request] = []

    def judge(connection: Any, request: Request) -> Response | None:
        asked.append(request)
        return (
            None if admit(request) else Response(HTTPStatus.FORBIDDEN, "Forbidden", Headers(), b"cannot create pods/portforward")
        )

    with serve(greeted(handler), "127.0.0.1", 0, subprotocols=[PROTOCOL], process_request=judge, max_size=None) as server:  # type: ignore[list-item]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = server.socket.getsockname()
        forward = Forward(Target(f"http://127.0.0.1:{address[1]}", None, "", "Bearer t", "system", "controller-1", PORT))
        try:
            yield forward, asked
        finally:
            forward.close()
            server.shutdown()
            thread.join(10)


def connect(forward: Forward) -> socket.socket:
    return socket.create_connection((forward.address.host, forward.address.port), 10)


def read(connection: socket.socket, count: int) -> bytes:
    pieces, left = [], count
    while left and (piece := connection.recv(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("handler", [echo, pings])
def test_bytes_come_back_as_they_went_however_many(handler: Handler) -> None:
    with forwarding(handler) as (forward, asked), connect(forward) as one, connect(forward) as other:
        other.sendall(b"beside")
        assert read(other, 6) == b"beside"
        sent = os.urandom(3 << 20)
        writing = threading.Thread(target=one.sendall, args=(sent,))
        writing.start()
        assert read(one, len(sent)) == sent
        writing.join(10)
        assert asked[0].path == f"/api/v1/namespaces/system/pods/controller-1/portforward?ports={PORT}"
        assert asked[0].headers["authorization"] == "Bearer t" and "origin" not in asked[0].headers


def test_what_the_pod_refuses_ends_the_connection_and_is_known() -> None:
    with forwarding(fails) as (forward, _), connect(forward) as one:
        assert read(one, 1) == b""
        _until(lambda: forward.trouble == "connection refused inside the pod")


def test_what_the_api_server_refuses_is_known_too() -> None:
    with forwarding(echo, lambda request: False) as (forward, _), connect(forward) as one:
        assert read(one, 1) == b""
        _until(lambda: "403" in forward.trouble)


def test_a_closed_forward_listens_no_more() -> None:
    with forwarding(echo) as (forward, _):
        forward.close()
        with pytest.raises(OSError):
            connect(forward).recv(1)


def _until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)

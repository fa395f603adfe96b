"""What a router process takes: at rest, and for each client that keeps its connection open between requests."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared.free_ports import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CONNECTIONS = 800
AT_REST = 35.0  # MiB
IDLE = 3.0  # KiB


@pytest.fixture
def function() -> Iterator[str]:
    """The address of a function that answers every request on every connection with the same."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection:
                while connection.recv(65536):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        def accept() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def kib(pid: int) -> int:
    """Resident memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


def connected(port: int) -> socket.socket:
    """A connection, once somebody listens."""
    end = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 60)
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_a_worker_at_rest_and_its_idle_connections_take_little(function: str) -> None:
    port = free_port()
    command = [sys.executable, "-m", "router", "--listen", f"127.0.0.1:{port}", "--route", f"hello={function}"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ROUTER_")}
    clients: list[socket.socket] = []
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as router:
        try:
            served(clients, port)
            rest = kib(router.pid)
            for _ in range(CONNECTIONS):
                served(clients, port)
            assert rest / 1024 <= AT_REST
            assert (kib(router.pid) - rest) / CONNECTIONS <= IDLE
        finally:
            for client in clients:
                client.close()
            router.terminate()
    assert router.returncode == 0


def served(clients: list[socket.socket], port: int) -> None:
    """One more client, whose connection stays open behind its answer."""
    client = connected(port)
    clients.append(client)
    client.sendall(b"GET /fn/hello/x HTTP/1.1\r\nHost: h\r\n\r\n")
    assert client.recv(4096).endswith(b"\r\n\r\nok")

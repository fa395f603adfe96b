"""One connection to the API server, and a small pool of idle ones. Bytes only: what they mean is wire's and client's business."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from contextlib import suppress
from urllib.parse import urlsplit

from kube.access import Access

READ_SIZE = 256 << 10  # bytes
IDLE_LIMIT = 45.0  # seconds; the API server closes idle connections after 90 (Go's http.Server.IdleTimeout)
POOL_SIZE = 8  # idle connections kept
CONNECT_TIMEOUT = 10.0  # seconds for TCP and TLS


class Connection:
    """A stream pair to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.idle_since = 0.0  # monotonic seconds
        self.used = False  # has carried a request before

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """What is there, b"" at the end of the stream."""
        return await self._reader.read(READ_SIZE)

    @property
    def stale(self) -> bool:
        return self._writer.is_closing() or self._reader.at_eof() or time.monotonic() - self.idle_since > IDLE_LIMIT

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._writer.transport.abort()


class Pool:
    """Idle connections, the last one used first, so that those not needed grow old and go."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._idle: list[Connection] = []

    async def take(self) -> Connection:
        """An idle connection or a new one. Raises OSError (ssl.SSLError, TimeoutError are among them)."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.stale:
                return connection
            connection.abort()
        return await self.connect()

    async def connect(self) -> Connection:
        parts = urlsplit(self._access.server)
        tls = self._access.tls() if parts.scheme == "https" else None
        name = (self._access.server_name or parts.hostname) if tls else None
        async with asyncio.timeout(CONNECT_TIMEOUT):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if tls else 80), ssl=tls, server_hostname=name, limit=4 * READ_SIZE
            )
        _notice_dead_peers(writer.get_extra_info("socket"))
        return Connection(reader, writer)

    def give_back(self, connection: Connection) -> None:
        connection.idle_since, connection.used = time.monotonic(), True
        self._idle.append(connection)
        if len(self._idle) > POOL_SIZE:
            self._idle.pop(0).abort()

    def close(self) -> None:
        for connection in self._idle:
            connection.abort()
        self._idle.clear()


def _notice_dead_peers(sock: socket.socket) -> None:
    """Let the kernel find out within about 25 s that the other machine is gone; a hung process is the reader's to notice."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPIDLE": 10, "TCP_KEEPALIVE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}
    if sys.platform != "darwin":
        options.pop("TCP_KEEPALIVE")  # macOS' name for the idle time
    for name, value in options.items():
        option = getattr(socket, name, None)
        if option is not None:
            with suppress(OSError):  # not every kernel has every one
                sock.setsockopt(socket.IPPROTO_TCP, option, value)

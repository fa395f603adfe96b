"""HTTP/1.1 for the fake API server: one request at a time on a connection, whole or chunked answers."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: list[str]  # decoded parts
    query: dict[str, str]
    fields: dict[str, str]  # names in lower case
    body: bytes


class Channel:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> Asked | None:
        """The next request; None at the end of the connection."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = start.split(" ")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self._reader.readexactly(int(fields.get("content-length", "0")))
        parts = urlsplit(target)
        path = [unquote(part) for part in parts.path.split("/") if part]
        return Asked(method, path, dict(parse_qsl(parts.query)), fields, body)

    async def answer(self, status: int, body: Any, retry_after: int = 0) -> None:
        data = json.dumps(body, separators=(",", ":")).encode()
        more = f"Retry-After: {retry_after}\r\n" if retry_after else ""
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{more}\r\n"
        await self._write(head.encode() + data)

    async def begin_stream(self) -> None:
        await self._write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")

    async def send_line(self, body: Any) -> None:
        data = json.dumps(body, separators=(",", ":")).encode() + b"\n"
        await self._write(b"%x\r\n%s\r\n" % (len(data), data))

    async def end_stream(self) -> None:
        await self._write(b"0\r\n\r\n")

    async def gone(self) -> None:
        """Return when the client has closed the connection."""
        await self._reader.read(1)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self._writer.get_extra_info("socket")
        if sock is not None and sock.fileno() != -1:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

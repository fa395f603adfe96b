"""One request and its answer, between the connection and an ASGI application."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

from _cloudbase_runtime.asgi import Application, Message, Scope
from _cloudbase_runtime.http1 import Head

if TYPE_CHECKING:
    from _cloudbase_runtime.connection import Connection

HIGH_WATER = 256 * 1024  # bytes of a body that wait for the application before reading is paused
_BODYLESS = (204, 304)
_OURS = (b"connection", b"keep-alive", b"transfer-encoding", b"date")  # fields that the server writes itself
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Exchange:
    """Gives the request's body to the application as it comes, and writes the application's answer as it comes."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self._head = head
        self._pieces: deque[bytes] = deque()
        self._held = 0  # bytes in pieces
        self._whole = False  # the body's end was received
        self._told = False  # … and the application knows
        self._wakeup: asyncio.Future[None] | None = None
        self._head_bytes = b""  # of the answer; waits for the first piece of its body
        self.started = False  # the application began its answer
        self.finished = False
        self.is_gone = False  # the caller went away
        self._chunked = False
        self._left: int | None = None  # bytes of a declared Content-Length still to be sent
        self._silent = False  # an answer without a body
        self._continued = not head.expects_continue

    # -- from the connection ---------------------------------------------------------------------------------------

    def feed(self, piece: bytes, ended: bool) -> None:
        """More of the request's body."""
        if piece and not self.finished:
            self._pieces.append(piece)
            self._held += len(piece)
            if self._held > HIGH_WATER:
                self._connection.pause_reading()
        self._whole = self._whole or ended
        self._wake()

    def gone(self) -> None:
        """The caller went away."""
        self.is_gone = True
        self._wake()

    @property
    def whole(self) -> bool:
        """Whether the request's body has been received to its end."""
        return self._whole

    async def run(self, application: Application, scope: Scope) -> BaseException | None:
        """Calls the application; gives back what it threw."""
        try:
            await application(scope, self.receive, self.send)
        except (Exception, SystemExit) as error:  # a function that calls sys.exit() fails; the others' process goes on
            return error
        if not self.finished and not self.is_gone:
            return RuntimeError("the application returned without finishing its answer")
        return None

    # -- from the application --------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """ASGI's receive: `http.request` with pieces of the body, then `http.disconnect`."""
        if not self._continued and not self._whole:
            self._continued = True
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self._pieces or (self._whole and not self._told) or self.is_gone or self.finished):
            await self._wait()
        if not self._pieces and (self.is_gone or self.finished):
            return {"type": "http.disconnect"}
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        self._connection.resume_reading()
        self._told = self._whole
        return {"type": "http.request", "body": body, "more_body": not self._whole}

    async def send(self, message: Message) -> None:
        """ASGI's send: `http.response.start`, then `http.response.body`. Waits while the caller does not read."""
        if self.is_gone:
            raise ConnectionResetError("the caller has gone")
        kind = message["type"]
        if kind == "http.response.start" and not self.started:
            self._start(message["status"], list(message.get("headers", ())))
        elif kind == "http.response.body" and self.started and not self.finished:
            self._body(message.get("body", b""), not message.get("more_body", False))
            await self._connection.drained()
        else:
            raise RuntimeError(f"{kind} is not possible at this point of the answer")

    def refuse(self, status: int, detail: str, request_id: str) -> None:
        """Answers with a problem document (RFC 9457) in place of the application, or breaks off what it began."""
        if self.finished:
            return
        if self.started and not self._head_bytes:
            self._connection.abort()
            return
        self._head_bytes = b""
        problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
        if request_id:
            problem["requestId"] = request_id
        body = json.dumps(problem).encode()
        fields = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
        self._start(status, fields)
        self._body(body, True)

    # -- private ---------------------------------------------------------------------------------------------------

    def _start(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        self.started = True
        self._left, self._chunked = None, False
        lines = [b"HTTP/1.1 %d %s" % (status, _REASONS.get(status, b""))]
        for name, value in fields:
            lower = bytes(name).lower()
            if lower in _OURS:
                continue
            if lower == b"content-length":
                self._left = int(value)
            if any(bad in name or bad in value for bad in (b"\r", b"\n", b"\0")):
                raise ValueError(f"a field of the answer has a line end in it: {bytes(name)!r}")
            lines.append(bytes(name) + b": " + bytes(value))
        self._silent = self._head.method == "HEAD" or status in _BODYLESS or status < 200
        if self._left is None and status not in _BODYLESS and not self._silent:
            self._chunked = not self._head.http10
            lines.append(b"transfer-encoding: chunked" if self._chunked else b"")
        if not self._head.keep_alive or not self._continued or (self._left is None and not self._chunked and not self._silent):
            self._connection.close_after()
        lines += self._connection.own_fields()
        self._head_bytes = b"\r\n".join(line for line in lines if line) + b"\r\n\r\n"
        asyncio.get_running_loop().call_soon(self._flush_head)

    def _flush_head(self) -> None:
        """A head whose body does not follow in the same turn of the loop goes alone: event streams begin so."""
        head, self._head_bytes = self._head_bytes, b""
        if head and not self.is_gone:
            self._connection.write(head)

    def _body(self, body: bytes, last: bool) -> None:
        if self._silent:
            body = b""
        if self._left is not None and not self._silent:
            if len(body) > self._left:
                raise RuntimeError("the answer has more bytes than its Content-Length")
            self._left -= len(body)
            if last and self._left:
                raise RuntimeError("the answer has fewer bytes than its Content-Length")
        if self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"0\r\n\r\n" if last else b"")
        head, self._head_bytes = self._head_bytes, b""
        if head or body:
            self._connection.write(head + body)
        if last:
            self.finished = True
            self._wake()
            self._connection.answered()

    async def _wait(self) -> None:
        self._wakeup = asyncio.get_running_loop().create_future()
        await self._wakeup

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

"""One WebSocket, between the connection and an ASGI application."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from _cloudbase_runtime.asgi import Application, Message, Scope
from _cloudbase_runtime.exchange import HIGH_WATER, Exchange
from _cloudbase_runtime.http1 import Head
from _cloudbase_runtime.websocket import Broken, Event, Frames, Opcode, accept_key, close_code, close_frame, frame

if TYPE_CHECKING:
    from _cloudbase_runtime.connection import Connection

CLOSE_TIMEOUT = 5.0  # seconds for the peer to answer a closing frame


class Tunnel:
    """Handshake, messages both ways with backpressure, and a proper close. A refusal is an ordinary answer."""

    whole = True  # as an Exchange's: the request has no body

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self._head = head
        self._answer = Exchange(connection, head)  # for a refusal
        self._frames = Frames()
        self._early: list[bytes] = []  # frames that came before the application accepted
        self._events: deque[tuple[Message, int]] = deque([({"type": "websocket.connect"}, 0)])
        self._held = 0  # bytes in events
        self._wakeup: asyncio.Future[None] | None = None
        self._accepted = False
        self._closed = False  # our closing frame is sent, or the connection is gone
        self.is_gone = False

    # -- from the connection ---------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether nothing is owed to the client any more."""
        return self._closed

    def feed(self, data: bytes) -> None:
        """More bytes from the client."""
        if not self._accepted:
            if data:
                self._early.append(data)
            return
        try:
            for event in self._frames.feed(data):
                self._take(event)
        except Broken as error:
            self._fail(error)

    def gone(self) -> None:
        """The connection is lost."""
        if not self.is_gone:
            self.is_gone = self._closed = True
            self._disconnect(1006, "")

    def close(self, code: int, reason: str = "") -> None:
        """Sends the closing frame, and ends the connection when the client answers or takes too long."""
        if self._closed:
            return
        if not self._accepted:
            self._connection.close()
            return
        self._closed = True
        self._connection.write(close_frame(code, reason))
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self._connection.close)
        self._disconnect(code, reason)

    async def run(self, application: Application, scope: Scope) -> BaseException | None:
        """Calls the application; gives back what it threw."""
        offered = self._head.get(b"sec-websocket-protocol") or b""
        scope["subprotocols"] = [name.strip() for name in offered.decode("latin-1").split(",") if name.strip()]
        try:
            key = accept_key(self._head.get(b"sec-websocket-key") or b"")
        except Broken as error:
            self.refuse(400, str(error), "")
            return None
        if self._head.get(b"sec-websocket-version") != b"13":
            self.refuse(426, "only version 13 of WebSocket is spoken", "")
            return None
        self._key = key
        try:
            await application(scope, self.receive, self.send)
        except (Exception, SystemExit) as error:
            return error
        if not self._accepted and not self._answer.finished and not self.is_gone:
            return RuntimeError("the application returned without accepting or closing the WebSocket")
        self.close(1000)
        return None

    def refuse(self, status: int, detail: str, request_id: str) -> None:
        """The application failed."""
        if self._accepted:
            self.close(1011)
        else:
            self._connection.close_after()
            self._answer.refuse(status, detail, request_id)
            self._connection.close()

    # -- from the application --------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """ASGI's receive: `websocket.connect`, `websocket.receive`, `websocket.disconnect`."""
        while not self._events:
            self._wakeup = asyncio.get_running_loop().create_future()
            await self._wakeup
        message, size = self._events.popleft()
        self._held -= size
        if size and self._held <= HIGH_WATER:
            self._connection.resume_reading()
        return message

    async def send(self, message: Message) -> None:
        """ASGI's send: `websocket.accept`, `websocket.send`, `websocket.close`."""
        kind = message["type"]
        if kind == "websocket.accept" and not self._accepted:
            self._accept(message)
        elif kind == "websocket.close":
            if self._accepted:
                self.close(message.get("code", 1000), message.get("reason") or "")
            else:
                self.refuse(403, "The function did not accept the WebSocket.", "")
        elif kind == "websocket.send" and self._accepted:
            await self._send(message)
        else:
            raise RuntimeError(f"{kind} is not possible at this point of a WebSocket")

    # -- private ---------------------------------------------------------------------------------------------------

    def _accept(self, message: Message) -> None:
        lines = [
            b"HTTP/1.1 101 Switching Protocols",
            b"upgrade: websocket",
            b"connection: upgrade",
            b"sec-websocket-accept: " + self._key,
        ]
        if message.get("subprotocol"):
            lines.append(b"sec-websocket-protocol: " + message["subprotocol"].encode("latin-1"))
        lines += [bytes(name) + b": " + bytes(value) for name, value in message.get("headers", ())]
        self._connection.write(b"\r\n".join(lines) + b"\r\n\r\n")
        self._accepted = True
        early, self._early = b"".join(self._early), []
        self.feed(early)

    async def _send(self, message: Message) -> None:
        if self._closed:
            raise ConnectionResetError("the WebSocket is closed")
        text = message.get("text")
        payload = text.encode() if text is not None else message["bytes"]
        self._connection.write(frame(Opcode.TEXT if text is not None else Opcode.BINARY, payload))
        await self._connection.drained()

    def _take(self, event: Event) -> None:
        opcode, payload = event
        if opcode == Opcode.PING:
            assert isinstance(payload, bytes)
            if not self._closed:
                self._connection.write(frame(Opcode.PONG, payload))
        elif opcode == Opcode.CLOSE:
            assert isinstance(payload, bytes)
            self._answer_close(*close_code(payload))
        elif opcode != Opcode.PONG and not self._closed:
            self._put({"type": "websocket.receive", "text" if opcode == Opcode.TEXT else "bytes": payload}, len(payload))

    def _answer_close(self, code: int, reason: str) -> None:
        if not self._closed:
            self._connection.write(close_frame(code))
            self._closed = True
            self._disconnect(code, reason)
        self._connection.close()

    def _fail(self, error: Broken) -> None:
        self.close(error.code, str(error))
        self._connection.close()

    def _disconnect(self, code: int, reason: str) -> None:
        self._put({"type": "websocket.disconnect", "code": code, "reason": reason}, 0)

    def _put(self, message: Message, size: int) -> None:
        self._events.append((message, size))
        self._held += size
        if self._held > HIGH_WATER:
            self._connection.pause_reading()
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

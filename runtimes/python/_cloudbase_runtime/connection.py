"""One client connection: bytes in, requests to the application one after the other, bytes out."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from _cloudbase_runtime.asgi import Scope, scope_of
from _cloudbase_runtime.exchange import HIGH_WATER, Exchange
from _cloudbase_runtime.http1 import BadRequest, Head, Parser
from _cloudbase_runtime.logs import request_id

if TYPE_CHECKING:
    from _cloudbase_runtime.server import Server
    from _cloudbase_runtime.tunnel import Tunnel

HEALTH_PATH = b"/_cloudbase/health"
FAILED = "The function failed; its log has the reason."


class Connection(asyncio.Protocol):
    """Serves one request at a time; those that were sent ahead (pipelining) wait in the parser."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = Parser()
        self._exchange: Exchange | Tunnel | None = None
        self._closing = False  # after the present answer
        self._writable: asyncio.Future[None] | None = None
        self.idle_since = server.now()

    # -- from the loop ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None or isinstance(self._exchange, Exchange):
            self._parser.feed(data)
            self._advance()
        else:
            self._exchange.feed(data)

    def eof_received(self) -> bool:
        """A caller that ends its side has gone: the router never waits on after that, and else no event stream would notice."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self.resume_writing()
        if self._exchange is not None:
            self._exchange.gone()

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        waiting, self._writable = self._writable, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    # -- from the exchange -----------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    async def drained(self) -> None:
        """Waits while the client does not read."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def pause_reading(self) -> None:
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def close_after(self) -> None:
        """This answer is the last one."""
        self._closing = True

    def own_fields(self) -> list[bytes]:
        """What the server adds to an answer: the date, and what the future of the connection is."""
        if self._closing or self._server.draining:
            self._closing = True
            return [self._server.date(), b"connection: close"]
        return [self._server.date(), b"connection: keep-alive", b"keep-alive: timeout=%d" % self._server.keep_alive]

    def abort(self) -> None:
        """Breaks off, so that no short body looks whole."""
        self.transport.abort()

    def answered(self) -> None:
        """The answer is written to its end. Its task may go on for a while; the next request does not wait for that."""
        if self._closing and not self._lingers():
            self.transport.close()
        elif isinstance(self._exchange, Exchange) and self._exchange.whole:
            self._idle()
            asyncio.get_running_loop().call_soon(self._advance)
        else:
            self.idle_since = self._server.now()  # the rest of a body that nobody wants is read and dropped

    # -- from the server -------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether an answer is owed."""
        return self._exchange is not None and not self._exchange.finished

    def close(self) -> None:
        """Closes the connection once what was written is out."""
        self.transport.close()

    def end(self) -> None:
        """The grace is over: a tunnel is closed properly, a request is broken off."""
        if self._exchange is None or isinstance(self._exchange, Exchange):
            self.transport.abort()
        else:
            self._exchange.close(1001)

    # -- private ---------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Moves on as far as the bytes go."""
        try:
            if self._exchange is None:
                self._next()
            if isinstance(self._exchange, Exchange) and not self._exchange.whole:
                self._body(self._exchange)
        except BadRequest as error:
            self._reject(error)
            return
        if self._parser.held > HIGH_WATER:
            self.pause_reading()

    def _body(self, exchange: Exchange) -> None:
        exchange.feed(*self._parser.body())
        if exchange.finished and exchange.whole:
            self._idle()
            if self._closing:
                self.transport.close()
            else:
                self._next()

    def _idle(self) -> None:
        self._exchange = None
        self.idle_since = self._server.now()
        self.resume_reading()

    def _lingers(self) -> bool:
        """Whether closing now would make the kernel throw away the answer, because bytes are still coming in (RFC 9112 9.6)."""
        return isinstance(self._exchange, Exchange) and not self._exchange.whole

    def _next(self) -> None:
        while not self._closing and not self.transport.is_closing():
            head = self._parser.head()
            if head is None:
                return
            if head.target == HEALTH_PATH and head.get(b"x-forwarded-for") is None:
                self._health(head)
                continue
            self._begin(head)
            return

    def _begin(self, head: Head) -> None:
        if head.upgrade == b"websocket" and head.method == "GET" and self._server.upgrades:
            from _cloudbase_runtime.tunnel import Tunnel  # not before it is needed: most functions have no WebSocket

            tunnel = Tunnel(self, head)
            self._start(tunnel, head, "websocket")
            tunnel.feed(self._parser.rest())
        else:
            self._start(Exchange(self, head), head, "http")

    def _start(self, exchange: Exchange | Tunnel, head: Head, kind: str) -> None:
        self._exchange = exchange
        scope = scope_of(head, kind, self._server.address, self._server.state)
        self._server.spawn(self._serve(exchange, scope, (head.get(b"x-request-id") or b"").decode("latin-1")))

    async def _serve(self, exchange: Exchange | Tunnel, scope: Scope, name: str) -> None:
        request_id.set(name)
        error = await exchange.run(self._server.application, scope)
        if error is None:
            return
        if not (exchange.is_gone and isinstance(error, OSError)):
            self._server.log.thrown("the function failed", error)
        exchange.refuse(500, FAILED, name)

    def _health(self, head: Head) -> None:
        """Answers without touching the function's code."""
        body = b'{"status":"ok"}'
        if not head.keep_alive or head.length:
            self._closing = True
        lines = [b"HTTP/1.1 200 OK", b"content-type: application/json", b"content-length: %d" % len(body), *self.own_fields()]
        self.write(b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if head.method == "HEAD" else body))
        self.idle_since = self._server.now()
        if self._closing:
            self.transport.close()

    def _reject(self, error: BadRequest) -> None:
        """Answers bytes that are no request, and closes: where the next message begins is not known any more."""
        self._closing = True
        if isinstance(self._exchange, Exchange):
            self.transport.abort()  # inside a body: the application may be answering already
            return
        body = json.dumps(
            {"type": "about:blank", "title": HTTPStatus(error.status).phrase, "status": error.status, "detail": str(error)}
        )
        head = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\ncontent-type: application/problem+json\r\n"
        self.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode())
        self.transport.close()

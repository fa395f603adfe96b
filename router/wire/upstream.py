"""A connection to an endpoint: http1 towards the function, and the far half of an exchange.

Between exchanges it lies in its endpoint's list of idle connections, watched, so that one which the function closes is not used.
"""

from __future__ import annotations

import socket
from math import inf
from typing import TYPE_CHECKING, Final

from router import balance
from router.errors import BadUpstream, ProxyError
from router.exchange import Exchange
from router.http1.body import ChunkedReader, chunk, last_chunk
from router.http1.fields import Special
from router.http1.grammar import CHUNKED, CRLF
from router.http1.request import Request
from router.http1.response import NOTHING, Response, read_response
from router.streams import Buffer
from router.wire.buffer import BUFFER, BUSY, KEPT, LARGE, SMALL, VIEW, begins_with
from router.wire.upstream_socket import CHUNKS, CLOSE, CLOSED, HEAD, LENGTH, TUNNEL, UpstreamSocket
from router.wire.watched import BROKEN, READ, WRITE

if TYPE_CHECKING:
    from router.wire.pool import Pool

MOST_INTERIM: Final = 16  # 1xx responses to one request: more is a function gone wild


class UpstreamConnection(UpstreamSocket):
    """One socket to one endpoint."""

    __slots__ = ("chunked", "chunking", "expires", "keep", "left", "outbox", "response")

    def __init__(self, pool: Pool, upstream: balance.Upstream, exchange: Exchange, sock: socket.socket, connected: bool) -> None:
        super().__init__(pool, upstream, exchange, sock, connected)
        self.outbox: list[UpstreamConnection] = pool.outbox
        self.left = 0  # bytes of the response's body
        self.chunked: ChunkedReader | None = None
        self.chunking = False  # the request's body is chunked
        self.keep = True  # nothing speaks against using the connection again
        self.expires = inf  # monotonic seconds from which it is not used any more
        self.response = NOTHING  # the last one
        self.poller.watch(self.fd, self, self.events)

    # from the exchange

    def request(self, exchange: Exchange, extra: bytes, payload: Buffer, now: float) -> bool:
        """As Upward.request."""
        if self.expires <= now:
            return False
        self.exchange = exchange
        request = exchange.request
        fields = request.fields
        if fields.special is not None:
            return self._request_special(exchange, request, fields.special, extra, payload)
        front, own, back = fields.front, request.own, fields.back
        head = b"".join((request.method, b" ", request.target, b" HTTP/1.1\r\n", front, own, back, extra, CRLF))
        size = len(payload)
        if not size and exchange.whole:
            self.out = head
            self.outbox.append(self)
            return True
        try:
            taken = self.send_bytes(head + payload if size else head) if size < LARGE else self.sock.sendmsg([head, payload])
        except BUSY:
            taken = 0
        except OSError:
            return False
        if taken != len(head) + size:
            self._keep_back((head + payload)[taken:])
        return True

    def send(self, payload: Buffer) -> None:
        """As Upward.send."""
        self._write_parts(chunk([memoryview(payload)]) if self.chunking else [payload])

    def send_end(self, trailers: bytes) -> None:
        """As Upward.send_end."""
        if self.state == TUNNEL:
            self.ending = True
            self._shut()
        elif self.chunking:
            self.chunking = False
            self._write(last_chunk(trailers))

    def pause(self) -> None:
        """As Upward.pause."""
        self._set(self.events & ~READ)

    def resume(self) -> None:
        """As Upward.resume."""
        self._set(self.events | READ)

    def release(self, now: float) -> None:
        """As Upward.release."""
        self.exchange = None
        response = self.response
        upstream = self.upstream
        if not (self.keep and response.keep) or self.state or self.out or self.deaf or self.buf or upstream.gone:
            self.close()
            return
        pool = self.pool
        kept = pool.idle if not response.idle else pool.promised(response.idle)
        if kept <= 0.0 or len(upstream.idle) >= pool.most_idle:
            self.close()
            return
        self.expires = now + kept
        upstream.idle.append(self)
        if self.events != READ:
            self._set(READ)
        self.interim = 0

    def forget(self) -> None:
        """It is idle: let go of its last head if that was a large one."""
        if len(self.response.raw) > KEPT:
            self.response = NOTHING

    def crashed(self) -> None:
        """A defect of ours in `on_event`: the client must not wait for what will not come. Nothing is sent again."""
        self._lost("malformed", answered=True)

    def _unsent(self) -> None:
        """The function gets nothing of the request any more, so it may go elsewhere, whatever its method (RFC 9110 9.2.2)."""
        exchange, self.exchange = self.exchange, None
        self.close()
        if exchange is not None:
            exchange.unsent(self.expires == inf)

    # from the poller

    def on_event(self, events: int) -> None:
        """Serve the socket."""
        if events != READ and not self._attend(events):
            return
        try:
            n = self.recv_into(BUFFER)
        except BUSY:
            return
        except OSError:
            n = -1
        exchange = self.exchange
        if exchange is None or n <= 0 or self.state or self.buf or self.out:
            self._read(exchange, n)
            return
        response = self.response
        try:
            if n != response.size or exchange.request.method == b"HEAD" or not begins_with(response.raw):
                if not self._first(exchange, n):
                    return
                response = self.response
            start = len(response.raw)
            wire = None if n <= SMALL else VIEW[:n] if response.unchanged else _in_place(response.wire, start, n)
            exchange.respond(response, VIEW[start:n], True, wire)
        except ProxyError:
            self._lost("malformed")

    def _attend(self, events: int) -> bool:
        """Anything but plain reading. False: there is nothing to read."""
        if events & WRITE:
            if self.connected:
                self._flush()
            else:
                self._try_connected()
        if self.state == CLOSED or not events & (READ | BROKEN):
            return False
        if not self.connected:
            self._lost("connect")
            return False
        return True

    def _read(self, exchange: Exchange | None, n: int) -> None:
        if exchange is None:  # idle: an end, or bytes that nobody asked for
            self.pool.forget(self)
            self.close()
        elif self.out and any(one is self for one in self.outbox):
            self._unsent()  # it ended, or said what nobody asked for, before the request went out
        elif n < 0:
            self._lost("reset")
        elif not n:
            self._ended(exchange)
        else:
            try:
                self._continue(exchange, n)
            except ProxyError:
                self._lost("malformed")

    def _first(self, exchange: Exchange, n: int) -> bool:
        """The beginning of an answer whose head is another than the last one. True: all of the answer is there."""
        end = BUFFER.find(b"\r\n\r\n", 0, n) + 4
        if end < 4:
            self._head_in_parts(exchange, VIEW[:n].tobytes())
            return False
        self.response = response = self._parse(VIEW[:end].tobytes())
        if n == response.size and exchange.request.method != b"HEAD":
            return True
        self._respond(exchange, response, VIEW[end:n].tobytes())
        return False

    def _continue(self, exchange: Exchange, n: int) -> None:
        state = self.state
        if state == HEAD:
            self._head_in_parts(exchange, self.buf + VIEW[:n].tobytes())
        elif state == LENGTH:
            self._length(exchange, n)
        elif state == CHUNKS:
            self._chunks(exchange, BUFFER, n)
        else:
            exchange.response_data(VIEW[:n])

    def _head_in_parts(self, exchange: Exchange, data: bytes) -> None:
        """Interim responses, and heads that came in pieces."""
        while self.state == HEAD:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                if len(data) > self.pool.limits.head:
                    self._lost("malformed")
                self.buf = data
                return
            self.buf = b""
            self.response = response = self._parse(data[:end])
            data = data[end:]
            if response.status >= 200 or response.status == 101:
                self._respond(exchange, response, data)
                return
            if not self._inform(exchange, response) or not data:
                return

    def _parse(self, head: bytes) -> Response:
        """Read a head; the endpoint's last one is remembered, so that its connections share one."""
        responses = self.pool.responses
        last = responses.get(self.upstream)
        if last is None or last.raw != head:
            block = head[:-2]
            if len(block) > self.pool.limits.head:
                raise BadUpstream("The function answered with a head that is too long")
            responses[self.upstream] = last = read_response(block, self.pool.date.now())
        return last

    def _inform(self, exchange: Exchange, response: Response) -> bool:
        self.interim += 1
        if self.interim > MOST_INTERIM:
            self._lost("malformed", answered=True)
            return False
        exchange.inform(response)
        return self.exchange is exchange

    def _respond(self, exchange: Exchange, response: Response, data: bytes) -> None:
        """Any head but the usual one, with what came behind it."""
        if response.status == 101:
            self._switch(exchange, response, data)
        elif response.status < 200:
            if self._inform(exchange, response) and data:
                self._head_in_parts(exchange, data)
        elif response.length >= 0 or not response.bodied or exchange.request.method == b"HEAD":
            self._respond_by_length(exchange, response, data)
        else:
            self._respond_by_framing(exchange, response, data)

    def _respond_by_length(self, exchange: Exchange, response: Response, data: bytes) -> None:
        length = response.length if response.bodied and exchange.request.method != b"HEAD" else 0
        self.keep = self.keep and len(data) <= length
        self.left = length - len(data)
        if self.left > 0:
            self.state = LENGTH
        exchange.respond(response, data[:length], self.left <= 0, None)

    def _respond_by_framing(self, exchange: Exchange, response: Response, data: bytes) -> None:
        if response.length == CHUNKED:
            self.state = CHUNKS
            self.chunked = ChunkedReader()
        else:
            self.state = CLOSE
            self.keep = False
        exchange.respond(response, b"", False, None)
        if not data or self.exchange is not exchange:
            return
        if self.state == CHUNKS:
            self._chunks(exchange, data, len(data))
        else:
            exchange.response_data(data)

    def _switch(self, exchange: Exchange, response: Response, data: bytes) -> None:
        if not exchange.switch(response):
            self._lost("malformed", answered=True)
            return
        self.state = TUNNEL
        self.keep = False
        if data and self.exchange is exchange:
            exchange.response_data(data)

    def _length(self, exchange: Exchange, n: int) -> None:
        left = self.left
        if n < left:
            self.left = left - n
            exchange.response_data(VIEW[:n])
            return
        self.keep = self.keep and n == left
        self.left = 0
        self.state = HEAD
        exchange.response_data(VIEW[:left])
        if self.exchange is exchange:
            exchange.response_end(b"")

    def _chunks(self, exchange: Exchange, data: bytes | bytearray, end: int) -> None:
        reader = self.chunked
        assert reader is not None
        payload: list[memoryview] = []
        stop = reader.read(data, 0, end, payload)
        if payload:
            exchange.response_data(payload[0] if len(payload) == 1 else b"".join(payload))
        if reader.done and self.exchange is exchange:
            self.keep = self.keep and stop == end
            self.chunked = None
            self.state = HEAD
            exchange.response_end(reader.trailers)

    def _ended(self, exchange: Exchange) -> None:
        """EOF."""
        if self.state == CLOSE:
            exchange.response_end(b"")
        elif self.state != TUNNEL:
            self._lost("reset")
        elif exchange.ended:  # told before: this is the hang-up of both directions, which no poller can be asked to keep back
            exchange.tunnel_over()
        else:
            self._set(self.events & ~READ)
            exchange.response_end(b"")

    # writing

    def _request_special(self, exchange: Exchange, request: Request, special: Special, extra: bytes, payload: Buffer) -> bool:
        """A request that is chunked, or has field lines that concern this connection."""
        whole = exchange.whole
        chunked = request.fields.length == CHUNKED
        parts: list[Buffer] = [request.method, b" ", request.target, b" HTTP/1.1\r\n", request.lines, extra]
        if exchange.upgrade:
            parts += (b"Connection: Upgrade\r\nUpgrade: ", exchange.upgrade, CRLF)
        elif special.trailers:
            parts.append(b"Connection: TE\r\nTE: trailers\r\n")
        if chunked:
            parts += (b"Transfer-Encoding: chunked\r\n\r\n", *chunk([memoryview(payload)]))
            parts.append(last_chunk(exchange.trailers) if whole else b"")
        else:
            parts += (CRLF, payload)
        self.chunking = chunked and not whole
        data = b"".join(parts)
        try:
            taken = self.send_bytes(data)
        except BUSY:
            taken = 0
        except OSError:
            return False
        if taken != len(data):
            self._keep_back(data[taken:])
        return True


def send_requests(outbox: list[UpstreamConnection]) -> None:
    """As `Clients.send`, for the requests of this turn."""
    for connection in outbox:
        data = connection.out
        if not data:
            continue
        try:
            taken = connection.send_bytes(data)
        except BUSY:
            taken = 0
        except OSError:
            taken = -1
        if taken == len(data):
            connection.out = b""
        else:
            connection.not_sent(taken)
    outbox.clear()


def _in_place(head: bytes, start: int, end: int) -> memoryview | None:
    """The head as it goes on and the payload in BUFFER[start:end] as one piece, or None when joining both is cheaper.

    The head is written over the one that came: 64 KiB are sent in one call without being copied, 6 to 9 % of such a request.
    """
    at = start - len(head)
    if at < 0:
        return None
    BUFFER[at:start] = head
    return VIEW[at:end]

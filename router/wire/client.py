"""A client's connection: http1 towards the client, and the near half of an exchange, one request after another.

HEAD -> BODY -> FULL -> HEAD     a request head, its body, and then only its answer
FULL -> TUNNEL                   after 101
any  -> LINGER -> CLOSED         the last answer is out; what still comes is read and dropped, so that no RST destroys it
"""

from __future__ import annotations

import socket
from math import inf
from typing import TYPE_CHECKING, Final

from router.errors import HeadTimeout, ProxyError
from router.exchange import IDLE, RESPONDING, Exchange
from router.http1.body import ChunkedReader
from router.http1.grammar import CRLF
from router.http1.request import NOTHING, Request, check_unfinished, read_request
from router.http1.sender import Sender
from router.wire.buffer import BUFFER, BUSY, KEPT, VIEW
from router.wire.client_answers import ClientAnswers
from router.wire.client_socket import BODY, CLOSED, FULL, HEAD, LINGER, TUNNEL
from router.wire.watched import BROKEN, READ, WRITE

if TYPE_CHECKING:
    from router.wire.listener import Clients
    from router.wire.tls import TlsSocket

_ASKED: Final = (BODY, FULL)  # a request is there


class Client(ClientAnswers):
    """One connection of a client."""

    __slots__ = ("begun", "chunked", "head", "left", "request")

    def __init__(self, clients: Clients, sock: socket.socket | TlsSocket, sender: Sender) -> None:
        super().__init__(clients, sock, sender)
        self.exchange = Exchange(clients.board, self)
        self.left = 0  # bytes of the request's body
        self.chunked: ChunkedReader | None = None
        self.begun = False  # some of a head is there
        self.request: Request  # the last one
        self.head = b""  # its bytes
        self.poller.watch(self.fd, self)

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
            self.abort()
            return
        if self.state or not n:
            self._read(n)
            return
        try:
            if self.buf:
                self._begin_behind(VIEW[:n].tobytes())
            else:
                self._begin(BUFFER, VIEW, n)
        except ProxyError as error:
            self._reject(error)
            self._advance()

    def _attend(self, events: int) -> bool:
        """Anything but plain reading. False: there is nothing to read."""
        if events & WRITE:
            self._flush()
        if self.state != CLOSED and not events & READ and events & BROKEN:
            return self._broken(events)
        return self.state != CLOSED and bool(events & READ)

    def _read(self, n: int) -> None:
        state = self.state
        if not n:
            self._ended()
        elif state == BODY:
            self._body(n)
        elif state == FULL:
            self._read_ahead(n)
        elif state == TUNNEL:
            self.exchange.request_data(VIEW[:n])

    # reading

    def _advance(self) -> None:
        """Begin what was pipelined, as far as it is answered at once and the client takes the answers."""
        while self.buf and self.state == HEAD and not self.out:
            try:
                if not self._begin_behind(b""):
                    return
            except ProxyError as error:
                self._reject(error)
            if self.closing and self.state in _ASKED:  # the FIN that came stands behind this request, too
                self._ended()
            elif self.state == FULL and not self.buf:
                self._await_head()

    def _begin_behind(self, more: bytes) -> bool:
        """As `_begin`, in what is kept and this."""
        data = self.buf + more
        self.buf = b""
        return self._begin(data, memoryview(data), len(data))

    def _begin(self, data: bytes | bytearray, view: memoryview, end: int) -> bool:
        """One request head, and what there is of its body, in data[:end], of which `view` is a view.

        False: the head is not whole yet.
        """
        head = self.head
        start = len(head)
        if start and start <= end and data.startswith(head):  # the same bytes mean the same: clients repeat themselves
            request = self.request
        else:
            start = data.find(b"\r\n\r\n", 0, end) + 4
            if start < 4 or start - 4 > self.sender.limits.head:
                return self._unfinished(view[:end].tobytes())
            request = self._read_head(view[:start].tobytes())
        fields = request.fields
        length = fields.length
        self.last = not fields.keep
        self.due = 0.0
        if length == end - start:
            self.state = FULL
            self.exchange.begin(request, view[start:end] if length else b"", True)
        elif length < 0:
            self._begin_chunked(request, data, start, end)
        else:
            stop = min(start + length, end)
            self.left = start + length - stop
            self.state = BODY if self.left else FULL
            self.buf = view[stop:end].tobytes()
            if self.left:
                self._await_body()
            self.exchange.begin(request, view[start:stop], not self.left)
        return True

    def _read_head(self, head: bytes) -> Request:
        last = self.request.read if self.head else None
        try:
            self.request = request = read_request(head, len(head) - 4, self.sender, last)
        except ProxyError as error:
            error.to_head = head.lstrip(CRLF).startswith(b"HEAD ")
            raise
        self.fields = request.fields
        self.method = request.method
        self.head = head
        return request

    def _begin_chunked(self, request: Request, data: bytes | bytearray, start: int, end: int) -> None:
        reader = ChunkedReader()
        payload: list[memoryview] = []
        self.state = BODY
        stop = reader.read(data, start, end, payload)
        self.state = FULL if reader.done else BODY
        self.chunked = None if reader.done else reader
        self.buf = bytes(data[stop:end])
        if not reader.done:
            self._await_body()
        exchange = self.exchange
        exchange.rare = exchange.rare or bool(reader.trailers)
        exchange.trailers = reader.trailers  # set even to nothing: a request that was refused may have left its own there
        exchange.begin(request, b"".join(payload), reader.done)

    def _unfinished(self, data: bytes) -> bool:
        # RFC 9112 2.2: one empty line before a request is forgiven. It stays in `buf`, lest a second one passes for the first.
        check_unfinished(data[2:] if data[:2] == b"\r\n" else data, self.sender.limits)
        if self.closing:  # and its end will not come
            self._linger()
            return False
        self._set(self.events | READ)
        if not self.begun and data != CRLF:  # some clients send one behind a body: they are idle
            self.begun = True
            self.due = self.poller.now + self.clients.times.head
        self.buf = data
        return False

    def _body(self, n: int) -> None:
        """More of the request's body is in the buffer."""
        exchange = self.exchange
        reader = self.chunked
        if reader is None:
            stop = min(n, self.left)
            self.left -= stop
            done = not self.left
            exchange.request_data(VIEW[:stop])
        else:
            payload: list[memoryview] = []
            try:
                stop = reader.read(BUFFER, 0, n, payload)
            except ProxyError as error:
                exchange.request_broken(error)
                return
            done = reader.done
            if payload:
                exchange.request_data(payload[0] if len(payload) == 1 else b"".join(payload))
        if done and self.state == BODY:
            self.state = FULL
            self.chunked = None
            self.buf = VIEW[stop:n].tobytes()
            if exchange.state < RESPONDING:
                self.last = not self.request.fields.keep
            exchange.request_end(reader.trailers if reader is not None else b"")

    def _read_ahead(self, n: int) -> None:
        """What comes behind the present request: the next ones."""
        self.buf += VIEW[:n].tobytes()
        if len(self.buf) > self.sender.limits.head:
            self._set(self.events & ~READ)

    def _ended(self) -> None:
        """A FIN. Inside a request it is truncation, which is never passed on as whole; behind one it is answered."""
        state = self.state
        if state == TUNNEL:
            self._half_ended()
            self.exchange.request_end(b"")
        elif state == FULL and self.exchange.client_closing():
            self.closing = True
            self._set(self.events & ~READ)
        elif self.out and state not in _ASKED:  # it asks for nothing more, but is still taking its answer
            self.closing = True
            self._set(self.events & ~READ)
            if not self.buf:  # else it had asked before it ended: begun when the present answer is out
                self._linger()
        else:
            self.abort()

    # from the exchange

    def fail(self, error: ProxyError) -> None:
        """As Downward.fail."""
        if self.state < LINGER:
            self._answer(error)
            self.finished(self.poller.now)

    def _reject(self, error: ProxyError) -> None:
        """What never became an exchange."""
        self.clients.meters.rejected(error.status)
        access = self.clients.board.access
        if access is not None:
            access.refused(self.request if self.state != HEAD else None, error.status, self.address)
        self._answer(error)
        self._turn()

    def finished(self, now: float) -> None:
        """As Downward.finished."""
        if self.state != FULL or self.last or (self.closing and not self.buf):
            self._linger()
            return
        self.state = HEAD
        self.begun = False
        self.due = now + self.clients.times.idle
        if self.events != READ:
            self._await_head()
        if self.buf:
            self._advance()

    def _turn(self) -> None:
        """The answer is out: as `finished`, but the caller goes on with what was pipelined."""
        if self.state != FULL or self.last or (self.closing and not self.buf):
            self._linger()
            return
        self.state = HEAD
        self.begun = False
        self.due = self.poller.now + self.clients.times.idle
        if self.events != READ:
            self._await_head()

    def pause(self) -> None:
        """As Downward.pause."""
        self._set(self.events & ~READ)

    def resume(self) -> None:
        """As Downward.resume."""
        if not self.closing and not self.events & READ:
            self._set(self.events | READ)

    # from the clock

    def check(self, now: float) -> None:
        """Look at the time, and for a hang-up that pausing hides. Called every quarter of a second."""
        if self.due:
            if now >= self.due:
                self._overdue()
        elif self.exchange.state != IDLE:
            self.exchange.check(now)
            if not self.events & READ and not self.closing and self._hung_up():
                self._ended()

    def idle_since(self) -> float:
        """Monotonic seconds from which on it has waited for a request's first byte; infinity: it does not."""
        if self.state != HEAD or self.begun or self.out:
            return inf
        times = self.clients.times
        return self.due - (times.idle if self.method else times.head)

    def forget(self) -> None:
        """Between requests: let go of what the last one left, and of its head if that was a large one. Called once a second.

        The head of a client that goes on asking is known again by its next request.
        """
        if self.state != HEAD:
            return
        self.exchange.forget()
        if len(self.head) > KEPT:
            self.head = b""
            self.request = NOTHING
            self.fields = None

    def _overdue(self) -> None:
        if self.state == HEAD and self.begun:
            self._reject(HeadTimeout("The request head did not come to its end in time"))
        elif self.out:  # a FIN could pass for the end of what it has not taken
            self.cut()
        elif self.state != HEAD:
            self.close()
        else:
            self.part()

    def close(self) -> None:
        """As ClientSocket.close."""
        if self.state != CLOSED:
            self.state = CLOSED
            self.out = b""
            self.clients.closed(self)

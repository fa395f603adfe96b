"""An open-loop load generator: requests leave when they are due, not when the last answer has come.

One thread, one selector, raw sockets: about 40 µs of CPU for a request, so that one process sends a few thousand a second.
"""

from __future__ import annotations

import errno
import select
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable

from loadtest.outcomes import Outcome
from loadtest.response import ResponseReader

Address = tuple[str, int]


class _Connection:
    """One keep-alive connection, which carries one request at a time."""

    __slots__ = ("due", "reader", "request", "socket")

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.reader = ResponseReader()
        self.due = -1.0  # of the request under way, seconds since the start; -1: none
        self.request = b""  # bytes of it that are still to be sent


class OpenLoop:
    """Sends one and the same request at given moments over at most `connections` connections.

    A request that finds no connection free waits in the generator, and its wait counts. `sockets` are connections to use
    instead of opening any: they are used in turn, and a failed one is not replaced. Else the connection that was used last is
    used next, so that no more are opened than are needed.
    """

    def __init__(
        self, address: Address, request: bytes, connections: int, sockets: Iterable[socket.socket] = (), worker: int = 0
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._address = address
        self._request = request
        self._worker = worker
        self._selector = selectors.DefaultSelector()
        self._idle = deque(self._register(sock) for sock in sockets)
        self._in_turn = bool(self._idle)
        self._open = len(self._idle)
        self._limit = 0 if self._idle else connections  # of those that we open
        self._backlog: deque[float] = deque()  # due moments of requests that found no connection
        self._start = 0.0

    def run(self, arrivals: Iterable[float], seconds: float, start: float = 0.0) -> list[Outcome]:
        """Send at each arrival (seconds since the start, ascending); return all that ended within `seconds`.

        `start` is a moment of time.monotonic(), so that several generators can run in step; 0 is now.
        """
        self._start = start or time.monotonic()
        moments = iter(arrivals)
        due = next(moments, None)
        while (now := time.monotonic() - self._start) < seconds:
            while due is not None and due <= now:
                self._send(due)
                due = next(moments, None)
            if due is None and not self._busy():
                break
            self._turn(min(seconds, seconds if due is None else due) - now)
        self._close()
        return self.outcomes

    def _busy(self) -> bool:
        return bool(self._backlog) or len(self._idle) < self._open

    def _turn(self, wait: float) -> None:
        """Wait for readiness and serve it. select() waits to within 50 µs; epoll would round up to a millisecond."""
        select.select([self._selector], (), (), max(0.0, wait))
        for key, events in self._selector.select(0):
            connection: _Connection = key.data
            if events & selectors.EVENT_WRITE:
                self._push(connection)
            if events & selectors.EVENT_READ:
                self._receive(connection)

    def _send(self, due: float) -> None:
        """Send the request that is due over an idle or a new connection, or queue it."""
        if self._idle:
            connection = self._idle.popleft() if self._in_turn else self._idle.pop()
        elif self._open < self._limit:
            connection = self._connect()
        else:
            self._backlog.append(due)
            return
        connection.due = due
        connection.request = self._request
        self._push(connection)

    def _push(self, connection: _Connection) -> None:
        """Send on what the socket takes, and be woken when it takes more."""
        try:
            connection.request = connection.request[connection.socket.send(connection.request) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # what macOS says while it still connects; Linux says EAGAIN
                self._fail(connection)
                return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.request else 0)
        if self._selector.get_key(connection.socket).events != events:
            self._selector.modify(connection.socket, events, connection)

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._fail(connection)
        elif connection.reader.feed(data):
            self._finish(connection)

    def _finish(self, connection: _Connection) -> None:
        """Note the answer; the connection takes the longest-waiting request, if there is one."""
        reader = connection.reader
        self._note(connection.due, reader.status)
        if reader.close:
            self._drop(connection)
            self._next()
            return
        reader.reset()
        connection.due = -1.0
        self._idle.append(connection)
        self._next()

    def _fail(self, connection: _Connection) -> None:
        """The connection is gone; its request, if it had one, has failed."""
        if connection.due >= 0:
            self._note(connection.due, 0)
        else:
            self._idle.remove(connection)
        self._drop(connection)
        self._next()

    def _next(self) -> None:
        if self._backlog and (self._idle or self._open < self._limit):
            self._send(self._backlog.popleft())

    def _note(self, due: float, status: int) -> None:
        self.outcomes.append(Outcome(due, time.monotonic() - self._start - due, status, self._worker))

    def _connect(self) -> _Connection:
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(self._address)
        self._open += 1
        return self._register(sock)

    def _register(self, sock: socket.socket) -> _Connection:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(sock)
        self._selector.register(sock, selectors.EVENT_READ, connection)
        return connection

    def _drop(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
        self._open -= 1

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            connection: _Connection = key.data
            connection.socket.close()
        self._selector.close()


def get(path: str, host: str = "127.0.0.1") -> bytes:
    """The bytes of a plain GET."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: loadtest\r\n\r\n".encode()

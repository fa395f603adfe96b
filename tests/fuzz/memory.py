"""Kernel, clock and network of a data plane, in memory: the real codecs, exchange, gate and pool over sockets that only remember.

Everything is one thread and virtual time, so that a test decides what arrives in which piece and in which order. An exception in
the router is not swallowed here as the real poller does, and events that change nothing again and again are a failure.
"""

from __future__ import annotations

import errno
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from router import balance
from router.exchange import Exchange
from router.http1.sender import Limits
from router.identity import Identity
from router.meters import CLOSED, OPENED, PAGE, Meters, read_functions
from router.model import Backend, Endpoint, Route, RouteKey, Settings
from router.switchboard import Patience, Switchboard
from router.wire import client_answers, upstream
from router.wire.buffer import LARGE
from router.wire.date import DateLine
from router.wire.listener import Clients, Times
from router.wire.pool import Pool
from router.wire.upstream import UpstreamConnection
from router.wire.watched import BROKEN, READ, WRITE

KEY = RouteKey("*", "default", "f")
HUNG_UP = 16  # EPOLLHUP: both directions have ended, whatever is still unread
MOST_EVENTS = 20_000  # for one burst of input: beyond that the loop would spin
_numbers = itertools.count(3)


class Socket:
    """The router's end of a connection. The other end puts segments into `inbox` and finds what was sent in `outbox`."""

    family = -1
    room = 1 << 62  # bytes that may lie in `outbox`; the test takes them out

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.inbox: deque[bytes] = deque()
        self.outbox = bytearray()
        self.fin = False  # the other end sent its FIN, behind the inbox
        self.reset = False  # … or a RST, behind the inbox
        self.error = 0  # of connecting
        self.connecting = False
        self.ended = False  # the router sent its FIN
        self.closed = False
        self.was_reset = False  # the router sent a RST

    def fileno(self) -> int:
        return -1 if self.closed else self.number

    def recv_into(self, buffer: bytearray) -> int:
        """One segment at a time, so that a split stays a split."""
        assert not self.closed, "read after close"
        if self.inbox:
            segment = self.inbox.popleft()
            taken = segment[: len(buffer)]
            if len(taken) < len(segment):
                self.inbox.appendleft(segment[len(taken) :])
            buffer[: len(taken)] = taken
            return len(taken)
        if self.reset:
            raise ConnectionResetError
        if self.fin:
            return 0
        raise BlockingIOError

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As `recv(1, MSG_PEEK)`, which is all that the router asks."""
        if self.inbox:
            return self.inbox[0][:size]
        if self.fin:
            return b""
        raise BlockingIOError

    def send(self, data: bytes | memoryview) -> int:
        assert not self.closed, "sent after close"
        if self.reset:
            raise ConnectionResetError
        if self.ended:
            raise BrokenPipeError
        free = self.room - len(self.outbox)
        if free <= 0 or self.connecting:
            raise BlockingIOError
        self.outbox += data[:free]
        return min(free, len(data))

    def sendmsg(self, parts: list[Any]) -> int:
        return self.send(b"".join(parts))

    def shutdown(self, how: int) -> None:
        if self.reset:
            raise OSError(errno.ENOTCONN, "not connected")
        self.ended = True

    def setsockopt(self, *_: Any) -> None:
        """Only SO_LINGER is ever set on a client's connection: close() will send a RST."""
        self.was_reset = True

    def getsockopt(self, *_: Any) -> int:
        """SO_ERROR."""
        return errno.EINPROGRESS if self.connecting else self.error

    def close(self) -> None:
        self.closed = True

    def ready(self, wanted: int) -> int:
        """The events that an epoll would report."""
        if self.connecting:
            return 0
        if self.error:
            return (wanted & WRITE) | BROKEN
        events = READ if self.inbox or self.fin or self.reset else 0
        events |= WRITE if len(self.outbox) < self.room or self.reset else 0
        return (events & wanted) | (BROKEN if self.reset else HUNG_UP if self.fin and self.ended else 0)

    def state(self) -> tuple[Any, ...]:
        """What progress changes."""
        return len(self.inbox), self.inbox[0] if self.inbox else b"", len(self.outbox), self.ended, self.closed


class Poller:
    """What the data plane asks of `router.wire.poller.Poller`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.watched: dict[int, tuple[Any, int]] = {}
        self.sockets: dict[int, Socket] = {}
        self.outboxes: list[tuple[list[Any], Callable[[], None]]] = []

    def send_by(self, outbox: list[Any], send: Callable[[], None]) -> None:
        self.outboxes.append((outbox, send))

    def watch(self, fd: int, watched: Any, events: int = READ) -> None:
        assert fd not in self.watched, "watched twice"
        self.watched[fd] = (watched, events)
        self.sockets[fd] = watched.sock

    def change(self, fd: int, events: int) -> None:
        self.watched[fd] = (self.watched[fd][0], events)

    def forget(self, fd: int) -> None:
        self.watched.pop(fd, None)
        self.sockets.pop(fd, None)

    def close_socket(self, sock: Socket) -> None:
        self.forget(sock.fileno())
        sock.close()

    def serve(self) -> bool:
        """One batch of events. False: there was none."""
        ready = [(fd, self.sockets[fd].ready(events)) for fd, (_, events) in self.watched.items()]
        ready = [(fd, events) for fd, events in ready if events]
        for fd, events in ready:
            if fd in self.watched:
                before = self._state(fd)
                self.watched[fd][0].on_event(events)
                assert self._state(fd) != before, "an event changed nothing, so it would come for ever"
        self.send()
        return bool(ready)

    def send(self) -> None:
        """The end of a turn."""
        while full := [send for outbox, send in self.outboxes if outbox]:
            for send in full:
                send()

    def _state(self, fd: int) -> tuple[Any, ...]:
        if fd not in self.watched:
            return ()
        return (self.watched[fd][1], *self.sockets[fd].state())


class MemoryPool(Pool):
    """The real pool; what it opens are sockets in memory."""

    def __init__(self, poller: Poller, limits: Limits) -> None:
        super().__init__(poller, limits, 50.0, 512)  # type: ignore[arg-type]
        self.opened: deque[Socket] = deque()  # not yet seen by the function
        self.connecting = False  # new ones stay so until the test says otherwise
        self.refusing: int = 0  # with which errno
        self.room = Socket.room

    def open(self, upstream: balance.Upstream, exchange: Exchange) -> UpstreamConnection:
        if self.refusing:
            raise OSError(self.refusing, "refused")
        sock = Socket()
        sock.connecting = self.connecting
        sock.room = self.room
        connection = UpstreamConnection(self, upstream, exchange, sock, not self.connecting)  # type: ignore[arg-type]
        self.open_now.add(connection)
        self.opened.append(sock)
        return connection


class Wakes:
    """A scaler that only counts."""

    count = 0

    def wake(self, key: RouteKey) -> None:
        self.count += 1

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        raise AssertionError("the data plane resizes nothing")


class Memory:
    """A data plane in memory, with one function `f` of one endpoint unless the test puts another."""

    def __init__(
        self,
        limits: Limits | None = None,
        times: Times | None = None,
        patience: dict[str, Any] | None = None,
        large: int = LARGE,
    ) -> None:
        for module in (
            client_answers,
            upstream,
        ):  # from how many bytes on a detour is taken not to copy them; compiled, it stays as it is
            module.LARGE = large  # type: ignore[misc]
        self.limits = limits or Limits()
        self.poller = Poller()
        self.book = memoryview(bytearray(PAGE * 8))
        self.meters = Meters(self.book)
        self.wakes = Wakes()
        draw = random.Random(0).random
        self.board = Switchboard(
            self.poller, draw, Identity(b"0123456789abcdef"), self.meters, self.wakes, replace(Patience(), **(patience or {}))
        )
        self.pool = MemoryPool(self.poller, self.limits)
        self.board.connector = self.pool
        self.clients = Clients(self.board, self.poller, self.meters, self.limits, times or Times())  # type: ignore[arg-type]
        begun = self.poller.now
        self.pool.date = self.clients.date = DateLine(lambda: 784111777.0 + self.poller.now - begun)
        self.put("f:1")

    def put(self, *addresses: str, **settings: Any) -> None:
        endpoints = tuple(Endpoint(address) for address in addresses)
        self.board.put(Route(KEY, (Backend("r1", endpoints),), replace(Settings(), **settings)))

    def connect(self, room: int = Socket.room) -> Socket:
        """A client's connection."""
        sock = Socket()
        sock.room = room
        self.clients.add(sock, "192.0.2.1")  # type: ignore[arg-type]
        return sock

    def run(self, function: Callable[[], bool] = lambda: False) -> None:
        """Serve until nothing is left to do, letting the function act in between: it tells whether it did something."""
        events = 0
        while self.poller.serve() or function():
            events += 1
            assert events < MOST_EVENTS, "the router does not come to rest"

    def feed(self, sock: Socket, pieces: Iterator[bytes] | list[bytes], function: Callable[[], bool] = lambda: False) -> None:
        """Pieces of a stream, each served before the next comes; what comes after the router closed is lost."""
        for piece in pieces:
            if sock.closed:
                return
            if piece:
                sock.inbox.append(piece)
            self.run(function)

    def pass_time(self, seconds: float, function: Callable[[], bool] = lambda: False, step: float = 0.25) -> None:
        """Let time go by in steps of a quarter of a second, as the data plane's tick does."""
        end = self.poller.now + seconds
        while self.poller.now < end:
            self.poller.now = min(end, self.poller.now + step)
            self.board.tick()
            self.clients.sweep(self.poller.now)
            self.pool.sweep(self.poller.now)
            self.run(function)

    def wind_up(self, sock: Socket, seconds: float, function: Callable[[], bool] = lambda: False) -> None:
        """Let time go by until a connection is closed, or so long."""
        end = self.poller.now + seconds
        while not sock.closed and self.poller.now < end:
            self.pass_time(5.0, function, step=1.0)

    def present(self) -> tuple[int, int]:
        """In flight and waiting."""
        lives = self.board.table.called.values()
        revisions = [r for live in lives for r in (live.revisions or {}).values()]
        assert all(upstream.in_flight >= 0 for r in revisions for upstream in r.upstreams.all.values())
        busy = sum(r.gate.busy + r.gate.exempt for r in revisions)
        assert busy == sum(upstream.in_flight for r in revisions for upstream in r.upstreams.all.values()) + sum(
            one.live in lives for one in self.board.backing_off
        ), "a slot without a request, or a request without a slot"
        return busy, sum(r.gate.waiting for r in revisions)

    def retained(self) -> int:
        """Bytes of requests and responses that the router keeps at this moment."""
        connections = (*self.clients.open, *self.pool.open_now)
        exchanges = [client.exchange for client in self.clients.open]
        readers = [one.chunked for one in connections if one.chunked is not None]
        return sum(_bytes_in(one) for one in (*connections, *exchanges, *readers))

    def close(self) -> None:
        """End every connection, and hold the world to it that nothing is left."""
        self.clients.close()
        self.run()
        assert self.present() == (0, 0)
        assert not self.clients.open
        assert not self.board.backing_off
        self.pool.close()
        assert not self.poller.watched
        assert all(cells[OPENED] == cells[CLOSED] for cells in read_functions(self.book).values())


@cache
def _slots(kind: type) -> frozenset[str]:
    """Names of an object's attributes: slots are member descriptors in plain Python and getset descriptors when compiled."""
    kinds = (MemberDescriptorType, GetSetDescriptorType)
    return frozenset(name for name in dir(kind) if name[:2] != "__" and isinstance(getattr(kind, name), kinds))


def _bytes_in(one: Any) -> int:
    values = (getattr(one, name, None) for name in _slots(type(one)))
    return sum(len(value) for value in values if isinstance(value, bytes | bytearray))

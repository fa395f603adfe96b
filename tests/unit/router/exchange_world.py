"""The core without sockets: a codec that multiplexes, on both sides, in memory and in virtual time.

All streams of a side share one list of frames, as those of an HTTP/2 connection share its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from router import balance
from router.errors import ProxyError
from router.exchange import Exchange
from router.http1.fields import read_fields
from router.http1.request import Request
from router.http1.response import Response, read_response
from router.http1.sender import Limits, Sender
from router.identity import Identity
from router.meters import PAGE, Meters
from router.model import Backend, Endpoint, Route, RouteKey, Settings
from router.streams import Buffer
from router.switchboard import Patience, Switchboard

KEY = RouteKey("*", "default", "hello")
SENDER = Sender(b"192.0.2.1", Limits())


class Clock:
    """Virtual time."""

    def __init__(self) -> None:
        self.now = 1000.0


class Wakes:
    """A scaler that remembers when it was asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.at: list[float] = []

    def wake(self, key: RouteKey) -> None:
        self.at.append(self.clock.now)

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        raise AssertionError("an exchange resizes nothing")


@dataclass(frozen=True)
class Frame:
    """What one stream of a connection carries."""

    stream: int
    kind: str  # "head" | "interim" | "data" | "end" | "problem" | "cut" | "finished" | "pause" | "resume" | "switch"
    value: Any = b""


class Near:
    """One stream of the client's connection."""

    address = b"192.0.2.1"

    def __init__(self, number: int, frames: list[Frame]) -> None:
        self.number = number
        self.frames = frames

    def _add(self, kind: str, value: Any = b"") -> None:
        self.frames.append(Frame(self.number, kind, value))

    def respond(self, response: Response, extra: bytes, payload: Buffer, whole: bool, wire: Buffer | None) -> None:
        self._add("head", (response.status, bytes(extra)))
        if payload:
            self._add("data", bytes(payload))
        if whole:
            self._add("end")

    def inform(self, response: Response) -> None:
        self._add("interim", response.status)

    def switch(self, response: Response, extra: bytes) -> None:
        self._add("switch", response.upgrade)

    def send(self, payload: Buffer) -> None:
        self._add("data", bytes(payload))

    def send_end(self, trailers: bytes) -> None:
        self._add("end", trailers)

    def fail(self, error: ProxyError) -> None:
        self._add("problem", error.status)

    def cut(self) -> None:
        self._add("cut")

    def finished(self, now: float) -> None:
        self._add("finished")

    def pause(self) -> None:
        self._add("pause")

    def resume(self) -> None:
        self._add("resume")


class Far:
    """One stream of the connection to an endpoint."""

    def __init__(self, world: World, upstream: balance.Upstream, exchange: Exchange, connected: bool) -> None:
        self.world = world
        self.upstream = upstream
        self.exchange: Exchange | None = exchange
        self.connected = connected
        self.stale = False
        self.body = b""
        self.head: Request | None = None
        self.extra = b""
        self.ended = False
        self.aborted = False
        self.released = False

    def request(self, exchange: Exchange, extra: bytes, payload: Buffer, now: float) -> bool:
        if self.stale:
            return False
        self.exchange = exchange
        self.head, self.extra, self.ended = exchange.request, extra, exchange.whole
        self.body += bytes(payload)
        return True

    def send(self, payload: Buffer) -> None:
        self.body += bytes(payload)

    def send_end(self, trailers: bytes) -> None:
        self.ended = True

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def release(self, now: float) -> None:
        self.released = True
        self.exchange = None

    def abort(self) -> None:
        self.aborted = True
        self.exchange = None

    # what the function does

    def answer(self, status: int = 200, body: bytes = b"ok") -> None:
        assert self.exchange is not None
        head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n" % (status, len(body))
        self.exchange.respond(read_response(head), body, True, None)

    def lose(self, answered: bool = False, failure: str = "reset", silent: bool = False) -> None:
        exchange, self.exchange = self.exchange, None
        assert exchange is not None
        exchange.upstream_lost(answered, failure, silent)


class World:
    """A switchboard, its streams and its clock."""

    def __init__(self, **patience: Any) -> None:
        self.clock = Clock()
        self.wakes = Wakes(self.clock)
        self.book = memoryview(bytearray(PAGE * 8))
        self.meters = Meters(self.book)
        self.draws = iter(())
        self.board = Switchboard(
            self.clock, lambda: 0.0, Identity(b"0123456789abcdef"), self.meters, self.wakes, replace(Patience(), **patience)
        )
        self.board.connector = self
        self.frames: list[Frame] = []
        self.streams: list[Far] = []
        self.refusing: set[str] = set()
        self.slow: set[str] = set()
        self._count = 0

    def open(self, upstream: balance.Upstream, exchange: Exchange) -> Far:
        """As Connector.open."""
        if upstream.address in self.refusing:
            raise ConnectionRefusedError
        self.streams.append(Far(self, upstream, exchange, upstream.address not in self.slow))
        return self.streams[-1]

    def put(self, *addresses: str, **settings: Any) -> None:
        endpoints = tuple(Endpoint(address) for address in addresses)
        self.board.put(Route(KEY, (Backend("r1", endpoints),), replace(Settings(), **settings)))

    def begin(
        self, method: bytes = b"GET", body: bytes = b"", whole: bool = True, lines: bytes = b"", length: int = -9
    ) -> Exchange:
        """A request on a new stream. Raises ProxyError when it is refused."""
        self._count += 1
        exchange = Exchange(self.board, Near(self._count, self.frames))
        size = len(body) if length == -9 else length
        block = b"Host: a\r\n" + lines + (b"Content-Length: %d\r\n" % size if size else b"")
        request = Request(method, b"hello", b"/x", read_fields(block, b"1", SENDER))
        exchange.begin(request, body, whole)
        return exchange

    def of(self, exchange: Exchange) -> list[tuple[str, Any]]:
        """The frames of a stream."""
        number = exchange.down.number  # type: ignore[attr-defined]
        return [(frame.kind, frame.value) for frame in self.frames if frame.stream == number]

    def pass_time(self, seconds: float, step: float = 0.025) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + step)
            self.board.tick()

    def present(self) -> tuple[int, int]:
        revisions = [r for live in self.board.table.called.values() for r in (live.revisions or {}).values()]
        return sum(r.gate.busy + r.gate.exempt for r in revisions), sum(r.gate.waiting for r in revisions)

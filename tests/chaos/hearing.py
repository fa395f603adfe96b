"""What a client reads, with h11 as the independent parser: one answer behind the other, each to its own request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import h11

from tests.chaos.asking import Ask


@dataclass
class Got:
    """One answer, or the beginning of one."""

    ask: Ask
    status: int = 0
    body: bytes = b""
    whole: bool = False
    number: int = 0  # of the function's answer, if it says so
    ours: bool = False  # the router's own
    last: bool = False  # it says that it is the connection's last


class Hearing:
    """The answers of one connection; `check` is called with each that is whole, `asked` tells whether the head of one is out."""

    def __init__(self, asks: list[Ask], asked: Callable[[int], bool], check: Callable[[Got], None]) -> None:
        self.asks = asks
        self.asked = asked
        self.check = check
        self.got: list[Got] = []
        self.parser: h11.Connection | None = None
        self.tunnel: bytes | None = None  # what came behind a 101
        self.waits = False  # for 100, or for what makes it needless

    @property
    def answered(self) -> int:
        """Requests that have their whole answer."""
        return sum(one.whole for one in self.got)

    def receive(self, data: bytes) -> None:
        """More bytes, of which there are some."""
        while data:
            if self.tunnel is not None:
                self.tunnel += data
                return
            if self.parser is None:
                self.parser = self._begin(data)
            self.parser.receive_data(data)
            data = self._read(self.parser)

    def end(self, reset: bool) -> None:
        """There will be no more. What breaks off in the middle of an answer is no violation: it is visible."""
        if self.parser is None or self.tunnel is not None or reset:
            return
        try:
            self.parser.receive_data(b"")
            self._read(self.parser)
        except h11.RemoteProtocolError:
            pass

    def _begin(self, data: bytes) -> h11.Connection:
        got = self.got
        assert len(got) < len(self.asks), f"an answer that nobody asked for: {data[:100]!r}"
        assert not (got and got[-1].last), f"an answer behind the last one: {data[:100]!r}"
        ask = self.asks[len(got)]
        method = ask.method if self.asked(len(got)) else b"GET"  # of half a head nobody knows that it is a HEAD
        upgrade = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")] if ask.upgrade else []
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "h"), *upgrade]))
        parser.send(h11.EndOfMessage())
        got.append(Got(ask))
        return parser

    def _read(self, parser: h11.Connection) -> bytes:
        """All there is of one answer; returns what is behind it."""
        got = self.got[-1]
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if event is h11.PAUSED:
                assert got.status == 101
                got.whole, self.tunnel = True, b""
                return bytes(parser.trailing_data[0])
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return b""
            self._take(event, got)
        got.whole = True
        self.parser = None
        self.check(got)
        return bytes(parser.trailing_data[0])

    def _take(self, event: object, got: Got) -> None:
        if isinstance(event, h11.Data):
            got.body += bytes(event.data)
            return
        assert isinstance(event, h11.InformationalResponse | h11.Response)
        self.waits = False
        if event.status_code == 101 or isinstance(event, h11.Response):
            got.status = event.status_code
            lines = dict(event.headers)
            got.number = int(lines.get(b"x-number", b"0"))
            got.ours = lines.get(b"content-type") == b"application/problem+json"
            got.last = lines.get(b"connection") == b"close" or not got.ask.minor

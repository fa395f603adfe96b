"""Sockets of a network that does what networks do, and a poller whose turns bring any events in any order.

As `tests.fuzz.memory`, but a send takes as much as it likes, and a peer may go at any moment, with what is on its way.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from router import balance
from router.exchange import Exchange
from router.wire.upstream import UpstreamConnection
from router.wire.watched import READ, WRITE
from tests.chaos.draws import Draws
from tests.fuzz.memory import Memory, MemoryPool, Socket


class Wire(Socket):
    """The router's end of a connection; `heard` is all that its sends were taken."""

    def __init__(self, draws: Draws, rough: bool) -> None:
        super().__init__()
        self.draws = draws
        self.rough = rough  # sends are taken in parts or not at all
        self.sent = 0  # bytes that the router's kernel took
        self.lost = False  # a reset took bytes with it that the peer had not read yet
        self.slipped = False  # the peer closed with a FIN: what is sent now is answered by a RST
        self.vain = b""  # … and was this

    def send(self, data: bytes | memoryview) -> int:
        """As Socket.send."""
        taken = len(data)
        if self.rough and not self.reset and self.draws.chance(20):
            taken = self.draws.below(taken + 1)
            if not taken:
                raise BlockingIOError
        if self.reset and self.draws.chance(50):
            raise BrokenPipeError
        taken = super().send(data[:taken])
        self.sent += taken
        if self.slipped:
            self.vain += self.outbox
            self.outbox.clear()
        return taken

    def sendmsg(self, parts: list[bytes | memoryview]) -> int:
        """As Socket.sendmsg."""
        return self.send(b"".join(parts))

    def close(self) -> None:
        """As Socket.close: unread bytes make it a RST, which destroys what the peer has not read."""
        if (self.was_reset or self.inbox) and not self.closed and not self.fin:
            self.was_reset = True
            if self.outbox and self.draws.chance(50):
                del self.outbox[self.draws.below(len(self.outbox)) :]
                self.lost = True
        super().close()

    def state(self) -> tuple[object, ...]:
        """As Socket.state: also what goes in vain is progress, and a send that takes nothing this time."""
        return (*super().state(), self.sent, len(self.draws.made))

    # what the peer does

    def say(self, data: bytes) -> None:
        """The peer sends; to one who closed it is in vain, and costs what the peer has not read."""
        if self.closed:
            self.was_reset = True
            self.lost = self.lost or bool(self.outbox)
            self.outbox.clear()
        else:
            self.inbox.append(data)

    def end(self, reset: bool) -> None:
        """The peer closes."""
        if reset:
            self.reset = True
            if self.draws.chance(30):
                self.inbox.clear()
        else:
            self.fin = self.slipped = True

    @property
    def over(self) -> bool:
        """The peer has read all, and there will be no more."""
        return (self.closed or self.ended) and not self.outbox


class Pool(MemoryPool):
    """The real pool; each connection that it opens has a fate of its own."""

    def __init__(self, memory: Memory, fate: Callable[[str], Wire | int]) -> None:
        super().__init__(memory.poller, memory.limits)
        self.fate = fate

    def open(self, upstream: balance.Upstream, exchange: Exchange) -> UpstreamConnection:
        """As Pool.open."""
        sock = self.fate(upstream.address)
        if isinstance(sock, int):
            raise OSError(sock, errno.errorcode[sock])
        connection = UpstreamConnection(self, upstream, exchange, sock, not sock.connecting)  # type: ignore[arg-type]
        self.open_now.add(connection)
        return connection


def turn(memory: Memory, draws: Draws, between: Callable[[], None]) -> bool:
    """One turn of the poller: some of the events there are, in any order, sent after some of them. False: there was none."""
    poller = memory.poller
    ready = [(fd, poller.sockets[fd].ready(asked), asked) for fd, (_, asked) in poller.watched.items()]
    ready = [each for each in ready if each[1]]
    some = bool(ready)
    while ready and not draws.chance(10):
        fd, events, asked = ready.pop(draws.below(len(ready)))
        if fd in poller.watched:
            if draws.chance(3):
                events |= asked & (READ | WRITE)
            poller.watched[fd][0].on_event(events)
        if draws.chance(10):
            between()
        if draws.chance(5):
            poller.send()
    poller.send()
    return some

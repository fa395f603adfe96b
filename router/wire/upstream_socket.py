"""The socket of a connection to an endpoint: connecting, what is written to it, and how it ends."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

from router import balance
from router.exchange import Exchange
from router.streams import Buffer
from router.wire.buffer import BUSY
from router.wire.poller import READ, WRITE

if TYPE_CHECKING:
    from router.wire.pool import Pool

HEAD: Final = 0
LENGTH: Final = 1
CHUNKS: Final = 2
CLOSE: Final = 3
TUNNEL: Final = 4
CLOSED: Final = 5


class UpstreamSocket:
    """The half of an UpstreamConnection that knows no HTTP."""

    # fmt: off
    __slots__ = (
        "buf", "connected", "deaf", "ending", "events", "exchange", "fd", "interim", "out", "pool", "recv_into", "row",
        "send_bytes", "sock", "state", "upstream",
    )
    # fmt: on

    def __init__(self, pool: Pool, upstream: balance.Upstream, exchange: Exchange, sock: socket.socket, connected: bool) -> None:
        self.pool = pool
        self.upstream = upstream
        self.row = exchange.row
        self.exchange: Exchange | None = exchange
        self.sock = sock
        self.fd = sock.fileno()
        self.recv_into = sock.recv_into
        self.send_bytes = sock.send
        self.connected = connected
        self.state = HEAD
        self.events = READ if connected else WRITE
        self.buf = b""  # of an unfinished head
        self.interim = 0  # interim responses to the present request
        self.out = b""  # what the kernel did not take yet
        self.deaf = False  # the function takes no more of this request, but may still answer
        self.ending = False  # shut the write side down once `out` is empty

    def _write(self, parts: list[Buffer]) -> None:
        if self.deaf or not parts:
            return
        if self.out:
            self._keep_back(self.out + b"".join(parts))
            return
        try:
            if len(parts) == 1:
                taken = self.send_bytes(parts[0])
            else:
                taken = self.sock.sendmsg(parts)
        except BUSY:
            taken = 0
        except OSError:
            self._stop_writing()
            return
        if taken != sum(len(part) for part in parts):
            self._keep_back(b"".join(parts)[taken:])

    def _keep_back(self, rest: bytes) -> None:
        self.out = rest
        self._set(self.events | WRITE)
        if self.exchange is not None:
            self.exchange.upstream_full()

    def _stop_writing(self) -> None:
        """The function closed its side. Its answer may be there already, so reading goes on and will tell."""
        self.deaf = True
        self.out = b""
        self._set((self.events | READ) & ~WRITE)

    def _writable(self) -> None:
        if not self.connected:
            self._try_connected()
            return
        if self.out:
            try:
                taken = self.send_bytes(self.out)
            except BUSY:
                return
            except OSError:
                self._stop_writing()
                return
            self.out = self.out[taken:]
            if self.out:
                return
        self._set(self.events & ~WRITE)
        self._shut()
        if self.exchange is not None:
            self.exchange.upstream_ready()

    def _shut(self) -> None:
        if self.ending and not self.out:
            self.ending = False
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it is gone, and reading will tell

    # connecting

    def _try_connected(self) -> None:
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error in (errno.EINPROGRESS, errno.EALREADY):
            return
        if error:
            self._lost("connect")
            return
        self.connected = True
        self._set(READ)
        if self.exchange is not None:
            self.exchange.connected()

    def _set(self, events: int) -> None:
        if events != self.events and self.state != CLOSED:
            self.events = events
            self.pool.poller.change(self.fd, events)

    # the end

    def abort(self) -> None:
        """As Upward.abort."""
        self.exchange = None
        self.close()

    def close(self) -> None:
        """Close it. Nothing is reported."""
        if self.state != CLOSED:
            self.state = CLOSED
            self.connected = False
            self.row.upstream_closed()
            self.pool.closed(self)

    def _lost(self, failure: str, answered: bool = False) -> None:
        """The connection is of no use any more: tell the exchange, if there is one."""
        exchange, self.exchange = self.exchange, None
        answered = answered or bool(self.buf) or self.interim > 0 or failure == "malformed"
        if exchange is None:
            self.pool.forget(self)
        self.close()
        if exchange is not None:
            exchange.upstream_lost(answered, failure)

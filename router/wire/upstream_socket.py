"""The socket of a connection to an endpoint: connecting, and how it ends."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

from router import balance
from router.errors import UNANSWERED
from router.exchange import Exchange
from router.wire.outlet import CLOSED, Outlet
from router.wire.watched import READ, WRITE

if TYPE_CHECKING:
    from router.wire.pool import Pool

__all__ = ("CHUNKS", "CLOSE", "CLOSED", "HEAD", "LENGTH", "TUNNEL", "UpstreamSocket")

HEAD: Final = 0
LENGTH: Final = 1
CHUNKS: Final = 2
CLOSE: Final = 3
TUNNEL: Final = 4


class UpstreamSocket(Outlet):
    """The half of an UpstreamConnection that knows no HTTP. `buf` is an unfinished head."""

    __slots__ = ("connected", "exchange", "interim", "pool", "row", "upstream")

    def __init__(self, pool: Pool, upstream: balance.Upstream, exchange: Exchange, sock: socket.socket, connected: bool) -> None:
        super().__init__(pool.poller, sock, READ if connected else WRITE)
        self.pool = pool
        self.upstream = upstream
        self.row = exchange.row
        self.exchange: Exchange | None = exchange
        self.connected = connected
        self.interim = 0  # interim responses to the present request

    def _full(self) -> None:
        if self.exchange is not None:
            self.exchange.upstream_full()

    def _free(self) -> None:
        if self.exchange is not None:
            self.exchange.upstream_ready()

    def _unwritable(self) -> None:
        """The function closed its side. Its answer may be there already, so reading goes on and will tell."""
        self.deaf = True
        self.out = b""
        self._set((self.events | READ) & ~WRITE)

    # connecting

    def _try_connected(self) -> None:
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error in (errno.EINPROGRESS, errno.EALREADY):
            return
        if error:
            self._lost("connect", silent=error in UNANSWERED)
            return
        self.connected = True
        self._set(READ)
        if self.exchange is not None:
            self.exchange.connected()

    # the end

    def abort(self) -> None:
        """As Upward.abort."""
        self.exchange = None
        self.close()

    def close(self) -> None:
        """Close it. Nothing is reported."""
        if self.state != CLOSED:
            self.state = CLOSED
            self.out = b""
            self.connected = False
            self.row.upstream_closed()
            self.pool.closed(self)

    def _lost(self, failure: str, answered: bool = False, silent: bool = False) -> None:
        """The connection is of no use any more: tell the exchange, if there is one."""
        exchange, self.exchange = self.exchange, None
        answered = answered or bool(self.buf) or self.interim > 0 or failure == "malformed"
        if exchange is None:
            self.pool.forget(self)
        self.close()
        if exchange is not None:
            exchange.upstream_lost(answered, failure, silent)

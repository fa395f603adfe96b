"""The socket of a client, and how it ends."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from router.exchange import SENT, Exchange
from router.wire.buffer import BUSY
from router.wire.outlet import CLOSED, Outlet
from router.wire.watched import READ, RESET

if TYPE_CHECKING:
    from router.wire.listener import Clients
    from router.wire.tls import TlsSocket

__all__ = ("BODY", "CLOSED", "FULL", "HEAD", "LINGER", "TUNNEL", "ClientSocket")

HEAD: Final = 0
BODY: Final = 1
FULL: Final = 2
TUNNEL: Final = 3
LINGER: Final = 4

# Where Linux tells the state of a connection, and those in which the peer's FIN is there: TCP_CLOSE, TCP_CLOSE_WAIT.
_TOLD: Final = (socket.AF_INET, socket.AF_INET6) if hasattr(socket, "TCP_INFO") else ()
_ENDED: Final = (7, 8)


class ClientSocket(Outlet):
    """The half of a Client that knows no HTTP. `buf` is an unfinished head, or what came behind the present request."""

    __slots__ = ("clients", "closing", "due", "exchange")

    exchange: Exchange

    def __init__(self, clients: Clients, sock: socket.socket | TlsSocket) -> None:
        super().__init__(clients.poller, sock, READ)
        self.clients = clients
        self.closing = False  # the client sent its FIN
        self.due = clients.poller.now + clients.times.head  # when the present state has lasted too long; 0: the exchange knows

    def _full(self) -> None:
        self.exchange.client_full()

    def _free(self) -> None:
        self.exchange.client_ready()
        if self.state == HEAD:
            self.due = self.poller.now + self.clients.times.idle
            self._await_head()
            self._advance()

    def _await_head(self) -> None:
        """Read the next request, unless there are some already, or nobody takes the answers: what is kept has a bound."""
        self._set(self.events & ~READ if self.out or self.buf or self.closing else self.events | READ)

    def _advance(self) -> None:
        """Begin what was pipelined."""
        raise NotImplementedError

    def _unwritable(self) -> None:
        self.abort()

    def _flush(self) -> None:
        kept = len(self.out)
        super()._flush()
        if self.due and 0 < len(self.out) < kept:  # slow, but it takes what it is owed
            times = self.clients.times
            self.due = self.poller.now + (times.flush if self.state == LINGER else times.idle)

    # the end

    def _broken(self, events: int) -> bool:
        """The connection was reset; or both directions of a tunnel have ended, while some of it is still to go to the function.

        True: there is something to read, if only the end. No poller can be asked to keep this event back.
        """
        if self.state == TUNNEL and not events & RESET:
            if not self.exchange.whole:
                return True
            self._half_ended()
        else:
            self.abort()
        return False

    def _half_ended(self) -> None:
        """The client's direction of a tunnel has ended; when the function's has, too, there is nothing left to be told of."""
        if self.exchange.ended and not self.out:
            self.closing = True
            self.poller.forget(self.fd)
        else:
            self._set(self.events & ~READ)

    def _hung_up(self) -> bool:
        """Is there a FIN behind what was not read yet?"""
        return has_ended(self.sock) and self.exchange.state < SENT

    def _linger(self) -> None:
        """The last answer is on its way. Close, but only when the client has seen it."""
        if self.state >= LINGER:
            return
        if self.closing and not self.out:
            self.part()
            return
        self.state = LINGER
        self.buf = b""
        self.due = self.poller.now + self.clients.times.flush
        self.ending = True
        self._set(self.events & ~READ if self.closing else self.events | READ)
        self._shut()

    def _shut(self) -> None:
        if self.state == LINGER and self.ending and not self.out:
            if self.closing:  # both have said all
                self.ending = False
                self.part()
                return
            self.due = self.poller.now + self.clients.times.linger
        super()._shut()

    def abort(self) -> None:
        """End at once: the client is gone."""
        exchange = self.exchange
        if self.state != CLOSED:
            self.close()
            exchange.client_gone()

    def part(self) -> None:
        """Close, with all said. Over TLS the client is told that nothing was cut off (RFC 9112 9.8)."""
        if self.clients.certificate is not None:
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it is gone already
        self.close()

    def close(self) -> None:
        """Close the connection. Nothing is reported."""
        raise NotImplementedError


def has_ended(sock: socket.socket | TlsSocket) -> bool:
    """Has the peer sent its FIN, unread bytes before it or not? Where the system does not tell: only when nothing is unread."""
    try:
        if sock.family in _TOLD:
            return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _ENDED
        return sock.recv(1, socket.MSG_PEEK) == b""
    except BUSY:
        return False
    except OSError:
        return True

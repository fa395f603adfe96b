"""The socket of a client: what is written to it, and how it ends.

Everything that is sent goes out at once or is kept back in `out` until the kernel takes more; meanwhile the function is paused.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from router.exchange import Exchange
from router.streams import Buffer
from router.wire.buffer import BUSY, LARGE
from router.wire.poller import READ, WRITE

if TYPE_CHECKING:
    from router.wire.listener import Clients
    from router.wire.tls import TlsSocket

HEAD: Final = 0
BODY: Final = 1
FULL: Final = 2
TUNNEL: Final = 3
LINGER: Final = 4
CLOSED: Final = 5

_CLOSE_WAIT: Final = 8  # of Linux' TCP states: the peer sent a FIN


class ClientSocket:
    """The half of a Client that knows no HTTP."""

    # fmt: off
    __slots__ = (
        "buf", "clients", "closing", "due", "ending", "events", "exchange", "fd", "out", "recv_into", "send_bytes", "sock",
        "state",
    )
    # fmt: on

    exchange: Exchange

    def __init__(self, clients: Clients, sock: socket.socket | TlsSocket) -> None:
        self.clients = clients
        self.sock = sock
        self.fd = sock.fileno()
        self.recv_into = sock.recv_into
        self.send_bytes = sock.send
        self.state = HEAD
        self.events = READ
        self.buf = b""  # an unfinished head, or what came behind the present request
        self.out = b""  # what the kernel did not take yet
        self.ending = False  # shut the write side down once `out` is empty
        self.closing = False  # the client sent its FIN
        self.due = clients.poller.now + clients.times.head  # when the present state has lasted too long; 0: the exchange knows

    def _write(self, data: Buffer) -> None:
        if self.out:
            self._keep_back(self.out + data)
            return
        try:
            taken = self.send_bytes(data)
        except BUSY:
            taken = 0
        except OSError:
            self.abort()
            return
        if taken != len(data):
            self._keep_back(bytes(data[taken:]))

    def _write_parts(self, parts: list[Buffer]) -> None:
        size = sum(len(part) for part in parts)
        if self.out or size < LARGE:
            self._write(b"".join(parts))
            return
        try:
            taken = self.sock.sendmsg(parts)
        except BUSY:
            taken = 0
        except OSError:
            self.abort()
            return
        if taken != size:
            self._keep_back(b"".join(parts)[taken:])

    def _keep_back(self, rest: bytes) -> None:
        self.out = rest
        self._set(self.events | WRITE)
        self.exchange.client_full()

    def _flush(self) -> None:
        if self.out:
            try:
                taken = self.send_bytes(self.out)
            except BUSY:
                return
            except OSError:
                self.abort()
                return
            self.out = self.out[taken:]
            if self.out:
                return
        self._set(self.events & ~WRITE)
        self._shut()
        self.exchange.client_ready()

    def _shut(self) -> None:
        """Send the FIN once everything is out."""
        if self.ending and not self.out:
            self.ending = False
            if self.state == LINGER and self.closing:  # both have said all
                self.close()
                return
            if self.state == LINGER:
                self.due = self.clients.poller.now + self.clients.times.linger
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                self.abort()

    # the end

    def _linger(self) -> None:
        """The last answer is on its way. Close, but only when the client has seen it."""
        if self.state >= LINGER:
            return
        if self.closing and not self.out:
            self.close()
            return
        self.state = LINGER
        self.buf = b""
        self.due = self.clients.poller.now + self.clients.times.flush
        self.ending = True
        self._set(self.events & ~READ if self.closing else self.events | READ)
        self._shut()

    def abort(self) -> None:
        """End at once: the client is gone."""
        exchange = self.exchange
        if self.state != CLOSED:
            self.close()
            exchange.client_gone()

    def close(self) -> None:
        """Close the connection. Nothing is reported."""
        raise NotImplementedError

    def _set(self, events: int) -> None:
        if events != self.events and self.state != CLOSED:
            self.events = events
            self.clients.poller.change(self.fd, events)


def has_ended(sock: socket.socket | TlsSocket) -> bool:
    """Has the peer sent its FIN, unread bytes before it or not? Where the system does not tell: only when nothing is unread."""
    try:
        if hasattr(socket, "TCP_INFO") and isinstance(sock, socket.socket) and sock.family != socket.AF_UNIX:
            return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in (7, _CLOSE_WAIT)
        return sock.recv(1, socket.MSG_PEEK) == b""
    except BUSY:
        return False
    except OSError:
        return True

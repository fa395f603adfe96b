"""What comes before HTTP on a new connection: a PROXY protocol header from a configured network."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from router.proxy_protocol import FIXED, BadPreface, length, source
from router.wire.buffer import BUSY

if TYPE_CHECKING:
    from router.wire.listener import Clients

log = logging.getLogger("router")


class Preface:
    """A connection whose PROXY header is being read; then it becomes a Client."""

    def __init__(self, clients: Clients, sock: socket.socket, address: str) -> None:
        self.clients = clients
        self.sock = sock
        self.address = address  # of the balancer
        self.due = clients.poller.now + clients.times.head
        self._data = b""
        clients.poller.watch(sock.fileno(), self)

    def on_event(self, events: int) -> None:
        """Read no byte more than the header has: what follows is HTTP, or TLS."""
        try:
            while (want := self._wanted()) > 0:
                more = self.sock.recv(want)
                if not more:
                    self.abort()
                    return
                self._data += more
            self._done(source(self._data[:FIXED], self._data[FIXED:]))
        except BUSY:
            return
        except BadPreface as error:
            log.warning("%s: %s; the connection was closed", self.address, error)
            self.abort()
        except OSError:
            self.abort()

    def abort(self) -> None:
        """Close the connection."""
        self.clients.prefaces.discard(self)
        self.clients.poller.close_socket(self.sock)

    def _wanted(self) -> int:
        have = len(self._data)
        return FIXED - have if have < FIXED else FIXED + length(self._data[:FIXED]) - have

    def _done(self, address: str) -> None:
        self.clients.prefaces.discard(self)
        self.clients.poller.forget(self.sock.fileno())
        self.clients.begin(self.sock, address or self.address)

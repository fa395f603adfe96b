"""Listeners, and what all client connections of one worker share."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

from router.http1.sender import Limits, Sender
from router.meters import Meters
from router.switchboard import Switchboard
from router.wire.buffer import BUSY, FORGET
from router.wire.client import Client
from router.wire.client_socket import HEAD, ClientSocket
from router.wire.date import DateLine
from router.wire.places import BOUNDLESS, Places
from router.wire.poller import Poller
from router.wire.preface import Preface
from router.wire.tls import Certificate, TlsSocket
from router.wire.watched import READ

log = logging.getLogger("router")

_AT_ONCE = 64  # connections accepted before those that are open are served again


@dataclass(frozen=True, slots=True)
class Times:
    """How long a client may take, in seconds."""

    head: float = 15.0  # from a head's first byte to its last: 408
    idle: float = 75.0  # between requests
    flush: float = 30.0  # to take some more of the last answer
    linger: float = 2.0  # to close after it
    rest: float = 1.0  # to be idle, before the connection may be closed for another one's sake


class Clients:
    """The open client connections."""

    def __init__(
        self, board: Switchboard, poller: Poller, meters: Meters, limits: Limits, times: Times, most: int = BOUNDLESS
    ) -> None:
        self.board = board
        self.poller = poller
        self.meters = meters
        self.limits = limits
        self.times = times
        self.draining = False  # every answer is the last on its connection
        self.trusts: Callable[[str], bool] = lambda _: False  # may this address speak for others (X-Forwarded-*)?
        self.proxies: Callable[[str], bool] = lambda _: False  # does this address begin with the PROXY protocol?
        self.certificate: Certificate | None = None
        self.via = b""  # what the router calls itself in Via
        self.date = DateLine()
        self.open: set[Client] = set()
        self.prefaces: set[Preface] = set()
        self.places = Places(self, most)
        self._forget_at = 0.0
        self.outbox: list[ClientSocket] = []  # answers written in this turn of the poller
        poller.send_by(self.outbox, self.send)

    def add(self, sock: socket.socket, address: str) -> None:
        """A client connected, or a balancer that speaks for one."""
        if self.proxies(address):
            self.prefaces.add(Preface(self, sock, address))
        else:
            self.begin(sock, address)

    def begin(self, sock: socket.socket, address: str) -> None:
        """HTTP begins, or TLS."""
        scheme = b"http"
        secure: socket.socket | TlsSocket = sock
        if self.certificate is not None:
            try:
                scheme, secure = b"https", TlsSocket(self.certificate.context, sock)
            except OSError:  # it was reset before the first byte
                sock.close()
                return
        sender = Sender(address.encode("latin-1"), self.limits, scheme, trusted=self.trusts(address), via=self.via)
        self.open.add(Client(self, secure, sender))
        self.meters.accepted()

    def closed(self, client: Client) -> None:
        """A client's connection is over."""
        self.open.discard(client)
        self.meters.gone()
        self.poller.close_socket(client.sock)
        if self.places.waiting:
            self.places.freed()

    def send(self) -> None:
        """Send what clients have in `out`, and what is put into the outbox meanwhile. Who was closed has nothing."""
        outbox = self.outbox
        for client in outbox:
            data = client.out
            if not data:
                continue
            try:
                taken = client.send_bytes(data)
            except BUSY:
                taken = 0
            except OSError:
                taken = -1
            if taken == len(data):
                client.out = b""
            else:
                client.not_sent(taken)
        outbox.clear()

    def sweep(self, now: float) -> None:
        """Look at every connection's time, and at times at what it remembers."""
        for client in list(self.open):
            client.check(now)
        if now >= self._forget_at:
            self._forget_at = now + FORGET
            for client in self.open:
                client.forget()
        self.places.swept()
        for preface in [preface for preface in self.prefaces if now >= preface.due]:
            preface.abort()
        if self.certificate is not None:
            self.certificate.refresh()

    def close_idle(self) -> None:
        """Close those that are between requests, and those that have not begun."""
        for client in [client for client in self.open if client.state == HEAD and not client.begun and not client.out]:
            client.part()
        for preface in list(self.prefaces):
            preface.abort()

    def close(self) -> None:
        """Close all."""
        for client in list(self.open):
            client.abort()
        for preface in list(self.prefaces):
            preface.abort()


class Listener:
    """A listening socket. It is not closed here: who made it, closes it."""

    def __init__(self, clients: Clients, sock: socket.socket) -> None:
        self.clients = clients
        self.sock = sock
        self._accept = sock.accept
        self._tcp = sock.family != socket.AF_UNIX
        self.resting = False
        self._told = False  # why it rests
        sock.setblocking(False)
        clients.poller.watch(sock.fileno(), self)

    def on_event(self, events: int) -> None:
        """Accept who waits."""
        places = self.clients.places
        if places.full():
            self._accept_for_another()
            return
        for _ in range(_AT_ONCE):
            if not self._accept_one() or places.full():
                return

    def _accept_for_another(self) -> None:
        """All places are taken. One at each event, which says that somebody waits: nobody has to go in vain."""
        if self.clients.places.clear_one():
            self._accept_one()
        else:
            self._rest()
            self.clients.places.waiting.add(self)

    def accept_all(self) -> None:
        """Accept all who wait, however many, before `close`: the kernel resets those who are left in the backlog."""
        while self._accept_one():
            pass

    def _accept_one(self) -> bool:
        """False: nobody waits any more."""
        try:
            sock, address = self._accept()
        except ConnectionAbortedError:  # it hung up already
            return True
        except BlockingIOError:
            return False
        except OSError as error:
            self._rest()
            self._tell(error)
            return False
        self._told = False
        sock.setblocking(False)
        if self._tcp:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.clients.add(sock, address[0] if self._tcp else "127.0.0.1")
        return True

    def _rest(self) -> None:
        """Out of places, descriptors or memory: who waits stays in the backlog, and asking again at once would only spin."""
        self.resting = True
        self.clients.poller.change(self.sock.fileno(), 0)

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            log.error("cannot accept connections: %s; those who wait are asked in again four times a second", error)

    def resume(self) -> None:
        """Try again, if there was something amiss. Called every quarter of a second, and when a place becomes free."""
        self.clients.places.waiting.discard(self)
        if self.resting:
            self.resting = False
            self.clients.poller.change(self.sock.fileno(), READ)

    def abort(self) -> None:
        """As Watched.abort: a defect while accepting ends nothing."""

    def close(self) -> None:
        """Accept nobody any more."""
        self.clients.places.waiting.discard(self)
        self.clients.poller.close_socket(self.sock)

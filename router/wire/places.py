"""How many connections clients may have, and whose is closed when one more comes: the one that has been idle for longest.

As nginx does when its worker_connections run short; where nobody is idle, newcomers wait in the backlog (HAProxy's maxconn).
"""

from __future__ import annotations

import heapq
import logging
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from router.wire.client import Client
    from router.wire.listener import Clients, Listener

log = logging.getLogger("router")

BOUNDLESS: Final = 1 << 30
_AT_ONCE: Final = 1024  # of the longest idle, found in one look at all, for the newcomers of a quarter of a second
_TELL: Final = 60.0  # seconds between two lines of the log that say the same


class Places:
    """The bound of one worker. Connections that have yet to be introduced (PROXY protocol) count, too."""

    def __init__(self, clients: Clients, most: int) -> None:
        self.most = most
        self.waiting: set[Listener] = set()  # they accept nobody until a place is free
        self._clients = clients
        self._idle: list[tuple[float, Client]] = []  # since when, the longest last; some may have been busy since
        self._looked = False  # since the last sweep
        self._tell_at: dict[str, float] = {}
        clients.meters.bounded(most)

    def full(self) -> bool:
        """There is no place for one more."""
        clients = self._clients
        return len(clients.open) + len(clients.prefaces) >= self.most

    def clear_one(self) -> bool:
        """Close the connection that has been idle for longest. False: none has been for long enough to be safe from a request
        that is on its way.

        All connections are looked at once between two sweeps at most, however many come.
        """
        while True:
            while self._idle:
                since, client = self._idle.pop()
                if client.idle_since() == since:
                    self._tell("those that have been idle for longest are closed for new ones")
                    self._clients.meters.evicted()
                    client.close()
                    return True
            if self._looked:
                self._tell("none of them is idle, so that new ones wait in the backlog")
                return False
            self._look()

    def swept(self) -> None:
        """All were looked at for their time, a quarter of a second after the last time: this may be done, too."""
        self._idle.clear()
        self._looked = False

    def freed(self) -> None:
        """A connection was closed."""
        for listener in list(self.waiting):
            listener.resume()

    def _look(self) -> None:
        self._looked = True
        latest = self._clients.poller.now - self._clients.times.rest
        found = heapq.nsmallest(_AT_ONCE, ((one.idle_since(), one) for one in self._clients.open), key=itemgetter(0))
        self._idle = [one for one in reversed(found) if one[0] <= latest]

    def _tell(self, what: str) -> None:
        now = self._clients.poller.now
        if now >= self._tell_at.get(what, -inf):
            self._tell_at[what] = now + _TELL
            log.warning("clients have as many connections as they may (client_connections: %d): %s", self.most, what)

"""One worker's worth of router: listeners, the switchboard and the pool on one asyncio loop, and the clock that ticks them.

Local mode composes it with everything else in one process; a worker process runs nothing but it. Importing it brings no web
framework, no HTTP client and no Kubernetes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import sys
import time
from collections.abc import Mapping
from mmap import mmap

from autoscaler.model import Sample
from router.access_log import AccessLog
from router.exchange import Exchange
from router.identity import Identity
from router.listening import room_for_clients
from router.live import Live, Revision
from router.meters import PAGE, Meters
from router.model import Route, RouteKey
from router.networks import membership
from router.ports import Scaler
from router.settings import Settings
from router.slots import Need
from router.switchboard import Switchboard
from router.wire.listener import Clients, Listener
from router.wire.poller import poller_of
from router.wire.pool import Pool
from router.wire.tls import Certificate

log = logging.getLogger("router")

TICK = 0.25  # seconds between looks at the connections' times
RESTLESS_TICK = 0.025  # seconds between looks at what waits, while something does
_PAGES = 4096  # functions with counters of their own, in a process that shares them with nobody


class DataPlane:
    """Implements router.ports.Routes. Make it inside a running loop from `router.wire.poller.new_event_loop`."""

    def __init__(
        self,
        settings: Settings,
        scaler: Scaler,
        meters: Meters | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.settings = settings
        self.loop = loop or asyncio.get_running_loop()
        self.poller = poller_of(self.loop)
        self.poller.now = time.monotonic()
        self.meters = meters or Meters(memoryview(mmap(-1, PAGE * _PAGES)))
        identity = Identity(os.urandom(16))
        self.board = Switchboard(self.poller, random.random, identity, self.meters, scaler, settings.patience())
        self.pool = Pool(self.poller, settings.limits(), settings.upstream_idle, settings.upstream_idle_connections)
        self.board.connector = self.pool
        most = _client_connections(settings.client_connections)
        self.clients = Clients(self.board, self.poller, self.meters, settings.limits(), settings.times(), most)
        self.clients.trusts = membership(settings.trusted)
        self.clients.proxies = membership(settings.proxy_protocol)
        self.clients.via = settings.via.encode()
        if settings.tls_certificate:
            self.clients.certificate = Certificate(settings.tls_certificate, settings.tls_key)
        if settings.access_log:
            self.board.access = AccessLog(sys.stdout.buffer, settings.access_log, random.random)
        self.listeners: list[Listener] = []
        self._swept = self.poller.now
        self._timer = self.loop.call_later(RESTLESS_TICK, self._tick)
        self._closed = False

    # router.ports.Routes

    def put(self, route: Route) -> None:
        """As Routes.put."""
        self.board.put(route)

    def remove(self, key: RouteKey) -> None:
        """As Routes.remove."""
        self.board.remove(key)

    def in_flight(self, key: RouteKey, revision: str, address: str = "") -> int:
        """As Routes.in_flight."""
        return self.board.table.in_flight(key, revision, address)

    def starting(self, yes: bool) -> None:
        """While it is so, not all routes are known: a name without one is answered 503 with Retry-After, never 404."""
        self.board.starting = yes

    def share(self, yes: bool) -> None:
        """As router.kube.ports.Plane: said before any route is put."""
        self.board.table.shared = yes
        self.board.queued = self._queued if yes else None

    def grant(self, key: RouteKey, revision: str, limits: Mapping[str, int]) -> None:
        """As router.kube.ports.Plane."""
        self.poller.now = time.monotonic()
        self.board.grant(key, revision, limits)

    def need(self, key: RouteKey, revision: str) -> Need:
        """As router.kube.ports.Plane."""
        live = self.board.table.get(key)
        return live.need(revision, time.monotonic()) if live else Need()

    async def take_stock(self, key: RouteKey) -> None:
        """As router.kube.ports.Plane: `in_flight` is always of now here."""

    def unreachable(self) -> dict[RouteKey, frozenset[str]]:
        """As router.kube.ports.Plane."""
        return self.board.unreachable()

    def _queued(self, live: Live[Exchange], revision: Revision[Exchange]) -> None:
        """Somebody waits: others may have slots that nobody needs."""
        if live.route.settings.concurrency and len(revision.gate.queue) == 1:
            self.board.scaler.wake(live.route.key)

    async def idle(self, key: RouteKey) -> bool:
        """Nothing of the route is in flight or waiting."""
        live = self.board.table.get(key)
        return live is None or not live.present()

    # for the autoscaler

    def samples(self) -> dict[RouteKey, Sample]:
        """The load of every route that was ever called, since the last call: call it once a second."""
        return self.board.table.sample(time.monotonic())

    def woken(self, key: RouteKey) -> None:
        """The scaler's write for a route is done: the first part of a cold start, for Server-Timing."""
        self.board.woken(key)

    def scheduled(self, key: RouteKey) -> None:
        """A route's first new address appeared, not ready yet: the second part."""
        self.board.scheduled(key)

    # the life of it

    def listen(self, sock: socket.socket) -> None:
        """Accept clients on a socket that listens already."""
        self.listeners.append(Listener(self.clients, sock))

    async def up(self) -> None:
        """Until clients are accepted: they are. (It takes time where workers have to start first.)"""

    async def drain(self, grace: float, delay: float = 0.0) -> None:
        """Finish in order: every answer is now its connection's last; returns when all is done, or after `grace` seconds.

        For `delay` seconds clients are still accepted, until whoever sends them here has noticed. Idle connections are closed
        only near the end of the grace: a request may be on its way on any of them.
        """
        self.clients.draining = True
        await asyncio.sleep(delay)
        end = time.monotonic() + grace
        for listener in self.listeners:
            listener.accept_all()
            listener.close()
        self.listeners.clear()
        while (self.clients.open or self.clients.prefaces) and time.monotonic() < end:
            if end - time.monotonic() < min(1.0, grace / 4):
                self.clients.close_idle()
            await asyncio.sleep(0.05)

    def close(self) -> None:
        """End at once; what is in flight is broken off."""
        if self._closed:
            return
        self._closed = True
        self._timer.cancel()
        for listener in self.listeners:
            listener.close()
        self.clients.close()
        self.pool.close()
        if self.board.access is not None:
            self.board.access.close()

    def _tick(self) -> None:
        now = self.poller.now = time.monotonic()
        self._timer = self.loop.call_later(RESTLESS_TICK if self.board.restless else TICK, self._tick)
        self.board.tick()
        if now - self._swept >= TICK:
            self._swept = now
            for listener in self.listeners:
                listener.resume()
            self.clients.sweep(now)
            self.pool.sweep(now)


def _client_connections(wanted: int) -> int:
    """How many there may be, where an operator wants so many; 0: as many as there is room for."""
    room = room_for_clients()
    if wanted > room:
        log.warning(
            "client_connections is %d: beyond %d requests may find no descriptor for their way to a function", wanted, room
        )
    return wanted or room

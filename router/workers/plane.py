"""The data plane of several worker processes, as the control process has it: whoever knows the routes sees no difference."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final

from autoscaler.model import Sample
from router.model import Route, RouteKey
from router.ports import Scaler
from router.settings import Settings
from router.slots import Need
from router.switchboard import label
from router.unreachable import Unreachable, united
from router.wire.tls import Certificate
from router.workers import book, messages, rooms
from router.workers.crew import Crew
from router.workers.lending import Lending
from router.workers.process import Process
from router.workers.stock import Stocktaking

log = logging.getLogger("router")

BEAT: Final = 0.95  # seconds after one reading of samples, at which workers write down those that the next one reads
LOOK_AFTER: Final = 5.0  # seconds between looks whether workers are alive
SILENT: Final = 3  # looks in a row at which a worker has said nothing before it is taken for dead
AFTER_DRAIN: Final = 2.0  # seconds beyond its grace that a worker may take to end

Note = Callable[[Process], None]


class WorkersPlane:
    """Implements router.kube.ports.Plane. Make it inside a running loop from `router.wire.poller.new_event_loop`.

    `joined` and `left` are told of workers, for their books (router.metrics.RouterMetrics); `forgotten` of routes that are gone.
    """

    def __init__(
        self,
        settings: Settings,
        scaler: Scaler,
        joined: Note = lambda _: None,
        left: Note = lambda _: None,
        forgotten: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.look_after = LOOK_AFTER
        self._settings = settings
        self._scaler = scaler
        self._joined = joined
        self._left = left
        self._forgotten = forgotten
        self._loop = asyncio.get_running_loop()
        self._routes: dict[RouteKey, Route] = {}
        self._keys: dict[str, RouteKey] = {}  # by label
        self._starting = False
        self._beating: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._stock = Stocktaking(self.processes)
        self._unreachable: dict[Process, Unreachable] = {}
        self._lending = Lending(self.processes, scaler.wake)
        self._rows = rooms.Rows()
        self._rooms: memoryview  # from `listen` on, as the descriptor of the same memory
        self._shared = -1
        self.crew: Crew | None = None

    def processes(self) -> list[Process]:
        """The workers that live."""
        return list(self.crew.processes.values()) if self.crew is not None else []

    # router.ports.Routes

    def put(self, route: Route) -> None:
        """As Routes.put."""
        self._routes[route.key] = route
        self._keys[label(route.key)] = route.key
        self._stock.changed(route.key)
        self._send(messages.put(route, self._rows.number(route.key)))
        self._lending.put(route)

    def remove(self, key: RouteKey) -> None:
        """As Routes.remove."""
        if self._routes.pop(key, None) is None:
            return
        self._keys.pop(label(key), None)
        self._stock.changed(key)
        self._send(messages.Remove(key))
        self._rows.remove(key)
        self._lending.remove(key)
        self._forgotten(label(key))

    def in_flight(self, key: RouteKey, revision: str, address: str = "") -> int:
        """As Routes.in_flight, of a moment ago; 1 as long as nobody has asked the workers, which this does."""
        return self._stock.in_flight(key, revision, address)

    # router.kube.ports.Plane

    def starting(self, yes: bool) -> None:
        """As Plane.starting."""
        self._starting = yes
        self._send(messages.Starting(yes))

    def woken(self, key: RouteKey) -> None:
        """As Plane.woken."""
        self._send(messages.Woken(key))

    def scheduled(self, key: RouteKey) -> None:
        """As Plane.scheduled."""
        self._send(messages.Scheduled(key))

    def share(self, yes: bool) -> None:
        """As Plane.share."""
        self._lending.shared = yes

    def grant(self, key: RouteKey, revision: str, limits: Mapping[str, int]) -> None:
        """As Plane.grant: what this router has is lent to its workers."""
        if key in self._routes:
            self._lending.grant(key, revision, limits)

    def need(self, key: RouteKey, revision: str) -> Need:
        """As Plane.need, of a moment ago."""
        return self._lending.needed(key, revision)

    def unreachable(self) -> dict[RouteKey, frozenset[str]]:
        """As Plane.unreachable, of a moment ago: what any of the workers finds."""
        return united(self._unreachable.values())

    async def take_stock(self, key: RouteKey) -> None:
        """As Plane.take_stock."""
        await self._stock.present(key)

    async def idle(self, key: RouteKey) -> bool:
        """As Plane.idle. Who does not answer is not idle."""
        return await self._stock.present(key) == 0

    def samples(self) -> dict[RouteKey, Sample]:
        """As Plane.samples: what the workers wrote down a moment ago, added up."""
        if self._beating is None:
            self._beating = self._loop.call_later(BEAT, self._beat)
        total: dict[RouteKey, Sample] = {}
        for process in self.processes():
            for name, sample in process.samples().items():
                key = self._keys.get(name)
                if key is not None:
                    total[key] = _added(total.get(key), sample)
        return total

    # the life of it

    def listen(self, *listeners: socket.socket) -> None:
        """Start a worker for each of these sockets, which stay ours. Raises OSError: no process, or no such certificate."""
        if self._settings.tls_certificate:
            Certificate(self._settings.tls_certificate, self._settings.tls_key)  # said once, and before anybody starts
        self._shared = book.make(rooms.size(len(listeners)))
        self._rooms = book.view(self._shared).cast("Q")
        self.crew = Crew(listeners, self._shared, self._hired, self._heard, self._gone)
        self.crew.start()
        self._look_after()

    async def up(self) -> None:
        """Until every worker accepts clients. Raises WorkerFailed when one could not begin."""
        if self.crew is not None:
            await self.crew.up

    async def drain(self, grace: float, delay: float = 0.0) -> None:
        """As router.dataplane.DataPlane.drain, in all workers at the same time; returns when they have ended."""
        self._stop_looking()
        if self.crew is not None:
            self.crew.close_listeners()
            self._send(messages.Drain(grace, delay))
            await self.crew.gone(delay + grace + AFTER_DRAIN)

    def close(self) -> None:
        """End at once; what is in flight is broken off."""
        self._stop_looking()
        if self.crew is not None:
            self.crew.close()
        if self._shared >= 0:
            os.close(self._shared)
            self._shared = -1

    def _stop_looking(self) -> None:
        for timer in (self._beating, self._looking):
            if timer is not None:
                timer.cancel()

    def _look_after(self) -> None:
        """A worker that hangs is as good as dead, and the kernel goes on giving it connections."""
        self._looking = self._loop.call_later(self.look_after, self._look_after)
        for process in self.processes():
            if process.ready and process.silent() >= SILENT:
                log.error(
                    "worker %s (pid %d) has been silent for %g s", process.name, process.child.pid, SILENT * self.look_after
                )
                process.abandon()
            process.send(messages.Beat())

    def _beat(self) -> None:
        self._beating = None
        self._send(messages.Beat())

    def _send(self, order: messages.Order) -> None:
        for process in self.processes():
            process.send(order)

    def _hired(self, process: Process) -> None:
        """A worker that begins gets the whole table before it accepts anybody."""
        self._rows.empty(self._rooms, process.place)
        setup = messages.Setup(asdict(self._settings), process.place)
        table = [messages.put(route, self._rows.number(route.key)) for route in self._routes.values()]
        process.send(setup, messages.Starting(self._starting), *table, messages.Open())
        process.send(messages.Beat())

    def _heard(self, process: Process, report: messages.Report) -> None:
        match report:
            case messages.Ready():
                self._joined(process)
            case messages.Wake(key):
                self._stock.changed(key)
                self._scaler.wake(key)
            case messages.Need():
                self._lending.need(process, report)
            case messages.Seen():
                self._stock.answer(process, report)
            case messages.Unreachable(found):
                self._unreachable[process] = dict(found)

    def _gone(self, process: Process) -> None:
        self._stock.leave(process)
        self._lending.leave(process)
        self._unreachable.pop(process, None)
        self._rows.empty(self._rooms, process.place)
        if process.ready:
            self._left(process)


def _added(one: Sample | None, other: Sample) -> Sample:
    if one is None:
        return other
    return Sample(
        max(one.at, other.at), one.concurrency + other.concurrency, one.requests + other.requests, one.present + other.present
    )

"""A worker process: the data plane and nothing else, told by the control process over a socketpair.

Started as `python -m router.workers.worker CHANNEL BOOK LISTENER ROOMS`, four inherited descriptors. It ends when it has drained;
when the control process is gone it drains by itself, so that no worker is left behind.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from router.dataplane import RESTLESS_TICK, TICK, DataPlane
from router.meters import Meters
from router.model import RouteKey
from router.settings import Settings
from router.wire.poller import new_event_loop, poller_of
from router.workers import book, messages
from router.workers.channel import Channel
from router.workers.loans import Loans
from router.workers.rooms import Rooms

log = logging.getLogger("router")


class Worker:
    """Takes orders; implements router.ports.Scaler by passing wakes on."""

    def __init__(self, channel: socket.socket, meters: Meters, listener: socket.socket, shared: memoryview) -> None:
        self.loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        self._meters = meters
        self._listener = listener
        self._shared = shared
        self._rooms: Rooms
        self._plane: DataPlane
        self._loans: Loans
        self._settings: Settings
        self._unreachable: dict[RouteKey, frozenset[str]] = {}  # as it was told last
        self._draining: asyncio.Task[None] | None = None
        self._orders: dict[type, Callable[[Any], None]] = {
            messages.Setup: self._set_up,
            messages.Put: self._put,
            messages.Remove: self._remove,
            messages.Starting: lambda order: self._plane.starting(order.yes),
            messages.Open: self._open,
            messages.Woken: lambda order: self._plane.woken(order.key),
            messages.Scheduled: lambda order: self._plane.scheduled(order.key),
            messages.Lend: lambda order: self._loans.lend(order),
            messages.Look: self._look,
            messages.Beat: self._beat,
            messages.Drain: lambda order: self._drain(order.grace, order.delay),
        }
        self.channel: Channel[messages.Order] = Channel(
            poller_of(self.loop), channel, messages.Order, self._take, self._abandoned
        )

    # --- router.ports.Scaler ---

    def wake(self, key: RouteKey) -> None:
        """As router.ports.Scaler. Where something is ready and others have its slots, asking for slots is all there is to do."""
        live = self._plane.board.table.get(key)
        if live is None or not all(revision.upstreams.ready for revision in live.open):
            self.channel.send(messages.Wake(key))

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """A worker scales nothing."""

    # --- orders ---

    def _take(self, order: messages.Order) -> None:
        self._orders[type(order)](order)

    def _set_up(self, order: messages.Setup) -> None:
        self._settings = msgspec.convert(order.settings, Settings)
        try:
            self._plane = DataPlane(self._settings, self, self._meters)
        except OSError as error:
            log.error("a worker cannot start: %s", error)
            self.channel.close()
            self.ended.set()
            return
        self._plane.share(True)
        self._rooms = Rooms(self._shared, order.place)
        self._plane.board.table.elsewhere = self._rooms.elsewhere
        self._loans = Loans(self._plane.board, self.channel.send, self.loop.call_soon)
        self._tick()

    def _put(self, order: messages.Put) -> None:
        route = messages.route_of(order)
        self._rooms.put(route.key, order.row)
        self._plane.put(route)
        live = self._plane.board.table.get(route.key)
        if live is not None and live.revisions is not None:
            self._loans.look(live)

    def _remove(self, order: messages.Remove) -> None:
        live = self._plane.board.table.get(order.key)
        if live is not None:
            live.granted = {}  # the route may come back while this one's last requests are in flight
        self._plane.remove(order.key)
        self._rooms.remove(order.key)

    def _open(self, order: messages.Open) -> None:
        gc.collect()
        gc.freeze()  # what is there now stays: the collector need not look at it again
        self._plane.listen(self._listener)
        self.channel.send(messages.Ready())

    def _look(self, order: messages.Look) -> None:
        live = self._plane.board.table.get(order.key)
        present, stock = (live.present(), live.stock()) if live is not None else (0, {})
        self.channel.send(messages.Seen(order.number, present, stock))

    def _beat(self, order: messages.Beat) -> None:
        self._plane.samples()
        self._meters.beat(self.loop.time())
        found = self._plane.unreachable()
        if found != self._unreachable:
            self._unreachable = found
            self.channel.send(messages.Unreachable(tuple(found.items())))

    def _tick(self) -> None:
        self._loans.tick()
        self.loop.call_later(RESTLESS_TICK if self._loans.restless else TICK, self._tick)

    # --- the end ---

    def _drain(self, grace: float, delay: float) -> None:
        if self._draining is None:
            self._draining = self.loop.create_task(self._finish(grace, delay))

    async def _finish(self, grace: float, delay: float) -> None:
        await self._plane.drain(grace, delay)
        self._plane.close()
        self.ended.set()

    def _abandoned(self) -> None:
        """The control process is gone, or has nothing more to say."""
        if self._draining is not None:
            return
        if not hasattr(self, "_plane"):
            self.ended.set()
            return
        log.error("the control process is gone: its worker finishes what is in flight, and ends")
        self._drain(self._settings.drain_grace, 0.0)


async def serve(channel: int, pages: int, listener: int, rooms: int) -> None:
    """Work until told to end."""
    meters, shared = Meters(book.open_book(pages)), book.open_book(rooms).cast("Q")
    worker = Worker(socket.socket(fileno=channel), meters, socket.socket(fileno=listener), shared)
    await worker.ended.wait()
    worker.channel.close()


def main() -> int:
    """Signals meant for the whole group (Ctrl-C, a service manager's) are the control process's to answer."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    channel, pages, listener, rooms = (int(text) for text in sys.argv[1:5])
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(channel, pages, listener, rooms))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A router with one worker and many routes, whose control process makes the noise that a large installation makes.

SIGUSR1 begins the noise, and the next one ends it: 200 table deltas and one scaling tick a second, each over all routes. /metrics
answers on ADMIN at any time, as the real one does. Without noise the control process only waits.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry

from autoscaler.loop import Loop, Target
from autoscaler.model import Policy
from autoscaler.recorder import Recorder
from loadtest.launch import FUNCTION
from router import admin
from router.listening import bind, bind_all
from router.metrics import RouterMetrics
from router.model import Backend, Endpoint, Route, RouteKey
from router.settings import Settings
from router.wire.poller import new_event_loop
from router.workers.crew import step_back
from router.workers.plane import WorkersPlane

DELTAS = 200  # a second
POLICY = Policy(minimum=1, maximum=1)  # decided each second, and never changed


class Nobody:
    """A scaler that scales nothing."""

    def wake(self, key: RouteKey) -> None:
        """As router.ports.Scaler."""

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """As router.ports.Scaler."""


class Noise:
    """What goes on in a control process."""

    def __init__(self, plane: WorkersPlane, function: str, routes: int) -> None:
        self._plane = plane
        self._function = function
        names = [FUNCTION, *(f"{FUNCTION}-{number}" for number in range(1, routes))]
        self.keys = [RouteKey("*", "default", name) for name in names]
        self._recorder: Recorder[RouteKey] = Recorder()
        self._tasks: list[asyncio.Task[None]] = []
        for key in self.keys:
            plane.put(self._route(key, 1))

    def toggle(self) -> None:
        """Begin or end."""
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            self._tasks = []
            return
        autoscaler = Loop(self._recorder, Nobody(), self._targets)
        self._tasks = [asyncio.create_task(autoscaler.run()), asyncio.create_task(self._deltas())]

    def _route(self, key: RouteKey, endpoints: int) -> Route:
        """A revision with the function, and sometimes with an address that drains: what a rollout does to a table."""
        others = [Endpoint(f"127.0.0.1:{9 + number}", draining=True) for number in range(1, endpoints)]
        return Route(key, (Backend(f"{key.name}-00001", (Endpoint(self._function), *others)),), policy=POLICY)

    def _targets(self) -> Iterator[Target[RouteKey]]:
        self._recorder.record("here", time.monotonic(), self._plane.samples())
        return (Target(key, POLICY, 1) for key in self.keys)

    async def _deltas(self) -> None:
        """One every 5 ms; those that are late come at once."""
        begun, sent = time.monotonic(), 0
        while True:
            while sent < (time.monotonic() - begun) * DELTAS:
                sent += 1
                key = self.keys[sent * 7919 % len(self.keys)]
                self._plane.put(self._route(key, 1 + sent % 2))
            await asyncio.sleep(1 / DELTAS)


async def serve(listen: str, admin_address: str, function: str, routes: int) -> None:
    """Run until SIGTERM."""
    loop, stop, books = asyncio.get_running_loop(), asyncio.Event(), RouterMetrics()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings(listen=listen, workers=1)
    plane = WorkersPlane(
        settings, Nobody(), lambda one: books.join(one.name, one.book), lambda one: books.leave(one.name), books.forget
    )
    noise = Noise(plane, function, routes)
    plane.listen(*bind_all(listen, settings.workers))
    await plane.up()
    step_back()
    loop.add_signal_handler(signal.SIGUSR1, noise.toggle)
    gc.collect()
    gc.freeze()
    async with admin.serve(admin.application(CollectorRegistry(), lambda: "", more=books.exposition), bind(admin_address)):
        await stop.wait()
    plane.close()


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.noisy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("listen", help="where functions are called, as 127.0.0.1:8080")
    parser.add_argument("admin", help="where /metrics is")
    parser.add_argument("function", help="the address of the one replica that all routes lead to")
    parser.add_argument("routes", type=int, help="how many there are")
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(asked.listen, asked.admin, asked.function, asked.routes))


if __name__ == "__main__":
    main()

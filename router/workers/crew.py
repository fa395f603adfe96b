"""Keeps as many workers alive as there are listeners, and puts another one into the place of one that died.

The listening sockets belong to the control process: connections that come while a worker is replaced wait in its backlog.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from router.wire.poller import poller_of
from router.workers import messages
from router.workers.errors import WorkerFailed
from router.workers.process import Process, Receive, Started

log = logging.getLogger("router")

LIVED: Final = 5.0  # seconds after which a worker that dies is replaced at once
LONGEST: Final = 5.0  # seconds between two tries, at most
LOWER: Final = 5  # steps of niceness: a third of a worker's share where both want one CPU
REAP: Final = 0.02  # seconds between looks whether a child has ended


class Crew:
    """`hired` gets each new worker, and gives it what it has to know; `left` those that are gone.

    `rooms`: descriptor of the memory that all of them share; who gave it closes it.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        rooms: int,
        hired: Callable[[Process], None],
        receive: Receive,
        left: Callable[[Process], None],
    ) -> None:
        self.processes: dict[int, Process] = {}  # by place
        self.up: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # every worker accepted clients once
        self._listeners = list(listeners)
        self._rooms = rooms
        self._hired = hired
        self._receive = receive
        self._left = left
        self._loop = asyncio.get_running_loop()
        self._poller = poller_of(self._loop)
        self._began: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._ended: list[Process] = []
        self._number = 0
        self._ending = False
        # Children have the priority of the thread that starts them: this one keeps what we have now (see `step_back`).
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="starts-workers")
        self._starter.submit(int).result()

    def start(self) -> None:
        """Start all. Raises OSError."""
        for place in range(len(self._listeners)):
            self._hire(place)

    def close_listeners(self) -> None:
        """Nobody is replaced any more, and connections come only as long as workers accept them."""
        self._ending = True
        for listener in self._listeners:
            listener.close()

    async def gone(self, seconds: float) -> None:
        """Wait until every child has ended; those that have not by then are killed."""
        end = time.monotonic() + seconds
        while any(not process.gone() for process in self._children()):
            if time.monotonic() >= end:
                for process in self._children():
                    process.end()
            await asyncio.sleep(REAP)

    def close(self) -> None:
        """End all at once, and wait for it."""
        self.close_listeners()
        for process in self._children():
            process.end()
        for process in self._children():
            process.child.wait()
        self._starter.shutdown()

    def _children(self) -> list[Process]:
        return [*self.processes.values(), *self._ended]

    def _hire(self, place: int) -> None:
        self._number += 1
        self._began[place] = time.monotonic()
        started = self._starter.submit(Started, self._listeners[place], self._rooms).result()
        process = Process(place, self._number, started, self._poller, self._heard, self._lost)
        self.processes[place] = process
        self._hired(process)

    def _heard(self, process: Process, report: messages.Report) -> None:
        if isinstance(report, messages.Ready):
            process.ready = True
            log.info("worker %s accepts clients (pid %d)", process.name, process.child.pid)
        self._receive(process, report)
        if not self.up.done() and all(each.ready for each in self.processes.values()):
            self.up.set_result(None)

    def _lost(self, process: Process) -> None:
        del self.processes[process.place]
        self._ended.append(process)
        self._left(process)
        if self._ending:
            return
        process.end()
        self._reap()
        if not self.up.done():
            self.up.set_exception(WorkerFailed(f"worker {process.name} ended before it accepted clients"))
        else:
            self._replace(process)

    def _replace(self, process: Process) -> None:
        place = process.place
        lived = time.monotonic() - self._began[place]
        failures = self._failures[place] = self._failures.get(place, 0) + 1 if lived < LIVED else 0
        delay = min(LONGEST, 0.1 * 2 ** (failures - 2)) if failures > 1 else 0.0
        log.error("worker %s (pid %d) is gone: another one takes its place", process.name, process.child.pid)
        self._loop.call_later(delay, self._again, place)

    def _again(self, place: int) -> None:
        if self._ending or place in self.processes:
            return
        try:
            self._hire(place)
        except OSError as error:
            log.error("no worker can be started, tried again in %g s: %s", LONGEST, error)
            self._loop.call_later(LONGEST, self._again, place)

    def _reap(self) -> None:
        self._ended = [process for process in self._ended if not process.gone()]
        if self._ended and not self._ending:
            self._loop.call_later(REAP, self._reap)


def step_back() -> None:
    """The control process lets workers go first where CPUs are short: a scrape or a tick of it is long, and nobody waits for it.

    On Linux niceness is a thread's own, so this says nothing of workers that are started later; elsewhere nothing is done.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, min(19, os.getpriority(os.PRIO_PROCESS, 0) + LOWER))

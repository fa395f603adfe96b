"""The server: listens, tends its connections, and ends gracefully."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from _cloudbase_runtime.asgi import Application
from _cloudbase_runtime.connection import Connection
from _cloudbase_runtime.logs import Log
from _cloudbase_runtime.process import Failure
from _cloudbase_runtime.settings import Settings

KEEP_ALIVE = 75  # seconds that an idle connection is kept; the router lets go after 60
_SWEEP = 5.0  # seconds between looks for connections that are idle too long
_BACKLOG = 2048
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Server:
    """Everything that the connections share."""

    keep_alive = KEEP_ALIVE

    def __init__(self, application: Application, settings: Settings, log: Log, upgrades: bool) -> None:
        self.application = application
        self.log = log
        self.upgrades = upgrades  # whether WebSockets are for the application, or ordinary requests
        self.connections: set[Connection] = set()
        self.draining = False
        self.state: dict[str, Any] = {}  # ASGI's, from the lifespan
        self.address: tuple[str, Any] = (
            (settings.socket, None) if settings.socket else (settings.host or "0.0.0.0", settings.port)
        )
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._terminated = asyncio.Event()
        self._idle = asyncio.Event()
        self.now = self._loop.time
        self._date = (0, b"")

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs the work of a request; it is in flight until it ends."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def date(self) -> bytes:
        """The Date field (RFC 9110 6.6.1), made once a second."""
        second = int(time.time())
        if second != self._date[0]:
            now = time.gmtime(second)
            text = (
                f"date: {_DAYS[now.tm_wday]}, {now.tm_mday:02} {_MONTHS[now.tm_mon - 1]} {time.strftime('%Y %H:%M:%S', now)} GMT"
            )
            self._date = (second, text.encode())
        return self._date[1]

    async def listen(self) -> asyncio.AbstractServer:
        """Begins to accept, and to heed SIGTERM. Raises Failure (ListenFailed)."""
        self._loop.add_signal_handler(signal.SIGTERM, self._terminated.set)
        try:
            if self._settings.socket:
                return await self._loop.create_unix_server(self._connection, self._settings.socket, backlog=_BACKLOG)
            return await self._loop.create_server(
                self._connection, sock=_tcp(self._settings.host, self._settings.port), backlog=_BACKLOG
            )
        except OSError as error:
            raise Failure("ListenFailed", f"cannot listen at {self._settings.address}: {error}") from error

    async def serve(self, listening: asyncio.AbstractServer) -> None:
        """Serves until SIGTERM, and then until nothing is in flight or the grace is over."""
        sweeping = self._loop.create_task(self._sweep())
        await self._terminated.wait()
        self.draining = True
        # One turn of the loop first: what the kernel has accepted already is read, and gets its answer.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        sweeping.cancel()
        listening.close()
        self._remove_socket()
        for connection in list(self.connections):
            if not connection.busy:
                connection.close()
        await self._finish(max(self._settings.grace - 1, 0))

    def _remove_socket(self) -> None:
        if self._settings.socket:
            Path(self._settings.socket).unlink(missing_ok=True)

    async def _finish(self, seconds: float) -> None:
        """Waits for what is in flight; at the end tunnels are closed properly and requests broken off."""
        if not self._tasks:
            return
        self._idle.clear()
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except asyncio.TimeoutError:
            self.log.say("warning", f"{len(self._tasks)} request(s) still in flight at the end of the grace: broken off")
            for connection in list(self.connections):
                connection.end()
            await asyncio.sleep(0.1)  # the last frames leave

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log.thrown("the runtime failed", task.exception() or RuntimeError())
        if not self._tasks:
            self._idle.set()

    def _connection(self) -> Connection:
        return Connection(self)

    async def _sweep(self) -> None:
        """Closes connections that have been idle, or owed us a whole head, for too long."""
        while True:
            await asyncio.sleep(_SWEEP)
            oldest = self.now() - KEEP_ALIVE - 1
            for connection in list(self.connections):
                if not connection.busy and connection.idle_since < oldest:
                    connection.close()


def _tcp(host: str, port: int) -> socket.socket:
    """A bound TCP socket; without a host it takes IPv6 and IPv4, where there are both."""
    family = socket.AF_INET6 if ":" in host or (not host and socket.has_dualstack_ipv6()) else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(host)))
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener

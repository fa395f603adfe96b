"""A data plane in a thread, and both ends of it as plain sockets that a test holds in its hands."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from router.dataplane import DataPlane
from router.model import Backend, Endpoint, Route, RouteKey, Settings
from router.settings import Settings as Limits
from router.wire.poller import new_event_loop

T = TypeVar("T")
KEY = RouteKey("*", "default", "hello")
PATIENCE = 20.0  # seconds after which a test gives up on a socket


class Wakes:
    """A scaler that only remembers."""

    def __init__(self) -> None:
        self.keys: list[RouteKey] = []

    def wake(self, key: RouteKey) -> None:
        self.keys.append(key)

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        raise AssertionError("the data plane resizes nothing")


class Wire:
    """One socket with a memory of what was read too far."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""
        sock.settimeout(PATIENCE)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def until(self, mark: bytes) -> bytes:
        """Bytes up to and with the mark; raises EOFError when the other side ends first."""
        while mark not in self.data:
            self._more()
        head, self.data = self.data.split(mark, 1)
        return head + mark

    def exactly(self, count: int) -> bytes:
        while len(self.data) < count:
            self._more()
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def rest(self) -> bytes:
        """Everything until the end, whether FIN or RST."""
        try:
            while True:
                self._more()
        except (EOFError, ConnectionResetError):
            taken, self.data = self.data, b""
            return taken

    def ended(self) -> bool:
        """The other side closes, and sends nothing before."""
        return self.rest() == b""

    def silent(self, seconds: float = 0.1) -> bool:
        """Nothing comes, not even an end."""
        self.sock.settimeout(seconds)
        try:
            self._more()
        except TimeoutError:
            return True
        except (EOFError, ConnectionResetError):
            return False
        finally:
            self.sock.settimeout(PATIENCE)
        return False

    def head(self) -> bytes:
        return self.until(b"\r\n\r\n")

    def answer(self) -> tuple[bytes, bytes]:
        """Head and body of a response with a Content-Length."""
        head = self.head()
        return head, self.exactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """End the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def _more(self) -> None:
        more = self.sock.recv(65536)
        if not more:
            raise EOFError(self.data)
        self.data += more


class Origin:
    """A function's end: it accepts when the test says so."""

    def __init__(self, path: str = "") -> None:
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen()
            self.address = f"unix:{path}"
        else:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.listener.settimeout(PATIENCE)
        self.wires: list[Wire] = []

    def accept(self) -> Wire:
        self.wires.append(Wire(self.listener.accept()[0]))
        return self.wires[-1]

    def close(self) -> None:
        self.listener.close()
        for wire in self.wires:
            wire.close()


class World:
    """The data plane, its clients and its origins."""

    def __init__(self, limits: Limits) -> None:
        self.wakes = Wakes()
        self._closing: list[Any] = []
        self._ready = threading.Event()
        self._limits = limits
        self.plane: DataPlane
        self.loop: asyncio.AbstractEventLoop
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self._ready.wait(PATIENCE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.plane = DataPlane(self._limits, self.wakes)
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = listener.getsockname()[1]
        self.plane.listen(listener)
        self._ready.set()
        await self._stop.wait()
        self.plane.close()

    def call(self, function: Callable[[], T]) -> T:
        """Run something on the data plane's thread."""

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(PATIENCE)

    def put(self, *origins: Origin, key: RouteKey = KEY, **settings: Any) -> None:
        """A route of one revision with these endpoints."""
        endpoints = tuple(Endpoint(origin.address) for origin in origins)
        route = Route(key, (Backend("r1", endpoints),), replace(Settings(), **settings))
        self.call(lambda: self.plane.put(route))

    def origin(self, path: str = "") -> Origin:
        origin = Origin(path)
        self._closing.append(origin)
        return origin

    def client(self) -> Wire:
        wire = Wire(socket.create_connection(("127.0.0.1", self.port)))
        self._closing.append(wire)
        return wire

    def asked(self, request: bytes, *, path: str = "", **settings: Any) -> tuple[Wire, Wire]:
        """A client that has sent this, and the connection of a function that it comes to; on a unix socket at `path`."""
        origin = self.origin(path)
        self.put(origin, **settings)
        client = self.client()
        client.send(request)
        return client, origin.accept()

    def present(self) -> tuple[int, int]:
        """In flight and waiting, over all routes."""

        def count() -> tuple[int, int]:
            revisions = [r for live in self.plane.board.table.called.values() for r in (live.revisions or {}).values()]
            return sum(r.gate.busy + r.gate.exempt for r in revisions), sum(r.gate.waiting for r in revisions)

        return self.call(count)

    def settles(self, condition: Callable[[], bool]) -> bool:
        """The condition, looked at until it holds or patience ends."""
        for _ in range(int(PATIENCE / 0.01)):
            if condition():
                return True
            threading.Event().wait(0.01)
        return False

    def close(self) -> None:
        for one in self._closing:
            one.close()
        self.loop.call_soon_threadsafe(self._stop.set)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

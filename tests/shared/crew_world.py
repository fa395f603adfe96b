"""A control process with real workers, and a function that watches its own concurrency."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from router.dataplane import DataPlane
from router.listening import bind_all, name_of
from router.meters import ACCEPTED, read_worker
from router.metrics import RouterMetrics
from router.model import Backend, Endpoint, Route, RouteKey, Settings
from router.ports import Scaler
from router.settings import Settings as Limits
from router.wire.poller import new_event_loop
from router.workers.plane import WorkersPlane
from router.workers.process import Process
from tests.shared.waiting import until

T = TypeVar("T")
KEY = RouteKey("*", "default", "hello")


class Function:
    """Answers after some seconds, and knows how many requests it ever had at the same time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.now = 0
        self.most = 0
        self.served = 0
        self.server: asyncio.Server
        self.address = ""
        self.go = asyncio.Event()
        self.go.set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1000)
        self.address = name_of(self.server.sockets[0])

    async def close(self) -> None:
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.now += 1
                self.most = max(self.most, self.now)
                try:
                    await asyncio.sleep(self.seconds)
                    await self.go.wait()
                finally:
                    self.now -= 1
                self.served += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Client:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def get(self, name: str = "hello") -> int:
        """The status; raises EOFError or ConnectionError when the connection ends before."""
        return int((await self.answer(name))[9:12])

    async def answer(self, name: str = "hello") -> bytes:
        """The head of the answer."""
        self._writer.write(f"GET /fn/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await self._reader.readexactly(length)
        return head

    def close(self) -> None:
        self._writer.close()


class World:
    """Control process in a thread's loop, where the test's coroutines run as well."""

    def __init__(self, workers: int, limits: Limits) -> None:
        self.workers = workers
        self.limits = limits
        self.wakes: list[RouteKey] = []
        self.scaler: Scaler | None = None  # who is asked besides
        self.metrics = RouterMetrics()
        self.function = Function()
        self.plane: DataPlane | WorkersPlane  # the latter where there are workers
        self.crewed: WorkersPlane
        self.port = 0
        self.clients: list[Client] = []

    def wake(self, key: RouteKey) -> None:
        self.wakes.append(key)
        if self.scaler is not None:
            self.scaler.wake(key)

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        raise AssertionError("the data plane resizes nothing")

    async def __aenter__(self) -> World:
        await self.function.start()
        if self.workers:
            self.plane = self.crewed = WorkersPlane(
                self.limits, self, lambda one: self.metrics.join(one.name, one.book), lambda one: self.metrics.leave(one.name)
            )
        else:
            self.plane = DataPlane(self.limits, self)
        listeners = bind_all("127.0.0.1:0", max(1, self.workers))
        self.port = listeners[0].getsockname()[1]
        self.plane.listen(*listeners)
        await self.plane.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.plane.close()
        for client in self.clients:
            client.close()
        await self.function.close()

    def put(self, *addresses: str, key: RouteKey = KEY, **settings: Any) -> None:
        """A route of one revision with these endpoints, or the function."""
        endpoints = tuple(Endpoint(address) for address in addresses)
        self.plane.put(Route(key, (Backend("r1", endpoints),), replace(Settings(), **settings)))

    async def client(self, worker: int | None = None) -> Client:
        """A connection; to a certain worker, by its place, where the test says so."""
        while True:
            before = self.accepted() if worker is not None else Counter()
            client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
            self.clients.append(client)
            if worker is None:
                return client
            await until(lambda before=before: sum(self.accepted().values()) > sum(before.values()))  # type: ignore[misc]
            if self.accepted()[worker] > before[worker]:
                return client

    def accepted(self) -> Counter[int]:
        """Connections that each worker took, by place."""
        return Counter({place: read_worker(one.book)[ACCEPTED] for place, one in self.places().items()})

    def places(self) -> dict[int, Process]:
        """The workers that live, by their place."""
        assert self.crewed.crew is not None
        return self.crewed.crew.processes

    def process(self, place: int) -> Process:
        return self.places()[place]

    def counted(self, name: str, **labels: str) -> float:
        """A metric's value, over all series with these labels."""
        return sum(
            sample.value
            for metric in self.metrics.collect()
            for sample in metric.samples
            if sample.name == "cloudbase_router_" + name and labels.items() <= sample.labels.items()
        )


def run(story: Callable[[World], Awaitable[T]], workers: int = 2, limits: Limits | None = None) -> T:
    """One test's story, in a world of its own."""

    async def whole() -> T:
        async with World(workers, limits or Limits()) as world:
            return await story(world)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(whole())

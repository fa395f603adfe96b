"""The admin port of every process: /healthz, /readyz with what is amiss, /metrics, and what else is mounted there.

Served by uvicorn on the process's own loop. Workers that move requests never import this.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from router.endings import Endings

CLOSE_SECONDS = 1  # for answers that are still going out when the process stops


def registry_of(*collectors: Collector) -> CollectorRegistry:
    """What /metrics shows: these, and what every process tells of itself."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def application(
    registry: CollectorRegistry,
    missing: Callable[[], str],
    amiss: Callable[[], list[str]] = list,
    others: Sequence[BaseRoute] = (),
    more: Callable[[], bytes] = bytes,
) -> Starlette:
    """`missing` says why the process is not ready, "" when it is; `amiss` what its owner should look at all the same.

    `more` is metrics that are text already, of names that the registry does not have.
    """

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> Response:
        word = missing()
        return JSONResponse({"status": word or "ok", "detail": amiss()}, 503 if word else 200)

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry) + more(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    own = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(routes=[*own, *others])


class Server(uvicorn.Server):
    """uvicorn without its signal handlers, since the process has its own; `up` is set when it accepts requests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def serve(app: ASGIApp, sock: socket.socket) -> AsyncIterator[None]:
    """Serve on the socket from entering, when it accepts requests, to leaving, when it has stopped."""
    stopping = asyncio.Event()
    config = uvicorn.Config(
        Endings(app, stopping), log_config=None, access_log=False, server_header=False, lifespan="off", ws="none",
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )  # fmt: skip
    server = Server(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve([sock]), name="admin port")
        try:
            await server.up.wait()
            yield
        finally:
            stopping.set()
            server.should_exit = True

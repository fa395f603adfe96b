"""The admin port: health, metrics and the management API, served by uvicorn on the platform's own event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

CLOSE_SECONDS = 1  # for answers that are still going out when the platform stops; followers of logs never end by themselves


def application(api: ASGIApp, registry: CollectorRegistry, ready: Callable[[], str]) -> Starlette:
    """`ready` says what is still missing, "" when nothing is."""

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> Response:
        missing = ready()
        return JSONResponse({"status": missing or "ok"}, 503 if missing else 200)

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics), Mount("/", api)]
    return Starlette(routes=routes)


class Server(uvicorn.Server):
    """uvicorn without its signal handlers, since the platform has its own; `up` is set when it accepts requests."""

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
    server = Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=CLOSE_SECONDS,
        )
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve([sock]), name="admin port")
        try:
            await server.up.wait()
            yield
        finally:
            server.should_exit = True

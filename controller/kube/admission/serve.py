"""Serves the webhooks over TLS, from the first certificate on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from controller.kube.admission.keeper import Keeper

CLOSE_SECONDS = 2  # for answers that are going out when the controller stops
KEEP_ALIVE = 75  # seconds; the API server keeps connections to webhooks, and a cold one costs it a handshake for each write


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, since the controller has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: ASGIApp, sock: socket.socket, keeper: Keeper) -> None:
    """Serve on the socket until cancelled; then what is being answered is finished. The keeper runs in here, too."""
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=CLOSE_SECONDS,
            ssl_context_factory=lambda config, usual: keeper.context,
        )
    )
    keeping = asyncio.create_task(keeper.run(), name="certificates of the webhooks")
    try:
        await keeper.ready.wait()
        await _served(server, sock)
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


async def _served(server: uvicorn.Server, sock: socket.socket) -> None:
    serving = asyncio.create_task(server.serve([sock]), name="webhooks")
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await asyncio.wait({serving})

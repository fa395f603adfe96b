"""Learns from a starting process where it listens: by its ready line (docs/runtime-contract.md), or by connecting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from types import TracebackType

import msgspec

FIRST_PROBE, LONGEST_PROBE = 0.005, 0.1  # seconds between attempts to connect
_LINE = 64 << 10  # bytes of a ready line, at most


class StartFailed(Exception):
    """The process said why it ends."""


class ReadyLine(msgspec.Struct, frozen=True):
    """The one line of JSON that a runtime writes."""

    listening: str = ""
    probe: str = ""
    failed: str = ""
    message: str = ""


class ReadyPipe:
    """The pipe for the ready line; `write_end` is for the child to inherit. A context manager: closes both ends."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._content = b""

    def __enter__(self) -> ReadyPipe:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.hand_over()
        os.close(self._read_end)

    def hand_over(self) -> None:
        """Close our copy of the writing end, once the child has its own: so its death is the end of file."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    async def line(self) -> ReadyLine:
        """What the process says. Raises EOFError when it closes the pipe without a word, ValueError for nonsense."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._read_end, self._receive, told)
        try:
            await told
        finally:
            loop.remove_reader(self._read_end)
        line, _, _ = self._content.partition(b"\n")
        if not line:
            raise EOFError("it ended without saying whether it listens")
        return msgspec.json.decode(line, type=ReadyLine)

    def _receive(self, told: asyncio.Future[None]) -> None:
        try:
            content = os.read(self._read_end, _LINE)
        except BlockingIOError:
            return
        self._content += content
        if not told.done() and (not content or b"\n" in self._content or len(self._content) > _LINE):
            told.set_result(None)


async def listening(pipe: ReadyPipe) -> str:
    """The address where the process accepts requests now. Raises StartFailed, EOFError, ValueError."""
    line = await pipe.line()
    if line.failed:
        raise StartFailed(f"{line.failed}: {line.message}")
    if line.probe:
        await accepts(line.probe)
    address = line.listening or line.probe
    if not address:
        raise ValueError("its ready line names no address")
    return address


async def accepts(address: str) -> None:
    """Return when something accepts connections at "host:port" or "unix:/path": tried every 5 ms at first, then less often."""
    pause = FIRST_PROBE
    while not await _connects(address):
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, LONGEST_PROBE)


async def _connects(address: str) -> bool:
    family, target = _socket_address(address)
    with socket.socket(family, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError, TimeoutError):
        probe.setblocking(False)
        async with asyncio.timeout(1.0):
            await asyncio.get_running_loop().sock_connect(probe, target)
        return True
    return False


def _socket_address(address: str) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    if address.startswith("unix:"):
        return socket.AF_UNIX, address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    return family, (host.strip("[]"), int(port))

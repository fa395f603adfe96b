"""Load from one asyncio loop: keep-alive connections that send a request as soon as the last one is answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Load:
    """Answers by status and body; `broken` counts requests that got no whole answer."""

    answers: Counter[tuple[int, bytes]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.answers.values()) + len(self.broken)

    @property
    def failures(self) -> list[object]:
        """What was not a whole answer of 200."""
        return [*self.broken, *((status, body, count) for (status, body), count in self.answers.items() if status != 200)]

    def bodies(self) -> set[bytes]:
        """What was answered with 200."""
        return {body for status, body in self.answers if status == 200}


class Connection:
    """One keep-alive connection; a request on it is sent again on a new one only when the server had closed it while idle."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str, load: Load) -> None:
        """One GET; its outcome goes to the load."""
        try:
            async with asyncio.timeout(60):
                load.answers[await self._get(path)] += 1
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            load.broken.append(repr(error))
            self.close()

    async def _get(self, path: str) -> tuple[int, bytes]:
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._address[0]}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if b"\r\nconnection: close" in head:
            self.close()
        return int(head[9:12]), body

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._streams:
            self._streams[1].close()
            self._streams = None


async def together(address: tuple[str, int], path: str, connections: int, each: int) -> Load:
    """`connections` at once, each with `each` requests one after another."""
    load = Load()

    async def one() -> None:
        connection = Connection(address)
        for _ in range(each):
            await connection.get(path, load)
        connection.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(one())
    return load

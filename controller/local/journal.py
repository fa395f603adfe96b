"""What replicas write, on its way from their pipes to files and to those who follow; the loop never waits for the disk.

All file work of a platform runs on one thread, in the order it was asked for. So a reader that starts to follow at the
moment it asks for the tail misses no line and sees none twice.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

from controller.local.lines import LineSplitter
from controller.local.logfile import LogFolder
from controller.ports import LogLine

log = logging.getLogger(__name__)

HELD = 1 << 20  # bytes not yet on disk, beyond which a function's replicas are not read
FOLLOWED = 10_000  # lines that a slow follower may be behind before it is let go


class Journal:
    """The log of one function."""

    def __init__(self, folder: LogFolder, disk: ThreadPoolExecutor, pressure: Callable[[bool], None]) -> None:
        """`pressure(True)` is called when replicas should not be read for now, `pressure(False)` when they may again."""
        self._folder, self._disk, self._pressure = folder, disk, pressure
        self._pending: list[LogLine] = []
        self._held = 0  # bytes, those being written included
        self._pressed = False
        self._writing: asyncio.Task[None] | None = None
        self._followers: set[asyncio.Queue[LogLine | None]] = set()

    def writer(self, replica: str) -> Callable[[str, bytes], list[str]]:
        """Takes what one process of a replica writes, as it comes, b"" at the end; returns the lines that became whole."""
        splitter = LineSplitter()

        def write(stream: str, content: bytes) -> list[str]:
            lines = splitter.feed(stream, content) if content else splitter.end(stream)
            for line in lines:
                self.add(replica, stream, line)
            return lines

        return write

    def add(self, replica: str, stream: str, text: str) -> None:
        """One line, now."""
        line = LogLine(datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"), replica, stream, text)
        self._pending.append(line)
        self._held += len(text) + 64
        for follower in list(self._followers):
            try:
                follower.put_nowait(line)
            except asyncio.QueueFull:
                self._let_go(follower)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="journal")
        if self._held > HELD and not self._pressed:
            self._pressed = True
            self._pressure(True)

    async def read(self, tail: int, follow: bool, replica: str = "") -> AsyncIterator[LogLine]:
        """The last `tail` lines, of one replica or of all; with `follow`, then every further one as it comes."""
        with self._following() as queue:
            for line in await self._tail(tail, replica):
                yield line
            while follow and (next_line := await queue.get()) is not None:
                if replica in ("", next_line.replica):
                    yield next_line

    async def replicas(self) -> set[str]:
        """Of which there are lines."""
        unwritten = {line.replica for line in self._pending}
        return unwritten | await asyncio.get_running_loop().run_in_executor(self._disk, self._folder.replicas)

    async def close(self, *, delete: bool = False) -> None:
        """Write what is left, end the followers, and delete the files when the function is gone."""
        for follower in list(self._followers):
            self._let_go(follower)
        if self._writing is not None:
            await self._writing
        if delete:
            await asyncio.get_running_loop().run_in_executor(self._disk, self._folder.remove)

    async def _tail(self, count: int, replica: str) -> list[LogLine]:
        lines, self._pending = self._pending, []
        return await asyncio.get_running_loop().run_in_executor(self._disk, self._store_and_tail, lines, count, replica)

    def _store_and_tail(self, lines: list[LogLine], count: int, replica: str) -> list[LogLine]:
        self._store(lines)
        return self._folder.tail(count, replica)

    def _store(self, lines: list[LogLine]) -> None:
        for replica, group in itertools.groupby(lines, key=lambda line: line.replica):
            self._folder.append(replica, group)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._pending:
                lines, self._pending = self._pending, []
                try:
                    await loop.run_in_executor(self._disk, self._store, lines)
                except OSError as error:  # a full disk must not stop the functions that log to it
                    log.warning("%d log lines of %s are lost: %s", len(lines), lines[0].replica, error)
                self._held = sum(len(line.line) + 64 for line in self._pending)
                if self._pressed and self._held <= HELD:
                    self._pressed = False
                    self._pressure(False)
        finally:
            self._writing = None

    @contextmanager
    def _following(self) -> Iterator[asyncio.Queue[LogLine | None]]:
        queue: asyncio.Queue[LogLine | None] = asyncio.Queue(FOLLOWED)
        self._followers.add(queue)
        try:
            yield queue
        finally:
            self._followers.discard(queue)

    def _let_go(self, follower: asyncio.Queue[LogLine | None]) -> None:
        """End a follower, after what it has not read yet."""
        self._followers.discard(follower)
        if follower.full():
            follower.get_nowait()
        follower.put_nowait(None)

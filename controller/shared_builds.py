"""Builds under way by their key: who wants one that runs joins it and hears all that it says; it ends when nobody wants it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from controller.ports import BuildResult

LOG_LINES = 100  # kept of each build

Progress = Callable[[str], None]


class Told:
    """What one build says: its last lines, and who hears the next."""

    def __init__(self) -> None:
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.listeners: list[Progress] = []

    def say(self, line: str) -> None:
        """One line to keep, and for all who listen."""
        self.log.append(line)
        for listener in list(self.listeners):
            listener(line)


Work = Callable[[Told], Coroutine[Any, Any, BuildResult]]


class SharedBuilds:
    """No two builds of one key at a time."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._running

    def keys(self) -> set[str]:
        """Of the builds under way."""
        return set(self._running)

    async def join(self, key: str, work: Work, progress: Progress) -> BuildResult:
        """The result of `work`, or of the build with this key that is under way; `progress` hears what that said before.

        Cancelled, it leaves; the last one to leave ends the build, and returns when nothing half-made is left of it.
        """
        build = self._running.get(key) or self._begin(key, work)
        for line in build.told.log:
            progress(line)
        build.told.listeners.append(progress)
        try:
            return await asyncio.shield(build.task)
        finally:
            build.told.listeners.remove(progress)
            if not build.told.listeners and not build.task.done():
                self._forget(key, build)
                build.task.cancel()
                await asyncio.wait([build.task])

    def _begin(self, key: str, work: Work) -> _Running:
        build = self._running[key] = _Running(key, work)
        build.task.add_done_callback(lambda _: self._forget(key, build))
        return build

    def _forget(self, key: str, build: _Running) -> None:
        if self._running.get(key) is build:
            del self._running[key]


class _Running:
    def __init__(self, key: str, work: Work) -> None:
        self.told = Told()
        self.task = asyncio.create_task(work(self.told), name=f"build {key}")

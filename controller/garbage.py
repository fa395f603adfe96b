"""Collects the sources and artifacts that nobody references any more: soon after a deletion, and now and then."""

from __future__ import annotations

import asyncio
import logging

from controller.builds import Builds
from controller.ports import FunctionStore, SourceStore

log = logging.getLogger(__name__)

AFTER = 5.0  # seconds after a function was removed
EVERY = 600.0  # seconds


class Garbage:
    """Knows what is referenced: the specs of all functions and of all revisions that are kept."""

    def __init__(self, store: FunctionStore, sources: SourceStore, builds: Builds) -> None:
        self._store, self._sources, self._builds = store, sources, builds
        self._left = asyncio.Event()

    def left(self) -> None:
        """Something was removed: collect soon."""
        self._left.set()

    async def run(self) -> None:
        """Collect until cancelled."""
        while True:
            try:
                async with asyncio.timeout(EVERY):
                    await self._left.wait()
            except TimeoutError:
                pass  # it is the time that was waited for
            await asyncio.sleep(AFTER)
            self._left.clear()
            try:
                await self.collect()
            except Exception as error:
                # Garbage may wait; the functions may not.
                log.warning("garbage could not be collected: %s", error, exc_info=True)

    async def collect(self) -> tuple[int, int]:
        """Delete what is not referenced; returns how many sources and how many artifacts."""
        functions = self._store.list()
        kept = [each for one in functions for each in self._store.revisions(one.project, one.name)]
        specs = [*(each.spec for each in functions), *(each.spec for each in kept)]
        sources = await self._sources.prune({spec.source for spec in specs})
        artifacts = await self._builds.prune({each.artifact for each in kept})
        if sources or artifacts:
            log.info("collected %d sources and %d artifacts", sources, artifacts)
        return sources, artifacts

"""Watches a function's folder for saves by looking at its files' times; "saved" means changed and then still for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from cloudbase.errors import Misused
from cloudbase.pack import walk

LOOK = 0.3  # seconds between looks: 300 files cost about 3 ms each time
STILL = 0.2  # seconds without a change before a save counts: editors write a file in several steps

Snapshot = dict[str, tuple[int, int]]  # path -> (nanoseconds since 1970, bytes)


def snapshot(folder: Path) -> Snapshot:
    """The files that would be deployed. Raises Misused as `walk` does."""
    seen: Snapshot = {}
    for path in walk(folder):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # deleted between the listing and here: the next look sees it gone
        seen[str(path)] = (stat.st_mtime_ns, stat.st_size)
    return seen


async def saves(folder: Path, known: Snapshot | None, wait: float = LOOK, still: float = STILL) -> AsyncIterator[None]:
    """One item for each save since `known` was looked at, until cancelled.

    A folder that is away for a moment (a branch switch) counts as unchanged.
    """
    while True:
        await asyncio.sleep(wait)
        now = await look(folder)
        if now is None or now == known:
            continue
        while True:
            await asyncio.sleep(still)
            later = await look(folder)
            if later == now:
                break
            now = later or now
        known = now
        yield


async def look(folder: Path) -> Snapshot | None:
    """The folder as it is now, or None when it cannot be read."""
    try:
        return await asyncio.to_thread(snapshot, folder)
    except (Misused, OSError):
        return None

"""The routes as a file on local disk, for a start while the API server is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from router.model import Route

log = logging.getLogger(__name__)

VERSION: Final = 1
EVERY: Final = 2.0  # seconds between two writes while routes change


class _Content(msgspec.Struct, frozen=True):
    version: int
    routes: list[Route]


def encode(routes: list[Route]) -> bytes:
    """JSON, so that a person can read it in a hurry."""
    return msgspec.json.encode(_Content(VERSION, routes))


def decode(content: bytes) -> list[Route]:
    """Raises ValueError when it is not one of ours, or of another version."""
    found = msgspec.json.decode(content, type=_Content)
    if found.version != VERSION:
        raise ValueError(f"version {found.version} instead of {VERSION}")
    return found.routes


class Snapshot:
    """`note` that routes changed; `await run()` writes them, at most every two seconds and never half."""

    def __init__(self, path: str, routes: Callable[[], list[Route]]) -> None:
        self._path = Path(path)
        self._routes = routes
        self._changed = asyncio.Event()
        self._failed = ""

    def note(self) -> None:
        self._changed.set()

    def load(self) -> list[Route]:
        """What an earlier life wrote; [] when there is nothing that can be used, which is said."""
        try:
            return decode(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            log.warning("snapshot %s cannot be used, and is written anew: %s", self._path, error)
            return []

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await asyncio.to_thread(self._save, self._routes())
            await asyncio.sleep(EVERY)

    def _save(self, routes: list[Route]) -> None:
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            fresh.write_bytes(encode(routes))
            fresh.replace(self._path)
            self._failed = ""
        except OSError as error:
            if self._failed != str(error):
                log.warning("snapshot %s is not written: %s", self._path, error)
            self._failed = str(error)

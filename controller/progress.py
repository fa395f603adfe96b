"""What happens to each function, as it happens: the last events of each, and whoever follows them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable

import msgspec

from controller.documents import rfc3339

Key = tuple[str, str]  # project, name
KEPT = 500  # events of one function


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One step towards what the user asked for."""

    id: int  # counts up, over all functions
    time: str  # RFC 3339
    type: str  # the condition it is about, or "Build" for a line that a build wrote, or "Deleted"
    status: str = ""  # of the condition: "True" | "False" | "Unknown"
    reason: str = ""  # CamelCase
    message: str = ""
    generation: int = 0  # of the function


class _Ring:
    def __init__(self) -> None:
        self.events: deque[Event] = deque(maxlen=KEPT)
        self.followers: set[asyncio.Event] = set()
        self.over = False


class Progress:
    """Events of every function, kept in memory. Followers that are slower than KEPT events miss the oldest."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._rings: dict[Key, _Ring] = {}
        self._last = 0
        self._closed = False
        self.listeners: list[Callable[[Key, Event], None]] = []

    def tell(self, key: Key, type: str, status: str = "", reason: str = "", message: str = "", generation: int = 0) -> None:
        """Add an event and wake those who follow."""
        self._last += 1
        ring = self._rings.setdefault(key, _Ring())
        at = rfc3339(self._clock())
        event = Event(id=self._last, time=at, type=type, status=status, reason=reason, message=message, generation=generation)
        ring.events.append(event)
        _wake(ring)
        for listener in self.listeners:
            listener(key, event)

    def history(self, key: Key, after: int = 0) -> list[Event]:
        """The events kept of a function with a higher id, oldest first."""
        ring = self._rings.get(key)
        return [event for event in ring.events if event.id > after] if ring else []

    async def follow(self, key: Key, after: int = 0) -> AsyncGenerator[list[Event]]:
        """Batches of events with a higher id as they come, the first at once though it be empty; ends with the function."""
        ring = self._rings.setdefault(key, _Ring())
        woken = asyncio.Event()
        ring.followers.add(woken)
        try:
            while True:
                woken.clear()
                batch = [event for event in ring.events if event.id > after]
                after = batch[-1].id if batch else after
                yield batch
                if woken.is_set():
                    continue  # more came while the batch was read
                if ring.over or self._closed:
                    return
                await woken.wait()
        finally:
            ring.followers.discard(woken)

    def end(self, key: Key) -> None:
        """The function is gone: its followers end when they have read what there is."""
        if ring := self._rings.pop(key, None):
            ring.over = True
            _wake(ring)

    def close(self) -> None:
        """Let every follower end: the process stops."""
        self._closed = True
        for ring in self._rings.values():
            _wake(ring)


def _wake(ring: _Ring) -> None:
    for woken in ring.followers:
        woken.set()

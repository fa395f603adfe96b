"""Follows one collection by list and watch, and survives everything that the API server and the network do to it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kube.backoff import Backoff
from kube.cache import Cache, Delta
from kube.client import PAGE_SIZE, Client
from kube.codec import Key, WatchEvent
from kube.errors import Gone, KubeError
from kube.model import Object
from kube.resource import Resource
from kube.watch import Scope

T = TypeVar("T", bound=Object)
log = logging.getLogger(__name__)

BREATH = 500  # deltas told in one go; then other tasks get a turn
LONGEST = 30.0  # seconds that we let the server tell us to wait
SHORT = 1.0  # seconds; a watch that ends sooner and brought nothing counts as a failure, so that it cannot spin


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient to be.

    The server is asked to end each watch after 60 to 90 % of `silence`, so a healthy one is never silent for that long, and a
    hung one is noticed without relying on how often bookmarks come. A watch resumed from its last version costs one request.
    """

    silence: float = 40.0  # seconds without a byte after which a watch is taken for dead
    page_size: int = PAGE_SIZE  # objects in one list request
    backoff: Backoff = field(default_factory=Backoff)

    def lasting(self) -> int:
        """Whole seconds for a watch to last."""
        return max(1, int(self.silence * (0.6 + 0.3 * random.random())))


PACE = Pace()


@dataclass(slots=True)
class State:
    """What a reflector has been through; counters only grow."""

    synced: bool = False  # listed at least once
    connected: bool = False  # a watch is open now
    last_contact: float = 0.0  # monotonic seconds, 0 = never
    error: str = ""  # the last failure, "" = none since the last success
    failures: int = 0  # in a row
    lists: int = 0  # whole lists
    watches: int = 0  # watches opened
    events: int = 0  # watch events, bookmarks included
    deltas: int = 0  # changes told
    expired: int = 0  # times that the server had forgotten our version (410)
    broken: int = 0  # objects now that cannot be decoded


class Reflector(Generic[T]):
    """One list and watch. `tell` gets every delta in order; `note_sync` is called after each list."""

    def __init__(
        self, client: Client, resource: Resource[T], scope: Scope, tell: Callable[[Delta[T]], None],
        note_sync: Callable[[], None], pace: Pace,
    ) -> None:  # fmt: skip
        self.cache: Cache[T] = Cache()
        self.state = State()
        self.scope = scope
        self._client = client
        self._resource = resource
        self._tell = tell
        self._note_sync = note_sync
        self._pace = pace
        self._page_size = pace.page_size

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if not self.cache.resource_version:
                    await self._list()
                await self._watch()
            except Gone as error:
                self._expire(error)
                await self._wait(error)
            except KubeError as error:
                await self._wait(error)

    async def _list(self) -> None:
        self.cache.begin()
        async with aclosing(self._client.pages(self._resource, self.scope, self._page_size)) as pages:
            async for page in pages:
                self.cache.page(page)
                self._note_contact()
        deltas = self.cache.finish()
        self._page_size = self._pace.page_size
        self.state.lists += 1
        self.state.broken = len(self.cache.broken)
        for key, message in self.cache.broken.items():
            self._warn(key, message)
        for number, delta in enumerate(deltas, 1):
            self._tell_one(delta)
            if number % BREATH == 0:
                await asyncio.sleep(0)
        self.state.synced = True
        self._note_sync()

    async def _watch(self) -> None:
        opened_at, before = time.monotonic(), self.state.events
        version, pace = self.cache.resource_version, self._pace
        async with self._client.watch(self._resource, self.scope, version, pace.lasting(), pace.silence) as watch:
            self.state.watches += 1
            self.state.connected = True
            self._note_contact()
            try:
                async with aclosing(watch.batches()) as batches:
                    async for batch in batches:
                        self._take(batch)
            finally:
                self.state.connected = False
        self._note_contact()
        if self.state.events == before and time.monotonic() - opened_at < SHORT:
            self.state.failures += 1
            await asyncio.sleep(self._pace.backoff.wait(self.state.failures, random.random))
        else:
            self.state.failures = 0

    def _take(self, batch: list[WatchEvent[T]]) -> None:
        self.state.events += len(batch)
        self._note_contact()
        self.state.failures = 0
        for event in batch:
            delta = self.cache.apply(event)
            if delta is not None:
                self._tell_one(delta)
            if event.broken is not None:
                self._warn(event.broken.key, event.broken.message)
        self.state.broken = len(self.cache.broken)

    def _tell_one(self, delta: Delta[T]) -> None:
        self.state.deltas += 1
        self._tell(delta)

    def _expire(self, error: Gone) -> None:
        """Our version, or a continue token half-way through a list, is too old. The second time in a row take it in one page."""
        self.state.expired += 1
        listing = not self.cache.resource_version
        self.cache.resource_version = ""
        self._page_size = 0 if listing else self._pace.page_size

    def _note_contact(self) -> None:
        if self.state.error:
            log.info("%s %s: the API server answers again", self._resource.title, self.scope)
        self.state.last_contact = time.monotonic()
        self.state.error = ""

    def _warn(self, key: Key, message: str) -> None:
        log.warning("%s %s: not understood, its last good state stays: %s", self._resource.title, "/".join(key), message)

    async def _wait(self, error: KubeError) -> None:
        if self.state.error != str(error):
            log.warning("%s %s: %s", self._resource.title, self.scope, error)
        self.state.error = str(error)
        self.state.failures += 1
        wait = max(min(error.retry_after, LONGEST), self._pace.backoff.wait(self.state.failures, random.random))
        await asyncio.sleep(wait)

"""The control process's part in hard limits: a Slots for each revision that a worker asked slots for, and word to the workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import count
from typing import Protocol

from router import slots
from router.model import Route, RouteKey
from router.slots import Slots, hard_limits
from router.workers import messages


class Borrower(Hashable, Protocol):
    """A worker."""

    def send(self, *orders: messages.Lend) -> None: ...


class Lending:
    """`short` is called when somebody begins to wait for a revision of which there is no slot at all, in no worker."""

    def __init__(
        self,
        workers: Callable[[], Iterable[Borrower]],
        short: Callable[[RouteKey], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shared = False  # limits come from `grant` only, as other routers have their part of them
        self._workers = workers
        self._short = short
        self._clock = clock
        self._numbers = count(1)
        self._limits: dict[RouteKey, dict[str, Mapping[str, int]]] = {}  # by revision
        self._granted: dict[RouteKey, dict[str, Mapping[str, int]]] = {}  # what was granted last, also while there is no limit
        self._slots: dict[RouteKey, dict[str, Slots[Borrower]]] = {}

    def put(self, route: Route) -> None:
        """The route is this from now on, and the workers know it already."""
        key = route.key
        if not self.shared:
            self._set(key, {backend.revision: hard_limits(route, backend) for backend in route.backends})
            return
        names = [backend.revision for backend in route.backends]
        granted = self._granted[key] = {name: limits for name, limits in self._granted.get(key, {}).items() if name in names}
        self._set(key, {name: granted.get(name, {}) if route.settings.concurrency else {} for name in names})

    def grant(self, key: RouteKey, revision: str, limits: Mapping[str, int]) -> None:
        """As router.kube.ports.Plane."""
        self._granted.setdefault(key, {})[revision] = dict(limits)
        self._set(key, self._limits.get(key, {}) | {revision: dict(limits)})

    def remove(self, key: RouteKey) -> None:
        """The route is gone, and the workers know it already: what is in flight there is at its end."""
        self._limits.pop(key, None)
        self._granted.pop(key, None)
        self._slots.pop(key, None)

    def needed(self, key: RouteKey, revision: str) -> slots.Need:
        """What may be in flight now of a revision with a hard limit, and what waits, as of what was said last."""
        known = self._slots.get(key, {}).get(revision)
        return known.needed() if known else slots.Need()

    def need(self, worker: Borrower, need: messages.Need) -> None:
        """A worker told what it has and wants."""
        if need.key not in self._limits:
            return  # removed meanwhile
        revisions = self._slots.setdefault(need.key, {})
        known = revisions.get(need.revision)
        limits = self._limits[need.key].get(need.revision, {})
        if known is None:
            known = revisions[need.revision] = Slots(self._workers(), self._numbers)
            known.limit(limits)
        waited = known.waiting()
        known.say(worker, slots.Need(need.number, need.in_flight, need.waiting, need.oldest))
        self._tell(need.key, need.revision, known)
        if known.waiting() and not waited and (self.shared or not limits):
            self._short(need.key)

    def leave(self, worker: Borrower) -> None:
        """A worker is gone: what it had is the others' to have."""
        for key, revisions in list(self._slots.items()):
            for revision, known in list(revisions.items()):
                known.leave(worker)
                self._tell(key, revision, known)

    def _set(self, key: RouteKey, limits: dict[str, Mapping[str, int]]) -> None:
        self._limits[key] = limits
        for revision, known in list(self._slots.get(key, {}).items()):
            known.limit(limits.get(revision, {}))
            self._tell(key, revision, known)

    def _tell(self, key: RouteKey, revision: str, known: Slots[Borrower]) -> None:
        for worker, loan in known.moves(self._clock()):
            worker.send(messages.Lend(key, revision, *loan))
        if known.over():
            revisions = self._slots[key]
            del revisions[revision]
            if not revisions:
                del self._slots[key]

"""What is in flight and waiting in all workers: asked of them when somebody wants to know, since only they do."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from router.model import RouteKey
from router.workers import messages

PATIENCE: Final = 2.0  # seconds after which a worker that says nothing is taken for busy
FRESH: Final = 0.5  # seconds that an answer counts


class Asked(Hashable, Protocol):
    """A worker."""

    def send(self, *orders: messages.Look) -> None: ...


@dataclass(slots=True, eq=False)
class _Question:
    key: RouteKey
    missing: set[Asked]
    done: asyncio.Event = field(default_factory=asyncio.Event)
    outdated: bool = False  # the route, or somebody's wish for it, changed meanwhile
    present: int = 0
    revisions: Counter[str] = field(default_factory=Counter)
    addresses: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Stock:
    at: float  # monotonic seconds
    revisions: Counter[str]
    addresses: Counter[tuple[str, str]]


class Stocktaking:
    """Asks all workers of one route, and remembers the answers for a moment."""

    def __init__(self, workers: Callable[[], Iterable[Asked]], clock: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._clock = clock
        self._number = 0
        self._open: dict[int, _Question] = {}
        self._stocks: dict[RouteKey, _Stock] = {}

    async def present(self, key: RouteKey) -> int | None:
        """In flight + waiting over all workers, each of which knows the route as it is now; None: somebody did not answer, or
        the route was changed or woken meanwhile."""
        question = self._ask(key)
        try:
            async with asyncio.timeout(PATIENCE):
                await question.done.wait()
        except TimeoutError:
            return None
        return None if question.outdated else question.present

    def in_flight(self, key: RouteKey, revision: str, address: str = "") -> int:
        """As router.ports.Routes.in_flight, of a moment ago; 1 when it is not known. Each call asks for the next answer."""
        if not any(question.key == key and not question.outdated for question in self._open.values()):
            self._ask(key)
        stock = self._stocks.get(key)
        if stock is None or self._clock() - stock.at > FRESH:
            return 1
        return stock.addresses[revision, address] if address else stock.revisions[revision]

    def changed(self, key: RouteKey) -> None:
        """The route was put, removed or woken: what is known of it says nothing any more."""
        self._stocks.pop(key, None)
        for question in self._open.values():
            if question.key == key:
                question.outdated = True

    def answer(self, worker: Asked, seen: messages.Seen) -> None:
        """A worker's answer."""
        question = self._open.get(seen.number)
        if question is None or worker not in question.missing:
            return
        question.present += seen.present
        for revision, (whole, addresses) in seen.in_flight.items():
            question.revisions[revision] += whole
            for address, count in addresses.items():
                question.addresses[revision, address] += count
        self._heard(seen.number, question, worker)

    def leave(self, worker: Asked) -> None:
        """A worker is gone, and with it whatever was in flight or waiting there."""
        for number, question in list(self._open.items()):
            self._heard(number, question, worker)

    def _ask(self, key: RouteKey) -> _Question:
        self._number += 1
        workers = list(self._workers())
        question = self._open[self._number] = _Question(key, set(workers))
        for worker in workers:
            worker.send(messages.Look(self._number, key))
        if not workers:
            self._heard(self._number, question, None)
        return question

    def _heard(self, number: int, question: _Question, worker: Asked | None) -> None:
        question.missing.discard(worker)
        if question.missing:
            return
        del self._open[number]
        now = self._clock()
        if not question.outdated:
            stocks = {key: stock for key, stock in self._stocks.items() if now - stock.at <= FRESH}
            self._stocks = stocks | {question.key: _Stock(now, question.revisions, question.addresses)}
        question.done.set()

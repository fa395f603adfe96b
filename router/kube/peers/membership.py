"""Keeps one router on the board: beats once a second, sends its samples, reads those of others while it leads, hears words.

Reconnects by itself. Also knows until when we may use what we hold together with others, see docs/decisions/0098.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from autoscaler.model import Sample
from autoscaler.recorder import Recorder
from kube.backoff import Backoff
from kube.lease import steady_clock
from router.kube.peers.batch import Batch, Lost, Row, decode, encode, lost_of, rows_of
from router.kube.peers.ports import Away, Beat, Exchange, Session
from router.kube.peers.roster import TERMS, Roster, Terms, identity_of
from router.model import RouteKey
from router.unreachable import Unreachable

log = logging.getLogger(__name__)

PERIOD: Final = 1.5  # seconds until a beat without a batch: those of an autoscaler that runs come once a second
KEPT: Final = 60  # batches that wait for a board that is away: what was seen meanwhile is sent when it is back
BACKOFF: Final = Backoff(0.1, 1.5)
FRESH: Final = 5.0  # seconds that another router's word about whom it cannot reach counts


@dataclass(slots=True)
class Figures:
    """For metrics; counters only grow."""

    connected: bool = False
    losses: int = 0  # times that contact was lost


@dataclass(slots=True)
class _Outbox:
    """Our batches that are not on the board yet."""

    # number, at, rows and lost
    waiting: deque[tuple[int, float, list[Row], list[Lost]]] = field(default_factory=lambda: deque(maxlen=KEPT))
    count: int = 0

    def put(self, at: float, samples: Mapping[RouteKey, Sample], unreachable: Unreachable) -> None:
        self.count += 1
        self.waiting.append((self.count, at, rows_of(samples), lost_of(unreachable)))

    def contents(self, now: float) -> list[bytes]:
        return [encode(Batch(number, now - at, rows, lost)) for number, at, rows, lost in self.waiting]

    def sent(self, number: int) -> None:
        while self.waiting and self.waiting[0][0] <= number:
            self.waiting.popleft()


class Membership:
    """One router's place on the board. `await run()` in a task of your own; cancelling it gives the place back.

    `seen_alive` says whether the cluster itself, freshly, lists us as a router that serves.
    """

    def __init__(
        self, exchange: Exchange, identity: str, recorder: Recorder[RouteKey], leading: Callable[[], bool],
        seen_alive: Callable[[], bool] = lambda: False, terms: Terms = TERMS,
    ) -> None:  # fmt: skip
        self.figures = Figures()
        self.away = "not connected yet"  # why there is no contact, "" = there is
        self.session: Session | None = None
        self.hears: list[Callable[[bytes], None]] = []  # told every word
        self.begun: list[Callable[[], None]] = []  # told that a session began
        self._exchange = exchange
        self._recorder = recorder
        self._leading = leading
        self._seen_alive = seen_alive
        self.roster = Roster(_named(identity), terms)
        self._outbox = _Outbox()
        self._due = asyncio.Event()
        self._marks: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._lost_by: dict[str, tuple[float, Unreachable]] = {}  # by member, and when it was so
        self._joined: frozenset[str] = frozenset()
        self._reads = False  # whether the last beat brought others' batches
        self._knew = float("-inf")  # by the steady clock: when we last knew that nobody could begin to wait for what we hold
        self._failures = 0
        self._ahead = 0.0  # seconds that the board's clock is ahead of time.monotonic

    @property
    def me(self) -> str:
        return self.roster.me

    def publish(self, at: float, samples: Mapping[RouteKey, Sample], unreachable: Unreachable) -> None:
        """Our batch of the second that ended at `at` (monotonic seconds); sent now, or when the board is back."""
        self._outbox.put(at, samples, unreachable)
        self._due.set()

    def unreachable(self, now: float) -> list[Unreachable]:
        """What each of the others cannot reach, as far as it is known and of now."""
        return [found for at, found in self._lost_by.values() if now - at <= FRESH]

    def doubt(self, seen: list[str], now: float) -> str:
        """Why not every live router's batches are known; "" when they are, as far as the recorder has them."""
        if self.away and self.roster.silent(now):
            return f"there is no contact with the other routers: {self.away}"
        unread = self._leading() and not self._reads  # who does not lead reads nothing, and decides nothing
        return self.roster.doubt(seen, now) or ("the others' samples are not read yet" if unread else "")

    def on_board(self, at: float) -> float:
        """A moment of time.monotonic by the board's clock."""
        return at + self._ahead

    def usable(self) -> bool:
        """Whether we may still use what we hold together with others."""
        return steady_clock() < self._knew + self.roster.terms.own or self._seen_alive()

    def rename(self) -> None:
        """What we held is lost, or may be: come back as somebody new."""
        self.roster = Roster(_named(identity_of(self.me)), self.roster.terms)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            _heed_cancellation()
            started, me = steady_clock(), self.me
            try:
                session = await self._exchange.open(me)
            except Away as error:
                self._lost(error, started)
                await asyncio.sleep(BACKOFF.wait(self._failures, random.random))
                continue
            try:
                await self._live(session, me)
            except asyncio.CancelledError:
                await self._leave(session)
                raise
            except ExceptionGroup as group:
                away, others = group.split(Away)
                if others is not None or away is None:
                    raise
                self._lost(away.exceptions[0], started)
            finally:
                self.session = None
                await session.close()

    # --- one session ---

    async def _live(self, session: Session, me: str) -> None:
        """While we are still the one whose session it is."""
        self._marks.clear()
        async with asyncio.TaskGroup() as group:
            while self.me == me:
                await self._beat(session)
                _heed_cancellation()
                if self.session is None:
                    self._start(session, group)
                try:
                    async with asyncio.timeout(PERIOD):
                        await self._due.wait()
                except TimeoutError:
                    pass
            raise Away("this router comes back as another one")

    def _start(self, session: Session, group: asyncio.TaskGroup) -> None:
        self.session = session
        group.create_task(self._hear(session), name="words of routers")
        for begun in self.begun:
            begun()

    async def _beat(self, session: Session) -> None:
        self._due.clear()
        started, now, reads = steady_clock(), time.monotonic(), self._leading()
        number, contents = self._outbox.count, self._outbox.contents(now)
        read = self.roster.expected | self.roster.past if reads else ()
        after = {member: self._marks.get(member, "") for member in read} if reads else None
        beat = await session.beat(self.roster.terms.lease, contents, after)
        now = time.monotonic()
        self._ahead = beat.now - now
        self._knew = started
        self._outbox.sent(number)
        self._found(beat, now)
        self.roster.note(beat, now)
        self._take(beat, now)
        self._reads = reads and self.roster.expected <= (after or {}).keys()

    def _take(self, beat: Beat, now: float) -> None:
        """Into the recorder: first what was read, or history would lie before the time from which it is expected."""
        for member, mark, age, content in beat.batches:
            self._marks[member] = mark
            try:
                batch = decode(content)
            except ValueError as error:
                log.warning("router %s: its samples cannot be read: %s", member, error)
                continue
            if batch.number > self._numbers.get(member, 0):
                self._numbers[member] = batch.number
                at = now - age - batch.age
                self._recorder.record(member, at, batch.samples(at))
                self._lost_by[member] = (at, batch.unreachable())
        expected = self.roster.expected
        for member in expected if self._reads else ():
            self._recorder.join(member, now)
        for member in (self._joined | {each.member for each in beat.batches}) - expected:
            self._recorder.leave(member)
        self._joined = expected
        known = expected | self.roster.past
        self._marks = {member: mark for member, mark in self._marks.items() if member in known}
        self._numbers = {member: number for member, number in self._numbers.items() if member in known}
        self._lost_by = {member: found for member, found in self._lost_by.items() if member in expected}

    async def _hear(self, session: Session) -> None:
        while True:
            for word in await session.listen():
                for hear in self.hears:
                    hear(word)

    # --- coming and going ---

    def _found(self, beat: Beat, now: float) -> None:
        self._failures = 0
        if beat.members != self.roster.members:
            log.info("routers that are heard: %s", ", ".join(sorted(map(identity_of, beat.members))))
        if not self.figures.connected:
            log.info("the exchange between routers is there")
        self.figures.connected, self.away = True, ""

    def _lost(self, error: Exception, started: float) -> None:
        self._failures += 1
        if isinstance(error, Away) and error.refused:
            self._knew = max(self._knew, started)
        if self.figures.connected:
            self.figures.losses += 1
            log.warning("the exchange between routers is away, nothing is scaled down: %s", error)
        self.figures.connected, self.away = False, str(error)

    async def _leave(self, session: Session) -> None:
        try:
            async with asyncio.timeout(1.0):
                await session.leave()
        except (Away, TimeoutError) as error:
            log.info("the others were not told that this router ends, its lease runs out: %s", error)


def _heed_cancellation() -> None:
    """Raise CancelledError where one was asked for and got lost.

    A TaskGroup before Python 3.13 forgets one that comes as a child fails, and redis-py one that comes as a connection breaks.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _named(identity: str) -> str:
    return f"{identity}@{os.urandom(4).hex()}"

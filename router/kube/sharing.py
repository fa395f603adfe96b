"""Shares hard limits with the other routers: tells the board what is had and wanted here, and takes what it says.

Told are: the first that has to wait, everything while others want the same slots, each loan's taking over, and twice a second
whatever else has changed. So a router that has all the load has all the slots, and nothing to ask for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final

from router.kube.catalog import Entry
from router.kube.peers.ledger import enter
from router.kube.peers.membership import Membership
from router.kube.peers.ports import Away, Session
from router.kube.ports import Plane
from router.model import RouteKey
from router.slots import Loan, Need, hard_limits

log = logging.getLogger(__name__)

WORD: Final = b"slots:"
OFTEN: Final = 0.005  # seconds between looks while somebody waits or others want slots
SOMETIMES: Final = 0.05  # seconds between looks while requests are in flight
SELDOM: Final = 0.5  # seconds between looks else; who waits first is told at once
REFRESH: Final = 120.0  # seconds after which what is held is told anew: the board forgets what nobody changes
TRIES: Final = 20  # swaps of one page at once: others may change it, too
AT_ONCE: Final = 8  # pages

Name = tuple[RouteKey, str]  # of a revision
NOTHING: Final = Loan(0, {}, False)


@dataclass(slots=True)
class _Share:
    """What is between the board and us of one revision."""

    had: Loan = NOTHING
    said: Need = field(default_factory=Need)
    content: bytes = b""  # the page as last seen
    told_at: float = 0.0
    looked_at: float = 0.0
    busy: bool = False  # something was in flight at the last look
    young: bool = False  # nothing moved then, because the board was young
    rung: bool = True  # something is to be told, or to be looked at
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def due(self) -> float:
        """When to look next, monotonic seconds."""
        if self.rung or self.had.watch or self.said.waiting:
            return self.looked_at + OFTEN
        return self.looked_at + (SOMETIMES if self.busy else SELDOM)


class Sharing:
    """`await run()` in a task of your own. `listed` says whether the cluster lists a member as a router that serves."""

    def __init__(
        self, membership: Membership, entries: Mapping[RouteKey, Entry], plane: Plane, listed: Callable[[str], bool]
    ) -> None:
        self.changes = 0  # pages written
        self._membership = membership
        self._entries = entries
        self._plane = plane
        self._listed = listed
        self._shares: dict[Name, _Share] = {}
        self._ring = asyncio.Event()
        self._room = asyncio.Semaphore(AT_ONCE)
        membership.hears.append(self._hear)
        membership.begun.append(self._begun)
        plane.share(True)

    def held(self) -> int:
        """Slots that we have now."""
        return sum(sum(share.had.limits.values()) for share in self._shares.values())

    def want(self, key: RouteKey) -> bool:
        """Somebody waits for a route and may have no slot here. False: nothing of it is ready, or it has no limit."""
        names = [(key, revision) for revision, _ in self._limited(key)]
        for name in names:
            self._shares.setdefault(name, _Share()).rung = True
        self._ring.set()
        return bool(names)

    def changed(self, key: RouteKey) -> None:
        """Its addresses or its limit are others now."""
        for name, share in self._shares.items():
            if name[0] == key:
                share.rung = True
                self._ring.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._ring.clear()
            if not self._membership.usable():
                self._give_up()
            elif self._membership.session is not None:
                session, now = self._membership.session, time.monotonic()
                due = [(name, share) for name, share in self._shares.items() if share.rung or share.due() <= now]
                await asyncio.gather(*(self._look(session, name, share) for name, share in due))
            try:
                async with asyncio.timeout(self._pause()):
                    await self._ring.wait()
            except TimeoutError:
                pass

    def _pause(self) -> float:
        if self._membership.session is None:
            return SOMETIMES
        next_look = min((share.due() for share in self._shares.values()), default=inf)
        return max(OFTEN, min(SELDOM, next_look - time.monotonic()))

    # --- one revision ---

    async def _look(self, session: Session, name: Name, share: _Share) -> None:
        need, now = self._need(name), time.monotonic()
        share.looked_at, share.busy = now, bool(need.in_flight)
        first = (bool(need.waiting) and not share.said.waiting) or (share.young and not self._membership.roster.young())
        changed = need != share.said and (share.had.watch or now - share.told_at > SELDOM)
        if not (share.rung or first or changed or now - share.told_at > REFRESH):
            return
        try:
            async with self._room:
                await self._tell(session, name, share)
        except Away as error:
            share.rung = True
            log.debug("%s: slots could not be shared: %s", name[0], error)
            await asyncio.sleep(OFTEN)

    async def _tell(self, session: Session, name: Name, share: _Share) -> None:
        """Until the board and we agree: each loan that is taken over is told again."""
        member, key = self._membership.me, name[0]
        for _ in range(TRIES):
            share.rung = False
            need = self._need(name)
            limits = dict(self._limited(key)).get(name[1], {})
            now = self._membership.on_board(time.monotonic())
            young = self._membership.roster.young()
            entry = enter(share.content, member, share.had, need, limits, now, self._gone, young)
            word = WORD + _register(name).encode() if entry.others else b""
            swap = await session.swap(_register(name), share.content, entry.content, word)
            share.content = swap.content
            if member != self._membership.me:
                return  # given up meanwhile
            if not swap.done:
                continue
            self.changes += 1
            share.said, share.told_at = need, time.monotonic()
            share.young = young
            if entry.loan == share.had:
                break
            if entry.loan.limits != share.had.limits:
                self._plane.grant(*name, entry.loan.limits)
            share.had = entry.loan
        if not limits and not share.had.limits and not need.in_flight and not need.waiting:
            self._shares.pop(name, None)

    def _need(self, name: Name) -> Need:
        need = self._plane.need(*name)
        return replace(need, oldest=self._membership.on_board(need.oldest) if need.waiting else 0.0)

    def _limited(self, key: RouteKey) -> Iterator[tuple[str, dict[str, int]]]:
        """Revisions of a route with the limits of their addresses, if it has a hard limit and something is ready."""
        entry = self._entries.get(key)
        route = entry.translation.route if entry is not None else None
        for backend in route.backends if route is not None else ():
            limits = hard_limits(route, backend)  # type: ignore[arg-type]
            if limits:
                yield backend.revision, limits

    # --- others ---

    def _gone(self, member: str) -> bool:
        """Its lease has run out, and the cluster does not say that it serves: then it knows itself that it may not any more."""
        return self._membership.roster.gone(member, time.monotonic()) and not self._listed(member)

    def _hear(self, word: bytes) -> None:
        if word.startswith(WORD):
            register = word.removeprefix(WORD).decode()
            for name, share in self._shares.items():
                if _register(name) == register:
                    share.rung = True
                    self._ring.set()

    def _begun(self) -> None:
        """A new session: the board may have begun anew, and numbers of loans with it."""
        for share in self._shares.values():
            share.had = share.had._replace(number=0)
            share.content = b""
            share.rung = True
        self._ring.set()

    def _give_up(self) -> None:
        """We have known nothing of the board for too long: others may have what we had."""
        if not any(share.had.limits for share in self._shares.values()):
            return
        log.warning("nothing was heard of the other routers for too long: slots of hard limits are given up")
        for name, share in self._shares.items():
            self._plane.grant(*name, {})
            share.had, share.rung = NOTHING, True
        self._membership.rename()


def _register(name: Name) -> str:
    key, revision = name
    return f"slots1:{key.host}/{key.project}/{key.name}/{revision}"

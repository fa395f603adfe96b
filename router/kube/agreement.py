"""All routers let go of pods before one of them takes these away: asks the others, and answers when it is asked.

The answer "nothing is here" can be taken back until the asker has noted that all gave it, which is one step on the board: then
it writes. Alone, or with nobody else on the board, there is nobody to ask.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from router.kube.aside import REPRIEVE, REPRIEVE_AWAKE, Aside
from router.kube.model import Address
from router.kube.peers.membership import Membership
from router.kube.peers.ports import Away, Session
from router.kube.peers.rounds import WORD, Ask, How, Round, State, agreed, answered, decode, encode, over, refused
from router.kube.ports import Plane
from router.kube.reach import Reach
from router.model import RouteKey

log = logging.getLogger(__name__)

PATIENCE: Final = 2.0  # seconds for all to agree on zero: each of them needs milliseconds
LOOK_AGAIN: Final = 0.05  # seconds between looks whether a pod has nothing more to do, and at a round whose word was missed
LEFT: Final = 15.0  # seconds after which a round whose asker says nothing more is given up by who was asked

WOKEN: Final = b"woken:"

_ENCODER = msgspec.msgpack.Encoder()
_KEY = msgspec.msgpack.Decoder(RouteKey)

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Others(Protocol):
    """The other routers, for the one who scales."""

    async def agree(self, ask: Ask, patience: float) -> bool:
        """Every other live router has taken the pods out and has nothing there. False: one refused, or none could be asked."""

    async def drained(self, ask: Ask, patience: float) -> bool:
        """The same for pods that get empty, or it was waited for long enough."""

    async def over(self, ask: Ask, gone: bool) -> None:
        """What came of it; True also when that is not known."""


@dataclass(slots=True)
class _Asked:
    """A round of ours that is under way."""

    ask: Ask
    round: Round
    news: asyncio.Event
    arrived: bool = False


@dataclass(slots=True)
class _Followed:
    """A round of another router that we take part in."""

    round: Round
    task: asyncio.Task[None] | None = None


class Agreement:
    """Both sides of it. `membership` None: there is no exchange, and nobody to ask."""

    def __init__(self, membership: Membership | None, aside: Aside, plane: Plane, reach: Reach, spawn: Spawn) -> None:
        self._membership = membership
        self._aside = aside
        self._plane = plane
        self._reach = reach
        self._spawn = spawn
        self._asked: dict[str, _Asked] = {}  # by number
        self._followed: dict[tuple[str, str], _Followed] = {}  # by namespace and revision
        if membership is not None:
            membership.hears.append(self._hear)

    def arrived(self, key: RouteKey) -> None:
        """Somebody waits for a route: it must not go to zero."""
        for asked in self._asked.values():
            if asked.ask.route == key and asked.ask.how == "shut":
                asked.arrived = True
                asked.news.set()
        for followed in self._followed.values():
            known = followed.round
            if known.ask.route == key and known.ask.how == "shut" and known.state == "open":
                self._spawn(self._refuse(followed))

    def woken(self, key: RouteKey) -> None:
        """We woke a route: pods that were to go may have been kept for it, in all routers."""
        if self._membership is None or self._membership.session is None:
            self._spawn(self._aside.reprieve(key, REPRIEVE_AWAKE))
        else:
            self._spawn(self._say(WOKEN + _ENCODER.encode(key)))

    # --- asking ---

    async def agree(self, ask: Ask, patience: float) -> bool:
        """As Others.agree."""
        return await self._ask(ask, patience) == "agreed"

    async def drained(self, ask: Ask, patience: float) -> bool:
        """As Others.drained."""
        return await self._ask(ask, patience) in ("agreed", "open")

    async def over(self, ask: Ask, gone: bool) -> None:
        """As Others.over."""
        for asked in [each for each in self._asked.values() if each.ask is ask]:
            del self._asked[asked.round.number]
            await self._change(asked, lambda known: over(known, gone))

    async def _ask(self, ask: Ask, patience: float) -> State:
        """How the round stands when it is agreed, refused or has lasted for long enough."""
        if self._membership is None:
            return "agreed"
        asked = _Asked(ask, Round(os.urandom(8).hex(), self._membership.me, ask), asyncio.Event())
        self._asked[asked.round.number] = asked
        try:
            await self._swap(None, asked.round)
            return await self._until_empty(asked, time.monotonic() + patience)
        except Away as error:
            log.info("%s: the other routers cannot be asked: %s", ask.route, error)
            return "refused"

    async def _until_empty(self, asked: _Asked, end: float) -> State:
        assert self._membership is not None
        while not asked.arrived:
            asked.news.clear()
            known = await self._read(asked.round)
            if known is None or known.state != "open":
                return "refused"
            decided = agreed(known, self._membership.roster.members)
            if decided is not None and await self._swap(known, decided, frozenset((known.asker, *known.empty))):
                return "agreed"
            if (left := end - time.monotonic()) <= 0:
                return "open"
            try:
                async with asyncio.timeout(min(left, LOOK_AGAIN)):
                    await asked.news.wait()
            except TimeoutError:
                pass
        return "refused"

    # --- being asked ---

    def _hear(self, word: bytes) -> None:
        if word.startswith(WOKEN):
            self._spawn(self._aside.reprieve(_KEY.decode(word.removeprefix(WOKEN)), REPRIEVE_AWAKE))
        if not word.startswith(WORD):
            return
        number = word.removeprefix(WORD).decode()
        if number in self._asked:
            self._asked[number].news.set()
        else:
            self._spawn(self._look(number))

    async def _look(self, number: str) -> None:
        try:
            known = decode(await self._session().read(WORD.decode() + number))
        except Away:
            return
        if known is None or known.asker == self._me():
            return
        place = (known.ask.namespace, known.ask.revision)
        followed = self._followed.get(place)
        if followed is None or followed.round.number != number:
            if known.state == "open":
                self._begin(place, known, followed)
            return
        followed.round = known
        if known.state in ("refused", "kept"):
            self._reopen(followed)
        elif known.state == "gone":
            self._end(followed)
            if known.ask.how == "draining":  # at zero every pod goes, if nobody wakes it; else some may stay
                self._spawn(self._aside.reprieve(known.ask.route, REPRIEVE))

    def _begin(self, place: tuple[str, str], known: Round, before: _Followed | None) -> None:
        if before is not None and before.task is not None:
            before.task.cancel()
        followed = self._followed[place] = _Followed(known)
        self._stand(known, how=True)
        followed.task = self._spawn(self._follow(followed))

    async def _follow(self, followed: _Followed) -> None:
        known = followed.round
        if known.ask.how == "shut":
            if not await self._plane.idle(known.ask.route):
                await self._refuse(followed)
                return
        else:
            while any(self._holds(known.ask, address) for _, address in known.ask.pods):  # noqa: ASYNC110 - counters, maybe elsewhere
                await asyncio.sleep(LOOK_AGAIN)
        await self._change(followed, lambda now: answered(now, self._me()))
        await asyncio.sleep(LEFT)
        log.info("%s: whoever asked for it said nothing more: pods are used again", known.ask.route)
        self._reopen(followed)

    async def _refuse(self, followed: _Followed) -> None:
        """Use the pods again if the asker has not gone on yet: else they go, and the wake that follows is for new ones."""
        await self._change(followed, refused)
        if followed.round.state == "refused":
            log.info("%s: somebody came: it stays awake", followed.round.ask.route)
            self._reopen(followed)

    async def _change(self, one: _Asked | _Followed, how: Callable[[Round], Round | None]) -> None:
        """What others changed meanwhile counts, too."""
        try:
            while (after := how(one.round)) is not None:
                if await self._swap(one.round, after):
                    one.round = after
                    return
                known = await self._read(one.round)
                if known is None:
                    return
                one.round = known
        except Away as error:
            log.info("%s: the other routers cannot be told about it: %s", one.round.ask.route, error)

    def _reopen(self, followed: _Followed) -> None:
        if self._end(followed):
            self._stand(followed.round, how=False)

    def _end(self, followed: _Followed) -> bool:
        """False: a newer round has its place."""
        place = (followed.round.ask.namespace, followed.round.ask.revision)
        if self._followed.get(place) is not followed:
            return False
        del self._followed[place]
        if followed.task is not None and followed.task is not asyncio.current_task():
            followed.task.cancel()
        return True

    def _stand(self, known: Round, how: bool) -> None:
        ask = known.ask
        asked = {address: pod for pod, address in ask.pods}
        pods = [pod.address for pod in self._aside.pods(ask.route, ask.revision) if pod.address.address in asked]
        self._aside.stand(ask.namespace, ask.revision, pods, ask.how if how else "proven")

    def _holds(self, ask: Ask, address: str) -> bool:
        """A pod has something of ours to finish, and can."""
        return bool(self._plane.in_flight(ask.route, ask.revision, address)) and not self._reach.lost_here(ask.route, address)

    # --- the board ---

    def _me(self) -> str:
        assert self._membership is not None
        return self._membership.me

    async def _read(self, known: Round) -> Round | None:
        return decode(await self._session().read(known.register))

    async def _swap(self, before: Round | None, after: Round, among: frozenset[str] | None = None) -> bool:
        was = encode(before) if before is not None else b""
        word = after.register.encode()
        return (await self._session().swap(after.register, was, encode(after), word, among)).done

    async def _say(self, word: bytes) -> None:
        try:
            await self._session().swap("none", b"", b"", word)
        except Away:
            self._hear(word)  # then it is known here at least

    def _session(self) -> Session:
        assert self._membership is not None
        if self._membership.session is None:
            raise Away(self._membership.away)
        return self._membership.session


def ask_of(key: RouteKey, namespace: str, revision: str, how: How, addresses: list[Address]) -> Ask:
    """For these pods."""
    return Ask((key.host, key.project, key.name), namespace, revision, how, tuple((each.pod, each.address) for each in addresses))

"""How the workers of one router share the hard limit of a revision: who may have how many requests in flight at which address.

One Slots for each revision, kept by the control process. What is lent out never exceeds the limit of an address: a worker is
given only what every other one has said that it let go. Slots go to the requests that wait longest, whichever worker they wait
in, as in one queue; what nobody waits for stays where it is. No clock and no socket in here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count as counting
from math import floor
from typing import Final, Generic, NamedTuple, TypeVar

from router.model import Backend, Route

W = TypeVar("W", bound=Hashable)  # a worker

FAVOUR: Final = 0.005  # seconds by which waiters are taken for older where the slots are: each move costs a round trip
_HALVINGS: Final = 40  # of an interval of time: to less than a nanosecond


def hard_limits(route: Route, backend: Backend) -> dict[str, int]:
    """By address: the whole limit of those that take requests, as router.balance.Upstreams chooses them; none without a limit."""
    if not route.settings.concurrency:
        return {}
    ready = [each for each in backend.endpoints if not each.draining] or backend.endpoints
    return {each.address: route.settings.concurrency for each in ready}


class Loan(NamedTuple):
    """What a worker is told: its limits from now on, and whether the others want slots, too, so that every change counts."""

    number: int
    limits: Mapping[str, int]  # by address; 0 at those not named
    watch: bool


@dataclass(frozen=True, slots=True)
class Need:
    """What a worker says of itself, after it took over the Loan of that number (0: none)."""

    number: int = 0
    in_flight: Mapping[str, int] = field(default_factory=dict)  # by address
    waiting: int = 0
    oldest: float = 0.0  # since when the oldest of them waits, seconds


class Part(NamedTuple):
    """All that is known of one worker, for whoever keeps it elsewhere between two changes."""

    loan: Loan
    held: Mapping[str, int]
    need: Need


class _Holder:
    """One worker's part."""

    __slots__ = ("held", "known", "limits", "need", "number", "watch")

    def __init__(self, known: bool) -> None:
        self.known = known  # what it has in flight; before it said so, it may be anything
        self.need = Need()
        self.number = 0
        self.limits: Mapping[str, int] = {}
        self.held: dict[str, int] = {}  # by address: the most that it may have in flight there
        self.watch = False

    @property
    def size(self) -> int:
        return sum(self.limits.values())

    def used(self) -> dict[str, int]:
        """By address: its limit, or what is in flight above one that was lowered."""
        addresses = {*self.limits, *self.need.in_flight}
        return {each: max(self.limits.get(each, 0), self.need.in_flight.get(each, 0)) for each in sorted(addresses)}

    def told(self, loan: Loan) -> Loan:
        self.number, self.limits, self.watch = loan
        for address, limit in loan.limits.items():
            self.held[address] = max(limit, self.held.get(address, 0))
        return loan

    def said(self, need: Need) -> None:
        self.need = need
        if need.number != self.number:
            return
        self.known = True
        self.held = self.used()


class Slots(Generic[W]):
    """The limits of one revision's addresses, lent to workers. After each change, tell them what `moves` returns."""

    def __init__(self, workers: Iterable[W], numbers: Iterator[int] | None = None, favour: float = FAVOUR) -> None:
        """`workers`: those that may have requests in flight already. Nothing is lent before each of them has said what.

        `numbers`: of loans, each used once, also by another Slots that was here before; `favour`: as FAVOUR.
        """
        self._numbers = numbers or counting(1)
        self._favour = favour
        self._limits: Mapping[str, int] = {}
        self._holders: dict[W, _Holder] = {worker: _Holder(known=False) for worker in workers}

    def parts(self) -> dict[W, Part]:
        """Of each worker that has said what it has."""
        return {
            worker: Part(Loan(one.number, one.limits, one.watch), one.held, one.need)
            for worker, one in self._holders.items()
            if one.known
        }

    def restore(self, parts: Mapping[W, Part]) -> None:
        """As it was when `parts` told it."""
        for worker, part in parts.items():
            holder = self._holders[worker] = _Holder(known=True)
            holder.number, holder.limits, holder.watch = part.loan
            holder.held, holder.need = dict(part.held), part.need

    def limit(self, limits: Mapping[str, int]) -> None:
        """The limit of each address from now on; an address that is not named takes nothing."""
        self._limits = {address: limit for address, limit in limits.items() if limit > 0}

    def say(self, worker: W, need: Need) -> None:
        """A worker told what it has and wants. One that is not known yet has nothing in flight but what it says."""
        self._holders.setdefault(worker, _Holder(known=True)).said(need)

    def leave(self, worker: W) -> None:
        """The worker is gone, and with it everything that it had."""
        self._holders.pop(worker, None)

    def held(self) -> dict[str, int]:
        """By address: the most that may be in flight now, over all workers."""
        total: dict[str, int] = {}
        for holder in self._holders.values():
            for address, count in holder.held.items():
                total[address] = total.get(address, 0) + count
        return total

    def needed(self) -> Need:
        """All workers' needs as one, for whoever lends to all of them together."""
        needs = [holder.need for holder in self._holders.values()]
        oldest = min((need.oldest for need in needs if need.waiting), default=0.0)
        return Need(0, self.held(), self.waiting(), oldest)

    def waiting(self) -> int:
        """Requests that wait, as of what was said last."""
        return sum(holder.need.waiting for holder in self._holders.values())

    def over(self) -> bool:
        """Nothing is lent, and nobody wants anything: forgetting it loses nothing."""
        return not self._limits and not self.waiting() and not any(self.held().values())

    def moves(self, now: float) -> list[tuple[W, Loan]]:
        """What has to be told, to whom. Nothing new: nothing is told."""
        if not all(holder.known for holder in self._holders.values()):
            strangers = [(worker, one) for worker, one in self._holders.items() if not (one.known or one.number)]
            return [(worker, holder.told(Loan(next(self._numbers), {}, True))) for worker, holder in strangers]
        order = sorted(self._holders, key=lambda worker: self._age(worker, now))
        shares = self._shares(order, now)
        free, watch = self._free(), self._contended()
        kept = self._kept(order, shares)
        found = []
        for worker in order:
            holder, limits = self._holders[worker], kept[worker]
            own = {each: holder.held.get(each, 0) - limits.get(each, 0) for each, left in free.items() if left >= 0}
            for pool in (own, free):  # what it holds above its limits is not free, and its own to have again
                _add(limits, shares[worker] - sum(limits.values()), pool, self._limits)
            if limits != holder.limits or watch != holder.watch:
                found.append((worker, holder.told(Loan(next(self._numbers), limits, watch))))
        return found

    def _age(self, worker: W, now: float) -> float:
        """Who waits longest comes first when there is something to give."""
        need = self._holders[worker].need
        return need.oldest if need.waiting else now

    def _contended(self) -> bool:
        """Somebody waits, and he is not the only one who has to do with it."""
        interested = [one for one in self._holders.values() if one.need.waiting or one.need.in_flight or one.size]
        return len(interested) > 1 and any(one.need.waiting for one in interested)

    def _free(self) -> dict[str, int]:
        held = self.held()
        return {address: limit - held.get(address, 0) for address, limit in self._limits.items()}

    def _kept(self, order: Iterable[W], shares: Mapping[W, int]) -> dict[W, dict[str, int]]:
        """What each goes on with: not more than its share, and all together not more than the limit of an address."""
        room = dict(self._limits)
        found = {}
        for worker in order:
            holder = self._holders[worker]
            kept = {each: min(count, room.get(each, 0)) for each, count in holder.used().items()}
            _take_away(kept, sum(kept.values()) - shares[worker], holder.need.in_flight)
            for address, count in kept.items():
                room[address] -= count
            found[worker] = kept
        return found

    def _shares(self, order: list[W], now: float) -> dict[W, int]:
        """How many slots each worker should have: one for each of the requests that waited longest, wherever they are; what is
        left stays with the requests in flight, then with who had it, and the rest is shared out evenly."""
        left = sum(self._limits.values())
        shares = dict.fromkeys(self._holders, 0)
        for worker, count in _oldest(self._queues(now), left, now):
            shares[worker] += count
            left -= count
        busy = self._busy(order)
        had = {worker: holder.size - shares[worker] for worker, holder in self._holders.items()}
        for wishes in (busy, {worker: had[worker] - busy[worker] for worker in busy}):
            for worker, wish in wishes.items():
                count = max(0, min(wish, left))
                shares[worker] += count
                left -= count
        for place, worker in enumerate(shares):
            count = left // (len(shares) - place)
            shares[worker] += count
            left -= count
        return shares

    def _busy(self, order: list[W]) -> dict[W, int]:
        """Requests in flight that fill a slot: of an address with more than its limit has now, only so many."""
        room = dict(self._limits)
        found = dict.fromkeys(order, 0)
        for worker in order:
            for address, count in self._holders[worker].need.in_flight.items():
                filled = min(count, room.get(address, 0))
                found[worker] += filled
                room[address] = room.get(address, 0) - filled
        return found

    def _queues(self, now: float) -> list[_Queue[W]]:
        return [
            _Queue(worker, holder.need.waiting, min(now, holder.need.oldest) - (self._favour if holder.size else 0.0))
            for worker, holder in self._holders.items()
            if holder.need.waiting
        ]


class _Queue(NamedTuple, Generic[W]):
    """Waiters of one worker. All that is known are their number and the first arrival; the others came evenly since."""

    worker: W
    waiting: int
    oldest: float

    def until(self, moment: float, now: float) -> int:
        """How many came before that."""
        if moment < self.oldest:
            return 0
        if now <= self.oldest:
            return self.waiting
        return min(self.waiting, floor((moment - self.oldest) / (now - self.oldest) * self.waiting) + 1)


def _oldest(queues: list[_Queue[W]], count: int, now: float) -> Iterator[tuple[W, int]]:
    """How many of the `count` oldest waiters there are in each queue."""
    if sum(queue.waiting for queue in queues) <= count:
        yield from ((queue.worker, queue.waiting) for queue in queues)
        return
    low, high = min(queue.oldest for queue in queues) - 1.0, now
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if sum(queue.until(middle, now) for queue in queues) > count:
            high = middle
        else:
            low = middle
    taken = {queue.worker: queue.until(low, now) for queue in queues}
    left = count - sum(taken.values())
    for queue in sorted(queues, key=lambda queue: queue.oldest):
        more = min(left, queue.until(high, now) - taken[queue.worker])
        left -= more
        yield queue.worker, taken[queue.worker] + more


def _take_away(limits: dict[str, int], count: int, in_flight: Mapping[str, int]) -> None:
    """Lower limits by so many, where nothing is in flight first."""
    for idle_only in (True, False):
        for address in sorted(limits):
            spare = limits[address] - (in_flight.get(address, 0) if idle_only else 0)
            taken = max(0, min(count, spare))
            limits[address] -= taken
            count -= taken
    for address in [address for address, limit in limits.items() if not limit]:
        del limits[address]


def _add(limits: dict[str, int], count: int, pool: dict[str, int], most: Mapping[str, int]) -> None:
    """Raise limits by so many, one after the other where most is free, and take that out of the pool."""
    while count > 0:
        address = max(pool, key=lambda each: (min(pool[each], most[each] - limits.get(each, 0)), each), default="")
        room = min(pool[address], most[address] - limits.get(address, 0)) if address else 0
        if room <= 0:
            return
        taken = min(count, max(1, room // 2))
        limits[address] = limits.get(address, 0) + taken
        pool[address] -= taken
        count -= taken

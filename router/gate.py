"""Admission to one revision: go, wait in order, or be refused with an honest Retry-After. No clock and no socket in here.

The warm path is one comparison and three stores: while `busy < slots` nobody waits, so `arrive` need not look at the queue.
Times are seconds of one monotonic clock. A gate belongs to one thread.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, NamedTuple, TypeVar

from router.estimate import Estimate
from router.room import Reason, Room

W = TypeVar("W")  # a waiter: any object that is hashed by identity

UNLIMITED: Final = (1 << 30) - 1  # slots of a revision that is ready and has no hard limit; one digit of a CPython int


class Admission(Enum):
    """The two good answers of `Gate.arrive`."""

    GO = "go"
    WAIT = "wait"


GO: Final = Admission.GO
WAIT: Final = Admission.WAIT


@dataclass(frozen=True, slots=True)
class Refusal:
    """The bad answer of `Gate.arrive`. One for DEADLINE still has to wake the route, or it would never be known to be faster."""

    reason: Reason
    retry_after: float  # seconds until a request is expected to get through; at least 1


class Ticket(NamedTuple, Generic[W]):
    """One place in a queue, as `evict` hands it on and `admit` takes it."""

    waiter: W
    since: float
    deadline: float
    held: int  # bytes


class Load(NamedTuple):
    """What `sample` saw since the sample before."""

    seconds: float  # length of the interval
    concurrency: float  # in flight + waiting, averaged over the interval
    requests: int  # arrivals, the refused ones included: they are demand, too
    busy: int  # in flight at this instant
    waiting: int  # waiting at this instant


class _Place:
    """What the queue keeps of one waiter."""

    __slots__ = ("deadline", "held", "since")

    def __init__(self, since: float, deadline: float, held: int) -> None:
        self.since = since
        self.deadline = deadline
        self.held = held


class Gate(Generic[W]):
    """Slots of one revision, those who have one, and those who wait for one, oldest first.

    `slots` is 0 while nothing is ready and UNLIMITED when no hard limit is set. After every call nobody whose deadline is
    ahead waits next to a free slot. Whoever got GO, or was returned by `leave`, `resize` or `admit`, owes one `leave`.
    """

    __slots__ = (
        "_moment",
        "_sampled_at",
        "_sampled_count",
        "arrived",
        "busy",
        "estimate",
        "exempt",
        "queue",
        "ready",
        "room",
        "slots",
    )

    def __init__(self, now: float, slots: int = 0, room: Room | None = None) -> None:
        self.slots = slots
        self.ready = slots > 0  # something is behind it, although others may have all of its slots at the moment
        self.busy = 0  # requests that have a slot
        self.exempt = 0  # requests in flight without one: at an endpoint that left, or above a limit that was lowered
        self.arrived = 0  # since the gate was made
        self.queue: OrderedDict[W, _Place] = OrderedDict()
        self.room = Room() if room is None else room
        self.estimate = Estimate(now)
        # The integral of busy + waiting needs no look at the clock's last reading: an arrival at t adds (T - t) to it until T,
        # a departure takes (T - t) away, so the sum of departures minus arrivals plus present * T is the integral up to T.
        self._moment = 0.0
        self._sampled_at = now
        self._sampled_count = 0

    @property
    def waiting(self) -> int:
        """Waiters in the queue."""
        return len(self.queue)

    @property
    def present(self) -> int:
        """In flight + waiting."""
        return self.busy + self.exempt + len(self.queue)

    def arrive(self, waiter: W, now: float, deadline: float, held: int = 0) -> Admission | Refusal:
        """GO: the request has a slot. WAIT: it is in the queue, with `held` bytes. Refusal: it is neither."""
        self.arrived += 1
        busy = self.busy
        if busy < self.slots:
            self.busy = busy + 1
            self._moment -= now
            return GO
        return self._hold(waiter, now, deadline, held)

    def leave(self, now: float) -> W | None:
        """A request is over: its slot goes to the waiter that is returned, if any."""
        self._moment += now
        if self.queue:
            self.estimate.departed(now, self.slots)
            if self.busy <= self.slots:
                waiter = self._next(now)
                if waiter is not None:
                    return waiter
        self.busy -= 1
        return None

    def leave_exempt(self, now: float) -> None:
        """A request that had no slot any more is over."""
        self._moment += now
        if self.queue:
            self.estimate.departed(now, self.slots)
        self.exempt -= 1

    def exempt_more(self, requests: int) -> None:
        """So many requests in flight lose their slots without ending (less than 0: they have them again); then call `resize`."""
        self.busy -= requests
        self.exempt += requests

    def resize(self, slots: int, now: float, ready: bool = False) -> list[W]:
        """Set the number of slots; returns the waiters that have one now, in order. Above fewer slots, requests just finish.

        `ready`: something is behind the gate even if there is no slot, because others have them: that is no cold start.
        """
        ready = ready or slots > 0
        if ready and not self.ready:
            self.estimate.woke(now, bool(self.queue))
        self.slots, self.ready = slots, ready
        return self._fill(now)

    def abandon(self, waiter: W, now: float) -> bool:
        """The waiter gives up (its client is gone). False if it did not wait here."""
        if waiter not in self.queue:
            return False
        self._take(waiter)
        self._moment += now
        return True

    def expire(self, now: float) -> list[W]:
        """Take out and return the waiters whose deadline is not ahead any more, in order."""
        late = [waiter for waiter, place in self.queue.items() if place.deadline <= now]
        for waiter in late:
            self._take(waiter)
            self._moment += now
        return late

    def evict(self, now: float) -> list[Ticket[W]]:
        """Empty the queue: the tickets go, in order and with their old deadlines, to the `admit` of another gate."""
        tickets = [Ticket(waiter, place.since, place.deadline, place.held) for waiter, place in self.queue.items()]
        for ticket in tickets:
            self._take(ticket.waiter)
            self._moment += now
        self.estimate.gave_up()
        return tickets

    def admit(self, tickets: list[Ticket[W]], now: float) -> list[W]:
        """Take over the waiters of another gate, oldest first among the own; returns those that have a slot now.

        They were admitted once, so no bound refuses them."""
        if not tickets:
            return []
        merged = [(place.since, waiter, place) for waiter, place in self.queue.items()]
        for ticket in tickets:
            place = _Place(ticket.since, ticket.deadline, ticket.held)
            merged.append((ticket.since, ticket.waiter, place))
            self.room.enter(ticket.held)
            self._moment -= now
        merged.sort(key=lambda entry: entry[0])
        self.queue = OrderedDict((waiter, place) for _, waiter, place in merged)
        if not self.ready:
            self.estimate.waking(now)
        return self._fill(now)

    def grow(self, waiter: W, size: int) -> bool:
        """The waiter holds `size` bytes more than before. False: that is beyond the bound, so its client is not read for now."""
        place = self.queue.get(waiter)
        if place is None:
            return False
        place.held += size
        return self.room.grow(size)

    def expected_wait(self, now: float) -> float:
        """Seconds that one more waiter is expected to wait; 0 when nothing is known."""
        if not self.ready:
            return self.estimate.until_ready(now)
        return self.estimate.until_free(len(self.queue), self.slots)

    def sample(self, now: float) -> Load:
        """The load since the last call, as a time average; call it about once a second."""
        busy, waiting = self.busy + self.exempt, len(self.queue)
        seconds = now - self._sampled_at
        area = self._moment + (busy + waiting) * now
        load = Load(seconds, max(0.0, area / seconds) if seconds > 0 else 0.0, self.arrived - self._sampled_count, busy, waiting)
        if seconds > 0:
            self._sampled_at = now
            self._sampled_count = self.arrived
            self._moment = -(busy + waiting) * now  # begun anew each time, so that rounding errors never add up
        return load

    def quiet(self, now: float) -> bool:
        """Nothing is here and nothing came since the last sample: then this is the sample, at a tenth of its cost."""
        if self.busy or self.queue or self.exempt or self._moment or self.arrived != self._sampled_count:
            return False
        self._sampled_at = now
        return True

    def rested(self, sampled_at: float) -> None:
        """Nothing was here until now, and nobody asked for samples: the next one is of the time since `sampled_at`."""
        self._sampled_at = max(self._sampled_at, sampled_at)

    def _hold(self, waiter: W, now: float, deadline: float, held: int) -> Admission | Refusal:
        if not self.ready:
            self.estimate.waking(now)
        wait = self.expected_wait(now)
        reason = self.room.refuses(held)
        if reason is None and now + wait > deadline:
            reason = Reason.DEADLINE
        if reason is not None:
            return Refusal(reason, max(1.0, wait))
        if not self.queue:
            self.estimate.queued(now)
        self.queue[waiter] = _Place(now, deadline, held)
        self.room.enter(held)
        self._moment -= now
        return WAIT

    def _next(self, now: float) -> W | None:
        """The oldest waiter whose deadline is ahead; those who are late stay for `expire`, which tells them."""
        for waiter, place in self.queue.items():
            if place.deadline > now:
                self._take(waiter)
                return waiter
        return None

    def _fill(self, now: float) -> list[W]:
        going: list[W] = []
        while self.busy < self.slots and self.queue:
            waiter = self._next(now)
            if waiter is None:
                break
            self.busy += 1
            going.append(waiter)
        return going

    def _take(self, waiter: W) -> None:
        self.room.leave(self.queue.pop(waiter).held)

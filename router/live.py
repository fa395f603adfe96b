"""A route that is called: its revisions with their gates and endpoints. No clock and no socket in here.

A new description of the route is taken over in place, and what follows from it is returned: which waiters go, and where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from autoscaler.model import Sample
from router.balance import Random, RetryBudget, Upstream, Upstreams, choose
from router.gate import UNLIMITED, Gate
from router.meters import Row
from router.model import Backend, Route
from router.room import ALONE, Room
from router.slots import Need

W = TypeVar("W")

GOLDEN = 0.6180339887498949  # multiples of it, modulo 1, are spread evenly however many are taken (Weyl)


class Revision(Generic[W]):
    """One revision: the gate before it and the endpoints behind it, kept in step.

    The gate's slots are the sum of the limits of the endpoints that take requests, so that whoever was let in finds a free one.
    """

    __slots__ = ("gate", "name", "noted", "upstreams", "weight")

    def __init__(self, name: str, room: Room, now: float, connect: float = 2.0) -> None:
        self.name = name
        self.weight = 0
        self.gate: Gate[W] = Gate(now, 0, room)
        self.upstreams = Upstreams(connect)
        self.noted: Callable[[], None] | None = None  # called after each departure, while others wait for its slot

    def update(self, backend: Backend, concurrency: int, now: float, granted: Mapping[str, int] | None = None) -> list[W]:
        """Take over weight, endpoints and the hard limit of each (0: none); returns the waiters that go now.

        `granted`: what this worker may take of a limit that it shares; None: all of it.
        """
        self.weight = backend.weight
        self.upstreams.replace(backend.endpoints)
        if granted is None or not concurrency:
            granted = {upstream.address: concurrency or UNLIMITED for upstream in self.upstreams.ready}
        return self.grant(granted, now)

    def grant(self, limits: Mapping[str, int], now: float) -> list[W]:
        """Set the limit of each endpoint, 0 for those not named; returns the waiters that go now.

        This is how a worker is told its part of a hard limit that several workers share.
        """
        for upstream in self.upstreams.all.values():
            self._limit(upstream, limits.get(upstream.address, 0))
        ready = self.upstreams.ready
        return self.gate.resize(min(UNLIMITED, sum(upstream.limit for upstream in ready)), now, bool(ready))

    def take(self, random: Random, now: float, sticky: bytes = b"", avoid: tuple[Upstream, ...] = ()) -> Upstream | None:
        """An endpoint for a request that the gate let in; it is counted there until `leave` or `untake`.

        None: the endpoints went since; `gate.leave` and `gate.admit` with the old ticket put the request back in the queue.
        """
        upstreams = self.upstreams
        upstream = upstreams.pick_sticky(sticky, now, avoid) if sticky else upstreams.pick(random, now, avoid)
        if upstream is not None:
            upstream.in_flight += 1
        return upstream

    def untake(self, upstream: Upstream) -> None:
        """The request goes to another endpoint: give this one's place back before the next `take`."""
        over = upstream.in_flight > upstream.limit
        upstream.in_flight -= 1
        if over:
            self.gate.exempt_more(-1)
        if self.noted is not None:
            self.noted()

    def leave(self, upstream: Upstream, now: float) -> W | None:
        """The request at this endpoint is over: its slot goes to the waiter that is returned, if any."""
        in_flight = upstream.in_flight
        upstream.in_flight = in_flight - 1
        if self.noted is not None:
            self.noted()
        if in_flight > upstream.limit:
            self.gate.leave_exempt(now)
            return None
        return self.gate.leave(now)

    def _limit(self, upstream: Upstream, limit: int) -> None:
        before = max(0, upstream.in_flight - upstream.limit)
        upstream.limit = limit
        self.gate.exempt_more(max(0, upstream.in_flight - limit) - before)


class Going(NamedTuple, Generic[W]):
    """A waiter that has a slot now, and the revision that gave it."""

    waiter: W
    revision: Revision[W]


class Live(Generic[W]):
    """One entry of the table. Until its first request it is little more than the Route: see `begin`."""

    # fmt: off
    __slots__ = (
        "_connect", "budget", "granted", "looked_into", "only", "open", "resting", "revisions", "room", "route", "row", "sampled",
        "timeout",
    )
    # fmt: on

    def __init__(self, route: Route, shared: bool = False, connect: float = 2.0) -> None:
        self._describe(route)
        self._connect = connect  # seconds that one attempt to connect may take
        self.granted: dict[str, Mapping[str, int]] | None = {} if shared else None  # by revision; None: limits are all ours
        self.only: Revision[W] | None = None  # the one revision that takes requests, when there is just one: nothing to choose
        self.open: tuple[Revision[W], ...] = ()  # the revisions to choose from
        self.revisions: dict[str, Revision[W]] | None = None  # None: never called
        self.room: Room | None = None
        self.budget: RetryBudget | None = None
        self.row: Row | None = None  # the meters' row, put here by who opens it; None: the next request begins or wakes the route
        self.resting: Row | None = None  # the row of a route that nobody calls at the moment
        self.sampled = False  # whether the last sample was of anything: the row has to be told when it is over

    def begin(self, now: float) -> dict[str, Revision[W]]:
        """The first request came: make revisions, gates and endpoints."""
        if self.revisions is None:
            self.revisions = {}
            self.room = Room()
            self.budget = RetryBudget(now)
            self.put(self.route, now)
        return self.revisions

    def choose(self, share: float) -> Revision[W] | None:
        """The revision for a new request: by weight, among the ready ones as long as there are any. None: none has a weight."""
        return self.only or choose(self.open, share)

    def put(self, route: Route, now: float) -> list[Going[W]]:
        """Take over a new description of the route; returns the waiters that go now, those of one revision in order."""
        self._describe(route)
        if self.revisions is None or self.room is None:
            return []
        self.room.most, self.room.most_bytes = route.settings.queue_limit, route.settings.queue_bytes
        going: list[Going[W]] = []
        backends = {backend.revision: backend for backend in route.backends}
        for name in [*backends, *(name for name in self.revisions if name not in backends)]:
            revision = self.revisions.get(name)
            if revision is None:
                revision = self.revisions[name] = Revision(name, self.room, now, self._connect)
            backend = backends.get(name) or Backend(name, (), 0)
            granted = None if self.granted is None else self.granted.get(name, {})
            going += [Going(waiter, revision) for waiter in revision.update(backend, route.settings.concurrency, now, granted)]
        return going + self.settle(now)

    def grant(self, revision: str, limits: Mapping[str, int], now: float) -> list[Going[W]]:
        """What we may take of the limits of one revision's endpoints, from now on; returns the waiters that go now.

        It lasts over new descriptions of the route, and may come before the first request.
        """
        if self.granted is not None:
            self.granted = {name: known for name, known in self.granted.items() if self._names(name)} | {revision: limits}
        known = (self.revisions or {}).get(revision)
        if known is None or not self.route.settings.concurrency:
            return []
        return [Going(waiter, known) for waiter in known.grant(limits, now)] + self.settle(now)

    def settle(self, now: float) -> list[Going[W]]:
        """Work out which revisions take requests; who waits before another one moves there, with place and deadline."""
        revisions = self.revisions or {}
        weighted = tuple(revision for revision in revisions.values() if revision.weight > 0)
        self.open = tuple(revision for revision in weighted if revision.upstreams.ready) or weighted
        self.only = self.open[0] if len(self.open) == 1 else None
        going = self._move(now) if self.open else []
        named = {backend.revision for backend in self.route.backends}
        for name in [name for name, revision in revisions.items() if name not in named and not revision.gate.present]:
            del revisions[name]
        return going

    def close(self, now: float) -> list[W]:
        """The route is gone: returns all who wait, in order; what is in flight may finish."""
        tickets = [ticket for revision in (self.revisions or {}).values() for ticket in revision.gate.evict(now)]
        if self.room is not None:
            self.room.join(ALONE)
        return [ticket.waiter for ticket in sorted(tickets, key=lambda ticket: ticket.since)]

    def expire(self, now: float) -> list[W]:
        """Take out and return the waiters whose deadline is not ahead any more."""
        return [waiter for revision in (self.revisions or {}).values() for waiter in revision.gate.expire(now)]

    def cold(self) -> bool:
        """Someone waits before a revision of which nothing is ready: a wake is due."""
        return any(revision.gate.queue and not revision.upstreams.ready for revision in (self.revisions or {}).values())

    def need(self, revision: str, now: float, number: int = 0) -> Need:
        """What is in flight of a revision, and what waits before it or is between two attempts: that wants a slot as well."""
        known = (self.revisions or {}).get(revision)
        if known is None:
            return Need(number)
        gate, in_flight = known.gate, known.upstreams.in_flight()
        unplaced = gate.busy + gate.exempt - sum(in_flight.values())
        oldest = next(iter(gate.queue.values())).since if gate.queue else now if unplaced else 0.0
        return Need(number, in_flight, len(gate.queue) + unplaced, oldest)

    def present(self) -> int:
        """In flight + waiting, over all revisions."""
        return sum(revision.gate.present for revision in (self.revisions or {}).values())

    def in_flight(self, revision: str, address: str = "") -> int:
        """Requests now at a revision, or at one of its addresses."""
        known = (self.revisions or {}).get(revision)
        if known is None:
            return 0
        if not address:
            return known.gate.busy + known.gate.exempt
        upstream = known.upstreams.all.get(address)
        return upstream.in_flight if upstream else 0

    def suspicious(self) -> bool:
        """Some endpoint could not be connected to."""
        revisions = (self.revisions or {}).values()
        return any(upstream.strikes for revision in revisions for upstream in revision.upstreams.all.values())

    def unreachable(self, now: float) -> frozenset[str]:
        """Addresses that nothing was heard of, as `Upstreams.unreachable`."""
        return frozenset(
            address for revision in (self.revisions or {}).values() for address in revision.upstreams.unreachable(now)
        )

    def stock(self) -> dict[str, tuple[int, dict[str, int]]]:
        """Requests in flight by revision: all of them, and what is at each address."""
        return {
            name: (revision.gate.busy + revision.gate.exempt, revision.upstreams.in_flight())
            for name, revision in (self.revisions or {}).items()
        }

    def sample(self, now: float) -> Sample | None:
        """The load since the last call, over all revisions; call it about once a second. None: there was none.

        It is written into the meters' row, too, for the control process.
        """
        quiet = [revision.gate.quiet(now) for revision in (self.revisions or {}).values()]
        if all(quiet):
            if self.sampled:
                self.sampled = False
                self._write_load(now, 0, 0, 0.0, 0)
            return None
        self.sampled = True
        loads = [revision.gate.sample(now) for revision in (self.revisions or {}).values()]
        busy, waiting = sum(load.busy for load in loads), sum(load.waiting for load in loads)
        requests = sum(load.requests for load in loads)
        self._write_load(now, busy, waiting, sum(load.concurrency * load.seconds for load in loads), requests)
        return Sample(now, sum(load.concurrency for load in loads), requests, busy + waiting)

    def rest(self) -> None:
        """Nothing is here, and the row says so: until the next request there is nothing to sample."""
        self.resting, self.row = self.row, None

    def wake(self, sampled_at: float) -> None:
        """The first request after a rest came; `sampled_at` is when the others were sampled last."""
        self.row, self.resting = self.resting, None
        for revision in (self.revisions or {}).values():
            revision.gate.rested(sampled_at)

    def _describe(self, route: Route) -> None:
        """Take over a description; what each request asks of it lies at hand."""
        self.route = route
        self.timeout = route.settings.timeout
        self.looked_into = bool(route.settings.body_limit or route.settings.sticky)  # there is more to do for each request

    def _write_load(self, now: float, busy: int, waiting: int, area: float, requests: int) -> None:
        if self.row is not None:
            self.row.load(now, busy, waiting, area, requests)

    def _names(self, revision: str) -> bool:
        return any(backend.revision == revision for backend in self.route.backends)

    def _move(self, now: float) -> list[Going[W]]:
        strangers = [
            revision for revision in (self.revisions or {}).values() if revision.gate.queue and revision not in self.open
        ]
        tickets = sorted(
            (ticket for revision in strangers for ticket in revision.gate.evict(now)), key=lambda ticket: ticket.since
        )
        going: list[Going[W]] = []
        for target in self.open:
            mine = [ticket for n, ticket in enumerate(tickets) if choose(self.open, n * GOLDEN % 1) is target]
            going += [Going(waiter, target) for waiter in target.gate.admit(mine, now)]
        return going

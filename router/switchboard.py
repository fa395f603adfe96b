"""What all exchanges of one worker share: table, clock, meters, and the order in which waiters go. No socket in here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from router.balance import Upstream
from router.errors import LastHop, NoRoute, ProxyError, Refused
from router.gate import Ticket
from router.http1.request import Request
from router.identity import Identity
from router.live import Going, Live, Revision
from router.meters import Meters, Row
from router.model import Route, RouteKey
from router.ports import Scaler
from router.table import Table
from router.wake import Wake

if TYPE_CHECKING:
    from router.access_log import AccessLog
    from router.exchange import Exchange
    from router.streams import Upward


class Clock(Protocol):
    """Monotonic seconds, as of the present batch of events."""

    @property
    def now(self) -> float: ...


class Connector(Protocol):
    """Opens streams to endpoints."""

    def open(self, upstream: Upstream, exchange: Exchange) -> Upward:
        """A new stream, which may still be connecting (`connected` tells). Raises OSError when that has failed already."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of time and size that hold for all routes."""

    connect: float = 2.0  # seconds for one attempt to connect
    reconnect: float = 5.0  # seconds to go on trying when every endpoint refuses: one that died is replaced meanwhile
    body_idle: float = 60.0  # seconds between bytes of a request body: 408
    hold: int = 65536  # bytes of one request's body that are read ahead while it waits, and kept to send it again
    tries: int = 3  # sends and connects of one request, at most, while there is another endpoint


class Switchboard:
    """Shared state of one worker's exchanges. One thread, no lock."""

    # fmt: off
    __slots__ = (
        "_going", "_running", "access", "backing_off", "clock", "cold", "connector", "find_name", "hosts", "identity", "meters",
        "patience", "queued", "random", "scaler", "starting", "suspected", "table", "waited",
    )
    # fmt: on

    def __init__(
        self,
        clock: Clock,
        random: Callable[[], float],
        identity: Identity,
        meters: Meters,
        scaler: Scaler,
        patience: Patience,
    ) -> None:
        self.clock = clock
        self.random = random
        self.identity = identity
        self.meters = meters
        self.scaler = scaler
        self.patience = patience
        self.connector: Connector
        self.table: Table[Exchange] = Table(patience.connect)
        self.find_name = self.table.names.get
        self.hosts = self.table.hosts
        self.access: AccessLog | None = None
        self.starting = False  # not all routes are known yet: a name without one is no 404
        self.cold: dict[RouteKey, Wake] = {}  # routes that somebody waits for and nothing is ready of
        self.queued: Callable[[Live[Exchange], Revision[Exchange]], None] | None = (
            None  # somebody waits before it: others may help
        )
        self.waited: set[Live[Exchange]] = set()  # those that somebody waits for: of 10,000 routes only they are looked at
        self.suspected: set[Live[Exchange]] = set()  # those with an endpoint that could not be connected to, for `unreachable`
        self.backing_off: set[Exchange] = set()
        self._going: deque[Going[Exchange]] = deque()
        self._running = False

    def find(self, request: Request) -> tuple[Live[Exchange], Request]:
        """The route of a request, its Host when an intercepted one, else its path; and the request as it goes on.

        Raises NoRoute or Refused; LastHop for OPTIONS of no host in particular (RFC 9110 9.3.7).
        """
        live = self.table.match_host(request.fields.host)
        if live is not None:
            return live, request.uncut()
        live = self.find_name(request.segment)
        if live is None:
            raise Refused("The routes are not all known yet", 1.0) if self.starting else _no_route(request)
        return live, request

    def open(self, live: Live[Exchange]) -> Row:
        """The first request of a route: make its gates and its row of meters. After a rest both are there."""
        self.table.begin(live, self.clock.now)
        row = live.row
        if row is None:
            live.row = row = self.meters.open(label(live.route.key))
        return row

    # routes

    def put(self, route: Route) -> None:
        """Add or replace a route; those who waited for what it brings go."""
        now = self.clock.now
        going = self.table.put(route, now)
        live = self.table.get(route.key)
        if live is not None and live.row is not None and not live.row.page:  # removed with requests in flight, and here again
            live.row = self.meters.open(label(route.key))
        wake = self.cold.get(route.key)
        if wake is not None and live is not None and not live.cold():
            wake.ready = now
            del self.cold[route.key]
        self.start(going)

    def grant(self, key: RouteKey, revision: str, limits: Mapping[str, int]) -> None:
        """What we may take of a hard limit that is shared; those who waited for it go."""
        live = self.table.get(key)
        if live is not None:
            self.start(live.grant(revision, limits, self.clock.now))

    def remove(self, key: RouteKey) -> None:
        """Forget a route; those who wait for it get 404."""
        live = self.table.get(key)
        self.cold.pop(key, None)
        for exchange in self.table.remove(key, self.clock.now):
            exchange.unqueued(NoRoute("The function was deleted"), "abandoned")
        row = (live.row or live.resting) if live is not None else None
        if row is not None:
            self.meters.close(row)

    def woken(self, key: RouteKey) -> None:
        """The scaler's write for this route is done: the part `wake` of a cold start ends."""
        wake = self.cold.get(key)
        if wake is not None and not wake.woken:
            wake.woken = self.clock.now

    def scheduled(self, key: RouteKey) -> None:
        """An address of this route appeared, not ready yet: the part `schedule` of a cold start ends."""
        wake = self.cold.get(key)
        if wake is not None and not wake.scheduled:
            wake.scheduled = self.clock.now

    # waiters

    def wait(self, live: Live[Exchange], revision: Revision[Exchange]) -> Wake | None:
        """Somebody waits before a revision without a slot: wake it, now and until something is ready.

        None: something is, and others have its slots, so that the scaler is told just once and nobody counts a cold start.
        """
        key = live.route.key
        if revision.upstreams.ready:
            self.scaler.wake(key)
            return None
        wake = self.cold.get(key)
        if wake is None:
            wake = self.cold[key] = Wake(self.clock.now)
            self.scaler.wake(key)
        return wake

    def start(self, going: Iterable[Going[Exchange]]) -> None:
        """Let waiters go, in order. One that fails frees its slot for the next, so this is a loop and not a recursion."""
        self._going.extend(going)
        if self._running:
            return
        self._running = True
        try:
            while self._going:
                exchange, revision = self._going.popleft()
                exchange.go(revision)
        finally:
            self._running = False

    def start_one(self, exchange: Exchange, revision: Revision[Exchange]) -> None:
        """Let one waiter go."""
        self.start((Going(exchange, revision),))

    def admit(self, ticket: Ticket[Exchange], revision: Revision[Exchange]) -> None:
        """Back into the queue, at the old place."""
        now = self.clock.now
        self.waited.add(ticket.waiter.live)
        self.start(Going(waiter, revision) for waiter in revision.gate.admit([ticket], now))

    def unreachable(self) -> dict[RouteKey, frozenset[str]]:
        """Addresses that nothing is heard of any more, of each route that has some."""
        now, found = self.clock.now, {}
        for live in list(self.suspected):
            key = live.route.key
            if self.table.get(key) is not live or not live.suspicious():
                self.suspected.discard(live)
            elif addresses := live.unreachable(now):
                found[key] = addresses
        return found

    def tick(self) -> None:
        """What is due: waiters past their deadline, wakes, second attempts. Call it often while `restless`, else every 250 ms."""
        now = self.clock.now
        for live in list(self.waited):
            for exchange in live.expire(now):
                exchange.expired()
            if not any(revision.gate.queue for revision in (live.revisions or {}).values()):
                self.waited.discard(live)
        for key, wake in list(self.cold.items()):
            live_or_none = self.table.get(key)
            if live_or_none is None or not live_or_none.cold():
                del self.cold[key]
            elif wake.due(now):
                self.scaler.wake(key)
        for exchange in [one for one in self.backing_off if one.moved <= now]:
            self.backing_off.discard(exchange)
            exchange.again()

    @property
    def restless(self) -> bool:
        """Something is due soon."""
        return bool(self.cold or self.backing_off)


def label(key: RouteKey) -> str:
    """A route as metrics and logs call it: `name`, or `name.project` outside the default project."""
    return key.name if key.project == "default" else f"{key.name}.{key.project}"


def _no_route(request: Request) -> ProxyError:
    if request.target == b"*":
        return LastHop("OPTIONS of the router itself")
    if request.segment:
        return NoRoute(f"There is no function {request.segment.decode('latin-1')!r} here")
    return NoRoute("No function has this path or host: functions are below /fn/<name>")

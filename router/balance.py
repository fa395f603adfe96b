"""Which endpoint of a revision takes a request, and which revision of a route. No clock and no socket in here.

Least in flight of two random choices (Mitzenmacher 2001), a hard limit for each endpoint, suspects avoided for a while but never
all of them, another endpoint first on a second try, draining endpoints only when nothing else is left. When a suspect's time is
over one request tries it, and each that fails doubles that time: of a pod that has vanished from the network without a word, all
but a few requests notice nothing. One of which nothing at all was heard three times in a row is unreachable: who scales counts
it as no replica. Randomness is an argument: a function that returns a float in [0, 1), as `random.random` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final, Protocol, TypeVar

from router.model import Endpoint

Random = Callable[[], float]

SUSPECT_FOR: Final = 2.0  # seconds that an endpoint is avoided after a connection to it failed, doubled with each further trial
TRIAL_BEYOND: Final = 3.0  # seconds beyond what connecting may take after which a trial that says nothing is followed by another
SUSPECT_DOUBLED: Final = 4  # times at most: it is tried after 32 s at the latest
SILENCES: Final = 3  # rounds in a row without any answer, not even a refusal: 12 s of requests, by default
STALE: Final = 30.0  # seconds beyond its next trial after which it is not known any more that an endpoint is unreachable
RETRY_SHARE: Final = 0.2  # second sends allowed for each first one
RETRY_FLOOR: Final = 10.0  # second sends a second that are allowed to a route with little traffic
RETRY_MOST: Final = 100.0  # second sends that can be saved up
_MASK: Final = (1 << 64) - 1


class Upstream:
    """What a worker knows of one endpoint. The wire keeps its idle connections in `idle`, newest last."""

    # fmt: off
    __slots__ = (
        "address", "draining", "gone", "idle", "in_flight", "limit", "seed", "silences", "strikes", "suspect_until", "trial",
    )
    # fmt: on

    def __init__(self, address: str, limit: int = 0) -> None:
        self.address = address  # as router.model.Endpoint.address
        self.in_flight = 0
        self.limit = limit  # requests in flight at most, from this worker; 0 when none should come
        self.idle: list[Any] = []
        self.suspect_until = 0.0  # 0 when it is none
        self.strikes = 0  # rounds in which it could not be connected to since it last could
        self.silences = 0  # the last of those rounds, as many as nothing was heard in: a refusal is a word of its host
        self.trial = False  # one request tries it, and the others wait for what comes of that
        self.draining = False
        self.gone = False  # not in the route any more: what is in flight may finish, `idle` takes nothing
        self.seed = digest(address.encode())


class Upstreams:
    """The endpoints of one revision, and the choice among them.

    `ready` are those that new requests go to: the ones that do not drain or, when there is none, the ones that do.
    """

    __slots__ = ("_suspects", "_trial_for", "all", "ready")

    def __init__(self, connect: float = 2.0) -> None:
        """`connect`: seconds that one attempt to connect may take."""
        self.all: dict[str, Upstream] = {}
        self.ready: list[Upstream] = []
        self._trial_for = connect + TRIAL_BEYOND
        self._suspects = False  # at least one of them is

    def replace(self, endpoints: Iterable[Endpoint]) -> None:
        """Take over what is there now. Newcomers have limit 0; those that left are marked as gone, and kept while in use."""
        wanted = {endpoint.address: endpoint.draining for endpoint in endpoints}
        for address, upstream in list(self.all.items()):
            upstream.gone = address not in wanted
            if upstream.gone and not upstream.in_flight:
                del self.all[address]
        for address, draining in wanted.items():
            if address not in self.all:
                self.all[address] = Upstream(address)
            self.all[address].draining = draining
        present = [upstream for upstream in self.all.values() if not upstream.gone]
        self.ready = [upstream for upstream in present if not upstream.draining] or present
        self._suspects = any(upstream.suspect_until for upstream in present)

    def pick(self, random: Random, now: float, avoid: Sequence[Upstream] = ()) -> Upstream | None:
        """The endpoint for one request, or None when every one has reached its limit (or there is none).

        `avoid` are those that were tried before: one of them is taken only when nothing else is left.
        """
        ready = self.ready
        if not self._suspects and not avoid:
            count = len(ready)
            if count == 1:
                one = ready[0]
            elif count:
                one = ready[int(random() * count)]
                other = ready[int(random() * count)]
                if other.in_flight < one.in_flight:
                    one = other
            else:
                return None
            if one.in_flight < one.limit:
                return one
        return self._search(random, now, avoid)

    def pick_sticky(self, value: bytes, now: float, avoid: Sequence[Upstream] = ()) -> Upstream | None:
        """The endpoint that this value belongs to, by rendezvous hashing (Thaler and Ravishankar 1998), or None as `pick`.

        When an endpoint comes or goes, only the values that move to it or away from it change their place; a suspect's or a
        full endpoint's values go to their second choice meanwhile.
        """
        key = digest(value)
        candidates = self._candidates(now, avoid)
        return self._tried(max(candidates, key=lambda upstream: mix(upstream.seed ^ key)), now) if candidates else None

    def in_flight(self) -> dict[str, int]:
        """Requests at each address that has some, also where it left."""
        return {address: upstream.in_flight for address, upstream in self.all.items() if upstream.in_flight}

    def unreachable(self, now: float) -> list[str]:
        """Addresses of which nothing was heard in SILENCES rounds, the last of them not long ago."""
        if not self._suspects:
            return []
        present = (upstream for upstream in self.all.values() if not upstream.gone and upstream.silences >= SILENCES)
        return [upstream.address for upstream in present if now < upstream.suspect_until + STALE]

    def suspect(self, upstream: Upstream, now: float, silent: bool = False) -> None:
        """A connection to the endpoint failed: avoid it for a while. Others that were on their way already say nothing new.

        `silent`: nothing was heard of it, or that nobody knows the way; else its host refused, and so it lives.
        """
        if not silent:
            upstream.silences = 0
        if upstream.suspect_until and not upstream.trial:
            return
        upstream.suspect_until = now + SUSPECT_FOR * 2.0 ** min(upstream.strikes, SUSPECT_DOUBLED)
        upstream.strikes += 1
        upstream.silences += silent
        upstream.trial = False
        self._suspects = True

    def trust(self, upstream: Upstream) -> None:
        """The endpoint took a connection: it is no suspect any more."""
        upstream.suspect_until = 0.0
        upstream.strikes = 0
        upstream.silences = 0
        upstream.trial = False
        self._suspects = any(other.suspect_until for other in self.all.values())

    def _search(self, random: Random, now: float, avoid: Sequence[Upstream]) -> Upstream | None:
        candidates = self._candidates(now, avoid)
        if len(candidates) < 2:
            return self._tried(candidates[0], now) if candidates else None
        one, other = (candidates[int(random() * len(candidates))] for _ in range(2))
        return self._tried(other if other.in_flight < one.in_flight else one, now)

    def _candidates(self, now: float, avoid: Sequence[Upstream]) -> list[Upstream]:
        """Those below their limit, narrowed to untried ones and to ones above suspicion as far as any are left."""
        free = [upstream for upstream in self.ready if upstream.in_flight < upstream.limit]
        untried = [upstream for upstream in free if upstream not in avoid] or free
        return [upstream for upstream in untried if upstream.suspect_until <= now] or untried

    def _tried(self, upstream: Upstream, now: float) -> Upstream:
        """The chosen one; a suspect whose time is over is on trial from now on."""
        if upstream.suspect_until and upstream.suspect_until <= now:
            upstream.trial = True
            upstream.suspect_until = now + self._trial_for
        return upstream


class Weighted(Protocol):
    """Something with a share of the requests."""

    @property
    def weight(self) -> int: ...


R = TypeVar("R", bound=Weighted)


def choose(among: Sequence[R], share: float) -> R | None:
    """One of the weighted, the one that `share` in [0, 1) falls on; None when no weight is above 0."""
    total = sum(one.weight for one in among)
    at = share * total
    for one in among:
        at -= one.weight
        if at < 0:
            return one
    return None


def share_of(value: bytes) -> float:
    """A sticky value as a number in [0, 1): it keeps a client on its revision, as `pick_sticky` does on its endpoint."""
    return (mix(digest(value)) >> 11) / (1 << 53)


class RetryBudget:
    """How many second sends a route may make: a share of the first ones, and a floor for routes with little traffic.

    A token bucket that is filled only when it is asked, from the number of arrivals, so that a first send costs nothing
    (Finagle's RetryBudget has the rule). It stops a failing function from being hit twice as hard as it was.
    """

    __slots__ = ("_arrived", "_at", "_tokens")

    def __init__(self, now: float) -> None:
        self._tokens = RETRY_FLOOR
        self._arrived = 0
        self._at = now

    def spend(self, arrived: int, now: float) -> bool:
        """May one more second send be made? `arrived` is the number of first sends so far."""
        earned = RETRY_SHARE * (arrived - self._arrived) + RETRY_FLOOR * (now - self._at)
        self._tokens = min(RETRY_MOST, self._tokens + earned)
        self._arrived, self._at = arrived, now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def digest(value: bytes) -> int:
    """64 bits of a value, the same in every process (Python's own hash is not)."""
    return int.from_bytes(blake2b(value, digest_size=8).digest(), "big")


def mix(word: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of the input reaches every bit of the output."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return word ^ (word >> 31)

"""From a request's raw path or Host to its route. No clock and no socket in here.

Updated in place by the one thread that routes: a delta costs a microsecond however many routes there are, where a copy for
each would cost 0.1 ms at 10,000. Nothing is half done in between, because nobody else reads it (see docs/decisions/0020).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from autoscaler.model import Sample
from router.live import Going, Live
from router.model import Route, RouteKey
from router.room import ALONE, Elsewhere

W = TypeVar("W")


def path_name(key: RouteKey) -> bytes:
    """What stands after `/fn/`: `name` in project "default", `name.project` in any other. There is no second spelling."""
    return (key.name if key.project == "default" else f"{key.name}.{key.project}").encode()


class Table(Generic[W]):
    """All routes of one worker.

    On the warm path use `names.get(raw)`: `raw` are the bytes between `/fn/` and the next `/` or `?`, or the end.
    """

    __slots__ = ("_connect", "_leaving", "_routes", "called", "elsewhere", "hosts", "names", "sampled_at", "shared")

    def __init__(self, connect: float = 2.0) -> None:
        """`connect`: seconds that one attempt to connect may take."""
        self._connect = connect
        self.names: dict[bytes, Live[W]] = {}
        self.hosts: dict[bytes, Live[W]] = {}
        self.shared = False  # whether routes put from now on take of their hard limits only what they are granted
        self.elsewhere: Callable[[RouteKey], Elsewhere] = lambda key: ALONE  # where else requests of a route wait
        self.called: dict[RouteKey, Live[W]] = {}  # the ones to sample: who is not called any more rests, after one sample
        self.sampled_at = 0.0
        self._routes: dict[RouteKey, Live[W]] = {}
        self._leaving: dict[RouteKey, Live[W]] = {}  # removed, with requests in flight

    def __len__(self) -> int:
        return len(self._routes)

    def match_host(self, host: bytes) -> Live[W] | None:
        """The route that a Host field means whatever the path: port, a last dot and case do not count."""
        if not self.hosts:
            return None
        name, colon, _ = host.rpartition(b":")
        alone = not colon or host.endswith(b"]")  # a name or an address by itself; "[fd00::9]" has colons and no port
        return self.hosts.get((host if alone else name).lower().rstrip(b"."))

    def get(self, key: RouteKey) -> Live[W] | None:
        """The entry of a route."""
        return self._routes.get(key)

    def begin(self, live: Live[W], now: float) -> None:
        """A request of a route without a row came, its first or the first after a rest: make what it needs."""
        if live.resting is not None:
            live.wake(self.sampled_at)
        else:
            live.begin(now)
            self._join(live)
        self.called[live.route.key] = live

    def sample(self, now: float) -> dict[RouteKey, Sample]:
        """What each called route saw since the last call, about a second ago; an idle one is left out. Rows are written, too."""
        samples = {}
        for key, live in list(self.called.items()):
            sample = live.sample(now)
            if sample is not None:
                samples[key] = sample
            elif live.row is not None:
                live.rest()
                del self.called[key]
        self.sampled_at = now
        return samples

    def put(self, route: Route, now: float) -> list[Going[W]]:
        """Add the route or replace the one with its key; returns the waiters that go now."""
        key = route.key
        live = self._routes.get(key)
        if live is None:
            live = self._leaving.pop(key, None) or Live(route, self.shared, self._connect)
            self._routes[key] = live
            if live.revisions is not None:
                self._join(live)
                self.called[key] = live
        elif live.route.hosts != route.hosts:
            self._forget_hosts(live)
        going = live.put(route, now)
        if key.host == "*":
            self.names[path_name(key)] = live
        for host in hosts_of(route):
            self.hosts[host] = live
        return going

    def remove(self, key: RouteKey, now: float) -> list[W]:
        """Forget a route; returns those who waited for it, in order. What is in flight may finish, and is still counted."""
        live = self._routes.pop(key, None)
        if live is None:
            return []
        self._forget_hosts(live)
        if key.host == "*":
            self.names.pop(path_name(key), None)
        self.called.pop(key, None)
        waiters = live.close(now)
        self._leaving = {key: live for key, live in self._leaving.items() if live.present()}
        if live.present():
            self._leaving[key] = live
        return waiters

    def in_flight(self, key: RouteKey, revision: str, address: str = "") -> int:
        """Requests now at a revision, or at one of its addresses; also of a route that was removed."""
        live = self._routes.get(key) or self._leaving.get(key)
        return live.in_flight(revision, address) if live else 0

    def _join(self, live: Live[W]) -> None:
        """The bounds of its room hold over other workers', too."""
        if live.room is not None:
            live.room.join(self.elsewhere(live.route.key))

    def _forget_hosts(self, live: Live[W]) -> None:
        for host in hosts_of(live.route):
            if self.hosts.get(host) is live:
                del self.hosts[host]


def hosts_of(route: Route) -> list[bytes]:
    """The Host values that mean a route."""
    return [host.lower().encode() for host in (*route.hosts, route.key.host) if host != "*"]

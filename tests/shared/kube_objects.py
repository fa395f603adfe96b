"""Services, slices and a data plane that only remembers, for tests of the router's cluster side."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autoscaler.model import Sample
from kube.cache import Delta
from kube.codec import Key
from kube.model import (
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
    Metadata,
    ObjectMeta,
    Service,
    ServicePort,
    ServiceSpec,
    SliceEndpoint,
    TargetReference,
)
from router.kube.catalog import Catalog
from router.kube.model import Fault, Translation
from router.model import Route, RouteKey
from router.slots import Need

KEY = RouteKey("*", "default", "hello")
OLD, NEW = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"


def service(
    name: str = "hello", route: str | None = "hello", namespace: str = "default", created: str = OLD, uid: str = "", **spec: Any
) -> Service:
    """Annotations by keyword `annotations`, without their prefix where they have none."""
    given = spec.pop("annotations", {})
    annotations = {key if "/" in key else f"cloudbase.dev/{key}": value for key, value in given.items()}
    labels = {"cloudbase.dev/route": route} if route is not None else {}
    meta = ObjectMeta(name, namespace, uid or f"uid-{namespace}-{name}", "1", 1, created, labels=labels, annotations=annotations)
    usual = {"selector": {"app": name}, "ports": (ServicePort(port=80, target_port=8080),), "cluster_ip": "10.96.0.9"}
    return Service(meta, ServiceSpec(**{**usual, **spec}))


def endpoint(ip: str, ready: bool | None = True, serving: bool | None = None, terminating: bool | None = None) -> SliceEndpoint:
    return SliceEndpoint((ip,), EndpointConditions(ready, serving, terminating), TargetReference(f"pod-{ip}"))


def slice_of(
    *endpoints: SliceEndpoint, of: str = "hello", namespace: str = "default", name: str = "", family: str = "IPv4",
    ports: tuple[EndpointPort, ...] | None = (EndpointPort("", 8080),),
) -> EndpointSlice:  # fmt: skip
    meta = ObjectMeta(name or f"{of}-abc", namespace, "", "1", labels={"kubernetes.io/service-name": of})
    return EndpointSlice(meta, family, endpoints, ports)


@dataclass
class MemoryPlane:
    """router.kube.ports.Plane."""

    routes: dict[RouteKey, Route] = field(default_factory=dict)
    puts: list[Route] = field(default_factory=list)
    notes: list[tuple[str, RouteKey]] = field(default_factory=list)
    is_starting: bool = True
    is_idle: bool = True
    busy: dict[str, int] = field(default_factory=dict)
    queued: int = 0
    since: float = 0.0
    shared: bool = False
    grants: dict[tuple[RouteKey, str], dict[str, int]] = field(default_factory=dict)
    load: dict[RouteKey, Sample] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def put(self, route: Route) -> None:
        self.routes[route.key] = route
        self.puts.append(route)

    def remove(self, key: RouteKey) -> None:
        self.routes.pop(key, None)

    def in_flight(self, key: RouteKey, revision: str, address: str = "") -> int:
        return self.busy.get(address, 0)

    def starting(self, yes: bool) -> None:
        self.is_starting = yes

    def woken(self, key: RouteKey) -> None:
        self.notes.append(("woken", key))

    def scheduled(self, key: RouteKey) -> None:
        self.notes.append(("scheduled", key))

    def samples(self) -> Mapping[RouteKey, Sample]:
        return dict(self.load)

    def share(self, yes: bool) -> None:
        self.shared = yes

    def grant(self, key: RouteKey, revision: str, limits: Mapping[str, int]) -> None:
        self.grants[key, revision] = dict(limits)

    def need(self, key: RouteKey, revision: str) -> Need:
        return Need(0, {address: count for address, count in self.busy.items() if count}, self.queued, self.since)

    def unreachable(self) -> Mapping[RouteKey, frozenset[str]]:
        return {key: frozenset(self.lost) for key in self.routes if self.lost}

    async def take_stock(self, key: RouteKey) -> None:
        pass

    async def idle(self, key: RouteKey) -> bool:
        return self.is_idle


@dataclass(eq=False)
class _Timer:
    at: float
    what: Callable[[], None]
    off: bool = False

    def cancel(self) -> None:
        self.off = True


class Clock:
    """Virtual time for what is to be done later."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, _Timer]] = []
        self._count = itertools.count()

    def later(self, seconds: float, what: Callable[[], None]) -> _Timer:
        timer = _Timer(self.now + seconds, what)
        heapq.heappush(self._queue, (timer.at, next(self._count), timer))
        return timer

    def advance(self, seconds: float = 0.0) -> None:
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            at, _, timer = heapq.heappop(self._queue)
            self.now = at
            if not timer.off:
                timer.what()
        self.now = end


class Cluster:
    """A catalog that is fed by hand."""

    def __init__(self, complete: bool = True) -> None:
        self.plane = MemoryPlane()
        self.clock = Clock()
        self.told: list[tuple[str, Fault]] = []
        self.changes: list[tuple[RouteKey, Translation | None]] = []
        self.catalog = Catalog(
            self.plane,
            lambda owner, fault: self.told.append((owner.metadata.name, fault)),
            self.clock.later,
            10.0,
            lambda key, translation: self.changes.append((key, translation)),
        )
        self._known: dict[tuple[str, str, str], Any] = {}
        if complete:
            self.catalog.complete()

    def apply(self, *objects: Service | EndpointSlice | Metadata) -> None:
        for one in objects:
            self._tell(one, one.metadata, gone=False)
        self.clock.advance()

    def delete(self, *objects: Service | EndpointSlice | Metadata) -> None:
        for one in objects:
            self._tell(one, one.metadata, gone=True)
        self.clock.advance()

    def endpoints(self, key: RouteKey = KEY) -> list[str]:
        """Addresses in the table, draining ones with a "~" before them."""
        backends = self.plane.routes[key].backends
        return [("~" if each.draining else "") + each.address for backend in backends for each in backend.endpoints]

    def notes(self) -> list[str]:
        return [fault.note for _, fault in self.told]

    def _tell(self, one: Any, meta: ObjectMeta, gone: bool) -> None:
        identity = (type(one).__name__, meta.namespace, meta.name)
        old = self._known.pop(identity, None)
        if not gone:
            self._known[identity] = one
        kind: Any = "deleted" if gone else "modified" if old is not None else "added"
        delta: Delta[Any] = Delta(kind, Key(meta.namespace, meta.name), old, None if gone else one)
        if isinstance(one, Service):
            self.catalog.service_changed(delta)
        elif isinstance(one, EndpointSlice):
            self.catalog.slice_changed(delta)
        else:
            self.catalog.namespace_changed(delta)

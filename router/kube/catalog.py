"""Routes as the cluster has them: takes what informers tell, translates what that touches, and puts it into the data plane.

What changed is noted at once and settled in the loop's next turn, each route once however many events there were. A key that
several Services want belongs to the oldest; the others are told. A route whose Service vanishes is held for a while.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from kube.cache import Delta
from kube.codec import Key
from kube.model import EndpointSlice, Metadata, Service
from router.kube.intercept import hosts_of
from router.kube.model import Address, Fault, Standing, Translation
from router.kube.names import INTERCEPT, PROJECT, RETIRED, SERVICE_NAME
from router.kube.ports import Told
from router.kube.translate import is_route, key_of, seniority, translate
from router.model import Route, RouteKey

Tell = Callable[[Service, Fault], None]


class Timer(Protocol):
    """As asyncio.TimerHandle."""

    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Timer]  # as loop.call_later: seconds, what


@dataclass(slots=True)
class Entry:
    """A route that is in the table."""

    owner: Service
    translation: Translation


@dataclass(slots=True)
class _Claims:
    """Which Services want which key."""

    wanted: dict[Key, RouteKey] = field(default_factory=dict)
    by_key: defaultdict[RouteKey, set[Key]] = field(default_factory=lambda: defaultdict(set))

    def change(self, who: Key, wanted: RouteKey | None) -> set[RouteKey]:
        """Returns the keys whose claims are touched."""
        before = self.wanted.pop(who, None)
        if before is not None:
            self.by_key[before].discard(who)
            if not self.by_key[before]:
                del self.by_key[before]
        if wanted is not None:
            self.wanted[who] = wanted
            self.by_key[wanted].add(who)
        return {key for key in (before, wanted) if key is not None}


@dataclass(frozen=True, slots=True)
class Naming:
    """How intercepted Services are called."""

    domain: str = "cluster.local"
    reserved: frozenset[str] = frozenset({"localhost"})  # names without a namespace that mean the router itself


class Catalog:
    """One router's knowledge of the cluster. `tell` gets each fault when it is new; `changed` each route as it is now."""

    def __init__(
        self, plane: Told, tell: Tell, later: Later, hold: float, changed: Callable[[RouteKey, Translation | None], None],
        naming: Naming = Naming(),
    ) -> None:  # fmt: skip
        self.entries: dict[RouteKey, Entry] = {}
        self.synced = False
        self._plane = plane
        self._tell = tell
        self._later = later
        self._hold = hold
        self._changed = changed
        self._naming = naming
        self._services: dict[Key, Service] = {}
        self._slices: defaultdict[Key, dict[str, EndpointSlice]] = defaultdict(dict)
        self._projects: dict[str, str] = {}
        self._namesakes: defaultdict[str, set[Key]] = defaultdict(set)  # intercepted Services by name without namespace
        self._claims = _Claims()
        self._dependants: defaultdict[Key, set[Key]] = defaultdict(set)  # backends -> Services of routes
        self._depends: dict[Key, set[Key]] = {}  # the other way round
        self._standings: dict[Key, dict[tuple[str, str], Standing]] = {}  # by pod and address
        self._faults: dict[Key, tuple[Fault, ...]] = {}
        self._retired: set[Key] = set()  # Services that went on purpose
        self._held: dict[RouteKey, tuple[Route, Timer | None]] = {}
        self._dirty: dict[Key, None] = {}

    # --- what informers tell ---

    def service_changed(self, delta: Delta[Service]) -> None:
        if delta.new is None:
            self._services.pop(delta.key, None)
            if delta.old is not None and _retired(delta.old):  # its mark may have come with its end, in one batch
                self._retired.add(delta.key)
        else:
            self._services[delta.key] = delta.new
            self._retired.discard(delta.key)
        self._look_for_namesakes(delta.key, delta.new)
        if delta.key in self._claims.wanted or (delta.new is not None and is_route(delta.new)):
            self._touch(delta.key)
        self._touch_dependants(delta.key)

    def slice_changed(self, delta: Delta[EndpointSlice]) -> None:
        for one in (delta.old, delta.new):
            name = (one.metadata.labels or {}).get(SERVICE_NAME, "") if one is not None else ""
            if not name:
                continue
            owner = Key(delta.key.namespace, name)
            if one is delta.new and one is not None:
                self._slices[owner][delta.key.name] = one
            else:
                self._slices[owner].pop(delta.key.name, None)
            self._touch_dependants(owner)

    def namespace_changed(self, delta: Delta[Metadata]) -> None:
        project = (delta.new.metadata.labels or {}).get(PROJECT, "") if delta.new else ""
        if project != self._projects.get(delta.key.name, ""):
            self._projects[delta.key.name] = project
            for key, service in self._services.items():
                if key.namespace == delta.key.name and is_route(service):
                    self._touch(key)

    def complete(self) -> None:
        """Everything has been listed once: from now on what is not known does not exist."""
        self.synced = True
        self.settle()
        for key, (route, timer) in list(self._held.items()):
            if timer is None:  # from a snapshot, and not there any more
                self._held[key] = (route, self._later(self._hold, lambda key=key: self._let_go(key)))  # type: ignore[misc]
        self._plane.starting(False)

    def restore(self, routes: Iterable[Route]) -> None:
        """Routes from an earlier life, until the API server has told what there is."""
        for route in routes:
            self._plane.put(route)
            self._held[route.key] = (route, None)

    # --- what we find and decide ourselves ---

    def stand(self, namespace: str, revision: str, address: Address, how: Standing) -> None:
        """Note what we found or decided about a pod; forgotten when it leaves the slices."""
        service = Key(namespace, revision)
        self._standings.setdefault(service, {})[(address.pod, address.address)] = how
        self._touch_dependants(service)

    def standing(self, namespace: str, revision: str, address: Address) -> Standing:
        """As translate.View."""
        return self._standings.get(Key(namespace, revision), {}).get((address.pod, address.address), "")

    def service(self, namespace: str, name: str) -> Service | None:
        """As translate.View."""
        return self._services.get(Key(namespace, name))

    def hosts(self, service: Service) -> tuple[str, ...]:
        """As translate.View."""
        name = service.metadata.name
        return hosts_of(
            service, self._naming.domain, name not in self._naming.reserved and len(self._namesakes.get(name, ())) == 1
        )

    def slices(self, namespace: str, name: str) -> Iterable[EndpointSlice]:
        """As translate.View."""
        return self._slices.get(Key(namespace, name), {}).values()

    def routes(self) -> list[Route]:
        """Everything in the table, held routes too: what a snapshot is made of."""
        return [entry.translation.route for entry in self.entries.values()] + [route for route, _ in self._held.values()]

    def retell(self) -> None:
        """Tell every fault there is once more: whoever told them before may be gone."""
        for key, faults in self._faults.items():
            for fault in faults if key in self._services else ():
                self._tell(self._services[key], fault)

    def _look_for_namesakes(self, key: Key, service: Service | None) -> None:
        """A bare name means a Service only as long as it is the one intercepted Service of that name."""
        them = self._namesakes[key.name]
        intercepted = service is not None and is_route(service) and bool((service.metadata.annotations or {}).get(INTERCEPT))
        if intercepted != (key in them):
            (them.add if intercepted else them.discard)(key)
            for other in them - {key}:
                self._touch(other)
        if not them:
            del self._namesakes[key.name]

    # --- settling ---

    def settle(self) -> None:
        """Bring the table in line with what was noted. Called by itself in the loop's next turn."""
        if not self.synced:
            return
        while self._dirty:
            dirty, self._dirty = self._dirty, {}
            touched = {each: None for key in dirty for each in self._claim(key)}  # all claims first: some of them are gone
            for each in touched:
                self._assign(each)

    def _touch(self, key: Key) -> None:
        if not self._dirty and self.synced:
            self._later(0, self.settle)
        self._dirty[key] = None

    def _touch_dependants(self, backend: Key) -> None:
        for key in self._dependants.get(backend, ()):
            self._touch(key)

    def _claim(self, key: Key) -> set[RouteKey]:
        """What a Service wants now; returns the keys that this touches."""
        service = self._services.get(key)
        wanted = self._wanted(key, service) if service is not None and is_route(service) else None
        if service is None or not is_route(service):
            self._faults.pop(key, None)
        return self._claims.change(key, wanted)

    def _wanted(self, key: Key, service: Service) -> RouteKey | None:
        found = key_of(service, self._projects.get(key.namespace) or "default")
        if isinstance(found, Fault):
            self._note(key, (found,))
            return None
        return found

    def _assign(self, key: RouteKey) -> None:
        claims = self._claims.by_key.get(key)
        if not claims:
            self._vanish(key)
            return
        owner = min((self._services[claim] for claim in claims), key=seniority)
        owned = Key(owner.metadata.namespace, owner.metadata.name)
        for claim in claims - {owned}:
            note = f"route {key} is already that of Service {'/'.join(owned)}, which is older: choose another name"
            self._note(claim, (Fault("RouteTaken", note),))
        self._put(key, owned, owner)

    def _put(self, key: RouteKey, owned: Key, owner: Service) -> None:
        before = self.entries.get(key)
        same = before is not None and before.owner.metadata.uid == owner.metadata.uid
        last = before.translation if before is not None and same else None
        translation = translate(owner, key, self, last.described if last else None)
        self._depend(owned, {Key(owned.namespace, share.service) for share in translation.described.shares})
        self._prove(owned.namespace, translation)
        self.entries[key] = Entry(owner, translation)
        _, timer = self._held.pop(key, (None, None))
        if timer is not None:
            timer.cancel()
        if translation.seen() and not (before and before.translation.seen()):
            self._plane.scheduled(key)
        if before is None or before.translation.route != translation.route:
            self._plane.put(translation.route)
        self._note(owned, translation.faults)
        self._changed(key, translation)

    def _depend(self, owned: Key, backends: set[Key]) -> None:
        before = self._depends.pop(owned, set())
        for backend in before - backends:
            self._dependants[backend].discard(owned)
            if not self._dependants[backend]:
                del self._dependants[backend]
        for backend in backends - before:
            self._dependants[backend].add(owned)
        if backends:
            self._depends[owned] = backends

    def _prove(self, namespace: str, translation: Translation) -> None:
        """Keep standings of pods that are there only, and remember those that were ready once."""
        found: defaultdict[Key, dict[tuple[str, str], Standing]] = defaultdict(dict)
        for pod in translation.pods:
            standing: Standing = "proven" if pod.address.ready and pod.standing in ("", "admitted") else pod.standing
            if standing:
                found[Key(namespace, pod.revision)][(pod.address.pod, pod.address.address)] = standing
        for share in translation.described.shares:
            service = Key(namespace, share.service)
            if service in found:
                self._standings[service] = found[service]
            else:
                self._standings.pop(service, None)

    def _vanish(self, key: RouteKey) -> None:
        entry = self.entries.pop(key, None)
        if entry is None:
            return
        self._changed(key, None)
        meta = entry.owner.metadata
        self._depend(Key(meta.namespace, meta.name), set())
        service = Key(meta.namespace, meta.name)
        marked = service in self._retired or _retired(entry.owner)
        self._retired.discard(service)
        if marked or service in self._services:  # retired, or its label was taken away: both on purpose
            self._plane.remove(key)
            return
        self._held[key] = (entry.translation.route, self._later(self._hold, lambda: self._let_go(key)))

    def _let_go(self, key: RouteKey) -> None:
        if self._held.pop(key, None) is not None:
            self._plane.remove(key)

    def _note(self, key: Key, faults: tuple[Fault, ...]) -> None:
        before = self._faults.get(key, ())
        if faults:
            self._faults[key] = faults
        else:
            self._faults.pop(key, None)
        for fault in faults:
            if fault not in before:
                self._tell(self._services[key], fault)


def _retired(service: Service) -> bool:
    return (service.metadata.annotations or {}).get(RETIRED) == "true"

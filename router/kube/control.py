"""The cluster's side of one router: informers, catalog, scaler, lease, autoscaler and Events, around a data plane."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterator
from typing import Any

from autoscaler.loop import Loop, Target
from autoscaler.recorder import Recorder
from kube.client import Client
from kube.informer import Informer
from kube.lease import Leadership
from kube.model import EndpointSlice, Metadata, Service
from kube.occurrence import Occurrence, Regarding
from kube.recorder import Recorder as Events
from kube.reflector import State
from kube.resource import ENDPOINT_SLICES, NAMESPACES, SERVICES
from router.kube.catalog import Catalog, Naming
from router.kube.fleet import Fleet
from router.kube.interceptor import Interceptor
from router.kube.metrics import Reading
from router.kube.model import Fault, Translation
from router.kube.names import MANAGER, PREFIX
from router.kube.peers.ports import Exchange
from router.kube.peers.roster import TERMS, Terms
from router.kube.ports import Plane
from router.kube.prober import Prober
from router.kube.reach import Reach
from router.kube.scaler import KubeScaler
from router.kube.settings import KubeSettings
from router.kube.sharing import Sharing
from router.kube.snapshot import Snapshot
from router.model import RouteKey

log = logging.getLogger(__name__)

AWAY = 5.0  # seconds without an open watch before that is worth a word


class Control:
    """Make it inside the running loop; `await run()` until cancelled."""

    def __init__(
        self, client: Client, plane: Plane, settings: KubeSettings, port: int = 0, exchange: Exchange | None = None,
        terms: Terms = TERMS,
    ) -> None:  # fmt: skip
        """`port`: where the routers listen for traffic; `exchange`: with the other routers, if any."""
        self._plane = plane
        self._started = time.monotonic()
        who = settings.who()
        self.services: Informer[Service] = Informer(client, SERVICES, namespaces=settings.namespaces)
        self.slices: Informer[EndpointSlice] = Informer(client, ENDPOINT_SLICES, namespaces=settings.watched())
        self.namespaces: Informer[Metadata] | None = None if settings.namespaces else Informer(client, NAMESPACES)
        self.events = Events(client, PREFIX + "router", who)
        self._group = asyncio.TaskGroup()
        self.prober = Prober(self._spawn)
        naming = Naming(settings.domain, frozenset({"localhost", settings.service.partition("/")[2]}))
        self.catalog = Catalog(plane, self._tell, asyncio.get_running_loop().call_later, settings.hold, self._changed, naming)
        self.prober.catalog = self.catalog
        self.leadership = Leadership(
            client, settings.lease_namespace or client.access.namespace, settings.lease, who, on_change=self._led
        )
        self.interceptor = Interceptor(client, self.catalog, self.leadership, settings, port, self._tell)
        self._recorder: Recorder[RouteKey] = Recorder()
        self.fleet = Fleet(settings.service, self.catalog.slices, exchange, who, self._recorder, self.leadership, terms)
        membership = self.fleet.membership
        self.sharing = Sharing(membership, self.catalog.entries, plane, self.fleet.lists) if membership else None
        self.reach = Reach()
        self.scaler = KubeScaler(
            client, self.catalog, plane, self.leadership, membership, self.reach, self._spawn, self._tell_owner
        )
        if self.sharing is not None:
            self.scaler.starved = self.sharing.want
        self.autoscaler: Loop[RouteKey] = Loop(self._recorder, self.scaler, self._targets)
        self._snapshot = Snapshot(settings.snapshot, self.catalog.routes) if settings.snapshot else None
        self._restored = 0
        plane.starting(True)

    async def run(self) -> None:
        """Until cancelled."""
        async with self._group as group:
            if self._snapshot is not None:
                self._restore(self._snapshot)
                group.create_task(self._snapshot.run(), name="snapshot")
            self.services.subscribe(self.catalog.service_changed)
            self.slices.subscribe(self.catalog.slice_changed)
            self.slices.subscribe(self.interceptor.slice_changed)
            informers: list[Informer[Any]] = [self.services, self.slices]
            if self.namespaces is not None:
                self.namespaces.subscribe(self.catalog.namespace_changed)
                informers.append(self.namespaces)
            for informer in informers:
                group.create_task(informer.run(), name=f"informer {informer.resource.plural}")
            group.create_task(self.events.run(), name="events")
            group.create_task(self.leadership.run(), name="lease")
            group.create_task(self.fleet.run(), name="exchange between routers")
            if self.sharing is not None:
                group.create_task(self.sharing.run(), name="sharing of hard limits")
            for informer in informers:
                await informer.wait_synced()
            self.catalog.complete()
            log.info("%d routes, %d Services known", len(self.catalog.entries), len(self.services))
            group.create_task(self.autoscaler.run(), name="autoscaler")
            group.create_task(self.interceptor.run(), name="interception")

    # --- how it is ---

    def missing(self) -> str:
        """Why this router is not ready; "" when it is."""
        if self.catalog.synced or (self._restored and any(state.error for state in self._states())):
            return ""
        return "the routes are not all known yet"

    def amiss(self) -> list[str]:
        """What keeps it from following the cluster."""
        now = time.monotonic()
        words = self.fleet.amiss()
        if self._restored and not self.catalog.synced:
            words.append(f"serving {self._restored} routes of a snapshot until the API server answers")
        for informer in self._informers():
            for state in informer.states().values():
                since = now - (state.last_contact or self._started)
                if state.error or (not state.connected and since > AWAY):
                    words.append(
                        f"{informer.resource.title}: nothing heard for {since:.0f} s: {state.error or 'no watch is open'}"
                    )
        return words

    def reading(self) -> Reading:
        """Values for router.kube.metrics."""
        now = time.monotonic()
        found: Reading = {
            ("synced", ""): float(self.catalog.synced),
            ("routes", ""): float(len(self.catalog.entries)),
            ("leading", ""): float(self.leadership.leading),
            ("wakes_total", ""): float(self.scaler.writes.wakes),
            ("resizes_total", ""): float(self.scaler.writes.resizes),
            ("cancelled_total", ""): float(self.scaler.writes.cancelled),
            ("probes_passed_total", ""): float(self.prober.passed),
            ("write_failures_total", ""): float(self.scaler.writes.failures),
            ("unreachable", ""): float(self.reach.count()),
        }
        found.update(self.fleet.reading())
        if self.sharing is not None:
            found["slots", ""] = float(self.sharing.held())
            found["slot_changes_total", ""] = float(self.sharing.changes)
        for informer in self._informers():
            states, what = informer.states().values(), informer.resource.plural
            found["connected", what] = float(all(state.connected for state in states))
            found["contact_age_seconds", what] = now - (informer.last_contact or self._started)
            found["objects", what] = float(len(informer))
            found["relists_total", what] = float(sum(state.lists for state in states))
            found["expired_total", what] = float(sum(state.expired for state in states))
        return found

    # --- joints ---

    def _restore(self, snapshot: Snapshot) -> None:
        routes = snapshot.load()
        self._restored = len(routes)
        self.catalog.restore(routes)
        if routes:
            log.info("%d routes from the snapshot", len(routes))

    def _changed(self, key: RouteKey, translation: Translation | None) -> None:
        self.prober.look(key, translation)
        if self.sharing is not None:
            self.sharing.changed(key)
        self.interceptor.look(key)
        if self._snapshot is not None:
            self._snapshot.note()

    def _states(self) -> list[State]:
        return [state for informer in self._informers() for state in informer.states().values()]

    def _informers(self) -> list[Informer[Any]]:
        return [self.services, self.slices, *([self.namespaces] if self.namespaces is not None else [])]

    def _targets(self) -> Iterator[Target[RouteKey]]:
        """Routes to scale. Samples are taken whether we lead or not: who comes to lead knows the last minute."""
        now = time.monotonic()
        unreachable = self._plane.unreachable()
        self.fleet.tick(now, self._plane.samples(), unreachable)
        self.reach.note(unreachable, self.fleet.unreachable(now))
        if not self.leadership.leading:
            return
        for key, entry in self.catalog.entries.items():
            policy = entry.translation.route.policy
            if policy is not None:
                missing = self.reach.missing(entry.translation)
                yield Target(key, policy, entry.translation.ready() - missing, missing)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        guarded = _survived(work)
        try:
            task = self._group.create_task(guarded)
        except RuntimeError:  # the router is stopping; from Python 3.13 on the group closes it itself
            guarded.close()
            work.close()
            raise
        task.add_done_callback(lambda _: work.close())  # it was never begun where the router stops in this very moment
        return task

    def _led(self, leading: bool) -> None:
        log.info("%s", "this router scales now" if leading else "this router does not scale any more")
        if leading:
            self.catalog.retell()
            self.interceptor.look_at_all()

    def _tell_owner(self, key: RouteKey, fault: Fault) -> None:
        entry = self.catalog.entries.get(key)
        if entry is not None:
            self._tell(entry.owner, fault)

    def _tell(self, service: Service, fault: Fault) -> None:
        """Into the log of every router; as an Event by the one who leads, or owners would read it once for each router."""
        meta = service.metadata
        log.warning("Service %s/%s: %s", meta.namespace, meta.name, fault.note)
        if self.leadership.leading:
            about = Regarding("v1", "Service", meta.namespace, meta.name, meta.uid)
            self.events.record(Occurrence(about, "Warning", fault.reason, "Routing", fault.note))


async def _survived(work: Coroutine[Any, Any, None]) -> None:
    """A defect in the handling of one route must not end the router."""
    try:
        await work
    except Exception:
        log.exception("%s: unexpected error while scaling", MANAGER)

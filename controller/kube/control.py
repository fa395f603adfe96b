"""The controller of one cluster: stores, deployer, routes and reconciler around one client, and who of several works."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute

from controller.kube.chronicle import Chronicle
from controller.kube.deployer import KubeDeployer
from controller.kube.echo import Echo
from controller.kube.render import PodRules
from controller.kube.routes import KubeRoutes
from controller.kube.settings import Settings
from controller.kube.store import KubeFunctionStore
from controller.metrics import Reading, reading
from controller.plan import Rules
from controller.ports import Builder, SourceStore
from controller.reconcile import Reconciler
from kube.cache import Delta
from kube.client import Client
from kube.fence import fenced
from kube.informer import Informer
from kube.lease import Leadership
from kube.model import Metadata
from kube.recorder import Recorder
from kube.resource import NAMESPACES

log = logging.getLogger(__name__)

PROJECT = "cloudbase.dev/project"


class LostLease(Exception):
    """Another controller may work now: this one has to start anew."""


@dataclass(frozen=True, slots=True)
class Builds:
    """What makes images of sources, and keeps these."""

    builder: Builder
    sources: SourceStore
    detach: Callable[[], None] = lambda: None  # from now on, builds that are broken off go on by themselves
    routes: Sequence[BaseRoute] = ()  # that builds fetch from
    key: str = "none"  # names all that the builder builds with


class Control:
    """Make it inside the running loop; `await run()` until cancelled."""

    def __init__(self, client: Client, settings: Settings, builds: Builds) -> None:
        which = {"namespaces": settings.namespaces}
        rules = PodRules(settings.grace_most, settings.cpu_request, settings.pull_secrets, settings.runtime_class)
        self.sources = builds.sources
        self.store = KubeFunctionStore(client, **which, ending=self.ending)
        self.deployer = KubeDeployer(client, self.store.owner, rules, **which)
        self.namespaces: Informer[Metadata] | None = None if settings.namespaces else Informer(client, NAMESPACES)
        self.routes = KubeRoutes(client, self.deployer.services, self.store.owner, self.project)
        self.reconciler = Reconciler(
            self.store, builds.builder, self.deployer, self.routes, builds.sources, builds=settings.builds,
            rules=Rules(
                url=settings.url.rstrip("/"), kept_revisions=settings.kept_revisions, routers_scale=True, builder=builds.key
            ),
        )  # fmt: skip
        self.leadership = Leadership(
            client, settings.lease_namespace or client.access.namespace, settings.lease, settings.who(), on_change=self._led
        )
        self._leads, self._lost = asyncio.Event(), asyncio.Event()
        self.echo = Echo(self.store, self.reconciler.progress, self._leads.is_set)
        self.synced = False
        self._events = Recorder(client, "cloudbase.dev/controller", settings.who())
        if self.namespaces is not None:
            self.namespaces.subscribe(self._note_ending)
        self._refused: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.store.functions.watch(self._note_refused)

    def project(self, namespace: str) -> str:
        """The project that a namespace's routes are of; "" = the default one."""
        found = self.namespaces.get("", namespace) if self.namespaces else None
        return (found.metadata.labels or {}).get(PROJECT, "") if found else ""

    def ending(self, namespace: str) -> bool:
        """Whether a namespace is being deleted, as far as it is known here."""
        found = self.namespaces.get("", namespace) if self.namespaces else None
        return found is not None and bool(found.metadata.deletion_timestamp)

    async def run(self) -> None:
        """Until cancelled. Raises LostLease: what is under way is broken off then, and nothing is written any more."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.store.run(), name="functions")
            group.create_task(self.deployer.run(), name="children")
            if self.namespaces is not None:
                group.create_task(self.namespaces.run(), name="namespaces")
            await self.store.wait_synced()
            await self.deployer.wait_synced()
            if self.namespaces is not None:
                await self.namespaces.wait_synced()
            self.synced = True
            log.info("%d functions known", len(self.store.functions.informer))
            group.create_task(self.leadership.run(), name="lease")
            await self._leads.wait()
            self.reconciler.progress.listeners.append(Chronicle(self._events.record, self.store.owner).hear)
            with fenced(self.leadership.check):  # inherited by all tasks below: a write after the lease ran out never leaves
                group.create_task(self.reconciler.run(), name="reconciler")
                group.create_task(self._tell_refused(), name="refusals")
                group.create_task(self._events.run(), name="events")
            await self._lost.wait()
            raise LostLease

    def missing(self) -> str:
        """Why this controller is not ready; "" when it is."""
        return "" if self.synced else "not everything is known yet"

    def amiss(self) -> list[str]:
        """What keeps it from following the cluster."""
        informers = [self.store.functions.informer, *self.deployer.informers()]
        return [
            f"{informer.resource.title}: {state.error}"
            for informer in informers
            for state in informer.states().values()
            if state.error
        ]

    def reading(self) -> Reading:
        """Gauges for controller.metrics."""
        return {"leading": float(self.leadership.leading), **reading(self.store, self.reconciler)}

    def _led(self, leading: bool) -> None:
        if leading:
            self._leads.set()
        elif self._leads.is_set():
            self._lost.set()

    def _note_ending(self, delta: Delta[Metadata]) -> None:
        """At once, and not when Kubernetes comes to the functions: first it waits until the pods have gone, which we let go."""
        if delta.new is not None and delta.new.metadata.deletion_timestamp:
            for each in self.store.list(delta.new.metadata.name):
                self.reconciler.look((each.project, each.name))

    def _note_refused(self, namespace: str, name: str) -> None:
        if self.store.refused(namespace, name) is not None:
            self._refused.put_nowait((namespace, name))

    async def _tell_refused(self) -> None:
        while True:
            key = await self._refused.get()
            try:
                await self.store.refuse(*key)
            except Exception as error:
                # It is told again with the next change of the function.
                log.warning("%s/%s: what is wrong with it could not be told: %s", *key, error)

"""Publishes routes as Services, which the routers watch: the port `controller.ports.Published` in a cluster. One write each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from controller.kube import objects, render
from controller.kube.deployer import Owners, as_wanted, remove, write
from controller.kube.failures import translated
from controller.kube.names import FUNCTION, MANAGER
from controller.kube.objects import Child
from controller.kube.seen import Seen
from kube.client import Client
from kube.errors import NotFound
from router.kube.annotations import KEYS, describe
from router.kube.names import RETIRED, ROUTE
from router.model import Backend, Route, RouteKey

_MARK = {"metadata": {"annotations": {RETIRED: "true"}}}
ENDLESS = 1e6  # seconds: more than any function may ask for, and how a route is told to have no timeout

Projects = Callable[[str], str]  # namespace -> the project that its routes are of


class KubeRoutes:
    """Routes by the namespace and name of their function."""

    def __init__(self, client: Client, services: Seen[Child], owner: Owners, project: Projects) -> None:
        self._client, self._services, self._owner, self._project = client, services, owner, project

    def get(self, key: RouteKey) -> Route | None:
        """The route as its Service says; None also where that is not as we would write it, so that it is written again."""
        service = self._of(key)
        owner = self._owner(key.project, key.name)
        if service is None or owner is None:
            return None
        found, faults = describe(service.metadata.annotations or {}, key.name, None)
        timeout = 0.0 if found.settings.timeout == ENDLESS else found.settings.timeout
        route = Route(
            key,
            tuple(Backend(each.service, (), each.weight) for each in found.shares),
            replace(found.settings, timeout=timeout),
            found.policy,
        )
        return None if faults or not as_wanted(service, render.route(owner, _told(route))) else route

    async def publish(self, route: Route) -> None:
        owner = self._owner(route.key.project, route.key.name)
        if owner is None:
            return
        service, wanted = self._of(route.key), render.route(owner, _told(route))
        with translated():
            await write(self._client, self._services, service, wanted)
            if service is not None and (strange := _strange(service, wanted)):
                # Server-side apply leaves alone what others set, and a setting that somebody else set would count all the same.
                patch = {"metadata": {"annotations": dict.fromkeys(strange)}}
                resource = self._services.informer.resource
                self._services.wrote(await self._client.merge(resource, owner.name, patch, owner.namespace, manager=MANAGER))

    async def withdraw(self, key: RouteKey) -> None:
        service = self._of(key)
        if service is not None:
            resource, name, namespace = self._services.informer.resource, service.metadata.name, service.metadata.namespace
            with translated():
                with suppress(NotFound):  # without the mark routers would hold it, as one that was deleted by mistake
                    await self._client.merge(resource, name, _MARK, namespace, manager=MANAGER)
                await remove(self._client, self._services, service)

    def path(self, key: RouteKey) -> str:
        project = self._project(key.project)
        return f"/fn/{key.name}" + (f".{project}" if project else "")

    def in_flight(self, key: RouteKey, revision: str, address: str) -> int:
        """The routers drain by themselves."""
        return 0

    def _of(self, key: RouteKey) -> Child | None:
        service = self._services.get(key.project, key.name)
        if service is None or service.metadata.deletion_timestamp:
            return None
        labels = service.metadata.labels or {}
        return service if labels.get(FUNCTION) == key.name and ROUTE in labels else None


def _told(route: Route) -> Route:
    """As it is written: a route's timeout may not be 0."""
    timeout = route.settings.timeout or ENDLESS
    return replace(route, settings=replace(route.settings, timeout=timeout))


def _strange(service: Child, wanted: render.Manifest) -> list[str]:
    own = wanted["metadata"]["annotations"]
    return [key for key in objects.whole(service)["metadata"].get("annotations") or {} if key in KEYS and key not in own]

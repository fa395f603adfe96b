"""Puts the webhooks together in a controller: who has which address, certificates, the port; for as long as it is entered."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from controller.kube.admission.app import create_app
from controller.kube.admission.configurations import names_of
from controller.kube.admission.holders import Claim, holder
from controller.kube.admission.keeper import Keeper, Post
from controller.kube.admission.serve import serve
from controller.kube.control import Control
from controller.kube.names import MANAGED_BY, OURS
from controller.kube.settings import Settings
from kube.client import Client
from kube.informer import Informer
from kube.model import Service
from kube.resource import SERVICES

log = logging.getLogger(__name__)

ROUTE = "cloudbase.dev/route"  # label of a Service: its name at /fn/


class Addresses:
    """Who answers at which address: all Functions, and the Services that were adopted."""

    def __init__(self, client: Client, control: Control, settings: Settings) -> None:
        self._control = control
        adopted = f"{ROUTE},{MANAGED_BY}!={OURS}"
        self.services: Informer[Service] = Informer(client, SERVICES, namespaces=settings.namespaces, labels=adopted)

    def holder(self, namespace: str, name: str) -> str:
        """Who else has, or wants, the address of that function; "" = nobody."""
        claims = list(self._claims(name))
        projects = {each: self._control.project(each) for each in {namespace, *(claim.namespace for claim in claims)}}
        return holder(namespace, name, claims, {each: project for each, project in projects.items() if project})

    def _claims(self, route: str) -> Iterator[Claim]:
        for each in self._control.store.functions.all():
            if each.metadata.name == route:
                yield Claim("Function", each.metadata.namespace, route, route)
        for _, service in self.services.items():
            if (service.metadata.labels or {}).get(ROUTE) == route:
                yield Claim("Service", service.metadata.namespace, service.metadata.name, route)


@asynccontextmanager
async def admitting(
    client: Client, control: Control, settings: Settings, addresses: Addresses, sock: socket.socket | None
) -> AsyncIterator[Callable[[], str]]:
    """Answer the API server's questions on the socket; without one only the addresses are followed.

    What comes tells why it is not ready, "" when it is: until the API server trusts the certificates, it takes no Function.
    """
    tasks = {asyncio.create_task(addresses.services.run(), name="adopted services")}
    keeper = Keeper(client, _post(client, settings))
    if sock is not None:
        tasks.add(asyncio.create_task(serve(create_app(addresses.holder), sock, keeper), name="webhooks"))
    for task in tasks:
        task.add_done_callback(_ended)
    try:
        yield lambda: "" if sock is None or keeper.ready.is_set() else "the webhooks' certificates are not trusted yet"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _ended(task: asyncio.Task[None]) -> None:
    """Neither ends by itself; if one does, that is for the log, and functions go on without it."""
    if not task.cancelled() and task.exception():
        log.error("%s: broke off", task.get_name(), exc_info=task.exception())


def _post(client: Client, settings: Settings) -> Post:
    namespace, service = settings.lease_namespace or client.access.namespace, settings.webhooks_service
    names = settings.webhooks_names or names_of(service, namespace)
    return Post(namespace, service, settings.webhooks_configuration, names)

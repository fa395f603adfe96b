"""Keeps the EndpointSlices of intercepted Services: each leads to the routers, and none is left where it should not be.

Only the one who leads writes. From what is seen, not from what happened: what is to be looked at is noted, compared with what
the Service should have, and written where it differs; a write that fails is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from kube.cache import Delta
from kube.client import Client
from kube.codec import Key
from kube.errors import KubeError, NotFound
from kube.lease import Leadership, NotLeading
from kube.model import EndpointSlice, Service, ServicePort
from kube.resource import ENDPOINT_SLICES
from router.kube.catalog import Catalog
from router.kube.intercept import Door, differs, doors_of, wanted
from router.kube.model import Fault
from router.kube.names import MANAGER, SERVICE_NAME
from router.kube.settings import KubeSettings, advertised
from router.kube.slices import leads_to_routers
from router.model import RouteKey

log = logging.getLogger(__name__)

AGAIN: Final = 1.0  # seconds until what failed is tried again
AT_ONCE: Final = 16  # Services that are written for at the same time
HOMELESS: Final = Fault(
    "NotIntercepted",
    "its calls cannot be led to the routers, since these are told neither their own Service (--kube-service) nor an address"
    " (--kube-advertise)",
)


class Interceptor:
    """`look` at every translation and `slice_changed` at every slice; `await run()` until cancelled."""

    def __init__(
        self, client: Client, catalog: Catalog, leadership: Leadership, settings: KubeSettings, port: int,
        tell: Callable[[Service, Fault], None],
    ) -> None:  # fmt: skip
        """`port`: where every router listens for traffic."""
        self._client = client
        self._catalog = catalog
        self._leadership = leadership
        self._home = Key(*settings.service.split("/")) if settings.service else Key("", "")
        self._given = [advertised(text) for text in settings.advertise]
        self._port = port
        self._tell = tell
        self._doors: dict[Key, tuple[Service, ServicePort]] = {}  # the Services that are to lead to the routers
        self._owners: dict[RouteKey, Key] = {}
        self._ours: set[Key] = set()  # Services with slices of ours
        self._dirty: set[Key] = set()
        self._homeless: set[Key] = set()  # those whose owners were told that no router's address is known
        self._something = asyncio.Event()

    def look(self, key: RouteKey) -> None:
        """A route is not as it was, or gone."""
        entry = self._catalog.entries.get(key)
        before = self._owners.pop(key, None)
        if before is not None:
            self._doors.pop(before, None)
            self._note(before)
        if entry is None or entry.translation.door is None:
            return
        owner = Key(entry.owner.metadata.namespace, entry.owner.metadata.name)
        self._owners[key] = owner
        self._doors[owner] = entry.owner, entry.translation.door
        self._note(owner)

    def slice_changed(self, delta: Delta[EndpointSlice]) -> None:
        """As Informer's handlers; after the catalog's."""
        for one in (delta.old, delta.new):
            if one is None:
                continue
            service = Key(delta.key.namespace, (one.metadata.labels or {}).get(SERVICE_NAME, ""))
            if service == self._home:
                self.look_at_all()
            if leads_to_routers(one):
                self._ours.add(service)
                self._note(service)

    def look_at_all(self) -> None:
        """This router leads from now on, or routers came or went."""
        for service in (*self._doors, *self._ours):
            self._note(service)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._something.wait()
            self._something.clear()
            dirty, self._dirty = list(self._dirty), set()
            if not self._leadership.leading:
                continue  # whoever leads sees the same; if we come to, we look at all
            for begin in range(0, len(dirty), AT_ONCE):
                await asyncio.gather(*map(self._settle, dirty[begin : begin + AT_ONCE]))
            if self._dirty:
                await asyncio.sleep(AGAIN)

    def _note(self, service: Key) -> None:
        self._dirty.add(service)
        self._something.set()

    async def _settle(self, service: Key) -> None:
        try:
            async with self._leadership.writing():
                await self._write(service)
        except NotLeading as error:
            log.info("%s/%s: its EndpointSlices are left to others: %s", *service, error)
        except KubeError as error:
            log.warning("%s/%s: its EndpointSlices are not as they should be, and are tried again: %s", *service, error)
            self._note(service)

    async def _write(self, service: Key) -> None:
        seen = {one.metadata.name: one for one in self._catalog.slices(*service) if leads_to_routers(one)}
        if not seen:
            self._ours.discard(service)
        should = self._should(service)
        if should is None:
            return
        resource = ENDPOINT_SLICES.decoded_as(dict)
        for name, body in should.items():
            if name not in seen:
                whole = {**body, "metadata": {**body["metadata"], "name": name}}
                await self._client.create(resource, whole, service.namespace, MANAGER)
            elif differs(seen[name], body):
                await self._client.merge(resource, name, body, service.namespace, manager=MANAGER)
        for name in seen.keys() - should.keys():
            await self._delete(service.namespace, name)

    async def _delete(self, namespace: str, name: str) -> None:
        try:
            await self._client.delete(ENDPOINT_SLICES, name, namespace)
        except NotFound:
            pass  # the garbage collector or `cloudbase adopt --undo` was faster

    def _should(self, service: Key) -> dict[str, dict[str, Any]] | None:
        """None: they stay as they are, as no router's address is known."""
        if service not in self._doors:
            return {}
        owner, port = self._doors[service]
        doors = self._routers()
        if not doors:
            if service not in self._homeless:
                self._homeless.add(service)
                self._tell(owner, HOMELESS)
            return None
        self._homeless.discard(service)
        return wanted(owner, port, doors)

    def _routers(self) -> list[Door]:
        return self._given or doors_of(self._catalog.slices(*self._home), self._port)

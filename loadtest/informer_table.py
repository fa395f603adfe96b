"""The router's table behind the informer benchmark: routes as the router makes them, and how long an event takes to get there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from kube.cache import Delta, key_of
from kube.client import Client
from kube.informer import Informer
from kube.model import EndpointSlice, Service
from kube.resource import ENDPOINT_SLICES, SERVICES
from kube.watch import EVERYTHING, Scope
from loadtest.informer_server import STAMP
from router.kube.catalog import Catalog
from router.kube.model import Translation
from router.model import Route, RouteKey
from router.table import Table


class Place:
    """A table as router.kube.ports.Told."""

    def __init__(self) -> None:
        self.table: Table[object] = Table()

    def put(self, route: Route) -> None:
        self.table.put(route, time.monotonic())

    def remove(self, key: RouteKey) -> None:
        self.table.remove(key, time.monotonic())

    def in_flight(self, key: RouteKey, revision: str, address: str = "") -> int:
        return 0

    def starting(self, yes: bool) -> None: ...

    def scheduled(self, key: RouteKey) -> None: ...

    def routes(self, keys: Iterable[RouteKey]) -> dict[RouteKey, Route]:
        """What it has for these."""
        return {key: live.route for key in keys if (live := self.table.get(key)) is not None}


class Tabled:
    """Catalog and table behind two informers; `delays` of stamped slices, in seconds from stored to routed."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.place = Place()
        self.catalog = Catalog(
            self.place, lambda service, fault: None, asyncio.get_running_loop().call_later, 10.0, self._changed
        )

    def follow(self, services: Informer[Service], slices: Informer[EndpointSlice]) -> None:
        """Take over everything that is known, and every change from now on."""
        services.subscribe(self.catalog.service_changed)
        slices.subscribe(self.catalog.slice_changed)
        self.catalog.complete()

    async def wrong(self, client: Client) -> list[RouteKey]:
        """Routes that are not as a table made of a fresh list has them."""
        theirs = await fresh_routes(client)
        keys = self.catalog.entries.keys() | theirs.keys()
        mine = self.place.routes(keys)
        return [key for key in keys if mine.get(key) != theirs.get(key)]

    def _changed(self, key: RouteKey, translation: Translation | None) -> None:
        now = time.monotonic()
        for one in self.catalog.slices("default", key.name):
            stamp = float((one.metadata.annotations or {}).get(STAMP, 0))
            if stamp:
                self.delays.append(now - stamp)


async def fresh_routes(client: Client, scope: Scope = EVERYTHING) -> dict[RouteKey, Route]:
    """What a table has that is made of a list of this moment."""
    fresh = Tabled()
    for service in await client.list(SERVICES, scope):
        fresh.catalog.service_changed(Delta("added", key_of(service), None, service))
    for one in await client.list(ENDPOINT_SLICES, scope):
        fresh.catalog.slice_changed(Delta("added", key_of(one), None, one))
    fresh.catalog.complete()
    return fresh.place.routes(fresh.catalog.entries)

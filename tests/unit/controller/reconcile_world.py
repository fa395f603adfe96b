"""A reconciler with a world in memory around it, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from controller.memory import MemoryFunctionStore, MemorySourceStore
from controller.model import Condition, Function
from controller.plan import Rules
from controller.reconcile import Reconciler
from router.model import Route, RouteKey
from tests.shared.controller_world import VirtualLoop, WorldBuilder, WorldDeployer, WorldRoutes

KEY = RouteKey("*", "default", "hello")


@dataclass
class World:
    store: MemoryFunctionStore
    builder: WorldBuilder
    deployer: WorldDeployer
    routes: WorldRoutes
    reconciler: Reconciler

    @property
    def function(self) -> Function:
        found = self.store.get("default", "hello")
        assert found
        return found

    @property
    def route(self) -> Route:
        return self.routes.table[KEY]

    def condition(self, kind: str) -> Condition:
        return next(each for each in self.function.status.conditions if each.type == kind)

    def names(self) -> list[str]:
        """Revisions that run, once per replica."""
        return sorted(each.revision for each in self.deployer.observe("default", "hello"))


@contextlib.asynccontextmanager
async def world(
    loop: VirtualLoop, store: MemoryFunctionStore | None = None, builds: int = 2, rules: Rules | None = None
) -> AsyncIterator[World]:
    store = store or MemoryFunctionStore(loop.wall)
    builder, deployer, routes = WorldBuilder(), WorldDeployer(), WorldRoutes()
    reconciler = Reconciler(store, builder, deployer, routes, MemorySourceStore(), rules=rules, builds=builds, clock=loop.wall)
    task = asyncio.create_task(reconciler.run())
    try:
        yield World(store, builder, deployer, routes, reconciler)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

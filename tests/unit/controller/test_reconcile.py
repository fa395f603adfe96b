"""The reconciler, from a document to a route and back, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from controller_world import VirtualLoop, WorldBuilder, WorldDeployer, WorldRoutes, run, spec

from controller.memory import MemoryFunctionStore, MemorySourceStore
from controller.model import Condition, Function
from controller.reconcile import Reconciler
from router.model import Route, RouteKey

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
async def world(loop: VirtualLoop, store: MemoryFunctionStore | None = None, builds: int = 2) -> AsyncIterator[World]:
    store = store or MemoryFunctionStore(loop.wall)
    builder, deployer, routes = WorldBuilder(), WorldDeployer(), WorldRoutes()
    reconciler = Reconciler(store, builder, deployer, routes, MemorySourceStore(), builds=builds, clock=loop.wall)
    task = asyncio.create_task(reconciler.run())
    try:
        yield World(store, builder, deployer, routes, reconciler)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_a_new_function_is_built_started_and_routed() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            w.store.apply("default", "hello", spec())
            await asyncio.sleep(0.01)
            (backend,) = w.route.backends
            assert (backend.revision, len(backend.endpoints), backend.weight) == ("hello-00001", 1, 100)
            assert w.function.status.revision == "hello-00001"
            assert w.function.status.url == "http://127.0.0.1:8080/fn/hello"
            assert [each.status for each in w.function.status.conditions] == ["True"] * 4
            told = [(event.type, event.reason) for event in w.reconciler.progress.history(("default", "hello"))]
            assert ("Build", "Output") in told
            assert told[-1] == ("Ready", "Ready")

    run(test)


def test_it_goes_to_zero_when_asked_and_comes_back_when_woken() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            w.store.apply("default", "hello", spec())
            await asyncio.sleep(0.01)
            w.reconciler.scale_to(KEY, 0, "idle")
            await asyncio.sleep(0.01)
            assert (w.names(), w.route.backends[0].endpoints) == ([], ())
            assert w.condition("Ready").status == "True"
            w.reconciler.wake(KEY)
            await asyncio.sleep(0.01)
            assert w.names() == ["hello-00001"]
            assert len(w.route.backends[0].endpoints) == 1

    run(test)

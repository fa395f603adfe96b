"""A small world for the controller: routes, builder and deployer that live in memory and do what the test tells them."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import replace

from controller.model import Function, FunctionSpec, Revision, Scaling
from controller.ports import BuildResult, LogLine, Replica
from router.model import Route, RouteKey

START = 1_750_000_000.0  # unix seconds: when every test begins


def spec(source: str = "a", **fields: object) -> FunctionSpec:
    """A valid spec of the source that `source` stands for."""
    return FunctionSpec(runtime="node", source=f"sha256:{source:0>64}", **{"scaling": Scaling(), **fields})  # type: ignore[arg-type]


class WorldRoutes:
    """controller.ports.Published that remembers every route that was ever put."""

    def __init__(self) -> None:
        self.table: dict[RouteKey, Route] = {}
        self.past: list[Route] = []
        self.busy: dict[tuple[str, str], int] = {}  # (revision, address) -> requests

    def get(self, key: RouteKey) -> Route | None:
        return self.table.get(key)

    async def publish(self, route: Route) -> None:
        self.table[route.key] = route
        self.past.append(route)

    def path(self, key: RouteKey) -> str:
        return f"/fn/{key}"

    async def withdraw(self, key: RouteKey) -> None:
        self.table.pop(key, None)

    def in_flight(self, key: RouteKey, revision: str, address: str) -> int:
        return self.busy.get((revision, address), 0)


class WorldBuilder:
    """Builder whose results are set per source; without one a build succeeds."""

    def __init__(self) -> None:
        self.results: dict[str, BuildResult] = {}
        self.built: list[str] = []
        self.cancelled: list[str] = []
        self.open = asyncio.Event()  # builds end only while it is set
        self.open.set()
        self.running = 0
        self.most = 0  # that ran at a time
        self.kept: set[str] = set()
        self.settled: list[str] = []  # leftovers

    async def build(self, function: Function, progress: Callable[[str], None]) -> BuildResult:
        source = function.spec.source[-1]
        self.built.append(source)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            progress(f"building {source}")
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.append(source)
            raise
        finally:
            self.running -= 1
        return self.results.get(source) or BuildResult(artifact=f"sha256:artifact-{source}")

    async def settle(self, leftover: str) -> None:
        self.settled.append(leftover)

    async def prune(self, keep: Collection[str]) -> int:
        self.kept = set(keep)
        return 0


class WorldDeployer:
    """Deployer whose replicas become ready by themselves, unless their artifact is one of the `broken`."""

    def __init__(self) -> None:
        self.replicas: dict[tuple[str, str], list[Replica]] = {}
        self.broken: set[str] = set()
        self.calls: list[tuple[str, int, tuple[str, ...]]] = []  # ensure(revision, replicas, leaving)
        self.retired: list[str] = []
        self.forgotten: list[tuple[str, str]] = []
        self.fails = 0  # calls of ensure that will raise
        self.stop_at_once = True
        self._watchers: list[Callable[[str, str], None]] = []
        self._serial = 0
        self._applied: dict[tuple[str, str], dict[str, int]] = {}

    async def ensure(
        self, function: Function, revision: str, artifact: str, replicas: int, leaving: Collection[str] = ()
    ) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError("no process left")
        self.calls.append((revision, replicas, tuple(leaving)))
        self._applied.setdefault((function.project, function.name), {})[revision] = replicas
        of = self.replicas.setdefault((function.project, function.name), [])
        alive = [each for each in of if each.revision == revision and not each.stopping]
        for each in sorted(alive, key=lambda each: each.name not in leaving)[: max(0, len(alive) - replicas)]:
            self._stop(of, each)
        for _ in range(replicas - len(alive)):
            self._serial += 1
            name = f"{revision}-{self._serial}"
            broken = artifact in self.broken
            message = "exited with status 1: SyntaxError: bad" if broken else ""
            of.append(
                Replica(name, revision, "" if broken else f"unix:/run/{name}.sock", not broken, 5 * broken, message, broken)
            )
        self.changed(function.project, function.name)

    async def retire(self, function: Function, revision: str) -> None:
        self.retired.append(revision)
        of = self.replicas.get((function.project, function.name), [])
        for each in [each for each in of if each.revision == revision and not each.stopping]:
            self._stop(of, each)
        self._applied.get((function.project, function.name), {}).pop(revision, None)
        self.changed(function.project, function.name)

    async def forget(self, project: str, name: str) -> None:
        self.forgotten.append((project, name))
        self._applied.pop((project, name), None)

    def observe(self, project: str, name: str) -> list[Replica]:
        return list(self.replicas.get((project, name), []))

    def applied(self, project: str, name: str) -> Mapping[str, int]:
        return dict(self._applied.get((project, name), {}))

    def remains(self, project: str, name: str) -> Collection[str]:
        return ()

    def drifted(self, function: Function, revision: Revision) -> bool:
        return False

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self._watchers.append(changed)

    async def logs(self, project: str, name: str, tail: int, follow: bool, replica: str = "") -> AsyncIterator[LogLine]:
        for number in range(tail):
            yield LogLine("2026-01-01T00:00:00.000Z", replica or f"{name}-00001-1", "stdout", f"line {number}")
        if follow:
            await asyncio.Event().wait()

    async def heard(self, project: str, name: str) -> Collection[str]:
        return {f"{name}-00001-1", *(each.name for each in self.observe(project, name))}

    def changed(self, project: str, name: str) -> None:
        for watcher in self._watchers:
            watcher(project, name)

    def _stop(self, of: list[Replica], replica: Replica) -> None:
        if self.stop_at_once:
            of.remove(replica)
        else:
            of[of.index(replica)] = replace(replica, stopping=True, ready=False)


class _Jumping(selectors.SelectSelector):
    """Does not wait: it moves the loop's time on instead."""

    jumped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits for something that never comes")
        self.jumped += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes without waiting. For tests without sockets and threads."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.jumped

    def wall(self) -> float:
        """Unix seconds."""
        return START + self.time()


def run(test: Callable[[VirtualLoop], Awaitable[None]]) -> None:
    """Run a coroutine function in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)

        async def limited() -> None:
            async with asyncio.timeout(100_000):
                await test(loop)

        runner.run(limited())

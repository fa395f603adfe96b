"""The builds of all functions: at most so many at a time, one per function; a free place goes to the project with the fewest."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import replace

from controller.actions import Build
from controller.documents import rfc3339
from controller.meters import Meters
from controller.model import BuildReport, Function
from controller.ports import Builder, BuildResult
from controller.progress import Progress

log = logging.getLogger(__name__)

Key = tuple[str, str]  # project, name
LAST_LINES = 20  # of a failed build's output that are told when they were not told as they came


class Places:
    """A limited number of places. A free one goes to the project that has the fewest, so that one with a hundred builds does not
    hold up another's first; among equals they take turns."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # in the order of their turns

    @property
    def held(self) -> int:
        """Places that somebody has."""
        return self._held.total()

    @property
    def waiting(self) -> int:
        """Those who wait for one."""
        return sum(not turn.done() for turns in self._waiting.values() for turn in turns)

    async def take(self, project: str) -> None:
        """Wait for a place; whoever has one gives it back."""
        if self._free and not self._waiting:
            self._free -= 1
            self._held[project] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(project, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(project)  # it was handed over in the moment of the cancellation
            raise

    def give_back(self, project: str) -> None:
        """Free the project's place, or hand it to the first build of the project whose turn it is."""
        self._held[project] -= 1
        if not self._held[project]:
            del self._held[project]
        while self._waiting:
            heir = min(self._waiting, key=lambda each: self._held[each])
            turns = self._waiting.pop(heir)
            turn = turns.popleft()
            if turns:
                self._waiting[heir] = turns  # behind its equals
            if not turn.done():
                self._held[heir] += 1
                turn.set_result(None)
                return
        self._free += 1


class Builds:
    """Starts and stops builds, and keeps what became of the last one of each function."""

    def __init__(
        self, builder: Builder, count: int, progress: Progress, clock: Callable[[], float], changed: Callable[[Key], None],
        meters: Meters,
    ) -> None:  # fmt: skip
        self._builder, self._progress, self._clock, self._changed, self._meters = builder, progress, clock, changed, meters
        self.places = Places(count)
        self._last: dict[Key, Build] = {}
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._still = asyncio.Lock()  # held while artifacts are collected: a build could find one that is about to go
        self._tasks: asyncio.TaskGroup

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Run builds in this group from now on."""
        self._tasks = tasks

    def get(self, key: Key) -> Build | None:
        """The last build of a function that was asked for."""
        return self._last.get(key)

    def start(self, function: Function, build_key: str, attempt: int) -> None:
        """Build the function's spec; one under way for it is stopped."""
        key, before = (function.project, function.name), self._last.get((function.project, function.name))
        self.stop(key)
        build = self._last[key] = Build(build_key, function.generation, attempt)
        run = self._run(key, function, build, before.result.leftover if before and before.result else "")
        task = self._running[key] = self._tasks.create_task(run, name=f"build {function.name}")
        task.add_done_callback(lambda _: self._running.get(key) is task and self._running.pop(key))

    def stop(self, key: Key) -> None:
        """Nobody needs the build of this function."""
        if task := self._running.pop(key, None):
            task.cancel()
        self._last.pop(key, None)

    async def stored(self, key: Key, report: BuildReport | None) -> None:
        """The status has this now: once it says how the last build failed, the builder need not keep that any longer."""
        build, failure = self._last.get(key), report.failure if report else None
        if not (build and build.result and build.result.leftover and failure):
            return
        if (failure.attempt, failure.ended_at) == (build.attempt, rfc3339(build.ended)):
            self._last[key] = replace(build, result=replace(build.result, leftover=""))
            await self._builder.settle(build.result.leftover)

    async def prune(self, keep: Collection[str]) -> int:
        """Collect artifacts that nobody references, unless a build runs: then 0, and it is for the next time."""
        async with self._still:
            if any(build.started and build.result is None for build in self._last.values()):
                return 0
            fresh = {build.result.artifact for build in self._last.values() if build.result}
            return await self._builder.prune(fresh | set(keep))

    async def _run(self, key: Key, function: Function, build: Build, leftover: str) -> None:
        asked = self._clock()
        await self.places.take(function.project)
        began = self._clock()
        self._meters.build_began(began - asked)
        try:
            async with self._still:
                build = self._keep(key, build, replace(build, started=True))
            self._tell(key, function, "Started", f"attempt {build.attempt}" if build.attempt > 1 else "")
            if leftover:  # its failure was never stored, and this try is another
                await self._builder.settle(leftover)
            result = await self._result(key, function)
        except asyncio.CancelledError:
            self._meters.build_stopped()
            raise
        finally:
            self.places.give_back(function.project)
        self._meters.build_ended(result, self._clock() - began)
        self._keep(key, build, replace(build, result=result, ended=self._clock()))
        self._report(key, function, result)

    def _keep(self, key: Key, before: Build, after: Build) -> Build:
        if self._last.get(key) is before:  # else it was stopped, and another may have begun
            self._last[key] = after
            self._changed(key)
        return after

    async def _result(self, key: Key, function: Function) -> BuildResult:
        try:
            return await self._builder.build(function, lambda line: self._tell(key, function, "Output", line))
        except Exception as error:
            # A builder that breaks is no reason to end the platform; its operator finds the stack here.
            log.exception("%s: the builder broke", function.name)
            return BuildResult(reason="BuilderFailed", message=f"the builder broke: {error}", may_pass=True)

    def _report(self, key: Key, function: Function, result: BuildResult) -> None:
        told = {event.message for event in self._progress.history(key) if event.reason == "Output"}
        for line in result.log[-LAST_LINES:]:
            if line not in told:
                self._tell(key, function, "Output", line)
        if result.artifact:
            self._tell(key, function, "Cached" if result.cached else "Succeeded", f"{result.seconds:.1f} s")
            log.info("%s: built %s in %.1f s%s", function.name, result.artifact[:19], result.seconds, " (cached)" * result.cached)
        else:
            self._tell(key, function, result.reason or "Failed", result.message)
            log.info("%s: build failed: %s", function.name, result.message)

    def _tell(self, key: Key, function: Function, reason: str, message: str) -> None:
        self._progress.tell(key, "Build", "", reason, message, function.generation)

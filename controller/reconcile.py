"""Carries out what plan asks for, for every function, again and again until it asks for nothing.

One look per function at a time, after a change or when plan asked for it; what fails is tried again after a growing pause.
It is the router's Scaler as well: what the autoscaler wants is one number per function, kept in memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from controller import plan as planning
from controller.actions import (
    Action,
    ApplyRevision,
    DropRevision,
    Forget,
    Observed,
    Plan,
    PublishRoute,
    RecordRevision,
    RemoveRoute,
    RetireRevision,
    SetStatus,
    StartBuild,
    StopBuild,
    WantReplicas,
)
from controller.builds import Builds
from controller.conditions import alike
from controller.errors import ControllerError, Passing
from controller.garbage import Garbage
from controller.meters import Meters
from controller.model import Function, FunctionStatus
from controller.plan import Rules, plan
from controller.ports import Builder, Deployer, FunctionStore, Published, SourceStore
from controller.progress import Progress
from controller.workqueue import WorkQueue
from router.model import RouteKey

log = logging.getLogger(__name__)

Key = tuple[str, str]  # project, name
PARALLEL = 16  # functions looked at at a time
INSIST = 1.0  # seconds until what was asked for without effect is asked for again


@dataclass(slots=True)
class Memory:
    """What is remembered of one function between two looks; all of it can be lost."""

    wanted: int = 0
    draining: dict[str, float] = field(default_factory=dict)
    retiring: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    trouble: str = ""  # why the last look could not do what it should
    done: Sequence[Action] = ()  # at the last look


class Reconciler:
    """Makes it so. Also implements router.ports.Scaler."""

    def __init__(
        self,
        store: FunctionStore,
        builder: Builder,
        deployer: Deployer,
        routes: Published,
        sources: SourceStore,
        *,
        rules: Rules | None = None,
        builds: int = 2,  # at a time
        clock: Callable[[], float] = time.time,  # unix seconds
    ) -> None:
        self.progress = Progress(clock)
        self.synced = asyncio.Event()  # set when every function that was stored has been looked at once
        self._store, self._deployer, self._routes = store, deployer, routes
        self._rules = rules or Rules()
        self._clock = clock
        self.meters = Meters()
        self._queue: WorkQueue[Key] = WorkQueue()
        self._since: dict[Key, float] = {}  # when a look that waits was asked for
        self._memory: dict[Key, Memory] = {}
        self.builds = Builds(builder, builds, self.progress, clock, self.look, self.meters)
        self.garbage = Garbage(store, sources, self.builds)
        self._woken = asyncio.Event()
        self._unseen: set[Key] = set()
        self._tasks: asyncio.TaskGroup
        store.watch(lambda project, name: self.look((project, name)))
        deployer.watch(lambda project, name: self.look((project, name)))

    def look(self, key: Key) -> None:
        """Have a look at a function soon."""
        self._queue.add(key)
        self._since.setdefault(key, self._clock())
        self._woken.set()

    @property
    def queue(self) -> WorkQueue[Key]:
        """Functions that wait to be looked at, or are looked at."""
        return self._queue

    @property
    def looks(self) -> int:
        """Looks that have ended."""
        return self.meters.looks.total()

    def wake(self, key: RouteKey) -> None:
        """Ask for at least one replica (router.ports.Scaler)."""
        self._want((key.project, key.name), lambda wanted: max(1, wanted))

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """Ask for this many replicas (router.ports.Scaler)."""
        self._want((key.project, key.name), lambda _: replicas)

    def wanted(self, project: str, name: str) -> int:
        """Replicas the autoscaler asked for last."""
        memory = self._memory.get((project, name))
        return memory.wanted if memory else 0

    async def run(self) -> None:
        """Work until cancelled. Replicas go on running; whoever composes the deployer stops them."""
        self._unseen = {(each.project, each.name) for each in self._store.list()}
        for each in sorted(self._unseen):
            self.look(each)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self.builds.open(self._tasks)
                self._tasks.create_task(self.garbage.run(), name="collect garbage")
                await self._work()
        finally:
            self.progress.close()

    async def _work(self) -> None:
        while True:
            self._woken.clear()
            while self._queue.working < PARALLEL and (key := self._queue.take(self._clock())):
                self._tasks.create_task(self._look(key), name=f"reconcile {key[1]}")
            if not self._unseen:
                self.synced.set()
            await self._rest()

    async def _rest(self) -> None:
        """Until something is due; the tasks that end wake this one."""
        at = self._queue.next_at()
        pause = None if at is None else max(0.0, at - self._clock())
        try:
            async with asyncio.timeout(pause):
                await self._woken.wait()
        except TimeoutError:
            pass  # it is the time that was waited for

    async def _look(self, key: Key) -> None:
        began = self._clock()
        if (since := self._since.pop(key, None)) is not None:
            self.meters.queued(began - since)
        try:
            await self._reconcile(key)
        except Exception as error:
            # Whatever a store, builder or deployer raises must not end the other functions' work.
            self.meters.looked(self._clock() - began, "error")
            pause = self._queue.failed(key, self._clock())
            log.warning(
                "%s: look failed, again in %.1f s: %s", key[1], pause, error, exc_info=not isinstance(error, ControllerError)
            )
            await self._tell_trouble(key, error)
        else:
            self.meters.looked(self._clock() - began, "success")
            self._queue.done(key)
        self._unseen.discard(key)
        self._woken.set()

    async def _reconcile(self, key: Key) -> None:
        function = self._store.get(*key)
        if function is None:
            self._memory.pop(key, None)
            return
        now = self._clock()
        memory = self._memory.setdefault(key, Memory(wanted=function.spec.scaling.min))
        todo = plan(function, self._observe(function, memory), now, self._rules)
        memory.draining = {name: memory.draining.get(name, now) for name in todo.draining}
        for action in todo.actions:
            await self._carry_out(function, memory, action)
        if memory.trouble:
            memory.trouble = ""
            self.look(key)
        self._look_again(key, memory, todo, now)

    async def _tell_trouble(self, key: Key, error: Exception) -> None:
        """Say in the status what a person has to do something about; the rest passes, or is in the log."""
        function, memory = self._store.get(*key), self._memory.get(key)
        if function is None or memory is None or isinstance(error, Passing) or not isinstance(error, ControllerError):
            return
        memory.trouble = str(error)
        try:
            for action in plan(function, self._observe(function, memory), self._clock(), self._rules).actions:
                if isinstance(action, SetStatus):
                    await self._carry_out(function, memory, action)
        except Exception as again:
            # The store is in trouble as well: the next look tells.
            log.warning("%s: its status could not be written: %s", key[1], again)

    def _look_again(self, key: Key, memory: Memory, todo: Plan, now: float) -> None:
        """At once when something new was done, which may allow the next step; later when it was only asked for again."""
        done = [action for action in todo.actions if not isinstance(action, SetStatus | Forget)]
        if any(action not in memory.done for action in done):
            self.look(key)
        elif done:
            self._queue.add_at(key, now + INSIST)
        if todo.again_at is not None:
            self._queue.add_at(key, todo.again_at)
        memory.done = done

    def _observe(self, function: Function, memory: Memory) -> Observed:
        project, name = function.project, function.name
        replicas = tuple(self._deployer.observe(project, name))
        at, revisions, applied = (
            planning.key(function),
            self._store.revisions(project, name),
            self._deployer.applied(project, name),
        )
        return Observed(
            revisions=tuple(revisions),
            build=self.builds.get((project, name)),
            replicas=replicas,
            applied=applied,
            remains=frozenset(self._deployer.remains(project, name)),
            drifted=frozenset(each.name for each in revisions if each.name in applied and self._deployer.drifted(function, each)),
            route=self._routes.get(at),
            path=self._routes.path(at),
            in_flight={each.name: self._routes.in_flight(at, each.revision, each.address) for each in replicas if each.address},
            draining=memory.draining,
            wanted=function.status.wanted if self._rules.routers_scale else memory.wanted,
            routers_scale=self._rules.routers_scale,
            trouble=memory.trouble,
        )

    async def _carry_out(self, function: Function, memory: Memory, action: Action) -> None:
        """One action. On one machine, those that change the route come before the first that really waits."""
        name = (function.project, function.name)
        match action:
            case ApplyRevision():
                await self._apply(function, action)
            case RetireRevision():
                self._retire(function, memory, action.revision)
            case PublishRoute():
                await self._routes.publish(action.route)
            case RemoveRoute():
                await self._routes.withdraw(planning.key(function))
            case StartBuild():
                self.builds.start(function, action.key, action.attempt)
            case StopBuild():
                self.builds.stop(name)
            case WantReplicas():
                memory.wanted = max(memory.wanted, action.replicas)
            case _:
                await self._write(function, action)

    async def _write(self, function: Function, action: RecordRevision | DropRevision | SetStatus | Forget) -> None:
        """One action that only concerns the store."""
        project, name = function.project, function.name
        match action:
            case RecordRevision(revision):
                await self._store.put_revision(project, name, revision)
            case DropRevision(revision):
                await self._store.drop_revision(project, name, revision)
            case SetStatus(status):
                await self._store.set_status(project, name, status)
                await self.builds.stored((project, name), status.build)
                self._report(function, status)  # afterwards: whoever hears of it looks at what is stored
            case Forget():
                await self._forget(function)

    async def _apply(self, function: Function, action: ApplyRevision) -> None:
        revision = action.revision
        own = replace(function, spec=revision.spec)
        await self._deployer.ensure(own, revision.name, revision.artifact, action.replicas, action.leaving)

    def _retire(self, function: Function, memory: Memory, revision: str) -> None:
        """Stop a revision in the background: its grace must not hold up the function's other revisions."""
        if revision not in memory.retiring:
            task = self._tasks.create_task(self._retired(function, memory, revision), name=f"retire {revision}")
            memory.retiring[revision] = task

    async def _retired(self, function: Function, memory: Memory, revision: str) -> None:
        name = (function.project, function.name)
        try:
            await self._deployer.retire(function, revision)
        except Exception as error:
            # The deployer has it still, so the next look retires it again.
            log.warning("%s: %s could not be retired, it is tried again: %s", function.name, revision, error, exc_info=True)
            self._queue.add_at(name, self._clock() + INSIST)
        else:
            self.look(name)
        finally:
            memory.retiring.pop(revision, None)

    def _report(self, function: Function, status: FunctionStatus) -> None:
        """Tell the conditions that say something new; the log has Ready's, not how far a crash loop has counted."""
        before = {each.type: each for each in function.status.conditions}
        for each in status.conditions:
            renewed = each.type == "Ready" and status.observed_generation != function.status.observed_generation
            if renewed or each != before.get(each.type):
                about = (each.type, each.status, each.reason, each.message)
                self.progress.tell((function.project, function.name), *about, status.observed_generation)
                news = each.type == "Ready" and (renewed or not alike(before.get(each.type), each))
                log.log(logging.INFO if news else logging.DEBUG, "%s: %s is %s (%s: %s)", function.name, *about)

    async def _forget(self, function: Function) -> None:
        name = (function.project, function.name)
        await self._store.remove(*name)
        self._memory.pop(name, None)
        self.builds.stop(name)
        self.progress.tell(name, "Deleted", "True", "Deleted", "the function is gone", function.generation)
        self.progress.end(name)
        self.garbage.left()
        self._tasks.create_task(self._clear(*name), name=f"forget {function.name}")
        log.info("%s: deleted", function.name)

    async def _clear(self, project: str, name: str) -> None:
        try:
            await self._deployer.forget(project, name)
        except Exception as error:
            # Logs that stay behind harm nobody.
            log.warning("%s: its logs could not be removed: %s", name, error, exc_info=True)

    def _want(self, name: Key, change: Callable[[int], int]) -> None:
        memory = self._memory.get(name)
        if memory is None:
            return
        wanted = change(memory.wanted)
        if wanted != memory.wanted:
            memory.wanted = wanted
            self.look(name)

"""Runs replicas of functions as child processes of the platform: the port `controller.ports.Deployer` on one machine."""

from __future__ import annotations

import asyncio
import logging
import random
import subprocess
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from controller import quantity
from controller.local import cpu, launch, memory, orphans
from controller.local.artifacts import Artifacts
from controller.local.journal import Journal
from controller.local.logfile import LogFolder
from controller.local.orphans import Ledger
from controller.local.replica import Supervised, Surroundings
from controller.model import Function, Revision
from controller.ports import LogLine, Replica

log = logging.getLogger(__name__)

MEMORY_EVERY = 0.5  # seconds between looks at the replicas' memory
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' for generated names: no words come out by chance

Key = tuple[str, str]  # project, name
Changed = Callable[[str, str], None]


class LocalDeployer:
    """All replicas of all functions of one data folder. `start` before anything else, `close` at the end."""

    def __init__(
        self,
        data: Path,
        *,
        env: Mapping[str, str],
        launcher: launch.Launcher = launch.launch,
        start_timeout: float = 60.0,
        grace: float = 30.0,
    ) -> None:
        """`env` is the platform's environment, of which functions get the harmless part; the times are in seconds."""
        self._data = data.resolve()
        self._env = {**env, **orphans.marker(data)}
        self._launcher = launcher
        self._start_timeout, self._grace = start_timeout, grace
        self._artifacts = Artifacts(self._data)
        self._functions: dict[Key, _Replicas] = {}
        self._watchers: list[Changed] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(self) -> list[int]:
        """End what an earlier platform of this folder left behind; returns its pids. Only for who holds the folder's lock."""
        self._data.mkdir(parents=True, exist_ok=True)
        ended = await asyncio.to_thread(orphans.sweep, self._data)
        owner = orphans.marker(self._data)[orphans.MARKER]
        self._cpu = await asyncio.to_thread(cpu.find, owner[:8])
        self._shared = Surroundings(Ledger(self._data / "pids"), self._start_timeout, self._grace, self._cpu)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._watch_memory = asyncio.create_task(self._end_gluttons(), name="memory")
        return ended

    async def ensure(
        self, function: Function, revision: str, artifact: str, replicas: int, leaving: Collection[str] = ()
    ) -> None:
        """See the port. Those that go are the `leaving`, then ones that are not ready, then the youngest."""
        known = self._replicas(function.project, function.name)
        known.applied[revision] = replicas
        staying = known.staying(revision)
        for _ in range(0 if self._closing else replicas - len(staying)):
            self._add(function, revision, artifact, known)
        for replica in _leavers(staying, len(staying) - replicas, leaving):
            replica.stop()

    async def retire(self, function: Function, revision: str) -> None:
        """See the port. Returns when their processes are gone; `observe` shows them as stopping meanwhile."""
        known = self._replicas(function.project, function.name)
        await asyncio.gather(*(asyncio.shield(replica.stop()) for replica in known.of(revision)))
        known.applied.pop(revision, None)

    async def forget(self, project: str, name: str) -> None:
        """Drop the logs of a function that is gone, when its last process has ended; those who follow it come to the end."""
        known = self._replicas(project, name)
        await asyncio.gather(*(asyncio.shield(replica.stop()) for replica in known.all))
        if self._functions.get((project, name)) is known and not known.all:  # else it was made anew meanwhile
            del self._functions[project, name]
            await known.journal.close(delete=True)

    def observe(self, project: str, name: str) -> list[Replica]:
        known = self._functions.get((project, name))
        return [replica.seen for replica in known.all] if known else []

    def applied(self, project: str, name: str) -> Mapping[str, int]:
        known = self._functions.get((project, name))
        return dict(known.applied) if known else {}

    def remains(self, project: str, name: str) -> Collection[str]:
        return ()  # a process leaves nothing

    def drifted(self, function: Function, revision: Revision) -> bool:
        return False  # nobody else can change a process

    def watch(self, changed: Changed) -> None:
        self._watchers.append(changed)

    def logs(self, project: str, name: str, tail: int, follow: bool, replica: str = "") -> AsyncIterator[LogLine]:
        return self._replicas(project, name).journal.read(tail, follow, replica)

    async def heard(self, project: str, name: str) -> Collection[str]:
        known = self._replicas(project, name)
        return {replica.seen.name for replica in known.all} | await known.journal.replicas()

    async def close(self) -> None:
        """End every process (SIGTERM, grace, SIGKILL), and write what they said to the end."""
        self._closing = True
        for known in self._functions.values():
            for replica in known.all:
                replica.stop()
        self._watch_memory.cancel()
        await asyncio.wait([self._watch_memory, *self._tasks])
        for known in self._functions.values():
            await known.journal.close()
        self._disk.shutdown()
        if self._cpu:
            await asyncio.to_thread(self._cpu.remove)

    def _replicas(self, project: str, name: str) -> _Replicas:
        if (project, name) not in self._functions:
            known = _Replicas()
            folder = LogFolder(self._data / "logs" / _folder(project, name))
            known.journal = Journal(folder, self._disk, known.pause_output)
            self._functions[project, name] = known
        return self._functions[project, name]

    def _add(self, function: Function, revision: str, artifact: str, known: _Replicas) -> None:
        short = "".join(random.choices(_LETTERS, k=5))
        folder = _folder(function.project, function.name)
        replica = Supervised(
            f"{revision}-{short}",
            revision,
            launch=partial(self._launcher, function, revision, self._artifacts.app(artifact), self._env),
            place=lambda start: launch.place(self._data / "run", folder, f"{short}{start or ''}"),
            journal=known.journal,
            shared=self._shared,
            changed=lambda: self._tell(function.project, function.name),
        )
        replica.memory_limit = quantity.memory_bytes(function.spec.resources.memory)
        replica.cpu_limit = quantity.cpus(function.spec.resources.cpu)
        known.all.append(replica)
        self._tasks.add(replica.task)
        replica.task.add_done_callback(lambda task: self._gone(function, known, replica, task))
        self._tell(function.project, function.name)

    def _gone(self, function: Function, known: _Replicas, replica: Supervised, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        known.all.remove(replica)
        self._tell(function.project, function.name)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s: its supervision broke", replica.seen.name, exc_info=error)

    def _tell(self, project: str, name: str) -> None:
        for watcher in self._watchers:
            watcher(project, name)

    async def _end_gluttons(self) -> None:
        """Kill replicas beyond their memory, as the kernel does it in a cgroup; they start again and may be a crash loop."""
        while True:
            await asyncio.sleep(MEMORY_EVERY)
            running = {replica.pid: replica for known in self._functions.values() for replica in known.all if replica.pid}
            try:
                resident = await asyncio.to_thread(memory.resident, list(running)) if running else {}
            except (OSError, ValueError, subprocess.SubprocessError) as error:  # ps may fail; the watch must go on
                log.warning("the memory of replicas cannot be read: %s", error)
                continue
            for pid, used in resident.items():
                _end_glutton(running[pid], pid, used)


def _end_glutton(replica: Supervised, pid: int, used: int) -> None:
    """Kill the process that used so many bytes, if that is too many and it is still there."""
    limit = replica.memory_limit
    if replica.pid == pid and used > limit > 0:
        replica.kill(f"used {used >> 20} MiB of memory, {limit >> 20} MiB are its limit: raise resources.memory or find the leak")


class _Replicas:
    """The replicas of one function, oldest first, and its log."""

    journal: Journal

    def __init__(self) -> None:
        self.all: list[Supervised] = []
        self.applied: dict[str, int] = {}  # revision -> replicas asked for

    def of(self, revision: str) -> list[Supervised]:
        return [replica for replica in self.all if replica.seen.revision == revision]

    def staying(self, revision: str) -> list[Supervised]:
        return [replica for replica in self.of(revision) if not replica.seen.stopping]

    def pause_output(self, pause: bool) -> None:
        for replica in self.all:
            replica.pause_output(pause)


def _leavers(staying: Sequence[Supervised], count: int, leaving: Collection[str]) -> list[Supervised]:
    """Which `count` replicas go; `staying` has the oldest first, and the oldest are the warmest."""
    youngest_first = reversed(staying)
    order = sorted(youngest_first, key=lambda replica: (replica.seen.name not in leaving, replica.seen.ready))
    return order[: max(count, 0)]


def _folder(project: str, name: str) -> str:
    """The name of a function in paths and in URLs: a name is a DNS label, so the dot is unambiguous."""
    return name if project == "default" else f"{name}.{project}"

"""One replica: its process started, learned to be ready, watched, started again when it crashes, and ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from controller.local.cpu import CpuGroups
from controller.local.journal import Journal
from controller.local.launch import Launch, Place
from controller.local.orphans import Ledger
from controller.local.processes import Child, Lifeline, describe, spawn
from controller.local.ready import ReadyPipe, StartFailed, listening
from controller.local.restart import Crashes
from controller.local.toolchain import RuntimeUnavailable
from controller.ports import Replica
from runtimes.catalog import EXIT_REASONS

_WORDS = 20  # lines of stderr of which the last one with text is shown
_WIND_UP = 5.0  # seconds for a process that said it has failed to end by itself


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all replicas of a deployer share."""

    ledger: Ledger
    start_timeout: float  # seconds from start to ready
    grace: float  # seconds from SIGTERM to SIGKILL
    cpu: CpuGroups | None = None  # None: CPU time cannot be limited here


class Supervised:
    """A replica and the task that keeps it running from now on. `seen` is what `observe` reports."""

    def __init__(
        self,
        name: str,
        revision: str,
        *,
        launch: Callable[[], Launch],
        place: Callable[[int], Place],  # of the nth start
        journal: Journal,
        shared: Surroundings,
        changed: Callable[[], None],  # called when `seen` differs
    ) -> None:
        self.seen = Replica(name, revision)
        self.memory_limit = 0  # bytes; 0 = none
        self.cpu_limit = 0.0  # CPUs; 0 = none
        self._launch, self._place, self._journal, self._shared, self._changed = launch, place, journal, shared, changed
        self._child: Child | None = None
        self._crashes = Crashes()
        self._words: deque[str] = deque(maxlen=_WORDS)
        self._verdict = ""  # why we ended it ourselves
        self._stop = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name=f"replica {name}")

    def stop(self) -> asyncio.Task[None]:
        """Report it as stopping, and then end its process (SIGTERM, grace, SIGKILL). The task ends when that is gone."""
        if not self._stop.is_set():
            self._see(stopping=True, ready=False)
            self._stop.set()
        return self.task

    def kill(self, why: str) -> None:
        """End the process at once; it counts as a crash for this reason."""
        if self._child is not None and not self._child.exited.done():
            self._verdict = why
            self._child.signal(signal.SIGKILL)

    @property
    def pid(self) -> int:
        """Of the running process; 0 = none."""
        return self._child.pid if self._child is not None and not self._child.exited.done() else 0

    def pause_output(self, pause: bool) -> None:
        if self._child is not None:
            (self._child.pause if pause else self._child.resume)()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            ready_at, why = await self._live()
            if self._stop.is_set():
                break
            self._crashes = self._crashes.after(loop.time() - ready_at if ready_at else 0.0)
            self._report_crash(why)
            if self._crashes.pause:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), self._crashes.pause)

    async def _live(self) -> tuple[float, str]:
        """One process from its start to its end: (loop time when it was ready, or 0; why it ended)."""
        self._words.clear()
        self._verdict = ""
        try:
            launch = self._launch()
            if not launch.cwd.is_dir():
                return 0.0, f"cannot be started: its build is gone from {launch.cwd}: deploy the function again"
            where = self._place(self.seen.restarts)
            with ReadyPipe() as pipe, Lifeline() as lifeline:
                child = await self._spawn(launch, where, pipe, lifeline)
                try:
                    return await self._attend(child, pipe)
                finally:
                    await self._bury(child, where)
        except (OSError, RuntimeUnavailable) as error:
            return 0.0, f"cannot be started: {error}"

    async def _spawn(self, launch: Launch, where: Place, pipe: ReadyPipe, lifeline: Lifeline) -> Child:
        env = {
            **launch.env,
            "PORT": str(where.port),
            "CLOUDBASE_PARENT_FD": str(lifeline.read_end),
            "CLOUDBASE_READY_FD": str(pipe.write_end),
        }
        if where.path is not None:
            env["CLOUDBASE_SOCKET"] = str(where.path)
        write = self._journal.writer(self.seen.name)

        def hear(stream: str, content: bytes) -> None:
            lines = write(stream, content)
            if stream == "stderr":
                self._words.extend(lines)

        fds = (lifeline.read_end, pipe.write_end)
        child = await spawn(launch.arguments, output=hear, cwd=launch.cwd, env=env, inherit=fds)
        self._child = child
        pipe.hand_over()
        lifeline.hand_over()
        self._shared.ledger.add(child.pid)
        return child

    async def _attend(self, child: Child, pipe: ReadyPipe) -> tuple[float, str]:
        starting = asyncio.create_task(listening(pipe))
        stopping = asyncio.create_task(self._stop.wait())
        told: list[asyncio.Future[Any]] = [stopping, child.exited]
        ready_at = 0.0
        failed: str | None = ""
        try:
            await asyncio.wait([starting, *told], timeout=self._shared.start_timeout, return_when=asyncio.FIRST_COMPLETED)
            if starting.done() and (failed := _failure(starting)) is None:
                ready_at = asyncio.get_running_loop().time()
                self._see(ready=not self._stop.is_set(), address=starting.result(), message="", crash_loop=False)
                await self._limit_cpu(child)
                await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
            winding_up = _WIND_UP if starting.done() and not ready_at else 0.0
            await self._end(child, winding_up, failed or f"did not tell within {self._shared.start_timeout:g} s that it listens")
        finally:
            starting.cancel()
            stopping.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
        code = await child.wait()
        return ready_at, self._verdict or (f"{describe(code)}: {failed}" if failed else self._last_words(code))

    async def _limit_cpu(self, child: Child) -> None:
        """From ready on, not before: the start is a cold start for someone, and a change of cgroup holds up every fork."""
        cores = os.cpu_count() or 1
        if self._shared.cpu is not None and 0 < self.cpu_limit < cores and not child.exited.done():
            await asyncio.to_thread(self._shared.cpu.limit, self.seen.name, child.pid, self.cpu_limit)

    async def _end(self, child: Child, winding_up: float, trouble: str) -> None:
        """Have the process end: in order when it was told to stop, within seconds when there is trouble with its start."""
        if child.exited.done():
            return
        if self._stop.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)  # the leader alone: a runtime passes it on to a program it started
            await asyncio.wait({child.exited}, timeout=self._shared.grace)
        else:
            await asyncio.wait({child.exited}, timeout=winding_up)
        if not child.exited.done():
            self._verdict = trouble
            child.signal(signal.SIGKILL)

    async def _bury(self, child: Child, where: Place) -> None:
        await asyncio.shield(child.close())
        self._child = None
        self._shared.ledger.remove(child.pid)
        if self._shared.cpu is not None:
            self._shared.cpu.drop(self.seen.name)
        if where.path is not None:
            where.path.unlink(missing_ok=True)

    def _last_words(self, code: int) -> str:
        """ "exited with status 82: MissingDependency: …", from the exit code and the last line on stderr."""
        last = next((line for line in reversed(self._words) if line.strip()), "")
        reason = EXIT_REASONS.get(code, "")
        said = last.strip().removeprefix("cloudbase: ")
        if reason and not said.startswith(reason):
            said = f"{reason}: {said}" if said else reason
        return f"{describe(code)}: {said}" if said else describe(code)

    def _report_crash(self, why: str) -> None:
        pause = self._crashes.pause
        if pause:
            why = f"{why} ({self._crashes.count} times in a row, next start in {pause:.1f} s)"
        self._see(ready=False, address="", restarts=self.seen.restarts + 1, message=why, crash_loop=self._crashes.loop)

    def _see(self, **facts: Any) -> None:
        seen = replace(self.seen, **facts)
        if seen != self.seen:
            self.seen = seen
            self._changed()


def _failure(starting: asyncio.Task[str]) -> str | None:
    """What went wrong with a start that is over, as far as it was told; None = nothing."""
    error = starting.exception()
    if error is None:
        return None
    if isinstance(error, EOFError):  # its end; the exit code and the last words say more
        return ""
    if isinstance(error, StartFailed | ValueError):
        return str(error)
    raise error

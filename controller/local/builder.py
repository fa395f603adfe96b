"""Builds functions on this machine: source -> `builds/<digest>/`, never twice for the same source, runtime and entry."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path

from controller.laps import Laps
from controller.local import artifacts, dependencies, orphans, toolchain
from controller.local.artifacts import Artifacts, Note, SourceMissing
from controller.local.entry import entry_file
from controller.local.failures import BuildFailed, explain
from controller.local.lines import LineSplitter
from controller.local.processes import describe, spawn
from controller.local.steps import Step, steps_for, warnings_for
from controller.local.toolchain import RuntimeUnavailable, Toolchain
from controller.model import Function
from controller.ports import BuildResult
from controller.shared_builds import LOG_LINES, Progress, SharedBuilds, Told
from runtimes.catalog import RUNTIMES

VERSION = "1"  # of what is made of a source: raise it, and everything is built anew
MAY_PASS = frozenset({"RegistryUnavailable", "Timeout", "DiskFull"})  # failures that another try may not meet
_REASONS: dict[type[Exception], str] = {RuntimeUnavailable: "RuntimeUnavailable", SourceMissing: "SourceMissing"}


class LocalBuilder:
    """The port `controller.ports.Builder` over a data folder."""

    def __init__(self, data: Path, *, env: Mapping[str, str], timeout: float = 600.0) -> None:
        """`env` is what build commands start from (registry settings, proxies); `timeout` in seconds, for the whole build."""
        self._artifacts = Artifacts(data.resolve())
        self._caches = data.resolve() / "cache"
        self._env = dict(env)
        self._timeout = timeout
        self._marker = orphans.marker(data)
        self._shared = SharedBuilds()
        self._artifacts.sweep()

    async def build(self, function: Function, progress: Progress) -> BuildResult:
        """Build the function's source, join the build of it that is under way, or find it done. A failed build is a result."""
        began = time.monotonic()
        spec = function.spec
        try:
            tools = await asyncio.to_thread(toolchain.find, spec.runtime)
        except RuntimeUnavailable as error:
            return BuildResult(reason="RuntimeUnavailable", message=str(error))
        digest = artifacts.digest(VERSION, spec.source, tools.runtime, tools.version, spec.entry)
        if digest not in self._shared and (note := self._artifacts.note(digest)):
            progress("built before, nothing to do")
            return BuildResult(artifact=digest, log=note.log, seconds=time.monotonic() - began, cached=True)
        return await self._shared.join(
            digest, lambda told: self._run(_Build(digest, spec.source, spec.entry, tools, told)), progress
        )

    async def settle(self, leftover: str) -> None:
        """Nothing is kept of a failed build: a start of the platform is a new try."""

    async def prune(self, keep: Collection[str]) -> int:
        """Delete the artifacts that are not in `keep`; returns how many. Those being made are not artifacts yet."""
        return len(await asyncio.to_thread(self._artifacts.keep, set(keep) | self._shared.keys()))

    async def _run(self, build: _Build) -> BuildResult:
        began = time.monotonic()
        folder: Path | None = None
        try:
            async with asyncio.timeout(self._timeout):
                folder = await asyncio.to_thread(self._artifacts.unpack, build.source)
                await self._steps(build, folder)
                await asyncio.to_thread(self._publish, build, folder, time.monotonic() - began)
                folder = None
        except (BuildFailed, RuntimeUnavailable, SourceMissing, TimeoutError, OSError) as error:
            return _failed(error, build, time.monotonic() - began, self._timeout)
        finally:
            if folder is not None:
                await asyncio.shield(asyncio.to_thread(self._artifacts.discard, folder))
        now, lines = time.monotonic(), tuple(build.told.log)
        return BuildResult(artifact=build.digest, log=lines, seconds=now - began, steps=build.laps.stop(now))

    def _publish(self, build: _Build, folder: Path, seconds: float) -> None:
        note = Note(
            source=build.source,
            runtime=build.tools.runtime,
            toolchain=build.tools.version,
            entry=build.found,
            seconds=seconds,
            log=tuple(build.told.log),
            dependencies=build.dependencies if dependencies.plain(build.packages(folder / "app"), build.tools.runtime) else "",
            installed=build.installed,
        )
        self._artifacts.publish(folder, build.digest, note)

    async def _steps(self, build: _Build, folder: Path) -> None:
        app = folder / "app"
        build.found = entry_file(app, build.tools.runtime, build.entry)
        for warning in warnings_for(app, build.tools.runtime):
            build.told.say(warning)
        for step in steps_for(app, build.found, build.tools, self._caches):
            build.step = step.name
            build.laps.turn(step.kind, time.monotonic())
            if not (step.kind == "dependencies" and await self._taken(build, app)):
                await self._step(build, step, app)

    async def _taken(self, build: _Build, app: Path) -> bool:
        """Whether the dependencies could be copied from an artifact that has the same. Else they are to be installed."""
        build.dependencies = await asyncio.to_thread(dependencies.key, app, build.tools, self._env)
        build.installed = time.time()
        lender = build.dependencies and await asyncio.to_thread(
            self._artifacts.lender, build.dependencies, build.installed - dependencies.FRESH
        )
        if not lender:
            return False
        packages = build.packages(app)
        copying = ("cp", "-pPR", str(build.packages(self._artifacts.app(lender))), str(packages))
        try:
            whole = await self._step(build, Step("dependencies as before", copying, optional=True), app)
        except OSError:  # there is no `cp`
            return False
        note = self._artifacts.note(lender)  # None: it was pruned meanwhile, and what was copied may not be all
        if whole and note:
            build.installed = note.installed
            return True
        await asyncio.to_thread(self._artifacts.discard, packages)
        return False

    def _environment(self, tools: Toolchain, step: Step, scratch: Path) -> dict[str, str]:
        """What install scripts call is what runs the function: its program comes first on the PATH.

        Temporary files lie beside what is built: nothing is written outside the data folder, and pip moves what it has
        unpacked there instead of copying it from another disk.
        """
        path = [str(Path(tools.program[0]).parent), self._env.get("PATH", os.defpath)]
        temporary = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(scratch))
        return {**self._env, **self._marker, **temporary, **step.env, "PATH": os.pathsep.join(path)}

    async def _step(self, build: _Build, step: Step, app: Path) -> bool:
        """Whether it was done; False only of an optional one. Raises BuildFailed."""
        build.told.say(f"{step.name} …")
        written: deque[str] = deque(maxlen=LOG_LINES)
        splitter = LineSplitter()

        def hear(stream: str, content: bytes) -> None:
            for line in splitter.feed(stream, content) if content else splitter.end(stream):
                written.append(line)
                if not step.optional:
                    build.told.say(line)

        child = await spawn(
            step.arguments, output=hear, cwd=app, env=self._environment(build.tools, step, app.parent / artifacts.SCRATCH)
        )
        try:
            code = await child.wait()
        finally:
            await asyncio.shield(child.close())
        if code and not step.optional:
            raise explain(step.name, describe(code), list(written))
        return not code


class _Build:
    """One build under way."""

    def __init__(self, digest: str, source: str, entry: str, tools: Toolchain, told: Told) -> None:
        self.digest, self.source, self.entry, self.tools, self.told = digest, source, entry, tools, told
        self.found = ""  # the entry, once the source is unpacked
        self.step = "unpack"
        self.laps = Laps("unpack", time.monotonic())
        self.dependencies, self.installed = "", 0.0  # as in artifacts.Note

    def packages(self, app: Path) -> Path:
        """Where dependencies go in a function's folder."""
        return app / RUNTIMES[self.tools.runtime].packages


def _failed(error: Exception, build: _Build, seconds: float, limit: float) -> BuildResult:
    """A failure as the port tells it."""
    message = str(error)
    if isinstance(error, BuildFailed):
        reason = error.reason
    elif isinstance(error, TimeoutError):
        reason, message = "Timeout", f"{build.step} was not done within {limit:g} s and was ended"
    else:
        reason = _REASONS.get(type(error), "BuildFailed")
    steps = build.laps.stop(time.monotonic())
    may_pass, lines = reason in MAY_PASS, tuple(build.told.log)
    return BuildResult(reason=reason, message=message, log=lines, seconds=seconds, steps=steps, may_pass=may_pass)

"""Builds functions in a cluster: source -> image, by a Job for each key, never twice for the same source and settings."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace

from controller.documents import unix
from controller.errors import BadSource, SourceTooLarge, StoreFailed
from controller.kube.build import names
from controller.kube.build.checkouts import Checkouts
from controller.kube.build.git import GitFailed
from controller.kube.build.handover import one_time_url
from controller.kube.build.jobs import Ending, Jobs, quietly
from controller.kube.build.names import Recipe
from controller.kube.build.pods import Pods
from controller.kube.build.registry import Registry
from controller.kube.build.render import Task
from controller.kube.build.results import Kept, Results
from controller.kube.build.settings import BuildSettings
from controller.kube.build.sources import KubeSourceStore, Stored
from controller.kube.build.sweep import sweep
from controller.kube.build.verdict import MAY_PASS
from controller.model import Function
from controller.ports import BuildResult
from controller.shared_builds import LOG_LINES, Progress, SharedBuilds, Told
from kube.client import Client
from kube.errors import KubeError
from kube.lease import NotLeading

log = logging.getLogger(__name__)

KEPT_LINES = 20  # kept with its result
OWN = "dockerfile"  # the runtime whose Dockerfile is in the source
_REASONS: dict[type[Exception], str] = {SourceTooLarge: "SourceTooLarge"}


class KubeBuilder:
    """The port `controller.ports.Builder`. Run `run()` in a task while it is used."""

    def __init__(
        self, client: Client, settings: BuildSettings, sources: KubeSourceStore, registry: Registry,
        recipes: Mapping[str, Recipe],
        *, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """`recipes` by the name of the runtime; `clock` in unix seconds."""
        self._client, self._settings, self._sources, self._recipes = client, settings, sources, recipes
        self.key = names.builder_key(settings, recipes)
        self._checkouts = Checkouts(client, settings)
        self._pods = Pods(client, settings.namespace)
        self._jobs = Jobs(client, settings, self._pods, clock)
        self._results = Results(client, settings, registry, clock=clock)
        self._shared = SharedBuilds()
        self._detached = False

    async def run(self) -> None:
        """Follow the pods of builds until cancelled."""
        await self._pods.run()

    def detach(self) -> None:
        """Leave the Jobs alone from now on, also those whose build is cancelled: another controller takes them up."""
        self._detached = True

    async def build(self, function: Function, progress: Progress) -> BuildResult:
        """Build the function's source, join the build of it that is under way, or find it done. A failed build is a result."""
        git = function.spec.git
        if git is None:
            return await self._built(function, function.spec.source, progress)
        progress(f"fetching {git.url}{f' at {git.ref}' if git.ref else ''}")
        try:
            found = await self._checkouts.fetch(git, function.project)
            source = await self._sources.put_tree(found.tree)
        except (GitFailed, BadSource) as error:
            reason = _REASONS.get(type(error), "") or getattr(error, "reason", "BadSource")
            return BuildResult(reason=reason, message=str(error), may_pass=reason in MAY_PASS)
        except (KubeError, StoreFailed) as error:
            return _unavailable(error)
        progress(f"commit {found.commit}")
        return replace(await self._built(function, source, progress), commit=found.commit)

    async def _built(self, function: Function, source: str, progress: Progress) -> BuildResult:
        began = time.monotonic()
        try:
            stored = await self._sources.find(source)
            if stored is None:
                return BuildResult(reason="SourceMissing", message="the source is not kept any more: deploy it again")
            task = self._task(function, stored)
            if isinstance(task, BuildResult):
                return task
            if task.key not in self._shared and (kept := await self._results.get(task.key)):
                progress("built before, nothing to do")
                return _cached(kept, time.monotonic() - began)
        except (KubeError, StoreFailed) as error:
            return _unavailable(error)
        since = _told_until(function)
        return await self._shared.join(task.key, lambda told: self._run(task, since, told), progress)

    async def settle(self, leftover: str) -> None:
        """See the port: the Job of a failed build, by its key. Somebody may build that anew by now."""
        if leftover not in self._shared:
            await self._remove(self._jobs.clear(leftover))

    async def prune(self, keep: Collection[str]) -> int:
        """Delete images that are not in `keep`, and what a killed controller left of builds; returns how many images."""
        try:
            await sweep(self._client, self._settings.namespace, self._shared.keys())
            return await self._results.prune(keep)
        except KubeError as error:
            raise StoreFailed(f"old builds cannot be collected: {error}") from error

    # --- what to build ---

    def _task(self, function: Function, stored: Stored) -> Task | BuildResult:
        spec, known, settings = function.spec, stored.facts, self._settings
        own = spec.runtime == OWN
        if own and not known.dockerfile:
            return BuildResult(
                reason="BadDockerfile", message="the source has no Dockerfile in its topmost folder, which its runtime asks for"
            )
        recipe = None if own else self._recipes.get(spec.runtime)
        if recipe is None and not own:
            return BuildResult(reason="RuntimeUnavailable", message=f'there is no runtime "{spec.runtime}" here')
        key = names.build_key(settings, recipe, function.project, stored.digest, spec.runtime, known)
        if stored.manifest and not settings.handover:
            return BuildResult(
                reason="SourceTooLarge",
                message="the source is larger than 1 MiB, and the build settings have no handover URL to fetch it by",
            )
        return Task(
            key=key,
            project=function.project,
            function=function.name,
            source=stored.digest,
            install=known.install(spec.runtime) if recipe else (),
            base=settings.bases.get(spec.runtime, "") if recipe else "",
            recipe=recipe,
            url=one_time_url(settings, key) if stored.manifest else "",
        )

    # --- building it ---

    async def _run(self, task: Task, since: float, told: Told) -> BuildResult:
        leftover = ""
        try:
            result = await self._keep(task, await self._jobs.run(task, told.say, since))
            leftover = result.leftover
            return result
        except (KubeError, TimeoutError) as error:
            return _unavailable(error)
        finally:
            if not self._detached and not leftover:
                await asyncio.shield(self._remove(self._jobs.remove(task.key)))

    async def _keep(self, task: Task, ending: Ending) -> BuildResult:
        lines = ending.lines[-LOG_LINES:]
        if failure := ending.failure:
            return BuildResult(
                reason=failure.reason, message=failure.message, log=lines, seconds=ending.seconds, may_pass=failure.may_pass,
                steps=ending.steps, leftover=task.key if ending.stays else "",
            )  # fmt: skip
        repository = names.image(self._settings, task.project, task.function)
        artifact = names.artifact(self._settings, repository, ending.digest)
        try:
            await self._results.put(task, artifact, ending.seconds, lines[-KEPT_LINES:])
        except KubeError as error:
            # The image is there; at worst it is built once more by whoever asks next.
            log.warning("%s: what it built cannot be noted: %s", task.function, error)
        return BuildResult(artifact=artifact, log=lines, seconds=ending.seconds, steps=ending.steps)

    async def _remove(self, removing: Awaitable[None]) -> None:
        try:
            await removing
        except KubeError as error:
            quietly(error)
        except NotLeading:
            pass  # the Job is the next leader's, which takes it up


def _cached(kept: Kept, seconds: float) -> BuildResult:
    return BuildResult(artifact=kept.artifact, log=kept.log, seconds=seconds, cached=True)


def _told_until(function: Function) -> float:
    """Unix seconds until when the status knows how builds of the function failed; 0 when it knows of none."""
    report = function.status.build
    return unix(report.failure.ended_at) if report and report.failure else 0.0


def _unavailable(error: Exception) -> BuildResult:
    return BuildResult(reason="ClusterUnavailable", message=f"the cluster could not be asked: {error}", may_pass=True)

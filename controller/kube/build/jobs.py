"""One build's Job: made or found running, followed to its end, made anew when somebody deletes it, and always removed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from controller.kube.build import names, render, verdict
from controller.kube.build.names import MANAGER
from controller.kube.build.pods import Pods, ended, started
from controller.kube.build.reading import Reading
from controller.kube.build.render import EXECUTOR, SLACK, Task
from controller.kube.build.settings import BuildSettings
from controller.kube.build.verdict import Failure, container
from controller.laps import Laps
from kube.client import Client
from kube.errors import AlreadyExists, KubeError, NotFound, ServerError, TooManyRequests, Unreachable
from kube.model import Pod
from kube.resource import SECRETS, Resource

log = logging.getLogger(__name__)

JOBS: Resource[dict[str, Any]] = Resource("batch", "v1", "jobs", "Job", dict)
LOST: Final = 3  # times that a Job which somebody deleted is made anew
PULL_PATIENCE: Final = 60.0  # seconds that an image which cannot be pulled is waited for: the kubelet tries again
LOOK: Final = 5.0  # seconds between looks at a Job whose pod shows nothing
GOING: Final = 60.0  # seconds that a Job which is being deleted may take

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a Job: the image's digest, or why there is none."""

    digest: str = ""
    failure: Failure | None = None
    seconds: float = 0.0
    lines: tuple[str, ...] = ()
    steps: tuple[tuple[str, float], ...] = ()  # as controller.laps
    stays: bool = False  # its pod has ended and is there: whoever runs this task again reads the same out of it


class Jobs:
    """Runs builds as Jobs."""

    def __init__(self, client: Client, settings: BuildSettings, pods: Pods, clock: Callable[[], float]) -> None:
        self._client, self._settings, self._pods, self._clock = client, settings, pods, clock
        self._namespace = settings.namespace

    async def run(self, task: Task, tell: Tell, since: float = 0.0) -> Ending:
        """The Job of this task to its end. It stays; see `remove` and `clear`. Raises KubeError.

        One that runs already is followed; one that has ended already is what became of the build, unless it was made before
        `since` (unix seconds): that is known, and it is built anew.
        """
        await self._pods.synced()  # else a Job that has ended would seem to have lost its pod
        await self._forget(task.key, since)
        for attempt in range(1, LOST + 1):
            job, began = await self._ensure(task, tell)
            reading, laps = Reading(), Laps("start", began)
            found = await self._follow(task.key, job, reading, laps, tell)
            if not isinstance(found, Failure) or found.reason != "BuildLost":
                break
            tell(f"{found.message}; " + ("it is begun anew" if attempt < LOST else "given up"))
            await self.remove(task.key)
        pod = self._pods.of(task.key, job)
        now = _end(pod, self._clock())
        told = Ending(
            seconds=max(0.0, now - began), lines=tuple(reading.tail), steps=laps.stop(now), stays=pod is not None and ended(pod)
        )
        return replace(told, failure=found) if isinstance(found, Failure) else replace(told, digest=found)

    async def remove(self, key: str) -> None:
        """The Job, its pod and its Secret. Raises KubeError."""
        await self._delete(key, JOBS, SECRETS)

    async def clear(self, key: str) -> None:
        """As `remove`, where the pod has ended. Raises KubeError.

        The Secret goes first: whoever makes both anew waits until the Job is gone, and must not lose the new Secret.
        """
        await self._delete(key, SECRETS, JOBS)

    async def _delete(self, key: str, *resources: Resource[Any]) -> None:
        for resource in resources:
            try:
                await self._client.delete(resource, names.job_name(key), self._namespace)
            except NotFound:
                pass  # it is what was wanted

    # --- making it ---

    async def _ensure(self, task: Task, tell: Tell) -> tuple[str, float]:
        """The uid of the Job that is there now, and when it was made, in unix seconds."""
        name = names.job_name(task.key)
        async with asyncio.timeout(GOING):
            while True:
                found = await self._get(name)
                if found and not found["metadata"].get("deletionTimestamp"):
                    tell("the build has ended already" if has_ended(found) else "the build is under way already")
                    return found["metadata"]["uid"], _made(found)
                if found is None and (job := await self._make(task)):
                    return job, self._clock()
                await asyncio.sleep(0.5)

    async def _forget(self, key: str, since: float) -> None:
        """Take away a Job that has ended and was made before: why it failed is known."""
        found = await self._get(names.job_name(key)) if since else None
        if found and has_ended(found) and _made(found) <= since:
            await self.clear(key)

    async def _get(self, name: str) -> dict[str, Any] | None:
        try:
            return await self._client.get(JOBS, name, self._namespace)
        except NotFound:
            return None

    async def _make(self, task: Task) -> str:
        """Its uid; "" when somebody was faster."""
        secret = render.secret(self._settings, task)
        await self._client.apply(SECRETS, names.job_name(task.key), secret, MANAGER, self._namespace, force=True)
        try:
            made = await self._client.create(JOBS, render.job(self._settings, task), self._namespace, MANAGER)
        except AlreadyExists:
            return ""
        return str(made["metadata"]["uid"])

    # --- following it ---

    async def _follow(self, key: str, job: str, reading: Reading, laps: Laps, tell: Tell) -> str | Failure:
        """The image's digest, or why there is none."""
        pod = await self._begun(key, job, tell)
        if isinstance(pod, Failure):
            return pod
        laps.turn(reading.kind, self._clock())
        async for line in self._pods.log(pod):
            for words in reading.feed(line):
                tell(words)
            laps.turn(reading.kind, self._clock())
        name = pod.metadata.name
        try:
            last = await self._pods.until(key, job, lambda now: ended(now) or now is None or now.metadata.name != name, GOING)
        except TimeoutError:
            return Failure("BuildLost", "the build's pod does not end though its executor did")
        if last is None or last.metadata.name != name:
            return await self._vanished(key)
        return self._judge(last, reading)

    def _judge(self, pod: Pod, reading: Reading) -> str | Failure:
        status = container(pod, EXECUTOR)
        done = status.state.terminated if status and status.state else None
        if pod.status.phase == "Succeeded" and done:
            found = names.DIGEST.search(done.message)
            return found[0] if found else Failure("BuilderFailed", "the executor ended well, but did not say which image it made")
        if pod.metadata.deletion_timestamp and pod.status.reason != "DeadlineExceeded":
            return Failure("BuildLost", "the build's pod was deleted")
        return verdict.of_pod(pod, reading, self._settings.deadline)

    async def _begun(self, key: str, job: str, tell: Tell) -> Pod | Failure:
        """The pod once its executor has started or never will."""
        told, trouble_since = "", 0.0
        while True:
            try:
                pod = await self._pods.until(key, job, started, LOOK)
                assert pod is not None
                return pod
            except TimeoutError:
                pod = self._pods.of(key, job)
            if failure := await self._job_failed(key, pod):
                return failure
            trouble = verdict.waiting(pod) if pod else None
            words = trouble.message if trouble else verdict.unscheduled(pod) if pod else ""
            if words and words != told:
                told = words
                tell(f"waiting: {words}")
            trouble_since = (trouble_since or self._clock()) if trouble else 0.0
            if trouble and self._clock() - trouble_since > PULL_PATIENCE:
                return trouble

    async def _vanished(self, key: str) -> Failure:
        return await self._job_failed(key, None) or Failure("BuildLost", "the build's pod was deleted")

    async def _job_failed(self, key: str, pod: Pod | None) -> Failure | None:
        """Why the Job has failed or is gone while no pod of it tells; None when it goes on."""
        try:
            job = await self._get(names.job_name(key))
        except (Unreachable, ServerError, TooManyRequests) as error:
            log.warning("build %s: its Job cannot be looked at: %s", key, error)
            return None
        if job is None:
            return Failure("BuildLost", "the build's Job was deleted")
        if pod is not None and not verdict.unscheduled(pod):
            return None
        for condition in (job.get("status") or {}).get("conditions") or ():
            if condition.get("type") == "Failed" and condition.get("status") == "True":
                if condition.get("reason") == "DeadlineExceeded":
                    why = verdict.unscheduled(pod) if pod else ""
                    limit = self._settings.deadline + SLACK
                    return Failure("NotScheduled", f"no node took the build's pod within {limit:g} s: {why or 'see its events'}")
                return Failure("BuildLost", f"the build's pod is gone: {condition.get('message', '')}")
        return None


def has_ended(job: dict[str, Any]) -> bool:
    """Whether the Job is complete or has failed."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each.get("type") in ("Complete", "Failed") and each.get("status") == "True" for each in conditions)


def _made(job: dict[str, Any]) -> float:
    """When, in unix seconds."""
    return datetime.fromisoformat(job["metadata"]["creationTimestamp"]).timestamp()


def _end(pod: Pod | None, now: float) -> float:
    """When the executor ended, in unix seconds, where it did long ago: Kubernetes tells whole seconds."""
    status = container(pod, EXECUTOR) if pod else None
    done = status.state.terminated if status and status.state else None
    return min(now, datetime.fromisoformat(done.finished_at).timestamp() + 1.0) if done and done.finished_at else now


def quietly(error: KubeError) -> None:
    """What could not be tidied up: it ends by itself (ttlSecondsAfterFinished), or the next `prune` takes it."""
    log.warning("a build could not be tidied up: %s", error)

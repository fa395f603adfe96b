"""Follows the pods of builds: where each is, what its executor writes, and when it is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from controller.kube.build import names
from controller.kube.build.render import EXECUTOR
from controller.kube.build.verdict import container
from kube.cache import Delta
from kube.client import Client
from kube.errors import Attempt, BadRequest, KubeError, NotFound, Unreachable
from kube.informer import Informer
from kube.model import Pod
from kube.resource import PODS
from kube.wire import Lines

log = logging.getLogger(__name__)

SILENCE: Final = 60.0  # seconds without a byte after which a log is asked for again: the connection may be dead
AGAIN: Final = 0.5  # seconds until then, after an error


class Pods:
    """The pods of all builds. `await run()` in a task of your own."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client, self._namespace = client, namespace
        selector = ",".join(f"{key}={value}" for key, value in names.labels("build").items())
        self._informer = Informer(client, PODS, namespaces=[namespace], labels=selector)
        self._informer.subscribe(self._changed)
        self._waiting: dict[str, set[asyncio.Event]] = {}

    async def run(self) -> None:
        await self._informer.run()

    async def synced(self) -> None:
        await self._informer.wait_synced()

    def of(self, key: str, job: str) -> Pod | None:
        """The pod of a build's Job, by the Job's uid: an older Job's may still be going. The newest, where there are several."""
        found = [
            pod
            for _, pod in self._informer.items()
            if (pod.metadata.labels or {}).get(names.BUILD) == key
            and any(each.uid == job for each in pod.metadata.owner_references or ())
        ]
        return max(
            found, key=lambda pod: (not pod.metadata.deletion_timestamp, pod.metadata.creation_timestamp or ""), default=None
        )

    async def until(self, key: str, job: str, condition: Callable[[Pod | None], bool], within: float) -> Pod | None:
        """The pod of a build's Job as soon as the condition holds for it. Raises TimeoutError after `within` seconds."""
        changed = asyncio.Event()
        self._waiting.setdefault(key, set()).add(changed)
        try:
            async with asyncio.timeout(within):
                while not condition(self.of(key, job)):
                    changed.clear()
                    await changed.wait()
                return self.of(key, job)
        finally:
            self._waiting[key].discard(changed)
            if not self._waiting[key]:
                del self._waiting[key]

    async def log(self, pod: Pod) -> AsyncIterator[str]:
        """Lines of the executor's log as they come, each once, until it has ended or the pod is gone."""
        name, read = pod.metadata.name, 0
        while True:
            seen = 0
            try:
                async with aclosing(self._log_once(name)) as lines:
                    async for line in lines:
                        seen += 1
                        if seen > read:
                            read = seen
                            yield line
            except NotFound:
                return
            except (Unreachable, BadRequest) as error:
                # Silent for long, cut, or the container is not quite there: asked again, unless it has ended.
                log.debug("pod %s: its log: %s", name, error)
            except KubeError as error:
                log.warning("pod %s: its log cannot be read: %s", name, error)
                return
            now = self.of_name(name)
            if now is None or ended(now):
                return
            await asyncio.sleep(AGAIN)

    def of_name(self, name: str) -> Pod | None:
        return self._informer.get(self._namespace, name)

    async def _log_once(self, name: str) -> AsyncGenerator[str, None]:
        path = f"{PODS.path(self._namespace, name)}/log"
        attempt = Attempt("get", "pods/log", f"{self._namespace}/{name}")
        lines = Lines()
        async with self._client.stream(attempt, path, {"container": EXECUTOR, "follow": "true"}, SILENCE) as stream:
            async for chunk in stream.chunks(SILENCE):
                for line in lines.feed(chunk):
                    yield bytes(line).decode("utf-8", "replace")

    def _changed(self, delta: Delta[Pod]) -> None:
        pod = delta.new or delta.old
        key = (pod.metadata.labels or {}).get(names.BUILD, "") if pod else ""
        for event in self._waiting.get(key, ()):
            event.set()


def started(pod: Pod | None) -> bool:
    """Its executor runs or ran, or never will."""
    if pod is None or ended(pod):
        return pod is not None
    status = container(pod, EXECUTOR)
    return bool(status and status.state and (status.state.terminated or not status.state.waiting))


def ended(pod: Pod | None) -> bool:
    """Nothing runs in it any more, or it is gone."""
    return pod is None or pod.status.phase in ("Succeeded", "Failed")

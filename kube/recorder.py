"""Writes Events (events.k8s.io/v1) about objects, so that `kubectl describe` shows their owners what we found.

Best effort: recording never waits and never fails; what cannot be written is counted and logged.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from kube.client import Client
from kube.errors import KubeError, NotFound
from kube.occurrence import Correlator, Occurrence, Write
from kube.resource import EVENTS

log = logging.getLogger(__name__)

QUEUE_LIMIT = 256  # Events that wait to be written
NOTE_LIMIT = 1024  # bytes, by the API server's validation


class Recorder:
    """`await run()` in a task of your own; `record` from anywhere in the same loop. Needs create and patch on events.k8s.io."""

    def __init__(self, client: Client, controller: str, instance: str) -> None:
        """controller: who reports, qualified ("cloudbase.dev/router"); instance: which one of them (the pod's name)."""
        self.written = 0
        self.failed = 0
        self._client = client
        self._controller = controller
        self._instance = instance
        self._correlator = Correlator()
        self._queue: asyncio.Queue[Write] = asyncio.Queue(QUEUE_LIMIT)

    @property
    def dropped(self) -> int:
        """Not written because too many concerned one object."""
        return self._correlator.dropped

    def record(self, occurrence: Occurrence) -> None:
        name = f"{occurrence.regarding.name[:200]}.{uuid.uuid4().hex[:16]}"
        write = self._correlator.see(occurrence, time.monotonic(), name)
        if write is None:
            return
        try:
            self._queue.put_nowait(write)
        except asyncio.QueueFull:
            self._fail(write, "too many wait to be written")

    async def run(self) -> None:
        """Write what is recorded, until cancelled."""
        while True:
            write = await self._queue.get()
            try:
                await self._write(write)
                self.written += 1
            except KubeError as error:
                self._fail(write, str(error))
            finally:
                self._queue.task_done()

    async def flush(self) -> None:
        """Wait until everything recorded so far is written or given up; only while `run` runs."""
        await self._queue.join()

    async def _write(self, write: Write) -> None:
        namespace = write.occurrence.regarding.namespace or "default"  # where Events about cluster-wide objects live
        if write.count == 1:
            await self._client.create(EVENTS, self._event(write, namespace), namespace)
            return
        series = {"series": {"count": write.count, "lastObservedTime": _timestamp()}}
        try:
            await self._client.merge(EVENTS, write.name, series, namespace)
        except NotFound:  # Events live for an hour only
            await self._client.create(EVENTS, self._event(write, namespace), namespace)

    def _event(self, write: Write, namespace: str) -> dict[str, Any]:
        what, about = write.occurrence, write.occurrence.regarding
        regarding = {"apiVersion": about.api_version, "kind": about.kind, "namespace": about.namespace, "name": about.name}
        return {
            "metadata": {"name": write.name, "namespace": namespace},
            "eventTime": _timestamp(),
            "reportingController": self._controller,
            "reportingInstance": self._instance[:128],
            "type": what.type,
            "reason": what.reason,
            "action": what.action,
            "note": what.note.encode()[:NOTE_LIMIT].decode("utf-8", "ignore"),
            "regarding": {**regarding, "uid": about.uid} if about.uid else regarding,
        }

    def _fail(self, write: Write, why: str) -> None:
        self.failed += 1
        self._correlator.forget(write.occurrence)
        about = write.occurrence.regarding
        log.warning("%s %s/%s: Event %s not written: %s", about.kind, about.namespace, about.name, write.occurrence.reason, why)


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

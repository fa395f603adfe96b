"""Makes replicas come and go through `/scale`: anyone wakes 0 -> 1 at once, the lease holder does the rest.

Every write carries the resourceVersion of the scale that it was decided on, so that of two routers one writes and the other
looks again; a write of a number that is already there is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from kube.client import Client
from kube.errors import Conflict, KubeError, NotFound
from kube.lease import Leadership, NotLeading
from kube.resource import DEPLOYMENTS
from router.kube.catalog import Catalog
from router.kube.model import Fault, Replicas
from router.kube.names import MANAGER
from router.kube.ports import Plane
from router.kube.shares import divided
from router.model import RouteKey

log = logging.getLogger(__name__)

TRIES = 10  # writes of one number: status updates move the resourceVersion, mostly within milliseconds
AT_ONCE = 32  # wakes at the API server at the same time: a thundering herd waits here instead of there


@dataclass(slots=True)
class Writes:
    """What was done, for metrics; counters only grow."""

    wakes: int = 0  # that found a Deployment asleep
    resizes: int = 0
    failures: int = 0


class KubeScaler:
    """Implements router.ports.Scaler. `spawn` starts a coroutine in a TaskGroup that outlives the call."""

    def __init__(
        self,
        client: Client,
        catalog: Catalog,
        plane: Plane,
        leadership: Leadership,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        tell: Callable[[RouteKey, Fault], None],
    ) -> None:
        self.writes = Writes()
        self._client = client
        self._catalog = catalog
        self._plane = plane
        self._leadership = leadership
        self._spawn = spawn
        self._tell = tell
        self._waking: dict[RouteKey, asyncio.Task[None]] = {}
        self._resizing: dict[RouteKey, asyncio.Task[None]] = {}
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._room = asyncio.Semaphore(AT_ONCE)
        self._ailing: dict[RouteKey, str] = {}  # what went wrong with a route last, said once

    # --- router.ports.Scaler ---

    def wake(self, key: RouteKey) -> None:
        """As router.ports.Scaler. Repeated by the data plane while anyone waits; one write at a time."""
        if key not in self._waking and self._mine(key):
            task = self._waking[key] = self._spawn(self._wake(key))
            task.add_done_callback(lambda _: self._waking.pop(key, None))

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """As router.ports.Scaler. The latest number counts: an earlier one that is not written yet is given up."""
        if not self._leadership.leading or not self._mine(key):
            return
        before = self._resizing.pop(key, None)
        if before is not None:
            before.cancel()
        task = self._resizing[key] = self._spawn(self._resize(key, replicas))
        task.add_done_callback(lambda done: self._resizing.pop(key) if self._resizing.get(key) is done else None)

    # --- how ---

    def _mine(self, key: RouteKey) -> bool:
        """Scaled by us at all: it has a Deployment, and nobody else has taken over."""
        entry = self._catalog.entries.get(key)
        return entry is not None and entry.translation.route.policy is not None

    def _shares(self, key: RouteKey, replicas: int) -> list[tuple[Replicas, int]]:
        entry = self._catalog.entries.get(key)
        return divided(replicas, entry.translation.replicas) if entry else []

    async def _wake(self, key: RouteKey) -> None:
        entry = self._catalog.entries.get(key)
        policy = entry.translation.route.policy if entry else None
        least = max(1, policy.minimum if policy else 1)
        async with self._room:
            for each, replicas in self._shares(key, least):
                await self._guarded(key, self._write(each, replicas, only_from_zero=True))
        self._plane.woken(key)

    async def _resize(self, key: RouteKey, replicas: int) -> None:
        for each, share in self._shares(key, replicas):
            await self._guarded(key, self._lead(each, share))

    async def _lead(self, what: Replicas, replicas: int) -> None:
        try:
            async with self._leadership.writing():
                await self._write(what, replicas, only_from_zero=False)
        except NotLeading as error:
            log.info("%s/%s: not scaled to %d: %s", what.namespace, what.deployment, replicas, error)

    async def _write(self, what: Replicas, replicas: int, only_from_zero: bool) -> None:
        """Raises KubeError."""
        async with self._locks[(what.namespace, what.deployment)]:
            for left in reversed(range(TRIES)):
                scale = await self._client.scale(DEPLOYMENTS, what.deployment, what.namespace)
                before = scale.spec.replicas
                if before == replicas or (only_from_zero and before):
                    return
                try:
                    await self._client.scale_to(
                        DEPLOYMENTS, what.deployment, what.namespace, replicas,
                        resource_version=scale.metadata.resource_version, manager=MANAGER,
                    )  # fmt: skip
                except Conflict:
                    if not left:
                        raise
                    continue
                self._count(only_from_zero)
                log.info("%s/%s: %d -> %d written", what.namespace, what.deployment, before, replicas)
                return

    def _count(self, wake: bool) -> None:
        if wake:
            self.writes.wakes += 1
        else:
            self.writes.resizes += 1

    async def _guarded(self, key: RouteKey, write: Coroutine[Any, Any, None]) -> None:
        """One route's trouble is said once, to its owner where it is the owner's, and tried again by who asked."""
        try:
            await write
        except KubeError as error:
            self.writes.failures += 1
            if self._ailing.get(key) == str(error):
                return
            self._ailing[key] = str(error)
            log.warning("%s: %s", key, error)
            if isinstance(error, NotFound):
                self._tell(key, Fault("NoDeployment", f"cannot be scaled: {error}"))
        else:
            self._ailing.pop(key, None)

"""Writes replica counts through `/scale`, each on the resourceVersion that it was decided on, one at a time for a Deployment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from kube.client import Client
from kube.errors import Conflict
from kube.resource import DEPLOYMENTS
from router.kube.model import Replicas
from router.kube.names import MANAGER

log = logging.getLogger(__name__)

TRIES: Final = 10  # writes of one number: status updates move the resourceVersion, mostly within milliseconds

May = Callable[[int], Awaitable[bool]]  # given the replicas that are wanted now: is it still right to write?


@dataclass(slots=True)
class Writes:
    """What was done, for metrics; counters only grow."""

    wakes: int = 0  # that found a Deployment asleep, whether a request or the autoscaler asked for them
    resizes: int = 0
    cancelled: int = 0  # ways down that an arrival ended
    failures: int = 0


class Writer:
    """The one way to a Deployment's `/scale`."""

    def __init__(self, client: Client, writes: Writes) -> None:
        self._client = client
        self._writes = writes
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def wanted(self, what: Replicas) -> int:
        """The replicas that are wanted now. Raises KubeError."""
        return (await self._client.scale(DEPLOYMENTS, what.deployment, what.namespace)).spec.replicas

    async def write(self, what: Replicas, replicas: int, may: May) -> bool:
        """Set the number of replicas; True when it is so afterwards. Raises KubeError.

        `may` is asked right before each write, which the API server refuses when the object has changed since it was read.
        """
        lock = self._locks.setdefault((what.namespace, what.deployment), asyncio.Lock())
        async with lock:
            for left in reversed(range(TRIES)):
                scale = await self._client.scale(DEPLOYMENTS, what.deployment, what.namespace)
                before = scale.spec.replicas
                if before == replicas:
                    return True
                if not await may(before):
                    return False
                try:
                    await self._client.scale_to(
                        DEPLOYMENTS, what.deployment, what.namespace, replicas,
                        resource_version=scale.metadata.resource_version, manager=MANAGER,
                    )  # fmt: skip
                except Conflict:
                    if not left:
                        raise
                    continue
                self._writes.wakes += not before
                log.info("%s/%s: %d -> %d replicas", what.namespace, what.deployment, before, replicas)
                return True
        raise AssertionError("TRIES is at least 1")

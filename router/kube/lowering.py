"""Takes pods away so that no request notices: out of the table first, then empty, then `/scale`.

To zero: every pod is shut in the table, so that an arrival from then on waits and wakes; only if nothing is in flight or waiting
is zero written, on the version of the Deployment that was read before that look. An arrival in between cancels it: the pods are
opened again. Down to some: the ones with the least to do are marked for Kubernetes (pod-deletion-cost), take no new requests,
and the write follows when they have nothing more to do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Final

from kube.client import Client
from kube.errors import KubeError
from kube.lease import Leadership
from kube.resource import PODS
from router.kube.catalog import Catalog
from router.kube.model import Pod, Replicas, Standing
from router.kube.names import DELETION_COST, MANAGER
from router.kube.ports import Plane
from router.kube.victims import spared, victims
from router.kube.writer import Writer
from router.model import RouteKey

log = logging.getLogger(__name__)

COST: Final = "-1000"
LOOK_AGAIN: Final = 0.05  # seconds between looks whether a pod has nothing more to do
REPRIEVE: Final = 10.0  # seconds after which a pod that Kubernetes did not take after all is used again
REPRIEVE_AWAKE: Final = 2.0  # the same after a wake, when somebody waits: a pod that was to go may have been kept for it


class Lowering:
    """Down and to zero, for the one who leads."""

    def __init__(self, client: Client, catalog: Catalog, plane: Plane, leadership: Leadership, writer: Writer) -> None:
        self._client = client
        self._catalog = catalog
        self._plane = plane
        self._leadership = leadership
        self._writer = writer

    async def to_zero(self, key: RouteKey, what: Replicas) -> bool:
        """False: somebody came, and it stays awake. Raises KubeError and NotLeading; what was written then is not known."""
        pods = self._pods(key, what)
        self._stand(what, pods, "shut")

        async def idle(_: int) -> bool:
            return await self._plane.idle(key)

        if await self._plane.idle(key):
            async with self._leadership.writing():
                if await self._writer.write(what, 0, idle):
                    return True
        log.info("%s: somebody came: it stays awake", key)
        self._stand(what, pods, "proven")
        return False

    async def down(self, key: RouteKey, what: Replicas, replicas: int, stop: asyncio.Event) -> bool:
        """To fewer, but some. False: given up because `stop` was set. Raises KubeError and NotLeading."""
        wanted_now = await self._writer.wanted(what)
        going = victims(self._pods(key, what), wanted_now, replicas, lambda pod: self._busy(key, pod))
        self._stand(what, going, "draining")
        await asyncio.gather(*(self._price(what, pod, COST) for pod in going))
        if not await self._drained(key, going, stop):
            self._stand(what, going, "proven")
            await asyncio.gather(*(self._price(what, pod, None) for pod in going))
            return False

        async def unchanged(now: int) -> bool:
            return now == wanted_now

        async with self._leadership.writing():
            return await self._writer.write(what, replicas, unchanged)

    async def reprieve(self, key: RouteKey, after: float) -> None:
        """Some seconds after a write: pods that are out of the table and still there are back in it."""
        await asyncio.sleep(after)
        entry = self._catalog.entries.get(key)
        if entry is None:
            return
        for pod in spared(entry.translation.pods):
            log.info("%s: pod %s was not taken away: used again", key, pod.address.pod)
            self._catalog.stand(entry.owner.metadata.namespace, pod.revision, pod.address, "proven")

    async def _drained(self, key: RouteKey, pods: list[Pod], stop: asyncio.Event) -> bool:
        entry = self._catalog.entries.get(key)
        patience = entry.translation.route.settings.drain_timeout if entry else 0.0
        end = time.monotonic() + patience
        while any(self._busy(key, pod) for pod in pods) and time.monotonic() < end and not stop.is_set():  # noqa: ASYNC110
            await asyncio.sleep(LOOK_AGAIN)
        return not stop.is_set()

    def _pods(self, key: RouteKey, what: Replicas) -> list[Pod]:
        entry = self._catalog.entries.get(key)
        return [pod for pod in entry.translation.pods if pod.revision == what.revision] if entry else []

    def _busy(self, key: RouteKey, pod: Pod) -> int:
        return self._plane.in_flight(key, pod.revision, pod.address.address)

    def _stand(self, what: Replicas, pods: Iterable[Pod], how: Standing) -> None:
        for pod in pods:
            self._catalog.stand(what.namespace, what.revision, pod.address, how)
        self._catalog.settle()

    async def _price(self, what: Replicas, pod: Pod, cost: str | None) -> None:
        """Best effort: without it Kubernetes takes another pod, whose requests are tried again elsewhere."""
        try:
            patch = {"metadata": {"annotations": {DELETION_COST: cost}}}
            await self._client.merge(PODS, pod.address.pod, patch, what.namespace, manager=MANAGER)
        except KubeError as error:
            log.info("%s/%s: %s", what.namespace, pod.address.pod, error)

"""Takes pods away so that no request notices: out of the table first, then empty, then `/scale`.

To zero: every pod is shut in the table, so that an arrival from then on waits and wakes; only if nothing is in flight or waiting
is zero written, on the version of the Deployment that was read before that look. An arrival in between cancels it: the pods are
opened again. Down to some: the ones with the least to do are marked for Kubernetes (pod-deletion-cost), take no new requests,
and the write follows when they have nothing more to do. Each of it in every live router.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from kube.client import Client
from kube.errors import KubeError
from kube.lease import Leadership
from kube.resource import PODS
from router.kube.agreement import LOOK_AGAIN, PATIENCE, Others, ask_of
from router.kube.aside import Aside
from router.kube.catalog import Catalog
from router.kube.model import Pod, Replicas, Standing
from router.kube.names import DELETION_COST, MANAGER
from router.kube.peers.rounds import Ask
from router.kube.ports import Plane
from router.kube.reach import Reach
from router.kube.victims import victims
from router.kube.writer import Writer
from router.model import RouteKey

log = logging.getLogger(__name__)

COST: Final = "-1000"


@dataclass(slots=True)
class _Outcome:
    gone: bool = True  # or not known


class Lowering:
    """Down and to zero, for the one who leads."""

    def __init__(
        self, client: Client, catalog: Catalog, aside: Aside, others: Others, plane: Plane, leadership: Leadership,
        writer: Writer, reach: Reach,
    ) -> None:  # fmt: skip
        self._client = client
        self._catalog = catalog
        self._aside = aside
        self._others = others
        self._plane = plane
        self._leadership = leadership
        self._writer = writer
        self._reach = reach

    async def to_zero(self, key: RouteKey, what: Replicas) -> bool:
        """False: somebody came, and it stays awake. Raises KubeError and NotLeading; what was written then is not known."""
        pods = self._aside.pods(key, what.revision)
        self._stand(what, pods, "shut")
        ask = ask_of(key, what.namespace, what.revision, "shut", [pod.address for pod in pods])

        async def idle(_: int) -> bool:
            return await self._others.agree(ask, PATIENCE) and await self._plane.idle(key)

        async with self._asking(ask) as outcome:
            outcome.gone = False
            if await self._plane.idle(key):
                outcome.gone = True
                async with self._leadership.writing():
                    outcome.gone = await self._writer.write(what, 0, idle)
        if not outcome.gone:
            log.info("%s: somebody came: it stays awake", key)
            self._stand(what, pods, "proven")
        return outcome.gone

    async def down(self, key: RouteKey, what: Replicas, replicas: int, stop: asyncio.Event) -> bool:
        """To fewer, but some. False: given up because `stop` was set. Raises KubeError and NotLeading."""
        wanted_now = await self._writer.wanted(what)
        await self._plane.take_stock(key)
        pods = self._aside.pods(key, what.revision)
        going = victims(pods, wanted_now, replicas, lambda pod: self._busy(key, pod), lambda pod: self._lost(key, pod))
        self._stand(what, going, "draining")
        ask = ask_of(key, what.namespace, what.revision, "draining", [pod.address for pod in going])

        async def unchanged(now: int) -> bool:
            return now == wanted_now

        async with self._asking(ask) as outcome:
            outcome.gone = False
            await asyncio.gather(*(self._price(what, pod, COST) for pod in going))
            if not await self._drained_everywhere(key, going, ask, stop):
                self._stand(what, going, "proven")
                await asyncio.gather(*(self._price(what, pod, None) for pod in going))
                return False
            outcome.gone = True
            async with self._leadership.writing():
                outcome.gone = await self._writer.write(what, replicas, unchanged)
        return outcome.gone

    async def _drained_everywhere(self, key: RouteKey, pods: list[Pod], ask: Ask, stop: asyncio.Event) -> bool:
        """Here and in all other routers, or waited for long enough. False: `stop` was set, or the others could not be asked."""
        entry = self._catalog.entries.get(key)
        patience = entry.translation.route.settings.drain_timeout if entry else 0.0
        elsewhere = asyncio.ensure_future(self._others.drained(ask, patience))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            here = await self._drained(key, pods, patience, stop)
            await asyncio.wait({elsewhere, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return here and elsewhere.done() and elsewhere.result()
        finally:
            stopped.cancel()
            elsewhere.cancel()
            await asyncio.gather(stopped, elsewhere, return_exceptions=True)

    async def _drained(self, key: RouteKey, pods: list[Pod], patience: float, stop: asyncio.Event) -> bool:
        end = time.monotonic() + patience
        while any(self._holds(key, pod) for pod in pods) and time.monotonic() < end and not stop.is_set():  # noqa: ASYNC110
            await asyncio.sleep(LOOK_AGAIN)
        return not stop.is_set()

    def _holds(self, key: RouteKey, pod: Pod) -> bool:
        """It has something to finish, and can."""
        return bool(self._busy(key, pod)) and not self._reach.lost_here(key, pod.address.address)

    def _lost(self, key: RouteKey, pod: Pod) -> bool:
        return self._reach.lost(key, pod.address.address)

    def _busy(self, key: RouteKey, pod: Pod) -> int:
        return self._plane.in_flight(key, pod.revision, pod.address.address)

    def _stand(self, what: Replicas, pods: Iterable[Pod], how: Standing) -> None:
        self._aside.stand(what.namespace, what.revision, [pod.address for pod in pods], how)

    @asynccontextmanager
    async def _asking(self, ask: Ask) -> AsyncIterator[_Outcome]:
        """The others are told what came of it, also that nobody knows."""
        outcome = _Outcome()
        try:
            yield outcome
        finally:
            await self._others.over(ask, outcome.gone)

    async def _price(self, what: Replicas, pod: Pod, cost: str | None) -> None:
        """Best effort: without it Kubernetes takes another pod, whose requests are tried again elsewhere."""
        try:
            patch = {"metadata": {"annotations": {DELETION_COST: cost}}}
            await self._client.merge(PODS, pod.address.pod, patch, what.namespace, manager=MANAGER)
        except KubeError as error:
            log.info("%s/%s: %s", what.namespace, pod.address.pod, error)

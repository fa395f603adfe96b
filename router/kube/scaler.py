"""Makes replicas come and go through `/scale`: any router wakes 0 -> 1 at once, the lease holder does the rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from kube.client import Client
from kube.errors import KubeError, NotFound
from kube.lease import Leadership, NotLeading
from router.kube.agreement import Agreement
from router.kube.aside import REPRIEVE, Aside
from router.kube.catalog import Catalog
from router.kube.lowering import Lowering
from router.kube.model import Fault, Replicas
from router.kube.peers.membership import Membership
from router.kube.ports import Plane
from router.kube.reach import Reach, covered
from router.kube.shares import divided
from router.kube.writer import Writer, Writes
from router.model import RouteKey

log = logging.getLogger(__name__)

AT_ONCE: Final = 32  # wakes at the API server at the same time: a thundering herd waits here instead of there

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


@dataclass(slots=True)
class _Resize:
    """A number that is on its way to the API server."""

    replicas: int
    lost: frozenset[str]  # pods that could not be reached then
    stop: asyncio.Event  # another number is wanted meanwhile
    task: asyncio.Task[None]


class KubeScaler:
    """Implements router.ports.Scaler. `spawn` starts a coroutine in a TaskGroup that outlives the call."""

    def __init__(
        self, client: Client, catalog: Catalog, plane: Plane, leadership: Leadership, membership: Membership | None,
        reach: Reach, spawn: Spawn, tell: Callable[[RouteKey, Fault], None],
    ) -> None:  # fmt: skip
        self.writes = Writes()
        self.starved: Callable[[RouteKey], bool] = lambda _: False  # told who waits first: others may have the slots
        self._catalog = catalog
        self._plane = plane
        self._leadership = leadership
        self._reach = reach
        self._spawn = spawn
        self._tell = tell
        self._writer = Writer(client, self.writes)
        self._aside = Aside(catalog)
        self._agreement = Agreement(membership, self._aside, plane, reach, spawn)
        self._lowering = Lowering(client, catalog, self._aside, self._agreement, plane, leadership, self._writer, reach)
        self._waking: dict[RouteKey, asyncio.Task[None]] = {}
        self._resizing: dict[RouteKey, _Resize] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._ailing: dict[RouteKey, str] = {}  # what went wrong with a route last, said once

    # --- router.ports.Scaler ---

    def wake(self, key: RouteKey) -> None:
        """As router.ports.Scaler. Repeated by the data plane while anyone waits; one write at a time."""
        self._agreement.arrived(key)
        if not self.starved(key) and key not in self._waking and self._ours(key):
            task = self._waking[key] = self._spawn(self._wake(key))
            task.add_done_callback(lambda _: self._waking.pop(key, None))

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """As router.ports.Scaler. The latest number counts: one that is still waiting for pods to get empty is given up."""
        if not self._leadership.leading or not self._ours(key):
            return
        before, lost = self._resizing.get(key), self._lost(key)
        if before is not None and (before.replicas, before.lost) == (replicas, lost):
            return
        if before is not None:
            before.stop.set()
        stop = asyncio.Event()
        task = self._spawn(self._resize(key, replicas, stop, before.task if before else None))
        mine = self._resizing[key] = _Resize(replicas, lost, stop, task)
        task.add_done_callback(lambda _: self._resizing.pop(key) if self._resizing.get(key) is mine else None)

    # --- how ---

    def _ours(self, key: RouteKey) -> bool:
        """Scaled by us at all: it has a Deployment, and nobody else has taken over."""
        entry = self._catalog.entries.get(key)
        return entry is not None and entry.translation.route.policy is not None

    def _shares(self, key: RouteKey, replicas: int) -> list[tuple[Replicas, int]]:
        entry = self._catalog.entries.get(key)
        return divided(replicas, entry.translation.replicas) if entry else []

    def _lost(self, key: RouteKey, revision: str = "") -> frozenset[str]:
        """Names of pods, of one revision or of all, that Kubernetes counts as ready and nobody can reach; none that is to go."""
        entry = self._catalog.entries.get(key)
        pods = entry.translation.pods if entry else ()
        stay = (pod for pod in pods if revision in ("", pod.revision) and pod.standing not in ("draining", "shut"))
        return frozenset(pod.address.pod for pod in stay if pod.address.ready and self._reach.lost(key, pod.address.address))

    def _most(self, key: RouteKey, revision: str) -> int:
        """The revision's share of the most replicas that the route may have."""
        entry = self._catalog.entries.get(key)
        policy = entry.translation.route.policy if entry else None
        shares = self._shares(key, policy.maximum) if policy else []
        return next((share for each, share in shares if each.revision == revision), 0)

    async def _wake(self, key: RouteKey) -> None:
        entry = self._catalog.entries.get(key)
        policy = entry.translation.route.policy if entry else None
        woken = True
        async with self._room:
            for each, replicas in self._shares(key, max(1, policy.minimum if policy else 1)):
                woken = await self._guarded(key, self._wake_one(each, replicas)) and woken
        if woken:
            self._plane.woken(key)
            self._agreement.woken(key)

    async def _wake_one(self, what: Replicas, replicas: int) -> None:
        await self._writer.write(what, replicas, _asleep)

    async def _resize(self, key: RouteKey, replicas: int, stop: asyncio.Event, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait({after})
        for each, share in self._shares(key, replicas):
            if not stop.is_set():
                await self._guarded(key, self._lead(key, each, share, stop))

    async def _lead(self, key: RouteKey, what: Replicas, replicas: int, stop: asyncio.Event) -> None:
        entry = self._catalog.entries.get(key)
        there = sum(pod.address.ready for pod in entry.translation.pods if pod.revision == what.revision) if entry else 0
        lost = len(self._lost(key, what.revision))
        replicas = covered(replicas, self._most(key, what.revision), there - lost, lost)
        done = False
        try:
            if not replicas:
                done = await self._lowering.to_zero(key, what)
            elif replicas < there:
                done = await self._lowering.down(key, what, replicas, stop)
            else:
                async with self._leadership.writing():
                    done = await self._writer.write(what, replicas, _always)
                self._agreement.woken(key)  # it may have been asleep
            self.writes.resizes += done
            self.writes.cancelled += not done
        except NotLeading as error:
            log.info("%s: not scaled to %d: %s", key, replicas, error)
        finally:
            if replicas < there and not (
                done and not replicas
            ):  # at zero every pod goes; else, or if it is not known, some may stay
                self._spawn(self._aside.reprieve(key, REPRIEVE))

    async def _guarded(self, key: RouteKey, write: Awaitable[None]) -> bool:
        """One route's trouble is said once, to its owner where it is the owner's, and tried again by who asked."""
        try:
            await write
        except KubeError as error:
            self.writes.failures += 1
            if self._ailing.get(key) != str(error):
                self._ailing[key] = str(error)
                log.warning("%s: %s", key, error)
                if isinstance(error, NotFound):
                    self._tell(key, Fault("NoDeployment", f"cannot be scaled: {error}"))
            return False
        self._ailing.pop(key, None)
        return True


async def _asleep(now: int) -> bool:
    return not now


async def _always(now: int) -> bool:
    return True

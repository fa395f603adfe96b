"""Leader election on a Lease: acquires it, renews it, says whether we lead right now, and gives it back at the end.

Needs get, create, patch and watch on leases. Followers watch the one object, so that the time until a takeover counts from the
last renewal itself, and a lease that is given back changes hands at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from kube.client import Client
from kube.codec import WatchEvent
from kube.election import Reign, Sight, Terms, claim, look
from kube.errors import Conflict, KubeError, NotFound
from kube.fence import fenced
from kube.model import Lease, LeaseSpec
from kube.resource import LEASES
from kube.watch import Scope

log = logging.getLogger(__name__)

TERMS = Terms()
GOODBYE = 1.0  # seconds to give the lease back in


class NotLeading(Exception):
    """A write for leaders only was attempted by one who does not lead, or who stopped leading before it was answered."""


def steady_clock() -> float:
    """Seconds that go on while the machine sleeps, where there is such a clock: a holder that was asleep must know."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Leadership:
    """One candidate for one lease. `await run()` in a task of your own; cancelling it gives the lease back.

    `identity` must be unique among the candidates (a pod's name and uid): two with the same one would both lead.

    on_change is called with True and False as leadership comes and goes; `leading` and `writing()` are always exact.
    """

    def __init__(
        self, client: Client, namespace: str, name: str, identity: str, terms: Terms = TERMS,
        on_change: Callable[[bool], None] = lambda leading: None, clock: Callable[[], float] = steady_clock,
    ) -> None:  # fmt: skip
        self.identity = identity
        self._client = client
        self._namespace = namespace
        self._name = name
        self._terms = terms
        self._on_change = on_change
        self._clock = clock
        self._reign = Reign(terms)
        self._sight: Sight | None = None
        self._version = ""  # resourceVersion of the lease as last seen
        self._told = False

    @property
    def leading(self) -> bool:
        return self._reign.remaining(self._clock()) > 0

    @property
    def holder(self) -> str:
        """Who held the lease when we last looked, "" = nobody."""
        return self._sight.holder if self._sight else ""

    @property
    def heard_at(self) -> float:
        """When the lease was last seen to change, by `steady_clock`: while someone leads, every two seconds."""
        return self._sight.since if self._sight else float("-inf")

    @property
    def term(self) -> int:
        """Grows with every change of holder."""
        return self._reign.term

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Around every write that only the leader may do. Raises NotLeading, also when the deadline passes inside.

        A request that waits then is broken off, and none leaves later: also not from a process that was frozen meanwhile, which
        may get an answer and go on before the loop's timers have their turn. Hence the look at the clock before each one.
        """
        self.check()
        try:
            async with asyncio.timeout(self._reign.remaining(self._clock())) as deadline:
                with fenced(self.check):
                    yield
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise NotLeading(f"lease {self._namespace}/{self._name}: {self.identity} could not renew it in time") from error

    def check(self) -> None:
        """Raises NotLeading unless we lead."""
        if not self.leading:
            holder = self.holder or "nobody"
            raise NotLeading(f"lease {self._namespace}/{self._name}: {self.identity} does not hold it ({holder} does)")

    async def run(self) -> None:
        """Until cancelled: follow, and lead when it is our turn."""
        try:
            while True:
                await self._follow()
                if await self._renew():
                    await self._lead()
                else:
                    await self._pause()
        finally:
            await self._give_back()

    # --- leading ---

    async def _lead(self) -> None:
        self._tell(True)
        while True:
            await asyncio.sleep(min(self._terms.interval, self._reign.remaining(self._clock())))
            if not self.leading:
                log.warning("lease %s/%s: not renewed in time, no longer leading", self._namespace, self._name)
                break
            if not await self._renew() and self.holder != self.identity:
                break
        self._reign.lost()
        self._tell(False)

    async def _renew(self) -> bool:
        """Write our claim on the lease as we last saw it; False when that failed or somebody else was faster."""
        started = self._clock()
        spec = claim(self._sight, self.identity, self._terms, _timestamp())
        patience = self._reign.remaining(started) or self._terms.renew_deadline
        try:
            async with asyncio.timeout(min(patience, self._terms.renew_deadline / 2)):
                lease = await self._write(spec)
        except Conflict:
            await self._see()
            return False
        except (KubeError, TimeoutError) as error:
            log.warning("lease %s/%s: not renewed: %s", self._namespace, self._name, error or "no answer in time")
            return False
        self._note(lease)
        self._reign.renewed(started, lease.spec.lease_transitions or 0)
        return True

    async def _write(self, spec: LeaseSpec) -> Lease:
        """Carries the version that the decision was made on. A merge patch, so that labels and annotations stay."""
        fields = {name: value or None for name, value in msgspec.to_builtins(spec).items()}
        body: dict[str, Any] = {"metadata": {"name": self._name}, "spec": {"holderIdentity": None, **fields}}
        if self._version:
            versioned = {**body, "metadata": {"resourceVersion": self._version}}
            try:
                return await self._client.merge(LEASES, self._name, versioned, self._namespace)
            except NotFound:
                self._version = ""  # somebody deleted it
        return await self._client.create(LEASES, body, self._namespace)

    async def _give_back(self) -> None:
        """Say that nobody holds it any more, so that the next one need not wait. Best effort, within a second or so."""
        mine = self.holder == self.identity and self.leading
        self._reign.lost()
        self._tell(False)
        if not mine:
            return
        try:
            async with asyncio.timeout(GOODBYE):
                # A renewal that was broken off may have been carried out: then the first attempt is a conflict.
                if not await self._write_free():
                    await self._see()
                    if self.holder == self.identity:
                        await self._write_free()
        except (KubeError, TimeoutError) as error:
            log.warning("lease %s/%s: not given back, it runs out by itself: %s", self._namespace, self._name, error)

    async def _write_free(self) -> bool:
        transitions = self._sight.spec.lease_transitions if self._sight else 0
        spec = LeaseSpec(lease_duration_seconds=1, renew_time=_timestamp(), lease_transitions=transitions)
        try:
            await self._write(spec)
        except Conflict:
            return False
        return True

    # --- following ---

    async def _follow(self) -> None:
        """Until the lease may be taken."""
        while True:
            if not await self._see():
                await self._pause()
                continue
            wait = self._time_left()
            if wait <= 0:
                return
            try:
                async with asyncio.timeout(wait):
                    await self._observe(wait)
            except TimeoutError:
                continue
            except KubeError:
                await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._terms.interval * (0.5 + 0.5 * random.random()))

    def _time_left(self) -> float:
        """Seconds until the lease may be taken: none where there is none, nobody holds it, or we do (from an earlier reign)."""
        if self._sight is None or self.holder == self.identity:
            return 0.0
        return self._sight.runs_out(self._terms) - self._clock()

    async def _observe(self, wait: float) -> None:
        """Watch the lease until it is free."""
        scope = Scope(self._namespace, fields=f"metadata.name={self._name}")
        opened = self._client.watch(LEASES, scope, self._version, int(wait) + 1, wait + 1)
        async with opened as watch, aclosing(watch.batches()) as batches:
            async for batch in batches:
                for event in batch:
                    self._hear(event)
                if self._time_left() <= 0:
                    return

    def _hear(self, event: WatchEvent[Lease]) -> None:
        if event.object is None or event.type == "BOOKMARK":
            return
        if event.type == "DELETED":
            self._version = ""  # its holder may not know yet: what we saw of it still has to run out
        else:
            self._note(event.object)

    async def _see(self) -> bool:
        """Look at the lease; False when the API server does not answer."""
        try:
            async with asyncio.timeout(self._terms.renew_deadline):
                self._note(await self._client.get(LEASES, self._name, self._namespace))
        except NotFound:
            self._version = ""
        except (KubeError, TimeoutError) as error:
            log.warning("lease %s/%s: not seen: %s", self._namespace, self._name, error or "no answer in time")
            return False
        return True

    def _note(self, lease: Lease) -> None:
        before = self.holder
        self._sight = look(self._sight, lease.spec, self._clock())
        self._version = lease.metadata.resource_version
        if self.holder != before:
            log.info("lease %s/%s: held by %s", self._namespace, self._name, self.holder or "nobody")

    def _tell(self, leading: bool) -> None:
        if leading != self._told:
            self._told = leading
            log.info("lease %s/%s: %s", self._namespace, self._name, "leading" if leading else "not leading")
            self._on_change(leading)


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

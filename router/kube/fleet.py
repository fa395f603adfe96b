"""The routers of one cluster: seen in their own Service, heard by an exchange, and whether the samples of all are known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from autoscaler.model import Sample
from autoscaler.recorder import Recorder
from kube.lease import Leadership, steady_clock
from kube.model import EndpointSlice, SliceEndpoint
from router.kube.metrics import Reading
from router.kube.peers.membership import Membership
from router.kube.peers.ports import Exchange
from router.kube.peers.roster import TERMS, Terms, identity_of, is_of
from router.model import RouteKey
from router.unreachable import Unreachable

log = logging.getLogger(__name__)

HERE: Final = "here"  # this router, whose samples come without an exchange
OTHERS: Final = "others"  # routers whose samples are not known

Slices = Callable[[str, str], Iterable[EndpointSlice]]  # of a Service by namespace and name


class Fleet:
    """This router and the others, around one recorder. `await run()` in a task of your own.

    `service`: the routers' own Service as NAMESPACE/NAME, "" = not known; `exchange`: None = there is none.
    """

    def __init__(
        self, service: str, slices: Slices, exchange: Exchange | None, identity: str, recorder: Recorder[RouteKey],
        leadership: Leadership, terms: Terms = TERMS,
    ) -> None:  # fmt: skip
        self._service = service
        self._slices = slices
        self._recorder = recorder
        self._leadership = leadership
        self.membership: Membership | None = None
        if exchange is not None:
            self.membership = Membership(exchange, identity, recorder, lambda: leadership.leading, self._seen_alive, terms)
        self._doubt = ""  # why the samples of others are not all known, "" = they are

    async def run(self) -> None:
        """Until cancelled."""
        if self.membership is not None:
            await self.membership.run()

    def tick(self, now: float, samples: Mapping[RouteKey, Sample], unreachable: Unreachable) -> None:
        """One second is over: record and publish what was seen here, and look whether the others are all heard."""
        self._recorder.record(HERE, now, samples)
        if self.membership is not None:
            self.membership.publish(now, samples, unreachable)
        doubt = self._why(now)
        if doubt and not self._doubt:
            log.info("%s: nothing is scaled down", doubt)
        elif self._doubt and not doubt:
            log.info("the samples of all routers are known")
            self._recorder.leave(OTHERS)
        if doubt:
            self._recorder.join(OTHERS, now)
        self._doubt = doubt

    def unreachable(self, now: float) -> list[Unreachable]:
        """What each of the others cannot reach; whoever leads knows."""
        return self.membership.unreachable(now) if self.membership is not None else []

    def amiss(self) -> list[str]:
        """What its owner should know."""
        return [f"{self._doubt}: nothing is scaled down"] if self._doubt else []

    def reading(self) -> Reading:
        """Values for router.kube.metrics."""
        found: Reading = {("whole", ""): float(not self._doubt)}
        if self.membership is not None:
            figures = self.membership.figures
            found["exchange_connected", ""] = float(figures.connected)
            found["exchange_losses_total", ""] = float(figures.losses)
            found["routers", ""] = float(len(self.membership.roster.members))
        return found

    def lists(self, member: str) -> bool:
        """The cluster lists it as a router that serves; a new one in its pod's place is heard, and then it is not."""
        heard = self.membership.roster.members if self.membership is not None else frozenset()
        again = any(identity_of(each) == identity_of(member) and each != member for each in heard)
        return not again and any(is_of(member, pod) for pod in self._seen())

    def _why(self, now: float) -> str:
        seen = self._seen()
        if self.membership is not None:
            return self.membership.doubt(seen, now)
        return "other routers are seen, and their samples are not" if len(seen) > 1 else ""

    def _seen(self) -> list[str]:
        """Pods of the routers' own Service that serve, by name where the slice has one."""
        namespace, _, name = self._service.partition("/")
        if not name:
            return []
        return sorted({_name(each) for one in self._slices(namespace, name) for each in one.endpoints or () if _serves(each)})

    def _seen_alive(self) -> bool:
        """The cluster lists us as a router that serves, and it is no old news: the lease moves every two seconds."""
        if self.membership is None or steady_clock() - self._leadership.heard_at > self.membership.roster.terms.own:
            return False
        return any(is_of(self.membership.me, pod) for pod in self._seen())


def _name(endpoint: SliceEndpoint) -> str:
    return endpoint.target_ref.name if endpoint.target_ref else endpoint.addresses[0]


def _serves(endpoint: SliceEndpoint) -> bool:
    how = endpoint.conditions
    return (how.ready if how.serving is None else how.serving) is not False

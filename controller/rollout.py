"""Which revision has the traffic, how many replicas each has, and in which order they go. Pure.

A replica goes in three looks: it is marked draining in the route while it has requests, then it is taken out of the route,
then, out of the route and idle (or out of time), it is stopped. So no request meets a replica that stops.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from controller import traffic
from controller.actions import Action, ApplyRevision, Observed, RetireRevision
from controller.documents import unix
from controller.model import Function, FunctionSpec, Revision
from controller.ports import Replica
from controller.traffic import Asked, Shares
from router.model import Backend, Endpoint

SETTLE = 10.0  # seconds that a proven revision may take to reach the replicas of the one it follows
LOOK = 0.2  # seconds between looks at replicas that finish their requests


@dataclass(frozen=True, slots=True)
class Rollout:
    """Who has the traffic after this look, who should, and how many replicas they should have together."""

    routed: Revision | None  # the one with the largest share
    target: Revision | None  # the one that the rollout is about
    wanted: int  # replicas, within the function's bounds
    switched: bool = False
    again_at: float | None = None
    shares: Shares = field(default_factory=dict)  # who has the traffic after this look
    asked: Asked = field(default_factory=Asked)
    newest: Revision | None = None  # the revision of what the rest of the spec asks for
    unreleased: str = ""  # an artifact that waits until it is released


@dataclass(frozen=True, slots=True)
class Settled:
    """One revision brought one look nearer to its number of replicas."""

    endpoints: tuple[Endpoint, ...] = ()
    keep: int = 0  # replicas that may not be stopped yet, or have to be started
    gone: tuple[str, ...] = ()  # replicas that may be stopped
    draining: tuple[str, ...] = ()  # replicas that go and have requests, in time or not


def ready(observed: Observed, revision: str) -> list[Replica]:
    """The replicas of a revision that can take requests."""
    return [each for each in _alive(observed, revision) if each.ready and each.address]


def decide(function: Function, observed: Observed, newest: Revision | None, now: float, unreleased: str = "") -> Rollout:
    """Whether those who should have the traffic take it over, and the replicas that are wanted then."""
    spec = function.spec
    before, asked = traffic.now(function, observed), traffic.asked(function, observed, newest)
    wanted = _wanted(spec, observed, before)
    stays = Rollout(
        routed=traffic.main(before, observed.revisions),
        target=traffic.youngest(asked.shares, observed.revisions),
        wanted=wanted, shares=before, asked=asked, newest=newest, unreleased=unreleased,
    )  # fmt: skip
    if not asked.shares or asked.shares == before:
        return stays
    coming = [each for each in observed.revisions if each.name in asked.shares and each.name not in before]
    times = [_takes_over_at(spec, observed, stays, each) for each in coming]
    if (at := _latest(times)) is None or now < at:
        return replace(stays, again_at=at)
    own = max((min(len(ready(observed, each.name)), max(1, spec.scaling.initial)) for each in coming), default=0)
    return replace(
        stays,
        routed=traffic.main(asked.shares, observed.revisions),
        shares=asked.shares,
        switched=True,
        wanted=_bounded(spec, max(wanted, own)),
    )


def desired(spec: FunctionSpec, observed: Observed, rollout: Rollout, revision: str) -> int:
    """How many replicas a revision should have."""
    if share := rollout.shares.get(revision):
        if observed.routers_scale and spec.replicas is None and revision in observed.applied:
            return observed.applied[revision]
        return traffic.part(rollout.wanted, share)
    if share := rollout.asked.shares.get(revision):
        proven = any(each.name == revision and each.proven_at for each in observed.revisions)
        return max(1, spec.scaling.initial, traffic.part(rollout.wanted, share) if proven else 0)
    return 0


def settle(spec: FunctionSpec, observed: Observed, revision: str, number: int, now: float) -> Settled:
    """Bring a revision towards `number` replicas; those in excess drain first, unless the routers see to that."""
    if observed.routers_scale:
        return Settled(keep=number)
    alive = _alive(observed, revision)
    leaving = sorted(alive, key=lambda each: _leaves_before(each, observed))[: max(0, len(alive) - number)]
    names = {each.name for each in leaving}
    staying = [Endpoint(each.address) for each in ready(observed, revision) if each.name not in names]
    busy = [each for each in leaving if _busy(each, observed, spec, now)]
    gone = tuple(each.name for each in leaving if each not in busy and not _in_route(each, observed))
    return Settled(
        endpoints=(*staying, *(Endpoint(each.address, draining=True) for each in busy if _in_route(each, observed))),
        keep=max(number, len(alive) - len(gone)),
        gone=gone,
        draining=tuple(each.name for each in leaving if observed.in_flight.get(each.name, 0)),
    )


def backend(revision: str, settled: Settled, rollout: Rollout) -> Backend | None:
    """The revision's part of the route: its share, what it has left to finish, or nothing."""
    if share := rollout.shares.get(revision):
        return Backend(revision, settled.endpoints, share)
    finishing = tuple(endpoint for endpoint in settled.endpoints if endpoint.draining)
    return Backend(revision, finishing, weight=0) if finishing else None


def deploy(revision: str, record: Revision | None, settled: Settled, observed: Observed, rollout: Rollout) -> Action | None:
    """What the deployer has to be told about a revision, if anything."""
    if settled.keep == 0 and revision not in rollout.shares:
        present = revision in observed.applied or revision in observed.remains or _alive(observed, revision)
        return RetireRevision(revision) if present else None
    as_asked = observed.applied.get(revision) == settled.keep and revision not in observed.drifted
    if record is None or (not settled.gone and as_asked):
        return None
    return ApplyRevision(record, settled.keep, settled.gone)


def _wanted(spec: FunctionSpec, observed: Observed, shares: Shares) -> int:
    """Replicas of all who have the traffic: pinned, as the routers have set them, or as the autoscaler asked."""
    found = [observed.applied[name] for name in shares if name in observed.applied]
    if observed.routers_scale and spec.replicas is None and found:
        return sum(found)
    return _bounded(spec, observed.wanted)


def _takes_over_at(spec: FunctionSpec, observed: Observed, rollout: Rollout, coming: Revision) -> float | None:
    """Unix seconds from which a revision may take its share; None while it may not. 0 = at once."""
    if not coming.proven_at:
        return None if spec.scaling.initial else 0.0
    able = len(ready(observed, coming.name))
    need = max(1, traffic.part(rollout.wanted, rollout.asked.shares[coming.name]))
    if able >= need or rollout.routed is None or not any(ready(observed, name) for name in rollout.shares):
        return 0.0
    return unix(coming.proven_at) + SETTLE if able else None


def _latest(times: list[float | None]) -> float | None:
    """When all may: None while one may not."""
    return None if None in times else max((at for at in times if at is not None), default=0.0)


def _alive(observed: Observed, revision: str) -> list[Replica]:
    return [each for each in observed.replicas if each.revision == revision and not each.stopping]


def _leaves_before(replica: Replica, observed: Observed) -> tuple[bool, bool, bool, int]:
    """Sort key of those in excess: out of the route, unready, already draining, with the fewest requests go first."""
    in_flight = observed.in_flight.get(replica.name, 0)
    return (_in_route(replica, observed), replica.ready, replica.name not in observed.draining, in_flight)


def _busy(replica: Replica, observed: Observed, spec: FunctionSpec, now: float) -> bool:
    """It has requests, and time left to finish them."""
    since = observed.draining.get(replica.name, now)
    return observed.in_flight.get(replica.name, 0) > 0 and now - since < spec.drain_timeout


def _in_route(replica: Replica, observed: Observed) -> bool:
    backends = observed.route.backends if observed.route else ()
    return any(
        endpoint.address == replica.address
        for backend in backends
        if backend.revision == replica.revision
        for endpoint in backend.endpoints
    )


def _bounded(spec: FunctionSpec, replicas: int) -> int:
    if spec.replicas is not None:
        return spec.replicas
    return max(spec.scaling.min, min(replicas, spec.scaling.max))

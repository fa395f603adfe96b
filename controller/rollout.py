"""Which revision has the traffic, how many replicas each has, and in which order they go. Pure.

A replica goes in three looks: it is marked draining in the route while it has requests, then it is taken out of the route,
then, out of the route and idle (or out of time), it is stopped. So no request meets a replica that stops.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.actions import Action, ApplyRevision, Observed, RetireRevision
from controller.documents import unix
from controller.model import FunctionSpec, Revision
from controller.ports import Replica
from router.model import Backend, Endpoint

SETTLE = 10.0  # seconds that a proven revision may take to reach the replicas of the one it follows
LOOK = 0.2  # seconds between looks at replicas that finish their requests


@dataclass(frozen=True, slots=True)
class Rollout:
    """Who has the traffic after this look, who should, and how many replicas the routed one should have."""

    routed: Revision | None
    target: Revision | None
    wanted: int  # replicas, within the function's bounds
    switched: bool = False
    again_at: float | None = None


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


def routed_name(observed: Observed, stored: str) -> str:
    """The revision that has the traffic: as published, else (after a start) as the status remembers it."""
    backends = observed.route.backends if observed.route else ()
    return next((backend.revision for backend in backends if backend.weight > 0), stored)


def decide(spec: FunctionSpec, observed: Observed, routed: Revision | None, target: Revision | None, now: float) -> Rollout:
    """Whether the target takes over from the routed revision, and the replicas that are wanted then."""
    wanted = _clamped(observed.wanted, spec)
    if target is None or (routed is not None and routed.name == target.name):
        return Rollout(routed, target, wanted)
    able = len(ready(observed, target.name))
    at = _takes_over_at(spec, observed, routed, target, able, wanted)
    if at is None or now < at:
        return Rollout(routed, target, wanted, again_at=at)
    own = min(able, max(1, spec.scaling.initial))
    return Rollout(target, target, _clamped(max(observed.wanted, own), spec), switched=True)


def desired(spec: FunctionSpec, rollout: Rollout, revision: str) -> int:
    """How many replicas a revision should have."""
    if rollout.routed and revision == rollout.routed.name:
        return rollout.wanted
    if rollout.target and revision == rollout.target.name:
        return max(1, spec.scaling.initial, rollout.wanted if rollout.target.proven_at else 0)
    return 0


def settle(spec: FunctionSpec, observed: Observed, revision: str, number: int, now: float) -> Settled:
    """Bring a revision towards `number` replicas; those in excess drain first."""
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
    """The revision's part of the route: all, what it has left to finish, or nothing."""
    if rollout.routed and revision == rollout.routed.name:
        return Backend(revision, settled.endpoints)
    finishing = tuple(endpoint for endpoint in settled.endpoints if endpoint.draining)
    return Backend(revision, finishing, weight=0) if finishing else None


def deploy(revision: str, record: Revision | None, settled: Settled, observed: Observed, rollout: Rollout) -> Action | None:
    """What the deployer has to be told about a revision, if anything."""
    routed = rollout.routed is not None and revision == rollout.routed.name
    if settled.keep == 0 and not routed:
        present = revision in observed.applied or _alive(observed, revision)
        return RetireRevision(revision) if present else None
    if record is None or (not settled.gone and observed.applied.get(revision) == settled.keep):
        return None
    return ApplyRevision(record, settled.keep, settled.gone)


def _takes_over_at(
    spec: FunctionSpec, observed: Observed, routed: Revision | None, target: Revision, able: int, wanted: int
) -> float | None:
    """Unix seconds from which the target takes the traffic; None while it may not. 0 = at once."""
    if not target.proven_at:
        return None if spec.scaling.initial else 0.0
    if able >= max(1, wanted) or routed is None or not ready(observed, routed.name):
        return 0.0
    return unix(target.proven_at) + SETTLE if able else None


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


def _clamped(replicas: int, spec: FunctionSpec) -> int:
    return max(spec.scaling.min, min(replicas, spec.scaling.max))

"""Who leads, decided from what is seen of a Lease (coordination.k8s.io/v1). No clock, socket or task in here.

The rules are client-go's leaderelection: other machines' clocks are never compared with ours. A lease has run out when it has not
changed for its duration by our own clock; a holder stops at its renew deadline, counted from the *start* of its last successful
renewal, which lies before the moment at which anybody else may take over. So two never lead at once, as long as clocks run at
about the same speed and a write that was sent in time is not held up for longer than `duration - renew_deadline`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kube.model import LeaseSpec


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things may take, in seconds. The defaults are client-go's."""

    duration: float = 15.0  # others wait for so long after the last renewal that they saw; whole seconds on the wire
    renew_deadline: float = 10.0  # the holder stops after so long without a renewal
    interval: float = 2.0  # between renewals, and between attempts

    def __post_init__(self) -> None:
        if not 0 < self.interval < self.renew_deadline < self.duration:
            raise ValueError(f"a lease needs interval < renew deadline < duration, not {self}")
        if self.duration < 1 or self.duration != int(self.duration):
            raise ValueError(f"a lease's duration is whole seconds, not {self.duration:g}")


@dataclass(frozen=True, slots=True)
class Sight:
    """The lease as last seen, and since when it has looked like that by our clock."""

    spec: LeaseSpec
    since: float  # seconds

    @property
    def holder(self) -> str:
        return self.spec.holder_identity or ""

    def runs_out(self, terms: Terms) -> float:
        """When it may be taken over; at once when nobody holds it."""
        if not self.holder:
            return self.since
        return self.since + (self.spec.lease_duration_seconds or terms.duration)


def look(before: Sight | None, spec: LeaseSpec, now: float) -> Sight:
    """See the lease; the waiting time starts anew only when it has changed."""
    if before is not None and before.spec == spec:
        return before
    return Sight(spec, now)


def claim(sight: Sight | None, identity: str, terms: Terms, timestamp: str) -> LeaseSpec:
    """The spec to write in order to acquire or renew. `timestamp` is RFC 3339 with microseconds, for people to read."""
    mine = sight is not None and sight.holder == identity
    transitions = (sight.spec.lease_transitions or 0) if sight is not None else 0
    return LeaseSpec(
        holder_identity=identity,
        lease_duration_seconds=int(terms.duration),
        acquire_time=sight.spec.acquire_time if sight is not None and mine else timestamp,
        renew_time=timestamp,
        lease_transitions=transitions if mine or sight is None else transitions + 1,
    )


@dataclass(slots=True)
class Reign:
    """Our own leadership: it lasts until the renew deadline after the start of the last successful renewal."""

    terms: Terms
    ends: float = float("-inf")  # seconds, by the clock that `renewed` was given
    term: int = 0  # the lease's transitions when we acquired it: grows with every holder, to fence writes elsewhere

    def renewed(self, started: float, term: int) -> None:
        self.ends = started + self.terms.renew_deadline
        self.term = term

    def lost(self) -> None:
        self.ends = float("-inf")

    def remaining(self, now: float) -> float:
        """Seconds for which we may still write; 0 = we do not lead."""
        return max(0.0, self.ends - now)

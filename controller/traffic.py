"""Which revisions have a function's requests, which should have them, and in which shares. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from controller.actions import Observed
from controller.model import Function, Revision, Share

Shares = Mapping[str, int]  # revision -> percent


@dataclass(frozen=True, slots=True)
class Asked:
    """What the spec wants; where it names a revision that there is not, nothing changes until it does."""

    shares: Shares = field(default_factory=dict)  # empty: nothing can be routed yet
    missing: str = ""  # a revision that is named and not there


def now(function: Function, observed: Observed) -> dict[str, int]:
    """Who has the traffic: as published, else (after a start) as the status remembers it; only revisions that are kept."""
    backends = observed.route.backends if observed.route else ()
    found = {each.revision: each.weight for each in backends if each.weight > 0}
    if not found:
        found = {each.revision: each.percent for each in function.status.traffic} or {function.status.revision: 100}
    kept = {each.name for each in observed.revisions}
    return {name: weight for name, weight in found.items() if name in kept}


def asked(function: Function, observed: Observed, newest: Revision | None) -> Asked:
    """Who should have it. `newest`: the revision of what the rest of the spec asks for, None while there is none."""
    latest = newest.name if newest else ""
    if not function.spec.traffic:
        return Asked({latest: 100} if latest else {})
    kept = {each.name for each in observed.revisions}
    shares: dict[str, int] = {}
    for share in function.spec.traffic:
        name = share.revision or latest
        if not name:
            return Asked()
        if name not in kept:
            return Asked(missing=name)
        shares[name] = shares.get(name, 0) + share.percent
    return Asked(shares)


def main(shares: Shares, revisions: tuple[Revision, ...]) -> Revision | None:
    """The revision with the largest share, of equals the youngest."""
    able = [each for each in revisions if each.name in shares]
    return max(able, key=lambda each: (shares[each.name], each.generation), default=None)


def youngest(shares: Shares, revisions: tuple[Revision, ...]) -> Revision | None:
    """The one that a rollout is about: a canary before what it is tried against."""
    return max((each for each in revisions if each.name in shares), key=lambda each: each.generation, default=None)


def part(replicas: int, percent: int) -> int:
    """Replicas for a share, rounded up, so that none sleeps while the function is awake."""
    return ceil(replicas * percent / 100)


def listed(shares: Shares) -> tuple[Share, ...]:
    """As the status tells it, the largest first."""
    return tuple(
        Share(revision=name, percent=percent) for name, percent in sorted(shares.items(), key=lambda each: (-each[1], each[0]))
    )

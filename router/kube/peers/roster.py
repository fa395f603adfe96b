"""Which routers there are, decided from beats of the board and from the routers' own Service. No clock and no socket in here.

A member's name is its identity, "@", and a nonce: one that lost what it held comes back as somebody new.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from router.kube.peers.ports import Beat

STALE: Final = 2.5  # seconds without a beat until contact counts as lost


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things may take, in seconds."""

    lease: float = 6.0  # of the board's clock that a membership lasts after a beat
    own: float = 4.0  # of its own clock after which a member that knows nothing of the board gives up what it held
    missing: float = 2.5  # that a member must be missing from our beats before it counts as gone: we may look late
    settle: float = 4.0  # after its beginning until a board that began anew is believed: routers come back within 3

    def __post_init__(self) -> None:
        if not 0 < self.own < self.lease:
            raise ValueError(f"a member must give up before its lease runs out for others, not {self}")


TERMS: Final = Terms()


def identity_of(member: str) -> str:
    """The identity in a member's name."""
    return member.rpartition("@")[0]


def is_of(member: str, pod: str) -> bool:
    """Whether a member is this pod: its identity is the pod's name, or that with "-" and a number."""
    identity = identity_of(member)
    return identity == pod or identity.rpartition("-")[0] == pod


class Roster:
    """What one router knows of the others. Times are of its own clock."""

    def __init__(self, me: str, terms: Terms = TERMS) -> None:
        self.me = me
        self.terms = terms
        self.members: frozenset[str] = frozenset()  # as of the last beat, we among them
        self.past: frozenset[str] = frozenset()  # members whose time is over, and whose last batches may still be read
        self.expected: frozenset[str] = frozenset()  # other members whose batches have to come before anything is complete
        self._age = 0.0
        self._at = float("-inf")
        self._missing: dict[str, float] = {}

    def note(self, beat: Beat, now: float) -> None:
        """A beat was answered."""
        waited_for = self.expected if beat.age < self.terms.lease else frozenset()  # the board began anew: they are on their way
        self.expected = (beat.members | waited_for) - {self.me}
        self.members = beat.members
        self.past = beat.past - self.expected
        self._missing = {member: since for member, since in self._missing.items() if member not in beat.members}
        self._age = beat.age
        self._at = now

    def gone(self, member: str, now: float) -> bool:
        """Its lease has run out, as far as a board knows that is older than a lease. Asked again and again."""
        if member in self.members or member == self.me:
            return False
        return self._age >= self.terms.lease and now - self._missing.setdefault(member, now) >= self.terms.missing

    def young(self) -> bool:
        """The board began less than a lease ago: not everybody may have told yet what it holds."""
        return self._age < self.terms.lease

    def silent(self, now: float) -> bool:
        """There is no contact with the board."""
        return now - self._at > STALE

    def doubt(self, seen: Iterable[str], now: float) -> str:
        """Why not every live router is known; "" when each is. `seen`: pods of the routers' own Service that serve."""
        if self.silent(now):
            return "there is no contact with the other routers"
        if self._age < self.terms.settle:
            return "the exchange between routers has just begun"
        strangers = sorted(pod for pod in seen if not any(is_of(member, pod) for member in self.members | {self.me}))
        return f"router {strangers[0]} is seen, and not heard" if strangers else ""

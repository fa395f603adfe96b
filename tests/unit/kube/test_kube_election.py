"""kube.election: two never lead at once, whatever is delayed or lost, and somebody leads again in time. Time is a number here."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube.election import Reign, Sight, Terms, claim, look
from kube.model import LeaseSpec

TERMS = Terms(duration=15, renew_deadline=10, interval=2)


@dataclass
class Answer:
    """The API server's answer to a write, on its way back."""

    at: float
    started: float  # by the writer's clock
    spec: LeaseSpec
    version: int


@dataclass
class Member:
    """A candidate as kube.lease runs it, in steps: look, claim when the lease has run out, write if the version is right."""

    name: str
    offset: float  # its clock is this much off
    sight: Sight | None = None
    version: int = -1
    reign: Reign = field(default_factory=lambda: Reign(TERMS))
    answer: Answer | None = None

    def leads(self, now: float) -> bool:
        self.hear(now)
        return self.reign.remaining(now + self.offset) > 0

    def hear(self, now: float) -> None:
        if self.answer is not None and self.answer.at <= now:
            self.sight, self.version = look(self.sight, self.answer.spec, self.answer.at + self.offset), self.answer.version
            self.reign.renewed(self.answer.started, self.answer.spec.lease_transitions or 0)
            self.answer = None


@dataclass
class Stored:
    spec: LeaseSpec | None = None
    version: int = 0


def write(member: Member, stored: Stored, now: float, there: float, back: float) -> None:
    """A renewal or an attempt that was sent `there` seconds ago, is carried out now and answered after `back` seconds."""
    member.hear(now)
    started = now - there + member.offset
    mine = member.sight is not None and member.sight.holder == member.name
    if member.answer is not None or (member.sight is not None and not mine and member.sight.runs_out(TERMS) > started):
        return
    spec = claim(member.sight, member.name, TERMS, f"t{now}")
    if member.version == stored.version:  # otherwise a conflict
        stored.spec, stored.version = spec, stored.version + 1
        member.answer = Answer(now + back, started, spec, stored.version)


def see(member: Member, stored: Stored, now: float) -> None:
    if stored.spec is not None:
        member.sight = look(member.sight, stored.spec, now + member.offset)
    member.version = stored.version


MOVES = st.lists(
    st.tuples(
        st.integers(0, 2),  # who
        st.sampled_from(["see", "write"]),
        st.floats(0.0, 8.0),  # seconds until then
        st.floats(0.0, 8.0),  # how long the request was under way
        st.floats(0.0, 60.0),  # how long the answer will be
    ),
    max_size=60,
)


@given(MOVES, st.tuples(*[st.floats(-1000, 1000)] * 3))
def test_two_never_lead_at_once(moves: list[tuple[int, str, float, float, float]], offsets: tuple[float, ...]) -> None:
    members = [Member(name, offset) for name, offset in zip("abc", offsets, strict=True)]
    stored, now = Stored(), 0.0
    for who, action, passes, there, back in moves:
        now += passes
        if action == "see":
            see(members[who], stored, now)
        else:
            write(members[who], stored, now, there, back)
        assert sum(member.leads(now) for member in members) <= 1


@given(st.floats(0, 2), st.floats(0, 100))
def test_who_watches_takes_over_when_the_duration_has_passed_since_it_saw_the_last_renewal(lag: float, start: float) -> None:
    holder, follower, stored = Member("a", 0), Member("b", 500), Stored()
    see(holder, stored, start)
    write(holder, stored, start, 0, 0)
    see(follower, stored, start + lag)
    just_before, after = start + lag + TERMS.duration - 0.01, start + lag + TERMS.duration + 0.01
    write(follower, stored, just_before, 0, 0)
    assert not follower.leads(just_before)
    write(follower, stored, after, 0, 0)
    assert follower.leads(after) and not holder.leads(after)


def test_each_renewal_that_is_seen_starts_the_wait_anew() -> None:
    holder, follower, stored = Member("a", 0), Member("b", 500), Stored()
    see(holder, stored, 0)
    for now in range(0, 120, 2):
        write(holder, stored, now, 0, 0)
        see(follower, stored, now + 1)
        write(follower, stored, now + 1, 0, 0)
        assert holder.leads(now + 1) and not follower.leads(now + 1)


def test_a_lease_that_nobody_holds_is_free_at_once() -> None:
    assert Sight(LeaseSpec(holder_identity="", lease_duration_seconds=15), 5.0).runs_out(TERMS) == 5.0
    assert Sight(LeaseSpec(holder_identity=None, lease_duration_seconds=None), 5.0).runs_out(TERMS) == 5.0


def test_the_holders_own_duration_counts_not_ours() -> None:
    assert Sight(LeaseSpec(holder_identity="other", lease_duration_seconds=40), 5.0).runs_out(TERMS) == 45.0


def test_a_claim_counts_changes_of_holder_only() -> None:
    first = claim(None, "a", TERMS, "t0")
    assert (first.holder_identity, first.lease_transitions, first.acquire_time) == ("a", 0, "t0")
    renewed = claim(Sight(first, 0.0), "a", TERMS, "t1")
    assert (renewed.lease_transitions, renewed.acquire_time, renewed.renew_time) == (0, "t0", "t1")
    taken = claim(Sight(renewed, 0.0), "b", TERMS, "t2")
    assert (taken.holder_identity, taken.lease_transitions, taken.acquire_time) == ("b", 1, "t2")


def test_the_reign_counts_from_the_start_of_the_renewal_and_ends_when_lost() -> None:
    reign = Reign(TERMS)
    assert reign.remaining(0.0) == 0.0
    reign.renewed(100.0, term=3)
    assert (reign.remaining(104.0), reign.remaining(110.0), reign.term) == (6.0, 0.0, 3)
    reign.lost()
    assert reign.remaining(101.0) == 0.0


@pytest.mark.parametrize("terms", [(15, 15, 2), (15, 10, 10), (15, 10, 0), (0.5, 0.4, 0.1), (1.5, 1, 0.5)])
def test_terms_that_cannot_hold_are_refused(terms: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="lease"):
        Terms(*terms)

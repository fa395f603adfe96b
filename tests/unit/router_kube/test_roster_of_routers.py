"""Which routers there are, and why not all of them may be known."""

from __future__ import annotations

from router.kube.peers.ports import Beat
from router.kube.peers.roster import STALE, TERMS, Roster, is_of

ME, OTHER, THIRD = "router-a@1", "router-b@2", "router-c@3"


def beat(*members: str, age: float = 100.0) -> Beat:
    return Beat(0.0, frozenset(members), frozenset(), age, False, [])


def test_a_member_is_expected_until_its_lease_has_run_out() -> None:
    roster = Roster(ME)
    roster.note(beat(ME, OTHER), 10)
    assert roster.expected == {OTHER}
    roster.note(beat(ME), 11)
    assert roster.expected == frozenset()


def test_on_a_board_that_began_anew_those_known_before_are_waited_for() -> None:
    roster = Roster(ME)
    roster.note(beat(ME, OTHER), 10)
    roster.note(beat(ME, age=0.0), 20)
    assert roster.expected == {OTHER} and roster.young()
    roster.note(beat(ME, THIRD, age=TERMS.lease - 1), 29)
    assert roster.expected == {OTHER, THIRD}
    roster.note(beat(ME, THIRD, age=TERMS.lease), 30)
    assert roster.expected == {THIRD} and not roster.young()


def test_who_is_missing_is_gone_only_after_several_beats_and_never_on_a_young_board() -> None:
    roster = Roster(ME)
    roster.note(beat(ME, OTHER), 10)
    assert not roster.gone(OTHER, 10) and not roster.gone(ME, 1000)
    roster.note(beat(ME), 11)
    assert not roster.gone(OTHER, 11) and not roster.gone(OTHER, 11 + TERMS.missing - 0.1)
    assert roster.gone(OTHER, 11 + TERMS.missing)
    roster.note(beat(ME, OTHER), 15)
    roster.note(beat(ME), 16)
    assert not roster.gone(OTHER, 16)  # it was there in between: the wait begins anew
    roster.note(beat(ME, age=1.0), 40)
    assert not roster.gone(OTHER, 100)


def test_doubts_are_said_and_none_is_left_when_all_that_are_seen_are_heard() -> None:
    roster = Roster(ME)
    assert "no contact" in roster.doubt([], 0)
    roster.note(beat(ME, age=TERMS.settle - 0.1), 10)
    assert "just begun" in roster.doubt([], 10)
    roster.note(beat(ME, OTHER), 10)
    assert roster.doubt(["router-a", "router-b"], 10) == ""
    assert roster.doubt(["router-a", "router-x"], 10) == "router router-x is seen, and not heard"
    assert roster.doubt([], 10 + STALE) == "" and "no contact" in roster.doubt([], 10 + STALE + 0.1)


def test_a_member_is_a_pod_by_name_or_by_name_and_number() -> None:
    assert is_of("router-a@1f", "router-a") and is_of("router-a-17@1f", "router-a")
    assert not is_of("router-a-17@1f", "router") and not is_of("router-ab@1f", "router-a")

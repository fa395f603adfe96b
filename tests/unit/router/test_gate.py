"""Admission to one revision: examples."""

from __future__ import annotations

import pytest

from router.gate import GO, UNLIMITED, WAIT, Gate, Refusal
from router.room import Reason, Room


def gate(slots: int = 0, **bounds: int) -> Gate[str]:
    return Gate(0.0, slots, Room(**bounds))


def test_a_free_slot_is_taken_and_given_back() -> None:
    warm = gate(slots=1)
    assert warm.arrive("a", 0.0, 60.0) is GO
    assert warm.busy == 1
    assert warm.leave(1.0) is None
    assert warm.present == 0


def test_nothing_ready_means_waiting_and_resize_lets_them_go_in_order() -> None:
    cold = gate()
    assert [cold.arrive(name, 0.0, 60.0) for name in "abc"] == [WAIT, WAIT, WAIT]
    assert cold.resize(2, 1.0) == ["a", "b"]
    assert cold.leave(2.0) == "c"
    assert cold.leave(2.0) is None
    assert cold.leave(2.0) is None
    assert (cold.busy, cold.waiting) == (0, 0)


def test_unlimited_slots_let_everyone_go() -> None:
    cold = gate()
    names = [str(n) for n in range(500)]
    for name in names:
        cold.arrive(name, 0.0, 60.0)
    assert cold.resize(UNLIMITED, 1.0) == names
    assert cold.arrive("late", 1.0, 60.0) is GO


def test_fewer_slots_than_requests_in_flight_are_reached_as_they_leave() -> None:
    busy = gate(slots=3)
    for name in "abc":
        busy.arrive(name, 0.0, 60.0)
    assert busy.resize(1, 1.0) == []
    assert busy.arrive("d", 1.0, 60.0) is WAIT
    assert busy.leave(2.0) is None
    assert busy.leave(2.0) is None
    assert busy.leave(2.0) == "d"


def test_the_room_is_bounded_by_count() -> None:
    cold = gate(most=2)
    assert [cold.arrive(name, 0.0, 60.0) for name in "ab"] == [WAIT, WAIT]
    answer = cold.arrive("c", 0.0, 60.0)
    assert answer == Refusal(Reason.FULL, 1.0)
    assert cold.present == 2


def test_the_room_is_bounded_by_bytes_that_waiters_hold_and_read_on() -> None:
    cold = gate(most_bytes=100)
    assert cold.arrive("a", 0.0, 60.0, 40) is WAIT
    assert cold.grow("a", 50)
    assert not cold.grow("a", 11)
    assert not cold.grow("stranger", 1)
    assert cold.room.held == 101  # those were read, and are held
    assert cold.arrive("b", 0.0, 60.0, 0) == Refusal(Reason.BYTES, 1.0)
    assert cold.abandon("a", 1.0)
    assert cold.room.held == 0
    assert cold.arrive("b", 1.0, 60.0, 101) == Refusal(Reason.BYTES, 1.0)
    assert cold.arrive("b", 1.0, 60.0, 100) is WAIT


def test_two_revisions_of_a_function_share_one_room() -> None:
    room = Room(most=2)
    old: Gate[str] = Gate(0.0, 0, room)
    new: Gate[str] = Gate(0.0, 0, room)
    assert old.arrive("a", 0.0, 60.0) is WAIT
    assert new.arrive("b", 0.0, 60.0) is WAIT
    assert isinstance(new.arrive("c", 0.0, 60.0), Refusal)


def test_a_request_that_cannot_make_its_deadline_is_refused_with_the_rest_of_the_cold_start() -> None:
    cold = gate()
    cold.estimate.cold_start(10.0)
    assert cold.arrive("patient", 0.0, 60.0) is WAIT
    assert cold.arrive("hasty", 2.0, 5.0) == Refusal(Reason.DEADLINE, 8.0)
    assert cold.arrive("later", 7.0, 11.0) is WAIT


def test_a_refused_request_starts_the_waking_so_that_a_function_is_never_refused_for_ever() -> None:
    cold = gate()
    cold.estimate.cold_start(90.0)
    assert cold.arrive("a", 0.0, 60.0) == Refusal(Reason.DEADLINE, 90.0)
    assert cold.arrive("b", 40.0, 100.0) is WAIT


def test_cold_starts_are_observed_by_the_gate_itself() -> None:
    cold = gate()
    cold.arrive("a", 5.0, 60.0)
    cold.resize(1, 7.5)
    cold.leave(8.0)
    cold.resize(0, 9.0)
    assert cold.expected_wait(9.0) == 2.5


def test_a_full_queue_answers_with_the_time_that_its_length_takes() -> None:
    busy = gate(slots=1, most=6)
    busy.arrive("first", 0.0, 60.0)
    for name in "abcdef":
        assert busy.arrive(name, 0.0, 60.0) is WAIT
    assert busy.arrive("g", 0.0, 60.0) == Refusal(Reason.FULL, 1.0)  # nothing is known yet
    assert [busy.leave(0.5 * n) for n in (1, 2, 3, 4)] == list("abcd")
    assert busy.expected_wait(2.0) == pytest.approx(1.5)  # two before it, one every half second
    assert busy.arrive("hasty", 2.0, 3.0) == Refusal(Reason.DEADLINE, 1.5)
    assert busy.arrive("patient", 2.0, 60.0) is WAIT


def test_nobody_is_refused_for_the_pace_before_one_turnover_of_the_slots() -> None:
    busy = gate(slots=10)
    for n in range(20):
        busy.arrive(str(n), 0.0, 60.0)
    for n in range(9):
        busy.leave(30.0 + n / 1000)
    assert busy.arrive("x", 30.1, 40.0) is WAIT
    busy.leave(30.2)
    answer = busy.arrive("y", 30.2, 35.0)
    assert isinstance(answer, Refusal)
    assert answer.retry_after == pytest.approx(3.02 * 2)


def test_whoever_is_late_gets_no_slot_and_is_told_by_expire() -> None:
    busy = gate(slots=1)
    busy.arrive("first", 0.0, 60.0)
    busy.arrive("short", 0.0, 2.0)
    busy.arrive("long", 0.0, 60.0)
    assert busy.leave(3.0) == "long"
    assert busy.expire(3.0) == ["short"]
    assert busy.leave(4.0) is None
    assert busy.present == 0


def test_abandoning_takes_out_of_the_middle() -> None:
    cold = gate()
    for name in "abc":
        cold.arrive(name, 0.0, 60.0)
    assert cold.abandon("b", 1.0)
    assert not cold.abandon("b", 1.0)
    assert cold.resize(5, 2.0) == ["a", "c"]


def test_evicted_waiters_keep_order_and_deadline_among_those_of_the_other_gate() -> None:
    room = Room()
    old: Gate[str] = Gate(0.0, 0, room)
    new: Gate[str] = Gate(0.0, 0, room)
    old.arrive("a", 1.0, 10.0)
    new.arrive("b", 2.0, 60.0)
    old.arrive("c", 3.0, 60.0)
    assert new.admit(old.evict(4.0), 4.0) == []
    assert (old.present, new.present, room.waiting) == (0, 3, 3)
    assert new.expire(10.0) == ["a"]
    assert new.resize(5, 11.0) == ["b", "c"]


def test_a_cold_start_is_counted_from_who_came_after_the_others_went_to_another_gate() -> None:
    cold = gate()
    cold.arrive("a", 0.0, 60.0)
    cold.evict(10.0)
    cold.arrive("b", 20.0, 60.0)
    cold.resize(1, 23.0)
    cold.leave(24.0)
    cold.resize(0, 25.0)
    assert cold.expected_wait(25.0) == 3.0


def test_the_evicted_stand_where_their_age_puts_them() -> None:
    old: Gate[str] = Gate(0.0)
    new: Gate[str] = Gate(0.0, 0, old.room)
    old.arrive("a", 1.0, 60.0)
    new.arrive("b", 2.0, 60.0)
    old.arrive("c", 3.0, 60.0)
    new.arrive("d", 4.0, 60.0)
    new.admit(old.evict(5.0), 5.0)
    assert new.resize(3, 6.0) == ["a", "b", "c"]


def test_requests_without_a_slot_are_in_the_sample_until_they_end() -> None:
    warm = gate(slots=1)
    warm.arrive("a", 0.0, 60.0)
    warm.exempt_more(1)
    warm.resize(0, 0.0)
    assert warm.sample(1.0).concurrency == pytest.approx(1.0)
    warm.leave_exempt(1.5)
    assert warm.sample(2.0).concurrency == pytest.approx(0.5)


def test_a_gate_with_free_slots_lets_the_evicted_go_at_once() -> None:
    old: Gate[str] = Gate(0.0)
    old.arrive("a", 1.0, 10.0)
    new: Gate[str] = Gate(0.0, 1, old.room)
    assert new.admit(old.evict(2.0), 2.0) == ["a"]
    assert new.busy == 1


def test_the_sample_is_the_time_average_of_busy_and_waiting() -> None:
    busy = gate(slots=1)
    busy.arrive("a", 0.0, 60.0)
    busy.arrive("b", 0.5, 60.0)
    busy.leave(0.75)
    load = busy.sample(1.0)
    assert load.concurrency == pytest.approx(1.0 * 0.5 + 2.0 * 0.25 + 1.0 * 0.25)
    assert (load.requests, load.busy, load.waiting) == (2, 1, 0)
    assert busy.sample(2.0).concurrency == pytest.approx(1.0)


def test_a_silent_tunnel_is_present_in_every_sample() -> None:
    warm = gate(slots=UNLIMITED)
    warm.arrive("tunnel", 1e7, 1e7 + 60)
    warm.sample(1e7 + 1)
    for second in range(2, 100):
        load = warm.sample(1e7 + second)
        assert (load.busy, load.requests) == (1, 0)
        assert load.concurrency == pytest.approx(1.0, abs=1e-6)


def test_refused_requests_count_as_demand_but_not_as_present() -> None:
    cold = gate(most=1)
    cold.arrive("a", 0.0, 60.0)
    cold.arrive("b", 0.0, 60.0)
    load = cold.sample(1.0)
    assert (load.requests, load.concurrency) == (2, pytest.approx(1.0))

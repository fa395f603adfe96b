"""How long one more waiter is expected to wait: examples."""

from __future__ import annotations

import pytest

from router.estimate import Estimate


def test_nothing_is_expected_of_a_revision_that_was_never_seen() -> None:
    new = Estimate(0.0)
    assert (new.until_ready(0.0), new.until_free(10, 1)) == (0.0, 0.0)


def test_one_slow_cold_start_does_not_count() -> None:
    estimate = Estimate(0.0)
    for seconds in (1.0, 90.0, 1.2, 1.1):
        estimate.cold_start(seconds)
    assert estimate.until_ready(0.0) == 1.2


def test_only_the_last_five_cold_starts_count() -> None:
    estimate = Estimate(0.0)
    for seconds in (9.0, 9.0, 9.0, 1.0, 1.0, 1.0):
        estimate.cold_start(seconds)
    assert estimate.until_ready(0.0) == 1.0


def test_what_has_gone_by_of_a_cold_start_is_not_expected_any_more() -> None:
    estimate = Estimate(0.0)
    estimate.cold_start(10.0)
    estimate.waking(1.0)
    assert (estimate.until_ready(4.0), estimate.until_ready(30.0)) == (7.0, 0.0)


def test_a_start_that_nobody_waited_for_is_no_cold_start() -> None:
    estimate = Estimate(0.0)
    estimate.waking(0.0)
    estimate.woke(50.0, waited=False)
    assert estimate.until_ready(60.0) == 0.0


def test_a_wake_that_brought_nothing_is_forgotten_after_a_while() -> None:
    estimate = Estimate(0.0)
    estimate.waking(0.0)
    estimate.waking(1000.0)
    estimate.woke(1003.0, waited=True)
    assert estimate.until_ready(1005.0) == 3.0


def test_a_turn_in_the_queue_takes_the_mean_of_the_gaps_times_its_place() -> None:
    estimate = Estimate(0.0)
    for n in (1, 2, 3, 4):
        estimate.departed(0.5 * n, slots=1)
    assert estimate.until_free(2, slots=1) == pytest.approx(1.5)  # two before it, one every half second


def test_the_time_in_which_nobody_waited_is_no_gap() -> None:
    estimate = Estimate(0.0)
    estimate.queued(100.0)
    for n in (1, 2, 3, 4):
        estimate.departed(100.0 + n, slots=1)
    assert estimate.until_free(0, slots=1) == pytest.approx(1.0)


def test_nothing_is_said_of_the_pace_before_one_turnover_of_the_slots() -> None:
    estimate = Estimate(0.0)
    for n in range(9):  # ten requests of 30 s that began together end together: the first gap is 30 s, the others none
        estimate.departed(30.0 + n / 1000, slots=10)
    assert estimate.until_free(1, slots=10) == 0.0
    estimate.departed(30.2, slots=10)
    assert estimate.until_free(1, slots=10) == pytest.approx(3.02 * 2)

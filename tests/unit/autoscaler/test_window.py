"""Averages over the last seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.window import Window, second_of

amounts = st.lists(st.tuples(st.integers(0, 200), st.floats(0.01, 100)), min_size=1, max_size=60)


@pytest.mark.parametrize(("at", "second"), [(10.0, 9), (9.001, 9), (10.001, 10)])
def test_a_sample_belongs_to_the_second_that_it_ends(at: float, second: int) -> None:
    assert second_of(at) == second


def test_an_empty_window_is_zero() -> None:
    assert Window(60).average(100, 60) == 0.0


def test_seconds_before_the_first_amount_do_not_count() -> None:
    window = Window(60)
    window.add(100, 12.0)
    assert window.average(100, 60) == 12.0
    assert window.average(101, 60) == 6.0


def test_silent_seconds_after_it_do() -> None:
    window = Window(60)
    window.add(0, 60.0)
    assert window.average(59, 60) == 1.0
    assert window.average(60, 60) == 0.0
    assert window.average(5, 6) == 10.0


def test_a_window_that_was_empty_for_its_length_starts_anew() -> None:
    window = Window(60)
    window.add(0, 60.0)
    window.add(60, 30.0)
    assert window.average(60, 60) == 30.0


def test_late_amounts_count_while_their_second_is_in_the_window() -> None:
    window = Window(10)
    window.add(20, 1.0)
    window.add(18, 2.0)
    window.add(10, 99.0)
    assert window.average(20, 3) == 1.0


def test_a_longer_window_keeps_what_the_shorter_one_had() -> None:
    window = Window(6)
    for second in range(4, 10):
        window.add(second, 2.0)
    longer = window.stretched(60)
    assert longer.average(9, 6) == 2.0
    longer.add(20, 5.0)
    assert longer.average(20, 60) == pytest.approx(17 / 17)
    assert longer.stretched(30) is longer


@given(amounts, st.integers(1, 60), st.integers(0, 90))
def test_the_average_is_that_of_a_plain_list(entries: list[tuple[int, float]], seconds: int, after: int) -> None:
    window, plain, first = Window(60), dict[int, float](), 0
    newest = None
    for second, amount in sorted(entries):
        if newest is None or second >= newest + 60:
            first = second
        newest = second
        window.add(second, amount)
        plain[second] = plain.get(second, 0.0) + amount
    assert newest is not None
    end = newest + after
    begin = max(end - seconds + 1, first, newest - 59)
    expected = sum(plain.get(second, 0.0) for second in range(begin, end + 1)) / max(1, end - begin + 1) if end >= begin else 0.0
    assert window.average(end, seconds) == pytest.approx(expected)

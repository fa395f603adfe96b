"""The Date field: written as RFC 9110 5.6.7 says, and once in a second."""

from __future__ import annotations

from router.wire.date import DateLine


def test_a_date_is_written_once_in_a_second() -> None:
    now = [784111777.0]
    date = DateLine(lambda: now[0])
    first = date.now()
    assert first == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    now[0] += 0.999
    assert date.now() is first
    now[0] += 0.001
    assert date.now() == b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"


def test_a_day_and_an_hour_of_one_digit_have_two() -> None:
    assert DateLine(lambda: 1709251445.9).now() == b"Date: Fri, 01 Mar 2024 00:04:05 GMT\r\n"

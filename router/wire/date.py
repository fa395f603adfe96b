"""The Date field (RFC 9110 6.6.1): of answers of our own, and of a function's answer that has none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class DateLine:
    """A field line that is written once in a second. `clock` gives seconds since 1970."""

    __slots__ = ("_clock", "_line", "_second")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._second = -1
        self._line = b""

    def now(self) -> bytes:
        """The line of this second, with its CRLF: the same object until the next one."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._line = _line(second)
        return self._line


def _line(second: int) -> bytes:
    """As RFC 9110 5.6.7 writes it, whatever the locale."""
    year, month, day, hour, minute, rest, weekday, _, _ = time.gmtime(second)
    return f"Date: {_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{rest:02} GMT\r\n".encode()

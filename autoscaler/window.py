"""A sliding window: what was added in each of the last seconds, and the average over any tail of it. No clock in here."""

from __future__ import annotations

from array import array
from math import ceil


def second_of(at: float) -> int:
    """The whole second that a sample taken at its end belongs to: (9, 10] is second 9."""
    return ceil(at) - 1


class Window:
    """Amounts by second, in a ring of 8 bytes a second. A window that was empty for its whole length starts anew."""

    __slots__ = ("_cells", "_first", "_newest")

    def __init__(self, seconds: int) -> None:
        self._cells = array("d", bytes(8 * seconds))
        self._first = self._newest = -seconds  # the second that the present run of amounts began with, and the newest one

    def add(self, second: int, amount: float) -> None:
        """Add to a second; one that is too old by now is left out."""
        cells, length = self._cells, len(self._cells)
        if amount == 0 or second <= self._newest - length:
            return
        if second >= self._newest + length:
            cells[:] = array("d", bytes(8 * length))
            self._first = second
            self._newest = second
        self._first = min(self._first, second)
        while self._newest < second:
            self._newest += 1
            cells[self._newest % length] = 0.0
        cells[second % length] += amount

    def average(self, end: int, seconds: int) -> float:
        """Amount a second over the tail that ends with second `end`.

        Seconds before the window's first amount do not count, as in Knative (TimedFloat64Buckets.WindowAverage): a burst
        that wakes a sleeping function is seen whole in its first second, not as a sixtieth.
        """
        cells, length = self._cells, len(self._cells)
        begin = max(end - seconds + 1, self._first, self._newest - length + 1)
        if end < begin:
            return 0.0
        last = min(end, self._newest)
        left, right = begin % length, last % length + 1
        if last < begin:
            total = 0.0
        elif left < right:
            total = sum(cells[left:right])
        else:  # the ring's end lies between them
            total = sum(cells[left:]) + sum(cells[:right])
        return total / (end - begin + 1)

    def stretched(self, seconds: int) -> Window:
        """This window, or a longer one with the same amounts."""
        length = len(self._cells)
        if seconds <= length:
            return self
        longer = Window(seconds)
        for second in range(max(self._first, self._newest - length + 1), self._newest + 1):
            longer.add(second, self._cells[second % length])
        longer._first = self._first if longer._newest > -seconds else longer._first
        return longer

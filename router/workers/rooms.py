"""What waits for each function in each worker of a router, as cells of memory that all of them have mapped.

Each worker has a column, and each function a row of two cells in it: waiters, and the bytes that they hold. A worker writes its
own cells at each change, and reads the others' when one more request wants to wait, so that the bounds of a function hold over
all of its workers, nobody is asked, and who finds a free slot pays nothing. There is no lock: two workers that look in the same
instant do not see each other's newest waiter, so there may be one more than the bound for each worker beside the first. The
control process says which row is whose, and empties the column of a worker that is gone. No clock and no socket in here.
"""

from __future__ import annotations

from collections import deque
from struct import calcsize
from typing import Final

from router.model import RouteKey
from router.room import ALONE, Elsewhere

ROWS: Final = 262_144  # row 0 is nobody's
NOBODYS: Final = 0
_ROW: Final = 2  # native unsigned 64-bit cells: waiters, bytes
_COLUMN: Final = _ROW * ROWS  # cells


def size(workers: int) -> int:
    """Bytes of memory for so many workers: 4 MiB of addresses each, and no memory before somebody waits."""
    return workers * _COLUMN * calcsize("Q")


class Rows:
    """The control process's part: whose row is which."""

    def __init__(self, rows: int = ROWS) -> None:
        self._rows = rows
        self._numbers: dict[RouteKey, int] = {}
        self._free: deque[int] = deque()  # the longest free first: a worker may be a moment behind with what was removed
        self._used = 1

    def number(self, key: RouteKey) -> int:
        """The row of a function. NOBODYS: there are more functions than rows, so that each worker bounds this one for itself."""
        known = self._numbers.get(key)
        if known is None:
            known = self._next()
            if known != NOBODYS:
                self._numbers[key] = known
        return known

    def remove(self, key: RouteKey) -> None:
        """The function is gone, and its row is free."""
        number = self._numbers.pop(key, None)
        if number is not None:
            self._free.append(number)

    def empty(self, cells: memoryview, place: int) -> None:
        """Nothing waits in the worker of that place: it is gone, or has not begun."""
        first, count = place * _COLUMN, _ROW * self._used
        cells[first : first + count] = memoryview(bytes(count * calcsize("Q"))).cast("Q")

    def _next(self) -> int:
        if self._used < self._rows:
            self._used += 1
            return self._used - 1
        return self._free.popleft() if self._free else NOBODYS


class Rooms:
    """A worker's part: its own column beside the others'."""

    def __init__(self, cells: memoryview, place: int) -> None:
        self._cells = cells
        self._place = place
        self._places = len(cells) // _COLUMN
        self._numbers: dict[RouteKey, int] = {}

    def put(self, key: RouteKey, number: int) -> None:
        """The function has this row."""
        self._numbers[key] = number

    def remove(self, key: RouteKey) -> None:
        """The function is gone."""
        self._numbers.pop(key, None)

    def elsewhere(self, key: RouteKey) -> Elsewhere:
        """What a room of this function joins."""
        number = self._numbers.get(key, NOBODYS)
        if number == NOBODYS or self._places == 1:
            return ALONE
        rows = [place * _COLUMN + number * _ROW for place in range(self._places)]
        return _Row(self._cells, rows.pop(self._place), tuple(rows))


class _Row:
    """One function's row, as router.room.Elsewhere."""

    __slots__ = ("_cells", "_others", "_own")

    def __init__(self, cells: memoryview, own: int, others: tuple[int, ...]) -> None:
        self._cells = cells
        self._own = own
        self._others = others

    def waiting(self) -> int:
        cells = self._cells
        return sum([cells[at] for at in self._others])

    def held(self) -> int:
        cells = self._cells
        return sum([cells[at + 1] for at in self._others])

    def tell(self, waiting: int, held: int) -> None:
        self._cells[self._own] = waiting
        self._cells[self._own + 1] = held

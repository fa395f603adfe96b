"""Where the requests of one function wait, and how many may: in one worker, or in all workers of a router together.

No clock and no socket in here. A room belongs to one thread.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Protocol


class Reason(Enum):
    """Why a request may not even wait. The value is a metric label; `words` are for the client."""

    FULL = "queue_full"
    BYTES = "queue_bytes"
    DEADLINE = "deadline"

    @property
    def words(self) -> str:
        """The reason as the client is told it."""
        return _WORDS[self]


_WORDS: Final = {
    Reason.FULL: "as many requests as may wait for this function already do",
    Reason.BYTES: "the requests that wait for this function hold as many bytes as they may",
    Reason.DEADLINE: "this function is not expected to be ready before the request's deadline",
}


class Elsewhere(Protocol):
    """The rooms of the same function in other workers, which count towards its bounds."""

    def waiting(self) -> int:
        """Waiters there."""

    def held(self) -> int:
        """Bytes that they hold."""

    def tell(self, waiting: int, held: int) -> None:
        """What is here, from now on."""


class Alone:
    """There is no other worker."""

    def waiting(self) -> int:
        """As Elsewhere."""
        return 0

    def held(self) -> int:
        """As Elsewhere."""
        return 0

    def tell(self, waiting: int, held: int) -> None:
        """As Elsewhere."""


ALONE: Final = Alone()


class Room:
    """Where those who wait for one function do so: bounded by count and by bytes over all of its revisions. 0 is no bound."""

    __slots__ = ("_elsewhere", "held", "most", "most_bytes", "waiting")

    def __init__(self, most: int = 1000, most_bytes: int = 64 << 20) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self.waiting = 0
        self.held = 0  # bytes
        self._elsewhere: Elsewhere = ALONE

    def join(self, elsewhere: Elsewhere) -> None:
        """From now on the bounds hold over those rooms and this one."""
        self._elsewhere = elsewhere
        elsewhere.tell(self.waiting, self.held)

    def refuses(self, size: int) -> Reason | None:
        """Why one more waiter with this many bytes does not fit."""
        if self.most and self.waiting + self._elsewhere.waiting() >= self.most:
            return Reason.FULL
        return None if self._fits(size) else Reason.BYTES

    def enter(self, held: int) -> None:
        """One more waits here."""
        self.waiting += 1
        self.held += held
        self._elsewhere.tell(self.waiting, self.held)

    def leave(self, held: int) -> None:
        """One who held so many bytes does not wait any more."""
        self.waiting -= 1
        self.held -= held
        self._elsewhere.tell(self.waiting, self.held)

    def grow(self, size: int) -> bool:
        """One who waits here holds so many bytes more, which were read already and count. False: it may read no more for now."""
        fits = self._fits(size)
        self.held += size
        self._elsewhere.tell(self.waiting, self.held)
        return fits

    def _fits(self, size: int) -> bool:
        return not self.most_bytes or self.held + self._elsewhere.held() + size <= self.most_bytes

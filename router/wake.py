"""One cold start as seen from here: when it was asked for, how often, and which part took how long. No clock in here."""

from __future__ import annotations

from typing import NamedTuple

FIRST_AGAIN = 0.1  # seconds until the first repetition of a wake; doubled each time
LAST_AGAIN = 1.0  # seconds between repetitions at most


class Parts(NamedTuple):
    """What a cold request's wait was made of, in seconds; the sum is the whole."""

    wake: float  # until the scaler's write was done
    schedule: float  # until an address appeared
    start: float  # until it was ready and this request's turn came
    connect: float  # until the kernel took the request's first byte

    def server_timing(self) -> bytes:
        """As a field line (W3C Server Timing), in milliseconds."""
        parts = ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in zip(self._fields, self, strict=True))
        return f"Server-Timing: {parts}\r\n".encode()


class Wake:
    """A wake that is under way. A level, not an edge: it is repeated until something is ready."""

    __slots__ = ("_again_at", "_interval", "asked", "ready", "scheduled", "woken")

    def __init__(self, now: float) -> None:
        self.asked = now
        self.woken = 0.0  # 0: not told
        self.scheduled = 0.0
        self.ready = 0.0
        self._interval = FIRST_AGAIN
        self._again_at = now + FIRST_AGAIN

    def due(self, now: float) -> bool:
        """Is it time to repeat it? Asked and answered once for each repetition."""
        if now < self._again_at:
            return False
        self._interval = min(2 * self._interval, LAST_AGAIN)
        self._again_at = now + self._interval
        return True

    def parts(self, began: float, released: float, sent: float) -> Parts:
        """Divide one request's wait, from its arrival to its first byte sent. What was never told counts as part of the next."""
        woken = min(max(self.woken or self.asked, began), released)
        scheduled = min(max(self.scheduled or woken, woken), released)
        return Parts(woken - began, scheduled - woken, released - scheduled, sent - released)

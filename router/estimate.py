"""How long one more waiter will wait: until a revision is ready, or until its turn has come. No clock in here.

Times are seconds of one monotonic clock. An estimate belongs to one gate, which tells it what happens.
"""

from __future__ import annotations

from typing import Final

REMEMBERED: Final = 5  # cold starts whose median is expected of the next one: one slow image pull does not count
EVIDENCE: Final = 4  # departures from a full gate, at least, before anyone is refused because of their pace
WAKING_FORGOTTEN: Final = 600.0  # seconds after which a wake that brought nothing is not counted as under way any more


class Estimate:
    """What was seen of a revision's cold starts, and of the pace at which requests leave it while others wait."""

    __slots__ = ("_cold_starts", "_departed_at", "_departures", "_gap", "_waking_since")

    def __init__(self, now: float) -> None:
        self._cold_starts: list[float] = []  # the last ones, seconds
        self._waking_since: float | None = None
        self._departures = 0  # from a full gate, up to one turnover of the slots
        self._departed_at = now
        self._gap = 0.0  # seconds between two departures from a full gate: the mean over about one turnover of the slots

    def until_ready(self, now: float) -> float:
        """Seconds until something is ready: the median of the last cold starts, less what has gone by of this one; 0: unknown."""
        if not self._cold_starts:
            return 0.0
        gone = 0.0 if self._waking_since is None else now - self._waking_since
        return max(0.0, sorted(self._cold_starts)[len(self._cold_starts) // 2] - gone)

    def until_free(self, waiting: int, slots: int) -> float:
        """Seconds until one more waiter gets a slot; 0: unknown.

        Little's law: the queue's length times the mean time between two departures, once as many as there are slots were seen.
        """
        return (waiting + 1) * self._gap if self._departures >= max(EVIDENCE, slots) else 0.0

    def waking(self, now: float) -> None:
        """Somebody came while nothing is ready."""
        if self._waking_since is None or now - self._waking_since > WAKING_FORGOTTEN:
            self._waking_since = now

    def gave_up(self) -> None:
        """Nobody waits any more for it to be ready."""
        self._waking_since = None

    def woke(self, now: float, waited: bool) -> None:
        """Something is ready; without anyone who `waited`, how long it took says nothing."""
        self._departed_at = now
        if self._waking_since is not None and waited:
            self.cold_start(now - self._waking_since)
        self._waking_since = None

    def cold_start(self, seconds: float) -> None:
        """Remember how long a cold start took."""
        self._cold_starts = [*self._cold_starts[1 - REMEMBERED :], seconds]

    def queued(self, now: float) -> None:
        """The first one waits: while nobody did, departures said nothing of how fast they could be."""
        self._departed_at = now

    def departed(self, now: float, slots: int) -> None:
        """A request left while others waited."""
        self._departures = min(self._departures + 1, max(EVIDENCE, slots))
        self._gap += (now - self._departed_at - self._gap) / self._departures
        self._departed_at = now

"""What became of the requests: exact percentiles over every one of them, goodput, refusals. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request. Its latency runs from the moment it should have been sent, so that a stalled server cannot hide its delays
    by keeping the generator from sending ("coordinated omission", G. Tene)."""

    at: float  # seconds since the start at which it was due
    latency: float  # seconds from then to the end of the response
    status: int  # 0: the connection failed
    worker: int = 0  # which group of connections carried it

    @property
    def done(self) -> float:
        """Seconds since the start at which it ended."""
        return self.at + self.latency


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that this share (0 to 1) of the values does not exceed (nearest rank); nan when there is none."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def goodput(outcomes: Iterable[Outcome], start: float, end: float) -> float:
    """Answers with 2xx a second that ended between start and end, seconds since the start."""
    return sum(200 <= outcome.status < 300 and start <= outcome.done < end for outcome in outcomes) / (end - start)


def latencies(outcomes: Iterable[Outcome], status: int) -> list[float]:
    """Seconds, of the requests that ended with this status."""
    return [outcome.latency for outcome in outcomes if outcome.status == status]


def statuses(outcomes: Iterable[Outcome]) -> dict[int, int]:
    """How many ended with each status."""
    counts: dict[int, int] = {}
    for outcome in outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    return dict(sorted(counts.items()))

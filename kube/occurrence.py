"""What is worth an Event, and which of many alike are written: series and a rate limit. No clock, socket or task in here.

The same thing about the same object is one Event whose series counts (events.k8s.io/v1), and an object may cause only so many
different ones: both as client-go's recorder does, so that a loop that goes wrong does not fill etcd.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

SERIES_AGE = 360.0  # seconds without a repetition after which the same thing is a new Event
REPORT_INTERVAL = 30.0  # seconds between two writes of a series' count
BURST = 25  # Events about one object at once
REFILL = 300.0  # seconds for one more
REMEMBERED = 2048  # series, and objects, kept in mind


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object that an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that the owner of an object should know."""

    regarding: Regarding
    type: Literal["Normal", "Warning"]
    reason: str  # CamelCase, for programs: "BadAnnotation"
    action: str  # CamelCase, what we were doing: "Routing"
    note: str  # a sentence, for people


@dataclass(slots=True)
class Series:
    """An Event that was written, and how often the same thing has happened."""

    name: str
    count: int
    last_at: float  # seconds, of the last occurrence
    written_at: float  # seconds, of the last write


@dataclass(frozen=True, slots=True)
class Write:
    """What to write: a new Event (count 1) or the count of one that is there."""

    occurrence: Occurrence
    name: str  # of the Event
    count: int


class Correlator:
    """Decides about each occurrence. Bounded: the ones longest ago are forgotten first."""

    def __init__(self) -> None:
        self.dropped = 0
        self._series: OrderedDict[Occurrence, Series] = OrderedDict()
        self._budgets: OrderedDict[Regarding, tuple[float, float]] = OrderedDict()  # tokens left, at

    def see(self, occurrence: Occurrence, now: float, fresh_name: str) -> Write | None:
        """`now` in seconds; `fresh_name` names the Event if it becomes one. None: nothing is to be written."""
        series = self._series.get(occurrence)
        if series is not None and now - series.last_at <= SERIES_AGE:
            return self._repeat(occurrence, series, now)
        if not self._spend(occurrence.regarding, now):
            self.dropped += 1
            return None
        self._remember(occurrence, Series(fresh_name, 1, now, now))
        return Write(occurrence, fresh_name, 1)

    def forget(self, occurrence: Occurrence) -> None:
        """Its Event is not there (not written, or deleted): the next one is new."""
        self._series.pop(occurrence, None)

    def _repeat(self, occurrence: Occurrence, series: Series, now: float) -> Write | None:
        series.count += 1
        series.last_at = now
        self._series.move_to_end(occurrence)
        if series.count > 2 and now - series.written_at < REPORT_INTERVAL:
            return None
        series.written_at = now
        return Write(occurrence, series.name, series.count)

    def _spend(self, regarding: Regarding, now: float) -> bool:
        tokens, at = self._budgets.pop(regarding, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - at) / REFILL)
        enough = tokens >= 1.0
        self._budgets[regarding] = (tokens - 1.0 if enough else tokens, now)
        if len(self._budgets) > REMEMBERED:
            self._budgets.popitem(last=False)
        return enough

    def _remember(self, occurrence: Occurrence, series: Series) -> None:
        self._series[occurrence] = series
        self._series.move_to_end(occurrence)
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)

"""Collects the samples of one or several routers, and condenses them into Loads. No clock in here; keys are opaque.

A batch is what one router saw of all its routes in one second: a route that is not in it was idle. So a batch that did not
come is what makes a Load incomplete, not a route that is missing from one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from math import ceil
from typing import Final, Generic, TypeVar

from autoscaler.model import Load, Policy, Sample
from autoscaler.window import Window, second_of

K = TypeVar("K", bound=Hashable)

TOLERANCE: Final = 2.5  # seconds between two batches of a router that still count as unbroken: one late tick is no gap
SECONDS: Final = 60  # of a window, until a policy asks for more


class _Source:
    """One router: when its last batch ended, and since when none is missing."""

    __slots__ = ("last", "whole_since")

    def __init__(self, at: float) -> None:
        self.last = at
        self.whole_since = at


class _Track:
    """What is kept of one route that had traffic: 1.2 KiB."""

    __slots__ = ("active_at", "concurrency", "present", "requests")

    def __init__(self) -> None:
        self.concurrency = Window(SECONDS)
        self.requests = Window(SECONDS)
        self.present: dict[Hashable, tuple[int, float]] = {}  # by router: in flight + waiting, at the end of which batch
        self.active_at = 0.0


class Recorder(Generic[K]):
    """All samples of the last window. Times are of this process's monotonic clock, also for batches from elsewhere."""

    def __init__(self) -> None:
        self._sources: dict[Hashable, _Source] = {}
        self._tracks: dict[K, _Track] = {}

    def __contains__(self, key: object) -> bool:
        """Whether a route had traffic within its window."""
        return key in self._tracks

    def join(self, source: Hashable, now: float) -> None:
        """Expect batches of this router from now on: until they come, nothing is complete."""
        self._sources.setdefault(source, _Source(now))

    def leave(self, source: Hashable) -> None:
        """The router is gone for good, and with it whatever was in flight or waiting in it."""
        self._sources.pop(source, None)
        for track in self._tracks.values():
            track.present.pop(source, None)

    def record(self, source: Hashable, at: float, samples: Mapping[K, Sample]) -> None:
        """Take one router's batch of the second that ended at `at`. One that is not newer than its last is left out."""
        known = self._sources.get(source)
        if known is None:
            known = self._sources[source] = _Source(at - 1)
        span = at - known.last
        if span <= 0:
            return
        if span > TOLERANCE:
            known.whole_since = at - 1
            span = 1.0
        known.last = at
        second = second_of(at)
        for key, sample in samples.items():
            self._add(key, source, at, second, span, sample)

    def load(self, key: K, policy: Policy, now: float, ready: int) -> Load:
        """The averages over both windows of the policy, and what else `decide` wants to know."""
        whole_since = max((source.whole_since for source in self._sources.values()), default=now)
        silent = any(now - source.last > TOLERANCE for source in self._sources.values())
        complete = bool(self._sources) and not silent and now - whole_since >= policy.panic_window
        track = self._tracks.get(key)
        if track is None:
            return Load(0.0, 0.0, 0, max(0.0, now - whole_since), complete, ready)
        end = self._end(now)
        stable, panic = ceil(policy.stable_window), ceil(policy.panic_window)
        track.concurrency = track.concurrency.stretched(stable)
        track.requests = track.requests.stretched(stable)
        window = track.concurrency if policy.metric == "concurrency" else track.requests
        present = self._present(track)
        idle_for = 0.0 if present else max(0.0, now - max(track.active_at, whole_since))
        if idle_for > max(policy.stable_window, policy.idle_grace):
            del self._tracks[key]
        return Load(window.average(end, stable), window.average(end, panic), present, idle_for, complete, ready)

    def _add(self, key: K, source: Hashable, at: float, second: int, span: float, sample: Sample) -> None:
        track = self._tracks.get(key)
        if sample.present or sample.requests or sample.concurrency > 0:
            if track is None:
                track = self._tracks[key] = _Track()
            track.active_at = max(track.active_at, at)
            track.concurrency.add(second, sample.concurrency * span)
            track.requests.add(second, sample.requests)
        if track is not None:
            track.present[source] = (sample.present, at)

    def _present(self, track: _Track) -> int:
        """In flight + waiting over all routers: of a silent one what it said last, as nobody knows that it ended."""
        return sum(
            present
            for source, (present, at) in track.present.items()
            if (known := self._sources.get(source)) and known.last == at
        )

    def _end(self, now: float) -> int:
        """The last second that every router which is heard has told of."""
        lasts = [source.last for source in self._sources.values()]
        heard = [last for last in lasts if now - last <= TOLERANCE] or lasts or [now]
        return second_of(min(heard))

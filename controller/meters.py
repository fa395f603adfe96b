"""What the controller counts: looks at functions, the queue before them, builds and their steps. No clock and no metrics library.

A look at a function is what others call a reconciliation: https://book.kubebuilder.io/reference/metrics-reference has the names.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Final

from controller.laps import KINDS
from controller.ports import BuildResult

LOOKS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds: bounds of buckets
BUILDS: Final = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
RESULTS: Final = ("success", "error")
OUTCOMES: Final = ("succeeded", "cached", "failed", "unavailable", "stopped")
REASONS: Final = 64  # of failures that have series of their own: some come out of a build's container
OTHER: Final = "_other"


class Distribution:
    """How many values were in which bucket, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last: above all bounds
        self.sum = 0.0

    def add(self, value: float) -> None:
        """A value; one that is a bound counts below it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Meters:
    """One controller's counts since it started. Durations are in seconds; a clock that was set back makes them 0."""

    def __init__(self) -> None:
        self.looks = Counter(dict.fromkeys(RESULTS, 0))
        self.look_seconds, self.queue_seconds = Distribution(LOOKS), Distribution(LOOKS)
        self.retries = 0
        self.builds = Counter(dict.fromkeys(OUTCOMES, 0))
        self.build_failures: Counter[str] = Counter()  # by reason
        self.build_seconds = {outcome: Distribution(BUILDS) for outcome in ("succeeded", "failed", "unavailable")}
        self.build_waits = Distribution(BUILDS)
        self.step_seconds = dict.fromkeys(KINDS, 0.0)  # by kind of step

    def queued(self, seconds: float) -> None:
        """A function that was to be looked at at once is looked at, so long afterwards."""
        self.queue_seconds.add(max(0.0, seconds))

    def looked(self, seconds: float, result: str) -> None:
        """A look that took so long and ended as one of RESULTS says; one that failed is repeated."""
        self.looks[result] += 1
        self.look_seconds.add(max(0.0, seconds))
        if result == "error":
            self.retries += 1

    def build_began(self, waited: float) -> None:
        """A build has one of the places, after so long."""
        self.build_waits.add(max(0.0, waited))

    def build_ended(self, result: BuildResult, seconds: float) -> None:
        """What became of a build, so long after it had its place."""
        failed = "unavailable" if result.may_pass else "failed"
        outcome = ("cached" if result.cached else "succeeded") if result.artifact else failed
        self.builds[outcome] += 1
        if outcome in self.build_seconds:
            self.build_seconds[outcome].add(max(0.0, seconds))
        if not result.artifact:
            self.build_failures[self._bounded(result.reason or "Failed")] += 1
        for kind, taken in result.steps:
            self.step_seconds[kind] += max(0.0, taken)

    def build_stopped(self) -> None:
        """A build that nobody needs any more, or that another controller goes on with."""
        self.builds["stopped"] += 1

    def _bounded(self, reason: str) -> str:
        return reason if reason in self.build_failures or len(self.build_failures) < REASONS else OTHER

"""The autoscaler's nouns: Policy, Sample, Load, Decision. Frozen data; no clock, no HTTP and no Kubernetes in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Metric = Literal["concurrency", "rps"]
TARGETS: Final[dict[Metric, float]] = {
    "concurrency": 70.0,
    "rps": 200.0,
}  # for one replica, where the owner names none (Knative's)

RULES: Final = ("stable", "panic", "idle", "asleep", "minimum", "maximum", "samples")  # what can decide


@dataclass(frozen=True, slots=True)
class Policy:
    """What a route's owner asks of the autoscaler; raises ValueError for what cannot be done.

    The defaults are Knative's (pkg/autoscaler), save where a comment says why.
    """

    minimum: int = 0  # replicas
    maximum: int = 10  # replicas
    metric: Metric = "concurrency"
    target: float = TARGETS["concurrency"]  # in flight (concurrency) or requests/s (rps) that one replica should carry
    stable_window: float = 60.0  # seconds
    panic_window: float = 6.0  # seconds
    panic_threshold: float = 2.0  # times the present capacity
    max_up: float = 1000.0  # times the present replicas, at most, in one step
    max_down: float = 2.0  # divisor of the present replicas, at most, in one step
    idle_grace: float = 30.0  # seconds without traffic before the last replica goes

    def __post_init__(self) -> None:
        for wrong, what in (
            (self.minimum < 0, f"minimum must be at least 0 replicas, was {self.minimum}"),
            (self.maximum < max(1, self.minimum), f"maximum must be at least 1 and the minimum, was {self.maximum}"),
            (self.metric not in TARGETS, f"metric must be concurrency or rps, was {self.metric!r}"),
            (not self.target > 0, f"target must be above 0, was {self.target:g}"),
            (
                not 1 <= self.panic_window <= self.stable_window <= 3600,
                "windows must be 1 s <= panic_window <= stable_window <= 3600 s",
            ),
            (not self.panic_threshold > 1, f"panic_threshold must be above 1, was {self.panic_threshold:g}"),
            (not (self.max_up > 1 and self.max_down > 1), "max_up and max_down must be above 1"),
            (not self.idle_grace >= 0, f"idle_grace must be at least 0 s, was {self.idle_grace:g}"),
        ):
            if wrong:
                raise ValueError(f"scaling policy: {what}")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one router saw of one route during one second."""

    at: float  # monotonic seconds, end of the second
    concurrency: float  # in flight + waiting, averaged over the second
    requests: int  # arrivals in the second
    present: int  # in flight + waiting at this instant: not zero forbids scaling to zero


@dataclass(frozen=True, slots=True)
class Load:
    """Samples condensed: the averages over both windows, in the policy's metric."""

    stable: float
    panic: float
    present: int  # in flight + waiting now, over all routers
    idle_for: float  # seconds since anything was in flight, waiting or arriving
    complete: bool  # False while samples are missing: then nothing is scaled down
    ready: int  # replicas that take requests now


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas, and why, in the words of the log line, the status and the tests."""

    replicas: int
    reason: str

    @property
    def rule(self) -> str:
        """The reason's first word, one of RULES: what may be a metric's label."""
        return self.reason.split(" ", 1)[0].rstrip(":")

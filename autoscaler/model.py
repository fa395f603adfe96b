"""The autoscaler's nouns: Policy, Sample, Load, Decision. Frozen data; no clock, no HTTP and no Kubernetes in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Policy:
    """What a route's owner asks of the autoscaler. The defaults are Knative's (pkg/autoscaler), save where a comment says why."""

    minimum: int = 0  # replicas
    maximum: int = 10  # replicas
    metric: Literal["concurrency", "rps"] = "concurrency"
    target: float = 70.0  # in flight (concurrency) or requests/s (rps) that one replica should carry
    stable_window: float = 60.0  # seconds
    panic_window: float = 6.0  # seconds
    panic_threshold: float = 2.0  # times the present capacity
    max_up: float = 1000.0  # times the present replicas, at most, in one step
    max_down: float = 2.0  # divisor of the present replicas, at most, in one step
    idle_grace: float = 30.0  # seconds without traffic before the last replica goes


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


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas, and why, in the words of the log line, the status and the tests."""

    replicas: int
    reason: str

"""What a run of one scenario came to, from what locust wrote down. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from loadtest.outcomes import percentile

BESIDE = "nginx"  # the name of requests that went to what the router is compared with


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one scenario. Times in milliseconds; of what succeeded."""

    scenario: str
    requests: int
    failures: int
    seconds: float
    p50: float
    p95: float
    p99: float
    worst: float
    peer: dict[str, float] = {}  # what it is compared with, measured in the same run: "nginx p99", "bare p95"

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What one run of a scenario left: locust's `_stats.csv`, the exact latencies as JSON, and bare starts in milliseconds."""

    stats: str
    exact: str
    seconds: float
    bare: Sequence[float] = ()


def outcome(scenario: str, runs: Sequence[Taken], counted: str) -> Outcome:
    """Over all that was measured in these runs. `counted`: only requests of this name; "" = all. Raises ValueError."""
    rows = [row for run in runs for row in csv.DictReader(io.StringIO(run.stats))]
    total = [row for row in rows if row["Name"] == "Aggregated"]
    if not total:
        raise ValueError(f"locust wrote no statistics for {scenario}: it sent nothing")
    times = _exactly(runs, counted)
    bare = [each for run in runs for each in run.bare]
    beside = _exactly(runs, BESIDE) if counted else []
    return Outcome(
        scenario=scenario,
        requests=sum(int(row["Request Count"]) for row in rows if row["Name"] == (counted or "Aggregated")),
        failures=sum(int(row["Failure Count"]) for row in total),
        seconds=sum(run.seconds for run in runs),
        p50=percentile(times, 0.5),
        p95=percentile(times, 0.95),
        p99=percentile(times, 0.99),
        worst=max(times, default=float("nan")),
        peer={
            **({"nginx p99": percentile(beside, 0.99)} if beside else {}),
            **({"bare p95": percentile(bare, 0.95)} if bare else {}),
        },
    )


def _exactly(runs: Sequence[Taken], counted: str) -> list[float]:
    """Milliseconds of all requests of a name that succeeded; "" = of all."""
    taken: list[dict[str, list[float]]] = [json.loads(run.exact) for run in runs]
    return [each for one in taken for name, series in one.items() if name == counted or not counted for each in series]


class Change(NamedTuple):
    """One figure of a scenario, in an earlier run and in this one."""

    scenario: str
    figure: str
    before: float
    after: float

    @property
    def share(self) -> str:
        """As "+12%"; "" where there is nothing to divide by."""
        return f"{self.after / self.before - 1:+.0%}" if self.before else ""


def changes(before: Mapping[str, Outcome], after: Mapping[str, Outcome]) -> list[Change]:
    """For each scenario of both runs, in the order of the later one."""
    figures: dict[str, Callable[[Outcome], float]] = {
        "requests/s": lambda each: each.rate,
        "failures": lambda each: each.failures,
        "p50 ms": lambda each: each.p50,
        "p95 ms": lambda each: each.p95,
        "p99 ms": lambda each: each.p99,
    }
    return [
        Change(name, figure, of(before[name]), of(after[name]))
        for name in after
        if name in before
        for figure, of in figures.items()
    ]


def compared(found: Sequence[Change]) -> str:
    """As CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["scenario", "figure", "before", "after", "change"])
    writer.writerows([*each[:2], f"{each.before:.3f}", f"{each.after:.3f}", each.share] for each in found)
    return text.getvalue()

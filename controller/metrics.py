"""The controller's numbers for Prometheus, in a cluster and on one machine: read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.meters import Distribution, Meters
from controller.model import Function
from controller.ports import FunctionStore
from controller.reconcile import Reconciler

PREFIX: Final = "cloudbase_controller_"


class Fact(NamedTuple):
    """One metric after the prefix, as docs/metrics.md lists it."""

    kind: str  # "counter" | "gauge" | "histogram"
    labels: tuple[str, ...]
    unit: str
    meaning: str


FACTS: Final[Mapping[str, Fact]] = {
    "leading": Fact("gauge", (), "-", "1: this controller works, 0: it waits for the lease"),
    "functions": Fact("gauge", (), "functions", "functions known"),
    "functions_ready": Fact("gauge", (), "functions", "functions that answer as last asked for"),
    "reconcile_total": Fact("counter", ("result",), "looks", "looks at a function: what is there compared with what should be"),
    "reconcile_time_seconds": Fact("histogram", (), "seconds", "what a look took, with what it wrote"),
    "active_workers": Fact("gauge", (), "looks", "looks that go on now, each at another function"),
    "workqueue_depth": Fact("gauge", (), "functions", "functions that wait to be looked at now"),
    "workqueue_queue_duration_seconds": Fact("histogram", (), "seconds", "what they waited"),
    "workqueue_retries_total": Fact("counter", (), "looks", "looks that were to be repeated after an error"),
    "api_requests_total": Fact("counter", ("verb", "code"), "requests", "requests to the API server, by its answer"),
    "builds_total": Fact("counter", ("outcome",), "builds", "builds that ended"),
    "build_failures_total": Fact("counter", ("reason",), "builds", "those that failed, by the reason in the function's status"),
    "build_duration_seconds": Fact("histogram", ("outcome",), "seconds", "what a build took once it had its place"),
    "build_wait_seconds": Fact("histogram", (), "seconds", "what a build waited for its place"),
    "build_step_seconds_total": Fact("counter", ("step",), "seconds", "what builds took, by kind of step"),
    "builds_running": Fact("gauge", (), "builds", "builds that have a place"),
    "builds_waiting": Fact("gauge", (), "builds", "builds that wait for one"),
    "build_places": Fact("gauge", (), "builds", "how many there are"),
}  # fmt: skip

Reading = Mapping[str, float]  # gauges by their name in FACTS
Requests = Mapping[tuple[str, str], float]  # (verb, status) -> answers


class ControllerMetrics(Collector):
    """Registered once. `gauges` gives the values of the moment, `requests` what the API server answered, where there is one."""

    def __init__(self, meters: Meters, gauges: Callable[[], Reading], requests: Requests | None = None) -> None:
        self._meters, self._gauges, self._requests = meters, gauges, requests

    def describe(self) -> list[Metric]:
        """Nothing: the registry need not ask for names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client's Collector."""
        for name, value in self._gauges().items():
            yield _simple(name, {(): value})
        it = self._meters
        yield _simple("reconcile_total", _by(it.looks))
        yield _histogram("reconcile_time_seconds", {(): it.look_seconds})
        yield _histogram("workqueue_queue_duration_seconds", {(): it.queue_seconds})
        yield _simple("workqueue_retries_total", {(): it.retries})
        yield _simple("builds_total", _by(it.builds))
        yield _simple("build_failures_total", _by(it.build_failures))
        yield _histogram("build_duration_seconds", {(outcome,): found for outcome, found in it.build_seconds.items()})
        yield _histogram("build_wait_seconds", {(): it.build_waits})
        yield _simple("build_step_seconds_total", _by(it.step_seconds))
        if self._requests is not None:
            yield _simple("api_requests_total", {(verb, code): count for (verb, code), count in self._requests.items()})


def reading(store: FunctionStore, reconciler: Reconciler) -> dict[str, float]:
    """The gauges that there are in a cluster and on one machine."""
    functions, queue, builds = store.list(), reconciler.queue, reconciler.builds.places
    return {
        "functions": float(len(functions)),
        "functions_ready": float(sum(_ready(each) for each in functions)),
        "active_workers": float(queue.working),
        "workqueue_depth": float(queue.depth),
        "builds_running": float(builds.held),
        "builds_waiting": float(builds.waiting),
        "build_places": float(builds.count),
    }


def _ready(function: Function) -> bool:
    current = function.status.observed_generation == function.generation
    return current and any(each.type == "Ready" and each.status == "True" for each in function.status.conditions)


def _by(counts: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(word,): count for word, count in counts.items()}


def _simple(name: str, values: Mapping[tuple[str, ...], float]) -> Metric:
    fact = FACTS[name]
    family = (CounterMetricFamily if fact.kind == "counter" else GaugeMetricFamily)(
        PREFIX + name, fact.meaning, labels=fact.labels
    )
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(name: str, values: Mapping[tuple[str, ...], Distribution]) -> Metric:
    fact = FACTS[name]
    family = HistogramMetricFamily(PREFIX + name, fact.meaning, labels=fact.labels)
    for labels, found in values.items():
        bounds = [*(f"{bound:g}" for bound in found.bounds), "+Inf"]
        family.add_metric(labels, list(zip(bounds, accumulate(found.counts), strict=True)), found.sum)
    return family

"""The controller's own numbers for Prometheus, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PREFIX = "cloudbase_controller_"
MEANINGS: Mapping[str, str] = {
    "leading": "1: this controller works, 0: it waits for the lease",
    "functions": "functions known",
    "functions_ready": "functions that answer as last asked for",
    "queued": "functions that wait to be looked at, or are looked at",
    "looks_total": "looks at a function",
    "look_failures_total": "looks that failed and were tried again",
}

Reading = Mapping[str, float]


class ControllerMetrics(Collector):
    """`reading` gives a value for each name in MEANINGS."""

    def __init__(self, reading: Callable[[], Reading]) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        for name, value in self._reading().items():
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            metric = family(PREFIX + name, MEANINGS[name])
            metric.add_metric([], value)
            yield metric

"""What the autoscaler decided, as Prometheus metrics: replicas wanted and had, the load, and which rule changed them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from autoscaler.loop import Loop
from router.model import RouteKey
from router.switchboard import label

_NAME: Final = "cloudbase_autoscaler_"
FACTS: Final = {  # name -> (kind, labels, unit, meaning), as docs/metrics.md lists them
    "replicas_wanted": ("gauge", ("function",), "replicas", "what the autoscaler decided last"),
    "replicas_ready": ("gauge", ("function",), "replicas", "that take requests"),
    "load": ("gauge", ("function", "window"), "requests", "average in flight, or requests/s: what the decision was made on"),
    "changes_total": ("counter", ("function", "rule"), "changes", "times that a rule changed the number of replicas"),
}


class AutoscalerMetrics(Collector):
    """Registered once. Only the router that scales has series: elsewhere the loop has no targets."""

    def __init__(self, loop: Loop[RouteKey]) -> None:
        self._loop = loop

    def describe(self) -> list[Metric]:
        """Nothing: the registry need not ask the loop for names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client's Collector."""
        wanted, ready, load = _gauge("replicas_wanted"), _gauge("replicas_ready"), _gauge("load")
        for key, standing in self._loop.standings().items():
            wanted.add_metric([label(key)], standing.decision.replicas)
            ready.add_metric([label(key)], standing.ready)
            load.add_metric([label(key), "stable"], standing.load.stable)
            load.add_metric([label(key), "panic"], standing.load.panic)
        _, labels, _, meaning = FACTS["changes_total"]
        changes = CounterMetricFamily(_NAME + "changes_total", meaning, labels=labels)
        for key, counts in self._loop.changes().items():
            for rule, count in counts.items():
                changes.add_metric([label(key), rule], count)
        yield from (wanted, ready, load, changes)


def _gauge(name: str) -> GaugeMetricFamily:
    _, labels, _, meaning = FACTS[name]
    return GaugeMetricFamily(_NAME + name, meaning, labels=labels)

"""What a router knows of its cluster as Prometheus metrics: one Collector that reads the parts when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Reading = dict[tuple[str, str], float]  # (metric, kind or "") -> value

_NAME: Final = "cloudbase_router_kube_"
FACTS: Final = {  # name -> (kind, label, unit, meaning), as docs/metrics.md lists them
    "synced": ("gauge", "", "-", "1: every object has been listed once"),
    "connected": ("gauge", "resource", "-", "1: every watch is open"),
    "contact_age_seconds": ("gauge", "resource", "seconds", "seconds since the API server last said anything about them"),
    "objects": ("gauge", "resource", "objects", "objects known"),
    "relists_total": ("counter", "resource", "lists", "whole lists taken"),
    "expired_total": ("counter", "resource", "watches", "times that the API server had forgotten our version (410)"),
    "routes": ("gauge", "", "routes", "routes in the table"),
    "leading": ("gauge", "", "-", "1: this router scales"),
    "whole": ("gauge", "", "-", "1: the samples of all routers are known; 0: some are not, so nothing is scaled down"),
    "routers": ("gauge", "", "routers", "routers that are heard over the exchange, this one among them"),
    "exchange_connected": ("gauge", "", "-", "1: the Redis between routers answers"),
    "exchange_losses_total": ("counter", "", "losses", "times that contact with it was lost"),
    "unreachable": ("gauge", "", "pods", "pods that nothing was heard of in three attempts to connect: they are replaced"),
    "slots": ("gauge", "", "slots", "slots of hard limits that this router has now, where several share them"),
    "slot_changes_total": ("counter", "", "changes", "changes of who has which slots that this router wrote"),
    "wakes_total": ("counter", "", "writes", "writes that woke a Deployment"),
    "resizes_total": ("counter", "", "writes", "writes of another number of replicas by the one who scales"),
    "cancelled_total": ("counter", "", "ways", "ways down that an arrival or another number ended"),
    "write_failures_total": ("counter", "", "requests", "reads or writes of /scale that failed"),
    "probes_passed_total": ("counter", "", "pods", "pods that were found ready by the router's own probe"),
}


class KubeMetrics(Collector):
    """Registered once; `read` gives all values of the moment."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read

    def describe(self) -> list[Metric]:
        """Nothing: the registry must not ask for values before the parts are there."""
        return []

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client's Collector."""
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for (name, label), value in self._read().items():
            kind, label_name, _, meaning = FACTS[name]
            family = families.get(name)
            if family is None:
                make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
                family = families[name] = make(_NAME + name, meaning, labels=[label_name] if label_name else [])
            family.add_metric([label] if label_name else [], value)
        yield from families.values()

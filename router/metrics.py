"""The workers' books as Prometheus metrics: one Collector, no object per label. Only the control process imports this.

Counters of a worker that died are kept, its gauges are not. Labels are bounded: functions with a page, and fixed words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from operator import add
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from router import meters
from router.exposition import Exposition

Cells = tuple[int, ...]
_NAME: Final = "cloudbase_router_"
_NOTHING: Final[Cells] = (0,) * meters.CELLS


class Fact(NamedTuple):
    """One metric: its name after the prefix, kind, labels and meaning, as docs/metrics.md lists it."""

    name: str
    kind: str  # "counter" | "gauge" | "histogram"
    labels: tuple[str, ...]
    unit: str
    meaning: str


REQUESTS: Final = Fact(
    "requests_total", "counter", ("function", "code"), "requests", "requests that ended, by class of status code"
)
DURATION: Final = Fact(
    "request_duration_seconds", "histogram", ("function",), "seconds", "from the request's head to the end of its answer"
)
COLD: Final = Fact("cold_start_seconds", "histogram", ("function",), "seconds", "what requests waited that found nothing ready")
COLD_PARTS: Final = Fact(
    "cold_start_part_seconds_total",
    "counter",
    ("function", "part"),
    "seconds",
    "the same by part: wake, schedule, start, connect",
)
UNSERVED: Final = Fact(
    "unserved_total", "counter", ("function", "reason"), "requests", "requests that never reached the function, and why"
)
FAILURES: Final = Fact("upstream_failures_total", "counter", ("function", "failure"), "failures", "what went wrong with replicas")
RETRIES: Final = Fact("retries_total", "counter", ("function",), "requests", "requests that were sent a second time")
RECEIVED: Final = Fact("received_bytes_total", "counter", ("function",), "bytes", "from clients")
SENT: Final = Fact("sent_bytes_total", "counter", ("function",), "bytes", "to clients")
OPENED: Final = Fact("upstream_opened_total", "counter", ("function",), "connections", "connections opened to replicas")
UPSTREAM: Final = Fact(
    "upstream_connections", "gauge", ("function",), "connections", "connections to replicas, idle ones included"
)
IN_FLIGHT: Final = Fact("in_flight", "gauge", ("function",), "requests", "requests at replicas, streams and tunnels included")
WAITING: Final = Fact("waiting", "gauge", ("function",), "requests", "requests that wait for a replica or a slot")
ACCEPTED: Final = Fact("client_accepted_total", "counter", (), "connections", "connections accepted from clients")
CLIENTS: Final = Fact("client_connections", "gauge", (), "connections", "connections of clients, idle ones included")
CLIENT_LIMIT: Final = Fact("client_connections_limit", "gauge", (), "connections", "connections that clients may have")
EVICTED: Final = Fact(
    "client_evicted_total", "counter", (), "connections", "idle connections of clients that were closed to make room for others"
)
REJECTED: Final = Fact(
    "rejected_total", "counter", ("status",), "requests", "requests answered before a function was known, by status code"
)
WORKERS: Final = Fact("workers", "gauge", (), "processes", "workers that move requests")
FACTS: Final = (
    REQUESTS, DURATION, COLD, COLD_PARTS, UNSERVED, FAILURES, RETRIES, RECEIVED, SENT, OPENED, UPSTREAM, IN_FLIGHT, WAITING,
    ACCEPTED, CLIENTS, CLIENT_LIMIT, EVICTED, REJECTED, WORKERS,
)  # fmt: skip


_FUNCTIONS: Final = FACTS[: FACTS.index(ACCEPTED)]


class RouterMetrics(Collector):
    """All books of this router's workers. A scrape reads them once; the workers notice nothing of it."""

    def __init__(self) -> None:
        self._books: dict[str, memoryview] = {}
        self._past: dict[str, Cells] = {}  # counters of workers that are gone, by function
        self._past_worker: Cells = _NOTHING
        self._exposition = Exposition()

    def join(self, worker: str, book: memoryview) -> None:
        """A worker begins; ValueError when its book has another layout."""
        meters.read_worker(book)
        self._books[worker] = book

    def leave(self, worker: str) -> None:
        """A worker is gone: what it counted stays, what was in flight or open in it does not."""
        book = self._books.pop(worker)
        for label, cells in meters.read_functions(book).items():
            self._past[label] = _sum(self._past.get(label, _NOTHING), _without_gauges(cells))
        ended = list(meters.read_worker(book))
        ended[meters.GONE] = ended[meters.ACCEPTED]
        ended[meters.BOUND] = 0
        self._past_worker = _sum(self._past_worker, tuple(ended))

    def forget(self, function: str) -> None:
        """The function is gone, and with it what dead workers counted of it."""
        self._past.pop(function, None)

    def collect(self) -> Iterator[Metric]:
        """One scrape, as a registry asks for it. `exposition` makes the same text in a tenth of the time."""
        functions, books = dict(self._past), list(self._books.values())
        for book in books:
            for label, cells in meters.read_functions(book).items():
                functions[label] = _sum(functions[label], cells) if label in functions else cells
        yield from _by_function(functions)
        yield from self._by_worker(self._worker())

    def exposition(self) -> bytes:
        """One scrape in Prometheus' text format: what prometheus_client makes of `collect`."""
        rows = [lines for _, lines in sorted(self._exposition.rows(list(self._books.values()), self._past).items())]
        blocks = [_text([_family(fact)]) + b"".join([lines[n] for lines in rows]) for n, fact in enumerate(_FUNCTIONS)]
        return b"".join(blocks) + _text(self._by_worker(self._worker()))

    def _worker(self) -> Cells:
        worker = self._past_worker
        for book in self._books.values():
            worker = _sum(worker, meters.read_worker(book))
        return worker

    def describe(self) -> Iterator[Metric]:
        """Names without values, so that registering needs no scrape."""
        for fact in FACTS:
            yield _family(fact)

    def _by_worker(self, cells: Cells) -> Iterator[Metric]:
        yield _single(ACCEPTED, cells[meters.ACCEPTED])
        yield _single(CLIENTS, cells[meters.ACCEPTED] - cells[meters.GONE])
        yield _single(CLIENT_LIMIT, cells[meters.BOUND])
        yield _single(EVICTED, cells[meters.EVICTED])
        rejected = _counter(REJECTED)
        for status, count in zip(meters.REJECTED, cells[meters.REJECTIONS :], strict=False):
            rejected.add_metric([str(status) if status else "other"], count)
        yield rejected
        yield _single(WORKERS, len(self._books))


class _Once(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _text(families: Iterable[Metric]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(families))
    return generate_latest(registry)


def _by_function(functions: dict[str, Cells]) -> Iterator[Metric]:
    rows = sorted(functions.items())
    yield _requests(rows)
    yield _histogram(DURATION, ((label, _durations(cells), cells[meters.LATENCY_SUM]) for label, cells in rows))
    colds = ((label, cells[meters.COLD : meters.COLD + meters.BUCKETS], cells[meters.COLD_SUM]) for label, cells in rows)
    yield _histogram(COLD, (cold for cold in colds if any(cold[1])))
    yield _words(COLD_PARTS, rows, meters.COLD_PARTS, meters.PARTS, 1e-6)
    yield _words(UNSERVED, rows, meters.UNSERVED, meters.REASONS)
    yield _words(FAILURES, rows, meters.FAILED, meters.FAILURES)
    for fact, cell in ((RETRIES, meters.RETRIED), (RECEIVED, meters.RECEIVED), (SENT, meters.SENT), (OPENED, meters.OPENED)):
        yield _plain(fact, ((label, cells[cell]) for label, cells in rows))
    yield _plain(UPSTREAM, ((label, cells[meters.OPENED] - cells[meters.CLOSED]) for label, cells in rows))
    yield _plain(IN_FLIGHT, ((label, cells[meters.IN_FLIGHT]) for label, cells in rows))
    yield _plain(WAITING, ((label, cells[meters.WAITING]) for label, cells in rows))


def _requests(rows: list[tuple[str, Cells]]) -> Metric:
    family = _counter(REQUESTS)
    for label, cells in rows:
        for n, code in enumerate(meters.CLASSES):
            at = meters.LATENCY + n * meters.BUCKETS
            count = sum(cells[at : at + meters.BUCKETS])
            if count:
                family.add_metric([label, code], count)
    return family


def _durations(cells: Cells) -> list[int]:
    """The buckets of all classes of codes, added up."""
    end = meters.LATENCY + len(meters.CLASSES) * meters.BUCKETS
    return [sum(cells[at : end : meters.BUCKETS]) for at in range(meters.LATENCY, meters.LATENCY + meters.BUCKETS)]


def _histogram(fact: Fact, rows: Iterable[tuple[str, Iterable[int], int]]) -> Metric:
    family = HistogramMetricFamily(_NAME + fact.name, fact.meaning, labels=fact.labels)
    bounds = [*map(str, meters.BOUNDS), "+Inf"]
    for label, counts, microseconds in rows:
        family.add_metric([label], list(zip(bounds, accumulate(counts), strict=True)), microseconds / 1e6)
    return family


def _words(fact: Fact, rows: list[tuple[str, Cells]], at: int, words: tuple[str, ...], scale: float = 1) -> Metric:
    """A second label with fixed words; a word that was never counted has no series."""
    family = _counter(fact)
    for label, cells in rows:
        for word, count in zip(words, cells[at : at + len(words)], strict=True):
            if count:
                family.add_metric([label, word], count * scale)
    return family


def _plain(fact: Fact, rows: Iterable[tuple[str, int]]) -> Metric:
    family = _counter(fact) if fact.kind == "counter" else _gauge(fact)
    for label, value in rows:
        family.add_metric([label], value)
    return family


def _single(fact: Fact, value: int) -> Metric:
    family = _counter(fact) if fact.kind == "counter" else _gauge(fact)
    family.add_metric([], value)
    return family


def _counter(fact: Fact) -> CounterMetricFamily:
    return CounterMetricFamily(_NAME + fact.name, fact.meaning, labels=fact.labels)


def _gauge(fact: Fact) -> GaugeMetricFamily:
    return GaugeMetricFamily(_NAME + fact.name, fact.meaning, labels=fact.labels)


def _family(fact: Fact) -> Metric:
    if fact.kind == "histogram":
        return HistogramMetricFamily(_NAME + fact.name, fact.meaning, labels=fact.labels)
    return _counter(fact) if fact.kind == "counter" else _gauge(fact)


def _sum(one: Cells, other: Cells) -> Cells:
    return tuple(map(add, one, other))


def _without_gauges(cells: Cells) -> Cells:
    kept = list(cells)
    for gauge in meters.GAUGES:
        kept[gauge] = 0
    kept[meters.CLOSED] = kept[meters.OPENED]
    return tuple(kept)

"""The books as Prometheus metrics, and as the autoscaler's samples."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from autoscaler.model import Sample
from router import meters
from router.meters import PAGE, Meters
from router.metrics import FACTS, RouterMetrics
from router.samples import Samples

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"


def book() -> tuple[memoryview, Meters]:
    buffer = memoryview(bytearray(8 * PAGE))
    return buffer, Meters(buffer)


def scrape(metrics: RouterMetrics) -> dict[tuple[str, ...], float]:
    """All samples of one scrape, parsed back: (name, label values in the order of the label names) -> value."""
    registry = CollectorRegistry()
    registry.register(metrics)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_what_workers_counted_is_added_up() -> None:
    metrics = RouterMetrics()
    for name in ("w1", "w2"):
        buffer, counted = book()
        row = counted.open("hello")
        row.finished(200, 0.002, 10, 20)
        row.finished(502, 2.0, 1, 2)
        row.load(1.0, 3, 2, 1.0, 1)
        row.cold_start(0.1, 0.2, 0.3, 0.4)
        row.unserved("queue_full")
        row.failed("connect")
        row.upstream_opened()
        counted.accepted()
        counted.rejected(404)
        metrics.join(name, buffer)
    seen = scrape(metrics)
    expected = {
        ("cloudbase_router_requests_total", "2xx", "hello"): 2,
        ("cloudbase_router_requests_total", "5xx", "hello"): 2,
        ("cloudbase_router_request_duration_seconds_bucket", "hello", "0.001"): 0,
        ("cloudbase_router_request_duration_seconds_bucket", "hello", "0.0025"): 2,
        ("cloudbase_router_request_duration_seconds_bucket", "hello", "+Inf"): 4,
        ("cloudbase_router_request_duration_seconds_count", "hello"): 4,
        ("cloudbase_router_request_duration_seconds_sum", "hello"): pytest.approx(4.004),
        ("cloudbase_router_cold_start_seconds_sum", "hello"): pytest.approx(2.0),
        ("cloudbase_router_cold_start_part_seconds_total", "hello", "start"): pytest.approx(0.6),
        ("cloudbase_router_unserved_total", "hello", "queue_full"): 2,
        ("cloudbase_router_upstream_failures_total", "connect", "hello"): 2,
        ("cloudbase_router_received_bytes_total", "hello"): 22,
        ("cloudbase_router_sent_bytes_total", "hello"): 44,
        ("cloudbase_router_upstream_connections", "hello"): 2,
        ("cloudbase_router_in_flight", "hello"): 6,
        ("cloudbase_router_waiting", "hello"): 4,
        ("cloudbase_router_client_connections",): 2,
        ("cloudbase_router_rejected_total", "404"): 2,
        ("cloudbase_router_workers",): 2,
    }
    assert {key: seen.get(key) for key in expected} == expected


def test_a_dead_workers_counters_stay_and_its_gauges_go() -> None:
    metrics = RouterMetrics()
    buffer, counted = book()
    row = counted.open("hello")
    row.finished(200, 0.1, 0, 0)
    row.upstream_opened()
    row.load(1.0, 1, 1, 1.0, 1)
    counted.accepted()
    metrics.join("w1", buffer)
    before = scrape(metrics)
    metrics.leave("w1")
    after = scrape(metrics)
    gauges = {
        (f"cloudbase_router_{name}", *labels)
        for name, *labels in (
            ("in_flight", "hello"),
            ("waiting", "hello"),
            ("upstream_connections", "hello"),
            ("client_connections",),
            ("workers",),
        )
    }
    assert {key for key in before if after[key] != before[key]} == gauges
    assert {after[key] for key in gauges} == {0}
    metrics.forget("hello")
    assert not any("hello" in key for key in scrape(metrics))


def test_the_bound_on_clients_is_that_of_the_workers_that_live() -> None:
    metrics = RouterMetrics()
    for name in ("w1", "w2"):
        buffer, counted = book()
        counted.bounded(100)
        counted.evicted()
        metrics.join(name, buffer)
    limit, evicted = ("cloudbase_router_client_connections_limit",), ("cloudbase_router_client_evicted_total",)
    assert [scrape(metrics)[one] for one in (limit, evicted)] == [200, 2]
    metrics.leave("w1")
    assert [scrape(metrics)[one] for one in (limit, evicted)] == [100, 2]


def test_words_that_were_never_counted_have_no_series() -> None:
    metrics = RouterMetrics()
    buffer, counted = book()
    counted.open("hello")
    metrics.join("w1", buffer)
    names = {key[0] for key in scrape(metrics) if "hello" in key}
    assert "cloudbase_router_unserved_total" not in names
    assert "cloudbase_router_cold_start_seconds_bucket" not in names


def test_another_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="not a book of meters"):
        RouterMetrics().join("w1", memoryview(bytearray(4 * PAGE)))


def test_the_document_lists_every_metric_and_no_other() -> None:
    rows = re.findall(
        r"^\| `cloudbase_router_(?!kube_)(\w+)` \| (\w+) \| ([^|]*) \| (\w+) \| ([^|]*) \|$", DOCUMENT.read_text(), re.MULTILINE
    )
    documented = [(name, kind, tuple(re.findall(r"\w+", labels)), unit, meaning) for name, kind, labels, unit, meaning in rows]
    assert documented == [tuple(fact) for fact in FACTS]


def test_the_document_lists_every_word_and_bucket() -> None:
    text = DOCUMENT.read_text()
    for word in (*meters.PARTS, *meters.REASONS, *meters.FAILURES):
        assert f"`{word}`" in text
    assert ", ".join(f"{bound:g}" for bound in meters.BOUNDS) in text


def test_what_is_scraped_is_what_is_listed() -> None:
    metrics = RouterMetrics()
    buffer, counted = book()
    counted.open("hello")
    metrics.join("w1", buffer)
    families = {family.name + ("_total" if family.type == "counter" else "") for family in metrics.collect()}
    assert (
        families
        == {f"cloudbase_router_{fact.name}" for fact in FACTS}
        == {family.name + ("_total" if family.type == "counter" else "") for family in metrics.describe()}
    )


def test_samples_are_the_differences_between_two_beats() -> None:
    buffer, counted = book()
    samples = Samples(buffer)
    assert samples.read() is None
    row = counted.open("hello")
    counted.open("idle")
    row.load(10.0, 2, 1, 1.5, 4)
    counted.beat(10.0)
    assert samples.read() == (10.0, {"hello": Sample(10.0, 1.5, 4, 3)})
    assert samples.read() is None  # the worker has not beaten since
    row.load(12.0, 1, 0, 5.0, 2)
    counted.beat(12.0)
    assert samples.read() == (12.0, {"hello": Sample(12.0, 2.5, 2, 1)})
    counted.beat(13.0)
    assert samples.read() == (13.0, {"hello": Sample(13.0, 0.0, 0, 1)})  # silent, but there
    row.load(14.0, 0, 0, 0.5, 0)
    counted.beat(14.0)
    assert samples.read() == (14.0, {"hello": Sample(14.0, 0.5, 0, 0)})
    counted.beat(15.0)
    assert samples.read() == (15.0, {})


def test_a_function_that_went_and_came_back_starts_from_zero() -> None:
    buffer, counted = book()
    samples = Samples(buffer)
    row = counted.open("hello")
    row.load(10.0, 1, 0, 9.0, 9)
    counted.beat(10.0)
    samples.read()
    counted.close(row)
    counted.open("hello").load(11.0, 1, 0, 0.5, 1)
    counted.beat(11.0)
    assert samples.read() == (11.0, {"hello": Sample(11.0, 0.5, 1, 1)})


def test_the_exposition_is_what_prometheus_client_makes_of_the_same_books() -> None:
    metrics, random = RouterMetrics(), Random(4)
    books = [book() for _ in range(3)]
    registry = CollectorRegistry()
    registry.register(metrics)
    for number, (buffer, counted) in enumerate(books):
        metrics.join(f"w{number}", buffer)
        for name in ("hello", "idle", "shop.team", "zebra")[: number + 2]:
            row = counted.open(name)
            for _ in range(random.randrange(40) if name != "idle" else 0):
                row.finished(
                    random.choice((0, 101, 200, 404, 503, 999)), random.expovariate(1.0), 3_000_000, 10 ** random.randrange(17)
                )
                row.upstream_opened()
            if name == "zebra":
                row.cold_start(0.1, 0.2, 1.5, 0.0012345)
                row.unserved("deadline")
                row.failed("reset")
                row.retried()
            row.load(1.0, random.randrange(3), random.randrange(3), 0.5, 1)
        counted.accepted()
        counted.rejected(404)
    for _ in range(2):
        assert metrics.exposition().decode().splitlines() == generate_latest(registry).decode().splitlines()
        assert metrics.exposition() == generate_latest(registry)  # nothing changed, and all is remembered
        metrics.leave("w1") if "w1" in metrics._books else None
        metrics.forget("zebra")
    books[0][1].open("new").finished(200, 0.1, 1, 1)
    assert metrics.exposition() == generate_latest(registry)

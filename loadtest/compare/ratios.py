"""Rows of the result: medians of undisturbed samples, and their ratios to the router and to the relay. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from loadtest.compare.idle import Idle
from loadtest.compare.measure import Sample
from loadtest.compare.table import Row


def load_rows(samples: list[Sample], order: list[str]) -> list[Row]:
    """The rows of one scenario, with ratios."""
    rows = [medians([sample for sample in samples if sample.target == name]) for name in order]
    steady = [row for row in rows if not str(row["clean"]).endswith("*")]  # req/s of a disturbed row says nothing
    _compare(steady, "router", "requests_s", "better_s", lambda router, it: router / it)
    _compare(rows, "router", "requests_cpu_s", "better_cpu", lambda router, it: router / it)
    _compare(rows, "relay", "requests_cpu_s", "of_relay", lambda relay, it: it / relay)
    return rows


def medians(samples: list[Sample]) -> Row:
    """One row: medians of the undisturbed samples (of all, if none is), errors of all."""
    clean = [sample for sample in samples if not sample.disturbed]
    fields = ("requests_s", "requests_cpu_s", "p50_ms", "p99_ms", "rss_mib", "cpu", "stolen", "steal")
    row: Row = {name: statistics.median(getattr(sample, name) for sample in clean or samples) for name in fields}
    row["target"] = samples[0].target
    row["clean"] = f"{len(clean)}/{len(samples)}{'' if clean else ' *'}"
    row["errors"] = sum(sample.non2xx + sample.socket_errors for sample in samples)
    return row


def idle_rows(idles: list[Idle]) -> list[Row]:
    """The rows of the idle scenario, with the ratio."""
    rows: list[Row] = [
        {
            "target": idle.target,
            "rest_mib": idle.rest_mib,
            "full_mib": idle.full_mib,
            "connection_kib": idle.connection_kib,
            "errors": idle.closed,
        }
        for idle in idles
    ]
    _compare(rows, "router", "full_mib", "better_mib", lambda router, it: router / it)
    return rows


def _compare(rows: list[Row], base: str, field: str, into: str, ratio: Callable[[float, float], float]) -> None:
    """Add a ratio of the base row's field and each other row's, if there is such a row."""
    for reference in [row for row in rows if row["target"] == base]:
        for row in rows:
            if row is not reference and row[field] and reference[field]:
                row[into] = ratio(float(reference[field]), float(row[field]))

"""Rows of the result: medians of undisturbed samples, and ratios to the router and to the relay, taken round by round. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from loadtest.compare.idle import Idle
from loadtest.compare.measure import Sample
from loadtest.compare.table import Row


def load_rows(samples: list[Sample], order: list[str]) -> list[Row]:
    """The rows of one scenario, with ratios."""
    rows = [medians([sample for sample in samples if sample.target == name]) for name in order]
    steady = [str(row["target"]) for row in rows if not str(row["clean"]).endswith("*")]  # req/s of a disturbed row says nothing
    for row in rows:
        target = str(row["target"])
        if target != "router":
            _add(row, "better_cpu", paired(samples, "router", target, "requests_cpu_s"))
            _add(row, "better_s", paired(samples, "router", target, "requests_s") if {"router", target} <= {*steady} else None)
        if target != "relay":
            _add(row, "of_relay", paired(samples, target, "relay", "requests_cpu_s"))
    return rows


def paired(samples: Sequence[Sample], one: str, other: str, field: str) -> float | None:
    """The median, over the rounds, of one target's figure by another's in the same round; None without such a round.

    A machine that others share changes its pace by a fifth between one minute and the next. What stands in one round changed
    alike, so these ratios agree where those of the medians would depend on who met the fast minutes.
    """
    mine, theirs = _by_round(samples, one, field), _by_round(samples, other, field)
    ratios = [mine[number] / theirs[number] for number in mine.keys() & theirs.keys() if theirs[number]]
    return statistics.median(ratios) if ratios else None


def _by_round(samples: Sequence[Sample], target: str, field: str) -> dict[int, float]:
    """A target's figure in each round that had a clean sample of it; in every round, when none had."""
    mine = [sample for sample in samples if sample.target == target]
    clean = [sample for sample in mine if not sample.disturbed]
    return {sample.round: float(getattr(sample, field)) for sample in clean or mine}


def _add(row: Row, key: str, value: float | None) -> None:
    if value is not None:
        row[key] = value


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

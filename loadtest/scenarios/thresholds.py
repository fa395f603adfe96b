"""Reads thresholds.toml: how hard and how long each scenario loads, and the claims that its outcome must keep."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from loadtest.scenarios.outcome import Outcome
from loadtest.verdict import Claim

FILE = Path(__file__).with_name("thresholds.toml")


class BadThresholds(Exception):
    """The file cannot be used; the message says where and why."""


class Threshold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scenario's section. A bound that is None is not asked for; a failure always is."""

    about: str
    users: int
    seconds: float
    failures: int
    spawn_rate: float = 100.0
    least_requests: int = 1
    p99_ms: float | None = None
    p99_of_nginx: float | None = None
    p95_of_bare: float | None = None
    short: dict[str, float] = {}

    def shortened(self) -> Threshold:
        """With the values of `short`."""
        return msgspec.structs.replace(self, **self.short)


def read(path: Path = FILE, short: bool = False) -> dict[str, Threshold]:
    """Scenario -> threshold, in the file's order. Raises BadThresholds."""
    try:
        sections: dict[str, Any] = tomllib.loads(path.read_text())
        found = msgspec.convert(sections, dict[str, Threshold])
        return {name: each.shortened() if short else each for name, each in found.items()}
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError, TypeError) as error:
        raise BadThresholds(f"{path}: {error}") from error


def claims(threshold: Threshold, found: Outcome) -> list[Claim]:
    """What the outcome must keep."""
    listed = [
        Claim("failures", found.failures, threshold.failures, ""),
        Claim("requests", found.requests, threshold.least_requests, "", least=True),
    ]
    for what, measured, bound in (
        ("p99", found.p99, threshold.p99_ms),
        ("p99, of nginx's", found.p99 / found.peer.get("nginx p99", float("nan")), threshold.p99_of_nginx),
        ("p95, of a bare start's", found.p95 / found.peer.get("bare p95", float("nan")), threshold.p95_of_bare),
    ):
        if bound is not None:
            listed.append(Claim(what, measured, bound, "ms" if what == "p99" else ""))
    return listed

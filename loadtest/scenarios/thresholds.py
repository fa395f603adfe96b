"""Reads thresholds.toml: how hard and how long each scenario loads, and the claims that its outcome must keep."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import msgspec

from loadtest.scenarios.outcome import Outcome
from loadtest.verdict import Claim

FILE = Path(__file__).with_name("thresholds.toml")
CLUSTER = Path(__file__).with_name("cluster.toml")

Count = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class BadThresholds(Exception):
    """The file cannot be used; the message says where and why."""


class Threshold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scenario's section. A bound that is None is not asked for; a failure always is."""

    about: str
    users: Count
    seconds: Positive
    failures: Annotated[int, msgspec.Meta(ge=0)]
    spawn_rate: Positive = 100.0
    least_requests: Count = 1
    p99_ms: Positive | None = None
    p99_of_nginx: Positive | None = None
    p95_of_bare: Positive | None = None
    bare_pause: Positive = 0.7  # seconds between two bare starts
    again: Annotated[int, msgspec.Meta(ge=0)] = 2  # times that it is played once more where only times are not kept
    pause: Positive | None = None  # seconds between two calls that are to be cold
    short: dict[str, Any] = {}

    def __post_init__(self) -> None:
        """A bound of inf or nan would be no bound."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} must be a number, was {value}")


def read(path: Path, short: bool, scenarios: Collection[str]) -> dict[str, Threshold]:
    """Scenario -> threshold, in the file's order; `short` takes the values of each section's `short`. Raises BadThresholds."""
    try:
        sections: dict[str, Any] = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadThresholds(f"{path}: {error}") from error
    if unknown := [name for name in sections if name not in scenarios]:
        raise BadThresholds(f"{path}: there is no scenario {', '.join(unknown)}; there are {', '.join(scenarios)}")
    if not sections:
        raise BadThresholds(f"{path}: it names no scenario")
    return {name: _threshold(path, name, section, short) for name, section in sections.items()}


def _threshold(path: Path, name: str, section: Any, short: bool) -> Threshold:
    """Both forms are looked at, so that a mistake shows before the long run of which it would be the end."""
    try:
        whole = msgspec.convert(section, Threshold)
        brief = msgspec.convert({**section, **whole.short, "short": {}}, Threshold)
    except msgspec.ValidationError as error:
        raise BadThresholds(f"{path}: [{name}]: {error}") from error
    return brief if short else whole


def doubtful(threshold: Threshold, found: Outcome) -> bool:
    """Only times are not kept: a busy machine may be the reason, and more of them will tell. A failure is a failure."""
    broken = [claim.what for claim in claims(threshold, found) if not claim.holds]
    return bool(broken) and not {"failures", "requests"} & set(broken)


def claims(threshold: Threshold, found: Outcome) -> list[Claim]:
    """What the outcome must keep."""
    listed = [
        Claim("failures", found.failures, threshold.failures, ""),
        Claim("requests", found.requests, threshold.least_requests, "", least=True),
    ]
    for what, measured, bound in (
        ("p99", found.p99, threshold.p99_ms),
        ("p99, of nginx's", found.p99 / found.peer.get("nginx p99", math.nan), threshold.p99_of_nginx),
        ("p95, of a bare start's", found.p95 / found.peer.get("bare p95", math.nan), threshold.p95_of_bare),
    ):
        if bound is not None:
            listed.append(Claim(what, measured, bound, "ms" if what == "p99" else ""))
    return listed

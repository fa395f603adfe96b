"""What this product promises of its router's speed, beside what a run found. Pure.

One worker, one core, every default feature on: requests per CPU-second as a ratio to the better of nginx and HAProxy, and to
others. What must hold, must hold for plain CPython; the goal may be reached by the compiled build.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest.compare.measure import Sample
from loadtest.compare.ratios import paired
from loadtest.compare.table import Row

BEST = ("nginx", "haproxy")
MANY_ROUTES = 0.95  # of the speed with one


@dataclass(frozen=True, slots=True)
class Promise:
    """Least ratios of one scenario; 0 promises nothing. `most` is of the p50 to nginx's, instead."""

    goal: float
    must: float
    go: float = 0.0
    go_must: float = 0.0
    traefik: float = 0.0
    relay: float = 0.0
    relay_must: float = 0.0
    most: bool = False


PROMISES = {
    "get": Promise(1.05, 0.85, go=3.0, go_must=2.7, traefik=4.0, relay=0.7, relay_must=0.6),
    "headers": Promise(1.0, 0.8, go=3.0),
    "post": Promise(1.5, 1.1, go=4.0),
    "big": Promise(1.1, 0.95, go=2.0),
    "one": Promise(1.0, 1.15, most=True),
}
COLUMNS = {
    "router": ("router", ""),
    "goal": ("goal", ""),
    "plain": ("plain", ""),
    "must": ("must", ""),
    "go": ("/go", ""),
    "traefik": ("/traefik", ""),
    "relay": ("/relay", ""),
    "many": (f"many routes (must {MANY_ROUTES:g})", ""),
}


def promise_rows(samples: Mapping[str, Sequence[Sample]]) -> list[Row]:
    """A row for each scenario of a run that has the router and one of BEST. A `!` marks what was missed."""
    found = [_row(name, promise, samples[name]) for name, promise in PROMISES.items() if name in samples]
    return [row for row in found if row]


def _row(name: str, promise: Promise, samples: Sequence[Sample]) -> Row:
    targets = {sample.target for sample in samples}
    peers = [peer for peer in (BEST[:1] if promise.most else BEST) if peer in targets]
    if "router" not in targets or not peers:
        return {}
    row: Row = {
        "target": name,
        "goal": f"{'at most ' * promise.most}{promise.goal:g}",
        "must": f"{'at most ' * promise.most}{promise.must:g}",
    }
    for build, bound in (("router", promise.goal), ("plain", promise.must)):
        ratios = [ratio for peer in peers if (ratio := _ratio(samples, build, peer, promise)) is not None]
        if ratios:
            row[build] = _shown(min(ratios), bound, promise.most)
    for peer, goal, must in (
        ("go", promise.go, promise.go_must),
        ("traefik", promise.traefik, 0.0),
        ("relay", promise.relay, promise.relay_must),
    ):
        if goal and peer in targets:
            row[peer] = _against(peer, samples, promise, goal, must)
    many = _ratio(samples, "many routes", "router", promise)
    if many is not None and not promise.most:
        row["many"] = _shown(many, MANY_ROUTES)
    return row


def _ratio(samples: Sequence[Sample], one: str, other: str, promise: Promise) -> float | None:
    return paired(samples, one, other, "p50_ms" if promise.most else "requests_cpu_s")


def _against(peer: str, samples: Sequence[Sample], promise: Promise, goal: float, must: float) -> str:
    """ "router's ratio (goal), plain's (must)"."""
    shown = f"{_shown(_ratio(samples, 'router', peer, promise) or 0.0, goal)} (goal {goal:g})"
    plain = _ratio(samples, "plain", peer, promise)
    if plain is not None:
        shown += f", plain {_shown(plain, must)}" + (f" (must {must:g})" if must else "")
    return shown


def _shown(ratio: float, bound: float, most: bool = False) -> str:
    missed = ratio > bound if most else ratio < bound
    return f"{ratio:.2f}{'!' if missed else ''}"

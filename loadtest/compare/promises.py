"""What this product promises of its router's speed, beside what a run found. Pure.

One worker, one core, every default feature on: requests per CPU-second as a ratio to the better of nginx and HAProxy, and to
others. What must hold, must hold for plain CPython; the goal may be reached by the compiled build.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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


def promise_rows(rows: Mapping[str, list[Row]]) -> list[Row]:
    """A row for each scenario of a run that has the router and one of BEST. A `!` marks what was missed."""
    found = [
        _row(name, promise, {str(row["target"]): row for row in rows[name]}) for name, promise in PROMISES.items() if name in rows
    ]
    return [row for row in found if row]


def _row(name: str, promise: Promise, targets: Mapping[str, Row]) -> Row:
    field = "p50_ms" if promise.most else "requests_cpu_s"
    peers = [float(targets[peer][field]) for peer in (BEST[:1] if promise.most else BEST) if peer in targets]
    if "router" not in targets or not peers:
        return {}
    row: Row = {
        "target": name,
        "goal": f"{'at most ' * promise.most}{promise.goal:g}",
        "must": f"{'at most ' * promise.most}{promise.must:g}",
    }
    for build, bound in (("router", promise.goal), ("plain", promise.must)):
        if build in targets:
            row[build] = _shown(float(targets[build][field]) / max(peers), bound, promise.most)
    for peer, goal, must in (
        ("go", promise.go, promise.go_must),
        ("traefik", promise.traefik, 0.0),
        ("relay", promise.relay, promise.relay_must),
    ):
        if goal and peer in targets:
            row[peer] = _against(peer, targets, field, goal, must)
    if "many routes" in targets and not promise.most:
        row["many"] = _shown(float(targets["many routes"][field]) / float(targets["router"][field]), MANY_ROUTES)
    return row


def _against(peer: str, targets: Mapping[str, Row], field: str, goal: float, must: float) -> str:
    """ "router's ratio >= goal, plain's >= must"."""
    base = float(targets[peer][field])
    shown = f"{_shown(float(targets['router'][field]) / base, goal)} (goal {goal:g})"
    if "plain" in targets:
        ratio = float(targets["plain"][field]) / base
        shown += f", plain {_shown(ratio, must)}" + (f" (must {must:g})" if must else "")
    return shown


def _shown(ratio: float, bound: float, most: bool = False) -> str:
    missed = ratio > bound if most else ratio < bound
    return f"{ratio:.2f}{'!' if missed else ''}"

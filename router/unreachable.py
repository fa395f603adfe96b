"""Addresses that nothing was heard of, by route, as several find them at once. No clock and no socket in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from router.model import RouteKey

Unreachable = Mapping[RouteKey, frozenset[str]]


def united(findings: Iterable[Unreachable]) -> dict[RouteKey, frozenset[str]]:
    """What any of them finds: one is enough, for it has tried three times. A new mapping."""
    total: dict[RouteKey, frozenset[str]] = {}
    for found in findings:
        for key, addresses in found.items():
            total[key] = total.get(key, frozenset()) | addresses
    return total

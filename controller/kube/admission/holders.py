"""Who answers at an address already: of all Functions and adopted Services, the one whose route has the same key. Pure.

A function answers at /fn/<name> in its namespace's project (docs/kubernetes.md), so functions of one name collide where
their namespaces have one project – above all where neither has a label, and both are of the default one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Claim:
    """An object that has, or wants, a route."""

    kind: str  # "Function" | "Service"
    namespace: str
    name: str  # of the object
    route: str  # what it is called at /fn/


def holder(namespace: str, name: str, claims: Iterable[Claim], projects: Mapping[str, str]) -> str:
    """Who has the route that a Function of this name in this namespace would have, in words; "" = nobody else.

    `projects`: the namespaces' label cloudbase.dev/project, where they have one.
    """
    project = projects.get(namespace, DEFAULT)
    for claim in claims:
        itself = (claim.kind, claim.namespace, claim.name) == ("Function", namespace, name)
        if not itself and claim.route == name and projects.get(claim.namespace, DEFAULT) == project:
            return f"{claim.kind} {claim.namespace}/{claim.name}"
    return ""

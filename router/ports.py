"""What the router needs of others, and what it offers to those who know the routes. Small protocols, in the router's words."""

from __future__ import annotations

from typing import Protocol

from router.model import Route, RouteKey


class Scaler(Protocol):
    """Makes replicas come and go. Both calls return at once; the outcome is seen in the routes."""

    def wake(self, key: RouteKey) -> None:
        """Ask for at least one replica. A level, not an edge: it is repeated while anyone waits."""

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """Ask for this many replicas."""


class Routes(Protocol):
    """Where a source of routes (the local controller, the Kubernetes informer) puts what it knows."""

    def put(self, route: Route) -> None:
        """Add the route or replace the one with its key. Idempotent."""

    def remove(self, key: RouteKey) -> None:
        """Forget a route: those who wait for it get 404."""

    def in_flight(self, key: RouteKey, revision: str, address: str = "") -> int:
        """Requests now at a revision (or at one of its addresses): 0 tells that it may go. What is not known is not 0."""

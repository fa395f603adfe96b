"""What the cluster's side needs of the data plane: one in this process, or a control process in front of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from autoscaler.model import Sample
from router.model import RouteKey
from router.ports import Routes
from router.slots import Need
from router.unreachable import Unreachable


class Told(Routes, Protocol):
    """What the catalog needs of it."""

    def starting(self, yes: bool) -> None:
        """Not all routes are known yet: a name without one is answered 503, never 404."""

    def scheduled(self, key: RouteKey) -> None:
        """A route's first address appeared."""


class Plane(Told, Protocol):
    """router.dataplane.DataPlane is one."""

    def woken(self, key: RouteKey) -> None:
        """The write that wakes a route is done."""

    def samples(self) -> Mapping[RouteKey, Sample]:
        """The load since the last call."""

    def share(self, yes: bool) -> None:
        """Routes that are put from now on take of their hard limits only what `grant` gives, which is nothing at first."""

    def grant(self, key: RouteKey, revision: str, limits: Mapping[str, int]) -> None:
        """Requests that may be in flight at each address of a revision, from here; 0 at those not named. Lasts until the next."""

    def need(self, key: RouteKey, revision: str) -> Need:
        """What is in flight of a revision with a hard limit, or may be, and what waits before it; its number is 0.

        When the first comes to wait, where limits are shared, the scaler's `wake` is called.
        """

    def unreachable(self) -> Unreachable:
        """Addresses that could not be connected to three times in a row, and not because they refused: nothing was heard."""

    async def take_stock(self, key: RouteKey) -> None:
        """After it, `in_flight` tells for a moment what every worker has, each having taken over what was put last."""

    async def idle(self, key: RouteKey) -> bool:
        """Nothing of the route is in flight or waiting, in no worker, and each has taken over what was put last."""

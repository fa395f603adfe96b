"""Which replicas nobody can reach, as routers find when they connect, and what that means for their number. No clock in here.

Kubernetes counts the pods of a lost node as ready for another 40 to 60 s, and a router knows after three attempts to connect.
Until one of both is right about it, as many more are asked for as cannot be reached: what answers again costs a pod that goes
the ordinary way down, and nothing is killed on a suspicion. At most doubled, and never above the maximum: when it is the
router that nobody can reach, or a function that is too busy to take connections, that is where it ends.
"""

from __future__ import annotations

from collections.abc import Iterable

from router.kube.model import Translation
from router.model import RouteKey
from router.unreachable import Unreachable, united


class Reach:
    """What was found last; replaced as a whole, about once a second."""

    def __init__(self) -> None:
        self._here: Unreachable = {}
        self._found: Unreachable = {}

    def note(self, here: Unreachable, elsewhere: Iterable[Unreachable] = ()) -> None:
        """What this router and each of the others finds now."""
        self._here = here
        self._found = united((here, *elsewhere))

    def count(self) -> int:
        """Addresses that cannot be reached, over all routes."""
        return sum(map(len, self._found.values()))

    def lost(self, key: RouteKey, address: str) -> bool:
        """It cannot be reached, says some router."""
        return address in self._found.get(key, ())

    def lost_here(self, key: RouteKey, address: str) -> bool:
        """It cannot be reached from here: what is in flight to it will not end."""
        return address in self._here.get(key, ())

    def missing(self, translation: Translation) -> int:
        """Replicas that are in the table for new requests and cannot take any."""
        addresses = self._found.get(translation.key)
        if not addresses:
            return 0
        weighted = (backend for backend in translation.route.backends if backend.weight)
        return sum(
            not endpoint.draining and endpoint.address in addresses for backend in weighted for endpoint in backend.endpoints
        )


def covered(replicas: int, most: int, reachable: int, unreachable: int) -> int:
    """The number to write, so that `replicas` take requests: as many more as Kubernetes counts and nobody reaches.

    `reachable`, `unreachable`: pods of that Deployment that Kubernetes counts as ready. Where more are reachable than are
    wanted there is nothing to replace: those that cannot be reached are the first to go.
    """
    if reachable > replicas:
        return replicas
    return max(replicas, min(most, replicas + min(unreachable, replicas)))

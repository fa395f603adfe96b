"""Takes pods out of the table and back into it, for the one who scales and for all who do it because they were asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from router.kube.catalog import Catalog
from router.kube.model import Address, Pod, Standing
from router.kube.victims import spared
from router.model import RouteKey

log = logging.getLogger(__name__)

REPRIEVE: Final = 10.0  # seconds after which a pod that Kubernetes did not take after all is used again
REPRIEVE_AWAKE: Final = 2.0  # the same after a wake, when somebody waits: a pod that was to go may have been kept for it


class Aside:
    """Around one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._turns: dict[tuple[str, str], int] = {}  # by namespace and revision: how often its pods were taken aside

    def pods(self, key: RouteKey, revision: str) -> list[Pod]:
        """The pods of one revision."""
        entry = self._catalog.entries.get(key)
        return [pod for pod in entry.translation.pods if pod.revision == revision] if entry else []

    def stand(self, namespace: str, revision: str, addresses: Iterable[Address], how: Standing) -> None:
        """Shut or draining, or proven again; the table follows before this returns."""
        if how in ("shut", "draining"):
            self._turns[namespace, revision] = self._turns.get((namespace, revision), 0) + 1
        for address in addresses:
            self._catalog.stand(namespace, revision, address, how)
        self._catalog.settle()

    async def reprieve(self, key: RouteKey, after: float) -> None:
        """Some seconds after a write: pods that are out of the table and still there are back in it, unless asked for anew."""
        turns = dict(self._turns)
        await asyncio.sleep(after)
        entry = self._catalog.entries.get(key)
        if entry is None:
            return
        namespace = entry.owner.metadata.namespace
        for pod in spared(entry.translation.pods):
            place = (namespace, pod.revision)
            if self._turns.get(place) == turns.get(place):
                log.info("%s: pod %s was not taken away: used again", key, pod.address.pod)
                self._catalog.stand(namespace, pod.revision, pod.address, "proven")

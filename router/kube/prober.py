"""Probes pods that are there and not ready yet, so that a cold start does not wait for the kubelet's next turn.

Only with the probe that an annotation names, and only until a pod is first ready: from then on the kubelet's word counts.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Coroutine
from typing import Any, Final

from router.kube.catalog import Catalog
from router.kube.model import Pending, Translation
from router.kube.probing import passes
from router.model import RouteKey

QUICK: Final = 0.025  # seconds between two probes at first
QUICK_FOR: Final = 10.0  # seconds
SLOW: Final = 1.0  # seconds between two probes of a pod that takes its time

Pod = tuple[str, str, str, str]  # namespace, revision, pod, address


class Prober:
    """`look` at every translation; what passes is admitted in the catalog."""

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        self.passed = 0
        self.catalog: Catalog
        self._spawn = spawn
        self._probing: dict[RouteKey, dict[Pod, asyncio.Task[None]]] = {}

    def look(self, key: RouteKey, translation: Translation | None) -> None:
        """Begin with the pods that are new, and leave those alone that are ready or gone. None: the route is gone."""
        wanted = {_pod(each): each for each in (translation.pending if translation else ()) if each.probe is not None}
        running = self._probing.get(key, {})
        for pod in [pod for pod in running if pod not in wanted]:
            running.pop(pod).cancel()
        for pod, each in wanted.items():
            if pod not in running:
                running[pod] = self._spawn(self._probe(each))
        if running:
            self._probing[key] = running
        else:
            self._probing.pop(key, None)

    async def _probe(self, pending: Pending) -> None:
        assert pending.probe is not None
        host, _, port = pending.address.address.rpartition(":")
        clock = asyncio.get_running_loop().time
        began = clock()
        while not await passes(pending.probe, str(ipaddress.ip_address(host.strip("[]"))), int(port)):
            elapsed = clock() - began
            await asyncio.sleep(QUICK if elapsed < QUICK_FOR else SLOW)
        self.passed += 1
        self.catalog.stand(pending.namespace, pending.revision, pending.address, "admitted")


def _pod(pending: Pending) -> Pod:
    return pending.namespace, pending.revision, pending.address.pod, pending.address.address

"""Before the first test on a cluster: namespaces that an earlier run left are gone, whose routes would be this run's as well.

A run that was killed leaves them. Of two runs at once on one cluster, the later takes the earlier one's away.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from controller.kube.farewell import let_go
from kube.client import Client
from kube.errors import NotFound
from kube.kubeconfig import Kubeconfig
from kube.resource import NAMESPACES
from kube.watch import Scope
from tests.shared.kube_world import OURS, gone, kubeconfig


@pytest.fixture(scope="session", autouse=True)
def _alone() -> None:
    asyncio.run(_tidy())


async def _tidy() -> None:
    async with Client(await Kubeconfig.load(kubeconfig())) as client:
        (label,) = OURS.items()
        left = [each.metadata.name for each in await client.list(NAMESPACES, Scope(labels="=".join(label)))]
        for name in left:
            with suppress(NotFound):
                await client.delete(NAMESPACES, name)
        for name in left:
            await _end(client, name)


async def _end(client: Client, namespace: str) -> None:
    """Nobody may be there who would let its Functions go; and a controller that is puts our finalizer on again, for a while."""
    ending = asyncio.create_task(gone(client, namespace))
    while not ending.done():
        await let_go(client, [namespace])
        await asyncio.wait({ending}, timeout=1.0)
    await ending

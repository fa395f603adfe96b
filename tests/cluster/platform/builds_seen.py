"""What is to be seen of builds on the installed platform: their Jobs, and how far a pod is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.cluster.platform.installed import BUILDS, kubectl


async def of_builds(*arguments: str) -> str:
    """kubectl in the namespace of builds."""
    return await asyncio.to_thread(kubectl, "-n", BUILDS, *arguments)


@asynccontextmanager
async def jobs() -> AsyncIterator[set[str]]:
    """The uids of all Jobs that there are meanwhile."""
    seen: set[str] = set()

    async def look() -> None:
        while True:
            seen.update((await of_builds("get", "jobs", "-o", "jsonpath={.items[*].metadata.uid}")).split())
            await asyncio.sleep(0.3)

    task = asyncio.create_task(look())
    try:
        yield seen
        assert not task.done(), task.exception()  # or it has not seen all of them
    finally:
        task.cancel()


async def begun() -> bool:
    """The pod of a build is there, and its source on its way into it."""
    state = "jsonpath={.items[*].status.initContainerStatuses[*].state}"
    return "startedAt" in await of_builds("get", "pods", "-o", state)


async def executing() -> bool:
    """The executor of a build is at work."""
    state = "jsonpath={.items[*].status.containerStatuses[*].state.running.startedAt}"
    return bool(await of_builds("get", "pods", "-o", state))


async def nothing_left() -> bool:
    """No Job and no pod of a build is there any more."""
    return not (await of_builds("get", "jobs,pods", "-o", "name")).strip()

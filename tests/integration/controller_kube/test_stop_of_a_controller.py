"""How a controller stops: it works on until every node knows that it goes, then ends; and at once where the lease was lost."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from controller.kube.control import LostLease
from controller.kube.run import work

DELAY = 0.2


class Working:
    """A controller's work, which says when it was ended."""

    def __init__(self) -> None:
        self.begun, self.lost = asyncio.Event(), asyncio.Event()
        self.ended, self.detached = 0.0, False

    async def run(self) -> None:
        self.begun.set()
        try:
            await self.lost.wait()
            raise ExceptionGroup("of a task group", [LostLease("it is another's")])
        finally:
            self.ended = monotonic()

    def detach(self) -> None:
        assert not self.ended, "builds are let go of while the lease is held"
        self.detached = True


def test_it_works_on_for_its_delay_and_then_ends_in_order() -> None:
    async def scenario() -> None:
        stop, working = asyncio.Event(), Working()
        running = asyncio.create_task(work(stop, working.run(), working.detach, DELAY))
        await working.begun.wait()
        told = monotonic()
        stop.set()
        await running
        assert working.ended - told >= DELAY
        assert working.detached

    asyncio.run(scenario())


@pytest.mark.parametrize("stopping", [False, True])
def test_who_loses_the_lease_waits_no_longer(stopping: bool) -> None:
    async def scenario() -> None:
        stop, working = asyncio.Event(), Working()
        running = asyncio.create_task(work(stop, working.run(), lambda: None, delay=3600))
        await working.begun.wait()
        if stopping:
            stop.set()
            await asyncio.sleep(0.01)
            assert not working.ended
        working.lost.set()
        with pytest.raises(LostLease, match="went to another controller"):
            await asyncio.wait_for(running, 60)

    asyncio.run(scenario())

"""Builds of one key are one build: who joins hears all of it, and the last one to leave ends it."""

from __future__ import annotations

import asyncio

from controller.ports import BuildResult
from controller.shared_builds import SharedBuilds, Told
from tests.shared.controller_world import VirtualLoop, run

DONE = BuildResult(artifact="a")


class Work:
    """A build that says something, waits, and takes a moment to tidy up."""

    def __init__(self) -> None:
        self.begun = self.tidied = 0
        self.go_on = asyncio.Event()

    async def __call__(self, told: Told) -> BuildResult:
        self.begun += 1
        told.say("begun")
        try:
            await self.go_on.wait()
            told.say("done")
            return DONE
        finally:
            await asyncio.sleep(1)
            self.tidied += 1


def test_who_joins_a_build_hears_what_it_said_before_and_gets_its_result() -> None:
    async def test(loop: VirtualLoop) -> None:
        work, shared = Work(), SharedBuilds()
        first, second = list[str](), list[str]()
        one = asyncio.create_task(shared.join("k", work, first.append))
        await asyncio.sleep(1)
        assert "k" in shared and shared.keys() == {"k"}
        two = asyncio.create_task(shared.join("k", work, second.append))
        await asyncio.sleep(1)
        work.go_on.set()
        assert await one == await two == DONE
        assert (work.begun, first, second) == (1, ["begun", "done"], ["begun", "done"])
        assert "k" not in shared
        assert await shared.join("k", work, first.append) == DONE
        assert work.begun == 2

    run(test)


def test_a_build_goes_on_while_anyone_wants_it_and_ends_with_the_last_before_another_begins() -> None:
    async def test(loop: VirtualLoop) -> None:
        work, shared = Work(), SharedBuilds()
        tasks = [asyncio.create_task(shared.join("k", work, lambda _: None)) for _ in range(2)]
        await asyncio.sleep(1)
        tasks[0].cancel()
        await asyncio.wait({tasks[0]})
        assert "k" in shared and not work.tidied
        tasks[1].cancel()
        await asyncio.sleep(0.5)
        assert not tasks[1].done(), "it returns when nothing half-made is left"
        await asyncio.wait({tasks[1]})
        assert work.tidied == 1 and "k" not in shared

    run(test)


def test_a_build_that_breaks_breaks_for_all_who_wait() -> None:
    async def test(loop: VirtualLoop) -> None:
        async def breaks(told: Told) -> BuildResult:
            await asyncio.sleep(1)
            raise OSError("no disk")

        shared = SharedBuilds()
        found = await asyncio.gather(*(shared.join("k", breaks, lambda _: None) for _ in range(2)), return_exceptions=True)
        assert [str(each) for each in found] == ["no disk", "no disk"]
        assert "k" not in shared

    run(test)

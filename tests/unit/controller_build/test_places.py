"""Who gets a free place among builds: the project that has the fewest, and nobody twice while another waits as long."""

from __future__ import annotations

import asyncio

from controller.builds import Places


async def took(places: Places, project: str, order: list[str]) -> None:
    await places.take(project)
    order.append(project)


def test_a_free_place_goes_to_the_project_that_has_the_fewest() -> None:
    async def scenario() -> list[str]:
        places, order = Places(2), list[str]()
        await places.take("busy")
        await places.take("busy")
        async with asyncio.TaskGroup() as tasks:
            for project in ("busy", "busy", "other", "third"):
                tasks.create_task(took(places, project, order))
            await asyncio.sleep(0)
            for project in ("busy", "busy", "other", "third"):
                places.give_back(project)
                await asyncio.sleep(0)
        return order

    assert asyncio.run(scenario()) == ["other", "busy", "third", "busy"]


def test_equals_take_turns() -> None:
    async def scenario() -> list[str]:
        places, order = Places(1), list[str]()
        await places.take("first")
        async with asyncio.TaskGroup() as tasks:
            for project in ("a", "a", "b", "b"):
                tasks.create_task(took(places, project, order))
            await asyncio.sleep(0)
            for project in ("first", "a", "b", "a"):
                places.give_back(project)
                await asyncio.sleep(0)
        return order

    assert asyncio.run(scenario()) == ["a", "b", "a", "b"]


def test_a_place_handed_to_one_who_has_just_gone_is_handed_on() -> None:
    async def scenario() -> None:
        places = Places(1)
        await places.take("a")
        waiting = asyncio.create_task(places.take("b"))
        await asyncio.sleep(0)
        places.give_back("a")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(1):
            await places.take("c")

    asyncio.run(scenario())

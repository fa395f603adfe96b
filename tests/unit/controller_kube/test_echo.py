"""A controller that waits tells what the one that works has written."""

from __future__ import annotations

import asyncio

from controller.kube.echo import Echo
from controller.memory import MemoryFunctionStore
from controller.model import Condition, FunctionStatus
from controller.progress import Progress
from tests.shared.controller_world import spec

KEY = ("a", "hello")


def condition(status: str, reason: str = "") -> Condition:
    return Condition(type="Ready", status=status, reason=reason)  # type: ignore[arg-type]


def test_conditions_are_told_when_they_change_and_the_end_when_it_comes() -> None:
    async def main() -> None:
        store, progress = MemoryFunctionStore(), Progress()
        Echo(store, progress, lambda: False)
        await store.apply(*KEY, spec())
        await store.set_status(*KEY, FunctionStatus(observed_generation=1, conditions=(condition("Unknown", "Building"),)))
        await store.set_status(
            *KEY, FunctionStatus(observed_generation=1, replicas=1, conditions=(condition("Unknown", "Building"),))
        )
        await store.set_status(*KEY, FunctionStatus(observed_generation=1, conditions=(condition("True", "Ready"),)))
        await store.set_status(*KEY, FunctionStatus(observed_generation=2, conditions=(condition("True", "Ready"),)))
        told = [(each.reason, each.generation) for each in progress.history(KEY)]
        assert told == [("Building", 1), ("Ready", 1), ("Ready", 2)]
        batches = [batch async for batch in following(progress, store)]
        assert batches[-1][-1].type == "Deleted"

    asyncio.run(main())


async def following(progress: Progress, store: MemoryFunctionStore):  # type: ignore[no-untyped-def]
    async for batch in progress.follow(KEY):
        yield batch
        await store.remove(*KEY)


def test_one_that_works_leaves_it_to_its_own_looks() -> None:
    async def main() -> None:
        store, progress = MemoryFunctionStore(), Progress()
        Echo(store, progress, lambda: True)
        await store.apply(*KEY, spec())
        await store.set_status(*KEY, FunctionStatus(observed_generation=1, conditions=(condition("True", "Ready"),)))
        assert progress.history(KEY) == []

    asyncio.run(main())

"""What every FunctionStore promises, in memory, in SQLite and in custom resources."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.errors import Conflict, Overtaken
from controller.kube.store import KubeFunctionStore
from controller.local.store import LocalFunctionStore
from controller.memory import MemoryFunctionStore
from controller.model import Condition, FunctionStatus, Revision, Scaling, Share, Trigger
from controller.ports import FunctionStore
from kube.client import Client
from kube.fake.server import ApiServer
from tests.shared.controller_world import START, spec

Scenario = Callable[[FunctionStore], Awaitable[None]]


@asynccontextmanager
async def in_memory(folder: Path, clock: Callable[[], float]) -> AsyncIterator[FunctionStore]:
    yield MemoryFunctionStore(clock)


@asynccontextmanager
async def in_sqlite(folder: Path, clock: Callable[[], float]) -> AsyncIterator[FunctionStore]:
    store = LocalFunctionStore(folder / "new" / "cloudbase.db", clock)
    yield store
    store.close()


@asynccontextmanager
async def in_custom_resources(folder: Path, clock: Callable[[], float]) -> AsyncIterator[FunctionStore]:
    async with ApiServer() as server, Client(server.access()) as client:
        store = KubeFunctionStore(client)
        running = asyncio.create_task(store.run())
        await asyncio.wait_for(store.wait_synced(), 60)
        yield store
        running.cancel()
        await asyncio.wait({running})


IN_PROCESS = {"memory": in_memory, "sqlite": in_sqlite}
STORES = {**IN_PROCESS, "cluster": in_custom_resources}


def on_every_store(scenario: Scenario, kinds: Iterable[str] = tuple(STORES)) -> Callable[[str, Path], None]:
    """A test that plays the scenario with each of the stores; their clocks go on by a second with every look."""

    def test(kind: str, tmp_path: Path) -> None:
        ticks = itertools.count(START)

        async def play() -> None:
            async with STORES[kind](tmp_path, lambda: next(ticks)) as store:
                await scenario(store)

        asyncio.run(play())

    return pytest.mark.parametrize("kind", list(kinds))(test)


def in_one_process(scenario: Scenario) -> Callable[[str, Path], None]:
    """As `on_every_store`, where all happens at once and by the clock that is given."""
    return on_every_store(scenario, IN_PROCESS)


def revision(generation: int, proven_at: str = "") -> Revision:
    return Revision(name=f"f-{generation:05d}", generation=generation, artifact="art", spec=spec(), proven_at=proven_at)


@on_every_store
async def test_what_was_applied_is_found_again_whole(store: FunctionStore) -> None:
    asked = spec("b", type="EVENT", env={"A": "ü\n"}, scaling=Scaling(max=3), triggers=(Trigger(broker="b", subject="s"),))
    applied = await store.apply("default", "f", asked)
    assert (applied.generation, applied.spec, applied.deleting) == (1, asked, False)
    assert applied.created_at
    assert store.get("default", "f") == applied
    assert store.get("other", "f") is None


@on_every_store
async def test_the_generation_grows_only_with_the_spec(store: FunctionStore) -> None:
    first = await store.apply("default", "f", spec("a"))
    assert await store.apply("default", "f", spec("a")) == first
    changed = await store.apply("default", "f", spec("b"))
    assert (changed.generation, changed.created_at) == (2, first.created_at)
    await store.set_status("default", "f", FunctionStatus(replicas=2))
    found = store.get("default", "f")
    assert found
    assert (found.generation, found.status.replicas) == (2, 2)


@on_every_store
async def test_what_was_made_of_an_older_generation_or_of_one_that_is_gone_is_refused(store: FunctionStore) -> None:
    await store.apply("default", "f", spec("a"))
    assert (await store.apply("default", "f", spec("b"), 1)).generation == 2
    with pytest.raises(Overtaken, match='"f" was changed meanwhile: it is of generation 2, not 1'):
        await store.apply("default", "f", spec("c"), 1)
    with pytest.raises(Overtaken, match='"g" was changed meanwhile: it is gone'):
        await store.apply("default", "g", spec("c"), 1)
    found = store.get("default", "f")
    assert found
    assert (found.spec, store.get("default", "g")) == (spec("b"), None)


@in_one_process
async def test_a_function_says_when_it_was_made_and_changed(store: FunctionStore) -> None:
    first = await store.apply("default", "f", spec("a"))
    assert first.created_at == first.updated_at == "2025-06-15T15:06:40.000Z"
    assert (await store.apply("default", "f", spec("b"))).updated_at > first.updated_at


@on_every_store
async def test_what_is_asked_for_now_is_released_until_it_changes(store: FunctionStore) -> None:
    await store.apply("default", "f", spec("a"))
    released = await store.release("default", "f")
    assert released is not None
    assert (released.released, released.generation) == (1, 1)
    again = await store.apply("default", "f", spec("b"))
    assert (again.released, again.generation) == (1, 2)
    assert await store.release("default", "none") is None


@on_every_store
async def test_settings_that_are_taken_away_are_gone(store: FunctionStore) -> None:
    await store.apply("default", "f", spec(env={"A": "1", "B": "2"}, replicas=3, traffic=(Share(percent=100),)))
    await store.apply("default", "f", spec(env={"B": "2"}))
    found = store.get("default", "f")
    assert found is not None
    assert found.spec == spec(env={"B": "2"})


@on_every_store
async def test_functions_are_listed_by_name_and_project(store: FunctionStore) -> None:
    for project, name in (("b", "x"), ("default", "z"), ("default", "a")):
        await store.apply(project, name, spec())
    assert [each.name for each in store.list("default")] == ["a", "z"]
    assert [(each.project, each.name) for each in store.list()] == [("b", "x"), ("default", "a"), ("default", "z")]


@on_every_store
async def test_one_that_is_being_deleted_cannot_be_applied_until_it_is_gone(store: FunctionStore) -> None:
    await store.apply("default", "f", spec())
    assert await store.mark_deleting("default", "f")
    with pytest.raises(Conflict, match='"f" is being deleted'):
        await store.apply("default", "f", spec("b"))
    await store.remove("default", "f")
    assert store.get("default", "f") is None
    assert not await store.mark_deleting("default", "f")
    assert (await store.apply("default", "f", spec("b"))).generation == 1


@on_every_store
async def test_a_status_keeps_its_conditions_and_one_of_a_function_that_is_gone_is_dropped(store: FunctionStore) -> None:
    condition = Condition(type="Ready", status="False", reason="CrashLoop", message="“boom”")
    status = FunctionStatus(observed_generation=1, revision="f-00001", url="http://x", conditions=(condition,))
    await store.apply("default", "f", spec())
    await store.set_status("default", "f", status)
    found = store.get("default", "f")
    assert found
    assert found.status == status
    await store.set_status("default", "none", status)
    assert store.get("default", "none") is None


@on_every_store
async def test_revisions_are_kept_in_order_replaced_by_name_and_gone_with_the_function(store: FunctionStore) -> None:
    await store.apply("default", "f", spec())
    for each in (revision(10), revision(9), revision(10, "2026-01-01T00:00:00.000Z")):
        await store.put_revision("default", "f", each)
    await store.set_status("default", "f", FunctionStatus(replicas=1))
    assert store.revisions("default", "f") == [revision(9), revision(10, "2026-01-01T00:00:00.000Z")]
    await store.drop_revision("default", "f", "f-00009")
    await store.drop_revision("default", "f", "none")
    assert [each.generation for each in store.revisions("default", "f")] == [10]
    await store.remove("default", "f")
    await store.apply("default", "f", spec())
    assert store.revisions("default", "f") == []
    await store.put_revision("default", "none", revision(1))
    assert store.revisions("default", "none") == []


@in_one_process
async def test_watchers_hear_of_every_change_and_of_nothing_else(store: FunctionStore) -> None:
    heard: list[tuple[str, str]] = []
    store.watch(lambda project, name: heard.append((project, name)))
    changes = (
        lambda: store.apply("default", "f", spec()),
        lambda: store.set_status("default", "f", FunctionStatus(replicas=1)),
        lambda: store.mark_deleting("default", "f"),
        lambda: store.remove("default", "f"),
    )
    for count, change in enumerate(changes, 1):
        await change()
        assert heard == [("default", "f")] * count
        if count < 3:
            await change()
            assert len(heard) == count
    await store.remove("default", "f")
    assert len(heard) == 4

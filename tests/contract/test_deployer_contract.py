"""What a Deployer promises (controller/ports.py), over real processes and over the one that the controller's tests run on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from controller.local.deployer import LocalDeployer
from controller.model import Function, FunctionSpec
from controller.ports import Deployer, LogLine, Replica
from tests.shared.controller_world import WorldDeployer

GOOD, BROKEN = "good", "broken"  # artifacts
Cast = Callable[[Path], AbstractAsyncContextManager[Deployer]]
Scenario = Callable[[Deployer], Awaitable[None]]


@asynccontextmanager
async def in_memory(data: Path) -> AsyncIterator[Deployer]:
    deployer = WorldDeployer()
    deployer.broken.add(BROKEN)
    yield deployer


@asynccontextmanager
async def as_processes(data: Path) -> AsyncIterator[Deployer]:
    for artifact, code in {GOOD: "print('up', flush=True)\n", BROKEN: "raise ValueError('no luck')\n"}.items():
        app = data / "builds" / artifact / "app"
        app.mkdir(parents=True)
        (app / "main.py").write_text(f"{code}def handler(request): ...\n")
    deployer = LocalDeployer(data, env=os.environ, grace=5.0)
    await deployer.start()
    try:
        yield deployer
    finally:
        await deployer.close()


@pytest.fixture(params=[in_memory, as_processes], ids=["memory", "local"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    """Play a scenario with one of the deployers."""
    cast: Cast = request.param

    async def play(scenario: Scenario) -> None:
        async with cast(tmp_path / "d") as deployer:
            await scenario(deployer)

    return lambda scenario: asyncio.run(play(scenario))


def function(name: str = "hello") -> Function:
    return Function(name=name, spec=FunctionSpec(runtime="python"))


async def until(deployer: Deployer, holds: Callable[[list[Replica]], bool], name: str = "hello") -> list[Replica]:
    """The replicas at the first moment when they are as wanted, as `watch` tells it."""
    found: asyncio.Future[list[Replica]] = asyncio.get_running_loop().create_future()

    def look(*_: str) -> None:
        if not found.done() and holds(deployer.observe("default", name)):
            found.set_result(deployer.observe("default", name))

    deployer.watch(look)
    look()
    return await asyncio.wait_for(found, 20)


async def first_line(deployer: Deployer, replica: str) -> LogLine:
    """What a replica said last, or says next."""
    async with asyncio.timeout(20):
        async for line in deployer.logs("default", "hello", 1, True, replica):
            return line
    raise AssertionError("its log has ended")


def ready(count: int) -> Callable[[list[Replica]], bool]:
    return lambda replicas: len(replicas) == count == sum(each.ready for each in replicas)


def test_ensured_replicas_become_ready_each_at_an_address_of_its_own(run: Callable[[Scenario], None]) -> None:
    async def scenario(deployer: Deployer) -> None:
        told: list[tuple[str, str]] = []
        deployer.watch(lambda project, name: told.append((project, name)))

        await deployer.ensure(function(), "hello-00001", GOOD, 3)
        replicas = await until(deployer, ready(3))

        assert len({each.name for each in replicas}) == len({each.address for each in replicas}) == 3
        assert {each.revision for each in replicas} == {"hello-00001"}
        assert set(told) == {("default", "hello")}

    run(scenario)


def test_ensuring_what_is_there_already_changes_nothing(run: Callable[[Scenario], None]) -> None:
    async def scenario(deployer: Deployer) -> None:
        await deployer.ensure(function(), "hello-00001", GOOD, 2)
        before = await until(deployer, ready(2))

        await deployer.ensure(function(), "hello-00001", GOOD, 2)

        assert deployer.observe("default", "hello") == before

    run(scenario)


def test_those_named_as_leaving_are_the_ones_that_go(run: Callable[[Scenario], None]) -> None:
    async def scenario(deployer: Deployer) -> None:
        await deployer.ensure(function(), "hello-00001", GOOD, 3)
        first, second, third = await until(deployer, ready(3))

        await deployer.ensure(function(), "hello-00001", GOOD, 1, leaving=[first.name, third.name])

        assert await until(deployer, ready(1)) == [second]

    run(scenario)


def test_a_replica_that_stops_is_not_ready_from_the_first_moment(run: Callable[[Scenario], None]) -> None:
    async def scenario(deployer: Deployer) -> None:
        await deployer.ensure(function(), "hello-00001", GOOD, 1)
        await until(deployer, ready(1))

        await deployer.ensure(function(), "hello-00001", GOOD, 0)

        assert not any(each.ready for each in deployer.observe("default", "hello"))
        await until(deployer, ready(0))

    run(scenario)


def test_a_wake_while_the_last_replica_stops_starts_another(run: Callable[[Scenario], None]) -> None:
    async def scenario(deployer: Deployer) -> None:
        await deployer.ensure(function(), "hello-00001", GOOD, 1)
        (before,) = await until(deployer, ready(1))

        await deployer.ensure(function(), "hello-00001", GOOD, 0)
        await deployer.ensure(function(), "hello-00001", GOOD, 1)

        (after,) = await until(deployer, ready(1))
        assert after.name != before.name

    run(scenario)


def test_retiring_a_revision_leaves_the_others_alone(run: Callable[[Scenario], None]) -> None:
    async def scenario(deployer: Deployer) -> None:
        await deployer.ensure(function(), "hello-00001", GOOD, 1)
        await deployer.ensure(function(), "hello-00002", GOOD, 1)
        await until(deployer, ready(2))

        await deployer.retire(function(), "hello-00001")

        (left,) = await until(deployer, ready(1))
        assert left.revision == "hello-00002"
        await deployer.retire(function(), "hello-00001")  # and once more does no harm

    run(scenario)


def test_what_crashes_is_never_ready_and_says_why(run: Callable[[Scenario], None]) -> None:
    async def scenario(deployer: Deployer) -> None:
        seen: list[Replica] = []
        deployer.watch(lambda project, name: seen.extend(deployer.observe(project, name)))
        await deployer.ensure(function(), "hello-00001", BROKEN, 1)

        (looping,) = await until(deployer, lambda replicas: any(each.crash_loop for each in replicas))

        assert looping.message.startswith("exited with status ")
        assert looping.restarts >= 3
        assert not any(each.ready or each.address for each in seen)

    run(scenario)


def test_functions_do_not_see_each_others_replicas(run: Callable[[Scenario], None]) -> None:
    async def scenario(deployer: Deployer) -> None:
        await deployer.ensure(function("one"), "one-00001", GOOD, 1)
        await deployer.ensure(function("two"), "two-00001", GOOD, 1)
        await until(deployer, ready(1), "one")
        await until(deployer, ready(1), "two")

        await deployer.retire(function("one"), "one-00001")

        assert await until(deployer, ready(0), "one") == []
        assert len(deployer.observe("default", "two")) == 1
        assert deployer.observe("other", "two") == []

    run(scenario)


def test_logs_end_after_the_tail_that_was_asked_for(run: Callable[[Scenario], None]) -> None:
    async def scenario(deployer: Deployer) -> None:
        await deployer.ensure(function(), "hello-00001", GOOD, 2)
        replicas = await until(deployer, ready(2))

        lines = [line async for line in deployer.logs("default", "hello", 1, False)]

        assert len(lines) == 1
        assert lines[0].replica.startswith("hello-00001-") and lines[0].stream == "stdout" and lines[0].time.endswith("Z")
        for each in replicas:  # whoever of them spoke last
            assert (await first_line(deployer, each.name)).replica == each.name

    run(scenario)


def test_the_replicas_that_logs_tells_of_are_those_that_run_and_those_that_ended(run: Callable[[Scenario], None]) -> None:
    async def scenario(deployer: Deployer) -> None:
        await deployer.ensure(function(), "hello-00001", GOOD, 1)
        (only,) = await until(deployer, ready(1))
        await first_line(deployer, only.name)
        assert set(await deployer.heard("default", "hello")) == {only.name}

        await deployer.ensure(function(), "hello-00001", GOOD, 0)
        await until(deployer, ready(0))

        assert set(await deployer.heard("default", "hello")) == {only.name}

    run(scenario)

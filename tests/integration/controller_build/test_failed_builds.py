"""A failed build is told once: by its Job, until the function's status has it; whoever dies in between leaves it to the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace

from controller.documents import rfc3339
from controller.kube.build.builder import KubeBuilder
from controller.kube.control import Builds, Control
from controller.kube.settings import Settings
from controller.model import BuildFailure, BuildReport, FunctionStatus
from kube.client import Client
from kube.fake.faults import Refusal
from tests.integration.controller_build.played_jobs import FUNCTIONS, IMAGE, JOBS, PODS, World, badly, never, run
from tests.shared.waiting import until


def test_a_failed_build_is_read_out_of_its_jobuntil_its_failure_is_stored() -> None:
    async def scenario(world: World) -> None:
        first = await world.build()
        assert len(world.left()) == 2
        following = asyncio.create_task((another := world.another()).run())
        function = await world.function()
        again = await another.build(function, world.told.append)
        assert (again.reason, again.message, again.leftover) == (first.reason, first.message, first.leftover)
        assert world.made == 1 and world.told[-1] == "the build has ended already"

        failure = BuildFailure(reason=again.reason, ended_at=rfc3339(time.time() + 1))
        known = replace(function, status=FunctionStatus(build=BuildReport(failure=failure)))
        await another.build(known, world.told.append)
        assert world.made == 2, "that it failed was known: it was asked for once more"
        await another.settle(first.leftover)
        await another.settle(first.leftover)
        assert world.left() == []
        following.cancel()
        await asyncio.wait([following])

    run(badly, scenario)


def test_a_failure_that_is_stored_takes_nothing_from_who_builds_the_same_anew() -> None:
    async def scenario(world: World) -> None:
        building = asyncio.create_task(world.build())
        await until(lambda: bool(world.server.store.all(PODS)))
        (key,) = {job["metadata"]["labels"]["cloudbase.dev/build"] for job in world.server.store.all(JOBS)}
        await world.builder.settle(key)
        assert len(world.left()) == 2
        world.ends(world.server.store.all(JOBS)[0], 0, IMAGE)
        assert (await building).artifact

    run(never, scenario)


def test_a_controller_that_dies_between_a_failed_build_and_its_status_leaves_it_to_the_next() -> None:
    async def scenario(world: World) -> None:
        @asynccontextmanager
        async def operator(builder: KubeBuilder) -> AsyncIterator[Control]:
            builds = Builds(builder, world.sources, key=builder.key)
            async with Client(world.server.access()) as client:
                control = Control(client, Settings(namespaces=("default",)), builds)
                tasks = [asyncio.create_task(work) for work in (control.run(), builder.run())]
                try:
                    yield control
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks)

        def failed() -> bool:
            (stored,) = world.server.store.all(FUNCTIONS)
            return "RegistryDenied" in str(stored.get("status", {}).get("build", {}).get("failure"))

        unwritten = Refusal(503, times=10**6, verb="patch", resource="functions.cloudbase.dev/status")
        function = await world.function()
        async with operator(world.another()) as control:
            await until(lambda: control.leadership.leading)
            await control.store.apply("default", "hello", function.spec)
            await until(lambda: world.made == 1)
            world.server.faults.refusals.append(unwritten)
            badly(world, world.server.store.all(JOBS)[0])
            await until(lambda: (build := control.reconciler.builds.get(("default", "hello"))) is not None and bool(build.result))
            known = unwritten.times
            await until(lambda: unwritten.times < known)
        assert not failed() and len(world.left()) == 2
        world.server.faults.refusals.clear()
        async with operator(world.another()):
            await until(failed)
            await until(lambda: world.left() == [])
        async with operator(world.another()) as control:
            await control.reconciler.synced.wait()
        assert world.made == 1

    run(never, scenario)

"""Builds on a cluster survive what happens to them: Jobs and pods deleted, controllers that come and go, too few places."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from controller.builds import Builds
from controller.kube.build.jobs import JOBS
from controller.kube.build.names import BUILD, FETCHED_AT, job_name
from controller.meters import Meters
from controller.model import Function
from controller.ports import BuildResult
from controller.progress import Progress
from kube.errors import NotFound
from kube.resource import PODS, SECRETS
from kube.watch import Scope
from tests.cluster.shared.build_world import HOST, PATIENCE, World, eventually, gate, run, serving, with_settings
from tests.shared.free_ports import free_port

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning"),  # in the official package, from Python 3.12 on
]


def slow(mark: str, seconds: int) -> dict[str, bytes]:
    return {"Dockerfile": f"FROM busybox:stable\nRUN sleep {seconds}; echo {mark} > /mark\nUSER 1000\n".encode()}


async def begun(world: World) -> dict[str, Any]:
    """The one Job there is, once its RUN step goes on."""
    assert await eventually(lambda: _told(world, "begun"))
    (job,) = await world.jobs()
    return job


async def _told(world: World, line: str) -> bool:
    return line in world.told


async def _told_of(world: World, words: str) -> bool:
    return any(words in line for line in world.told)


@pytest.mark.parametrize("victim", ["jobs", "pods"])
def test_a_build_whose_job_or_pod_is_deleted_is_begun_anew_and_ends_well(victim: str) -> None:
    async def scenario(world: World) -> None:
        async with gate() as held:
            function = await world.function("victim", "dockerfile", held.files(victim))
            building = asyncio.create_task(world.build(function))
            job = await begun(world)
            if victim == "jobs":
                await world.client.delete(JOBS, job["metadata"]["name"], world.settings.namespace)
            else:
                (pod,) = await world.client.list(PODS, Scope(world.settings.namespace, BUILD))
                await world.client.delete(PODS, pod.metadata.name, world.settings.namespace, grace=0)
            assert await eventually(lambda: _told_of(world, "begun anew"))
            held.open = True
            result = await building
        assert result.artifact
        assert await world.tidy()

    run(scenario)


def test_a_restarted_controller_takes_up_the_job_that_runs() -> None:
    async def scenario(world: World) -> None:
        async with gate() as held:
            function = await world.function("taken-up", "dockerfile", held.files("taken-up"))
            building = asyncio.create_task(world.build(function))
            job = await begun(world)
            since = time.monotonic()
            world.builder.detach()
            building.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await building
            await asyncio.sleep(2)  # nobody follows the Job: that time counts, too
            async with with_settings(world.client, world.settings) as next_one:
                building = asyncio.create_task(next_one.build(function))
                assert await eventually(lambda: _told(next_one, "begun"))
                held.open, lasted = True, time.monotonic() - since
                result = await building
                assert "the build is under way already" in next_one.told
                assert job["metadata"]["uid"] not in [each["metadata"]["uid"] for each in await next_one.jobs()]
        assert result.artifact and not result.cached and result.seconds >= lasted
        assert await world.tidy()

    run(scenario)


def test_a_build_that_nobody_needs_any_more_is_ended_with_all_that_it_has() -> None:
    async def scenario(world: World) -> None:
        async with gate() as held:
            building = asyncio.create_task(world.build(await world.function("pointless", "dockerfile", held.files("pointless"))))
            await begun(world)
            building.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await building
            assert await world.tidy()

    run(scenario)


def test_no_more_are_built_at_once_than_there_are_places_and_a_namespace_with_many_holds_up_no_other() -> None:
    async def scenario(world: World) -> None:
        order: dict[tuple[str, str], None] = {}  # in this order
        ended: list[tuple[str, str]] = []
        progress = Progress(time.time)
        builds = Builds(world.builder, 2, progress, time.time, lambda key: _note(builds, key, order, ended), Meters())
        functions = [await _of(world, "busy", number) for number in range(4)] + [await _of(world, "other", 9)]
        most = 0
        async with asyncio.TaskGroup() as tasks:
            builds.open(tasks)
            for function in functions:
                builds.start(function, function.name, 1)
            while len(ended) < len(functions):
                most = max(most, len(await world.jobs()))
                await asyncio.sleep(0.2)
        assert most == 2
        assert list(order).index(("other", "f9")) == 2, "it was asked for last, and waited for one place only"
        assert await world.tidy()

    run(scenario)


async def _of(world: World, project: str, number: int) -> Function:
    source = await world.sources.put(slow(f"{number}", 1))
    plain = await world.function(f"f{number}", "dockerfile", source=source)
    return Function(name=plain.name, project=project, spec=plain.spec)


def _note(builds: Builds, key: tuple[str, str], order: dict[tuple[str, str], None], ended: list[tuple[str, str]]) -> None:
    build = builds.get(key)
    if build and build.started:
        order.setdefault(key)
    if build and build.result:
        assert build.result.artifact, build.result
        ended.append(key)


def test_a_large_source_is_handed_out_once_to_whoever_has_the_url_also_by_a_controller_that_was_away() -> None:
    async def scenario(world: World) -> None:
        port = free_port(HOST)
        settings = replace(world.settings, handover=f"http://{HOST}:{port}")
        async with gate() as held, with_settings(world.client, settings) as there:
            there.sources._in_secret = 0  # everything is large
            function = await there.function("handed", "dockerfile", held.files("handed"))
            building = asyncio.create_task(there.build(function))
            assert await eventually(lambda: _waits(there)), "nobody answers yet"
            async with serving(port) as (_, mount):
                mount(there.handover.app)
                await begun(there)
                (secret,) = await there.client.list(SECRETS, Scope(there.settings.namespace, BUILD))
                once = await _url(there, secret["metadata"]["name"])
                assert await eventually(lambda: _handed_out(there)), "it is noted before the last piece is sent"
                async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
                    assert (await http.get(once)).status_code == 410
                    assert (await http.get(once[:-3] + "xxx")).status_code == 403
                    assert (await http.get(once.replace("/sources/", "/sources/0"))).status_code == 404
                held.open = True
                result: BuildResult = await building
        assert result.artifact

    run(scenario)


async def _waits(world: World) -> bool:
    pods = await world.client.list(PODS, Scope(world.settings.namespace, BUILD))
    return any(each.state and not each.state.waiting for pod in pods for each in pod.status.init_container_statuses or ())


async def _handed_out(world: World) -> bool:
    found = await world.client.list(SECRETS, Scope(world.settings.namespace, BUILD))
    return any(FETCHED_AT in (each["metadata"].get("annotations") or {}) for each in found)


async def _url(world: World, name: str) -> str:
    import base64

    secret = await world.client.get(SECRETS, name, world.settings.namespace)
    return base64.b64decode(secret["data"]["url"]).decode()


def test_images_that_nobody_refers_to_and_what_a_killed_controller_left_are_collected() -> None:
    async def scenario(world: World) -> None:
        kept, gone = [
            await world.build(
                await world.function(name, "dockerfile", {"Dockerfile": b"FROM scratch\nCOPY Dockerfile /\n", name: b""})
            )
            for name in ("kept", "gone")
        ]
        await world.client.create(SECRETS, _left_behind("0" * 20), world.settings.namespace)
        assert await world.builder.prune({kept.artifact}) == 0, "what is young may be about to be referred to"
        world.builder._results._young = -60.0
        assert await world.builder.prune({kept.artifact}) == 1
        with pytest.raises(NotFound):
            await world.client.get(SECRETS, job_name("0" * 20), world.settings.namespace)
        there = [await world.registry.has(*each.artifact.partition("/")[2].split("@")) for each in (kept, gone)]
        assert there == [True, False]

    run(scenario)


def _left_behind(key: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/managed-by": "cloudbase", "cloudbase.dev/kind": "build", BUILD: key}
    return {"metadata": {"name": job_name(key), "labels": labels}}

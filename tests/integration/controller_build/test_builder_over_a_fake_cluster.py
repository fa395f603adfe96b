"""The builder over a fake API server: every way that a Job can go, in no time."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from controller.kube.build import jobs
from controller.kube.build.pods import Pods
from controller.kube.build.sources import KubeSourceStore
from controller.model import Function, FunctionSpec
from kube.client import Client
from kube.fake.faults import Refusal
from kube.fake.server import ApiServer
from kube.fake.store import Manifest
from kube.fence import fenced
from kube.lease import NotLeading
from tests.integration.controller_build.played_jobs import (
    BUILDS,
    CONFIG_MAPS,
    IMAGE,
    JOBS,
    PODS,
    SECRETS,
    World,
    badly,
    never,
    run,
    well,
)
from tests.shared.waiting import until


def test_an_image_is_named_by_its_digest_and_only_its_result_is_left() -> None:
    async def scenario(world: World) -> None:
        first = await world.build()
        assert first.artifact.endswith(f"/f/default-hello@{IMAGE}") and not first.cached
        assert world.left() == []
        (result,) = (each for each in world.server.store.all(CONFIG_MAPS) if each["metadata"]["name"].startswith("built-"))
        assert result["data"]["artifact"] == first.artifact

    run(well, scenario)


def test_whoever_wants_the_same_at_once_gets_the_same_job_and_goes_without_ending_it() -> None:
    async def scenario(world: World) -> None:
        both = [asyncio.create_task(world.build(name)) for name in ("one", "other")]
        await until(lambda: world.made == 1 and bool(world.server.store.all(PODS)) and world.wanted() == 2)
        both[0].cancel()
        await asyncio.wait([both[0]])
        assert world.left(), "the other still wants it"
        world.ends(world.server.store.all(JOBS)[0], 0, IMAGE)
        assert (await both[1]).artifact and world.made == 1

    run(never, scenario)


def test_a_failure_is_read_from_the_containers_last_words_when_there_is_no_log() -> None:
    async def scenario(world: World) -> None:
        result = await world.build()
        assert (result.artifact, result.reason, result.may_pass) == ("", "RegistryDenied", False)
        await world.builder.settle(result.leftover)
        assert world.left() == []
        again = await world.build()
        assert again.reason == "RegistryDenied" and world.made == 2, "a failure that is stored is built again by who asks for it"

    run(badly, scenario)


def test_a_job_that_is_deleted_again_and_again_is_given_up() -> None:
    def vanishes(world: World, job: Manifest) -> None:
        world.pod(job, phase="Pending")
        loop = asyncio.get_running_loop()
        loop.call_later(0.2, world.server.store.remove, JOBS, (BUILDS, job["metadata"]["name"]))

    async def scenario(world: World) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs, "LOOK", 0.3)
            result = await world.build()
        assert (result.reason, result.may_pass, world.made) == ("BuildLost", True, jobs.LOST)
        assert world.left() == []

    run(vanishes, scenario)


def test_a_job_that_is_deleted_is_begun_anew_once_though_its_pod_takes_a_while_to_go() -> None:
    async def scenario(world: World) -> None:
        building = asyncio.create_task(world.build())
        await until(lambda: bool(world.server.store.all(PODS)))
        (first,) = world.server.store.all(JOBS)
        world.pod(first, phase="Running", containerStatuses=[{"name": "kaniko", "state": {"running": {}}}])
        world.server.store.remove(JOBS, (BUILDS, first["metadata"]["name"]))
        await until(lambda: world.made > 1 and len(world.server.store.all(PODS)) == 1)
        assert world.made == 2, "what the first one's pod said was taken for the second one's"
        world.ends(world.server.store.all(JOBS)[0], 0, IMAGE)
        assert (await building).artifact and world.made == 2

    run(never, scenario)


def test_a_pod_that_no_node_takes_and_an_image_that_cannot_be_pulled_are_told_while_they_are_waited_for() -> None:
    def unscheduled(world: World, job: Manifest) -> None:
        conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no memory"}]
        world.pod(job, phase="Pending", conditions=conditions)

    def unpulled(world: World, job: Manifest) -> None:
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        world.pod(job, phase="Pending", containerStatuses=[{"name": "kaniko", "state": waiting}])

    async def given_up(world: World) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs, "LOOK", 0.1)
            patch.setattr(jobs, "PULL_PATIENCE", 0.3)
            building = asyncio.create_task(world.build())
            await until(lambda: "waiting: 0/3 nodes: no memory" in world.told)
            job = world.server.store.all(JOBS)[0]
            failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
            world.server.store.put(JOBS, {**job, "status": {"conditions": [failed]}})
            result = await building
        assert result.reason == "NotScheduled" and "no memory" in result.message and result.may_pass

    async def missing(world: World) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs, "LOOK", 0.1)
            patch.setattr(jobs, "PULL_PATIENCE", 0.3)
            result = await world.build()
        assert result.reason == "BuilderImageMissing" and "no such image" in result.message
        assert any(line.startswith("waiting: the image") for line in world.told)

    run(unscheduled, given_up)
    run(unpulled, missing)


def test_a_cancelled_build_takes_its_job_along_unless_the_controller_lets_go_or_may_not() -> None:
    async def cancelled(world: World) -> None:
        building = asyncio.create_task(world.build())
        await until(lambda: bool(world.server.store.all(PODS)))
        building.cancel()
        await asyncio.wait([building])

    async def ends(world: World) -> None:
        await cancelled(world)
        assert world.left() == []

    async def detached(world: World) -> None:
        world.builder.detach()
        await cancelled(world)
        assert len(world.left()) == 2

    async def deposed(world: World) -> None:
        leads = True

        def check() -> None:
            if not leads:
                raise NotLeading("another leads")

        with fenced(check):
            building = asyncio.create_task(world.build())
        await until(lambda: bool(world.server.store.all(PODS)))
        leads = False
        building.cancel()
        await asyncio.wait([building])
        assert building.cancelled() and len(world.left()) == 2

    for scenario in (ends, detached, deposed):
        run(never, scenario)


def test_an_api_server_that_refuses_is_told_and_tried_again() -> None:
    async def scenario(world: World) -> None:
        world.server.faults.refusals.append(Refusal(503, verb="create", resource="jobs.batch"))
        result = await world.build()
        assert (result.reason, result.may_pass) == ("ClusterUnavailable", True) and "503" in result.message

    run(well, scenario)


def test_an_api_server_that_is_away_for_a_while_ends_no_build_and_loses_no_image() -> None:
    async def scenario(world: World) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs, "LOOK", 0.1)
            building = asyncio.create_task(world.build())
            await until(lambda: bool(world.server.store.all(PODS)))
            refused = Refusal(503, times=5, verb="get", resource="jobs.batch")
            world.server.faults.refusals.append(refused)
            await until(lambda: refused.times == 0)
            world.server.faults.refusals.append(Refusal(503, verb="patch", resource="configmaps"))
            world.ends(world.server.store.all(JOBS)[0], 0, IMAGE)
            assert (await building).artifact and world.made == 1

    run(never, scenario)


def test_a_source_that_is_gone_or_has_no_dockerfile_is_told_without_a_job() -> None:
    async def scenario(world: World) -> None:
        gone = Function(name="gone", spec=FunctionSpec(runtime="node", source="sha256:" + "0" * 64))
        assert (await world.builder.build(gone, print)).reason == "SourceMissing"
        known = await world.function()
        for runtime, reason in (("dockerfile", "BadDockerfile"), ("cobol", "RuntimeUnavailable")):
            spec = FunctionSpec(runtime=runtime, source=known.spec.source)
            assert (await world.builder.build(Function(name="x", spec=spec), print)).reason == reason
        assert world.made == 0

    run(well, scenario)


def test_the_newest_pod_of_a_build_counts() -> None:
    async def scenario() -> None:
        async with ApiServer() as server, Client(server.access()) as client:
            pods = Pods(client, BUILDS)
            following = asyncio.create_task(pods.run())
            labels = {"app.kubernetes.io/managed-by": "cloudbase", "cloudbase.dev/kind": "build", "cloudbase.dev/build": "k"}
            owners = [{"apiVersion": "batch/v1", "kind": "Job", "name": "build-k", "uid": "j"}]
            for name, deleted in (("new", ""), ("going", "2030-01-01T00:00:00Z")):
                metadata = {"name": name, "namespace": BUILDS, "labels": labels, "ownerReferences": owners} | (
                    {"deletionTimestamp": deleted} if deleted else {}
                )
                server.store.put(PODS, {"metadata": metadata})
            found = await pods.until("k", "j", lambda pod: pod is not None and pod.metadata.name == "new", 10)
            assert found is not None
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    asyncio.run(scenario())


def test_a_source_that_is_stored_again_while_it_is_collected_stays_whole() -> None:
    async def scenario(world: World) -> None:
        times = itertools.count(time.time())  # each later than the last, whatever this machine's clock is set to meanwhile
        old = KubeSourceStore(world.client, world.settings, world.registry, young=-60.0, clock=lambda: next(times))
        digest = await old.put({"index.js": b"1"})
        original = old._version

        async def version(name: str) -> str:
            found = await original(name)
            await old.put({"index.js": b"1"})
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(old, "_version", version)
            assert await old.prune(()) == 0
        assert await old.has(digest)
        assert world.server.store.get(SECRETS, (BUILDS, f"source-{digest[7:47]}"))
        assert await old.prune(()) == 1
        assert not await old.has(digest)

    run(well, scenario)


def test_a_registry_that_is_away_keeps_what_nobody_needsuntil_later() -> None:
    async def scenario(world: World) -> None:
        large = KubeSourceStore(world.client, world.settings, world.registry, young=-60.0, in_secret=0)
        digest = await large.put({"index.js": b"1"})
        world.images.failing = 503
        assert await large.prune(()) == 0 and await large.has(digest)
        world.images.failing = 0
        assert await large.prune(()) == 1 and not await large.has(digest)

    run(well, scenario)

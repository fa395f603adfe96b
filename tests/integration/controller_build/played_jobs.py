"""A builder over a fake API server, where a test plays Job controller and kubelet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from controller.kube.build.builder import KubeBuilder
from controller.kube.build.names import Recipe
from controller.kube.build.sources import KubeSourceStore
from controller.model import Function, FunctionSpec
from controller.ports import BuildResult
from kube.fake.store import Change, Manifest
from tests.integration.controller_build.build_stage import Stage, staged

FUNCTIONS = ("cloudbase.dev", "functions")
JOBS, PODS, SECRETS, CONFIG_MAPS = ("batch", "jobs"), ("", "pods"), ("", "secrets"), ("", "configmaps")
IMAGE = "sha256:" + "ab" * 32
BUILDS = "cloudbase-builds"
RECIPES = {"node": Recipe("FROM x", b"")}
Play = Callable[["World", Manifest], None]


@dataclass
class World(Stage):
    """A builder, and what the cluster makes of its Jobs."""

    sources: KubeSourceStore
    builder: KubeBuilder
    told: list[str] = field(default_factory=list)
    made: int = 0  # Jobs

    def pod(self, job: Manifest, **status: Any) -> None:
        """The Job's pod, in this state."""
        uid, labels = job["metadata"]["uid"], job["metadata"]["labels"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": uid}
        metadata = {"name": f"build-{uid}", "namespace": BUILDS, "labels": labels, "ownerReferences": [owner]}
        old = self.server.store.get(PODS, (BUILDS, metadata["name"])) or {"metadata": metadata}
        self.server.store.put(PODS, {**old, "status": status})

    def ends(self, job: Manifest, code: int, message: str) -> None:
        state = {"terminated": {"exitCode": code, "message": message, "reason": "Error" if code else "Completed"}}
        phase = "Failed" if code else "Succeeded"
        self.pod(job, phase=phase, containerStatuses=[{"name": "kaniko", "state": state}])
        condition = {"type": "Failed" if code else "Complete", "status": "True"}
        self.server.store.put(JOBS, {**job, "status": {"conditions": [condition]}})

    def stops(self, pod: str) -> None:
        """Kubernetes collects the pod of a Job that is gone: it ends by a signal, and is there for a while."""
        if (found := self.server.store.get(PODS, (BUILDS, pod))) is not None:
            metadata = {**found["metadata"], "deletionTimestamp": "2030-01-01T00:00:00Z"}
            self.server.store.put(PODS, {**found, "metadata": metadata, "status": {"phase": "Failed"}})
            asyncio.get_running_loop().call_later(1.0, self.server.store.remove, PODS, (BUILDS, pod))

    def another(self) -> KubeBuilder:
        """A builder as after a restart of the controller. Run it."""
        return KubeBuilder(self.client, self.settings, self.sources, self.registry, RECIPES)

    def wanted(self) -> int:
        """How many want the builds under way: nothing tells it from outside."""
        return sum(len(build.told.listeners) for build in self.builder._shared._running.values())

    def left(self) -> list[str]:
        """Jobs and Secrets of builds that are there now."""
        found = [*self.server.store.all(JOBS), *self.server.store.all(SECRETS)]
        return [each["metadata"]["name"] for each in found if each["metadata"]["labels"]["cloudbase.dev/kind"] == "build"]

    async def function(self, name: str = "hello") -> Function:
        return Function(name=name, spec=FunctionSpec(runtime="node", source=await self.sources.put({"index.js": b"1"})))

    async def build(self, name: str = "hello") -> BuildResult:
        return await self.builder.build(await self.function(name), self.told.append)


def run(play: Play, scenario: Callable[[World], Awaitable[None]]) -> None:
    """The scenario, while `play` is called with every Job that is made, as soon as it is."""

    async def whole() -> None:
        async with staged() as stage:
            sources = stage.source_store()
            builder = KubeBuilder(stage.client, stage.settings, sources, stage.registry, RECIPES)
            world = World(**vars(stage), sources=sources, builder=builder)
            world.server.store.listen(lambda change: _play(world, play, change))
            following = asyncio.create_task(builder.run())
            await scenario(world)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    asyncio.run(whole())


def _play(world: World, play: Play, change: Change) -> None:
    if change.collection == JOBS and change.old is None and change.new is not None:
        world.made += 1
        play(world, change.new)
    elif change.collection == JOBS and change.new is None and change.old is not None:
        world.stops(f"build-{change.old['metadata']['uid']}")


def well(world: World, job: Manifest) -> None:
    world.ends(job, 0, f"{IMAGE}\n")


def badly(world: World, job: Manifest) -> None:
    world.ends(job, 1, "npm error code E401\nerror building image: error building stage: x: exit status 1")


def never(world: World, job: Manifest) -> None:
    """Its pod waits for ever."""
    world.pod(job, phase="Pending")

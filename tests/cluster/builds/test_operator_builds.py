"""The operator as a process, under the chart's rights, from a stored source to an answer by the router; killed on the way."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.kube.build.jobs import JOBS
from controller.kube.build.parts import building
from controller.kube.build.settings import BuildSettings
from kube.errors import NotFound
from kube.resource import NAMESPACES, PODS, SECRETS
from kube.watch import Scope
from tests.cluster.shared.build_world import HOST, build_settings
from tests.cluster.shared.operator_on_a_cluster import (
    ACCOUNT,
    FUNCTIONS,
    MARKS,
    RBAC,
    RESOURCES,
    ROOT,
    Controller,
    Operated,
    operated,
)
from tests.cluster.shared.router_on_a_cluster import reached
from tests.shared.free_ports import free_port
from tests.shared.kube_world import OURS

pytestmark = MARKS
HANDLER = b"const size = require('fs').statSync('noise').size\nexports.handler = async () => `${size} bytes`\n"


@asynccontextmanager
async def builds(o: Operated) -> AsyncIterator[BuildSettings]:
    """A namespace for builds where the controller has the chart's rights, and their settings."""
    name = f"{o.namespace}-builds"
    label = {"pod-security.kubernetes.io/enforce": "baseline", **OURS}
    await o.client.create(NAMESPACES, {"metadata": {"name": name, "labels": label}})
    try:
        rules = yaml.safe_load((ROOT / "helm/cloudbase/rbac/controller.yaml").read_text())["builds"]
        subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": o.namespace}
        reference = {"apiGroup": RBAC, "kind": "Role", "name": ACCOUNT}
        await o.client.create(RESOURCES["Role"], {"metadata": {"name": ACCOUNT}, "rules": rules}, name)
        binding = {"metadata": {"name": ACCOUNT}, "subjects": [subject], "roleRef": reference}
        await o.client.create(RESOURCES["RoleBinding"], binding, name)
        yield build_settings(name)
    finally:
        with suppress(NotFound):
            await o.client.delete(NAMESPACES, name)


def flags(settings: BuildSettings, port: int) -> list[str]:
    given: dict[str, Any] = {
        "build-registry": settings.registry,
        "build-pull-registry": settings.pull_registry,
        "build-insecure": "true",
        "build-insecure-pull": "true",
        "build-registry-map": ",".join(f"{name}={place}" for name, place in settings.registry_map.items()),
        "build-namespace": settings.namespace,
        "build-executor": settings.executor,
        "build-busybox": settings.busybox,
        "build-handover": f"http://{HOST}:{port}",
        "admin": f"{HOST}:{port}",
    }
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def test_a_source_of_40_mib_becomes_a_function_though_the_controller_is_killed_while_it_is_built(tmp_path: Path) -> None:
    port = free_port(HOST)

    async def scenario(o: Operated) -> None:
        o.place.world.tidy = False  # its namespace goes while the next test runs
        async with builds(o) as settings:
            async with building(o.client, settings) as parts:
                source = await parts.sources.put({"index.js": HANDLER, "noise": os.urandom(40 << 20)})
            controller = await o.controller(*flags(settings, port))
            router = await o.router()
            spec = {"runtime": "node", "source": source, "scaling": {"idleGrace": 60}}
            await o.client.apply(FUNCTIONS, "large", {"spec": spec}, "kubectl", o.namespace, force=True)

            async def running() -> bool:
                pods = await o.client.list(PODS, Scope(settings.namespace))
                return any(pod.status.phase == "Running" or pod.status.init_container_statuses for pod in pods)

            await o.eventually(running)
            await controller.stop(hard=True)
            (job,) = await o.client.list(JOBS, Scope(settings.namespace))
            next_one = await o.controller(*flags(settings, port), leads=False)
            await next_one.leading()
            ready = await o.wait("large")
            assert ready["reason"] == "Ready"
            assert (await reached(router.traffic, "/fn/large")).text == f"{40 << 20} bytes"
            build = (await o.function("large"))["status"]["build"]
            print(f"built in {build['seconds']:.1f} s, Job {job['metadata']['name']}, the controller killed meanwhile")
            assert build["artifact"].startswith(f"{settings.pulled_from}/{o.namespace}-large@sha256:")

            async def tidy() -> bool:
                left = [
                    await o.client.list(kind, Scope(settings.namespace, "cloudbase.dev/build")) for kind in (JOBS, PODS, SECRETS)
                ]
                return left == [[], [], []]

            await o.eventually(tidy)

    operated(scenario, tmp_path)


def test_a_source_that_cannot_be_built_says_so_in_the_functions_status(tmp_path: Path) -> None:
    async def scenario(o: Operated) -> None:
        async with builds(o) as settings:
            async with building(o.client, settings) as parts:
                source = await parts.sources.put({"Dockerfile": b"FROM busybox:stable\nRUN echo no luck today; exit 7\n"})
            first = await o.controller(*flags(settings, 0))
            spec = {"runtime": "dockerfile", "source": source}
            await o.client.apply(FUNCTIONS, "unlucky", {"spec": spec}, "kubectl", o.namespace, force=True)

            async def building_again() -> bool:
                return bool(await o.client.list(JOBS, Scope(settings.namespace)))

            async def looked(controller: Controller) -> bool:
                return await controller.metric("cloudbase_controller_reconcile_total") > 0

            async def failed() -> bool:
                return (await o.condition("unlucky", "Built")).get("status") == "False"

            await o.eventually(failed)
            built = await o.condition("unlucky", "Built")
            assert built["reason"] == "StepFailed" and "no luck today" in built["message"], built
            assert await first.stop() == 0
            before = await o.function("unlucky")
            second = await o.controller(*flags(settings, 0))
            await o.eventually(lambda: looked(second))
            with pytest.raises(TimeoutError):  # the same is not built again by a restart
                await o.eventually(building_again, 4)
            assert await o.function("unlucky") == before
            await o.client.merge(FUNCTIONS, "unlucky", {"spec": {"restart": "on demand"}}, o.namespace)

            async def built_again() -> bool:
                return bool((await o.function("unlucky"))["status"]["build"]["failure"]["generation"] == 2)

            await o.eventually(built_again)

    operated(scenario, tmp_path)

"""Source becomes functions on the installed platform: built by Kaniko, deployed, answering, asleep and back again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from tests.cluster.platform.deploying import ACCOUNT, Deployer, deployer, source
from tests.cluster.platform.installed import BUILDS, REGISTRY, Platform, kubectl
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, in_a_namespace, reached, stamp

pytestmark = MARKS

DOCKERFILE = """
FROM python:3.13-slim
COPY server.py /srv/server.py
RUN echo built by the user > /srv/note
USER 65532:65532
CMD ["python3", "/srv/server.py"]
"""
SOURCES: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {  # name -> files, settings, a word of the answer
    "node": (source("examples/node-hello"), {"runtime": "node"}, ""),
    "python": (source("examples/python-hello"), {"runtime": "python"}, ""),
    "program": (source("examples/python-server"), {"runtime": "python"}, "served by a program"),
    "own": ({**source("examples/python-server"), "Dockerfile": DOCKERFILE}, {"runtime": "python"}, "served by a program"),
}


@pytest.mark.slow
def test_source_of_every_kind_is_built_answers_sleeps_and_wakes(platform: Platform) -> None:
    async def scenario(place: Place) -> None:
        who = await asyncio.to_thread(deployer, platform, place.namespace)
        began = stamp()
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            for name, (files, settings, _) in SOURCES.items():
                if name != "node":
                    await who.deploy(http, name, files, **settings, scaling={"idleGrace": 1})
            deploy = ("deploy", "examples/node-hello", "--name", "node", "--idle-grace", "1")  # waits until it is ready
            typed = asyncio.create_task(asyncio.to_thread(who.command_line, *deploy))
            pods = await seen_building()
            print(await typed)
            await asyncio.to_thread(who.ready, *SOURCES)
            print(f"four functions from source to ready: {stamp() - began:.1f} s")
            for pod in pods:
                (init,) = pod["spec"]["initContainers"]
                assert "busybox" in init["image"]
            for name, (_, _, word) in SOURCES.items():
                answer = await reached(platform.address(), f"/fn/{name}")
                assert answer.status_code == 200 and word in answer.text, answer.text
                await check_objects(http, place, name)
            assert await asyncio.to_thread(nothing_left)
            for name in SOURCES:
                await place.asleep(f"{name}-00001")
                answer = await http.get(platform.url(f"/fn/{name}"))
                assert answer.status_code == 200
                print(f"cold start of {name}: {answer.headers['server-timing']}")
            await check_release(platform, who)
            await check_inside(platform, who)
            await asyncio.to_thread(who.delete_all)

    in_a_namespace(scenario)


async def check_release(platform: Platform, who: Deployer) -> None:
    """`cloudbase build`: an image that waits, as a condition says, and that nobody runs until `cloudbase deploy NAME`."""
    built = await asyncio.to_thread(who.command_line, "build", "examples/node-hello", "--name", "waits", "-o", "json")
    assert json.loads(built)["reason"] == "Unreleased"
    assert (await asyncio.to_thread(who.reason, "waits", "Built"))[0] == "Built"
    assert (await asyncio.to_thread(who.reason, "waits", "Deployed"))[0] == "Unreleased"
    owned = ("get", "deployments,services,revisions", "-l", "cloudbase.dev/function=waits", "-o", "name")
    assert not await asyncio.to_thread(kubectl, "-n", who.namespace, *owned)
    released = await asyncio.to_thread(who.command_line, "deploy", "waits", "-o", "json")
    assert json.loads(released)["ready"]
    assert await asyncio.to_thread(kubectl, "-n", who.namespace, *owned)
    assert (await reached(platform.address(), "/fn/waits")).status_code == 200


async def seen_building() -> list[dict[str, Any]]:
    """The pods of builds as soon as there is one."""
    async with asyncio.timeout(PATIENCE):
        while True:
            listed = await asyncio.to_thread(kubectl, "-n", BUILDS, "get", "pods", "-o", "json")
            if pods := json.loads(listed)["items"]:
                return list(pods)
            await asyncio.sleep(0.2)


async def check_objects(http: httpx2.AsyncClient, place: Place, name: str) -> None:
    """The Deployment runs the pushed image by digest; the route's Service has an address of the cluster."""
    listed = await asyncio.to_thread(kubectl, "-n", place.namespace, "get", "deployment", f"{name}-00001", "-o", "json")
    (container,) = json.loads(listed)["spec"]["template"]["spec"]["containers"]
    repository, _, digest = container["image"].partition("@")
    assert digest.startswith("sha256:")
    manifest = f"http://{REGISTRY}/v2/{repository.split('/', 1)[1]}/manifests/{digest}"
    accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    assert (await http.head(manifest, headers={"Accept": accept})).status_code == 200
    service = await asyncio.to_thread(kubectl, "-n", place.namespace, "get", "service", name, "-o", "json")
    assert json.loads(service)["spec"]["type"] == "ClusterIP"


def nothing_left() -> bool:
    """No Job and no pod of a build is there, or soon will be."""
    kubectl("-n", BUILDS, "wait", "--for=delete", "jobs,pods", "--all", "--timeout=300s")
    return not json.loads(kubectl("-n", BUILDS, "get", "jobs,pods", "-o", "json"))["items"]


async def check_inside(platform: Platform, who: Deployer) -> None:
    """The command line in a pod: by the platform's Service, with the token of the pod's own account."""
    account = json.dumps({"spec": {"serviceAccountName": ACCOUNT}})
    server = f"http://{platform.release}-controller.{platform.namespace}:8081"
    pod = ("run", "inside", f"--image={platform.image}", "--restart=Never", "--image-pull-policy=IfNotPresent")
    told = ("--overrides", account, "--", "cloudbase", "list", "--server", server, "--namespace", who.namespace)
    ended = ("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/inside", "--timeout=300s")
    for each in ((*pod, *told), ended):
        await asyncio.to_thread(kubectl, "-n", who.namespace, *each)
    listed = await asyncio.to_thread(kubectl, "-n", who.namespace, "logs", "inside")
    assert all(name in listed for name in SOURCES), listed

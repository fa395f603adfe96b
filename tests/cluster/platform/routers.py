"""The routers of an installed release: what each says, that all of them answer, and that some of them are gone."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx2

from tests.cluster.platform.installed import Platform, apply, function, kubectl
from tests.cluster.shared.router_on_a_cluster import PATIENCE, Place

PREFIX = "cloudbase_router_kube_"


async def deployed(place: Place, platform: Platform, **spec: object) -> str:
    """The name of a function that is ready, as no other in the cluster is called."""
    name = place.namespace.replace("kube-contract", "hello")
    image = await asyncio.to_thread(platform.echo)
    await asyncio.to_thread(apply, place.namespace, function(name, image=image, **spec))
    wait = ("wait", "--for=condition=Ready", f"function/{name}", "--timeout=300s")
    await asyncio.to_thread(kubectl, "-n", place.namespace, *wait)
    return name


async def each_answers(platform: Platform, traffic: str, name: str) -> None:
    """Until connections go to every router, which knows the function, and to no other: one before them may still be draining."""
    rollout = ("rollout", "status", f"deployment/{platform.release}-router", f"--timeout={PATIENCE:.0f}s")
    await asyncio.to_thread(platform.kubectl, *rollout)
    async with asyncio.timeout(PATIENCE):
        while len(routers := await addresses(platform)) != 3:  # noqa: ASYNC110 - one of before is still to be told to end
            await asyncio.sleep(0.5)
        while await routers_that_answered(f"{traffic}/fn/{name}", 40) != routers:  # noqa: ASYNC110 - kube-proxy follows when it comes to it
            await asyncio.sleep(0.5)


async def gone(platform: Platform, pods: list[dict[str, Any]]) -> None:
    """Wait until these routers have drained and ended."""
    for pod in pods:
        await asyncio.to_thread(platform.kubectl, "wait", "--for=delete", f"pod/{pod['metadata']['name']}", "--timeout=300s")


async def everywhere(platform: Platform, name: str, value: float) -> None:
    """Wait until every router says so."""
    await agreed(platform, name, dict.fromkeys(await told(platform, name), value))


async def agreed(platform: Platform, name: str, wanted: dict[str, float], within: float = PATIENCE) -> None:
    """Wait until each router's figure is at least what is wanted of it, or just 0 where that is 0."""
    found: dict[str, float] = {}
    try:
        async with asyncio.timeout(within):
            while not all(found.get(at, -1) >= value if value else found.get(at) == 0 for at, value in wanted.items()):
                found = await told(platform, name)
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{name} is {found} after {within:.0f} s, not {wanted}") from None


async def told(platform: Platform, name: str) -> dict[str, float]:
    """A figure of each router, by its address."""
    addresses = [pod["status"]["podIP"] for pod in await asyncio.to_thread(platform.pods, "router")]
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        texts = [(await http.get(f"http://{each}:8081/metrics")).text for each in addresses]
    pattern = re.compile(rf"^{PREFIX}{name} (\S+)$", re.MULTILINE)
    return {each: float(pattern.findall(text)[0]) for each, text in zip(addresses, texts, strict=True)}


async def addresses(platform: Platform) -> set[str]:
    """Of the routers' pods."""
    return {pod["status"].get("podIP", "") for pod in await asyncio.to_thread(platform.pods, "router")}


async def routers_that_answered(url: str, count: int) -> set[str]:
    """Addresses by which the function was asked, over so many connections; of one without an answer, what came instead."""

    async def one() -> str:
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            try:
                answer = await http.get(f"http://{url}")
            except httpx2.TransportError as error:
                return repr(error)
            return str(answer.json()["client"]) if answer.status_code == 200 else answer.text

    return set(await asyncio.gather(*(one() for _ in range(count))))

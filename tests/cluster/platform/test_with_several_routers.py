"""values-ha.yaml on a cluster: routers that share a Redis, lose it, and are replaced twice under load."""

from __future__ import annotations

import asyncio
import re

import httpx2
import pytest

from tests.cluster.platform.installed import Platform, kubectl
from tests.cluster.platform.test_functions import function
from tests.cluster.platform.test_upgrade import gone
from tests.cluster.router.test_interception import called_from_a_pod
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, burst, in_a_namespace, stamp
from tests.cluster.shared.steady_load import steady

pytestmark = MARKS

PREFIX = "cloudbase_router_kube_"


@pytest.mark.slow
def test_a_function_sleeps_and_wakes_behind_several_routers_that_lose_their_redis_and_are_replaced_without_a_failed_request(
    several: Platform,
) -> None:
    async def scenario(place: Place) -> None:
        name = await deployed(place, several, scaling={"idleGrace": 1})
        traffic = several.url("").removeprefix("http://")
        await each_answers(several, traffic, name)

        await place.asleep(f"{name}-00001")
        found = await called_from_a_pod(place, name, f"{name}.{place.namespace}.svc")
        print(f"woken by a pod that called the function's own Service: {found}")
        assert [answer[:2] for answer in found.values()] == [[200, "/fn/own-path?x=1"]] * 2

        await place.asleep(f"{name}-00001")
        await redis(several, 0)
        await everywhere(several, "exchange_connected", 0)
        assert await burst(traffic, f"/fn/{name}", 20) == [200] * 20
        async with steady(several.url(f"/fn/{name}")) as load:
            await redis(several, 1)
            await everywhere(several, "whole", 1)
            await redis_killed(several)
            for verb, arguments in (
                ("upgrade", [str(several.chart), "--reset-then-reuse-values", "--set", "router.podAnnotations.again=yes"]),
                ("rollback", []),
            ):
                before = await asyncio.to_thread(several.pods, "router")
                began = stamp()
                await asyncio.to_thread(several.helm, verb, *arguments, "--wait", "--timeout", "300s")
                print(f"helm {verb} of {len(before)} routers: {stamp() - began:.1f} s")
                await gone(several, before)
        print(f"{dict(load.codes)}; {load.wrong[:3]}")
        assert set(load.codes) == {200}

    in_a_namespace(scenario)


async def deployed(place: Place, platform: Platform, **spec: object) -> str:
    """The name of a function that is ready, as no other in the cluster is called."""
    name = place.namespace.replace("kube-contract", "hello")
    image = await asyncio.to_thread(platform.echo)
    await asyncio.to_thread(kubectl, "-n", place.namespace, "apply", "-f", "-", text=function(name, image=image, **spec))
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


async def addresses(platform: Platform) -> set[str]:
    """Of the routers' pods."""
    return {pod["status"].get("podIP", "") for pod in await asyncio.to_thread(platform.pods, "router")}


async def routers_that_answered(url: str, count: int) -> set[str]:
    """Addresses by which the function was asked, over so many connections."""

    async def one() -> str:
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            answer = await http.get(f"http://{url}")
            return str(answer.json()["client"]) if answer.status_code == 200 else answer.text

    return set(await asyncio.gather(*(one() for _ in range(count))))


async def redis(platform: Platform, replicas: int) -> None:
    """Take the chart's Redis away, or bring it back."""
    name = f"{platform.release}-redis"
    await asyncio.to_thread(platform.kubectl, "scale", f"deployment/{name}", f"--replicas={replicas}")
    await asyncio.to_thread(platform.kubectl, "rollout", "status", f"deployment/{name}", "--timeout=300s")


async def redis_killed(platform: Platform) -> None:
    """Kill the chart's Redis, and wait until every router has noticed, and has all samples by the next one."""
    (pod,) = await asyncio.to_thread(platform.pods, "redis")
    noticed = {address: value + 1 for address, value in (await told(platform, "exchange_losses_total")).items()}
    await asyncio.to_thread(platform.kubectl, "delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0")
    await agreed(platform, "exchange_losses_total", noticed)
    await everywhere(platform, "exchange_connected", 1)
    await everywhere(platform, "whole", 1)


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

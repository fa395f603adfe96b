"""values-ha.yaml on a cluster: routers that share a Redis, lose it, and are replaced twice under load."""

from __future__ import annotations

import asyncio

import pytest

from tests.cluster.platform.installed import Platform
from tests.cluster.platform.routers import agreed, deployed, each_answers, everywhere, gone, told
from tests.cluster.shared.caller import called_from_a_pod
from tests.cluster.shared.router_on_a_cluster import MARKS, Place, burst, in_a_namespace, stamp
from tests.cluster.shared.steady_load import steady

pytestmark = MARKS


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
            await everywhere(several, "exchange_connected", 1)  # for a moment after they lost it they still have all samples
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

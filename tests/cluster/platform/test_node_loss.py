"""A node is lost with a pod of a function on it: the router goes round the pod after one timeout, and another takes its place.

The router knows of it after three timeouts, and Kubernetes 50 s after the node's last sign: then it gives up the pod that it has
counted until then, and the one that is too many goes.
"""

from __future__ import annotations

import asyncio
import json
import re

import httpx2
import pytest

from tests.cluster.platform.echo import Echo, echo, names, until
from tests.cluster.platform.installed import Platform
from tests.cluster.platform.lost_node import black_hole, closed, full, lost_node, running
from tests.cluster.shared.router_on_a_cluster import MARKS, Place, in_a_namespace, stamp
from tests.cluster.shared.steady_load import steady

pytestmark = MARKS

CONNECT = 2.0  # seconds that the router tries to connect, by default, and then that it leaves an endpoint alone
TRIALS = 6  # connections at most that are tried in the minute after that: one at a time, ever more rarely
SILENT = 5.0  # seconds from a node's last sign to its loss: half of the time between two


@pytest.mark.slow
@pytest.mark.timeout(850)
def test_the_pods_of_a_lost_node_are_avoided_after_one_timeout_and_replaced_within_a_minute(platform: Platform) -> None:
    async def scenario(place: Place) -> None:
        here = await echo(platform, place.namespace)
        first, *_ = await here.listed("pods")
        real = first["spec"]["nodeName"]
        alive = stamp()
        async with lost_node() as lost, steady(platform.url("/fn/echo")) as load:
            async with closed(real):
                await here.kubectl("delete", "pod", first["metadata"]["name"], "--wait=false")
                await until(lambda: bound(here, lost), 180)
            [pod] = await on(here, lost)
            await full(lost)
            await asyncio.sleep(max(0.0, alive + SILENT - stamp()))
            before = await failures(platform)
            with black_hole() as address:
                status = json.dumps({"status": running(address)})
                await here.kubectl("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", status)
                began = stamp()
                await until(lambda: more(platform, before), 60)
                await asyncio.sleep(CONNECT + 1)  # all that had begun to connect before the first timeout has come to its own
                at_once = await failures(platform) - before
                await until(lambda: replaced(here, real), 180)
                taken = stamp() - began
                await until(lambda: settled(here, lost), 180)
                later = await failures(platform) - before - at_once
            print(f"{at_once} connections timed out at once, {later} later; replaced {taken:.1f} s after the node was lost")
            print(f"as many as before after {stamp() - began:.1f} s")
        print(f"{dict(load.codes)}, {len(load.pods)} pods answered; {load.wrong[:3]}")
        assert set(load.codes) == {200}
        assert at_once and later <= TRIALS
        assert taken < 60
        await here.gone()

    in_a_namespace(scenario, 600)


async def on(here: Echo, node: str) -> list[str]:
    """The function's pods that are bound to a node and do not go."""
    return names([each for each in await here.listed("pods") if each["spec"].get("nodeName") == node])


async def bound(here: Echo, node: str) -> bool:
    return bool(await on(here, node))


async def replaced(here: Echo, node: str) -> bool:
    """All replicas are ready on the node that there is."""
    pods = [each for each in await here.listed("pods") if each["spec"].get("nodeName") == node]
    conditions = [each for pod in pods for each in pod["status"].get("conditions", ())]
    return sum(each["type"] == "Ready" and each["status"] == "True" for each in conditions) == here.replicas


async def settled(here: Echo, lost: str) -> bool:
    """Kubernetes has given up what was on the node, and there are as many pods as before."""
    [deployment] = await here.listed("deployments")
    pods = await here.listed("pods")
    return deployment["spec"]["replicas"] == len(pods) == here.replicas and not await on(here, lost)


async def failures(platform: Platform) -> int:
    """Connections to the function's pods that the router could not open."""
    [router] = await asyncio.to_thread(platform.pods, "router")
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
        text = (await http.get(f"http://{router['status']['podIP']}:8081/metrics")).text
    lines = re.findall(r"^cloudbase_router_upstream_failures_total\{(.*)\} (\S+)$", text, re.MULTILINE)
    return sum(int(float(count)) for labels, count in lines if 'function="echo' in labels and 'failure="connect"' in labels)


async def more(platform: Platform, than: int) -> bool:
    return await failures(platform) > than

"""`helm upgrade` and `helm rollback` under load: the only router is replaced twice and no request fails."""

from __future__ import annotations

import asyncio

import pytest

from tests.cluster.platform.installed import Platform, cloudbase
from tests.cluster.platform.routers import gone
from tests.cluster.shared.router_on_a_cluster import MARKS, Place, in_a_namespace, reached, stamp
from tests.cluster.shared.steady_load import steady

pytestmark = MARKS


@pytest.mark.slow
def test_upgrade_and_rollback_replace_the_only_router_without_a_failed_request(platform: Platform) -> None:
    async def scenario(place: Place) -> None:
        await place.application("hello", replicas=2)
        await place.replicas("hello", 2)
        await asyncio.to_thread(cloudbase, "adopt", "hello", "--namespace", place.namespace)
        await place.label("hello", scale_min="2")
        url = platform.url("/fn/hello")
        assert (await reached(platform.address(), "/fn/hello")).status_code == 200
        before = await asyncio.to_thread(platform.pods, "router")
        async with steady(url) as load:
            for verb, arguments in (
                ("upgrade", [str(platform.chart), "--reset-then-reuse-values", "--set", "router.podAnnotations.again=yes"]),
                ("rollback", []),
            ):
                began = stamp()
                await asyncio.to_thread(platform.helm, verb, *arguments, "--wait", "--timeout", "300s")
                print(f"helm {verb}: {stamp() - began:.1f} s")
                await gone(platform, before)
                before = await asyncio.to_thread(platform.pods, "router")
        print(f"{dict(load.codes)}; {load.wrong[:3]}")
        assert set(load.codes) == {200}

    in_a_namespace(scenario)

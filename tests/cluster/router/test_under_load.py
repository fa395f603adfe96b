"""Requests that nobody may lose: around scale to zero, pods that are deleted or replaced, and an API server that is away."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from kube.resource import DEPLOYMENTS, PODS, SERVICES
from kube.watch import Scope
from tests.cluster.shared.pod_program import PROBE
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, on_cluster, reached, stamp
from tests.cluster.shared.steady_load import steady
from tests.shared.kube_world import compact_etcd
from tests.shared.waiting import until

pytestmark = MARKS

DRAIN = {"lifecycle": {"preStop": {"sleep": {"seconds": 2}}}}


async def control(verb: str) -> None:
    """Stop or start the API server, where the cluster's kit can do that; skips the test elsewhere."""
    program = shutil.which("cluster") or os.environ.get("CLUSTER_COMMAND", "")
    if not program:
        pytest.skip("no `cluster` command (CLUSTER_COMMAND): cannot stop this cluster's API server")
    process = await asyncio.create_subprocess_exec(program, verb, "kube-apiserver", stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0


async def compacted() -> bool:
    """What was seen before is forgotten, and watches that go on from it are answered 410; False where etcd is out of reach."""
    try:
        await compact_etcd()
    except pytest.skip.Exception:
        return False
    return True


@pytest.mark.slow
def test_arrivals_around_the_moment_of_scale_to_zero_are_all_answered(tmp_path: Path) -> None:
    """Each round aims a handful of arrivals within 200 ms around the write of zero, which the router's log shows."""

    async def scenario(place: Place) -> None:
        await place.application("hello")
        router = await place.router()
        await router.ready()
        windows = {"scale_stable_window": "2", "scale_panic_window": "1"}  # the peak of 80 at once is held for no longer
        await place.label("hello", scale_max="1", scale_idle_grace="1", readiness_probe=PROBE, **windows)
        assert (await reached(router.traffic, "/fn/hello")).status_code == 200
        codes: Counter[int] = Counter()
        downs = 0
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:

            async def one(delay: float) -> None:
                await asyncio.sleep(delay)
                try:
                    codes[(await http.get(f"http://{router.traffic}/fn/hello")).status_code] += 1
                except httpx2.TransportError:
                    codes[0] += 1

            await one(0)
            idle_since, wait, rounds = stamp(), 7.0, 0
            while rounds < 12 or (downs < 3 and rounds < 60):
                aimed = idle_since + wait
                await asyncio.gather(*(one(max(0.0, aimed - stamp() + random.uniform(-0.2, 0.2))) for _ in range(80)))
                rounds += 1
                downs = sum("1 -> 0 replicas" in line for line in router.lines)
                # The later, the longer it takes on this machine: all the others came too early.
                idle_since, wait = stamp(), 1.6 + random.random() * (1 + rounds / 12)
        print(
            f"{dict(codes)}; zero written {downs} times, cancelled {await router.metric('cloudbase_router_kube_cancelled_total')}"
        )
        assert set(codes) == {200}
        assert downs >= 3

    on_cluster(scenario, tmp_path)


@pytest.mark.slow
def test_pods_that_are_deleted_replaced_or_scaled_away_cost_no_request(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        await place.application("hello", replicas=2, **DRAIN)
        router = await place.router()
        await router.ready()
        await place.label("hello", scale_min="2", scale_max="4", readiness_probe=PROBE)
        await place.replicas("hello", 2)
        await reached(router.traffic, "/fn/hello")
        async with steady(f"http://{router.traffic}/fn/hello") as load:
            await asyncio.sleep(1)
            pods = await place.client.list(PODS, Scope(place.namespace, "app=hello"))
            await place.client.delete(PODS, pods[0].metadata.name, place.namespace)
            await asyncio.sleep(3)
            await place.replicas("hello", 2)
            restart = {"spec": {"template": {"metadata": {"annotations": {"restarted": "1"}}}}}
            await place.client.merge(DEPLOYMENTS, "hello", restart, place.namespace)
            await place.rolled_out("hello")
            await asyncio.sleep(3)  # those that were replaced end, their preStop sleep and all
            await place.label("hello", scale_min="4")
            await place.replicas("hello", 4)
            await place.label("hello", scale_min="1")
            await place.replicas("hello", 2)
            await place.client.merge(SERVICES, "hello", {"spec": {"selector": {"app": "nobody"}}}, place.namespace)
            await asyncio.sleep(1)
            await place.client.merge(SERVICES, "hello", {"spec": {"selector": {"app": "hello"}}}, place.namespace)
            await asyncio.sleep(2)
        print(f"{dict(load.codes)}, {len(load.pods)} pods answered; {load.wrong[:3]}")
        assert set(load.codes) == {200}
        assert len(load.pods) >= 6
        assert router.said("4 -> 2 replicas")

    on_cluster(scenario, tmp_path)


@pytest.mark.slow
def test_an_api_server_that_is_away_for_a_minute_costs_no_request_and_a_router_starts_from_its_snapshot(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        await place.application("hello")
        snapshot = str(tmp_path / "routes.json")
        router = await place.router("--kube-snapshot", snapshot)
        await router.ready()
        await place.label("hello", scale_min="1", readiness_probe=PROBE)
        await place.replicas("hello", 1)
        await until(lambda: Path(snapshot).exists() and "10." in Path(snapshot).read_text(), PATIENCE)
        async with (
            steady(f"http://{router.traffic}/fn/hello", 50) as load,
            httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http,
        ):
            await control("stop")
            try:
                began = stamp()
                second = await place.router("--kube-snapshot", snapshot)
                await second.ready()
                served = await http.get(f"http://{second.traffic}/fn/hello")
                unknown = await http.get(f"http://{second.traffic}/fn/nobody")
                detail = (await http.get(f"http://{second.admin}/readyz")).json()["detail"]
                print(f"the second router's detail: {detail}")
                assert served.status_code == 200
                assert unknown.status_code == 503 and "retry-after" in unknown.headers
                assert any("snapshot" in word for word in detail)
                forgotten = await compacted()
                await asyncio.sleep(max(0.0, 60 - (stamp() - began)))
                told = (await http.get(f"http://{router.admin}/readyz")).json()
                assert told["status"] == "ok" and any("nothing heard for" in word for word in told["detail"])
                assert await router.metric("cloudbase_router_kube_contact_age_seconds") > 3 * 20
            finally:
                await control("start")
            await place.application("other")
            await place.label("other", scale_min="1")
            async with asyncio.timeout(PATIENCE):
                while (await http.get(f"http://{router.traffic}/fn/other")).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                while (await http.get(f"http://{second.traffic}/fn/nobody")).status_code != 404:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            expired = await router.metric("cloudbase_router_kube_expired_total")
            print(f"the version that it had seen had expired for {expired:.0f} of 3 kinds (etcd compacted: {forgotten})")
            assert expired > 0 or not forgotten
        print(f"{dict(load.codes)}; {load.wrong[:3]}")
        assert set(load.codes) == {200}

    on_cluster(scenario, tmp_path)

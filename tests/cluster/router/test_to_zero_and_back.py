"""An ordinary Deployment and Service, labelled: answers, sleeps after the grace, and comes back with every request answered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import httpx2
import pytest

from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, burst, on_cluster, reached, stamp

pytestmark = MARKS


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2], ids=["one process", "two workers"])
def test_an_ordinary_deployment_sleeps_after_its_grace_and_a_burst_of_200_brings_it_back(tmp_path: Path, workers: int) -> None:
    async def scenario(place: Place) -> None:
        await place.application("hello")
        router = await place.router("--workers", str(workers))
        await router.ready()
        await place.replicas("hello", 1)
        await place.label("hello", scale_idle_grace="2")
        await reached(router.traffic, "/fn/hello/x")
        assert Counter(await burst(router.traffic, "/fn/hello/x", 20)) == {200: 20}

        began = stamp()
        await place.replicas("hello", 0)
        print(f"zero replicas wanted {stamp() - began:.1f} s after the last request; grace 2 s, 6 s of whole samples first")
        await place.asleep("hello")

        began = stamp()
        codes = Counter(await burst(router.traffic, "/fn/hello/x", 200))
        print(f"burst of 200 over a cold start: {dict(codes)} in {stamp() - began:.2f} s")
        assert codes == {200: 200}
        assert await router.metric("cloudbase_router_kube_wakes_total") == 1
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            assert (await http.get(f"http://{router.traffic}/fn/nobody")).status_code == 404

    on_cluster(scenario, tmp_path)

"""A real Prometheus scrapes the installed platform: every query of every panel and every alert has a number to say."""

from __future__ import annotations

import asyncio
import math
import re
from pathlib import Path

import httpx2
import pytest
import yaml

from tests.cluster.platform.deploying import deployer
from tests.cluster.platform.installed import Platform, cloudbase, kubectl
from tests.cluster.platform.prometheus import Prometheus, prometheus
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, burst, in_a_namespace, reached
from tests.cluster.shared.steady_load import steady

pytestmark = MARKS

# Series that are there only once something has gone wrong: docs/metrics.md says which.
ERRORS = re.compile(
    r"_unserved_total|_upstream_failures_total|_rejected_total|_other|5xx|_build_failures_total|_api_requests_total\{code"
)


@pytest.mark.slow
def test_every_panel_and_alert_has_data_on_the_running_platform(platform: Platform, tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        await place.application("hello", env={"WORK": "0.02"})
        await place.replicas("hello", 1)
        await asyncio.to_thread(cloudbase, "adopt", "hello", "-n", place.namespace, "--to-zero", "--drain", "1s")
        await asyncio.to_thread(
            kubectl, "-n", place.namespace, "annotate", "service", "hello", "cloudbase.dev/scale-idle-grace=1"
        )
        traffic = platform.address()
        await reached(traffic, "/fn/hello")
        async with prometheus(platform.pods(), tmp_path) as server:
            await burst(traffic, "/fn/hello", 2)
            await place.asleep("hello")
            await built(place, platform, server)
            async with steady(f"http://{traffic}/fn/hello", 20):  # a cold start, then ordinary work
                missing = await silent(platform, server)
        assert not missing, "\n".join(missing)

    in_a_namespace(scenario)


async def built(place: Place, platform: Platform, server: Prometheus) -> None:
    """A build of what was never built before, once Prometheus knows how many there were: only then does it see one more."""
    async with asyncio.timeout(PATIENCE):
        while not await server.ask("cloudbase_controller_build_wait_seconds_count"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)
    who = await asyncio.to_thread(deployer, platform, place.namespace)
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        text = f"def handler(request):\n    return {place.namespace!r}\n"
        await who.deploy(http, "built", {"main.py": text}, runtime="python")
    await asyncio.to_thread(who.ready, "built")
    await asyncio.to_thread(who.delete_all)


async def silent(platform: Platform, server: Prometheus, within: float = PATIENCE) -> list[str]:
    """The queries that have not said a number, after so many seconds at most."""
    left = [query for query in queries(platform) if not ERRORS.search(query)]
    try:
        async with asyncio.timeout(within):
            while left:
                left = [query for query in left if not await numbers(server, query)]
                await asyncio.sleep(0.5)
    except TimeoutError:
        pass  # whatever is left is the answer
    return left


async def numbers(server: Prometheus, query: str) -> bool:
    """Whether it says one: a quantile or a share of nothing is NaN."""
    return any(not math.isnan(float(each["value"][1])) for each in await server.ask(query))


def queries(platform: Platform) -> list[str]:
    """Of all panels as they are; of all alerts what they compare."""
    rules = yaml.safe_load((platform.chart / "metrics/alerts.yaml").read_text())
    sides = [side for group in rules["groups"] for rule in group["rules"] for side in re.split(" (?:>|==) ", str(rule["expr"]))]
    compared = [re.sub(r"^absent\((.*)\)$", r"\1", side) for side in sides if not re.fullmatch(r"[\d.]+", side)]
    return [query for page in platform.dashboards() for panel in page.panels for query, _ in panel.queries] + compared

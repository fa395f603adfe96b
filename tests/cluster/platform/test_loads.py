"""Every load scenario against the installed release: workers of helm/loadtest call."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from loadtest.scenarios.play import SCENARIOS
from tests.cluster.platform.deploying import Deployer, deployer
from tests.cluster.platform.installed import ROOT, Platform, build, chart, command, reachable
from tests.cluster.shared.router_on_a_cluster import MARKS, Place, in_a_namespace, stamp

pytestmark = MARKS

WORKERS = 2
MISSED = 1  # a threshold was: of times, which are shown and not judged here (a quiet machine is the place for that), or a failure


@cache
def image() -> str:
    """locust and nginx. Of another cluster: CLOUDBASE_TEST_LOADTEST was pushed before."""
    dockerfile = str(ROOT / "images/loadtest/Dockerfile")
    return os.environ.get("CLOUDBASE_TEST_LOADTEST") or build("cloudbase/loadtest:test", ROOT / "loadtest/scenarios", dockerfile)


def install(namespace: str) -> str:
    """Master and workers in this namespace; the web interface's URL."""
    repository, _, tag = image().rpartition(":")
    values = {"image": {"repository": repository, "tag": tag}, "workers": {"replicas": WORKERS}, "stopTimeout": 3}
    options = ("--namespace", namespace, "--wait", "--timeout", "300s", "--values", "-")
    command(chart.program(), "install", "loadtest", str(ROOT / "helm/loadtest"), *options, text=json.dumps(values))
    query = "jsonpath={.spec.clusterIP}"
    address = command("kubectl", "-n", namespace, "get", "service", "loadtest", "-o", query)
    url = f"http://{address}:8089"
    reachable(url)
    return url


def play(platform: Platform, namespace: str, who: Deployer, swarm: str, results: Path) -> dict[str, Any]:
    """All scenarios, short. Raises AssertionError with what was said unless all were played to their end."""
    parts = [
        sys.executable, "-m", "loadtest.scenarios", "--short", "--results", str(results),
        "--url", platform.url(""), "--namespace", namespace, "--nginx-image", image(),
        "--swarm", swarm, "--workers", str(WORKERS), "--", "--server", who.server, "--token", who.token,
    ]  # fmt: skip
    done = subprocess.run(parts, cwd=ROOT, capture_output=True, text=True, timeout=800, check=False)
    print(done.stdout)
    assert done.returncode in (0, MISSED), done.stdout + done.stderr
    return dict(json.loads((results / "outcomes.json").read_text()))


@pytest.mark.slow
def test_every_scenario_is_played_without_a_failure_by_workers_in_pods(platform: Platform, tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        began = stamp()
        who = await asyncio.to_thread(deployer, platform, place.namespace)
        swarm = await asyncio.to_thread(install, place.namespace)
        print(f"image and chart: {stamp() - began:.1f} s")
        found = await asyncio.to_thread(play, platform, place.namespace, who, swarm, tmp_path)
        print(f"whole: {stamp() - began:.1f} s")
        assert set(found) == set(SCENARIOS)
        assert {name: each["failures"] for name, each in found.items()} == dict.fromkeys(SCENARIOS, 0)
        for name in SCENARIOS:
            assert found[name]["requests"]
            assert (tmp_path / f"{name}_stats.csv").read_text().startswith("Type,Name,")
            assert "<html" in (tmp_path / f"{name}.html").read_text()

    in_a_namespace(scenario)

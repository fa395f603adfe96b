"""What somebody deletes comes back, and a steady load sees no error."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest

from tests.cluster.platform.builds_seen import executing, jobs, of_builds
from tests.cluster.platform.deploying import Deployer, deployer
from tests.cluster.platform.echo import SHORT, Echo, echo, names, until
from tests.cluster.platform.installed import Failed, Platform
from tests.cluster.platform.killing import Killer
from tests.cluster.shared.router_on_a_cluster import MARKS, Place, in_a_namespace, stamp
from tests.cluster.shared.steady_load import steady

pytestmark = MARKS

PROTECTED = "cloudbase.dev/unprotected=true"
DOCKERFILE = """
FROM python:3.13-slim
COPY program.py /program.py
RUN sleep 6
USER 65532:65532
CMD ["python3", "-u", "/program.py"]
"""


@pytest.mark.slow
def test_what_is_deleted_heals_and_a_steady_load_sees_no_error(platform: Platform) -> None:
    async def scenario(place: Place) -> None:
        here = await echo(platform, place.namespace)
        who = await asyncio.to_thread(deployer, platform, place.namespace)
        async with steady(platform.url("/fn/echo")) as load:
            print(f"build's Job, mid-build: ready {await build_job_deleted(who):.1f} s later")
            print(f"route's Service: {await deleted(here, 'service', 'echo'):.1f} s")
            print(f"backend's Service: {await deleted(here, 'service', 'echo-00001'):.1f} s")
            pods = await here.listed("pods -l cloudbase.dev/function=echo")
            await here.kubectl("delete", "pod", names(pods)[0], "--wait=false")
            await here.rolled_out("echo-00001")
            print(f"Deployment: {await deleted(here, 'deployment', 'echo-00001'):.1f} s")
            await here.rolled_out("echo-00001")
            print(f"router, told to end: {await replaced(platform, 'router'):.1f} s")
            await here.ready()
        print(f"{dict(load.codes)}, {len(load.pods)} pods answered; {load.wrong[:3]}")
        assert set(load.codes) == {200}
        print(f"the only router, killed: answers again {await killed(platform, here):.1f} s later")
        await here.kubectl("delete", "functions", "--all", "--timeout=300s")

    in_a_namespace(scenario)


async def build_job_deleted(who: Deployer) -> float:
    """Delete the Job of a build that is in its last step; seconds until its function is ready all the same."""
    files = {"program.py": (Path(__file__).parent / "program/program.py").read_text(), "Dockerfile": DOCKERFILE}
    async with httpx2.AsyncClient(trust_env=False, timeout=90) as http, jobs() as seen:
        await who.deploy(http, "slow", files, runtime="dockerfile", **SHORT)
        await until(executing)
        began = stamp()
        await of_builds("delete", "jobs", "--all", "--wait=false")
        await asyncio.to_thread(who.ready, "slow")
    assert len(seen) == 2, f"one build, begun anew once: {seen}"
    return stamp() - began


async def killed(platform: Platform, here: Echo) -> float:
    """Kill the only router; seconds until the function answers again."""
    killer = Killer(platform, here.namespace)
    await killer.prepare()
    began = stamp()
    await killer.kill("router", with_pod=True)
    await here.answers(platform)
    return stamp() - began


async def deleted(here: Echo, kind: str, name: str) -> float:
    """Delete an owned object as one who means it; seconds until there is another."""
    with pytest.raises(Failed, match="unprotected=true"):  # not by accident
        await here.kubectl("delete", kind, name)
    before = await here.uid(kind, name)
    await here.kubectl("annotate", kind, name, PROTECTED)
    began = stamp()
    await here.kubectl("delete", kind, name, "--wait=false")

    async def another() -> bool:
        return await here.uid(kind, name) not in ("", before)

    await until(another)
    return stamp() - began


async def replaced(platform: Platform, component: str) -> float:
    """Delete the pods of a part; seconds until others are ready in their place. Those that go have time to finish."""
    before = await asyncio.to_thread(platform.pods, component)
    began = stamp()
    await asyncio.to_thread(platform.kubectl, "delete", "pod", *names(before), "--wait=false")
    await asyncio.to_thread(platform.kubectl, "rollout", "status", f"deployment/{platform.release}-{component}", "--timeout=300s")
    taken = stamp() - began
    for name in names(before):
        await asyncio.to_thread(platform.kubectl, "wait", "--for=delete", f"pod/{name}", "--timeout=300s")
    return taken

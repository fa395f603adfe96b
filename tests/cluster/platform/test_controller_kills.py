"""The controller is killed ten times at random moments of its work: no update, no build and no request is lost."""

from __future__ import annotations

import asyncio
import io
import os
import random
import tarfile
from pathlib import Path

import httpx2
import pytest

from tests.cluster.platform.builds_seen import begun, jobs, nothing_left
from tests.cluster.platform.deploying import Deployer, deployer
from tests.cluster.platform.echo import SHORT, Echo, echo, until
from tests.cluster.platform.installed import Platform
from tests.cluster.platform.killing import Killer
from tests.cluster.shared.router_on_a_cluster import MARKS, Place, in_a_namespace, reached, stamp
from tests.cluster.shared.steady_load import steady

pytestmark = MARKS

KILLS = 10  # the last one while a large source is built
SIZE = 40 << 20  # bytes
DOCKERFILE = f"""
FROM python:3.13-slim
COPY . /srv
RUN test "$(stat -c %s /srv/noise)" = {SIZE} && sleep 8
USER 65532:65532
CMD ["python3", "-u", "/srv/program.py"]
"""


@pytest.mark.slow
def test_a_controller_killed_ten_times_loses_no_update_no_build_and_no_request(platform: Platform) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")

    async def scenario(place: Place) -> None:
        killer, who = Killer(platform, place.namespace), await asyncio.to_thread(deployer, platform, place.namespace)
        await killer.prepare()
        here = await echo(platform, place.namespace)
        async with steady(platform.url("/fn/echo")) as load:
            moments = random.Random(seed)
            midway = [await updated(here, killer, number, moments.uniform(0, 2.5)) for number in range(1, KILLS)]
            await large(platform, here, killer, who, moments.uniform(0, 8))
            await settled(here)
        print(f"{dict(load.codes)}, {len(load.pods)} pods answered; {load.wrong[:3]}")
        assert set(load.codes) == {200}
        assert any(midway), "no kill came in the middle of an update"
        await here.kubectl("delete", "functions", "--all", "--timeout=300s")

    in_a_namespace(scenario)


async def updated(here: Echo, killer: Killer, number: int, after: float) -> bool:
    """Update the function, kill the controller so many seconds later, and wait until the update has come through all the same."""
    with_pod = number % 2 == 0
    await here.apply(WORD=str(number))
    await asyncio.sleep(after)
    midway = (await here.condition()).get("status") != "True"
    began = stamp()
    await killer.kill("controller", with_pod)
    await here.ready()
    where = f"{after:.1f} s after an update{'' if midway else ' that was done'}"
    how = "its pod gone, too" if with_pod else "started again in its pod"
    print(f"kill {number}, {where}: {how}; ready {stamp() - began:.1f} s later")
    return midway


async def large(platform: Platform, here: Echo, killer: Killer, who: Deployer, after: float) -> None:
    """A source of 40 MiB, and the controller is killed while it is built: the Job goes on, and there is never another."""
    async with httpx2.AsyncClient(trust_env=False, timeout=90) as http, jobs() as seen:
        packed = await asyncio.to_thread(archive)
        began = stamp()
        await until(lambda: sent(http, who, packed))
        await until(begun)
        await asyncio.sleep(after)
        await killer.kill("controller", with_pod=True)
        await asyncio.to_thread(who.ready, "large")
        print(f"kill {KILLS}, {after:.1f} s after a build of 40 MiB began; ready {stamp() - began:.1f} s after it was sent")
        assert (await reached(platform.address(), "/fn/large")).status_code == 200
        await until(nothing_left)
    assert len(seen) == 1, f"one build, {len(seen)} Jobs: {seen}"


async def sent(http: httpx2.AsyncClient, who: Deployer, packed: bytes) -> bool:
    """False where no controller takes it yet, after the last kill."""
    try:
        return await who.send(http, "large", packed, runtime="dockerfile", **SHORT, scaling={"idleGrace": 60})
    except httpx2.TransportError:
        return False


def archive() -> bytes:
    """A program, its Dockerfile, and noise, which no compression makes smaller."""
    program = (Path(__file__).parent / "program/program.py").read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for name, content in (("program.py", program), ("Dockerfile", DOCKERFILE.encode()), ("noise", os.urandom(SIZE))):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


async def settled(here: Echo) -> None:
    """What the function is made of is one revision's, whatever was begun by controllers that are no more."""
    revision = (await here.document())["status"]["revision"]
    assert revision == (await here.document())["status"]["traffic"][0]["revision"]

    async def only() -> bool:
        own = "-l=cloudbase.dev/function=echo"
        deployments = called(await here.kubectl("get", "deployments", own, "-o", "name"))
        services = called(await here.kubectl("get", "services", own, "-o", "name"))
        return deployments == {revision} and services == {"echo", revision}

    await until(only)


def called(text: str) -> set[str]:
    return {line.partition("/")[2] for line in text.split()}

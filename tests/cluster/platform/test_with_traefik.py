"""Traefik before several routers by the chart's Ingress: all passes, and a router that is killed takes only its own with it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.cluster.platform.installed import Platform
from tests.cluster.platform.routers import deployed, each_answers
from tests.cluster.platform.traefik import traefik
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, in_a_namespace, stamp
from tests.cluster.shared.steady_load import steady
from tests.shared.waiting import until

pytestmark = MARKS

Signs = AsyncGenerator[str, None]  # of life: by each, the address of the router by which the function was asked


async def websocket(url: str) -> Signs:
    async with connect(f"ws://{url}/socket", proxy=None, open_timeout=60) as connection:
        while True:
            await connection.send("still there?")
            answer = json.loads(await connection.recv())
            assert answer["said"] == "still there?"
            yield answer["client"]
            await asyncio.sleep(0.1)


async def events(url: str) -> Signs:
    async with (
        httpx2.AsyncClient(trust_env=False, timeout=60) as http,
        http.stream("GET", f"http://{url}/events") as answer,
    ):
        assert answer.headers["content-type"] == "text/event-stream"
        async for line in answer.aiter_lines():
            if line:
                yield line.removeprefix("data: ")


@dataclass
class Stream:
    """One that is followed until it ends."""

    kind: str
    router: str = ""
    seen: int = 0  # signs of life
    over: bool = False

    async def follow(self, signs: Signs) -> None:
        try:
            async with aclosing(signs):
                async for router in signs:
                    self.router = router
                    self.seen += 1
        except (ConnectionClosed, httpx2.TransportError):
            pass  # its router has ended
        finally:
            self.over = True


@dataclass
class Streams:
    """All that are open to a function through Traefik."""

    url: str  # without its scheme
    all: list[Stream] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def opened(self, kind: Callable[[str], Signs]) -> Stream:
        """Another one, once it shows a sign of life."""
        stream = Stream(kind.__name__)
        self.all.append(stream)
        self.tasks.append(asyncio.create_task(stream.follow(kind(self.url))))
        await until(lambda: stream.seen > 0 or stream.over, PATIENCE)
        assert stream.seen, f"a {stream.kind} ended before it said anything"
        return stream

    async def on_each(self, routers: set[str]) -> None:
        """Until each router has one of each kind."""
        for kind in (websocket, events):
            missing = set(routers)
            while missing:
                missing.discard((await self.opened(kind)).router)


@asynccontextmanager
async def streams(url: str) -> AsyncIterator[Streams]:
    found = Streams(url)
    try:
        yield found
    finally:
        for task in found.tasks:
            task.cancel()
        outcomes = await asyncio.gather(*found.tasks, return_exceptions=True)
    wrong = [each for each in outcomes if each is not None and not isinstance(each, asyncio.CancelledError)]
    assert not wrong


@pytest.mark.slow
def test_requests_websockets_and_events_pass_and_a_killed_router_takes_only_its_own_with_it(
    several: Platform, tmp_path: Path
) -> None:
    async def scenario(place: Place) -> None:
        name = await deployed(place, several, scaling={"min": 1})
        await each_answers(several, several.address(), name)
        pods = {pod["status"]["podIP"]: pod for pod in await asyncio.to_thread(several.pods, "router")}
        async with traefik(tmp_path, f"/fn/{name}") as front, streams(f"{front}/fn/{name}") as open_ones:
            async with steady(f"http://{front}/fn/{name}", 100) as load:
                await open_ones.on_each(set(pods))
                await until(lambda: load.codes[200] > 300, PATIENCE)
                victim = max(pods)
                its = [each for each in open_ones.all if each.router == victim]
                others = [(each, each.seen) for each in open_ones.all if each.router != victim]
                began = stamp()
                await asyncio.to_thread(kill, several, pods[victim])
                await until(lambda: all(each.over for each in its), PATIENCE)
                dead = stamp()
                print(f"{len(its)} streams by the killed router are over {dead - began:.1f} s later, {len(others)} others go on")
                await open_ones.opened(websocket)  # by another one, or on a slow machine by the one that takes its place
                await replaced(several, pods[victim])
                print(f"another one is ready {stamp() - began:.1f} s later")
                await until(lambda: all(each.seen > before + 3 for each, before in others), PATIENCE)
                assert not any(each.over for each, _ in others)
            print(f"{dict(load.codes)}; {load.wrong[:3]}")
            # In flight in the router that died: what began before its streams broke. What does not reach it goes to another.
            assert all(each < dead for each in load.failed) and len(load.failed) < sum(load.codes.values()) / 10, load.wrong

    in_a_namespace(scenario)


async def replaced(platform: Platform, pod: dict[str, Any], within: float = PATIENCE) -> None:
    """Wait until all routers are ready, and this container is none of them."""
    old = container(pod)["containerID"]
    async with asyncio.timeout(within):
        while True:
            found = [container(each) for each in await asyncio.to_thread(platform.pods, "router")]
            if all(each.get("ready") and each.get("containerID") != old for each in found):
                return
            await asyncio.sleep(0.2)


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod["status"].get("containerStatuses") or [{}]
    return dict(found)


def kill(platform: Platform, pod: dict[str, Any]) -> None:
    """As a kernel short of memory does, where the node's processes are in sight; by the API server else."""
    uid = pod["metadata"]["uid"]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            group, program = (process / "cgroup").read_text(), (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended
        if (uid in group or uid.replace("-", "_") in group) and b"router\0--kube" in program:
            return os.kill(int(process.name), signal.SIGKILL)
    platform.kubectl("delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0")
    return None

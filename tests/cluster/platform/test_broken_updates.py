"""Updates, broken updates and rollbacks while requests come: none fails, and what cannot work never takes any."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.cluster.platform.deploying import Deployer, deployer
from tests.cluster.platform.echo import SHORT, Echo, until
from tests.cluster.platform.installed import Platform, cloudbase
from tests.cluster.shared.router_on_a_cluster import MARKS, Place, in_a_namespace, stamp
from tests.cluster.shared.steady_load import Load, steady

pytestmark = MARKS

SETTINGS = {"runtime": "python", **SHORT, "scaling": {"min": 1}}
HANDLER = """
import json, os
WORD = {word!r}
{more}
def handler(request):
    return json.dumps({{"pod": os.environ["HOSTNAME"], "word": WORD, "revision": os.environ["CLOUDBASE_REVISION"]}})
"""
CRASH = 'print("cannot reach the database at db:5432", flush=True)\nos._exit(3)'
MUTE = {"MUTE": "waiting for the cache at cache:6379"}  # says so and never listens
DEAF = {"HOST": "127.0.0.1"}  # listens where no probe comes


@pytest.mark.slow
def test_under_load_updates_broken_updates_and_rollbacks_fail_no_request(platform: Platform) -> None:
    async def scenario(place: Place) -> None:
        who = await asyncio.to_thread(deployer, platform, place.namespace)
        image = await asyncio.to_thread(platform.echo)
        mute, deaf = (Echo(place.namespace, image, name, replicas=1) for name in ("mute", "deaf"))
        hello = Echo(place.namespace, image, "hello", replicas=1)
        async with httpx2.AsyncClient(trust_env=False, timeout=90) as http:

            async def deploy(word: str, more: str = "") -> None:
                await who.deploy(http, "hello", {"main.py": HANDLER.format(word=word, more=more)}, **SETTINGS)

            async def word() -> str:
                return str((await http.get(platform.url("/fn/hello"))).json()["word"])

            await deploy("one")
            await asyncio.gather(mute.apply(), deaf.apply())
            await asyncio.to_thread(who.ready, "hello", "mute", "deaf")
            for each in (hello, mute, deaf):
                await each.answers(platform)
            async with (
                steady(platform.url("/fn/hello")) as load,
                steady(platform.url("/fn/mute"), 10) as to_mute,
                steady(platform.url("/fn/deaf"), 10) as to_deaf,
            ):
                await asyncio.gather(mute.apply(**MUTE), deaf.apply(**DEAF))
                began = stamp()
                await deploy("two")
                await until(lambda: _is(word, "two"))
                print(f"an update of the source has the traffic after {stamp() - began:.1f} s")
                await asyncio.to_thread(who.ready, "hello")
                await crash(hello, lambda: deploy("three", CRASH))
                await rollbacks(hello, who, http, load)
                await unready(mute, MUTE["MUTE"])
                await unready(deaf, "listening on 127.0.0.1:8080")
        for each, name in ((load, "hello"), (to_mute, "mute"), (to_deaf, "deaf")):
            print(f"{name}: {dict(each.codes)}, {len(each.pods)} pods answered; {each.wrong[:3]}")
        assert [set(each.codes) for each in (load, to_mute, to_deaf)] == [{200}] * 3
        answered = {pod.rpartition("-")[0].rpartition("-")[0] for each in (load, to_mute, to_deaf) for pod in each.pods}
        assert answered == {"hello-00001", "hello-00002", "mute-00001", "deaf-00001"}
        await asyncio.to_thread(cloudbase, "delete", "hello", "--yes", "--timeout", "300", *who.there)
        await hello.kubectl("delete", "functions", "--all", "--timeout=300s")

    in_a_namespace(scenario)


async def _is(word: Callable[[], Any], expected: str) -> bool:
    return bool(await word() == expected)


async def crash(hello: Echo, update: Callable[[], Any]) -> None:
    """An update that ends as it starts."""
    before = (await hello.document())["status"]["traffic"]
    await update()
    message = await failed(hello, "CrashLoop")
    print(f"CrashLoop: {message}")
    assert "exited with status 3: cannot reach the database at db:5432" in message
    assert (await hello.document())["status"]["traffic"] == before


async def rollbacks(hello: Echo, who: Deployer, http: httpx2.AsyncClient, load: Load) -> None:
    """To a revision that sleeps, by one cold start; and to one that has a ready pod, in no time."""
    began = stamp()
    await asyncio.to_thread(cloudbase, "rollback", "hello", *who.there)  # waits until it has the traffic
    assert await has(hello, "hello-00001")
    print(f"rollback by one cold start: {stamp() - began:.1f} s")
    shares = [{"revision": f"hello-0000{number}", "percent": 50} for number in (1, 2)]
    await hello.kubectl("patch", "function", "hello", "--type=merge", "-p", json.dumps({"spec": {"traffic": shares}}))
    await until(lambda: has(hello, "hello-00001", "hello-00002"))
    began = stamp()
    await who.rollback(http, "hello")
    await until(lambda: has(hello, "hello-00001"))
    await until(lambda: only(hello, "hello-00001"))  # nobody is left who could answer
    last = max(moment for pod, moment in load.last.items() if pod.startswith("hello-00002-"))
    print(f"rollback to a revision with a ready pod: {last - began:.2f} s until the last request that the other one got")
    assert last - began < 2


async def has(hello: Echo, *revisions: str) -> bool:
    """These have the traffic, and what was asked for last is Ready."""
    shares = (await hello.document())["status"]["traffic"]
    return {each["revision"] for each in shares} == {*revisions} and (await hello.condition()).get("status") == "True"


async def only(hello: Echo, revision: str) -> bool:
    """No pod of another revision is there, not even one that goes."""
    pods = await hello.kubectl("get", "pods", "-l", f"cloudbase.dev/function={hello.name}", "-o", "name")
    return all(each.startswith(f"pod/{revision}-") for each in pods.split())


async def failed(function: Echo, reason: str) -> str:
    """The message, once it is not Ready for this reason."""
    seen: dict[str, Any] = {}

    async def told() -> bool:
        seen.update(await function.condition())
        return (seen.get("status"), seen.get("reason")) == ("False", reason)

    await until(told)
    return str(seen["message"])


async def unready(function: Echo, words: str) -> None:
    """What it was updated to runs unready: its status says so with the last words, and the old revision keeps the traffic."""
    message = await failed(function, "NotReady")
    print(f"{function.name}: {message}")
    assert f"{function.name}-00002 is not ready after 60 s" in message and words in message
    assert (await function.document())["status"]["traffic"] == [{"revision": f"{function.name}-00001", "percent": 100}]

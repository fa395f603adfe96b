"""Cold starts on a cluster: adopted by the command, compared with the bare Deployment, and nothing sent before it is ready."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
from pathlib import Path
from typing import Any

import httpx2
import pytest

from kube.errors import NotFound
from kube.resource import DEPLOYMENTS, ENDPOINT_SLICES, SERVICES
from kube.watch import Scope
from router.kube.model import Probe
from router.kube.probing import passes
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, Router, cloudbase, on_cluster, reached, stamp
from tests.shared.waiting import until

pytestmark = MARKS

ROUNDS = 10
TRIALS = 4  # of so many rounds each, until one shows what is asserted: what else a machine does disturbs all of them
MORE = 0.150  # seconds that the router may add
SUMMED = 0.005  # seconds by which the parts of a cold start may miss the whole
PARTS = re.compile(r"(\w+);dur=([0-9.]+)")


async def bare(place: Place) -> float:
    """Seconds from the scale-up of a Deployment to the first probe that its pod answers, asked every 25 ms."""
    await place.asleep("hello")
    began = stamp()
    await place.client.scale_to(DEPLOYMENTS, "hello", place.namespace, 1)
    host = ""
    while not host:
        for one in await place.client.list(ENDPOINT_SLICES, Scope(place.namespace, "kubernetes.io/service-name=hello")):
            for each in one.endpoints or ():
                host = "" if each.conditions.terminating else each.addresses[0]
        await asyncio.sleep(0.01)
    while not await passes(Probe("http", 8080, "/ready"), host, 8080):  # noqa: ASYNC110 - a pod
        await asyncio.sleep(0.025)
    taken = stamp() - began
    await place.client.scale_to(DEPLOYMENTS, "hello", place.namespace, 0)
    return taken


async def through(place: Place, traffic: str) -> tuple[float, dict[str, float]]:
    """Seconds of a first request to a sleeping function, and what the router says that it was made of, in ms."""
    await place.asleep("hello")
    began = stamp()
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        answer = await http.get(f"http://{traffic}/fn/hello")
        taken = stamp() - began
        warm = await http.get(f"http://{traffic}/fn/hello")
    assert answer.status_code == warm.status_code == 200
    return taken, {name: float(value) for name, value in PARTS.findall(answer.headers["server-timing"])}


async def compared(place: Place, router: Router) -> tuple[float, float]:
    """In seconds, of as many rounds of both: p50 of what the router adds, and by how much its parts miss the whole."""
    bares, routed, wholes = [], [], []
    before = len(logged(router))
    for _ in range(ROUNDS):
        taken, parts = await through(place, router.traffic)
        routed.append(taken)
        wholes.append(parts)
        await routing(place, None)
        await place.client.scale_to(DEPLOYMENTS, "hello", place.namespace, 0)
        bares.append(await bare(place))
        await routing(place, "hello")
    await until(lambda: len(logged(router)) == before + 2 * ROUNDS, PATIENCE)  # lines are written by and by
    for name in wholes[0]:
        print(f"{name:10} p50 {statistics.median(parts[name] for parts in wholes):7.1f} ms")
    more = statistics.median(routed) - statistics.median(bares)
    print(f"p50 bare {statistics.median(bares):.3f} s, routed {statistics.median(routed):.3f} s: {more * 1000:+.0f} ms")
    assert all(set(parts) == {"wake", "schedule", "start", "connect"} for parts in wholes)
    sums = [sum(parts.values()) / 1000 for parts in wholes]
    # What the client measures has its own connection and the answer on top; the router's own clock from the request to the
    # end of the answer has the program's time, which is that of a warm call.
    assert all(taken >= total for taken, total in zip(routed, sums, strict=True))
    seconds = logged(router)[before:]
    over = [whole - total - warm for whole, warm, total in zip(seconds[::2], seconds[1::2], sums, strict=True)]
    print("whole beyond the sum of its parts, ms: " + " ".join(f"{each * 1000:+.2f}" for each in sorted(over)))
    return more, abs(statistics.median(over))


def logged(router: Router) -> list[float]:
    """Seconds of each request, as the access log has them."""
    return [json.loads(line)["seconds"] for line in router.lines if line.startswith("{") and '"seconds"' in line]


async def routing(place: Place, name: str | None) -> None:
    """Whether the Service is a route."""
    await place.client.merge(SERVICES, "hello", {"metadata": {"labels": {"cloudbase.dev/route": name}}}, place.namespace)


@pytest.mark.slow
def test_a_cold_start_through_the_router_costs_at_most_150_ms_more_than_the_bare_deployment(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        await place.application("hello")
        await place.replicas("hello", 1)
        shown = await cloudbase(place, "adopt", "hello", "--to-zero", "--dry-run")
        assert "not changed" in shown
        assert not (await place.client.get(SERVICES, "hello", place.namespace)).metadata.labels
        print(await cloudbase(place, "adopt", "hello", "--to-zero"))
        await place.client.merge(
            SERVICES, "hello", {"metadata": {"annotations": {"cloudbase.dev/scale-idle-grace": "1"}}}, place.namespace
        )
        router = await place.router("--access-log", "1")
        await router.ready()
        for _ in range(TRIALS):
            more, missed = await compared(place, router)
            if more <= MORE and missed <= SUMMED:
                break
        assert more <= MORE and missed <= SUMMED
        print(await cloudbase(place, "adopt", "hello", "--undo"))
        found = (await place.client.get(SERVICES, "hello", place.namespace)).metadata
        assert not any(
            "cloudbase.dev" in key for key in (*(found.labels or {}), *(found.annotations or {})) if "idle-grace" not in key
        )
        await place.replicas("hello", 1)

    on_cluster(scenario, tmp_path)


@pytest.mark.slow
def test_a_program_that_listens_at_once_and_is_ready_after_3_s_gets_no_request_before(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        seldom = {"httpGet": {"path": "/ready", "port": "web"}, "periodSeconds": 60}  # or the kubelet may be the first to know
        await place.application("slow", replicas=0, env={"READY_AFTER": "3"}, readinessProbe=seldom)
        await place.label("slow", scale_idle_grace="30", readiness_probe='{"httpGet": {"path": "/ready", "port": 8080}}')
        router = await place.router()
        await router.ready()
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            answers = await asyncio.gather(*(http.get(f"http://{router.traffic}/fn/slow") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["early"] for answer in answers} == {0}
        print(answers[0].headers["server-timing"])
        assert await router.metric("cloudbase_router_kube_probes_passed_total") == 1

    on_cluster(scenario, tmp_path)


# name: labels' and annotations' part, spec, words of the Event; as a real API server admits them
WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "bad": (
        {"annotations": {"cloudbase.dev/timeout": "soon", "cloudbase.dev/deployment": "no"}},
        {},
        "timeout: must be a number",
    ),
    "named": ({"labels": {"cloudbase.dev/route": "Shop_1"}}, {}, "'Shop_1' is no DNS label"),
    "external": ({}, {"type": "ExternalName", "externalName": "a.example"}, "is an ExternalName (a.example)"),
    "several": ({}, {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}, "say in the annotation"),
    "alone": ({}, {"selector": None}, "nobody gives it addresses"),
    "lonely": ({"annotations": {"cloudbase.dev/backends": '[{"service": "nobody"}]'}}, {}, "there is no such Service"),
    "caught": ({"annotations": {"cloudbase.dev/intercept": "true"}}, {"clusterIP": "None"}, "is headless"),
}


def test_what_is_wrong_with_a_service_is_an_event_on_it(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        router = await place.router()
        await router.ready()
        for name, (meta, spec, _) in WRONG.items():
            whole = {"name": name, "labels": {"cloudbase.dev/route": name}, **meta}
            usual = {"selector": {"a": "b"}, "ports": [{"port": 80}]}
            given = {key: value for key, value in {**usual, **spec}.items() if value is not None}
            await place.client.create(SERVICES, {"metadata": whole, "spec": given}, place.namespace)
        asking = asyncio.create_task(reached(router.traffic, "/fn/bad"))  # waits for a replica of a Deployment that is not there
        wanted = [(name, words) for name, (_, _, words) in WRONG.items()] + [("bad", "cannot be scaled")]
        async with asyncio.timeout(PATIENCE):
            notes: dict[str, str] = {}
            while not all(words in notes.get(name, "") for name, words in wanted):
                notes = {name: "\n".join([str(each.get("note")) for each in await events_about(place, name)]) for name in WRONG}
                await asyncio.sleep(0.2)
        assert not asking.done() or asking.result().status_code == 504
        asking.cancel()
        print("\n".join(notes.values()))

    on_cluster(scenario, tmp_path)


async def events_about(place: Place, name: str) -> list[dict[str, object]]:
    from kube.resource import EVENTS

    try:
        pages = [page.items async for page in place.client.pages(EVENTS, Scope(place.namespace))]
    except NotFound:
        return []
    return [event for page in pages for event in page if event["regarding"]["name"] == name]

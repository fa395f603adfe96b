"""Updates, rollbacks and pins under load: no request is lost, and a revision that cannot work never takes traffic."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.cluster.shared.operator_on_a_cluster import FUNCTIONS, MARKS, Operated, get, operated
from tests.cluster.shared.router_on_a_cluster import reached
from tests.cluster.shared.steady_load import steady

pytestmark = MARKS


def test_updates_and_rollbacks_under_load_lose_no_request_and_a_broken_revision_gets_none(tmp_path: Path) -> None:
    async def scenario(o: Operated) -> None:
        await o.controller()
        router = await o.router()
        one, two = {"env": {"WORD": "one"}}, {"env": {"WORD": "two"}}
        always = {"scaling": {"min": 1}}
        await o.apply("hello", **one, **always)
        await o.wait("hello")

        async def answers(revision: str) -> bool:
            answer = await get(router.traffic, "/fn/hello/")
            return answer.status_code == 200 and bool(answer.json()["revision"] == revision)

        await o.eventually(lambda: answers("hello-00001"))
        async with steady(f"http://{router.traffic}/fn/hello/", 100) as load:
            await o.apply("hello", **two, **always)
            print(f"update: switched after {await o.eventually(lambda: answers('hello-00002')):.2f} s")
            await o.wait("hello")

            await o.apply("hello", env={"EXIT": "3"}, **always)
            broken = await o.wait("hello", "False", reason="CrashLoop")
            assert "exited with status 3: cannot reach the database at db:5432" in broken["message"]
            assert (await o.function("hello"))["status"]["revision"] == "hello-00002"

            back = [{"revision": "hello-00001", "percent": 100}]
            await o.apply("hello", **two, **always, traffic=back)
            print(f"rollback by one cold start: {await o.eventually(lambda: answers('hello-00001')):.2f} s")

            shared = [{"revision": "hello-00001", "percent": 50}, {"revision": "hello-00002", "percent": 50}]
            await o.apply("hello", **two, **always, traffic=shared)
            await o.eventually(lambda: answers("hello-00002"))
            await o.wait("hello")
            await o.apply("hello", **two, **always, traffic=back)
            began = time.monotonic()

            async def only_old() -> bool:
                traffic = (await o.function("hello"))["status"]["traffic"]
                return [each["revision"] for each in traffic] == ["hello-00001"] and await answers("hello-00001")

            await o.eventually(only_old)
            quick = time.monotonic() - began
            print(f"rollback to a revision with a ready pod: {quick:.2f} s")
            assert quick < 2
            await asyncio.sleep(7)  # what was replaced ends, its preStop sleep and all
        print(f"{load.codes.total()} requests: {dict(load.codes)}, {load.wrong[:3]}")
        assert set(load.codes) == {200}

    operated(scenario, tmp_path)


def test_kubectl_scale_pins_and_taking_the_pin_away_gives_control_back(tmp_path: Path) -> None:
    async def scenario(o: Operated) -> None:
        await o.controller()
        router = await o.router()
        await o.apply("hello", scaling={"idleGrace": 1})
        await o.wait("hello")
        await o.client.scale_to(FUNCTIONS, "hello", o.namespace, 2)
        await o.place.replicas("hello-00001", 2)
        await o.wait("hello")
        assert (await reached(router.traffic, "/fn/hello/")).status_code == 200
        await asyncio.sleep(12)  # beyond the grace and the samples: nobody resizes it
        deployment = await o.deployment("hello-00001")
        assert deployment is not None
        assert deployment["spec"]["replicas"] == 2
        scale = await o.client.scale(FUNCTIONS, "hello", o.namespace)
        assert (scale.spec.replicas, scale.status.replicas, scale.status.selector) == (2, 2, "cloudbase.dev/function=hello")
        await o.client.merge(FUNCTIONS, "hello", {"spec": {"replicas": None}}, o.namespace)
        await o.place.replicas("hello-00001", 0)
        assert (await get(router.traffic, "/fn/hello/")).status_code == 200

    operated(scenario, tmp_path)


def test_of_two_controllers_one_works_and_the_other_takes_over_when_it_is_killed(tmp_path: Path) -> None:
    async def scenario(o: Operated) -> None:
        first = await o.controller()
        second = await o.controller(leads=False)
        await o.apply("hello", scaling={"initial": 0})
        await o.wait("hello")
        assert await second.metric("cloudbase_controller_reconcile_total") == 0
        await first.stop(hard=True)
        began = time.monotonic()
        await o.apply("other", scaling={"initial": 0})
        await o.wait("other")
        print(f"taken over {time.monotonic() - began:.1f} s after kill -9; the lease lasts 15 s")
        third = await o.controller(leads=False)
        assert await second.stop() == 0
        began = time.monotonic()
        await third.leading()
        print(f"taken over {time.monotonic() - began:.1f} s after SIGTERM")

    operated(scenario, tmp_path)

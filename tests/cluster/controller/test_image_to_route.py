"""From `kubectl apply` of a Function to an answer at /fn/<name>, to zero and back, and away again without a trace."""

from __future__ import annotations

from pathlib import Path

from kube.resource import DEPLOYMENTS, SERVICES
from tests.cluster.shared.operator_on_a_cluster import FUNCTIONS, MARKS, REVISIONS, Operated, get, operated
from tests.cluster.shared.router_on_a_cluster import reached

pytestmark = MARKS


def test_an_image_becomes_a_function_that_sleeps_and_wakes_and_goes_without_a_trace(tmp_path: Path) -> None:
    async def scenario(o: Operated) -> None:
        await o.controller()
        router = await o.router()
        await o.apply("hello", scaling={"idleGrace": 1}, env={"WORD": "$(HOME) ü"})
        ready = await o.wait("hello")
        assert ready["reason"] == "Ready"
        answer = (await reached(router.traffic, "/fn/hello/x")).json()
        assert (answer["revision"], answer["env"]) == ("hello-00001", "$(HOME) ü")

        deployment = await o.deployment("hello-00001")
        assert deployment is not None
        pod = deployment["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert deployment["metadata"]["ownerReferences"][0]["kind"] == "Function"

        async def told() -> bool:
            """It may have gone to sleep meanwhile: somebody who calls keeps it awake."""
            assert (await get(router.traffic, "/fn/hello/x")).status_code == 200
            status = (await o.function("hello"))["status"]
            assert status["traffic"] == [{"revision": "hello-00001", "percent": 100}]
            return bool((status["replicas"], status["revision"]) == (1, "hello-00001"))

        await o.eventually(told)

        await o.place.replicas("hello-00001", 0)
        assert (await o.wait("hello"))["reason"] == "Ready"  # asleep is ready
        assert (await get(router.traffic, "/fn/hello/x")).status_code == 200

        await o.client.delete(FUNCTIONS, "hello", o.namespace)

        async def gone() -> bool:
            kinds = [(DEPLOYMENTS, "hello-00001"), (SERVICES, "hello-00001"), (SERVICES, "hello"), (REVISIONS, "hello-00001")]
            return [await o.there(kind, name) for kind, name in [*kinds, (FUNCTIONS, "hello")]] == [None] * 5

        print(f"gone after {await o.eventually(gone):.1f} s")

        async def unknown() -> bool:
            return (await get(router.traffic, "/fn/hello/x")).status_code == 404

        print(f"unknown to the router after {await o.eventually(unknown):.2f} s more")

    operated(scenario, tmp_path)

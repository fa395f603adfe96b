"""What the management API says of releases: rollback, a release after a build, a redeployment."""

from __future__ import annotations

import asyncio

from tests.integration.controller.api_world import HELLO, Api, problem, with_api


def test_an_older_revision_gets_the_traffic_back_and_gives_it_up_again() -> None:
    async def test(api: Api) -> None:
        await api.put()
        await api.events()
        await api.put(document={"spec": {"runtime": "node"}, "files": {"handler.js": "2"}})
        assert (await api.events())[-1]["status"] == "True"
        first, second = await shares(api)
        assert (first, second) == (("hello-00002", 100), ("hello-00001", 0))
        for body, share in (({}, 0), ({"revision": "newest"}, 100), ({"revision": "hello-00001"}, 0)):
            assert (await api.client.post("/functions/hello/rollback", json=body)).status_code == 202
            async with asyncio.timeout(60):
                while (await shares(api))[0] != ("hello-00002", share):  # noqa: ASYNC110 - the reconciler's turn
                    await asyncio.sleep(0.02)
        wrong = problem(await api.client.post("/functions/hello/rollback", json={"revision": "hello-00007"}), 422)
        assert "there are: hello-00001, hello-00002" in str(wrong["detail"])
        problem(await api.client.post("/functions/hello/rollback", json={"revisions": 1}), 422)
        problem(await api.client.post("/functions/hello/rollback", content=b"{"), 400)
        problem(await api.client.post("/functions/nobody/rollback"), 404)

    with_api(test, real=True)


async def shares(api: Api) -> list[tuple[str, int]]:
    items = (await api.client.get("/functions/hello/revisions")).json()["items"]
    return [(item["name"], item["percent"]) for item in items]


def test_a_manual_function_is_built_and_waits_until_it_is_released() -> None:
    async def test(api: Api) -> None:
        await api.put(document={**HELLO, "spec": {"runtime": "node", "deploy": "manual"}})
        last = (await api.events())[-1]
        assert (last["type"], last["status"], last["reason"]) == ("Ready", "Unknown", "Unreleased")
        assert (await api.client.get("/functions/hello/revisions")).json() == {"items": []}
        assert (await api.client.post("/functions/hello/deploy")).status_code == 202
        last = (await api.events())[-1]
        assert (last["type"], last["status"]) == ("Ready", "True")

    with_api(test, real=True)


def test_a_redeployment_starts_the_same_artifact_as_a_new_revision_and_the_next_update_keeps_it() -> None:
    async def test(api: Api) -> None:
        await api.put()
        await api.events()
        again = await api.client.post("/functions/hello/redeploy")
        assert (again.status_code, again.json()["generation"]) == (202, 2)
        assert (await api.events())[-1]["status"] == "True"
        items = (await api.client.get("/functions/hello/revisions")).json()["items"]
        assert [item["name"] for item in items] == ["hello-00002", "hello-00001"]
        assert items[0]["artifact"] == items[1]["artifact"] and len(api.builder.built) == 1
        assert (await api.put()).json()["generation"] == 2

    with_api(test, real=True)

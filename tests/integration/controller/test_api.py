"""The management API from a function's creation to its deletion: documents, sources, events and logs."""

from __future__ import annotations

import asyncio
import base64
import json

from controller.model import FunctionStatus
from controller.ports import BuildResult
from tests.integration.controller.api_world import Api, problem, tar, with_api


def test_a_function_is_created_followed_listed_and_deleted() -> None:
    async def test(api: Api) -> None:
        created = await api.put()
        assert (created.status_code, created.headers["location"]) == (201, "/api/v1/functions/hello")
        assert created.json()["reason"] == "Pending"
        events = await api.events()
        assert (events[-1]["type"], events[-1]["status"]) == ("Ready", "True")
        assert "building" in str(events)
        (item,) = (await api.client.get("/functions")).json()["items"]
        assert (item["name"], item["replicas"], item["ready"], item["reason"]) == ("hello", 1, True, "Ready")
        assert item["url"].endswith("/fn/hello")
        assert item["spec"]["idleTimeout"] == 300.0
        deleted = await api.client.delete("/functions/hello")
        assert (deleted.status_code, deleted.json()["deleting"]) == (202, True)
        gone = await api.client.get("/functions/hello/events", headers={"Accept": "text/event-stream"})
        assert gone.status_code == 404 or '"type":"Deleted"' in gone.text
        problem(await api.client.get("/functions/hello"), 404)
        assert api.deployer.observe("default", "hello") == []

    with_api(test, real=True)


def test_the_same_document_again_changes_nothing() -> None:
    async def test(api: Api) -> None:
        await api.put()
        await api.events()
        again = await api.put()
        assert (again.status_code, again.json()["generation"]) == (200, 1)
        assert len(await api.events()) >= 1
        assert api.builder.built == [api.store.list()[0].spec.source[-1]]

    with_api(test)


def test_an_update_without_files_keeps_the_source() -> None:
    async def test(api: Api) -> None:
        source = (await api.put()).json()["spec"]["source"]
        updated = await api.put(document={"spec": {"runtime": "node", "scaling": {"max": 3}}})
        assert updated.status_code == 200
        assert (updated.json()["generation"], updated.json()["spec"]["source"]) == (2, source)

    with_api(test)


def test_an_update_of_what_was_changed_meanwhile_is_refused() -> None:
    async def test(api: Api) -> None:
        await api.put()
        spec = {"runtime": "node", "scaling": {"max": 3}}
        assert (await api.put(document={"spec": spec, "generation": 1})).json()["generation"] == 2
        told = problem(await api.put(document={"spec": {"runtime": "node"}, "generation": 1}), 409)
        assert told["type"] == "urn:cloudbase:problem:overtaken"
        assert "it is of generation 2, not 1" in str(told["detail"])
        assert (await api.client.get("/functions/hello")).json()["spec"]["scaling"]["max"] == 3

    with_api(test)


def test_an_archive_and_the_same_files_are_the_same_source() -> None:
    async def test(api: Api) -> None:
        one = await api.put(document={"spec": {"runtime": "node"}, "files": {"a.js": "1", "b.bin": {"base64": "/wA="}}})
        other = await api.put_archive(tar({"./b.bin": base64.b64decode("/wA="), "a.js": b"1"}))
        assert (one.status_code, other.status_code) == (201, 200)
        assert other.json()["spec"]["source"] == one.json()["spec"]["source"]

    with_api(test)


def test_a_failed_build_ends_the_events_and_is_told_with_its_reason() -> None:
    async def test(api: Api) -> None:
        source = await api.sources.put({"handler.js": b"syntax error"})
        api.builder.results[source[-1]] = BuildResult(
            reason="SyntaxError", message="handler.js:1: unexpected identifier", log=("boom",)
        )
        await api.put(document={"spec": {"runtime": "node", "source": source}})
        events = await api.events()
        assert (events[-1]["type"], events[-1]["status"], events[-1]["reason"]) == ("Ready", "False", "SyntaxError")
        assert "boom" in [event["message"] for event in events]
        item = (await api.client.get("/functions/hello")).json()
        assert (item["ready"], item["reason"]) == (False, "SyntaxError")

    with_api(test)


def test_events_can_be_resumed_and_followed_to_the_deletion() -> None:
    async def test(api: Api) -> None:
        await api.put()
        events = await api.events()
        last = str(events[-2]["id"])
        assert [event["id"] for event in await api.events(headers={"Last-Event-ID": last})] == [events[-1]["id"]]
        followed = asyncio.create_task(api.events(query="?follow=1"))
        await asyncio.sleep(0.05)
        await api.client.delete("/functions/hello")
        assert (await followed)[-1]["type"] == "Deleted"

    with_api(test, real=True)


def test_events_are_a_json_list_without_an_event_stream() -> None:
    async def test(api: Api) -> None:
        await api.put()
        await api.events()
        items = (await api.client.get("/functions/hello/events")).json()["items"]
        assert items[-1]["type"] == "Ready"

    with_api(test)


def test_logs_come_as_text_and_as_events() -> None:
    async def test(api: Api) -> None:
        await api.put()
        text = await api.client.get("/functions/hello/logs?tail=2")
        assert (text.text, text.headers["content-type"]) == ("line 0\nline 1\n", "text/plain; charset=utf-8")
        async with api.client.stream(
            "GET", "/functions/hello/logs?tail=1&follow=1", headers={"Accept": "text/event-stream"}
        ) as answer:
            line = await anext(answer.aiter_lines())
        assert json.loads(line[6:])["line"] == "line 0"
        one = await api.client.get("/functions/hello/logs?tail=1&replica=hello-00001-1")
        assert one.text == "line 0\n"
        other = problem(await api.client.get("/functions/hello/logs?replica=another"), 404)
        assert other["type"] == "urn:cloudbase:problem:no-such-replica"
        assert other["detail"] == 'function "hello" has no replica "another": there is hello-00001-1'
        assert "tail must be" in str(problem(await api.client.get("/functions/hello/logs?tail=-1"), 400)["detail"])

    with_api(test, real=True)


def test_decisions_are_those_of_the_hook() -> None:
    async def test(api: Api) -> None:
        await api.put()
        answer = await api.client.get("/functions/hello/decisions")
        assert answer.json() == {"items": [{"replicas": 1, "reason": "one waits"}]}

    with_api(test)


def test_events_end_though_the_status_takes_its_time_to_be_stored() -> None:
    async def test(api: Api) -> None:
        stored = api.store.set_status

        async def slowly(project: str, name: str, status: FunctionStatus) -> None:
            await asyncio.sleep(0.02)
            await stored(project, name, status)

        api.store.set_status = slowly  # type: ignore[method-assign]
        await api.put()
        assert (await api.events())[-1]["status"] == "True"
        assert (await api.client.get("/functions/hello")).json()["ready"] is True

    with_api(test, real=True)

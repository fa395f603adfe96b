"""The management API over a real socket: uvicorn, the reconciler, and a world in memory behind it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import socket
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

import httpx2
import pytest
import uvicorn
from controller_world import WorldBuilder, WorldDeployer, WorldRoutes
from function_documents import BAD, GOOD_SPEC, Bad
from starlette.applications import Starlette

from controller.api import Token, create_app
from controller.archive import Limits
from controller.kube.admission.decide import validated
from controller.kube.admission.model import Kind
from controller.kube.admission.model import Request as AdmissionRequest
from controller.memory import MemoryFunctionStore, MemorySourceStore
from controller.model import FunctionStatus
from controller.ports import BuildResult
from controller.reconcile import Reconciler

TOKEN = "secret-token"
HELLO = {"spec": {"runtime": "node"}, "files": {"handler.js": "module.exports = (req, res) => res.end('hi')"}}
FILES = {"a.js": ""}
BAD_FILES = {"a": 1, "b": {"base64": "*"}, "c": {"base32": ""}}
LIMITS = Limits(archive_bytes=100_000, total_bytes=1_000_000)


@dataclass
class Api:
    client: httpx2.AsyncClient
    port: int
    store: MemoryFunctionStore
    sources: MemorySourceStore
    builder: WorldBuilder
    deployer: WorldDeployer

    async def put(self, name: str = "hello", document: object = HELLO, **more: object) -> httpx2.Response:
        return await self.client.put(f"/functions/{name}", json=document, **more)  # type: ignore[arg-type]

    async def put_archive(self, archive: bytes, name: str = "hello", spec: object = HELLO["spec"]) -> httpx2.Response:
        headers = {"Content-Type": "application/gzip", "Cloudbase-Spec": quote(json.dumps(spec))}
        return await self.client.put(f"/functions/{name}", content=archive, headers=headers)

    async def events(
        self, name: str = "hello", query: str = "", headers: dict[str, str] | None = None
    ) -> list[dict[str, object]]:
        headers = {"Accept": "text/event-stream", **(headers or {})}
        answer = await self.client.get(f"/functions/hello/events{query}", headers=headers)
        assert answer.status_code == 200
        return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


@contextlib.asynccontextmanager
async def serving(real: bool) -> AsyncIterator[Api]:
    store, sources = MemoryFunctionStore(), MemorySourceStore(LIMITS)
    builder, deployer = WorldBuilder(), WorldDeployer()
    reconciler = Reconciler(store, builder, deployer, WorldRoutes(), sources)
    decisions = [{"replicas": 1, "reason": "one waits"}]
    app = create_app(store, sources, reconciler, deployer, Token(TOKEN), limits=LIMITS, decisions=lambda project, name: decisions)
    reconciling = asyncio.create_task(reconciler.run())
    async with listening(app) if real else without_socket(app) as (port, transport):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        base = f"http://127.0.0.1:{port}/api/v1"
        async with httpx2.AsyncClient(base_url=base, headers=headers, trust_env=False, transport=transport) as client:
            yield Api(client, port, store, sources, builder, deployer)
    reconciling.cancel()
    await asyncio.wait([reconciling])


@contextlib.asynccontextmanager
async def listening(app: Starlette) -> AsyncIterator[tuple[int, None]]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        yield listener.getsockname()[1], None
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def without_socket(app: Starlette) -> AsyncIterator[tuple[int, httpx2.ASGITransport]]:
    yield 8081, httpx2.ASGITransport(app)


def with_api(test: Callable[[Api], Awaitable[None]], real: bool = False) -> None:
    """Run a test against the API; `real`: through a socket, which streams and broken requests need."""

    async def main() -> None:
        async with asyncio.timeout(100), serving(real) as api:
            await test(api)

    asyncio.run(main())


def tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def problem(answer: httpx2.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert document["status"] == status
    assert document["title"]
    return document


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
        other = await api.client.get("/functions/hello/logs?replica=another")
        assert other.text == ""
        assert "tail must be" in str(problem(await api.client.get("/functions/hello/logs?tail=-1"), 400)["detail"])

    with_api(test, real=True)


def test_decisions_are_those_of_the_hook() -> None:
    async def test(api: Api) -> None:
        await api.put()
        answer = await api.client.get("/functions/hello/decisions")
        assert answer.json() == {"items": [{"replicas": 1, "reason": "one waits"}]}

    with_api(test)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:80"}, 403),
        ({"Host": "127.0.0.1@evil.example"}, 403),
        ({"Host": "localhost:x"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Host": "LOCALHOST:1", "Origin": "http://localhost:1"}, 200),
        ({"Host": "[::1]:8081"}, 200),
        ({"Authorization": f"bearer {TOKEN}"}, 200),
    ],
)
def test_only_who_has_the_token_and_is_from_here_gets_in(headers: dict[str, str], status: int) -> None:
    async def test(api: Api) -> None:
        answer = await api.client.get("/functions", headers=headers)
        if status == 200:
            assert answer.status_code == 200
            return
        assert problem(answer, status)["detail"]
        assert ("www-authenticate" in answer.headers) == (status == 401)

    with_api(test)


def test_every_wrong_address_and_method_is_a_problem() -> None:
    async def test(api: Api) -> None:
        assert "nothing at" in str(problem(await api.client.get("/nowhere"), 404)["detail"])
        for path in ("", "/logs", "/events", "/decisions"):
            assert problem(await api.client.get(f"/functions/none{path}"), 404)["detail"] == 'there is no function "none"'
        assert problem(await api.client.delete("/functions/none"), 404)
        refused = await api.client.post("/functions/hello", json=HELLO)
        assert problem(refused, 405)
        assert set(refused.headers["allow"].replace(" ", "").split(",")) == {"GET", "HEAD", "PUT", "DELETE"}

    with_api(test)


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({"spec": {"runtime": "ruby"}, "files": FILES}, ["runtime"]),
        ({"spec": {"runtime": "node", "scalling": {}}, "files": FILES}, ["scalling"]),
        (
            {"spec": {"runtime": "node", "scaling": {"min": 11}, "timeout": -1}, "files": FILES},
            ["scaling.min", "timeout"],
        ),
        ({"spec": {"runtime": "node"}}, ["source"]),
        ({"spec": {"runtime": "node", "source": "sha256:" + "1" * 64}}, ["source"]),
        (
            {"spec": {"runtime": "node"}, "files": BAD_FILES},
            ["files.a", "files.b", "files.c"],
        ),
        ({"spec": {"runtime": "node"}, "file": {}}, ["file"]),
        ({"files": FILES}, ["spec"]),
        ([], ["body"]),
        ({"spec": None, "files": FILES}, ["spec"]),
    ],
)
def test_what_is_wrong_with_a_document_is_told_by_field(document: object, fields: list[str]) -> None:
    async def test(api: Api) -> None:
        told = problem(await api.put(document=document), 422)
        assert told["type"] == "urn:cloudbase:problem:invalid-function"
        assert [error["field"] for error in told["errors"]] == fields  # type: ignore[index, attr-defined]
        assert (api.store.list(), await api.sources.prune(())) == ([], 0)

    with_api(test)


@pytest.mark.parametrize("name", ["Hello", "-a", "a_b", "a.b", "ü", "x" * 53])
def test_a_name_that_is_no_label_is_refused(name: str) -> None:
    async def test(api: Api) -> None:
        told = problem(await api.put(quote(name)), 422)
        assert [error["field"] for error in told["errors"]] == ["name"]  # type: ignore[index, attr-defined]

    with_api(test)


def test_bad_archives_leave_nothing_behind() -> None:
    async def test(api: Api) -> None:
        good = tar({"a.js": b"1"})
        for archive in (b"no gzip", good[:-9], good[:20], tar({"../a": b""}), tar({"/a": b""}), tar({})):
            assert problem(await api.put_archive(archive), 422)["type"] == "urn:cloudbase:problem:bad-source"
        assert (
            problem(await api.put_archive(tar({"bomb": bytes(2_000_000)})), 413)["type"]
            == "urn:cloudbase:problem:source-too-large"
        )
        assert (api.store.list(), await api.sources.prune(())) == ([], 0)

    with_api(test, real=True)


def test_bodies_of_another_kind_or_broken_are_refused() -> None:
    async def test(api: Api) -> None:
        put = api.client.put
        assert problem(await put("/functions/hello", content=b"{", headers={"Content-Type": "application/json"}), 400)
        assert problem(await put("/functions/hello", content=b"{}", headers={"Content-Type": "text/plain"}), 415)
        assert problem(await put("/functions/hello", content=b"{}"), 415)
        encoded = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        assert problem(await put("/functions/hello", content=b"{}", headers=encoded), 415)
        assert problem(await put("/functions/hello", content=b"", headers={"Content-Type": "application/gzip"}), 400)
        broken = {"Content-Type": "application/gzip", "Cloudbase-Spec": "%7B%FF"}
        assert problem(await put("/functions/hello", content=b"", headers=broken), 400)

    with_api(test)


def test_a_body_that_is_too_large_is_refused_before_it_has_all_come() -> None:
    async def test(api: Api) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        head = "PUT /api/v1/functions/hello HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Authorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(3):
            writer.write(b"9c40\r\n" + b"x" * 40_000 + b"\r\n")  # 40,000 bytes each; the limit is 100,000
        await writer.drain()
        assert b" 413 " in await reader.readline()
        writer.close()

    with_api(test, real=True)


def test_a_function_that_is_being_deleted_cannot_be_put() -> None:
    async def test(api: Api) -> None:
        await api.put()
        await api.events()
        api.deployer.stop_at_once = False
        await api.client.delete("/functions/hello")
        told = await api.put()
        assert problem(told, 409)["type"] == "urn:cloudbase:problem:conflict"
        assert told.headers["retry-after"] == "1"

    with_api(test)


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


def test_one_machine_has_one_namespace() -> None:
    async def test(api: Api) -> None:
        await api.put()
        assert (await api.client.get("/functions/hello?namespace=default")).status_code == 200
        for path in ("/functions/hello?namespace=other", "/functions?namespace=other"):
            assert "there is one namespace on one machine" in str(problem(await api.client.get(path), 400)["detail"])
        assert len((await api.client.get("/functions?namespace=*")).json()["items"]) == 1

    with_api(test)


@pytest.mark.parametrize("bad", BAD, ids=[bad.id for bad in BAD])
def test_the_api_refuses_in_the_very_words_of_admission(bad: Bad) -> None:
    kind = Kind("cloudbase.dev", "v1alpha1", "Function")
    written = {"metadata": {"name": bad.name}, "spec": bad.document}
    asked = AdmissionRequest(uid="1", kind=kind, operation="CREATE", namespace="default", name=bad.name, object=written)
    status = validated(asked, lambda namespace, name: "").status

    async def test(api: Api) -> None:
        told = problem(await api.put(bad.name, {"spec": bad.document}), 422)
        assert status is not None and told["detail"] == status.message

    with_api(test)


def test_a_taken_name_is_refused_in_the_same_words_too() -> None:
    kind = Kind("cloudbase.dev", "v1alpha1", "Function")
    written = {"metadata": {"name": "hello"}, "spec": GOOD_SPEC}
    asked = AdmissionRequest(uid="1", kind=kind, operation="CREATE", namespace="default", name="hello", object=written)
    status = validated(asked, lambda namespace, name: "Function b/hello").status

    async def main() -> None:
        store, sources, deployer = MemoryFunctionStore(), MemorySourceStore(LIMITS), WorldDeployer()
        reconciler = Reconciler(store, WorldBuilder(), deployer, WorldRoutes(), sources)
        holder = lambda namespace, name: "Function b/hello"  # noqa: E731
        app = create_app(store, sources, reconciler, deployer, Token(TOKEN), holder=holder)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://localhost", headers=headers
        ) as client:
            told = problem(await client.put("/api/v1/functions/hello", json=HELLO), 422)
        assert status is not None and told["detail"] == status.message

    asyncio.run(main())


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

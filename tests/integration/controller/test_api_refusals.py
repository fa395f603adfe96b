"""What the management API refuses: callers, documents, archives, bodies, and in which words."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import httpx2
import pytest

from controller.api import Token, create_app
from controller.kube.admission.decide import validated
from controller.kube.admission.model import Kind
from controller.kube.admission.model import Request as AdmissionRequest
from controller.memory import MemoryFunctionStore, MemorySourceStore
from controller.reconcile import Reconciler
from tests.integration.controller.api_world import HELLO, LIMITS, TOKEN, Api, problem, tar, with_api
from tests.shared.controller_world import WorldBuilder, WorldDeployer, WorldRoutes
from tests.shared.function_documents import BAD, GOOD_SPEC, Bad

FILES = {"a.js": ""}
BAD_FILES = {"a": 1, "b": {"base64": "*"}, "c": {"base32": ""}}


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
        ({"spec": {"runtime": "node"}, "files": FILES, "generation": "1"}, ["generation"]),
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
